package core

import (
	"context"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"time"
)

// Config configures a scheduler for New. The zero value is ready to use.
type Config struct {
	// Clock is the clock of sleeps and timeouts; nil means a real clock of its own. Two schedulers
	// may share a virtual clock only if they belong to one Team.
	Clock Clock
	// Seed, if not 0, seeds a generator that draws the order of ready tasks, which is first come,
	// first served otherwise. With a virtual clock the same seed produces the same run.
	Seed uint64
	// StallAfter is the time for which a task may keep control before Hooks.Stall is called. 0
	// means 100 ms, or never if the clock is virtual. A negative value means never.
	StallAfter time.Duration
	Hooks      Hooks
	// Team, if not nil, is the team of schedulers to which this one belongs. All of them must be
	// made before one runs.
	Team *Team
	// Labels is the context with the profiler labels (see runtime/pprof) with which tasks begin. If
	// it is nil, they begin with none.
	Labels context.Context
	// CheckThreads makes each task check, before it parks and when it returns, whether its
	// goroutine is locked to an OS thread, which would end the program. The check costs
	// microseconds. Builds with the tag tasklet_check always do it.
	CheckThreads bool
	// Owner is a value of the code that makes the scheduler, returned by [Scheduler.Owner].
	Owner any
}

// Hooks are called by a scheduler when something happens that its owner may have to handle. Each
// may be nil. All of them except Stall, which runs on a goroutine of its own, are called on the
// scheduler. They must be short and must not park.
type Hooks struct {
	// Name gives a task's name for messages.
	Name func(*Task) string
	// ExitValue gives the panic value of a kill; without it, an *Exit.
	ExitValue func(*Task) any
	// Recovered is called when a killed task blocks again after it recovered the kill.
	Recovered func(*Task)
	// Deadlock is called when t is about to wait in a ring. soft: somebody in the ring can time
	// out, so t waits all the same.
	Deadlock func(t *Task, e *DeadlockError, soft bool)
	// Quiescent is called when nothing is ready, no timer runs and nothing outside is awaited: with
	// a virtual clock at once (and it may make something ready), with a real one after a second,
	// once until something happens again. In a Team all that is meant of all its members, who stand
	// still meanwhile; what it wants to be done goes through their doors.
	Quiescent func()
	// Lost is called when t can't be brought to its end: its Run let a panic out, or the scheduler
	// ends and t recovers every kill. t is not called again; its owner must tell everybody who
	// waits for it. Once for a task.
	Lost func(t *Task)
	// Left is called after Stop when nothing is left to do: no task is ready, and none owns a stack
	// but those of Lost. What it injects is done, and then it is called again; the scheduler ends
	// when it has injected nothing. In a Team it is called when that holds for all members, who
	// stand still meanwhile; what it wants to be done goes through their doors.
	Left func()
	// Crashed is called, with the first panic, when something that must not panic did, and the
	// scheduler is about to end: what is woken now is still served.
	Crashed func(*PanicError)
	// Idle is called when nothing is ready, before anything else is done about that, and once in a
	// while when there never is such a moment. For what shall happen in a moment that does not
	// depend on other goroutines; it may make something ready.
	Idle func()
	// Stall is called, on another goroutine, when a task keeps control for too long, and again when
	// that is over.
	Stall func(Stall)
	// Context returns the task's own context, where that is not the *Task: see OwnContexts.
	Context func(*Task) context.Context
	// Worker is called on the goroutine of each new coroutine that calls tasks, before anything
	// else.
	Worker func()
	// Jump is called before a virtual clock goes on by d, in a Team of one member. It may make
	// nothing ready.
	Jump func(d time.Duration)
	// Check is called between two activations in builds with the tag tasklet_check, and never in
	// others: see [Scheduler.Check]. An error ends the scheduler. size says how much it looked at;
	// after a large one it is called less often.
	Check func() (size int, err error)

	// The following are for simulations that decide what is else left to chance, as package
	// actortest does. They cost nothing where they are nil: without a Seed the first is not even
	// looked at, the others are far from where tasks are switched.

	// Order, with a Seed, is asked instead of the seed which of the n ready tasks is the next, also
	// for n = 1; 0 is the one that has been ready longest. The others keep their order.
	Order func(n int) int
	// Settled is called when nothing is ready and nothing outside is awaited, before anything else
	// is done about that: before a virtual clock jumps. Once until something is ready again, and it
	// may make something ready.
	Settled func()
	// Late gives by how much a virtual clock jumps too far, so that timers are late; 0 or more.
	Late func() time.Duration
}

