package core

import (
	"context"
	"fmt"
	"strings"

	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/stack"
	"github.com/gotasklet/tasklet/internal/text"
)

// The methods of these look at nothing but the error itself.
func init() {
	guard.Trust[timeoutError]()
	guard.Trust[*PanicError]()
}

// ErrTimeout is what a blocking call returns when its time is over. It is context.DeadlineExceeded
// to errors.Is, and has Timeout() true. The packages mailbox and actor export the same value.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string        { return "timeout" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Temporary() bool      { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// DeadlockError says that a wait was refused because it could never have ended: whoever is waited
// for waits, over some steps, for the one that asks. Everybody on the chain waits without a time
// limit.
type DeadlockError struct {
	// Chain has one entry for each waiting task, first the one that was refused. The last one waits
	// for the first.
	Chain []Link
	// Quiescent: there need be no ring; nothing can happen any more, and these are all that wait,
	// each with its own On.
	Quiescent bool
}

// Link is one step of a chain of waits: Task waits for the next one in the chain.
type Link struct {
	Task string // its name
	Kind Kind   // how it waits
	On   string // for whom, if that is not the next in the chain; may be empty
}

// Error gives the chain in words: "deadlock: /a send to /b, /b join /a".
func (e *DeadlockError) Error() string { return "deadlock: " + e.String() }

// String gives the chain without the word deadlock.
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

// quoted is the name of a task as a word of a sentence. The names that this package gives, "task
// 2", have a space, and need no quotes.
func quoted(name string) string {
	if strings.HasPrefix(name, "/") {
		return text.Word(name)
	}
	return text.Line(name)
}

// A Stack is the stack of a goroutine. Its String returns it as debug.Stack prints it.
type Stack = stack.Stack

// PanicError is a panic as an error: what was passed to panic, and where.
type PanicError struct {
	Value any
	Stack *Stack // of the goroutine that panicked; its text is written when it is read
}

// NewPanicError is called in a deferred call, with what recover returned.
func NewPanicError(v any) *PanicError { return &PanicError{Value: v, Stack: stack.Here()} }

// Error is "panic: " and the value, on one line: what can't be printed is escaped.
func (e *PanicError) Error() string { return text.Line("panic: " + guard.Sprint(e.Value)) }

// Unwrap gives the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Exit is the panic value that Kill raises in a task, unless Hooks.ExitValue says otherwise.
type Exit struct{ Task *Task }

func (e *Exit) Error() string { return "scheduler: task killed" }

// misuse panics at the caller with the rule that it broke.
func misuse(format string, args ...any) {
	panic("scheduler: " + fmt.Sprintf(format, args...))
}

// bug panics because the package broke a rule of its own.
func bug(what string) { panic("scheduler: internal error: " + what) }
