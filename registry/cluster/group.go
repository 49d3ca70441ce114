package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/rendezvous"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

const groupsPrefix = "groups/"

// maxMemberships is how many refs of one node may be in groups: the table of a node is one value of
// the directory.
const maxMemberships = 5000

// ErrMemberships is returned by [Group.Join] if 5,000 refs of this node are in groups.
var ErrMemberships = errors.New("cluster: too many refs of this node are in groups")

// Group is a group of refs with messages of type M under one name, over all nodes. Use [NewGroup]
// to get one. Its methods may be called from any goroutine.
//
// Members come in the order of the names of their nodes, and on each node in the order of joining.
// Each node has its own copy of the list, which may be old for as long as the directory takes. Refs
// of messages of another type, or of an older version than this node sends, are no members for it.
type Group[M any] struct {
	n    *Node
	name string
	now  atomic.Pointer[groupList[M]]
	turn atomic.Uint64 // of Next
}

// groupList is the members at a version of the node.
type groupList[M any] struct {
	version uint64
	members []groupMember[M]
}

type groupMember[M any] struct {
	ref     actor.Ref[M]
	number  uint64 // for ForKey
	suspect bool   // the member's node is
}

// membership is a ref in a group, as the directory has it.
type membership struct {
	ID   uint64 `json:"id"`
	Type string `json:"type,omitempty"`

	unwatch func() // of a ref of this node: its end is no leave any more; nil if nobody watches it
}

// memberships is the value of a node's key for its groups.
type memberships struct {
	Incarnation uuid.UUID               `json:"incarnation"`
	Groups      map[string][]membership `json:"groups"`

	token Token // of the key
}

// valid reports whether a node of this package can have written the table.
func (m *memberships) valid() bool {
	count := 0
	for name, all := range m.Groups {
		if count += len(all); checkName(name) != nil || count > maxMemberships {
			return false
		}
	}
	return true
}

// NewGroup returns the group with this name. A group needs no place: it exists as long as it has
// members. NewGroup returns a *registry.NameError if name cannot be a name or begins with
// "(shards)/", and the error of [Type] if M can't be sent to another node.
func NewGroup[M any](n *Node, name string) (*Group[M], error) {
	if n == nil {
		misuse("NewGroup with a nil Node")
	}
	if err := checkOwn(name, hostsPrefix); err != nil {
		return nil, err
	}
	if err := codec.Check[M](n.cfg.types); err != nil {
		return nil, err
	}
	return &Group[M]{n: n, name: name}, nil
}

// Name returns the name of the group.
func (g *Group[M]) Name() string { return g.name }

// Join makes ref a member until it leaves, its tasklet has ended permanently, or the node leaves
// the cluster. It returns when the directory has it; other nodes see it soon after. A ref that is a
// member already stays the one that it is. When the node has joined anew after it was shut out, the
// ref is a member again.
//
// Join returns mailbox.ErrClosed if the tasklet of ref has ended permanently, [ErrMemberships],
// the *[NodeError] of a node that is no member, and [ErrNoQuorum] with its cause if the directory
// does not answer: then ref will be a member as soon as it does. Join parks the caller. It panics
// if ref is zero, or is a ref to another node.
func (g *Group[M]) Join(ctx context.Context, ref actor.Ref[M]) error {
	if ref.IsZero() {
		misuse("Join of a zero Ref to the group %q", g.name)
	}
	r := far.Of(ref)
	if r.Proxy() != nil {
		misuse("Join of a ref to another node to the group %q", g.name)
	}
	if ref.IsDead() {
		return mailbox.ErrClosed
	}
	if gone := g.n.Err(); gone != nil && errors.Is(gone, ErrLeft) {
		return gone
	}
	e := g.n.export(r)
	added, err := g.n.addMember(g.name, membership{ID: e.id, Type: wireName[M](g.n)})
	if err != nil {
		return err
	}
	if added {
		g.n.watchMember(g.name, e.id, ref.OnEnd(func() { g.n.removeMember(g.name, e.id) }))
	}
	return g.n.writeGroups(ctx)
}

// Leave removes ref from the group, and returns when the directory has it. If ref is no member it
// does nothing. It returns the errors of the directory as Join does; ref leaves as soon as the
// directory answers. It parks the caller.
func (g *Group[M]) Leave(ctx context.Context, ref actor.Ref[M]) error {
	if ref.IsZero() {
		misuse("Leave of a zero Ref from the group %q", g.name)
	}
	r := far.Of(ref)
	if r.Proxy() != nil {
		misuse("Leave of a ref to another node from the group %q", g.name)
	}
	if !g.n.removeMember(g.name, g.n.export(r).id) {
		return nil
	}
	return g.n.writeGroups(ctx)
}

