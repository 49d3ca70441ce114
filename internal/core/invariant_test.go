package core

import (
	"fmt"
	"iter"
)

// crowd is everything that a test has made on a scheduler: what Scheduler.Check can't know by
// itself.
type crowd struct {
	s        *Scheduler
	tasks    []*Task
	contexts []*timeoutCtx
	lines    []*Line
}

// all gives the tasks for Check. An idle one may have found its kill and not taken it.
func (c *crowd) all() iter.Seq2[*Task, bool] {
	return func(yield func(*Task, bool) bool) {
		for _, t := range c.tasks {
			if !yield(t, false) {
				return
			}
		}
	}
}

// check panics with what is wrong. It may be called from inside a task and from injected work,
// whenever control is there.
func (c *crowd) check() {
	if err := c.s.Check(c.all()); err != nil {
		panic(testFailure(err.Error()))
	}
	if problem := c.problem(); problem != "" {
		panic(testFailure(problem))
	}
}

// problem looks at the lines of the test, and whether the timers are those of its tasks and
// contexts.
func (c *crowd) problem() string {
	for _, l := range c.lines {
		var all []*Waiter
		for w := l.First(); w != nil; w = w.Next() {
			if t := w.Task(); t != nil && (t.waiter != w || t.state != Parked) {
				return fmt.Sprintf("a place in a line belongs to %v, which is not parked with it", t)
			}
			all = append(all, w)
		}
		if problem := lineProblem(l, all); problem != "" {
			return problem
		}
	}
	timers := 0
	for _, t := range c.tasks {
		if t.timer.Active() {
			timers++
		}
	}
	for _, x := range c.contexts {
		if x.timer.Active() {
			timers++
		}
	}
	if timers != c.s.wheel.n {
		return fmt.Sprintf("%d timers run, and the wheel has %d", timers, c.s.wheel.n)
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
