package core

import (
	"slices"
	"time"
)

// calmAfter is how long something has to be unused before its memory is given back.
const calmAfter = int64(time.Second)

// chore is a piece of housekeeping that waits for a quiet moment.
type chore struct {
	at   int64 // ns on the clock: not before
	work Work
}

// WhenCalm has w done when the scheduler is about to sleep, a second from now or later. It is not
// an event: a virtual clock does not move for it, and it does not keep the scheduler from being
// quiescent. For giving memory back. On the scheduler.
func (s *Scheduler) WhenCalm(w Work) {
	s.chores = append(s.chores, chore{s.now + calmAfter, w})
}

// tidy does the chores that are due, and gives the time until the next one; negative: there is
// none.
func (s *Scheduler) tidy() int64 {
	defer s.caught()
	n := 0
	for n < len(s.chores) && s.chores[n].at <= s.now {
		s.chores[n].work.Do()
		n++
	}
	if n > 0 {
		s.chores = slices.Delete(s.chores, 0, n)
	}
	if len(s.chores) == 0 {
		return -1
	}
	return s.chores[0].at - s.now
}
