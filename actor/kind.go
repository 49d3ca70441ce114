package actor

import (
	"errors"

	"github.com/gotasklet/tasklet/internal/guard"
)

// ExitKind says how a tasklet ended. Only the first two are no failures.
type ExitKind uint8

const (
	ExitNormal   ExitKind = iota // nil or ErrStop
	ExitShutdown                 // ErrShutdown
	ExitKilled                   // by Kill, or with its parent
	ExitError                    // any other error
	ExitPanic                    // a panic
)

// String gives the kind in one word: normal, shutdown, killed, error, panic.
func (k ExitKind) String() string {
	return [...]string{"normal", "shutdown", "killed", "error", "panic"}[k]
}

// Failure reports whether k counts as a failure.
func (k ExitKind) Failure() bool { return k >= ExitKilled }

// KindOf tells the exit kind of a tasklet whose result is err. Wrapped errors count as what they wrap. An error one of whose methods
// panics is an ExitError.
func KindOf(err error) ExitKind {
	switch err {
	case nil:
		return ExitNormal
	case ErrKilled:
		return ExitKilled
	}
	return kindOf(err)
}

// kindOf is apart because it allocates.
func kindOf(err error) ExitKind {
	switch err {
	case ErrStop:
		return ExitNormal
	case ErrShutdown:
		return ExitShutdown
	}
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ Is(error) bool }, interface{ As(any) bool }:
		return guarded(err)
	}
	return ExitError // it wraps nothing: the usual case, and errors.As is slow
}

// guarded is classify, guarded. The methods of err may be the user's, and KindOf is asked on schedulers: a panic or a Goexit there
// would end everybody's work.
func guarded(err error) (k ExitKind) {
	if guard.Look(err, func() { k = classify(err) }) != nil {
		return ExitError
	}
	return k
}

// classify tells the kind of an error that wraps others. It calls methods of the user's: through guarded only.
func classify(err error) ExitKind {
	var p *PanicError
	switch {
	case errors.As(err, &p):
		return ExitPanic // also with a value that would be an end without failure if it were returned
	case errors.Is(err, ErrStop):
		return ExitNormal
	case errors.Is(err, ErrShutdown):
		return ExitShutdown
	case errors.Is(err, ErrKilled):
		return ExitKilled
	}
	return ExitError
}

// Exit tells of the end of a tasklet.
type Exit struct {
	Tasklet *Tasklet
	Path    string
	Kind    ExitKind
	Err     error // the result; nil for ExitNormal
}
