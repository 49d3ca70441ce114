package guard

import (
	"runtime"
	"sync/atomic"
)

// A Frame is a call that identifies goroutines which run user code: code is user code if the call
// is below it on the stack. Go gives goroutines no names, but runtime.Callers returns the return
// addresses on the stack. See Scheduler.Here of internal/core.
type Frame struct {
	// Name describes the function that is called, for messages.
	Name string
	// Atomic: written by the first call of Enter, and read by every check.
	pc atomic.Uintptr
}

// Enter must be called first by a function that is never inlined and is called at one place only.
func (f *Frame) Enter() {
	if f.pc.Load() == 0 {
		var pc [1]uintptr
		runtime.Callers(3, pc[:])
		f.pc.Store(pc[0])
	}
}

// On reports whether the caller runs below such a call. It examines the whole stack, which costs
// 0.2 us for a short one.
func (f *Frame) On() bool { return where(f) != nil }

// where returns the first of the frames that is on the stack, or nil.
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

// Code that the library calls on other goroutines than those of schedulers may not park a tasklet,
// because it does not run on the coroutine of a tasklet.
var (
	// Calls marks the functions of Call.
	Calls = Frame{Name: "a function that is called on behalf of the library"}
	// OnEvents marks calls of an OnEvent.
	OnEvents = Frame{Name: "Config.OnEvent"}
)

// guests is the number of such functions that run now. Atomic: written by the goroutines that call
// them, and read by every task that is about to park. While it is 0, no stack needs to be examined.
var guests atomic.Int32

// Begin must be called before user code runs on such a goroutine.
func Begin() { guests.Add(1) }

// End is the counterpart of Begin.
func End() { guests.Add(-1) }

// Guests reports whether Guest may return a name. Budget: one atomic load.
func Guests() bool { return guests.Load() != 0 }

// Guest returns the name of the function in which the caller runs, if it is one that may not park,
// or "".
func Guest() string {
	if f := where(&Calls, &OnEvents); f != nil {
		return f.Name
	}
	return ""
}

// RunAsOnEvent calls f, which calls an OnEvent, with the frame of OnEvents.
func RunAsOnEvent(f func()) { runAsOnEvent(f) }

//go:noinline
func runAsOnEvent(f func()) {
	OnEvents.Enter()
	f()
}

// Refusal is the value of the panic in a function that tries to park a tasklet and may not.
type Refusal string

// Scheduler returns the number of the scheduler on which the caller is a task, or 0 if the caller
// is none. Set by internal/core.
var Scheduler = func() uint32 { return 0 }
