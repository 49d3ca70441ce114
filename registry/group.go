package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/mailbox"
)

// Group is a set of refs that take messages of type M, in the order in which they joined. Get it
// with NewGroup.
type Group[M any] struct {
	// Set in NewGroup, then read-only.
	r    *Registry
	name string

	// now is what readers use; nil after a change, until somebody asks. A list is never changed:
	// otherwise a broadcast would have to hold a lock while it waits for room.
	now atomic.Pointer[list[M]]

	// ties is where LeastLoaded begins to look: behind the one it returned last. Written and read
	// by every caller; that two of them may begin at the same place does no harm.
	ties atomic.Uint64

	// Registry.mu protects the following.
	byRef  map[actor.Ref[M]]*member[M]
	joined uint64 // so far

	// mu protects the following. It may be locked under Registry.mu.
	mu sync.Mutex
	// in order of joining, with some that have left; the beginnings of it are lists, so it only
	// grows
	members []*member[M]
	left    int    // how many of them
	last    uint64 // whose turn it was in Next, when now was last thrown away
}

// member is a ref in a group.
type member[M any] struct {
	ref  actor.Ref[M]
	id   uint64 // its number in the order of joining; the same for as long as it is a member
	left bool   // Group.mu protects it
}

// list are the members between two changes.
type list[M any] struct {
	members []*member[M]
	turn    atomic.Uint64 // of Next; counted by every caller
}

// anyGroup is a group without its type.
type anyGroup interface {
	message() reflect.Type
	checked() (refs []any, err error)
}

// SendError says who did not get a broadcast message, and why.
type SendError[M any] struct {
	Ref actor.Ref[M]
	Err error
}

// Error is the path and the cause, on one line: what can't be printed is escaped.
func (e *SendError[M]) Error() string {
	_, path := who(e.Ref)
	return fmt.Sprintf("registry: send to %s: %s", text.Word(path), text.Line(guard.Text(e.Err)))
}

// Unwrap gives Err.
func (e *SendError[M]) Unwrap() error { return e.Err }

