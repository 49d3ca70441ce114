//go:build tasklet_check

package core

// checking: Hooks.Check is called after each step. See docs/design.md, "Invariants".
const checking = true
