package actor

import (
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/guard"
)

// KindOf returns the exit kind of a tasklet whose result is err. A wrapped error counts as the
// error that it wraps. Of several errors, as errors.Join makes them, the worst counts, so that
// ErrStop hides no failure. An error that reports the end of another tasklet is an reason.Error,
// whatever its cause: a *[JoinError], a *[ChildError], and the errors of Call and of a start that
// come from the other tasklet. Tasklet.Exit returns how that tasklet ended. An error with a method
// that panics is an reason.Error.
func KindOf(err error) reason.Kind {
	switch err {
	case nil:
		return reason.Normal
	case ErrKilled:
		return reason.Killed
	}
	return kindOf(err)
}

// kindOf is a function of its own because it allocates.
func kindOf(err error) reason.Kind {
	switch err {
	case ErrStop:
		return reason.Normal
	case ErrShutdown:
		return reason.Shutdown
	}
	switch err.(type) {
	case *PanicError: // also one that is nil
		return reason.Panic
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ Is(error) bool }, interface{ As(any) bool }:
		return guarded(err)
	}
	return reason.Error // it wraps nothing: the usual case, and errors.As is slow
}

// guarded calls classify guarded. The methods of err may be user code, and KindOf runs on
// schedulers: a panic or a Goexit there would end the work of all tasklets.
func guarded(err error) (k reason.Kind) {
	if guard.Look(err, func() { k = classify(err) }) != nil {
		return reason.Error
	}
	return k
}

// Exit describes the end of a tasklet.
type Exit struct {
	Tasklet *Tasklet
	Path    string
	Kind    reason.Kind
	// Err is the result; nil for reason.Normal. It describes the tasklet's own end, so another
	// tasklet should not return it but the error of Failure.
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

// otherError marks an error that came from another tasklet as it was, as an answer or out of an
// init, and would be taken for the end of whoever returns it.
type otherError struct{ err error }

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

func (*JoinError) ofAnother() {}

func (*ChildError) ofAnother() {}

func (*otherError) ofAnother() {}

func (e *otherError) Error() string { return guard.Text(e.err) }

// Unwrap returns the error as it was.
func (e *otherError) Unwrap() error { return e.err }

// fromOther returns err, which came from another tasklet: unchanged, unless it would be taken for
// the caller's own end.
func fromOther(err error) error {
	if err == nil || KindOf(err) == reason.Error {
		return err
	}
	return &otherError{err}
}

// As finds a *Killed in the error of a tasklet that was killed, for errors.As: with a cause,
// too.
func (e *JoinError) As(target any) bool {
	exit, ok := target.(**Killed)
	if !ok || e.Tasklet == nil || e.Tasklet.marks.Load()&markKilled == 0 && KindOf(e.Cause) != reason.Killed {
		return false
	}
	*exit = &Killed{e.Tasklet}
	return true
}

// kindWalk is one look at an error and what it wraps.
type kindWalk struct{ left int }

func (w *kindWalk) kind(err error) reason.Kind {
	if w.left--; w.left < 0 {
		return reason.Error
	}
	switch err {
	case ErrStop:
		return reason.Normal
	case ErrShutdown:
		return reason.Shutdown
	case ErrKilled:
		return reason.Killed
	}
	switch err.(type) {
	case otherEnd:
		return reason.Error
	case *PanicError:
		// also with a value that would be an end without failure if it were returned
		return reason.Panic
	}
	if e, ok := err.(interface{ As(any) bool }); ok {
		if p := (*PanicError)(nil); e.As(&p) {
			return reason.Panic
		}
	}
	if e, ok := err.(interface{ Is(error) bool }); ok {
		switch {
		case e.Is(ErrStop):
			return reason.Normal
		case e.Is(ErrShutdown):
			return reason.Shutdown
		case e.Is(ErrKilled):
			return reason.Killed
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
		worst, some := reason.Normal, false
		for _, in := range e.Unwrap() {
			if in != nil {
				worst, some = max(worst, w.kind(in)), true
			}
		}
		if some {
			return worst
		}
	}
	return reason.Error
}

// maxErrors is how many errors KindOf looks at in one that wraps others. One that wraps itself has
// no end.
const maxErrors = 10_000

// classify returns the kind of an error that is not nil. It calls methods of the user's: through
// guarded only.
func classify(err error) reason.Kind { return (&kindWalk{maxErrors}).kind(err) }

func init() { guard.Trust[*otherError]() }
