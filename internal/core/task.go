package core

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/internal/guard"
)

// Runner is what a task does.
type Runner interface {
	// Run is called on the scheduler each time the task has become ready. When it returns, the task
	// is idle and owns no stack, until the next Wake. If it parks half-way, it keeps the coroutine
	// on which it runs until it returns. Calls do not nest, and wake-ups do not count: Run looks at
	// everything that could have happened.
	//
	// A panic that Run lets out ends the scheduler, unless the Runner is a [Catcher].
	Run(t *Task)
}

// A Catcher is a Runner that deals with a Run that did not return. After runtime.Goexit, which ends
// the goroutine too, Run is called once more in its turn.
type Catcher interface {
	Runner
	// Catches reports whether it deals with a panic or runtime.Goexit now. It is asked before the
	// panic is recovered: if it does not, that ends the scheduler.
	Catches() bool
	// Caught is called in a deferred call, on the scheduler, with the value of the panic; nil for
	// runtime.Goexit. It may not park. goesOn says that it is as if Run had returned; else Run is
	// called once more before anything else happens, on a stack without the panic.
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

// Resource is something that a task can hold up: a mailbox that its reader has to empty, a mutex, a
// task that others join. Deadlocks are found by going from a parked task to the resource that it
// waits for, and on to its holder.
type Resource struct {
	// Holder is the task that can end the wait; nil if it is not one task. Owned by the scheduler
	// of the waiting tasks.
	Holder *Task
}

// Task is a co-operatively scheduled activity. It is made to be a field of something larger: a
// tasklet is a Task with an identity and a place in a tree. Call Init before use; must not be
// copied.
//
// A *Task is a context.Context. It marks its blocking calls as its own and otherwise does nothing:
// it never ends.
type Task struct {
	// Set in Init, then read-only.
	s      *Scheduler
	runner Runner
	id     uint64

	// Owned by the scheduler.
	co      *coro   // the coroutine that it keeps while parked, else nil
	waiter  *Waiter // its place in a line while parked; may be nil
	waitsOn *Resource
	self    Resource // what joiners wait on: held by the task itself
	timer   Timer    // ends a wait; or wakes an idle task, see WakeAt
	// ns on the scheduler's clock, as of the last look at it: since when it is idle or parked
	since   int64
	waitSeq uint32 // counts waits, so that what arrives late can't end the wrong one
	state   State
	kind    Kind // of the wait
	soft    bool // the wait has an end of its own: a time or a context
	again   bool // woken while it ran: to be called once more
	outcome outcome
	told    bool  // this wait was reported as part of a ring that somebody will leave
	panics  uint8 // those in flight below the kill that was raised last, see unwinding

	// kill is set by whoever kills, from any goroutine, and read by the task; without the atomic a
	// busy task could not see that it was killed until it parks.
	kill atomic.Uint32
}

// outcome says what ended a wait.
type outcome uint8

const (
	awaited outcome = iota // what the task waited for
	timedOut
	cancelled // its context
	killed
	refused // it was part of a ring over several schedulers: see chase
)

// Bits of Task.kill.
const (
	killSoft   = 1 << iota // to be raised once
	killHard               // to be raised at every blocking point
	killRaised             // one was raised and its recovery not yet seen
	killLost               // given up
	killTold               // and Hooks.Lost was called
	killAway               // no kill: t waits for a function on another goroutine, see SetAway
	killCount              // from here on: how many were raised since the kill is hard
)

// Init makes t a task of s that does r. The id is the caller's, unique within s, below 1<<40 and
// not 0; the stall watchdog reports it.
func (t *Task) Init(s *Scheduler, id uint64, r Runner) {
	t.s, t.id, t.runner = s, id, r
	t.self.Holder = t
	t.timer.target = (*taskTimer)(t)
}

// Scheduler is the one that t belongs to.
func (t *Task) Scheduler() *Scheduler { return t.s }

// ID is the one given to Init.
func (t *Task) ID() uint64 { return t.id }

// State may be asked on t's scheduler only.
func (t *Task) State() State { return t.state }

// Resource is what a task waits on that waits for the end of t.
func (t *Task) Resource() *Resource { return &t.self }

// Waits says in which call t is parked and on whose resource, and since when (as
// Scheduler.Nanotime). On t's scheduler only.
func (t *Task) Waits() (kind Kind, on *Resource, since int64) {
	if t.state != Parked {
		return NotParked, nil, t.since
	}
	return t.kind, t.waitsOn, t.since
}

// Wake makes t ready: an idle task will be called, a parked one goes on with what it waited for. A
// running one is called again when it returns; a ready or finished one stays as it is. On t's
// scheduler only; see [Scheduler.Inject].
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

// Finish makes t finished: it is not called again. From its own Run, which may not block
// afterwards, or while t is idle or ready to be called.
func (t *Task) Finish() {
	if t.co != nil {
		bug("a parked task can't finish")
	}
	t.state = Finished
	t.s.stopTimer(&t.timer)
}

// OwnsStack reports whether t stopped half-way in a call of its Run: it is parked, or about to go
// on. On t's scheduler.
func (t *Task) OwnsStack() bool { return t.co != nil }

// WakeAt wakes t at ns on the scheduler's clock: how a stackless task sleeps. A second call
// replaces the first. It does not end a wait: if t is parked by then, it is called again after it
// has returned. math.MaxInt64 is never, so that a task with nothing else to wait for is one for
// which nothing can happen. On t's scheduler, while t is not parked.
func (t *Task) WakeAt(ns int64) {
	if t.co != nil {
		bug("WakeAt of a parked task")
	}
	t.s.stopTimer(&t.timer)
	if ns < math.MaxInt64 {
		t.s.startTimer(&t.timer, ns)
	}
}

// WakeStop takes back WakeAt. On t's scheduler.
func (t *Task) WakeStop() { t.s.stopTimer(&t.timer) }

type taskTimer Task

func (t *taskTimer) Expire() { (*Task)(t).wake(timedOut) }

// Wait describes a wait, for Park.
type Wait struct {
	Kind Kind
	// On is what is waited for, if a task can hold it up; for the search for deadlocks.
	On *Resource
	// Ctx ends the wait when it is done. Nil: nothing but the awaited, Until and a kill.
	Ctx context.Context
	// Until ends the wait at this time of the scheduler's clock, in nanoseconds; 0: never.
	Until int64
	// In is the place in a line that the task stands in meanwhile; it may be nil, and is free again
	// when Park returns.
	In *Waiter
}

// Park suspends the running task t until it is woken (Wake, Waiter.Release), and gives nil then.
// Other results: [ErrTimeout] when Until or a deadline of Ctx has passed, else context.Cause(Ctx)
// when Ctx is done; a *[DeadlockError], without parking, when the wait could never end.
//
// A kill is raised here as a panic: at once if it came earlier, else when it comes. A wake-up that
// was there first wins. A wait whose In has an Interrupter is not ended by a kill: that is told,
// now or later, and the wait goes on.
func (t *Task) Park(w Wait) error {
	if guard.Guests() {
		t.mayNotBeGuest()
	}
	if t.isAway() && w.Kind != InAwait || t.s.current != t || t.state != Running {
		t.mayNotBlock()
	}
	t.mustNotBeLocked()
	// also for a wait that ends before it begins: a wake-up for it must not end the next
	t.waitSeq++
	if t.kill.Load() != 0 {
		t.raisePending(w.In)
	}
	if t.timer.Active() {
		defer t.setAside()()
	}
	soft := w.Ctx != nil || w.Until != 0
	// a stop breaks the waits that it meets
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

// suspendUntil is suspend under a time and a context.
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

// suspend gives control away until t is woken.
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

// mayNotBeGuest refuses a wait by a function that runs on a goroutine of its own while t seems to
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

// setAside lends the timer of WakeAt to the wait that begins; the function that it returns gives it
// back.
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

// Yield lets the other ready tasks run first. Every blocking rule of Park holds.
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

// Sleep parks t for d; d <= 0 is Yield. Never shorter than d; at most one tick (1 ms) longer, if
// the scheduler is free. Those that sleep until the same tick go on in the order in which they
// began, also if their exact times are in another.
func (t *Task) Sleep(d time.Duration) {
	if d <= 0 {
		t.Yield()
		return
	}
	_ = t.Park(Wait{Kind: InSleep, Until: t.s.after(d)}) // the timeout is what was asked for
}

// Kill asks t to end: a soft kill is raised once, as a panic, at the blocking point where t is
// parked or at its next one; a hard one at every blocking point from now on. An idle task is
// called, and finds it by [Task.Killed]. From any goroutine. It reports whether it changed
// anything: further soft kills do nothing until the first was recovered and t has parked again.
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

// Killed reports whether a kill waits to be raised (or to be found, by a stackless task), and
// whether it is hard.
func (t *Task) Killed() (pending, hard bool) {
	k := t.kill.Load()
	return k&(killSoft|killHard) != 0, k&killHard != 0
}

// interrupter is the Item of w, if that is one.
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

// TakeKill is for a task that ends: a soft kill counts as raised, and one that was raised as done
// with, so that what is left to be run may block. It reports whether a kill was pending. On t's
// scheduler.
func (t *Task) TakeKill() (pending, hard bool) {
	k := t.kill.Load()
	if k&(killSoft|killRaised) != 0 {
		k = t.kill.And(^uint32(killSoft | killRaised))
	}
	return k&(killSoft|killHard) != 0, k&killHard != 0
}

// Checkpoint raises a kill that is pending, and does nothing else. On the running task only.
func (t *Task) Checkpoint() {
	if t.kill.Load() != 0 {
		t.raisePending(nil)
	}
}

// raisePending raises the kill found at the entry of a blocking call, if there is one to raise. In
// front of that it finds out whether an earlier one was recovered.
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

// recovered: t has recovered the kill that was raised, and goes on.
func (t *Task) recovered() {
	t.kill.And(^uint32(killRaised))
	if h := t.s.hooks.Recovered; h != nil {
		h(t)
	}
}

// raise panics with the kill. Its name is looked for on the stack by unwinding.
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

// giveUp parks t for ever, because it has recovered too many kills.
func (t *Task) giveUp() {
	t.kill.Or(killLost)
	for {
		t.suspend(Wait{})
	}
}

func (t *Task) givenUp() bool { return t.kill.Load()&killLost != 0 }

// A Task as a context never ends and has no deadline.

// Deadline reports none.
func (t *Task) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done is nil: it never ends.
func (t *Task) Done() <-chan struct{} { return nil }

// Err is nil.
func (t *Task) Err() error { return nil }

// Value finds the task in contexts derived from t.
func (t *Task) Value(key any) any {
	if key == (taskKey{}) {
		return t
	}
	return nil
}

func (t *Task) String() string { return t.s.name(t) }

// name gives a task's name for messages.
func (s *Scheduler) name(t *Task) string {
	if t == nil {
		return "nothing"
	}
	if h := s.hooks.Name; h != nil {
		return h(t)
	}
	return fmt.Sprintf("task %d", t.id)
}
