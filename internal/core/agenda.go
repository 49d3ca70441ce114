package core

import (
	"runtime"
	"time"

	"github.com/gotasklet/tasklet/internal/list"
)

// agenda is the work of a scheduler and its times. Owned by the goroutine that has control.
type agenda struct {
	ready   runQueue
	wheel   wheel
	now     int64 // ns on the clock when it was last read; may be late by 64 activations
	origin  int64 // ns on the clock at tick 0
	tick    uint32
	outside int                 // waits that the outside will end; virtual time stands still
	chores  []chore             // in order of time; see WhenCalm
	spare   list.List[standing] // free places; see waiter
	spares  int                 // the number of free places
	sleeper *time.Timer
	yielded bool // yielded to other goroutines since something was ready
	// quiet says that Quiescent was called since something was ready. In a Team it says that the
	// member has rested since then.
	quiet    bool
	settled  bool // Settled was called since something was ready
	unlooked int  // steps until stepCheck checks again
}

const (
	// glance is the number of activations after which the loop checks the timers even if tasks are
	// ready.
	glance = 64
	// neverIdle is the number of activations after which Hooks.Idle is called even if tasks are
	// ready.
	neverIdle = glance << 10
)

// next is the loop of the scheduler. It returns the task to be called or resumed next, or nil when
// the scheduler stops. It runs on the stack that gives up control, and also sleeps there. So a task
// that is woken by the one event that it waits for continues without a switch.
//
// Budget: 10 ns if a task is ready: two atomic loads, one store.
func (s *Scheduler) next() *Task {
	s.current = nil
	if checking {
		s.stepCheck()
	}
	for {
		pending := s.door.pending.Load()
		if s.stained && (pending || s.ready.n == 0 || s.stopping || s.draw != nil || (s.tick+1)%glance == 0) {
			s.removeLabels() // what follows is not only the next task
		}
		if pending {
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

// idle is called when nothing is ready. It returns when the loop should check again.
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
		// Other goroutines may be about to inject something. To yield once is far cheaper than to
		// sleep and be woken. To yield more than once, or to spin, costs more than it gains on a
		// machine with few cores (measured).
		s.yielded = true
		runtime.Gosched()
		return
	}
	s.ready.trim()
	calm := s.tidy()
	if s.ready.n > 0 || s.stopping { // stopping if a timer or a chore has panicked
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
			// A fault must not bring the end of time.
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

// untilTimer returns the time until the timers must be checked, in ns. It is negative if there are
// none or the clock is virtual.
func (s *Scheduler) untilTimer() int64 {
	// Not deadline, which searches a list. To wake for a cascade too is cheaper.
	at := s.wheel.next()
	if at < 0 || s.clock.virtual() {
		return -1
	}
	return max(0, s.origin+at*tickNS-s.clock.since())
}

// jump moves a virtual clock to ns after its origin.
func (s *Scheduler) jump(ns int64) {
	if d := ns - s.clock.since(); d > 0 && s.hooks.Jump != nil {
		s.jumpHook(time.Duration(d))
	}
	s.clock.jump(ns)
}

// sleep blocks until something is injected, or for ns if that is not negative. It reports whether
// something was injected.
func (s *Scheduler) sleep(ns int64) (woken bool) {
	s.watch.idle()
	defer s.watch.busy()
	if s.naps.on {
		s.fallAsleep()
		defer s.wakeUp()
	}
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

func (s *Scheduler) jumpHook(d time.Duration) {
	defer s.caught()
	s.hooks.Jump(d)
}

func (s *Scheduler) quiescent() {
	defer s.caught()
	s.hooks.Quiescent()
}

// AwaitOutside adds n to the number of outside things that are awaited without a parked task. While
// that number is not 0, a virtual clock stands still. AwaitOutside must be called on the scheduler.
func (s *Scheduler) AwaitOutside(n int) { s.outside += n }

// Ready returns the number of ready tasks, without the running one. It may be called from any
// goroutine; see [Peek].
func (s *Scheduler) Ready() int { return int(Peek(&s.ready.n)) }
