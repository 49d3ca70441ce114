package actor

// An empty slot stands among the children of its parent as a placeholder: a Tasklet with markVacant
// that has no task and is never returned to users. So an ordinary tasklet needs no word for slots.

// occupy puts t into the slot, in place of its placeholder. System.mu must be held.
func (s *Slot) occupy(t *Tasklet) {
	t.linked, t.next, t.prev = true, s.hole.next, s.hole.prev
	s.hole.linked, s.hole.next, s.hole.prev = false, nil, nil
	t.sys.moveWalks(s.hole, t)
	relink(t)
	if s.used {
		s.spare = s.hole
	}
	s.hole, s.task = nil, t
}

// vacate empties the slot that t is in. A placeholder takes the place of t, unless the children of
// the parent are being stopped. System.mu must be held.
func (s *Slot) vacate(t *Tasklet) {
	s.task = nil
	if s.state == slotStopping {
		s.state = slotStopped
	} else {
		s.state = slotEnded
	}
	if s.parent.marks.Load()&markEnded != 0 {
		unlink(t)
		s.parent.emptied(s)
		return
	}
	hole := s.spare
	if s.spare, s.used = nil, true; hole == nil {
		hole = &Tasklet{sys: t.sys, parent: t.parent, inst: vacancy{s}}
		hole.marks.Store(markVacant | markLeft)
	}
	hole.linked, hole.next, hole.prev = true, t.next, t.prev
	t.linked, t.next, t.prev = false, nil, nil
	t.sys.moveWalks(t, hole)
	relink(hole)
	s.hole = hole
}

// vacancy is the instance of a placeholder. It refers to the slot.
type vacancy struct{ of *Slot }

func (v vacancy) step(*Tasklet) (bool, error) { return false, nil }

func (v vacancy) lineage() anyLineage { return nil }

func (v vacancy) source() any { return nil }

func (v vacancy) kind() string { return v.of.word }

// slot returns the slot that t is in, or whose placeholder t is, or nil.
func (t *Tasklet) slot() *Slot {
	if v, ok := t.inst.(vacancy); ok {
		return v.of
	}
	if t.supervised {
		return t.ex.Load().slot
	}
	return nil
}

// emptied records a slot that has left the list of children because the body of t has ended.
// System.mu must be held.
func (t *Tasklet) emptied(s *Slot) {
	x := t.extra()
	s.next, x.emptied = x.emptied, s
}

// lastChild returns the last child of t, whose body has ended. It removes empty slots from the
// list, so that they need not be examined again for each child.
func (t *Tasklet) lastChild() *Tasklet {
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	for c := t.last; c != nil; c = t.last {
		if !c.vacant() {
			return c
		}
		unlink(c)
		s := c.slot()
		s.hole = nil
		t.emptied(s)
	}
	return nil
}

// slots returns the slots of t, also while its children are being stopped. It may be called from
// any goroutine.
func (t *Tasklet) slots() (all []*Slot) {
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	for c := t.first; c != nil; c = c.next {
		if s := c.slot(); s != nil {
			all = append(all, s)
		}
	}
	if x := t.ex.Load(); x != nil {
		for s := x.emptied; s != nil; s = s.next {
			all = append(all, s)
		}
	}
	return all
}

// path returns the path of the tasklets of s, as far as it is known before the first.
func (s *Slot) path() string {
	name := s.name
	if name == "" {
		name = functionName(s.body.instance().source())
	}
	return s.parent.Path() + "/" + name
}

// ownerOf returns the slot that a ref belongs to, or nil. cur is the ref's last tasklet or
// placeholder.
func ownerOf(cur *Tasklet) *Slot {
	if cur == nil {
		return nil
	}
	s := cur.slot()
	if s == nil {
		return nil
	}
	s.parent.sys.mu.Lock()
	defer s.parent.sys.mu.Unlock()
	if s.heir != nil {
		return s.heir
	}
	return s
}

// insert appends t to its parent's children.
func insert(t *Tasklet) {
	t.linked, t.prev = true, t.parent.last
	relink(t)
}

// relink makes the neighbours of t among its siblings link back to t.
func relink(t *Tasklet) {
	if t.prev == nil {
		t.parent.first = t
	} else {
		t.prev.next = t
	}
	if t.next == nil {
		t.parent.last = t
	} else {
		t.next.prev = t
	}
}

// unlink takes t out of its parent's children.
func unlink(t *Tasklet) {
	t.sys.moveWalks(t, t.next)
	if t.prev == nil {
		t.parent.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		t.parent.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.linked = nil, nil, false
}

// walk is an iteration over the children of a tasklet that releases System.mu after every walkChunk
// children. System.mu protects it.
type walk struct {
	next  *Tasklet // the next child, or the next placeholder of an empty slot
	other *walk    // the next in System.walks
}

// endWalk removes w from the walks. System.mu must be held.
func (s *System) endWalk(w *walk) {
	for at := &s.walks; ; at = &(*at).other {
		if *at == w {
			*at = w.other
			return
		}
	}
}

// moveWalks makes walks whose next child is c continue with to, because c is about to leave the
// list of children. System.mu must be held.
func (s *System) moveWalks(c, to *Tasklet) {
	for w := s.walks; w != nil; w = w.other {
		if w.next == c {
			w.next = to
		}
	}
}
