package registry

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// Group is a set of refs that take messages of type M, in the order in which they joined. Get it with NewGroup.
type Group[M any] struct {
	// Set in NewGroup, then read-only.
	r    *Registry
	name string

	turn atomic.Uint64 // of Next; counted by every caller

	// list is what readers use; it is replaced, never changed, under mu. Without the copy, a broadcast would have to hold the
	// lock while it waits for room.
	list atomic.Pointer[[]*member[M]]

	// mu protects the following.
	mu      sync.Mutex
	members []*member[M] // in order of joining
	byRef   map[actor.Ref[M]]*member[M]
	joined  uint64 // so far
}

// member is a ref in a group.
type member[M any] struct {
	ref    actor.Ref[M]
	id     uint64 // its number in the order of joining; the same for as long as it is a member
	cancel func()
}

// SendError says who did not get a broadcast message, and why.
type SendError[M any] struct {
	Ref actor.Ref[M]
	Err error
}

func (e *SendError[M]) Error() string { return fmt.Sprintf("send to %v: %v", e.Ref, e.Err) }

// Unwrap gives Err.
func (e *SendError[M]) Unwrap() error { return e.Err }

// NewGroup gives the group called name, and makes it if there is none: the same for the same name and M. A *TypeError if there is
// one for other messages. Names of groups and of refs are apart. It panics on an empty name and a nil registry.
func NewGroup[M any](r *Registry, name string) (*Group[M], error) {
	check(r, "NewGroup", name)
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.groups[name]
	if !ok {
		g := &Group[M]{r: r, name: name, byRef: make(map[actor.Ref[M]]*member[M])}
		g.list.Store(new([]*member[M]))
		r.groups[name] = g
		return g, nil
	}
	g, ok := v.(*Group[M])
	if !ok {
		return nil, &TypeError{name, v.(interface{ message() reflect.Type }).message(), reflect.TypeFor[M]()}
	}
	return g, nil
}

func (g *Group[M]) message() reflect.Type { return reflect.TypeFor[M]() }

// Name is that of the group.
func (g *Group[M]) Name() string { return g.name }

// Join makes ref a member, until it leaves or its tasklet ends for good. Joining again does nothing. mailbox.ErrClosed if ref's
// tasklet has ended for good. It panics on a zero ref.
func (g *Group[M]) Join(ref actor.Ref[M]) error {
	if ref.IsZero() {
		misuse("Join of a zero Ref to the group %q", g.name)
	}
	if ref.IsDead() {
		return fmt.Errorf("registry: join group %q: %w", g.name, mailbox.ErrClosed)
	}
	m := &member[M]{ref: ref}
	// Complete before it can be found: what removes it may run at once.
	m.cancel = ref.OnEnd(func() { g.leave(m) })
	g.mu.Lock()
	if g.byRef[ref] != nil {
		g.mu.Unlock()
		m.cancel()
		return nil
	}
	g.joined++
	m.id = g.joined
	g.byRef[ref] = m
	g.members = append(g.members, m)
	g.list.Store(nil)
	g.mu.Unlock()
	if ref.IsDead() { // before it was a member, and OnEnd has found nothing to remove
		g.leave(m)
		return fmt.Errorf("registry: join group %q: %w", g.name, mailbox.ErrClosed)
	}
	g.label(ref)
	g.r.emit(EventGroupJoined, ref.Tasklet(), "group", g.name)
	return nil
}

// Leave takes ref out; if it is no member, nothing happens.
func (g *Group[M]) Leave(ref actor.Ref[M]) {
	g.mu.Lock()
	m := g.byRef[ref]
	g.mu.Unlock()
	if m != nil {
		g.leave(m)
	}
}

