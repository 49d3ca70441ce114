//go:build !tasklet_check

package core

// checking says that nothing is checked.
const checking = false
