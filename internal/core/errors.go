package core

import (
	"context"
	"fmt"
	"strings"

	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/stack"
	"github.com/gotasklet/tasklet/internal/text"
)

// The methods of these errors look only at the error itself.
func init() {
	guard.Trust[timeoutError]()
	guard.Trust[*PanicError]()
}

// ErrTimeout is the error of a blocking call whose time is over. errors.Is reports that it is
// context.DeadlineExceeded, and its method Timeout returns true. The packages mailbox and actor
// export the same value.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string        { return "timeout" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Temporary() bool      { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// DeadlockError is the error of a wait that was refused because it could never have ended: a chain
// of waits leads from the awaited task back to the waiting one, and none of them has a limit.
type DeadlockError struct {
	// Chain has one entry for each waiting task. The first is the one that was refused, and the
	// last one waits for the first.
	Chain []Link
	// Quiescent says that nothing can happen any more. Then Chain has all tasks that wait, each
	// with its own On, and need not be a cycle.
	Quiescent bool
}

// Link is one step of a chain of waits: Task waits for the next one in the chain.
type Link struct {
	Task string // its name
	Kind Kind   // the call in which it waits
	On   string // the task that it waits for, if that is not the next in the chain; may be empty
}

// Error returns the chain in words: "deadlock: /a send to /b, /b join /a".
func (e *DeadlockError) Error() string { return "deadlock: " + e.String() }

// String returns the chain without the word deadlock.
func (e *DeadlockError) String() string {
	var b strings.Builder
	if e.Quiescent {
		b.WriteString("nothing can happen any more: ")
	}
	for i, l := range e.Chain {
		if i > 0 {
			b.WriteString(", ")
		}
		on := l.On
		if on == "" && !e.Quiescent {
			on = e.Chain[(i+1)%len(e.Chain)].Task
		}
		on = quoted(on)
		b.WriteString(strings.TrimRight(fmt.Sprintf("%s in %s %s", quoted(l.Task), l.Kind, on), " "))
	}
	return b.String()
}

// quoted returns the name of a task as a word of a sentence. The names that this package makes,
// such as "task 2", have a space, and need no quotes.
func quoted(name string) string {
	if strings.HasPrefix(name, "/") {
		return text.Word(name)
	}
	return text.Line(name)
}

// A Stack is the stack of a goroutine. Its String returns it as debug.Stack prints it.
type Stack = stack.Stack

// PanicError is a panic as an error: the value of the panic, and its stack.
type PanicError struct {
	Value any
	// Stack is the stack of the goroutine that panicked. Its text is made when it is read. In a
	// flood of panics of tasklets, each scheduler takes only the first 100 within a second, for
	// each function of tasklets and each type of the value. The text of the others begins with
	// "stack not taken".
	Stack *Stack
}

// NewPanicError returns a PanicError. It must be called in a deferred call, with the result of
// recover.
func NewPanicError(v any) *PanicError { return &PanicError{Value: v, Stack: stack.Here()} }

// Error returns "panic: " and the value on one line. Characters that cannot be printed are escaped.
func (e *PanicError) Error() string { return text.Line("panic: " + guard.Sprint(e.Value)) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Exit is the value of the panic that Kill raises in a task, unless Hooks.ExitValue returns
// another.
type Exit struct{ Task *Task }

func (e *Exit) Error() string { return "scheduler: task killed" }

// misuse panics at the caller with the rule that it broke.
func misuse(format string, args ...any) {
	panic("scheduler: " + fmt.Sprintf(format, args...))
}

// bug panics because this package has broken a rule of its own.
func bug(what string) { panic("scheduler: internal error: " + what) }
