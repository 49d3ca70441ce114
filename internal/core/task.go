package core

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/internal/guard"
)

// Runner is the work of a task.
type Runner interface {
	// Run is called on the scheduler each time the task has become ready. When it returns, the task
	// is idle and owns no stack until the next Wake. If it parks half-way, it keeps the coroutine
	// on which it runs until it returns. Calls do not nest, and wake-ups are not counted: Run must
	// examine everything that could have happened.
	//
	// A panic that leaves Run ends the scheduler, unless the Runner is a [Catcher].
	Run(t *Task)
}

// A Catcher is a Runner that handles a Run that did not return. After runtime.Goexit, which ends
// the goroutine too, Run is called once more in its turn.
type Catcher interface {
	Runner
	// Catches reports whether it handles a panic or runtime.Goexit now. It is called before the
	// panic is recovered. If it returns false, the panic ends the scheduler.
	Catches() bool
	// Caught is called in a deferred call, on the scheduler, with the value of the panic, or nil
	// for runtime.Goexit. It must not park. If goesOn is true, the task continues as if Run had
	// returned. Otherwise Run is called once more before anything else happens, on a stack without
	// the panic.
	Caught(v any) (goesOn bool)
}

// State is where a task is between its birth and its end.
//
//	         Wake              called           returns, Again
//	Idle ──────────▶ Ready ──────────▶ Running ──────────▶ Ready
//	 ▲                 ▲                │  │ │
//	 └───── returns ───┼────────────────┘  │ └── Finish ─▶ Finished
//	                   └─ Wake ── Parked ◀─┘ Park
//
// The transitions are made in this file and in (*Scheduler).call, nowhere else.
type State uint8

const (
	Idle     State = iota // owns no stack, waits for Wake
	Ready                 // in the run queue, with or without a coroutine
	Running               // has control; one task of a scheduler at most
	Parked                // keeps a coroutine, waits
	Finished              // never called again
)

func (s State) String() string {
	return [...]string{"idle", "ready", "running", "parked", "finished"}[s]
}

// Resource is something that a task can hold up: a mailbox that its reader must empty, a mutex, a
// task that others join. The search for deadlocks goes from a parked task to the resource that it
// waits for, and on to the holder of that.
type Resource struct {
	// Holder is the task that can end the wait; nil if there is not exactly one. Owned by the
	// scheduler of the waiting tasks.
	Holder *Task
}

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
	self    Resource // the resource of joiners: held by the task itself
	timer   Timer    // ends a wait; or wakes an idle task, see WakeAt
	// since is the time in ns on the scheduler's clock, when last read, at which it became idle or
	// parked.
	since   int64
	waitSeq uint32 // counts waits, so that a late event cannot end the wrong one
	state   State
	kind    Kind // of the wait
	soft    bool // the wait has a limit: a time or a context
	again   bool // woken while it ran, so it must be called once more
	outcome outcome
	told    bool  // this wait was reported as part of a cycle that a wait in it will leave
	panics  uint8 // the panics in flight below the kill that was raised last, see unwinding

	// Atomic: kill is written by any goroutine that kills, and read by the task. Otherwise a
	// busy task could not see that it was killed until it parks.
	kill atomic.Uint32
}

// outcome is the reason for which a wait ended.
type outcome uint8

const (
	awaited outcome = iota // the awaited event has happened
	timedOut
	cancelled // its context
	killed
	refused // it was part of a cycle over several schedulers: see chase
)

// Bits of Task.kill.
const (
	killSoft   = 1 << iota // to be raised once
	killHard               // to be raised at every blocking point
	killRaised             // one was raised and its recovery not yet seen
	killLost               // given up
	killTold               // Hooks.Lost was called
	killAway               // no kill: t waits for a function on another goroutine, see SetAway
	killCount              // the bits from here on count the kills raised since the kill is hard
)

// Init makes t a task of s with the work r. The caller chooses id, which must be unique within s,
// below 1<<40 and not 0. The stall watchdog reports it.
func (t *Task) Init(s *Scheduler, id uint64, r Runner) {
	t.s, t.id, t.runner = s, id, r
	t.self.Holder = t
	t.timer.target = (*taskTimer)(t)
}

// Scheduler returns the scheduler of t.
func (t *Task) Scheduler() *Scheduler { return t.s }

// ID returns the id given to Init.
func (t *Task) ID() uint64 { return t.id }

// State returns the state of t. It must be called on t's scheduler.
func (t *Task) State() State { return t.state }

// Resource returns the resource for which tasks wait that wait for the end of t.
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

// Wait describes a wait, for Park.
type Wait struct {
	Kind Kind
	// On is the awaited resource, if a task can hold it up. The search for deadlocks uses it.
	On *Resource
	// Ctx ends the wait when it is done. If it is nil, only the awaited event, Until and a kill end
	// the wait.
	Ctx context.Context
	// Until is the time on the scheduler's clock at which the wait ends, in nanoseconds; 0 means
	// never.
	Until int64
	// In is the place in a line in which the task stands during the wait. It may be nil, and is
	// free again when Park returns.
	In *Waiter
}

