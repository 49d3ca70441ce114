package actor

import (
	"iter"
	"slices"
)

// link puts t into the tree, to run on h. It returns false if its parent is ending and accepts no
// more children. It may be called from any goroutine; inside says that the parent itself is running
// and calls it.
func (s *System) link(t, parent *Tasklet, h *host, inside bool) bool {
	r := s.runnerOf(t, parent)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	t.task.Init(h.sched, s.lastID, r)
	t.parent = parent
	if parent == nil {
		return true
	}
	if parent.marks.Load()&markOver != 0 && (!inside || parent.phase >= stopping) {
		return false // a parent that was killed hard and unwinds may still start children
	}
	if parent.started++; parent.started == 1 {
		parent.marks.Or(markParent)
	}
	t.num = parent.started
	h.tasklets++
	s.counts.started++
	if sl := t.slot(); sl != nil {
		sl.occupy(t)
		return true
	}
	insert(t)
	return true
}

// unlink takes t out of the tree.
func (s *System) unlink(t *Tasklet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeOut(t)
}

// unlinkNew is unlink for a tasklet that will never arrive on its scheduler.
func (s *System) unlinkNew(t *Tasklet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeOut(t)
	s.counts.ended[KindOf(ErrStopped)]++
}

// takeOut is unlink. mu must be held.
func (s *System) takeOut(t *Tasklet) {
	if t.parent == nil || !t.linked {
		return
	}
	if sl := t.slot(); sl != nil {
		sl.vacate(t)
	} else {
		unlink(t)
	}
	t.host().tasklets--
}

// leave makes the end of t visible to all observers in one step: t is out of the tree and has
// finished, and the event for that comes before the events of all that have seen it. leave returns
// the marks from before.
func (s *System) leave(t *Tasklet, exit Exit, tell bool) (before uint32) {
	s.mu.Lock()
	if tell = tell && s.wantsExit(t, exit.Kind); tell {
		t.leaveReport(exit.Kind)
	}
	s.takeOut(t)
	before = t.marks.Or(markFinished | markOver)
	if t.parent != nil {
		s.counts.ended[exit.Kind]++
	}
	if before&markLeaked != 0 { // it was left behind and has ended after all
		s.detached = slices.DeleteFunc(s.detached, func(d *Tasklet) bool { return d == t })
	}
	if tell {
		s.emitLater(exitEvent(t, exit))
	}
	s.mu.Unlock()
	if tell {
		s.emitNow()
	}
	return before
}

// hogStack returns the stack of t if it holds its scheduler, or nil. It may be called from any
// goroutine.
func (t *Tasklet) hogStack() []byte {
	sched := t.task.Scheduler()
	if id, _ := sched.Busy(); id == 0 || id != t.task.ID() {
		return nil
	}
	return sched.Hog()
}

// takeAway removes t, which does not end, from the tree, and records it with its path and its
// stack, if any, for StopError. The tasklets below it stay there.
func (s *System) takeAway(t *Tasklet, path string, where []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeOut(t)
	s.leaked = append(s.leaked, Leak{Path: path, Stack: where})
	if t.parent != nil && !t.HasFinished() { // it may have finished at the last moment
		s.detached = append(s.detached, t)
	}
}

// findID returns the tasklet with this number, if it is in the tree.
func (s *System) findID(id uint64) *Tasklet {
	for _, top := range []*Tasklet{s.root, s.daemons} {
		for t := range top.Tree() {
			if t.task.ID() == id {
				return t
			}
		}
	}
	return nil
}

// near reports whether t and other run on the same scheduler. If they do not, what one has to do
// with the other goes through the door of the scheduler that owns the data.
func (t *Tasklet) near(other *Tasklet) bool { return t.task.Scheduler() == other.task.Scheduler() }

// childChanged tells t's parent, if it is stopping its children, to check again.
func (t *Tasklet) childChanged() {
	p := t.parent
	switch {
	case p == nil:
	case t.near(p):
		if p.phase == stopping {
			p.task.Wake()
		}
	case p.marks.Load()&markEnded != 0: // set before it examines its children for the first time
		p.task.Scheduler().Inject((*wakeStopping)(p))
	}
}

// Children returns the children that have not finished, in order of start. It visits a large family
// in parts, so that no start and no end waits for long. Of more than a hundred children, those that
// start or end during the call may or may not be in the result. Children may be called from any
// goroutine.
func (t *Tasklet) Children() []*Tasklet {
	var cs []*Tasklet
	t.eachChild(func(_ *Slot, c *Tasklet) {
		if c != nil {
			cs = append(cs, c)
		}
	})
	return cs
}

// Tree returns an iterator over t and all tasklets below it that have not finished, parents before
// children, with the level. The level of t itself is 0. The iterator copies the children of a
// tasklet when it comes to them.
func (t *Tasklet) Tree() iter.Seq2[*Tasklet, int] {
	return func(yield func(*Tasklet, int) bool) { t.walk(0, yield) }
}

func (t *Tasklet) walk(level int, yield func(*Tasklet, int) bool) bool {
	if !yield(t, level) {
		return false
	}
	for _, c := range t.Children() {
		if !c.walk(level+1, yield) {
			return false
		}
	}
	return true
}

// finished is called when t has finished. It ends the system after the root and the daemons.
func (s *System) finished(t *Tasklet) {
	switch t {
	case s.root:
		s.daemons.marks.Or(s.root.endsDaemons())
		s.daemons.task.Kill(false)
	case s.daemons:
		s.stopHosts()
	}
}

// wakeStopping is injected work that does childChanged for a parent on another scheduler.
type wakeStopping Tasklet

func (w *wakeStopping) Do() {
	if p := (*Tasklet)(w); p.phase == stopping {
		p.task.Wake()
	}
}

// Daemons returns the tasklets that were started with Daemon and have not finished.
func (s *System) Daemons() []*Tasklet { return s.daemons.Children() }
