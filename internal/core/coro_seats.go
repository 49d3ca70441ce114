//go:build !tasklet_trampoline

package core

type seat struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
	// the goroutine parked here called next, so the one that wants its place must call yield
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

// switchTo hands control from me, which must have it, to x, and returns when somebody hands control
// back to me. Budget: one swap, no allocation.
func (s *Scheduler) switchTo(me, x *coro) {
	s.target = x
	s.handOn(me)
	s.running = me
}

// handOn: whoever is woken and is not the target passes control on. A goroutine is woken by mistake
// only when a coroutine ends, because the runtime then wakes the one in the ended coroutine's seat.
func (s *Scheduler) handOn(me *coro) {
	for s.target != me {
		sl := s.target.at
		me.at = sl
		sl.swap()
	}
}

// goexit is called from a deferred call of a worker whose goroutine is being ended by
// runtime.Goexit (t.FailNow does that) or by a panic, and hands the scheduler over to a new worker.
//
// When the goroutine is gone, the runtime wakes whoever is parked in its own seat; if that one
// called next, iter.Pull makes the Goexit go on there. A caller of yield gets no Goexit. So the
// heir itself goes into the seat by yield first.
func (s *Scheduler) goexit(me *coro) {
	me.died = true
	heir := s.newCoro(s.work)
	if me.own.mid {
		s.victim = me
		s.switchTo(me, heir)
	}
	s.end(me, heir)
}

// inherit is the heir's half of goexit: it takes the place in the dying worker's seat, whose
// occupant is woken, sees that the victim is the target, and wakes it; the victim's goroutine ends,
// and that wakes the heir.
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
