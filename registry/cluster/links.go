package cluster

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

// LinkState is what a node thinks of another one.
type LinkState uint8

const (
	LinkUp      LinkState = iota
	LinkSuspect           // nothing has come from it for 3 s; it is still a member
	LinkDown              // it is lost, or has left
)

var linkStates = [...]string{"up", "suspect", "down"}

// String returns the state in one word: "suspect".
func (s LinkState) String() string {
	if int(s) >= len(linkStates) {
		return "LinkState(" + strconv.Itoa(int(s)) + ")"
	}
	return linkStates[s]
}

// LinkInfo is what a node knows of another one. Counts are those of this link, which ends with the
// incarnation of either node, and they are up to a second old.
type LinkInfo struct {
	Peer  Member
	State LinkState
	For   time.Duration // how long it has been in this state
	Cause error         // why it is down, a *NodeError; otherwise nil

	// Outboxes is the number of refs of the peer that are in use here. Those that are Waiting have
	// a message that the peer has no room for: its mailbox over there is full.
	Outboxes, Waiting int
	// Unconfirmed is the number of messages that were sent, and of which it is not known whether
	// the peer has them, and UnconfirmedBytes the memory that they take here.
	Unconfirmed, UnconfirmedBytes int
	Calls                         int // calls of this node that the peer has to answer
	Queued                        int // messages of the peer in side queues here
	Sent, Received                Traffic
	Again                         uint64 // frames that were sent once more
	Refused                       uint64 // frames of the peer that were not as they have to be
}

// Traffic counts what was sent over a link, or what has come. Messages are those of refs, requests
// of calls included; answers and what the nodes say for themselves are only in Frames and Bytes.
type Traffic struct{ Messages, Frames, Bytes uint64 }

// plus returns the sum of two counts.
func (c Traffic) plus(o Traffic) Traffic {
	return Traffic{c.Messages + o.Messages, c.Frames + o.Frames, c.Bytes + o.Bytes}
}

// minus returns what c has more than an earlier count.
func (c Traffic) minus(o Traffic) Traffic {
	return Traffic{c.Messages - o.Messages, c.Frames - o.Frames, c.Bytes - o.Bytes}
}

// maxFallen is how many nodes that are down are remembered.
const maxFallen = 64