// Members returns the members. Refs to other nodes are as those of [Find].
func (g *Group[M]) Members() []actor.Ref[M] {
	all := g.list().members
	refs := make([]actor.Ref[M], len(all))
	for i, m := range all {
		refs[i] = m.ref
	}
	return refs
}

// Broadcast sends m to the refs that are members when it begins, one after the other, as Ref.Send
// does. Where the mailbox of a member is full it waits for room, as long as ctx allows, and parks
// the caller. It returns the number of sends that succeeded, and an error that joins a
// *registry.SendError for each that failed.
func (g *Group[M]) Broadcast(ctx context.Context, m M) (sent int, err error) {
	var errs []error
	for _, to := range g.list().members {
		if err := to.ref.Send(ctx, m); err != nil {
			errs = append(errs, &registry.SendError[M]{Ref: to.ref, Err: err})
		} else {
			sent++
		}
	}
	return sent, errors.Join(errs...)
}

// Next returns the members in turn, without closed ones, and without those on nodes that are
// suspect as long as there are others. Each node, and each Group, has a turn of its own. It returns
// registry.ErrNoMembers if there is no open member.
func (g *Group[M]) Next() (actor.Ref[M], error) {
	all := g.list().members
	n := uint64(len(all))
	for _, suspects := range []bool{false, true} {
		for range n {
			m := all[(g.turn.Add(1)-1)%n]
			if m.suspect == suspects && !m.ref.IsClosed() {
				return m.ref, nil
			}
		}
	}
	return actor.Ref[M]{}, g.none()
}

// ForKey returns the same member for the same key on all nodes that know the same members, as long
// as it is a member and open. When a member leaves, only its keys move to others. When one joins,
// it takes an equal share of keys from each. It returns registry.ErrNoMembers if there is no open
// member. See package registry for the algorithm.
func (g *Group[M]) ForKey(key string) (actor.Ref[M], error) {
	h := rendezvous.Hash(key)
	var best actor.Ref[M]
	highest := uint64(0)
	for _, m := range g.list().members {
		if w := rendezvous.Weight(h, m.number); (w > highest || best.IsZero()) && !m.ref.IsClosed() {
			best, highest = m.ref, w
		}
	}
	if best.IsZero() {
		return best, g.none()
	}
	return best, nil
}

func (g *Group[M]) none() error { return fmt.Errorf("%w: %q", registry.ErrNoMembers, g.name) }

// list returns the members. A new list is made after a change of members of the cluster or of any
// group.
func (g *Group[M]) list() *groupList[M] {
	n := g.n
	version := n.version.Load()
	if l := g.now.Load(); l != nil && l.version == version {
		return l
	}
	l := &groupList[M]{version: version}
	n.mu.Lock()
	defer n.mu.Unlock()
	names := slices.AppendSeq(make([]string, 0, len(n.links)+1), maps.Keys(n.links))
	names = append(names, n.cfg.Name)
	slices.Sort(names)
	var none actor.Ref[M]
	typ, want, label := far.TypeOf(none), wireName[M](n), g.name
	for _, name := range names {
		has := n.mine[g.name]
		link := n.links[name]
		if link != nil {
			table := n.groups[name]
			if table == nil || table.Incarnation != link.peer.Incarnation {
				continue
			}
			has = table.Groups[g.name]
		}
		for _, m := range has {
			if !reads(m.Type, want) {
				continue
			}
			var ref any
			if link == nil {
				if e := n.exports[m.ID]; e != nil {
					ref = e.ref.Value()
				}
			} else {
				x := link.imports[m.ID].live()
				switch {
				case x != nil:
				case link.over != nil:
					continue
				default:
					x = link.imported(m.ID, typ, fmt.Sprintf("%s-%d", label, m.ID))
				}
				ref = x.Value()
			}
			if ref, ok := ref.(actor.Ref[M]); ok {
				number := rendezvous.Hash(fmt.Sprintf("%s %d", name, m.ID))
				l.members = append(l.members, groupMember[M]{ref, number, link != nil && link.suspect.Load()})
			}
		}
	}
	g.now.Store(l)
	return l
}

// addMember adds a ref of this node to a group, and reports whether it was none.
func (n *Node) addMember(group string, m membership) (added bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.ContainsFunc(n.mine[group], func(o membership) bool { return o.ID == m.ID }) {
		return false, nil
	}
	if n.mineCount >= maxMemberships {
		return false, ErrMemberships
	}
	n.mineCount++
	n.mine[group] = append(slices.Clip(n.mine[group]), m)
	n.mineVersion++
	n.version.Add(1)
	return true, nil
}

