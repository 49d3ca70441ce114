package core

import (
	"slices"
	"time"
)

// calmAfter is the time for which something must be unused before its memory is freed.
const calmAfter = int64(time.Second)

// chore is a piece of housekeeping that can wait until the scheduler is about to sleep.
type chore struct {
	at   int64 // ns on the clock: not before this time
	work Work
}

// WhenCalm makes the scheduler do w when it is about to sleep, at the earliest a second from now.
// It is for freeing memory. It is not an event: a virtual clock does not move for it, and it does
// not keep the scheduler from being quiescent. WhenCalm must be called on the scheduler.
func (s *Scheduler) WhenCalm(w Work) {
	s.chores = append(s.chores, chore{s.now + calmAfter, w})
}

// tidy does the chores that are due. It returns the time until the next one, which is negative if
// there is none.
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
