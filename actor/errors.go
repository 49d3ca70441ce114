package actor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// Values that a body may return to end its tasklet without a failure.
var (
	// ErrStop, returned by a handler or a round, ends its tasklet normally.
	ErrStop = errors.New("actor: stop")
	// ErrShutdown ends a tasklet with the exit kind ExitShutdown: it went because it was told to,
	// or has nothing left to do.
	ErrShutdown = errors.New("actor: shutdown")
)

// Results of tasklets and calls.
var (
	// ErrKilled is the result of a tasklet that was killed.
	ErrKilled = errors.New("actor: killed")
	// ErrGoexit is the result of a tasklet whose body called runtime.Goexit, as t.FailNow of
	// package testing does.
	ErrGoexit = errors.New("actor: body called runtime.Goexit")
	// ErrStopped is the result of a tasklet that was started on a system that had stopped. It is
	// also the cause of the *JoinError for those who wait for a tasklet that has not finished
	// though its system has ended, or was given up by Stop.
	ErrStopped = errors.New("actor: the system has stopped")
	// ErrNoReply ends a Call whose request was handled without Send, Fail or Delegate.
	ErrNoReply = errors.New("actor: request was handled without a reply")
	// ErrNotAwaited is what Reply.Send and Fail return when nobody waits for the reply: there was
	// one already, or the caller has given up.
	ErrNotAwaited = errors.New("actor: nobody waits for this reply")
	// ErrNoTasklet is in the notice of a Watch of a tasklet that is not there: a nil *Tasklet, as
	// Ref.Tasklet gives between two.
	ErrNoTasklet = errors.New("actor: no such tasklet")
	// ErrTimeout is scheduler.ErrTimeout.
	ErrTimeout = core.ErrTimeout
)

// Errors that other packages define and this one returns.
type (
	// DeadlockError is scheduler.DeadlockError.
	DeadlockError = core.DeadlockError
	// PanicError is scheduler.PanicError.
	PanicError = core.PanicError
	// Stack is scheduler.Stack.
	Stack = core.Stack
)

// The methods of these look at nothing but the error itself.
func init() {
	guard.Trust[*TaskletExit]()
	guard.Trust[*JoinError]()
	guard.Trust[*ChildError]()
}

// TaskletExit is the panic value that a kill raises in a tasklet. A deferred call may recover it,
// and the tasklet goes on.
type TaskletExit struct{ Tasklet *Tasklet }

// Error says who was killed.
func (e *TaskletExit) Error() string { return text.Word(e.Tasklet.Path()) + " killed" }

// Is makes errors.Is(e, ErrKilled) true.
func (e *TaskletExit) Is(target error) bool { return target == ErrKilled }

// JoinError is what a join returns for a tasklet that failed.
type JoinError struct {
	Tasklet *Tasklet
	Cause   error // its result: the error that it returned, a *PanicError, ErrKilled, ErrGoexit
}

// Error is the path and the cause, on one line: what can't be printed is escaped.
func (e *JoinError) Error() string {
	return text.Word(e.Tasklet.Path()) + ": " + text.Line(guard.Text(e.Cause))
}

// Unwrap gives Cause.
func (e *JoinError) Unwrap() error { return e.Cause }

// ChildError is the result of a tasklet that was killed because a child of its failed that had been
// started with OnFailure(Escalate).
type ChildError struct {
	Tasklet *Tasklet // the child
	Cause   error
}

// Error is the name and the cause, on one line: what can't be printed is escaped.
func (e *ChildError) Error() string {
	return "child " + text.Word(e.Tasklet.Name()) + ": " + text.Line(guard.Text(e.Cause))
}

// Unwrap gives Cause.
func (e *ChildError) Unwrap() error { return e.Cause }

// Leak is a tasklet that did not end when it was stopped.
type Leak struct {
	Path  string
	Stack []byte // where it is, if it holds its scheduler; else nil
}

// StopError says who was left behind when a system stopped.
type StopError struct{ Leaked []Leak }

// Error names all of Leaked, on one line.
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

func misuse(format string, args ...any) {
	panic("actor: " + fmt.Sprintf(format, args...))
}

// joinErrors is errors.Join that leaves a single error as it is.
func joinErrors(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}
