package scheduler

import "fmt"

// crowd is everything that a test has made on a scheduler, for checkInvariants.
type crowd struct {
	s        *Scheduler
	tasks    []*Task
	contexts []*timeoutCtx
	lines    []*Line
}

// check panics with what is wrong. It may be called from inside a task and from injected work, whenever control is there.
func (c *crowd) check() {
	if problem := c.problem(); problem != "" {
		panic(testFailure(problem))
	}
}

func (c *crowd) problem() string {
	s := c.s
	bad := fmt.Sprintf

	// States and the run queue.
	queued := map[*Task]int{}
	for i := range uint(len(s.ready.ring)) {
		t := s.ready.ring[(s.ready.head+i)&uint(len(s.ready.ring)-1)]
		if (t != nil) != (i < s.ready.n) {
			return bad("run queue: place %d of %d: %v", i, s.ready.n, t)
		}
		if t != nil {
			queued[t]++
		}
	}
	timers := 0
	for _, t := range c.tasks {
		n := queued[t]
		if n > 1 || (n == 1) != (t.state == Ready) && t.state != Finished {
			return bad("%v is %v and stands in the run queue %d times", t, t.state, n)
		}
		if (t.state == Running) != (s.current == t) && t.state != Finished {
			return bad("%v is %v, and %v has control", t, t.state, s.current)
		}
		if t.co != nil && t.co.task != t {
			return bad("%v keeps a coroutine that serves another", t)
		}
		if t.state == Parked != (t.co != nil) && t.state != Ready {
			return bad("%v is %v, and has a coroutine: %v", t, t.state, t.co != nil)
		}
		if t.co == nil && t.waiter != nil {
			return bad("%v is %v and has a place in a line", t, t.state)
		}
		if w := t.waiter; w != nil && (w.task != t || w.Waits() && t.state != Parked) {
			return bad("%v is %v, and its place belongs to %v or still stands (%v)", t, t.state, w.task, w.Waits())
		}
		if t.timer.Active() {
			timers++
			if t.state == Finished {
				return bad("%v is finished and has a timer", t)
			}
		}
	}

	// Coroutines: free, or kept by a task, or the one that runs.
	free := map[*coro]bool{}
	for _, f := range s.free {
		if free[f] || f.task != nil || f.quit {
			return "a free coroutine is listed twice, or has a task, or was told to quit"
		}
		free[f] = true
	}
	places := map[*slot]bool{}
	for i, co := range s.coros {
		if co.pos != i {
			return bad("coroutine %d is listed at %d", co.pos, i)
		}
		switch {
		case co.task != nil && co.task.co != co:
			return bad("a coroutine is kept for %v, which does not know of it", co.task)
		case co.task != nil && free[co]:
			return bad("the coroutine of %v is free", co.task)
		case co.task == nil && !free[co] && co != s.running:
			return "a coroutine is lost: it does not run, is not free and serves no task"
		}
		if co != s.running {
			if swapsPerSwitch == 1 && places[co.at] {
				return "two coroutines are parked in one slot"
			}
			places[co.at] = true
		}
		delete(free, co)
	}
	if len(free) != 0 {
		return "a free coroutine is not on the list of those that live"
	}

	// Lines, free places, timers, the outside.
	for _, l := range c.lines {
		var all []*Waiter
		for w := l.first; w != nil; w = w.next {
			if w.task != nil && (w.task.waiter != w || w.task.state != Parked) {
				return bad("a place in a line belongs to %v, which is not parked with it", w.task)
			}
			all = append(all, w)
		}
		if problem := lineProblem(l, all); problem != "" {
			return problem
		}
	}
	spare := 0
	for w := s.waiters; w != nil; w = w.next {
		spare++
		if w.line != nil || w.prev != nil || w.Item != nil || w.task != nil {
			return "a free place is in use"
		}
	}
	if spare != s.spare {
		return bad("%d free places, counted as %d", spare, s.spare)
	}
	for _, x := range c.contexts {
		if x.timer.Active() {
			timers++
		}
	}
	if timers != s.wheel.n {
		return bad("%d timers run, and the wheel has %d", timers, s.wheel.n)
	}
	if s.outside < 0 {
		return bad("%d outside are awaited", s.outside)
	}
	return ""
}

// checkEnd checks what must be so when Run has returned and nobody leaked.
func (c *crowd) checkEnd() string {
	s := c.s
	if len(s.coros) != 0 || len(s.free) != 0 || s.victim != nil || s.handed != nil {
		return fmt.Sprintf("%d coroutines, %d free, victim %v, handed %v", len(s.coros), len(s.free), s.victim, s.handed)
	}
	if s.outside != 0 {
		return fmt.Sprintf("%d outside are still awaited", s.outside)
	}
	for _, t := range c.tasks {
		if t.co != nil || t.state == Parked || t.state == Running {
			return fmt.Sprintf("%v is %v", t, t.state)
		}
	}
	for _, l := range c.lines {
		if !l.Empty() {
			return "somebody stands in a line"
		}
	}
	return ""
}