// Scheduler runs tasks, one at a time, each until it parks or returns. New makes one, Run is its
// loop.
type Scheduler struct {
	// Set in New, then read-only.
	clock  Clock
	hooks  Hooks
	owner  any
	labels context.Context // see Config
	draw   *rand.Rand      // nil without a seed; its state is owned by the loop

	// Owned by whoever has control: one of the coroutines, or the driver, which is the goroutine in
	// Run.
	agenda
	crew
	chaser
	current *Task  // the task that has control, nil while the loop itself has it
	header  []byte // where a goroutine's stack begins, for lockedToThread; nil: nobody looks

	membership
	closing
	door  door
	watch watchdog

	started atomic.Bool // Run was called; a second call is misuse
	// number is written by Run, and read by Here on any goroutine to find out whether it runs on
	// this scheduler; 0: Run is not at work.
	number atomic.Uint32
	// depth is how far down the stack Here found what it looked for, the last time: a guess for the
	// next, on whatever goroutine.
	depth atomic.Int32
	// alarm is set when a task is killed, and when one runs on with a kill; false: the running task
	// has none. For Checkpoint, which does not know who calls it.
	alarm atomic.Bool
}

// agenda is what is to be done, and when. Owned by whoever has control.
type agenda struct {
	ready   runQueue
	wheel   wheel
	now     int64 // ns on the clock at the last look; may be late by 64 activations
	origin  int64 // ns on the clock when ticks began to be counted
	tick    uint32
	outside int     // waits that somebody outside will end: virtual time stands still
	chores  []chore // see WhenCalm; in order of time
	waiters *Waiter // free places, see waiter
	spare   int     // how many these are
	sleeper *time.Timer
	yielded bool // gave way to other goroutines since something was ready
	// Quiescent was called since something was ready; in a Team: it has rested since then
	quiet    bool
	settled  bool // Settled was called since something was ready
	unlooked int  // steps until stepCheck looks again
}

const (
	// glance is the number of activations after which the loop looks at the timers though tasks are
	// ready.
	glance = 64
	// neverIdle is the number of activations after which Hooks.Idle is called though tasks are
	// ready.
	neverIdle = glance << 10
	// maxFree is how many free coroutines are kept: each has a stack of 8 KiB or so, and making one
	// costs half a microsecond.
	maxFree = 256
	// maxSpare is how many free places in lines are kept. A list of coroutines of this length does
	// not shrink.
	maxSpare = 1 << 12
	// tickNS is the resolution of timers.
	tickNS = int64(time.Millisecond)
	// forever is the latest time of a timer, 146 years on: what is added to it does not overflow.
	forever = int64(1) << 62
	// maxRaised is how many kills a task that is unwound after Stop may recover, or meet in its
	// deferred calls. Then it is given up: it stays parked, and its goroutine is left behind.
	maxRaised = 100
	// maxHard is the same for a task that was killed hard before Stop. It is that large because
	// many deferred calls are no fault; without it, a task that recovers every kill and blocks
	// again would keep control for ever.
	maxHard = 1000
	// maxCalls is how many calls tasks without a coroutine get after Stop, all together: tasks that
	// wake themselves, or start each other, must not keep Run from ending.
	maxCalls = 1 << 20
)

