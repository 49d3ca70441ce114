package registry

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gotasklet/tasklet/actor"
)

// A holder is a ref that has names or is in groups. It has what the ref's labels show, and what is
// removed at the ref's permanent end. Registry.mu protects it.
type holder struct {
	names, groups set
	cancel        func() // of the watch on its end
}

// lockFor locks mu for a change that adds something to ref, and makes a holder for ref, so that the
// end of ref removes it again. If the tasklet of ref has ended permanently, lockFor returns false
// with mu unlocked.
func lockFor[M any](r *Registry, ref actor.Ref[M]) bool {
	r.mu.Lock()
	if r.held[ref] == nil {
		r.mu.Unlock()
		cancel := ref.OnEnd(func() { ended(r, ref) }) // not under mu: it may be called at once
		r.mu.Lock()
		if r.held[ref] == nil {
			r.held[ref] = &holder{cancel: cancel}
		} else {
			cancel() // another goroutine has made the holder
		}
	}
	if ref.IsDead() {
		r.dropEmpty(ref)
		r.mu.Unlock()
		return false
	}
	return true
}

// dropEmpty removes the holder of ref if it holds nothing. mu must be held.
func (r *Registry) dropEmpty(ref any) {
	if h := r.held[ref]; h != nil && h.names.len()+h.groups.len() == 0 {
		h.cancel()
		delete(r.held, ref)
	}
}

// note records that ref has gained or lost a name or a group, and updates its label. mu must be
// held.
func note[M any](r *Registry, ref actor.Ref[M], key, value string, has bool) {
	h := r.held[ref]
	values := &h.names
	if key == "groups" {
		values = &h.groups
	}
	if has {
		values.add(value)
	} else {
		values.remove(value)
	}
	ref.SetLabel(key, values.String())
	r.dropEmpty(ref)
}

// ended removes all names and memberships of ref, whose tasklet has ended permanently. It removes
// them one by one, so that a ref with many of them does not hold up other callers.
func ended[M any](r *Registry, ref actor.Ref[M]) {
	r.mu.Lock()
	h := r.held[ref]
	if h == nil {
		r.mu.Unlock()
		return
	}
	names := h.names.sorted()
	var groups []*Group[M]
	for _, name := range h.groups.sorted() {
		groups = append(groups, r.groups[name].(*Group[M]))
	}
	r.mu.Unlock()
	for _, name := range names {
		has, _ := r.names.Load(name)
		if e, ok := has.(*entry[M]); ok && e.ref == ref {
			r.remove(name, e)
		}
	}
	for _, g := range groups {
		g.Leave(ref)
	}
}

// few is the number of names or groups that a label lists. For a ref with more it shows their
// number, so that a ref in thousands of groups costs no more than others.
const few = 8

// set is a set of strings. Up to few of them are kept in order.
type set struct {
	few  []string // sorted; unused if there are many
	many map[string]struct{}
}

func (s *set) len() int { return len(s.few) + len(s.many) }

func (s *set) add(v string) {
	if s.many == nil && len(s.few) < few {
		i, _ := slices.BinarySearch(s.few, v)
		s.few = slices.Insert(s.few, i, v)
		return
	}
	if s.many == nil {
		s.many = make(map[string]struct{}, 2*few)
		for _, v := range s.few {
			s.many[v] = struct{}{}
		}
		s.few = nil
	}
	s.many[v] = struct{}{}
}

func (s *set) remove(v string) {
	if s.many == nil {
		if i, ok := slices.BinarySearch(s.few, v); ok {
			s.few = slices.Delete(s.few, i, i+1)
		}
		return
	}
	delete(s.many, v)
	if len(s.many) <= few {
		s.few, s.many = slices.Sorted(maps.Keys(s.many)), nil
	}
}

func (s *set) sorted() []string {
	if s.many != nil {
		return slices.Sorted(maps.Keys(s.many))
	}
	return slices.Clone(s.few)
}

// String returns the text of a label, or "" for an empty set.
func (s *set) String() string {
	if s.many != nil {
		return "(" + strconv.Itoa(len(s.many)) + ")"
	}
	return strings.Join(s.few, ",")
}
