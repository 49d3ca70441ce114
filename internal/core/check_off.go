//go:build !tasklet_check

package core

// checking: nothing is checked.
const checking = false