// New makes a scheduler. Tasks can be made ready before Run is called.
func New(cfg Config) *Scheduler {
	s := &Scheduler{clock: cfg.Clock, hooks: cfg.Hooks, owner: cfg.Owner, labels: labelsOf(cfg.Labels)}
	s.team = cfg.Team
	if cfg.CheckThreads || checking {
		s.header = make([]byte, 128)
	}
	if s.clock == nil {
		s.clock = RealClock()
	}
	var user any = s
	if s.team != nil {
		s.team.join(s)
		user = s.team
	}
	if !s.clock.claim(user) {
		misuse("a VirtualClock that belongs to another system or scheduler, which has not ended: its time would jump for both")
	}
	if cfg.Seed != 0 {
		s.draw = rand.New(rand.NewPCG(cfg.Seed, 0))
	}
	s.gone, s.giveUp = context.WithCancel(context.Background())
	s.driver = &coro{}
	s.running = s.driver
	s.door.wake = make(chan struct{}, 1)
	s.wheel.init()
	s.origin = s.clock.since()
	s.now = s.origin
	after := cfg.StallAfter
	if after == 0 && !s.clock.virtual() {
		after = 100 * time.Millisecond
	}
	s.watch.init(s, after)
	return s
}

// Run is the loop: it calls and resumes ready tasks until Stop. Then it kills (hard) the tasks that
// own a stack, so that their deferred calls run, and ends the coroutines. It returns an error only
// if something let a panic out: a Runner, injected work, a timer or Hooks.Quiescent. That ends it
// as Stop does, and the error is a *[PanicError], of the first panic; in a Team it serves the
// others until Stop.
//
// The members of a Team end together: Run returns when all of them have been asked to stop and
// nothing is left to do on any. Until then a member does what the others bring to its door, so that
// what ends on one can be told on another.
//
// To be called once, on a goroutine that the scheduler may keep until then.
func (s *Scheduler) Run() error {
	if s.started.Swap(true) {
		misuse("Run called twice")
	}
	s.cleanGoroutine()
	s.number.Store(takeNumber())
	s.watch.start()
	s.switchTo(s.driver, s.freeWorker())
	s.unwind()
	s.clock.release()
	s.watch.stop()
	giveBack(s.number.Swap(0))
	s.do(s.endings)
	if s.sleeper != nil {
		s.sleeper.Stop()
	}
	s.giveUp()
	if s.fatal != nil {
		return s.fatal
	}
	return nil
}

// Stop ends Run. From any goroutine; returns at once.
func (s *Scheduler) Stop() { s.InjectFunc(func() { s.stopping, s.asked = true, true }) }

// next is the loop of the scheduler: it gives the task to be called or resumed next; nil when the
// scheduler stops. It runs on the stack of whoever gives up control, and sleeps there too, so that
// a task that is woken by the one event it waits for goes on without any switch.
//
// Budget: 10 ns when a task is ready: two atomic loads, one store.
func (s *Scheduler) next() *Task {
	s.current = nil
	if checking {
		s.stepCheck()
	}
	for {
		if s.door.pending.Load() {
			s.takeIn()
		}
		if s.tick++; s.tick%glance == 0 {
			s.expire()
			if s.hooks.Idle != nil && s.tick%neverIdle == 0 {
				s.idleHook()
			}
			if s.tick%neverIdle == 0 {
				s.look()
			}
		}
		if s.stopping {
			return s.last()
		}
		if t := s.pop(); t != nil {
			s.yielded, s.quiet, s.settled = false, false, false
			s.current = t
			s.watch.note(t.id, s.tick)
			return t
		}
		s.idle()
	}
}

func (s *Scheduler) pop() *Task {
	if s.draw == nil {
		return s.ready.pop()
	}
	if h := s.hooks.Order; h != nil && s.ready.n > 0 {
		return s.ready.popAt(uint(s.orderHook()))
	}
	return s.ready.popAny(s.draw)
}

