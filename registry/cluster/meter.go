package cluster

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

// Why a frame is not accepted.
const (
	refusedVersion  = iota
	refusedSession  // of another incarnation
	refusedFrame    // it is malformed
	refusedProtocol // the link has ended
	refusedOverrun  // the link has ended
	refusedUnknown  // from a node that is not known here
	refusedFlood    // too many frames wait to be read
)

// refusedFor returns why package wire has not accepted a frame.
func refusedFor(err error) int {
	for i, e := range [...]error{wire.ErrVersion, wire.ErrSession, wire.ErrFrame, wire.ErrProtocol, wire.ErrOverrun} {
		if errors.Is(err, e) {
			return i
		}
	}
	return refusedFrame
}

// meter has the counts of all nodes that a system has had.
type meter struct {
	mu sync.Mutex // protects the following
	// Owned by mu.
	counts vitals.ClusterCounts
	nodes  []*Node // that have not ended
}

// metered has the meter of each system.
var metered = actor.NewExtension(func(*actor.System) *meter { return new(meter) })

func (m *meter) add(c vitals.ClusterCounts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Sent = vitals.ClusterTraffic(Traffic(m.counts.Sent).plus(Traffic(c.Sent)))
	m.counts.Received = vitals.ClusterTraffic(Traffic(m.counts.Received).plus(Traffic(c.Received)))
	m.counts.Again += c.Again
	for i, n := range c.Refused {
		m.counts.Refused[i] += n
	}
}

// refuse counts a frame that was not accepted. It may be called on any goroutine.
func (m *meter) refuse(why int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Refused[why]++
}

func (m *meter) join(n *Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = append(m.nodes, n)
}

func (m *meter) leave(n *Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = slices.DeleteFunc(m.nodes, func(o *Node) bool { return o == n })
}

// all returns the nodes, sorted by name.
func (m *meter) all() []*Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.nodes)
	slices.SortFunc(all, func(a, b *Node) int { return cmp.Compare(a.cfg.Name, b.cfg.Name) })
	return all
}

func init() {
	vitals.ClusterNodes = func(system any) []vitals.ClusterNode {
		var all []vitals.ClusterNode
		for _, n := range metered.Of(system.(*actor.System)).all() {
			all = append(all, n.vitals())
		}
		return all
	}
	vitals.ClusterNames = func(system any, yield func(vitals.ClusterName) bool) {
		for _, n := range metered.Of(system.(*actor.System)).all() {
			if !n.eachName(yield) {
				return
			}
		}
	}
	vitals.ClusterCountsOf = func(system any) vitals.ClusterCounts {
		m := metered.Of(system.(*actor.System))
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.counts
	}
}

// vitals returns what the page and the metrics show of the node.
func (n *Node) vitals() vitals.ClusterNode {
	self := n.Self()
	v := vitals.ClusterNode{
		Name: self.Name, Incarnation: self.Incarnation.String(), Labels: self.Labels, State: "member", Since: self.Since,
		Lease: max(0, time.Duration(n.until.Load())-n.clock()),
	}
	if err := n.Err(); errors.Is(err, ErrShutOut) {
		v.State = "shut_out"
	} else if err != nil {
		v.State = "left"
	}
	n.mu.Lock()
	v.Names, v.Singletons, v.Shards = n.held[ofName], n.held[ofSingleton], n.held[ofShard]
	n.mu.Unlock()
	for _, l := range n.Links() {
		x := vitals.ClusterLink{
			Node: l.Peer.Name, Incarnation: l.Peer.Incarnation.String(), Labels: l.Peer.Labels, State: l.State.String(), For: l.For,
			Outboxes: l.Outboxes, Waiting: l.Waiting, Unconfirmed: l.Unconfirmed, UnconfirmedBytes: l.UnconfirmedBytes,
			Calls: l.Calls, Queued: l.Queued, Again: l.Again, Refused: l.Refused,
			Sent: vitals.ClusterTraffic(l.Sent), Received: vitals.ClusterTraffic(l.Received),
		}
		if l.Cause != nil {
			x.Cause = l.Cause.Error()
		}
		v.Links = append(v.Links, x)
	}
	return v
}

// eachName calls yield for the names that the node knows, in no order, and reports whether it has
// always returned true.
func (n *Node) eachName(yield func(vitals.ClusterName) bool) bool {
	going := true
	n.names.Range(func(name, has any) bool {
		o := has.(*owner)
		going = yield(vitals.ClusterName{
			At: n.cfg.Name, Name: name.(string), Node: o.Node, Type: o.Type, Token: o.token.Revision,
			Member: o.Node == n.cfg.Name || n.member(o.Node, o.Incarnation),
		})
		return going
	})
	return going
}
