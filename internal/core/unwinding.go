package core

import (
	"math"
	"runtime"
	"strings"
)

// stackView is what a stack shows about kills and panics.
//
// A kill that was raised is a panic that unwinds some stack, or it was recovered. Go does not
// report which of the two. But while deferred calls of a panic run, its frames are on the stack
// below them, and after a recover they are gone.
//
// The panic may change stacks on its way. Code inside iter.Pull, and inside coroutines in general,
// has a stack of its own. iter.Pull takes a panic from one stack and raises it again, with the same
// value, on the other. Libraries that run a function elsewhere and pass its panic on do the same.
type stackView struct {
	kill   bool  // a panic that raise began, or that iter.Pull has passed on, is in flight
	panics uint8 // the number of all panics in flight
	worker bool  // the stack is that of a worker, and not of a coroutine inside its task
}

// unwinding reports whether the kill that was raised in t is still in flight, as seen from a
// blocking call of t. It must be called only after a kill was raised.
//
// That is so if a panic is in flight on the caller's stack that was not in flight when the kill was
// raised. It may be another panic than the kill, which the body has recovered. Then the body is
// about to end with that panic, and if it does not, the next check detects that. A caller inside
// iter.Pull may be called by a deferred call of the stack that resumed it, which it cannot see.
// Then the worker's stack is searched for in the goroutine profile.
func (t *Task) unwinding() bool {
	st := stackOf()
	switch {
	case st.kill:
		return true
	case st.worker:
		return st.panics > t.panics
	case st.panics > 0:
		return true
	}
	return t.s.workerUnwinds()
}

// stackOf examines the caller's stack.
func stackOf() (v stackView) {
	var buf [64]uintptr
	pcs := buf[:]
	n := runtime.Callers(3, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(3, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	panicking := false
	for n > 0 {
		f, more := frames.Next()
		v.frame(f.Function, &panicking)
		if !more {
			break
		}
	}
	return v
}

// frame takes one more function of the stack into account, callees first. panicking says that the
// callee is the panic.
func (v *stackView) frame(function string, panicking *bool) {
	switch {
	case *panicking && (strings.HasPrefix(function, "iter.Pull") || strings.HasSuffix(function, "/internal/core.(*Task).raise")):
		v.kill = true
	case strings.HasSuffix(function, "/internal/core.(*Scheduler).loop"):
		v.worker = true
	}
	*panicking = function == "runtime.gopanic"
	if *panicking && v.panics < math.MaxUint8 {
		v.panics++
	}
}