// work is the body of a coroutine: it calls ready tasks, one after the other on the same stack. A
// task that parks keeps the coroutine and others go on elsewhere.
func (s *Scheduler) work(me *coro) {
	returned := false
	defer func() {
		if returned {
			return
		}
		t := s.current
		if v := recover(); v != nil {
			s.crash(v)
			if t != nil {
				t.Finish()
				s.lost(t)
			}
		} else if t != nil {
			if s.handed == nil { // else it is to be called again at once: see loop
				if _, ok := t.runner.(Catcher); ok {
					t.again = true
				}
				s.afterCall(t)
			}
		} else {
			// in what the loop called: injected work, a timer, a hook
			s.crash("runtime.Goexit outside of a task")
		}
		// For a panic too: it may have come in a deferred call of a Goexit, which goes on although
		// the panic was recovered.
		s.goexit(me)
	}()
	s.cleanGoroutine() // it has inherited the labels of the task that had control
	if s.hooks.Worker != nil {
		s.hooks.Worker()
	}
	s.inherit(me)
	for !s.loop(me) {
		if s.handed == nil {
			s.cleanGoroutine()
			s.afterCall(s.current)
		}
	}
	returned = true
}

// loop calls tasks until the coroutine is to end. False: it has caught a panic that a Run let out,
// and is to be called again; if that Run is not over, its task is in handed. Panics are caught
// here, once for all activations, because a deferred call in each costs a seventh of a message.
//
// It is not inlined, nor is call: Here looks for the frame of loop's call.
//
//go:noinline
func (s *Scheduler) loop(me *coro) (over bool) {
	defer func() {
		if over {
			return
		}
		// What is left of the end of a task may park, so it is not done here, on a stack that
		// unwinds.
		if c := s.catcher(); c != nil && !c.Caught(recover()) {
			s.handed = s.current
		}
	}()
	s.running = me
	for !me.quit {
		t := s.handed
		if t == nil {
			t = s.next()
		}
		s.handed = nil
		if t != nil && t.co == nil {
			s.call(t)
			s.cleanGoroutine()
			continue
		}
		heir := s.driver
		if t != nil {
			heir = t.co
		}
		if len(s.free) >= maxFree && t != nil {
			s.end(me, heir)
			return true
		}
		s.free = append(s.free, me)
		s.switchTo(me, heir)
	}
	s.end(me, s.driver)
	return true
}

// catcher returns the runner of the running task if that deals with what its Run lets out; nil: it
// does not, or the scheduler itself has failed, between two tasks.
func (s *Scheduler) catcher() Catcher {
	if s.current == nil {
		return nil
	}
	if c, ok := s.current.runner.(Catcher); ok && c.Catches() {
		return c
	}
	return nil
}

// cleanGoroutine takes off what a task may have left on the goroutine, so that the next one on it
// begins as on a new goroutine. There is no more: what else belongs to a goroutine ends with the
// call that made it so, and a locked thread ends the program (see docs/blocking.md).
func (s *Scheduler) cleanGoroutine() {
	pprof.SetGoroutineLabels(s.labels)
	debug.SetPanicOnFault(false)
}

// labelsOf returns a context with the labels of ctx and nothing else, for they are looked up at
// each activation.
func labelsOf(ctx context.Context) context.Context {
	var list []string
	if ctx != nil {
		pprof.ForLabels(ctx, func(key, value string) bool {
			list = append(list, key, value)
			return true
		})
	}
	if list == nil {
		return context.Background()
	}
	return pprof.WithLabels(context.Background(), pprof.Labels(list...))
}

// call activates a ready task that owns no stack.
//
//go:noinline
func (s *Scheduler) call(t *Task) {
	if t.state == Finished {
		return // while it was in the run queue
	}
	if t.waitsOn != nil {
		t.waitsOn = nil // see IdleOn
	}
	t.state = Running
	if t.kill.Load() != 0 {
		s.alarm.Store(true)
	}
	if n := s.number.Load(); n == 1 {
		t.runner.Run(t)
	} else {
		t.spell(n)
	}
	t.MustBeUnlocked()
	s.afterCall(t)
}

func (s *Scheduler) afterCall(t *Task) {
	if t.state != Running {
		return // finished
	}
	if t.kill.Load()&killRaised != 0 {
		t.recovered() // or Run would not have returned
	}
	if t.again {
		t.again = false
		t.state = Ready
		s.ready.push(t)
		return
	}
	t.state = Idle
	t.since = s.now
}

