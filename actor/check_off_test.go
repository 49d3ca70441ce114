//go:build !tasklet_check

package actor_test

// checked: nothing is checked by itself.
const checked = false
