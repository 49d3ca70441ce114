package core

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

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

// Owner is Config.Owner.
func (s *Scheduler) Owner() any { return s.owner }

// Current is the task that has control, nil between two. On the scheduler only.
func (s *Scheduler) Current() *Task { return s.current }