// Park suspends the running task t until it is woken (Wake, Waiter.Release), and then returns nil.
// It returns [ErrTimeout] when Until or a deadline of Ctx has passed, and context.Cause(Ctx) when
// Ctx is done otherwise. It returns a *[DeadlockError], without parking, when the wait could never
// end.
//
// A kill is raised here as a panic, either at once if it came earlier, or when it comes. A wake-up
// that came first takes precedence. If In has an Interrupter, a kill does not end the wait; the
// Interrupter is called instead.
func (t *Task) Park(w Wait) error {
	if guard.Guests() {
		t.mayNotBeGuest()
	}
	if t.isAway() && w.Kind != InAwait || t.s.current != t || t.state != Running {
		t.mayNotBlock()
	}
	t.mustNotBeLocked()
	// Also for a wait that ends before it begins, as a wake-up for it must not end the next one.
	t.waitSeq++
	if t.kill.Load() != 0 {
		t.raisePending(w.In)
	}
	if t.timer.Active() {
		defer t.setAside()()
	}
	soft := w.Ctx != nil || w.Until != 0
	// A stop breaks the waits that it meets.
	if w.On != nil && w.On.Holder != nil && w.Kind != InStop {
		if err := t.checkDeadlock(w, soft); err != nil {
			leave(w.In)
			return err
		}
	}
	t.soft, t.told = soft, false
	if !soft {
		t.suspend(w)
	} else if err := t.suspendUntil(w); err != nil {
		return err
	}
	switch t.outcome {
	case killed:
		t.raise()
	case timedOut:
		return ErrTimeout
	case cancelled:
		return contextError(w.Ctx)
	case refused:
		return t.refusal()
	}
	return nil
}

// suspendUntil is suspend with a time limit and a context.
func (t *Task) suspendUntil(w Wait) error {
	until := w.Until
	var watched watch
	if w.Ctx != nil {
		if err := contextError(w.Ctx); err != nil {
			leave(w.In)
			return err
		}
		if at := deadlineOf(w.Ctx); at != 0 && (until == 0 || at < until) {
			until = at
		}
		watched = t.watch(w.Ctx)
	}
	if until != 0 {
		t.s.startTimer(&t.timer, until)
	}
	t.suspend(w)
	t.s.stopTimer(&t.timer)
	t.unwatch(watched)
	return nil
}

// suspend hands control away until t is woken.
//
// Budget: parked task to parked task is one switch (95 ns measured) and no allocation.
func (t *Task) suspend(w Wait) {
	s, me := t.s, t.s.running
	t.kind, t.waitsOn, t.waiter = w.Kind, w.On, w.In
	t.since = s.now
	t.co, me.task = me, t
	t.state = Parked
	if w.Kind == InYield {
		t.outcome, t.state = awaited, Ready
		s.ready.push(t)
	}
	if w.In != nil {
		w.In.task = t
	}
	if w.Kind.outside() {
		s.outside++
	}
	switch r := s.next(); {
	case r == t: // no switch
	case r == nil:
		s.switchTo(me, s.driver)
	case r.co != nil:
		s.switchTo(me, r.co)
	default:
		s.handed = r
		s.switchTo(me, s.freeWorker())
	}
	if w.Kind.outside() {
		s.outside--
	}
	if w.In != nil {
		w.In.task = nil
	}
	t.waitsOn, t.waiter = nil, nil
	t.co, me.task = nil, nil
	t.state = Running
	if t.kill.Load() != 0 {
		s.alarm.Store(true)
	}
}

// mayNotBeGuest refuses a wait by a function that runs on a goroutine of its own while t appears to
// run.
func (t *Task) mayNotBeGuest() {
	if in := guard.Guest(); in != "" {
		panic(guard.Refusal(fmt.Sprintf("scheduler: %s blocks in %s, which may not block", t.s.name(t), in)))
	}
}

func (t *Task) mayNotBlock() {
	t.MustNotBeAway("a blocking call")
	if t.s.current == t {
		misuse("%s blocks after it has finished", t.s.name(t))
	}
	misuse("%s blocks while %s runs: a context may be used only inside its own tasklet", t.s.name(t), t.s.name(t.s.current))
}

// setAside lends the timer of WakeAt to the wait that begins. The returned function restores it.
func (t *Task) setAside() (giveBack func()) {
	when := t.timer.when
	t.s.stopTimer(&t.timer)
	return func() {
		if when <= t.s.wheel.now {
			t.wake(timedOut)
		} else {
			t.s.wheel.start(&t.timer, when)
		}
	}
}

func leave(w *Waiter) {
	if w != nil {
		w.Leave()
	}
}

