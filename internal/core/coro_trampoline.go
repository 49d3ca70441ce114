//go:build tasklet_trampoline

package core

// The plain switch: every coroutine yields to the driver, and the driver resumes the next one. Two
// swaps instead of one, and nothing that iter.Pull does not promise. It is here so that a change in
// the Go runtime can't stop the library: the tests of this package pass with either file.

type seat struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
}

func (s *Scheduler) switchTo(me, x *coro) {
	s.target = x
	if me != s.driver {
		me.own.yield(struct{}{})
		s.running = me
		return
	}
	for s.target != me {
		s.resume(s.target)
	}
	s.running = me
}

// resume runs c until it yields or ends.
func (s *Scheduler) resume(c *coro) {
	c.own.next()
	if !c.died {
		return
	}
	// c waits in goexit for its end. That is a Goexit, which spreads to the caller of next, so the
	// call is made on a goroutine that is there to be lost.
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.own.next()
	}()
	<-gone
}

// goexit is called from a deferred call of a worker whose goroutine is being ended by
// runtime.Goexit (t.FailNow does that) or by a panic. It hands the scheduler over to a new worker,
// and the driver lets this one end.
func (s *Scheduler) goexit(me *coro) {
	me.died = true
	s.end(me, s.newCoro(s.work))
	me.own.yield(struct{}{})
}

func (s *Scheduler) inherit(*coro) {}
