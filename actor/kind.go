package actor

import (
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/guard"
)

// KindOf returns the exit kind of a tasklet whose result is err. A wrapped error counts as the
// error that it wraps. Of several errors, as errors.Join makes them, the worst counts, so that
// ErrStop hides no failure. An error that reports the end of another tasklet is a reason.Error,
// whatever its cause: a *[JoinError], a *[ChildError], a *[LinkError], and the errors of Call and
// of a start that come from the other tasklet. Tasklet.Exit returns how that tasklet ended. An
// error with a method that panics is a reason.Error.
func KindOf(err error) reason.Kind {
	switch err {
	case nil:
		return reason.Normal
	case ErrKilled:
		return reason.Killed
	}
	return kindOf(err)
}

// kindOf is a separate function because it allocates.
func kindOf(err error) reason.Kind {
	switch err {
	case ErrStop:
		return reason.Normal
	case ErrShutdown:
		return reason.Shutdown
	}
	switch err.(type) {
	case *PanicError: // also a nil pointer
		return reason.Panic
	case *Killed: // whatever the cause is, whose methods may be user code
		return reason.Killed
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ Is(error) bool }, interface{ As(any) bool }:
		return guarded(err)
	}
	return reason.Error // it wraps nothing, which is the usual case, and errors.As is slow
}

// guarded calls classify under a guard. The methods of err may be user code, and KindOf runs on
// schedulers, where a panic or a Goexit would end the work of all tasklets.
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

// otherError marks an error that came from another tasklet unchanged, as an answer or from an init,
// and that would be taken for the end of the tasklet that returns it.
type otherError struct{ err error }

// The error that a tasklet returns says how it ended. ErrStop, ErrShutdown, ErrKilled and a
// *PanicError do so by themselves or wrapped. In the errors of Join, Call and a start, the same
// values report the end of another tasklet. There they are information for the caller, and merely
// an error if the caller returns them: KindOf looks no deeper into an error that has the method
// below.

// otherEnd is an error that reports the end of another tasklet than the one that returns it.
type otherEnd interface {
	error
	// ofAnother has no effect. It marks the type, and a user's type that embeds one.
	ofAnother()
}

func (*JoinError) ofAnother() {}

func (*ChildError) ofAnother() {}

func (*LinkError) ofAnother() {}

func (*otherError) ofAnother() {}

func (e *otherError) Error() string { return guard.Text(e.err) }

// Unwrap returns the error without its mark.
func (e *otherError) Unwrap() error { return e.err }

// fromOther returns err, which came from another tasklet. It returns it unchanged unless err would
// be taken for the caller's own end.
func fromOther(err error) error {
	if err == nil || KindOf(err) == reason.Error {
		return err
	}
	return &otherError{err}
}

// As makes errors.As find a *Killed in the error of a tasklet that was killed, also with a cause.
func (e *JoinError) As(target any) bool {
	exit, ok := target.(**Killed)
	if !ok || e.Tasklet == nil || e.Tasklet.marks.Load()&markKilled == 0 && KindOf(e.Cause) != reason.Killed {
		return false
	}
	if *exit, ok = e.Cause.(*Killed); !ok || *exit == nil {
		*exit = e.Tasklet.killed()
	}
	return true
}

// kindWalk is the examination of an error and of the errors that it wraps.
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
	case *Killed:
		return reason.Killed
	case *PanicError:
		// The value of the panic does not matter, even if returning it would be no failure.
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
		// The worst of them counts, in the order of the kinds. ErrStop joined with a failure is
		// still a failure.
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

// maxErrors is the number of errors that KindOf examines in one error that wraps others. An error
// may wrap itself.
const maxErrors = 10_000

// classify returns the kind of an error that is not nil. It calls methods that may be user code, so
// it must be called through guarded.
func classify(err error) reason.Kind { return (&kindWalk{maxErrors}).kind(err) }

func init() { guard.Trust[*otherError]() }
