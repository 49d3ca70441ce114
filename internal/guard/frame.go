package guard

import (
	"runtime"
	"sync/atomic"
)

// A Frame is a call by which goroutines that run code of the user's are known: whoever has it below
// itself on the stack is such code. Go gives goroutines no names, but runtime.Callers shows the
// addresses to which they will return. See scheduler.Here.
type Frame struct {
	// Name says what is called, for messages.
	Name string
	// pc is written by the first call, and read by whoever asks.
	pc atomic.Uintptr
}

// Enter is called first by a function that is never inlined and that is called at one place only.
func (f *Frame) Enter() {
	if f.pc.Load() == 0 {
		var pc [1]uintptr
		runtime.Callers(3, pc[:])
		f.pc.Store(pc[0])
	}
}

// On reports whether the caller runs below such a call. It looks through the whole stack: 0.2 us
// for a short one.
func (f *Frame) On() bool { return where(f) != nil }

// where is the first of frames on the stack.
func where(frames ...*Frame) *Frame {
	var buf [64]uintptr
	for skip := 2; ; skip += len(buf) {
		n := runtime.Callers(skip, buf[:])
		for _, pc := range buf[:n] {
			for _, f := range frames {
				if pc == f.pc.Load() {
					return f
				}
			}
		}
		if n < len(buf) {
			return nil
		}
	}
}

// What the library calls on goroutines besides the schedulers' may not park a tasklet, whose
// coroutine it does not run on.
var (
	// Calls are those of Call.
	Calls = Frame{Name: "a function that is called on behalf of the library"}
	// OnEvents are those of an OnEvent.
	OnEvents = Frame{Name: "Config.OnEvent"}
)

// guests is how many such functions run now. Written by those who call them, read by whoever is
// about to park a task: as long as it is 0, nobody has to look at a stack.
var guests atomic.Int32

// Begin and End are around such a call.
func Begin() { guests.Add(1) }

// End is the counterpart of Begin.
func End() { guests.Add(-1) }

// Guests reports whether it is worth asking Guest. Budget: one atomic load.
func Guests() bool { return guests.Load() != 0 }

// Guest names the function that the caller runs in, if it is one that may not park; else "".
func Guest() string {
	if f := where(&Calls, &OnEvents); f != nil {
		return f.Name
	}
	return ""
}

// RunAsOnEvent calls f, which calls an OnEvent.
func RunAsOnEvent(f func()) { runAsOnEvent(f) }

//go:noinline
func runAsOnEvent(f func()) {
	OnEvents.Enter()
	f()
}

// Refusal is the panic value for a function that wanted to park a tasklet and may not.
type Refusal string

// Scheduler is the number of the scheduler on which the caller is a task; 0: it is none. Set by
// package scheduler.
var Scheduler = func() uint32 { return 0 }
