// Package reason has the ways in which a tasklet can end. An actor.Exit has one of them in its
// field Kind, and actor.KindOf finds that of an error.
package reason

import "fmt"

// Kind is the way in which a tasklet ended. Only the first two kinds are not failures.
type Kind uint8

const (
	Normal   Kind = iota // nil or actor.ErrStop
	Shutdown             // actor.ErrShutdown
	Killed               // by Kill, or with its parent
	Error                // any other error
	Panic                // a panic
)

// String returns the kind in one word: normal, shutdown, killed, error or panic.
func (k Kind) String() string {
	if k > Panic {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return [...]string{"normal", "shutdown", "killed", "error", "panic"}[k]
}

// Failure reports whether k counts as a failure.
func (k Kind) Failure() bool { return k >= Killed }
