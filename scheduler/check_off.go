//go:build !tasklet_check

package scheduler

// checking: nothing is checked.
const checking = false