// freeWorker gives a coroutine that serves no task.
func (s *Scheduler) freeWorker() *coro {
	if n := len(s.free); n > 0 {
		c := s.free[n-1]
		s.free[n-1] = nil
		s.free = s.free[:n-1]
		return c
	}
	return s.newCoro(s.work)
}

// crash ends the loop because something that must not panic did.
func (s *Scheduler) crash(v any) {
	s.stopping = true
	if s.fatal == nil {
		if e, guarded := v.(*PanicError); guarded { // with the stack of where it was
			s.fatal = e
		} else {
			s.fatal = NewPanicError(v)
		}
		if h := s.hooks.Crashed; h != nil {
			h(s.fatal)
		}
	}
}

// caught is deferred around what the loop calls besides tasks. The loop runs on the stack of
// whoever gave up control: without this, a panic would unwind a task that has nothing to do with
// it.
func (s *Scheduler) caught() {
	if v := recover(); v != nil {
		s.crash(v)
	}
}

// idle is called when nothing is ready. It returns when it is worth looking again.
func (s *Scheduler) idle() {
	s.expire()
	if s.ready.n > 0 || s.door.pending.Load() {
		return
	}
	if s.hooks.Idle != nil {
		if s.idleHook(); s.ready.n > 0 || s.stopping {
			return
		}
	}
	if !s.yielded {
		// Others may be about to inject something: giving way once is far cheaper than to sleep and
		// be woken. More than once, or spinning, costs more than it gains on a machine with few
		// cores (measured).
		s.yielded = true
		runtime.Gosched()
		return
	}
	s.ready.trim()
	calm := s.tidy()
	if s.ready.n > 0 || s.stopping { // stopping: a timer or a chore has panicked
		return
	}
	if s.hooks.Settled != nil && s.outside == 0 && !s.settled {
		s.settled = true
		s.settledHook()
		return
	}
	if s.team != nil && s.outside == 0 && (s.clock.virtual() || s.quiet && s.wheel.n == 0) {
		s.rest(calm)
		return
	}
	if s.clock.virtual() && s.wheel.n > 0 && s.outside == 0 {
		at := s.origin + s.wheel.deadline()*tickNS
		if h := s.hooks.Late; h != nil {
			// a fault may not bring the end of time
			at = max(at, min(addNS(at, int64(h())), forever))
		}
		s.jump(at)
		s.expire()
		return
	}
	if s.wheel.n == 0 && s.outside == 0 && !s.quiet && s.hooks.Quiescent != nil {
		if s.clock.virtual() || !s.sleep(int64(time.Second)) {
			if s.team != nil {
				s.rest(calm)
				return
			}
			s.quiet = true
			s.quiescent()
		}
		return
	}
	d := s.untilTimer()
	if d == 0 {
		return
	}
	if calm > 0 && (d < 0 || calm < d) {
		d = calm
	}
	s.sleep(d)
}

// untilTimer is how long it is to the next look at the timers, in ns; negative: there is none, or
// the clock is virtual.
func (s *Scheduler) untilTimer() int64 {
	// not deadline, which looks through a list: waking for a cascade too is cheaper
	at := s.wheel.next()
	if at < 0 || s.clock.virtual() {
		return -1
	}
	return max(0, s.origin+at*tickNS-s.clock.since())
}

func (s *Scheduler) idleHook() {
	defer s.caught()
	s.hooks.Idle()
}

func (s *Scheduler) orderHook() (i int) {
	defer s.caught()
	return s.hooks.Order(int(s.ready.n))
}

func (s *Scheduler) settledHook() {
	defer s.caught()
	s.hooks.Settled()
}

// jump lets a virtual clock go on to ns after its origin.
func (s *Scheduler) jump(ns int64) {
	if d := ns - s.clock.since(); d > 0 && s.hooks.Jump != nil {
		s.jumpHook(time.Duration(d))
	}
	s.clock.jump(ns)
}

func (s *Scheduler) jumpHook(d time.Duration) {
	defer s.caught()
	s.hooks.Jump(d)
}

