// Package guard calls user code in places where neither a panic nor a runtime.Goexit may reach the
// caller: on a scheduler, or on a goroutine of the library.
//
// A deferred recover stops a panic, but not runtime.Goexit, which t.FailNow of package testing and
// the Fatal of a logger call: it ends the goroutine, and with it the work of all tasklets that run
// there. So such code runs on another goroutine, and the caller waits for it.
//
// Rejected: helpers that are kept for the next call. They save less than half of the cost, and they
// remain when a system ends: leak checks find them, and a testing/synctest bubble that has made one
// never ends.
package guard

import (
	"fmt"
	"runtime"

	"github.com/gotasklet/tasklet/internal/stack"
)

// Fault describes how a call failed.
type Fault struct {
	Value  any          // the value of the panic; nil for runtime.Goexit
	Stack  *stack.Stack // the stack of the panic; nil for runtime.Goexit
	Goexit bool         // the function ended its goroutine
}

// Call calls f on a new goroutine, waits, and returns the fault, or nil if f has returned. f may
// use data of the caller, because the two never run at the same time. Call costs 0.9 us.
func Call(f func()) *Fault { return <-Go(f) }

// Go is like Call, for a caller that continues before f has returned. The fault is sent to the
// returned channel, which has room for it.
func Go(f func()) <-chan *Fault {
	over := make(chan *Fault, 1)
	go call(f, over)
	return over
}

func call(f func(), over chan<- *Fault) {
	returned := false
	Begin()
	defer func() {
		End()
		if returned {
			over <- nil
			return
		}
		fault := &Fault{Value: recover()}
		if fault.Value == nil {
			fault.Goexit = true
		} else {
			fault.Stack = stack.Here()
		}
		over <- fault
	}()
	run(f)
	returned = true
}

//go:noinline
func run(f func()) {
	Calls.Enter()
	f()
}

// String returns a description such as "panicked: boom" or "called runtime.Goexit". It works
// whatever the methods of the panic value do.
func (f *Fault) String() string {
	if f.Goexit {
		return "called runtime.Goexit"
	}
	return "panicked: " + Sprint(f.Value)
}

// Sprint is fmt.Sprint of one value, whose methods may fail.
func Sprint(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case runtime.Error:
		return v.Error()
	case error:
		return Text(v)
	}
	var text string
	if fault := Call(func() { text = fmt.Sprint(v) }); fault != nil {
		// This is a Goexit, or a panic whose value panics too. Sprint of fmt handles other panics
		// itself.
		return fmt.Sprintf("a %T", v)
	}
	return text
}
