package actor

import "github.com/gotasklet/tasklet/internal/guard"

// What a tasklet returns says how it ended: ErrStop, ErrShutdown, ErrKilled and a *PanicError do so
// by themselves or wrapped. The same values tell of another tasklet's end in what Join, Call and
// a start return. There they are news for the caller, and no more than an error when the caller
// returns them: KindOf stops at whatever has the method below.

// otherEnd is an error that tells of another tasklet than the one that returns it.
type otherEnd interface {
	error
	// ofAnother has no effect: it marks the type. A user's type that embeds one is marked, too.
	ofAnother()
}

func (*JoinError) ofAnother()  {}
func (*ChildError) ofAnother() {}
func (*otherError) ofAnother() {}

// otherError marks an error that came from another tasklet as it was, as an answer or out of an
// init, and would be taken for the end of whoever returns it.
type otherError struct{ err error }

func init() { guard.Trust[*otherError]() }

func (e *otherError) Error() string { return guard.Text(e.err) }

// Unwrap returns the error as it was.
func (e *otherError) Unwrap() error { return e.err }

// fromOther returns err, which came from another tasklet: unchanged, unless it would be taken for
// the caller's own end.
func fromOther(err error) error {
	if err == nil || KindOf(err) == ExitError {
		return err
	}
	return &otherError{err}
}

// As finds a *TaskletExit in the error of a tasklet that was killed, for errors.As: with a cause,
// too.
func (e *JoinError) As(target any) bool {
	exit, ok := target.(**TaskletExit)
	if !ok || e.Tasklet == nil || e.Tasklet.marks.Load()&markKilled == 0 && KindOf(e.Cause) != ExitKilled {
		return false
	}
	*exit = &TaskletExit{e.Tasklet}
	return true
}

// maxErrors is how many errors KindOf looks at in one that wraps others. One that wraps itself has
// no end.
const maxErrors = 10_000

// kindWalk is one look at an error and what it wraps.
type kindWalk struct{ left int }

// classify returns the kind of an error that is not nil. It calls methods of the user's: through
// guarded only.
func classify(err error) ExitKind { return (&kindWalk{maxErrors}).kind(err) }

func (w *kindWalk) kind(err error) ExitKind {
	if w.left--; w.left < 0 {
		return ExitError
	}
	switch err {
	case ErrStop:
		return ExitNormal
	case ErrShutdown:
		return ExitShutdown
	case ErrKilled:
		return ExitKilled
	}
	switch err.(type) {
	case otherEnd:
		return ExitError
	case *PanicError:
		// also with a value that would be an end without failure if it were returned
		return ExitPanic
	}
	if e, ok := err.(interface{ As(any) bool }); ok {
		if p := (*PanicError)(nil); e.As(&p) {
			return ExitPanic
		}
	}
	if e, ok := err.(interface{ Is(error) bool }); ok {
		switch {
		case e.Is(ErrStop):
			return ExitNormal
		case e.Is(ErrShutdown):
			return ExitShutdown
		case e.Is(ErrKilled):
			return ExitKilled
		}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if in := e.Unwrap(); in != nil {
			return w.kind(in)
		}
	case interface{ Unwrap() []error }:
		// The worst of them counts, in the order of the kinds: joined with a failure, ErrStop is
		// none the less a failure.
		worst, some := ExitNormal, false
		for _, in := range e.Unwrap() {
			if in != nil {
				worst, some = max(worst, w.kind(in)), true
			}
		}
		if some {
			return worst
		}
	}
	return ExitError
}
