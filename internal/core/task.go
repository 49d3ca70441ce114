package core

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/internal/guard"
)

// Task is a co-operatively scheduled activity. It is meant to be a field of something larger: a
// tasklet is a Task with an identity and a place in a tree. Call Init before use. A Task must not
// be copied.
//
// A *Task is a context.Context. It identifies the task's own blocking calls and has no other
// effect: it never ends.
type Task struct {
	// Set in Init, then read-only.
	s      *Scheduler
	runner Runner
	id     uint64

	// Owned by the scheduler.
	co      *coro   // the coroutine that it keeps while parked, or nil
	waiter  *Waiter // its place in a line while parked; may be nil
	waitsOn *Resource
	self    Resource // the resource of joiners, which the task itself holds
	timer   Timer    // ends a wait, or wakes an idle task; see WakeAt
	// since is the time in ns on the scheduler's clock, when last read, at which it became idle or
	// parked.
	since   int64
	waitSeq uint32 // counts waits, so that a late event cannot end the wrong one
	state   State
	kind    Kind // of the wait
	soft    bool // the wait has a limit: a time or a context
	again   bool // woken while it ran, so it must be called once more
	labels  bool // its runner is a Labeller; set in Init, then read-only
	outcome outcome
	told    bool  // this wait was reported as part of a cycle that a wait in it will leave
	panics  uint8 // the panics in flight below the kill that was raised last, see unwinding

	// Atomic: kill is written by any goroutine that kills, and read by the task. Otherwise a
	// busy task could not see that it was killed until it parks.
	kill atomic.Uint32
}

// Resource is something that a task can hold up: a mailbox that its reader must empty, a mutex, a
// task that others join. The search for deadlocks goes from a parked task to the resource that it
// waits for, and on to the holder of that.
type Resource struct {
	// Holder is the task that can end the wait; nil if there is not exactly one. Owned by the
	// scheduler of the waiting tasks.
	Holder *Task
}

// Init makes t a task of s with the work r. The caller chooses id, which must be unique within s,
// below 1<<40 and not 0. The stall watchdog reports it.
func (t *Task) Init(s *Scheduler, id uint64, r Runner) {
	t.s, t.id, t.runner = s, id, r
	_, t.labels = r.(Labeller)
	t.self.Holder = t
	t.timer.V.target = (*taskTimer)(t)
}

// Scheduler returns the scheduler of t.
func (t *Task) Scheduler() *Scheduler { return t.s }

// ID returns the id given to Init.
func (t *Task) ID() uint64 { return t.id }

// State returns the state of t. It must be called on t's scheduler.
func (t *Task) State() State { return t.state }

// Resource returns the resource on which tasks wait for the end of t.
func (t *Task) Resource() *Resource { return &t.self }

// Waits returns the call in which t is parked, the resource that it waits for, and the beginning of
// the wait (as Scheduler.Nanotime). It must be called on t's scheduler.
func (t *Task) Waits() (kind Kind, on *Resource, since int64) {
	if t.state != Parked {
		return NotParked, nil, t.since
	}
	return t.kind, t.waitsOn, t.since
}

// Wake makes t ready. An idle task will be called, and a parked one continues as if its wait had
// succeeded. A running task is called again when it returns. Wake has no effect on a ready or
// finished task. It must be called on t's scheduler; see [Scheduler.Inject].
func (t *Task) Wake() { t.wake(awaited) }

func (t *Task) wake(o outcome) {
	switch t.state {
	case Idle:
		t.state = Ready
		t.s.ready.push(t)
	case Parked:
		t.outcome = o
		if t.waiter != nil {
			t.waiter.Leave()
		}
		t.state = Ready
		t.s.ready.push(t)
	case Running:
		t.again = true
	}
}

// Finish makes t finished, so that it is not called again. It must be called from t's own Run,
// which must not block afterwards, or while t is idle or ready to be called.
func (t *Task) Finish() {
	if t.co != nil {
		bug("a parked task can't finish")
	}
	t.state = Finished
	t.s.stopTimer(&t.timer)
}

// OwnsStack reports whether t stopped half-way in a call of its Run: it is parked, or about to
// continue. It must be called on t's scheduler.
func (t *Task) OwnsStack() bool { return t.co != nil }

// WakeAt wakes t at ns on the scheduler's clock. A stackless task sleeps in this way. A second call
// replaces the first. WakeAt does not end a wait: if t is parked at that time, it is called again
// after it has returned. math.MaxInt64 means never, so that nothing can happen to a task with no
// other wait. It must be called on t's scheduler, while t is not parked.
func (t *Task) WakeAt(ns int64) {
	if t.co != nil {
		bug("WakeAt of a parked task")
	}
	t.s.stopTimer(&t.timer)
	if ns < math.MaxInt64 {
		t.s.startTimer(&t.timer, ns)
	}
}

// WakeStop cancels WakeAt. It must be called on t's scheduler.
func (t *Task) WakeStop() { t.s.stopTimer(&t.timer) }

type taskTimer Task

func (t *taskTimer) Expire() { (*Task)(t).wake(timedOut) }

// MustRun panics unless t is the running task. op names the call that was given its context.
func (t *Task) MustRun(op string) {
	if guard.Guests() {
		t.mayNotBeGuest()
	}
	t.MustNotBeAway(op)
	if t.s.current != t {
		misuse("%s with the context of %s, but %s is running: a context may be used only inside its own tasklet",
			op, t.s.name(t), t.s.name(t.s.current))
	}
}

// IsRunning reports whether t has control and is not away. It must be called on t's scheduler, or
// in the function for which t is away.
func (t *Task) IsRunning() bool { return !t.isAway() && t.s.current == t }

// Runner returns the Runner given to Init.
func (t *Task) Runner() Runner { return t.runner }

// A Task as a context never ends and has no deadline.

// Deadline reports that there is no deadline.
func (t *Task) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done returns nil, because a Task as a context never ends.
func (t *Task) Done() <-chan struct{} { return nil }

// Err returns nil.
func (t *Task) Err() error { return nil }

// Value returns the task for contexts derived from t.
func (t *Task) Value(key any) any {
	if key == (taskKey{}) {
		return t
	}
	return nil
}

func (t *Task) String() string { return t.s.name(t) }

// name returns a task's name for messages.
func (s *Scheduler) name(t *Task) string {
	if t == nil {
		return "nothing"
	}
	if h := s.hooks.Name; h != nil {
		return h(t)
	}
	return fmt.Sprintf("task %d", t.id)
}
