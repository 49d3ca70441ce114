package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

// session is the value of a node's key in the directory.
type session struct {
	Incarnation uuid.UUID         `json:"incarnation"`
	Labels      map[string]string `json:"labels,omitempty"`
	Since       time.Time         `json:"since"`
}

// decodeSession returns a session, and false for what no node of this package can have written.
func decodeSession(value []byte) (s session, ok bool) {
	err := json.Unmarshal(value, &s)
	return s, err == nil && s.Incarnation != uuid.Nil && !s.Since.IsZero() && labelBytes(s.Labels) <= maxLabelBytes
}

func (s session) member(name string) Member {
	return Member{Name: name, Incarnation: s.Incarnation, Labels: s.Labels, Since: s.Since}
}

// joined tells the node's tasklet that a new session has begun.
type joined struct {
	self  Member
	until time.Duration // of the lease
}

// open writes the session of a new incarnation into the directory. It waits until the session of an
// earlier one has ended. After an error it is not known whether the session was made, and only
// another incarnation may try again.
func (n *Node) open(t *actor.Tasklet) (j joined, token Token, value []byte, err error) {
	j.self = Member{Name: n.cfg.Name, Incarnation: n.newIncarnation(), Labels: n.cfg.Labels, Since: n.sys.Now()}
	value, err = json.Marshal(session{j.self.Incarnation, j.self.Labels, j.self.Since})
	if err != nil {
		return j, token, nil, err
	}
	for {
		begin := n.clock()
		token, err = n.dir.Create(t, nodePrefix+n.cfg.Name, value, n.cfg.TTL)
		if !errors.Is(err, ErrExists) {
			j.until = n.leaseFrom(begin)
			n.barred.Store(false)
			return j, token, value, err
		}
		n.barred.Store(true)
		t.Sleep(time.Second)
	}
}

// newIncarnation returns an identifier, which is one of the seed in a system with a seed.
func (n *Node) newIncarnation() uuid.UUID {
	id := uuid.New()
	if n.inside && n.sys.Virtual() && n.sys.Rand() != nil {
		for i := range id {
			id[i] = byte(n.sys.Rand().Uint32())
		}
	}
	return id
}

// clock returns the time since the node was made. No change of the wall clock changes it.
func (n *Node) clock() time.Duration { return n.sys.Now().Sub(n.made) }

// leaseFrom returns the end of the lease that a renewal gives that was begun at a time. It is a
// margin before the end of the session, which may have begun at once: for the clock of the
// directory, which may be faster than that of this node, and for what has to be stopped.
func (n *Node) leaseFrom(begin time.Duration) time.Duration { return begin + n.cfg.TTL - n.cfg.TTL/5 }

// leased reports whether the lease holds.
func (n *Node) leased() bool { return n.clock() < time.Duration(n.until.Load()) }

// keep renews the session as long as the node lives. When the session has ended, it joins anew. It
// is the body of a child of the node's tasklet.
func (n *Node) keep(t *actor.Tasklet, token Token, value []byte) error {
	for {
		n.renew(t, token, value)
		if err := n.ref.Send(t, nodeMsg{down: ErrShutOut}); err != nil {
			return err
		}
		for {
			j, next, v, err := n.open(t)
			if err == nil {
				token, value = next, v
				if err := n.ref.Send(t, nodeMsg{joined: &j}); err != nil {
					return err
				}
				break
			}
			t.Sleep(time.Second)
		}
	}
}

// renew renews the session until it has ended. An attempt that is not answered is given up soon
// enough for another one between the end of the lease and that of the session.
func (n *Node) renew(t *actor.Tasklet, token Token, value []byte) {
	key, every := nodePrefix+n.cfg.Name, n.cfg.TTL/5
	for wait := every; ; {
		t.Sleep(wait)
		wait = every / 10
		ctx, cancel := actor.WithTimeout(t, every/2)
		begin := n.clock()
		next, err := n.dir.Update(ctx, key, value, token, n.cfg.TTL)
		switch {
		case err == nil:
			token, wait = next, every
			_ = n.ref.Send(t, nodeMsg{until: n.leaseFrom(begin)})
		case errors.Is(err, ErrChanged):
			// Perhaps by an update whose answer was lost. It is not known when that was done, so it
			// gives no lease; the next one does.
			now, next, err := n.dir.Get(ctx, key)
			if err == nil && string(now) != string(value) || errors.Is(err, ErrNoKey) {
				cancel()
				return
			}
			if err == nil {
				token = next
			}
		}
		cancel()
	}
}

// renewed begins a lease that ends at a time.
func (n *Node) renewed(until time.Duration) {
	n.until.Store(int64(until))
	actor.SendAfter(n.t, until-n.clock(), n.ref, nodeMsg{lapse: true})
}

// lapsed ends what hangs on the lease if it is over.
func (n *Node) lapsed() {
	if !n.leased() {
		n.loseClaims(ErrLease)
	}
}