// watchMember keeps the function that ends what was arranged for the end of a member, until the
// member leaves.
func (n *Node) watchMember(group string, id uint64, unwatch func()) {
	n.mu.Lock()
	all := n.mine[group]
	i := slices.IndexFunc(all, func(o membership) bool { return o.ID == id })
	if i >= 0 {
		all[i].unwatch, unwatch = unwatch, all[i].unwatch
	}
	n.mu.Unlock()
	if unwatch != nil { // it has left meanwhile, or has left and joined
		unwatch()
	}
}

// removeMember removes a ref of this node from a group, and reports whether it was one.
func (n *Node) removeMember(group string, id uint64) bool {
	n.mu.Lock()
	i := slices.IndexFunc(n.mine[group], func(o membership) bool { return o.ID == id })
	var unwatch func()
	if i >= 0 {
		unwatch = n.mine[group][i].unwatch
		n.mineCount--
		left := slices.Delete(slices.Clone(n.mine[group]), i, i+1)
		if n.mine[group] = left; len(left) == 0 {
			delete(n.mine, group)
		}
		n.mineVersion++
		n.version.Add(1)
	}
	n.mu.Unlock()
	if i < 0 {
		return false
	}
	if unwatch != nil {
		unwatch()
	}
	_ = n.clerk.TrySend(context.Background(), clerkMsg{}) // also if nobody waits for it
	return true
}

// writeGroups returns when the directory has the memberships of this node as they are now.
func (n *Node) writeGroups(ctx context.Context) error {
	_, err := actor.Call(ctx, n.clerk, func(r actor.Reply[struct{}]) clerkMsg { return clerkMsg{reply: r, waits: true} })
	if gone := n.Err(); err != nil && gone != nil {
		return gone
	}
	return err
}

// clerkMsg asks the clerk to write the memberships.
type clerkMsg struct {
	own.Mark
	reply actor.Reply[struct{}]
	waits bool // somebody waits for reply
	again bool // the attempt before has failed
}

// clerk writes the memberships of a node into the directory. Owned by its tasklet.
type clerk struct {
	n           *Node
	token       Token
	written     uint64    // the version that is written
	incarnation uuid.UUID // with which
	again       bool      // a message to try again is under way
}

// handle writes the memberships if they have changed.
func (c *clerk) handle(t *actor.Tasklet, m clerkMsg) error {
	if m.again {
		c.again = false
	}
	err := c.write(t)
	if err != nil && !c.again && c.n.gone.Load() == nil {
		c.again = true
		actor.SendAfter(t, c.n.cfg.TTL/5, c.n.clerk, clerkMsg{again: true})
	}
	switch {
	case !m.waits || !m.reply.Awaited():
	case err != nil:
		_ = m.reply.Fail(t, err)
	default:
		_ = m.reply.Send(t, struct{}{})
	}
	return nil
}

func (c *clerk) write(t *actor.Tasklet) error {
	n := c.n
	if err := n.Err(); err != nil {
		return err // when the node has joined anew it is asked again
	}
	self := n.self.Load()
	n.mu.Lock()
	version := n.mineVersion
	if version == c.written && self.Incarnation == c.incarnation || len(n.mine) == 0 && c.token == (Token{}) {
		n.mu.Unlock()
		return nil
	}
	value, err := json.Marshal(memberships{Incarnation: self.Incarnation, Groups: n.mine})
	n.mu.Unlock()
	if err != nil {
		return err
	}
	key := groupsPrefix + self.Name
	ctx, cancel := actor.WithTimeout(t, n.cfg.TTL/5)
	defer cancel()
	for {
		var token Token
		if c.token == (Token{}) {
			token, err = n.dir.Create(ctx, key, value, 0)
		} else {
			token, err = n.dir.Update(ctx, key, value, c.token, 0)
		}
		switch {
		case err == nil:
			c.token, c.written, c.incarnation = token, version, self.Incarnation
			return nil
		case !errors.Is(err, ErrExists) && !errors.Is(err, ErrChanged):
			return known(t, err)
		}
		// Somebody else has written it: this node before, without an answer, or another process
		// with its name. Only the one whose session lives may write it.
		if lives, err := n.sessionLives(ctx, self); err != nil {
			return known(t, err)
		} else if !lives {
			return n.nodeError(*self, ErrShutOut)
		}
		if _, c.token, err = n.dir.Get(ctx, key); err != nil && !errors.Is(err, ErrNoKey) {
			return known(t, err)
		}
	}
}

// groupsChanged takes in a change of the memberships of another node.
func (n *Node) groupsChanged(name string, c Change) {
	var m memberships
	ok := !c.Gone && json.Unmarshal(c.Value, &m) == nil && m.valid()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !ok {
		delete(n.groups, name)
	} else {
		m.token = c.Token
		n.groups[name] = &m
	}
	n.version.Add(1)
}
