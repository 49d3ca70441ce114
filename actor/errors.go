package actor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// Values that a body may return to end its tasklet without a failure.
var (
	// ErrStop, returned by a handler or a round, ends its tasklet normally.
	ErrStop = errors.New("actor: stop")
	// ErrShutdown ends a tasklet with the exit kind reason.Shutdown: it was asked to end, or has
	// nothing left to do.
	ErrShutdown = errors.New("actor: shutdown")
)

// Results of tasklets and calls.
var (
	// ErrKilled is the result of a tasklet that was killed without a cause.
	ErrKilled = errors.New("actor: killed")
	// ErrGoexit is the result of a tasklet whose body called runtime.Goexit, as t.FailNow of
	// package testing does.
	ErrGoexit = errors.New("actor: body called runtime.Goexit")
	// ErrStopped is the result of a tasklet that was started on a system that had stopped. It is
	// also the cause of the *JoinError for a tasklet that has not finished when its system has
	// ended, or that Stop has left behind.
	ErrStopped = errors.New("actor: the system has stopped")
	// ErrNoReply is returned by a Call whose request was handled without Send, Fail or Delegate.
	ErrNoReply = errors.New("actor: request was handled without a reply")
	// ErrNotAwaited is returned by Reply.Send and Reply.Fail when no call waits for the reply:
	// there was an answer already, or the caller has given up.
	ErrNotAwaited = errors.New("actor: the call no longer waits for this reply")
	// ErrNoTasklet is the error in the notice of a Watch of a nil *Tasklet, which Ref.Tasklet
	// returns between two incarnations.
	ErrNoTasklet = errors.New("actor: no such tasklet")
	// ErrTimeout is the same value as scheduler.ErrTimeout.
	ErrTimeout = core.ErrTimeout
)

// Errors that other packages define and this one returns.
type (
	// DeadlockError is the same type as scheduler.DeadlockError.
	DeadlockError = core.DeadlockError
	// PanicError is the same type as scheduler.PanicError.
	PanicError = core.PanicError
	// A Stack is the stack of a goroutine, at a panic for example. It is kept as program counters.
	// Its method String writes the text, in the form in which debug.Stack prints it, when it is
	// called: that takes longer than a restart, and a log that filters an entry out does not do it.
	// String of a nil *Stack returns "". A Stack may be used from any goroutine.
	Stack = core.Stack
)

// Unwrap, Is and As of these errors look only at the error itself.
func init() {
	guard.Trust[*Killed]()
	guard.Trust[*JoinError]()
	guard.Trust[*ChildError]()
	guard.Trust[*LinkError]()
}

// Killed is the value of the panic that a kill raises in a tasklet. If a deferred call
// recovers it, the tasklet continues. errors.Is(err, ErrKilled) is true for it. It is also the
// result of a tasklet that [Tasklet.KillCause] has killed.
type Killed struct {
	Tasklet *Tasklet // the killed tasklet
	// Cause says why. It is nil if the kill had no cause, as one of [Tasklet.Kill].
	Cause error
	// By is the path of the tasklet that has called KillCause. It is "" for a call from outside,
	// and for any other kill.
	By string
}

// Error returns the path of the killed tasklet, "killed", the path of the sender and the cause, on
// one line. Characters that cannot be printed are escaped.
func (e *Killed) Error() string {
	s := text.Word(e.Tasklet.Path()) + " killed"
	if e.By != "" {
		s += " by " + text.Word(e.By)
	}
	if e.Cause != nil {
		s += ": " + text.Line(guard.Text(e.Cause))
	}
	return s
}

// Unwrap returns e.Cause.
func (e *Killed) Unwrap() error { return e.Cause }

// Is makes errors.Is(e, ErrKilled) true.
func (e *Killed) Is(target error) bool { return target == ErrKilled }

// JoinError is returned by a join of a tasklet that failed. errors.Is and errors.As examine the
// cause.
type JoinError struct {
	Tasklet *Tasklet
	// Cause is the result: the error that the tasklet returned, a *PanicError, ErrKilled, a *Killed
	// or ErrGoexit.
	Cause error
}

// Error returns the path and the cause on one line. Characters that cannot be printed are escaped.
func (e *JoinError) Error() string {
	return text.Word(e.Tasklet.Path()) + ": " + text.Line(guard.Text(e.Cause))
}

// Unwrap returns e.Cause.
func (e *JoinError) Unwrap() error { return e.Cause }

// ChildError is the result of a tasklet that was killed because a child failed that had been
// started with OnFailure(Escalate).
type ChildError struct {
	Tasklet *Tasklet // the child
	Cause   error
}

// Error returns the name and the cause on one line. Characters that cannot be printed are escaped.
func (e *ChildError) Error() string {
	return "child " + text.Word(e.Tasklet.Name()) + ": " + text.Line(guard.Text(e.Cause))
}

// Unwrap returns e.Cause.
func (e *ChildError) Unwrap() error { return e.Cause }

// LinkError is the result of a tasklet that was killed because a tasklet that it was linked to
// failed; see [Link]. In a chain of links it names the tasklet that failed first.
type LinkError struct {
	Tasklet *Tasklet // the tasklet that failed first
	Cause   error    // its result
}

// Error returns the path and the cause on one line. Characters that cannot be printed are escaped.
func (e *LinkError) Error() string {
	return "linked to " + text.Word(e.Tasklet.Path()) + ": " + text.Line(guard.Text(e.Cause))
}

// Unwrap returns e.Cause.
func (e *LinkError) Unwrap() error { return e.Cause }

// Leak is a tasklet that did not end when it was stopped.
type Leak struct {
	Path  string
	Stack []byte // its stack if it holds its scheduler, or nil
}

// StopError is returned by Run and System.Stop if tasklets were left behind when the system
// stopped.
type StopError struct{ Leaked []Leak }

// Error names all tasklets of Leaked on one line.
func (e *StopError) Error() string {
	names := make([]string, len(e.Leaked))
	for i, l := range e.Leaked {
		names[i] = text.Word(l.Path)
		if l.Stack != nil {
			names[i] += " (holds its scheduler)"
		}
	}
	return "actor: did not stop: " + strings.Join(names, ", ")
}

// DrainError is the error of a Drain whose context ended before all work was done.
type DrainError struct {
	// Left has the paths of the tasklets whose bodies had not ended, with the number of messages
	// that they had not handled. It leaves out tasklets that had no work.
	Left map[string]int
}

// Error names the first twenty tasklets of Left on one line, in order of their paths.
func (e *DrainError) Error() string {
	var names []string
	for _, path := range slices.Sorted(maps.Keys(e.Left)) {
		if len(names) == 20 {
			names = append(names, fmt.Sprintf("and %d others", len(e.Left)-20))
			break
		}
		name := text.Word(path)
		if n := e.Left[path]; n > 0 {
			name += fmt.Sprintf(" (messages: %d)", n)
		}
		names = append(names, name)
	}
	if names == nil {
		return "actor: not drained in time"
	}
	return "actor: not drained in time: " + strings.Join(names, ", ")
}

// joinErrors is like errors.Join, but returns a single error unchanged.
func joinErrors(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}