// Yield lets the other ready tasks run first. It is a blocking point, like Park.
func (t *Task) Yield() {
	if guard.Guests() {
		t.mayNotBeGuest()
	}
	if t.isAway() || t.s.current != t || t.state != Running {
		t.mayNotBlock()
	}
	t.mustNotBeLocked()
	t.waitSeq++
	if t.kill.Load() != 0 {
		t.raisePending(nil)
	}
	if t.timer.Active() {
		defer t.setAside()()
	}
	t.suspend(Wait{Kind: InYield})
}

// Sleep parks t for at least d, and at most one tick (1 ms) longer if the scheduler is free. If d
// <= 0 it is Yield. Tasks that sleep until the same tick continue in the order in which they began,
// even if their exact times are in another order.
func (t *Task) Sleep(d time.Duration) {
	if d <= 0 {
		t.Yield()
		return
	}
	_ = t.Park(Wait{Kind: InSleep, Until: t.s.after(d)}) // the timeout is expected
}

// Kill asks t to end. A soft kill is raised once, as a panic, at the blocking point where t is
// parked or at the next one that it reaches; a hard kill is raised at every blocking point from now
// on. An idle task is called, and finds the kill with [Task.Killed]. Kill reports whether it
// changed anything: further soft kills have no effect until the first was recovered and t has
// parked again. It may be called from any goroutine.
func (t *Task) Kill(hard bool) bool {
	for {
		was := t.kill.Load()
		is := was
		if hard {
			is |= killHard
		} else if was&(killSoft|killHard|killRaised|killLost) == 0 {
			is |= killSoft
		}
		if is == was {
			return false
		}
		if t.kill.CompareAndSwap(was, is) {
			t.s.alarm.Store(true)
			t.s.Inject((*killWork)(t))
			return true
		}
	}
}

// Killed reports whether a kill is waiting to be raised (or to be found by a stackless task), and
// whether it is hard.
func (t *Task) Killed() (pending, hard bool) {
	k := t.kill.Load()
	return k&(killSoft|killHard) != 0, k&killHard != 0
}

// interrupter returns the Item of w if it is an Interrupter.
func interrupter(w *Waiter) Interrupter {
	if w == nil {
		return nil
	}
	i, _ := w.Item.(Interrupter)
	return i
}

type killWork Task

func (k *killWork) Do() {
	t := (*Task)(k)
	if t.kill.Load()&(killSoft|killHard) == 0 {
		return
	}
	if t.state == Parked {
		if i := interrupter(t.waiter); i != nil {
			i.Interrupt()
			return
		}
	}
	if t.state == Idle || t.state == Parked {
		t.wake(killed)
	}
}

// TakeKill is called for a task that ends. A soft kill counts as raised, and one that was raised as
// handled, so that the remaining calls may block. It reports whether a kill was pending. It must be
// called on t's scheduler.
func (t *Task) TakeKill() (pending, hard bool) {
	k := t.kill.Load()
	if k&(killSoft|killRaised) != 0 {
		k = t.kill.And(^uint32(killSoft | killRaised))
	}
	return k&(killSoft|killHard) != 0, k&killHard != 0
}

// Checkpoint raises a pending kill, and has no other effect. It must be called on the running task.
func (t *Task) Checkpoint() {
	if t.kill.Load() != 0 {
		t.raisePending(nil)
	}
}

// raisePending raises the kill that is pending at the entry of a blocking call, if there is one.
// Before that it finds out whether an earlier kill was recovered.
func (t *Task) raisePending(w *Waiter) {
	k := t.kill.Load()
	if k&killRaised != 0 && !t.unwinding() {
		t.recovered()
	}
	if k&(killSoft|killHard) == 0 {
		return
	}
	if i := interrupter(w); i != nil {
		t.s.interrupt(i)
		if !t.s.ending {
			return
		}
	}
	leave(w)
	t.raise()
}

// recovered notes that t has recovered the kill that was raised, and continues.
func (t *Task) recovered() {
	t.kill.And(^uint32(killRaised))
	if h := t.s.hooks.Recovered; h != nil {
		h(t)
	}
}

// raise panics with the kill. unwinding looks for its name on the stack.
func (t *Task) raise() {
	if t.s.ending || t.kill.Load()&killHard != 0 {
		limit := uint32(maxHard)
		if t.s.ending {
			limit = maxRaised
		}
		if t.kill.Add(killCount)/killCount >= limit {
			t.giveUp()
		}
	}
	// In this order: between the two, a further kill must not find that there is none.
	t.panics = stackOf().panics
	t.kill.Or(killRaised)
	t.kill.And(^uint32(killSoft))
	if h := t.s.hooks.ExitValue; h != nil {
		panic(h(t))
	}
	panic(&Exit{t})
}

// giveUp parks t forever, because it has recovered too many kills.
func (t *Task) giveUp() {
	t.kill.Or(killLost)
	for {
		t.suspend(Wait{})
	}
}

func (t *Task) givenUp() bool { return t.kill.Load()&killLost != 0 }

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
