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
	"github.com/gotasklet/tasklet/internal/rendezvous"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/mailbox"
)

// Group is a set of refs that take messages of type M, in the order in which they joined. Use
// [NewGroup] to get one; the zero Group is not usable. Its methods may be called from any
// goroutine.
type Group[M any] struct {
	// Set in NewGroup, then read-only.
	r    *Registry
	name string

	// Atomic: the list that readers use, nil after a change until it is needed. Written under mu,
	// read without a lock. A list is never changed, so that a broadcast needs no lock while it
	// waits for room.
	now atomic.Pointer[list[M]]

	// Atomic: the index at which LeastLoaded begins to look, after the member that it returned
	// last. Written and read by every caller. Two callers may begin at the same index, which does
	// no harm.
	ties atomic.Uint64

	// Registry.mu protects the following.
	byRef  map[actor.Ref[M]]*member[M]
	joined uint64 // so far

	// mu protects the following. It may be locked while Registry.mu is held.
	mu sync.Mutex
	// members is in the order of joining, and includes the members that have left. Every list is a
	// prefix of it, so it is appended to or replaced, never changed.
	members []*member[M]
	left    int    // the number of members that have left
	last    uint64 // the id of the member that Next returned last, before the last change
}

// member is a ref in a group.
type member[M any] struct {
	ref  actor.Ref[M]
	id   uint64 // the number in the order of joining
	left bool   // Group.mu protects it
}

// list holds the members between two changes.
type list[M any] struct {
	members []*member[M]
	turn    atomic.Uint64 // of Next; incremented by every caller
}

// anyGroup is a group without its message type.
type anyGroup interface {
	message() reflect.Type
	checked() (refs []any, err error)
	some(max int) (paths []string, members int)
}

// SendError reports that a member of a group did not get a broadcast message, and why.
type SendError[M any] struct {
	Ref actor.Ref[M]
	Err error
}

// Error returns the path and the cause on one line. Characters that cannot be printed are escaped.
func (e *SendError[M]) Error() string {
	_, path := who(e.Ref)
	return fmt.Sprintf("registry: send to %s: %s", text.Word(path), text.Line(guard.Text(e.Err)))
}

// Unwrap returns e.Err.
func (e *SendError[M]) Unwrap() error { return e.Err }

// NewGroup returns the group with this name, and makes it if there is none. All calls with the same
// name and M return the same group. Names of groups and of refs are separate. A group exists as
// long as the registry, also without members.
//
// NewGroup returns a *TypeError if the group exists for messages of another type, and a *NameError
// if name cannot be a name. It panics if r is nil.
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

// some returns the paths of the first members, at most max, and the number of members.
func (g *Group[M]) some(max int) (paths []string, members int) {
	all := g.list().members
	for _, m := range all[:min(max, len(all))] {
		_, path := who(m.ref)
		paths = append(paths, path)
	}
	return paths, len(all)
}

// Name returns the name of the group.
func (g *Group[M]) Name() string { return g.name }

// Join makes ref a member, until it leaves or its tasklet has ended permanently. If ref is a member
// already, Join has no effect. It returns mailbox.ErrClosed if the tasklet of ref has ended
// permanently. It panics if ref is zero. Join never parks.
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

// Leave removes ref from the group. It has no effect if ref is not a member. A ref that leaves and
// joins again becomes the last member in the order. Leave never parks.
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

// changed discards the list after a change, and notes whose turn it was. mu must be held.
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

// sweep removes the members that have left. mu must be held.
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

// list returns the members. After a change it makes a new list; that takes time in proportion to
// the number of members if some have left.
func (g *Group[M]) list() *list[M] {
	if l := g.now.Load(); l != nil {
		return l
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.now.Load(); l != nil {
		return l // another caller was faster
	}
	g.sweep()
	l := &list[M]{members: slices.Clip(g.members)}
	next, _ := slices.BinarySearchFunc(l.members, g.last+1, func(m *member[M], id uint64) int { return cmp.Compare(m.id, id) })
	l.turn.Store(uint64(next))
	g.now.Store(l)
	return l
}

// Members returns the members in the order of joining.
func (g *Group[M]) Members() []actor.Ref[M] {
	ms := g.list().members
	refs := make([]actor.Ref[M], len(ms))
	for i, m := range ms {
		refs[i] = m.ref
	}
	return refs
}

// Broadcast sends m to the refs that are members when it begins, one after the other in the order
// of joining, as Ref.Send does. Where the mailbox of a member is full and its policy is to block,
// Broadcast waits for room, as long as ctx allows, and then continues with the next member; in a
// tasklet it parks. A ref that joins during the call does not get m; one that leaves still does.
//
// Broadcast returns the number of sends that succeeded, and an error that joins a *SendError for
// each that failed. A message that a mailbox drops by its policy is reported as a dead letter, and
// counts as sent.
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

// Next returns the members in turn, in the order of joining, skipping closed ones. A member that
// joins comes last in the round; otherwise changes do not move the turn. Next returns ErrNoMembers
// if there is no open member.
func (g *Group[M]) Next() (actor.Ref[M], error) {
	l := g.list()
	n := uint64(len(l.members))
	for range n {
		if ref := l.members[(l.turn.Add(1)-1)%n].ref; !ref.IsClosed() {
			return ref, nil
		}
	}
	for _, m := range l.members { // other callers may have taken the turns of the open members
		if !m.ref.IsClosed() {
			return m.ref, nil
		}
	}
	return actor.Ref[M]{}, g.none()
}

// LeastLoaded returns the open member with the smallest load: the number of its messages that are
// queued, in hand, or held by senders that wait for room; see Ref.Load. Members with equal loads
// take turns. It examines all members. It returns ErrNoMembers if there is no open member.
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

// ForKey returns the same member for the same key, as long as it is a member and open. When a
// member leaves, only its keys move to others. When one joins, it takes an equal share of keys from
// each.
//
// This is rendezvous hashing (D. Thaler and C. Ravishankar, "Using name-based mappings to increase
// hit rates", 1998): a number is computed from the key and each member's place in the order of
// joining, and the member with the highest number has the key. ForKey examines all members. It
// returns ErrNoMembers if there is no open member.
func (g *Group[M]) ForKey(key string) (actor.Ref[M], error) {
	h := rendezvous.Hash(key)
	var best actor.Ref[M]
	highest := uint64(0)
	for _, m := range g.list().members {
		if w := rendezvous.Weight(h, m.id); (w > highest || best.IsZero()) && !m.ref.IsClosed() {
			best, highest = m.ref, w
		}
	}
	if best.IsZero() {
		return best, g.none()
	}
	return best, nil
}

func (g *Group[M]) none() error { return fmt.Errorf("%w: %q", ErrNoMembers, g.name) }
