package actor

import (
	"iter"
	"runtime"
)

// walkChunk is the number of children that are visited while System.mu is held. Each is a cache
// miss. A visit of a million children at once would take 150 ms, during which no tasklet of the
// system could start or end.
const walkChunk = 128

// eachChild calls visit for each place among the children of t, in order; see Places. It calls
// visit without System.mu. Up to walkChunk children are seen at one moment. With more, a child that
// is there from the beginning to the end is seen, and one that comes or goes in between may be
// seen.
func (t *Tasklet) eachChild(visit func(s *Slot, c *Tasklet)) {
	if t.marks.Load()&markParent == 0 {
		return
	}
	var chunk [walkChunk]struct {
		slot  *Slot
		child *Tasklet
	}
	s := t.sys
	var w *walk // nil in the first chunk, which is the only one of most families
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
