//go:build tasklet_check

package actor_test

// checked: the invariants are checked between any two activations.
const checked = true