func (g *Group[M]) leave(m *member[M]) {
	g.mu.Lock()
	if g.byRef[m.ref] != m {
		g.mu.Unlock()
		return
	}
	delete(g.byRef, m.ref)
	// In order of joining, so the place is found by halving.
	i, _ := slices.BinarySearchFunc(g.members, m.id, func(x *member[M], id uint64) int { return compare(x.id, id) })
	g.members = slices.Delete(g.members, i, i+1)
	g.list.Store(nil)
	g.mu.Unlock()
	m.cancel()
	g.label(m.ref)
	g.r.emit(EventGroupLeft, m.ref.Tasklet(), "group", g.name)
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// label shows on ref's tasklet in which groups it is.
func (g *Group[M]) label(ref actor.Ref[M]) {
	g.r.mu.Lock()
	var names []string
	for name, v := range g.r.groups {
		if o, ok := v.(*Group[M]); ok && o.has(ref) {
			names = append(names, name)
		}
	}
	g.r.mu.Unlock()
	slices.Sort(names)
	ref.SetLabel("groups", strings.Join(names, ","))
}

func (g *Group[M]) has(ref actor.Ref[M]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.byRef[ref] != nil
}

// now gives the members; the slice is not changed by anybody.
func (g *Group[M]) now() []*member[M] {
	if l := g.list.Load(); l != nil {
		return *l
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	l := slices.Clone(g.members)
	g.list.Store(&l)
	return l
}

// Members gives the members in order of joining.
func (g *Group[M]) Members() []actor.Ref[M] {
	ms := g.now()
	refs := make([]actor.Ref[M], len(ms))
	for i, m := range ms {
		refs[i] = m.ref
	}
	return refs
}

// Broadcast sends m to all that are members when it begins, one after the other in order of joining, as Ref.Send does: it waits
// for room where a member's mailbox says so, as long as ctx allows. sent is how many got it; err joins a *SendError for each who
// did not.
func (g *Group[M]) Broadcast(ctx context.Context, m M) (sent int, err error) {
	var errs []error
	for _, to := range g.now() {
		if err := to.ref.Send(ctx, m); err != nil {
			errs = append(errs, &SendError[M]{to.ref, err})
		} else {
			sent++
		}
	}
	return sent, errors.Join(errs...)
}

// Next gives the members in turn. ErrNoMembers.
func (g *Group[M]) Next() (actor.Ref[M], error) {
	ms := g.now()
	if len(ms) == 0 {
		return actor.Ref[M]{}, g.none()
	}
	return ms[(g.turn.Add(1)-1)%uint64(len(ms))].ref, nil
}

// LeastLoaded gives the member with the fewest messages queued; among equals, the first in order of joining. It looks at all of
// them. ErrNoMembers.
func (g *Group[M]) LeastLoaded() (actor.Ref[M], error) {
	ms := g.now()
	if len(ms) == 0 {
		return actor.Ref[M]{}, g.none()
	}
	best, least := ms[0], ms[0].ref.Len()
	for _, m := range ms[1:] {
		if least == 0 {
			break
		}
		if n := m.ref.Len(); n < least {
			best, least = m, n
		}
	}
	return best.ref, nil
}

// ForKey gives the same member for the same key as long as it is a member; when one leaves, only its keys go to others, and when
// one joins, it takes an equal share from each. That is rendezvous hashing (D. Thaler and C. Ravishankar, "Using name-based
// mappings to increase hit rates", 1998): every member draws a number from the key, and the highest has it. It looks at all
// members. ErrNoMembers.
func (g *Group[M]) ForKey(key string) (actor.Ref[M], error) {
	ms := g.now()
	if len(ms) == 0 {
		return actor.Ref[M]{}, g.none()
	}
	h := hash(key)
	best, highest := ms[0], weight(h, ms[0].id)
	for _, m := range ms[1:] {
		if w := weight(h, m.id); w > highest {
			best, highest = m, w
		}
	}
	return best.ref, nil
}

func (g *Group[M]) none() error { return fmt.Errorf("%w: %q", ErrNoMembers, g.name) }

// hash is FNV-1a, the same in every process.
func hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}

// weight mixes a key's hash with a member's number: the finalizer of splitmix64 (G. Steele, D. Lea, C. Flood, 2014), in which
// every bit of the input changes half of the bits of the result.
func weight(h, id uint64) uint64 {
	x := h + id*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
