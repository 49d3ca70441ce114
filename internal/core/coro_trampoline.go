//go:build tasklet_trampoline

package core

// This is the plain switch: every coroutine yields to the driver, and the driver resumes the next
// one. That takes two swaps instead of one, and relies on nothing that iter.Pull does not promise.
// It exists so that a change in the Go runtime cannot stop the library. The tests of this package
// pass with either file.

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
	// c waits in goexit for its end. That is a Goexit, which spreads to the caller of next. So the
	// call is made on a goroutine that may be lost.
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.own.next()
	}()
	<-gone
}

// goexit hands the scheduler over to a new worker, and the driver makes this one end. It is called
// from a deferred call of a worker whose goroutine is being ended by runtime.Goexit, as t.FailNow
// does, or by a panic.
func (s *Scheduler) goexit(me *coro) {
	me.died = true
	s.end(me, s.newCoro(s.work))
	me.own.yield(struct{}{})
}

func (s *Scheduler) inherit(*coro) {}
