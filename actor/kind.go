package actor

import "github.com/gotasklet/tasklet/internal/guard"

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

// KindOf returns the exit kind of a tasklet whose result is err. A wrapped error counts as what it
// is; of several, as errors.Join makes them, the worst counts, so that ErrStop hides no failure. An
// error that tells of another tasklet is an ExitError, whatever its cause: a *[JoinError], a
// *[ChildError], and what Call and a start return of another's. How that one ended, Tasklet.Exit
// tells. An error one of whose methods panics is an ExitError.
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
	case *PanicError: // also one that is nil
		return ExitPanic
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ Is(error) bool }, interface{ As(any) bool }:
		return guarded(err)
	}
	return ExitError // it wraps nothing: the usual case, and errors.As is slow
}

// guarded is classify, guarded. The methods of err may be the user's, and KindOf is asked on
// schedulers: a panic or a Goexit there would end everybody's work.
func guarded(err error) (k ExitKind) {
	if guard.Look(err, func() { k = classify(err) }) != nil {
		return ExitError
	}
	return k
}

// Exit tells of the end of a tasklet.
type Exit struct {
	Tasklet *Tasklet
	Path    string
	Kind    ExitKind
	// Err is the result; nil for ExitNormal. It is the tasklet's own: another one that returns it
	// as it is says the same of itself, and Failure is for that.
	Err error
}

// Failure returns what Join returns for the tasklet: nil if it ended normally or shut down, else a
// *[JoinError].
func (e Exit) Failure() error {
	if !e.Kind.Failure() {
		return nil
	}
	return &JoinError{e.Tasklet, e.Err}
}
