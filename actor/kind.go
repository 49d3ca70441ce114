package actor

import "github.com/gotasklet/tasklet/internal/guard"

// ExitKind is the way in which a tasklet ended. Only the first two kinds are not failures.
type ExitKind uint8

const (
	ExitNormal   ExitKind = iota // nil or ErrStop
	ExitShutdown                 // ErrShutdown
	ExitKilled                   // by Kill, or with its parent
	ExitError                    // any other error
	ExitPanic                    // a panic
)

// String returns the kind in one word: normal, shutdown, killed, error or panic.
func (k ExitKind) String() string {
	return [...]string{"normal", "shutdown", "killed", "error", "panic"}[k]
}

// Failure reports whether k counts as a failure.
func (k ExitKind) Failure() bool { return k >= ExitKilled }

// KindOf returns the exit kind of a tasklet whose result is err. A wrapped error counts as the
// error that it wraps. Of several errors, as errors.Join makes them, the worst counts, so that
// ErrStop hides no failure. An error that reports the end of another tasklet is an ExitError,
// whatever its cause: a *[JoinError], a *[ChildError], and the errors of Call and of a start that
// come from the other tasklet. Tasklet.Exit returns how that tasklet ended. An error with a method
// that panics is an ExitError.
func KindOf(err error) ExitKind {
	switch err {
	case nil:
		return ExitNormal
	case ErrKilled:
		return ExitKilled
	}
	return kindOf(err)
}

// kindOf is a function of its own because it allocates.
func kindOf(err error) ExitKind {
	switch err {
	case ErrStop:
		return ExitNormal
	case ErrShutdown:
		return ExitShutdown
	}
	switch err.(type) {
	case *PanicError: // also one that is nil
		return ExitPanic
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ Is(error) bool }, interface{ As(any) bool }:
		return guarded(err)
	}
	return ExitError // it wraps nothing: the usual case, and errors.As is slow
}

// guarded calls classify guarded. The methods of err may be user code, and KindOf runs on
// schedulers: a panic or a Goexit there would end the work of all tasklets.
func guarded(err error) (k ExitKind) {
	if guard.Look(err, func() { k = classify(err) }) != nil {
		return ExitError
	}
	return k
}

// Exit describes the end of a tasklet.
type Exit struct {
	Tasklet *Tasklet
	Path    string
	Kind    ExitKind
	// Err is the result; nil for ExitNormal. It describes the tasklet's own end, so another tasklet
	// should not return it but the error of Failure.
	Err error
}

// Failure returns what Join returns for the tasklet: nil if it ended normally or with ErrShutdown,
// and otherwise a *[JoinError].
func (e Exit) Failure() error {
	if !e.Kind.Failure() {
		return nil
	}
	return &JoinError{e.Tasklet, e.Err}
}
