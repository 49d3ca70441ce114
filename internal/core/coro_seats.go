//go:build !tasklet_trampoline

package core

type seat struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
	// mid says that the goroutine parked here called next, so that the next one must call yield.
	mid bool
}

// swap parks the caller in sl and wakes the goroutine that was parked there.
func (sl *seat) swap() {
	if sl.mid {
		sl.mid = false
		sl.yield(struct{}{})
	} else {
		sl.mid = true
		sl.next()
	}
}

// switchTo hands control from me, which must have it, to x. It returns when control is handed back
// to me. Budget: one swap, no allocation.
func (s *Scheduler) switchTo(me, x *coro) {
	s.target = x
	s.handOn(me)
	s.running = me
}

// handOn passes control on if the goroutine that was woken is not the target. A goroutine is woken
// by mistake only when a coroutine ends, because the runtime then wakes the goroutine in the ended
// coroutine's seat.
func (s *Scheduler) handOn(me *coro) {
	for s.target != me {
		sl := s.target.at
		me.at = sl
		sl.swap()
	}
}

// goexit hands the scheduler over to a new worker. It is called from a deferred call of a worker
// whose goroutine is being ended by runtime.Goexit, as t.FailNow does, or by a panic.
//
// When the goroutine has ended, the runtime wakes the goroutine that is parked in its own seat. If
// that one called next, iter.Pull continues the Goexit there. A caller of yield gets no Goexit. So
// the heir itself goes into the seat by yield first.
func (s *Scheduler) goexit(me *coro) {
	me.died = true
	heir := s.newCoro(s.work)
	if me.own.mid {
		s.victim = me
		s.switchTo(me, heir)
	}
	s.end(me, heir)
}

// inherit is the heir's half of goexit. The heir takes the place in the dying worker's seat and
// wakes its occupant, which sees that the victim is the target, and wakes it. The victim's
// goroutine ends, and that wakes the heir.
func (s *Scheduler) inherit(me *coro) {
	v := s.victim
	if v == nil {
		return
	}
	s.victim = nil
	s.target = v
	me.at = v.own
	v.own.swap()
	s.handOn(me)
	s.running = me
}
