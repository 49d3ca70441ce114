//go:build tasklet_check

package core

// checking says that Hooks.Check is called after each step. See docs/design.md, "Invariants".
const checking = true
