package actor

import (
	"iter"
	"runtime"
)

// walkChunk is the number of children that are visited while System.mu is held. Each is a cache
// miss: a family of a million at once would take 150 ms, in which no tasklet of the system could
// start or end.
const walkChunk = 128

// walk is an iteration over the children of a tasklet that releases System.mu after every walkChunk
// children. System.mu protects it.
type walk struct {
	next  *Tasklet // the child, or the placeholder of an empty slot, that comes next
	other *walk    // the next in System.walks
}

// eachChild calls visit for each place among the children of t, in order; see Places. visit is
// called without System.mu. A family of up to walkChunk children is seen at one moment. In a larger
// one, a child is seen that is there from the beginning to the end; one that comes or goes in
// between may be seen.
func (t *Tasklet) eachChild(visit func(s *Slot, c *Tasklet)) {
	if t.marks.Load()&markParent == 0 {
		return
	}
	var chunk [walkChunk]struct {
		slot  *Slot
		child *Tasklet
	}
	s := t.sys
	var w *walk // nil in the first part, which most families end with
	for more := true; more; {
		s.mu.Lock()
		next := t.first
		if w != nil {
			s.endWalk(w)
			next = w.next
		}
		n := 0
		for ; n < walkChunk && next != nil; n++ {
			chunk[n].slot, chunk[n].child = next.slot(), next
			if next.vacant() {
				chunk[n].child = nil
			}
			next = next.next
		}
		if more = next != nil; more {
			w = &walk{next: next, other: s.walks}
			s.walks = w
		}
		s.mu.Unlock()
		for _, p := range chunk[:n] {
			visit(p.slot, p.child)
		}
		if more {
			runtime.Gosched() // let waiting goroutines lock the mutex
		}
	}
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

// Children returns the children that have not finished, in order of start. It may be called from
// any goroutine. It visits a large family in parts, so that no start and no end waits for long: of
// more than a hundred children, those that start or end during the call may or may not be in the
// result.
func (t *Tasklet) Children() []*Tasklet {
	var cs []*Tasklet
	t.eachChild(func(_ *Slot, c *Tasklet) {
		if c != nil {
			cs = append(cs, c)
		}
	})
	return cs
}

// Places returns an iterator over the places among the children of t, in order of start: slots,
// with or without a tasklet, and children that are in no slot. For the latter slot is nil. For an
// empty slot child is nil. It iterates over a copy, which is made as by Children. Places may be
// called from any goroutine.
func (t *Tasklet) Places() iter.Seq2[*Slot, *Tasklet] {
	type place struct {
		slot  *Slot
		child *Tasklet
	}
	return func(yield func(*Slot, *Tasklet) bool) {
		var places []place
		t.eachChild(func(s *Slot, c *Tasklet) { places = append(places, place{s, c}) })
		for _, p := range places {
			if !yield(p.slot, p.child) {
				return
			}
		}
	}
}
