package core

import "iter"

// A coroutine is a goroutine that runs only when control is handed to it, and hands control on
// instead of blocking. The Go runtime has coroutines behind [iter.Pull]. A call of next or yield
// moves control from one goroutine to another without Go's scheduler, at about a quarter of the
// cost of a channel hand-over. This file turns these pairs into a switch from any coroutine to any
// other, in one step.
//
// The trick is to see a pair not as "iterator and consumer" but as a seat. A seat is a place in
// which exactly one goroutine is parked: of the two that met there last, the one that is not
// running. A goroutine that calls next or yield of a seat takes the place of the goroutine parked
// in it and wakes that one. The runtime demands that next and yield alternate. It does not demand
// that a given goroutine calls a given one of them (runtime/coro.go, the comment on coro: "a
// channel with always one goroutine blocked on it"). So N coroutines own N seats. With the driver
// they are N+1 goroutines, of which one runs, and each seat holds one of the others.
//
// A coroutine is owned by one scheduler: only the goroutine that has control touches it. The
// hand-over of control orders the memory accesses of the two goroutines (iter.Pull tells the race
// detector so).
//
// coro_seats.go has this switch. coro_trampoline.go (build tag tasklet_trampoline) has the plain
// one, which goes through the driver and relies only on iter.Pull's documentation.
type coro struct {
	own  *seat // made with the coroutine; it ends when the goroutine does
	at   *seat // the seat where it is parked; meaningless while it runs
	task *Task // the task that keeps this coroutine while parked; nil if it is free
	quit bool  // it was told to end by stop
	died bool  // its goroutine is unwinding from runtime.Goexit or a panic
	pos  int   // index in Scheduler.coros
}

// newCoro returns a coroutine that runs body when control is first handed to it. When body returns,
// control goes to s.target.
func (s *Scheduler) newCoro(body func(me *coro)) *coro {
	sl := &seat{}
	c := &coro{own: sl, at: sl, pos: len(s.coros)}
	s.coros = append(s.coros, c)
	// stop is not kept, because a coroutine is ended by quit when it has control, and never from
	// outside.
	sl.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		sl.yield = yield
		body(c)
	})
	return c
}

// forget removes c from the list of living coroutines.
func (s *Scheduler) forget(c *coro) {
	last := s.coros[len(s.coros)-1]
	s.coros[c.pos], last.pos = last, c.pos
	s.coros[len(s.coros)-1] = nil
	s.coros = s.coros[:len(s.coros)-1]
	if n := cap(s.coros); n > maxSpare && len(s.coros) < n/4 { // frees the memory of a burst
		s.coros = append(make([]*coro, 0, n/2), s.coros...)
	}
}

// end is the last call of a coroutine whose body then returns. Control goes to heir.
func (s *Scheduler) end(me, heir *coro) {
	s.forget(me)
	s.target = heir
}

// retire ends the free coroutine c. The driver calls it.
func (s *Scheduler) retire(c *coro) {
	c.quit = true
	s.switchTo(s.driver, c)
}