// shutOut is called when the session has ended although the node lives.
func (n *Node) shutOut(cause error) {
	self := *n.self.Load()
	err := n.nodeError(self, cause)
	n.until.Store(0)
	n.gone.Store(err)
	n.loseClaims(err)
	n.mu.Lock()
	links := n.links
	n.links = map[string]*link{}
	n.mu.Unlock()
	n.changedMembers()
	for _, name := range slices.Sorted(maps.Keys(links)) {
		_ = links[name].ref.TrySend(n.t, linkMsg{what: linkLost, err: err})
	}
	n.emit(EventNodeDown, err, zap.String("node", self.Name), zap.Stringer("incarnation", self.Incarnation))
}

// joinedAnew makes the node a member again, as another incarnation.
func (n *Node) joinedAnew(j *joined) {
	n.self.Store(&j.self)
	n.renewed(j.until)
	n.gone.Store(nil)
	n.emit(EventNodeUp, nil, zap.String("node", j.self.Name), zap.Stringer("incarnation", j.self.Incarnation))
	for _, name := range slices.Sorted(maps.Keys(n.sessions)) {
		n.up(n.sessions[name].member(name))
	}
	n.answerWaits()
	_ = n.clerk.TrySend(context.Background(), clerkMsg{})
}

// sessionChanged takes in a change of the session of another node.
func (n *Node) sessionChanged(name string, c Change) {
	var s session
	there := false
	if !c.Gone {
		s, there = decodeSession(c.Value)
	}
	if there {
		n.sessions[name] = s
	} else {
		delete(n.sessions, name)
	}
	n.mu.Lock()
	l := n.links[name]
	n.mu.Unlock()
	if l != nil && there && l.peer.Incarnation == s.Incarnation {
		return
	}
	if l != nil {
		cause := ErrDown
		if there {
			cause = ErrReplaced
		}
		n.mu.Lock()
		delete(n.links, name)
		n.mu.Unlock()
		n.changedMembers()
		n.litter = true
		err := n.nodeError(l.peer, cause)
		_ = l.ref.TrySend(n.t, linkMsg{what: linkLost, err: err})
		n.emit(EventNodeDown, err, zap.String("node", name), zap.Stringer("incarnation", l.peer.Incarnation))
	}
	if there && n.gone.Load() == nil {
		n.up(s.member(name))
		n.answerWaits() // for names that were claimed there
	}
}

// sweep removes from the directory what nodes have left behind that are lost: their claims, which
// nobody may ever claim again, and their memberships. The first of the nodes by name does it, and
// only after a node was lost. It is the body of a child of the node's tasklet.
func (n *Node) sweep(t *actor.Tasklet) error {
	for {
		t.Sleep(n.cfg.TTL)
		if !n.litter || n.gone.Load() != nil || n.Members()[0].Name != n.cfg.Name {
			continue
		}
		n.litter = false
		type left struct {
			key   string
			token Token
			of    Member
		}
		var all []left
		n.names.Range(func(name, has any) bool {
			if o := has.(*owner); !n.known(o.Node, o.Incarnation) {
				all = append(all, left{namePrefix + name.(string), o.token, Member{Name: o.Node, Incarnation: o.Incarnation}})
			}
			return true
		})
		n.mu.Lock()
		for name, m := range n.groups {
			if !n.known(name, m.Incarnation) {
				all = append(all, left{groupsPrefix + name, m.token, Member{Name: name, Incarnation: m.Incarnation}})
			}
		}
		n.mu.Unlock()
		slices.SortFunc(all, func(a, b left) int { return strings.Compare(a.key, b.key) })
		for _, x := range all {
			lives, err := n.sessionLives(t, &x.of)
			if err == nil && !lives {
				err = n.dir.Delete(t, x.key, x.token)
			}
			if err != nil && !errors.Is(err, ErrChanged) {
				n.litter = true
				break
			}
		}
	}
}

// known reports whether the node is a member in this incarnation, as far as this node knows. It
// must be called on the node's scheduler.
func (n *Node) known(node string, incarnation uuid.UUID) bool {
	if node == n.cfg.Name {
		return n.self.Load().Incarnation == incarnation
	}
	s, ok := n.sessions[node]
	return ok && s.Incarnation == incarnation
}

// changedMembers is called when something has changed of what Members and Suspects return.
func (n *Node) changedMembers() { n.version.Add(1) }

// up makes a link to another node.
func (n *Node) up(m Member) {
	l := newLink(n, m)
	if l.prior = n.latest[m.Name]; l.prior != nil {
		l.prior.successor = l
	}
	n.latest[m.Name] = l
	n.mu.Lock()
	n.links[m.Name] = l
	delete(n.fallen, m.Name)
	n.mu.Unlock()
	n.changedMembers()
	n.emit(EventNodeUp, nil, zap.String("node", m.Name), zap.Stringer("incarnation", m.Incarnation))
}
