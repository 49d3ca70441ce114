package core

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Scheduler runs tasks, one at a time, each until it parks or returns. New makes a Scheduler, and
// Run is its loop.
type Scheduler struct {
	// Set in New, then read-only.
	clock  Clock
	hooks  Hooks
	owner  any
	labels context.Context // see Config
	draw   *rand.Rand      // nil without a seed; the loop owns its state

	// Owned by the goroutine that has control: one of the coroutines, or the driver, which is the
	// goroutine of Run.
	agenda
	crew
	chaser
	current *Task // the task that has control; nil while the loop itself has it
	naps    naps
	header  []byte // how stacks begin, for lockedToThread; nil if that is not checked

	membership
	closing
	door  door
	watch watchdog

	started atomic.Bool // Run was called; a second call is misuse
	// number is atomic: written by Run, and read by Here on any goroutine to find out whether the
	// goroutine runs on this scheduler. It is 0 while Run is not at work.
	number atomic.Uint32
	// depth is the greatest depth on the stack at which Here has found the frames. It is a guess
	// for the next time, on any goroutine. Atomic: written and read by every caller of Here.
	depth atomic.Int32
	// alarm is atomic: set when a task is killed, and when a task continues with a kill. If it is
	// false, the running task has no kill. It is for Checkpoint, which does not know its caller.
	alarm atomic.Bool
}

// New returns a scheduler. Tasks can be made ready before Run is called.
func New(cfg Config) *Scheduler {
	s := &Scheduler{clock: cfg.Clock, hooks: cfg.Hooks, owner: cfg.Owner, labels: labelsOf(cfg.Labels)}
	s.team, s.naps.on = cfg.Team, cfg.MeasureSleep
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
// if a Runner, injected work, a timer or Hooks.Quiescent let a panic out. Such a panic ends the
// scheduler as Stop does, and the error is a *[PanicError] of the first one. In a Team the
// scheduler still serves the others until Stop.
//
// The members of a Team end together. Run returns when all of them were asked to stop and none has
// anything left to do. Until then a member does the work that the others bring to its door, so that
// ends on one member can be reported on another.
//
// Run must be called once, on a goroutine that the scheduler may keep until then.
func (s *Scheduler) Run() error {
	if s.started.Swap(true) {
		misuse("Run called twice")
	}
	s.cleanGoroutine()
	s.number.Store(takeNumber())
	s.watch.start()
	s.switchTo(s.driver, s.freeWorker())
	s.unwind()
	s.fallAsleep()
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

// Stop ends Run. It returns at once, and may be called from any goroutine.
func (s *Scheduler) Stop() { s.InjectFunc(func() { s.stopping, s.asked = true, true }) }

// Owner returns Config.Owner.
func (s *Scheduler) Owner() any { return s.owner }

// Current returns the task that has control, or nil between two tasks. It must be called on the
// scheduler.
func (s *Scheduler) Current() *Task { return s.current }
