package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gotasklet/tasklet/actor"
)

func init() { extension.Check(func(_ *actor.System, r *Registry) error { return r.check() }) }

// check is the part of actor.System.Check for names and groups. The following holds:
//
//   - A ref that has a name or is in a group has a holder that says so. Every holder holds
//     something, and none is of a ref that has ended permanently.
//   - The members and the index of a group agree.
//   - No call waits for a name that is registered.
func (r *Registry) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("registry: "+format, args...)) }
	has := map[any]*holder{}
	of := func(ref any) *holder {
		if has[ref] == nil {
			has[ref] = &holder{}
		}
		return has[ref]
	}
	r.names.Range(func(name, e any) bool {
		of(e.(owner).key()).names.add(name.(string))
		if r.wanted[name.(string)] != nil {
			bad("%d wait for the name %q, which is there", len(r.wanted[name.(string)].replies), name)
		}
		return true
	})
	for _, name := range slices.Sorted(maps.Keys(r.groups)) {
		members, err := r.groups[name].checked()
		if err != nil {
			bad("group %q: %w", name, err)
		}
		for _, ref := range members {
			of(ref).groups.add(name)
		}
	}
	ending := r.sys.Root().Err() != nil // refs may end on other goroutines
	for ref, h := range r.held {
		want := of(ref)
		if !slices.Equal(h.names.sorted(), want.names.sorted()) || !slices.Equal(h.groups.sorted(), want.groups.sorted()) {
			bad("%v has the names %v and groups %v, and is noted with %v and %v", ref, &want.names, &want.groups, &h.names, &h.groups)
		}
		if h.names.len()+h.groups.len() == 0 {
			bad("%v is noted with nothing", ref)
		}
		if f, ok := ref.(interface{ HasFinished() bool }); ok && !ending && f.HasFinished() {
			bad("%v is dead, and still has names %v or groups %v", ref, &h.names, &h.groups)
		}
	}
	if len(has) != len(r.held) {
		bad("%d refs have names or groups, and %d are noted", len(has), len(r.held))
	}
	return errors.Join(errs...)
}

func (e *entry[M]) key() any { return e.ref }

// checked returns the members, and an error if the group is inconsistent. Registry.mu must be held.
func (g *Group[M]) checked() (refs []any, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := 0
	last := uint64(0)
	for _, m := range g.members {
		if m.id <= last || m.id > g.joined {
			err = fmt.Errorf("member %d comes after %d", m.id, last)
		}
		last = m.id
		if m.left {
			left++
			continue
		}
		refs = append(refs, m.ref)
		if g.byRef[m.ref] != m {
			err = fmt.Errorf("member %d is not the one that its ref is noted with", m.id)
		}
	}
	if left != g.left || len(refs) != len(g.byRef) {
		err = fmt.Errorf("%d members and %d that have left; noted are %d and %d", len(refs), left, len(g.byRef), g.left)
	}
	if l := g.now.Load(); l != nil && len(l.members) != len(refs) {
		err = fmt.Errorf("the list has %d members, the group %d", len(l.members), len(refs))
	}
	return refs, err
}
