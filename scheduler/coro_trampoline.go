//go:build tasklet_trampoline

package scheduler

// The plain switch: every coroutine yields to the driver, and the driver resumes the next one. Two swaps instead of one, and
// nothing that iter.Pull does not promise. It is here so that a change in the Go runtime can't stop the library: the tests
// of this package pass with either file.

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

// resume runs c until it yields or ends. The end of a goroutine that is in runtime.Goexit spreads to the caller of next, so
// that call is made on a goroutine that is there to be lost.
func (s *Scheduler) resume(c *coro) {
	if !c.died || !c.quit {
		c.own.next()
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.own.next()
	}()
	<-gone
}

func (s *Scheduler) end(me, heir *coro) {
	s.forget(me)
	s.target = heir
}

// goexit keeps the dying goroutine alive: it serves on from its deferred call until it is told to quit. The work is again
// under a deferred call, for the next Goexit.
func (s *Scheduler) goexit(me *coro) {
	me.died = true
	s.work(me)
}

func (s *Scheduler) inherit(*coro) {}

func (s *Scheduler) retire(c *coro) {
	c.quit = true
	s.switchTo(s.driver, c)
}