// Links returns what this node knows of the others, sorted by name. A node that is down is among
// them until another incarnation of it is up; of such nodes the last 64 are kept. Links never
// parks, waits for no tasklet, and may be called from any goroutine.
func (n *Node) Links() []LinkInfo {
	now := n.clock()
	n.mu.Lock()
	all := make([]LinkInfo, 0, len(n.links)+len(n.fallen))
	for _, l := range n.links {
		all = append(all, l.shown.read(now))
	}
	for name, f := range n.fallen {
		if n.links[name] == nil {
			info := f.info
			info.For = max(0, now-f.since)
			all = append(all, info)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(all, func(a, b LinkInfo) int { return cmp.Compare(a.Peer.Name, b.Peer.Name) })
	return all
}

// Claims returns the names that this node holds, sorted. The names of singletons begin with
// "singleton/", and those of shards are "shard/", the kind, "/" and the number of the shard. Claims
// never parks, and may be called from any goroutine.
func (n *Node) Claims() []*Claimed {
	n.mu.Lock()
	all := slices.AppendSeq(make([]*Claimed, 0, len(n.claims)), maps.Values(n.claims))
	n.mu.Unlock() // others wait for it, and there may be 100,000
	slices.SortFunc(all, func(a, b *Claimed) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// claimKind is what a claim is for.
type claimKind uint8

const (
	ofName claimKind = iota
	ofSingleton
	ofShard
	claimKinds
)

func kindOf(name string) claimKind {
	switch {
	case strings.HasPrefix(name, singletonPrefix):
		return ofSingleton
	case strings.HasPrefix(name, shardPrefix):
		return ofShard
	}
	return ofName
}

// shown is what others see of a link.
type shown struct {
	mu sync.Mutex // protects the following; the link writes them once a second
	// Owned by mu.
	info  LinkInfo      // without For
	since time.Duration // of the state, by Node.clock
}

// read returns a copy.
func (s *shown) read(now time.Duration) LinkInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := s.info
	info.For = max(0, now-s.since)
	return info
}

// fallen is a link that is down.
type fallen struct {
	info  LinkInfo
	since time.Duration // by Node.clock
}

// fall keeps what was known of a link that is down.
func (n *Node) fall(info LinkInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.fallen) >= maxFallen && n.fallen[info.Peer.Name] == nil {
		oldest := ""
		for name, f := range n.fallen {
			if oldest == "" || f.since < n.fallen[oldest].since || f.since == n.fallen[oldest].since && name < oldest {
				oldest = name
			}
		}
		delete(n.fallen, oldest)
	}
	n.fallen[info.Peer.Name] = &fallen{info, n.clock()}
}

// state returns the state of a link.
func (l *link) state() LinkState {
	switch {
	case l.lost != nil:
		return LinkDown
	case l.suspect.Load():
		return LinkSuspect
	}
	return LinkUp
}

// show publishes what others see of the link and its outboxes. It takes about 30 ns for each
// unconfirmed message and each outbox, so it is called once a second, and when the state changes.
func (l *link) show() {
	s := l.wire.Stats()
	info := LinkInfo{
		Peer: l.peer, State: l.state(), Cause: l.lost, Outboxes: len(l.outboxes), Calls: len(l.replies),
		UnconfirmedBytes: s.UnackedBytes, Queued: s.Queued, Sent: l.sent, Received: l.received,
		Again: s.Again, Refused: s.Refused,
	}
	for o := range l.outboxes {
		o.count = 0
		if o.waits {
			info.Waiting++
		}
	}
	if s.Unacked == 0 {
		info.UnconfirmedBytes = 0 // memory for the next frames is kept
	}
	if l.lost != nil {
		info.Waiting, info.UnconfirmedBytes = 0, 0
	} else {
		for e := range l.wire.Unconfirmed() {
			if e.Kind&wire.Credited == 0 {
				continue
			}
			info.Unconfirmed++
			if o := l.targets[e.Target]; o != nil {
				o.count++
			}
		}
	}
	for o := range l.outboxes {
		o.show()
	}
	now := l.node.clock()
	l.shown.mu.Lock()
	before := l.shown.info
	l.shown.info = info
	if before.State != info.State || before.Peer.Name == "" {
		l.shown.since = now
	}
	l.shown.mu.Unlock()
	l.node.meter.add(vitals.ClusterCounts{
		Sent:     vitals.ClusterTraffic(info.Sent.minus(before.Sent)),
		Received: vitals.ClusterTraffic(info.Received.minus(before.Received)),
		Again:    info.Again - before.Again,
	})
}

// labels adds what the tree shows of the link.
func (l *link) labels(add func(key, value string)) {
	i := l.shown.read(0)
	add("state", i.State.String())
	number := func(key string, n uint64) {
		if n > 0 {
			add(key, strconv.FormatUint(n, 10))
		}
	}
	number("sent", i.Sent.Messages)
	number("received", i.Received.Messages)
	number("unconfirmed", uint64(i.Unconfirmed))
	number("waiting", uint64(i.Waiting))
	number("queued", uint64(i.Queued))
}

// What others see of an outbox is one word, so that it can be read without a lock: it waits, its
// credits, and its unconfirmed messages.
const (
	outboxWaits  = 1 << 63
	outboxMax    = 1<<31 - 1
	outboxShift  = 31
	outboxOpened = 1 << 62
)

// show publishes what others see of the outbox.
func (o *outbox) show() {
	var w uint64
	if o.target != nil {
		w = outboxOpened | uint64(min(o.target.Credits(), outboxMax))<<outboxShift
	}
	if o.waits {
		w |= outboxWaits
	}
	w |= uint64(min(o.count, outboxMax))
	if o.shown.Load() != w {
		o.shown.Store(w)
	}
}

// Labels implements far.Relay.
func (o *outbox) Labels(add func(key, value string)) {
	w := o.shown.Load()
	if w&outboxOpened != 0 {
		add("credits", strconv.FormatUint(w>>outboxShift&outboxMax, 10))
	}
	if n := w & outboxMax; n > 0 {
		add("unconfirmed", strconv.FormatUint(n, 10))
	}
	if w&outboxWaits != 0 {
		add("waits", "for credits")
	}
}
