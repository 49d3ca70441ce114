package core

import "time"

// naps measures the time in which a scheduler has nothing to do, if Config.MeasureSleep is set.
type naps struct {
	on bool // set in New, then read-only

	// Owned by the goroutine that has control, and read by others with Peek.
	slept int64 // ns
	since int64 // ns on the clock: when the present sleep began; 0 if the scheduler is awake
}

func (s *Scheduler) fallAsleep() { s.naps.since = max(1, s.clock.since()) }

func (s *Scheduler) wakeUp() {
	s.naps.slept += s.clock.since() - s.naps.since
	s.naps.since = 0
}

// Asleep returns the time in which s had nothing to do, since New, on its clock. It needs
// Config.MeasureSleep. The time in which s is about to sleep, and lets other goroutines run first,
// does not count. Asleep may be called from any goroutine.
func (s *Scheduler) Asleep() time.Duration {
	slept := Peek(&s.naps.slept)
	if since := Peek(&s.naps.since); since != 0 {
		slept += max(0, s.clock.since()-since)
	}
	return time.Duration(slept)
}