// NewGroup gives the group called name, and makes it if there is none: the same for the same name
// and M. A *TypeError if there is one for other messages; a *NameError for a name that can't be
// one. Names of groups and of refs are apart. A group stays, also without members, as long as the
// registry. It panics on a nil registry.
func NewGroup[M any](r *Registry, name string) (*Group[M], error) {
	if err := check(r, "NewGroup", name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	has, ok := r.groups[name]
	if !ok {
		g := &Group[M]{r: r, name: name, byRef: make(map[actor.Ref[M]]*member[M])}
		r.groups[name] = g
		return g, nil
	}
	g, ok := has.(*Group[M])
	if !ok {
		return nil, &TypeError{name, has.message(), reflect.TypeFor[M]()}
	}
	return g, nil
}

func (g *Group[M]) message() reflect.Type { return reflect.TypeFor[M]() }

// Name is that of the group.
func (g *Group[M]) Name() string { return g.name }

// Join makes ref a member, until it leaves or its tasklet ends for good. Joining again does
// nothing. mailbox.ErrClosed if ref's tasklet has ended for good. It panics on a zero ref.
func (g *Group[M]) Join(ref actor.Ref[M]) error {
	if ref.IsZero() {
		misuse("Join of a zero Ref to the group %q", g.name)
	}
	if !lockFor(g.r, ref) {
		return fmt.Errorf("registry: join group %q: %w", g.name, mailbox.ErrClosed)
	}
	if g.byRef[ref] != nil {
		g.r.mu.Unlock()
		return nil
	}
	g.joined++
	m := &member[M]{ref: ref, id: g.joined}
	g.byRef[ref] = m
	g.mu.Lock()
	g.members = append(g.members, m)
	g.changed()
	g.mu.Unlock()
	note(g.r, ref, "groups", g.name, true)
	g.r.unlock(EventGroupJoined, m.who, "group", g.name)
	return nil
}

func (m *member[M]) who() (*actor.Tasklet, string) { return who(m.ref) }

// Leave takes ref out; if it is no member, nothing happens. Who leaves and joins again is a new
// member, the last in the order.
func (g *Group[M]) Leave(ref actor.Ref[M]) {
	g.r.mu.Lock()
	m := g.byRef[ref]
	if m == nil {
		g.r.mu.Unlock()
		return
	}
	delete(g.byRef, ref)
	g.mu.Lock()
	m.left = true
	if g.left++; 2*g.left > len(g.members) {
		g.sweep()
	}
	g.changed()
	g.mu.Unlock()
	note(g.r, ref, "groups", g.name, false)
	g.r.unlock(EventGroupLeft, m.who, "group", g.name)
}

// changed throws the list away. Under mu.
func (g *Group[M]) changed() {
	l := g.now.Load()
	if l == nil {
		return
	}
	if n := uint64(len(l.members)); n > 0 {
		if turn := l.turn.Load(); turn > 0 {
			g.last = l.members[(turn-1)%n].id
		}
	}
	g.now.Store(nil)
}

// sweep forgets those who have left. Under mu.
func (g *Group[M]) sweep() {
	if g.left == 0 {
		return
	}
	stay := make([]*member[M], 0, len(g.members)-g.left)
	for _, m := range g.members {
		if !m.left {
			stay = append(stay, m)
		}
	}
	g.members, g.left = stay, 0
}

// list gives the members. When some have left it is made anew, which takes a time that grows with
// their number.
func (g *Group[M]) list() *list[M] {
	if l := g.now.Load(); l != nil {
		return l
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.now.Load(); l != nil {
		return l // somebody else was faster, and turns were taken
	}
	g.sweep()
	l := &list[M]{members: slices.Clip(g.members)}
	next, _ := slices.BinarySearchFunc(l.members, g.last+1, func(m *member[M], id uint64) int { return cmp.Compare(m.id, id) })
	l.turn.Store(uint64(next))
	g.now.Store(l)
	return l
}

// Members gives the members in order of joining.
func (g *Group[M]) Members() []actor.Ref[M] {
	ms := g.list().members
	refs := make([]actor.Ref[M], len(ms))
	for i, m := range ms {
		refs[i] = m.ref
	}
	return refs
}

// Broadcast sends m to all that are members when it begins, one after the other in order of
// joining, as Ref.Send does: it waits for room where a member's mailbox says so, as long as ctx
// allows, and goes on with the next. Who joins meanwhile does not get m; who leaves meanwhile does.
// sent is how many sends were done; what such a mailbox drops afterwards, under mailbox.DropNewest
// for one, is a dead letter. err joins a *SendError for each member whose send failed.
func (g *Group[M]) Broadcast(ctx context.Context, m M) (sent int, err error) {
	var errs []error
	for _, to := range g.list().members {
		if err := to.ref.Send(ctx, m); err != nil {
			errs = append(errs, &SendError[M]{to.ref, err})
		} else {
			sent++
		}
	}
	return sent, errors.Join(errs...)
}

// Next gives the members in turn, in order of joining, without those that are closed. When members
// come or go the turn stays where it is: who joins comes last in the round. ErrNoMembers.
func (g *Group[M]) Next() (actor.Ref[M], error) {
	l := g.list()
	n := uint64(len(l.members))
	for range n {
		if ref := l.members[(l.turn.Add(1)-1)%n].ref; !ref.IsClosed() {
			return ref, nil
		}
	}
	for _, m := range l.members { // other callers may have had the turns of those that are open
		if !m.ref.IsClosed() {
			return m.ref, nil
		}
	}
	return actor.Ref[M]{}, g.none()
}

// LeastLoaded returns the member with the least to do, without those that are closed: the messages
// that are queued, those of senders that wait for room, and what it has in hand count; see
// Ref.Load. Equals have their turns. It looks at all of them. ErrNoMembers.
func (g *Group[M]) LeastLoaded() (actor.Ref[M], error) {
	var best actor.Ref[M]
	least, at := 0, 0
	members := g.list().members
	if n := len(members); n > 0 {
		first := int(g.ties.Load() % uint64(n))
		for i := range n {
			m := members[(first+i)%n]
			if load := m.ref.Load(); (best.IsZero() || load < least) && !m.ref.IsClosed() {
				best, least, at = m.ref, load, (first+i)%n
				if least == 0 {
					break
				}
			}
		}
	}
	g.ties.Store(uint64(at) + 1)
	if best.IsZero() {
		return best, g.none()
	}
	return best, nil
}

// ForKey gives the same member for the same key as long as it is a member and not closed; when one
// leaves, only its keys go to others, and when one joins, it takes an equal share from each. That
// is rendezvous hashing (D. Thaler and C. Ravishankar, "Using name-based mappings to increase hit
// rates", 1998): every member draws a number from the key and its place in the order of joining,
// and the highest has it. It looks at all members. ErrNoMembers.
func (g *Group[M]) ForKey(key string) (actor.Ref[M], error) {
	h := hash(key)
	var best actor.Ref[M]
	highest := uint64(0)
	for _, m := range g.list().members {
		if w := weight(h, m.id); (w > highest || best.IsZero()) && !m.ref.IsClosed() {
			best, highest = m.ref, w
		}
	}
	if best.IsZero() {
		return best, g.none()
	}
	return best, nil
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

// weight mixes a key's hash with a member's number: the finalizer of splitmix64 (G. Steele, D. Lea,
// C. Flood, 2014), in which every bit of the input changes half of the bits of the result.
func weight(h, id uint64) uint64 {
	x := h + id*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