func (s *Scheduler) quiescent() {
	defer s.caught()
	s.hooks.Quiescent()
}

// sleep blocks until something is injected, or for ns if that is not negative. It reports whether
// something was injected.
func (s *Scheduler) sleep(ns int64) (woken bool) {
	s.watch.idle()
	defer s.watch.busy()
	d := &s.door
	d.sleeping.Store(true)
	if d.pending.Load() && d.sleeping.CompareAndSwap(true, false) {
		return true
	}
	if ns < 0 {
		<-d.wake
		return true
	}
	if s.sleeper == nil {
		s.sleeper = time.NewTimer(time.Duration(ns))
	} else {
		s.sleeper.Reset(time.Duration(ns))
	}
	select {
	case <-d.wake:
		s.sleeper.Stop()
		return true
	case <-s.sleeper.C:
		if !d.sleeping.CompareAndSwap(true, false) {
			<-d.wake
			return true
		}
		return false
	}
}

// expire fires the timers that are due.
func (s *Scheduler) expire() {
	s.now = s.clock.since()
	if s.wheel.n > 0 {
		defer s.caught()
		s.wheel.advance((s.now - s.origin) / tickNS)
	}
}

// startTimer starts t to fire at ns on the clock or at the next tick after it, never before.
func (s *Scheduler) startTimer(t *Timer, ns int64) {
	if s.wheel.n == 0 {
		// Nothing was advanced while the wheel was empty: without this a near deadline would land
		// on a far level.
		s.wheel.advance((s.now - s.origin) / tickNS)
	}
	s.wheel.start(t, min(max(ns, 0)-s.origin-1, forever)/tickNS+1)
}

func (s *Scheduler) stopTimer(t *Timer) {
	if t.Active() {
		s.wheel.stop(t)
	}
}

// StartTimer starts t to call target at ns on the scheduler's clock, or at the next tick after it.
// On the scheduler.
func (s *Scheduler) StartTimer(t *Timer, ns int64, target Expirer) {
	t.target = target
	s.startTimer(t, ns)
}

// StopTimer stops t and reports whether it was running. On the scheduler.
func (s *Scheduler) StopTimer(t *Timer) bool { return s.wheel.stop(t) }

// Nanotime is the time of the scheduler's clock in nanoseconds since an arbitrary point. From any
// goroutine.
func (s *Scheduler) Nanotime() int64 { return s.clock.since() }

// Now is the time of the scheduler's clock. From any goroutine.
func (s *Scheduler) Now() time.Time { return s.clock.Now() }

// Owner is Config.Owner.
func (s *Scheduler) Owner() any { return s.owner }

// Virtual reports whether the clock is a virtual one.
func (s *Scheduler) Virtual() bool { return s.clock.virtual() }

// timeAt is the time of day when the clock shows ns; for the same ns it is always the same.
func (s *Scheduler) timeAt(ns int64) time.Time {
	switch c := s.clock.(type) {
	case *realClock:
		return c.origin.Add(time.Duration(ns))
	case *VirtualClock:
		return c.start.Add(time.Duration(ns))
	}
	panic("unreachable: there are two clocks")
}

// after is the time d from now, at least 1 so that it is not "never", and at most the largest
// number.
func (s *Scheduler) after(d time.Duration) int64 {
	return max(addNS(s.clock.since(), int64(d)), 1)
}

// After is the time d from now on the clock, as Wait.Until and WakeAt take it: math.MaxInt64 if the
// sum would be larger.
func (s *Scheduler) After(d time.Duration) int64 { return s.after(d) }

// Current is the task that has control, nil between two. On the scheduler only.
func (s *Scheduler) Current() *Task { return s.current }

// Ready is the number of ready tasks, the running one not among them. From any goroutine; see
// [Peek].
func (s *Scheduler) Ready() int { return int(Peek(&s.ready.n)) }

// AwaitOutside adds n to the number of things outside of the scheduler that are awaited, without a
// task being parked for them: while it is not 0, a virtual clock stands still. On the scheduler.
func (s *Scheduler) AwaitOutside(n int) { s.outside += n }
