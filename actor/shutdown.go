package actor

import (
	"context"
	"slices"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// This file ends a system from outside. It has Stop, and what Run and Stop do when a tasklet does
// not end.

// Stop stops the whole tree, child by child in reverse order, and then the daemons. It returns when
// all tasklets have finished. If ctx ends before that, the tasklets that are left are killed hard,
// and Stop returns a *StopError that names those that have not stopped within a second. Stop must
// not be called inside a tasklet of s; kill the root there. Stopping a stopped system has no
// effect.
//
// When Stop returns, every caller outside that waits for a tasklet of s is notified, also for a
// tasklet that the error names; see [ErrStopped]. A second Stop waits, with its own ctx, for the
// tasklets that the first has left, and names those that are left then.
func (s *System) Stop(ctx context.Context) error {
	if ctx == nil {
		misuse("Stop with a nil context")
	}
	if t, _ := core.From(ctx); t != nil {
		misuse("System.Stop from inside the tasklet %v: it would wait for itself; kill the root instead", t)
	}
	s.stopNow()
	return s.wait(ctx)
}

// stopNow stops the system without a drain, or in the middle of one.
func (s *System) stopNow() {
	s.beginStop()                 // before a cut makes the first tasklet end
	s.root.marks.Or(markDraining) // so that no drain begins any more
	s.root.cutDrain()
	s.daemons.cutDrain()
	s.stopRoot()
}

// stopRoot kills main because the system is to stop. It does not cut a drain short.
func (s *System) stopRoot() {
	s.root.marks.Or(markSystem)
	s.root.killBody(nil)
}

// Times of the wall clock. They are variables for tests.
var (
	// hogPatience is how long a stop waits for a tasklet that holds the scheduler: the time that it
	// has to end, and the time after its kill became hard.
	hogPatience = defaultShutdown + hardTime
	// lastWait is how long Stop waits when its context is done and all kills have become hard.
	lastWait = hardTime
)

// wait waits for the end of the system, or of ctx.
func (s *System) wait(ctx context.Context) error {
	limit := ctx.Done()
	over := s.stopping
	var look <-chan time.Time
	held := make([]stuck, len(s.hosts))
	for {
		select {
		case <-s.done:
			return s.stopError()
		case <-limit:
			return s.giveUp(ctx)
		case <-over:
			over = nil
			tick := time.NewTicker(hogPatience / stuckLooks)
			defer tick.Stop()
			look = tick.C
		case now := <-look:
			for i, h := range s.hosts {
				if held[i].look(h, now, hogPatience) && s.leaveHog(h, now.Sub(held[i].since)) {
					return s.hogError()
				}
			}
		}
	}
}

// leaveHog is called repeatedly when a tasklet has held h for longer than a stop may take. It
// reports whether Run and Stop must return without it. The other schedulers are stopped as usual.
// If that cannot begin, because the root's scheduler is held, or they have not ended after the same
// time once more, they are stopped at once.
func (s *System) leaveHog(h *host, held time.Duration) bool {
	over := true
	for _, other := range s.hosts {
		over = over && (other == h || other.over())
	}
	if over {
		return true
	}
	if h.n != 0 && held < 2*hogPatience {
		return false
	}
	s.harden()
	s.stopHosts()
	s.unwound(func(other *host) bool { return other == h })
	return true
}

// unwound waits, for at most lastWait, until the schedulers that were asked to stop have nothing
// left to do, except those for which held returns true. It reports whether the system has ended.
func (s *System) unwound(held func(*host) bool) bool {
	limit := time.After(lastWait)
	tick := time.NewTicker(lastWait/100 + 1)
	defer tick.Stop()
	for {
		over := true
		for _, h := range s.hosts {
			over = over && (h.over() || held(h))
		}
		select {
		case <-s.done:
			return true
		case <-limit:
			return false
		default:
		}
		if over && s.anyHeld(held) {
			return false
		}
		select {
		case <-s.done:
			return true
		case <-limit:
			return false
		case <-tick.C:
		}
	}
}

func (s *System) anyHeld(held func(*host) bool) bool { return slices.ContainsFunc(s.hosts, held) }

// giveUp is called when Stop may not wait any longer.
func (s *System) giveUp(ctx context.Context) error {
	s.harden()
	words := make([]uint64, len(s.hosts))
	for i, h := range s.hosts {
		_, words[i] = h.sched.Busy()
	}
	select {
	case <-s.done:
		return s.stopError()
	case <-time.After(lastWait):
	}
	// Parked tasklets are left to the schedulers, which kill them a few more times. A hog is left
	// alone.
	left, stacks := s.unfinished()
	err := s.stopErrorFor(left, stacks)
	s.stopHosts()
	if !s.unwound(func(h *host) bool { _, word := h.sched.Busy(); return word != 0 && word == words[h.n] }) {
		s.giveUpHeld(left, stacks)
	}
	return joinErrors(core.ContextError(ctx), err)
}

// harden makes all kills hard. It may be called from any goroutine.
func (s *System) harden() {
	for _, top := range []*Tasklet{s.root, s.daemons} {
		for t := range top.Tree() {
			if t != s.daemons { // the node ends after the root
				t.harden()
			}
		}
	}
}

// hogError is called when Stop and Run must return although a tasklet holds a scheduler. It names
// all tasklets that have not finished.
func (s *System) hogError() error {
	left, stacks := s.unfinished()
	s.giveUpHeld(left, stacks)
	return s.stopErrorFor(left, stacks)
}

// unfinished returns all tasklets that have not finished, except the node of the daemons, and the
// stacks of those that hold a scheduler.
func (s *System) unfinished() (left []*Tasklet, stacks map[*Tasklet][]byte) {
	stacks = make(map[*Tasklet][]byte)
	for _, top := range s.tops() {
		for t := range top.Tree() {
			if t == s.daemons || t.HasFinished() {
				continue
			}
			if where := t.hogStack(); where != nil {
				stacks[t] = where
			}
			left = append(left, t)
		}
	}
	return left, stacks
}

// stopErrorFor names the tasklets that are left, those that hold a scheduler first, and those that
// were taken out of the tree before.
func (s *System) stopErrorFor(left []*Tasklet, stacks map[*Tasklet][]byte) error {
	paths := make([]string, len(left))
	for i, t := range left {
		paths[i] = t.Path()
	}
	var leaked []Leak
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range left {
		// A tasklet is marked as leaked before it is among the others, and until then it is named
		// here.
		among := func(l Leak) bool { return l.Path == paths[i] }
		if t.marks.Load()&markLeaked == 0 || !slices.ContainsFunc(s.leaked, among) {
			leaked = append(leaked, Leak{Path: paths[i], Stack: stacks[t]})
		}
	}
	slices.SortStableFunc(leaked, func(a, b Leak) int { // hogs come first
		return boolInt(a.Stack == nil) - boolInt(b.Stack == nil)
	})
	return &StopError{append(leaked, s.leaked...)}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *System) stopError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if len(s.leaked) > 0 {
		err = &StopError{slices.Clone(s.leaked)}
	}
	return joinErrors(s.fatal, err)
}
