package core

import (
	"time"

	"github.com/gotasklet/tasklet/internal/list"
)

// A Timer is one entry of a scheduler's timing wheel. It is meant to be a part of what it wakes, so
// that waiting allocates nothing. The zero Timer is stopped. It must not be copied while it is
// started.
type Timer list.Entry[timing]

// timing is the part of a timer besides its links. Owned by the scheduler.
type timing struct {
	when   int64   // the tick at which it fires, 1 or later; 0 while stopped
	target Expirer // called when the timer fires; set by the owner before the start
}

func (t *Timer) entry() *list.Entry[timing] { return (*list.Entry[timing])(t) }

// Expirer is called by a [Timer] when it fires. The scheduler calls Expire between two tasks, so it
// must be short and must not park. It may start and stop timers, including its own, which is
// stopped already.
type Expirer interface{ Expire() }

// Active reports whether t is started and has not fired. It must be called on the timer's
// scheduler.
func (t *Timer) Active() bool { return t.V.when != 0 }

const (
	// tickNS is the resolution of timers.
	tickNS = int64(time.Millisecond)
	// forever is the latest time of a timer, in 146 years. A sum with it does not overflow.
	forever = int64(1) << 62
)

// expire fires the timers that are due.
func (s *Scheduler) expire() {
	s.now = s.clock.since()
	if s.wheel.n > 0 {
		defer s.caught()
		s.wheel.advance((s.now - s.origin) / tickNS)
	}
}

// startTimer makes t fire at ns on the clock or at the next tick after it, and never before.
func (s *Scheduler) startTimer(t *Timer, ns int64) {
	if s.wheel.n == 0 {
		// Nothing was advanced while the wheel was empty. Without this a near deadline would get to
		// a high level.
		s.wheel.advance((s.now - s.origin) / tickNS)
	}
	s.wheel.start(t, min(max(ns, 0)-s.origin-1, forever)/tickNS+1)
}

func (s *Scheduler) stopTimer(t *Timer) {
	if t.Active() {
		s.wheel.stop(t)
	}
}

// StartTimer makes t call target at ns on the scheduler's clock, or at the next tick after it. It
// must be called on the scheduler.
func (s *Scheduler) StartTimer(t *Timer, ns int64, target Expirer) {
	t.V.target = target
	s.startTimer(t, ns)
}

// StopTimer stops t and reports whether it was running. It must be called on the scheduler.
func (s *Scheduler) StopTimer(t *Timer) bool { return s.wheel.stop(t) }
