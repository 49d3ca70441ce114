// Package clustertest simulates the network between the nodes of a cluster, in one system and on
// its clock. With package actortest a test explores what happens when frames are lost, doubled,
// delayed and reordered, when nodes are cut off, stopped for a while and killed, and the order and
// the faults come from one seed:
//
//	actortest.Explore(t, 1000, func(t *actor.Tasklet) {
//		faults := clustertest.Faults{Loss: 0.1, Double: 0.1, Delay: 100 * time.Millisecond}
//		net := clustertest.New(t, faults)
//		actor.Go(t, func(t *actor.Tasklet) error { // a node with all that lives on it
//			node, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: net})
//			...
//		})
//		net.Cut("a", "b")
//		...
//	}, actortest.Allow(event.DeadLetter))
//
// A [Network] is the transport and the directory of all its nodes. What it does not simulate: time
// that passes differently on two nodes, and a directory that loses what it has accepted.
package clustertest

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster"
)

// Directory is the name of the directory in [Network.Cut] and [Network.Heal].
const Directory = "(directory)"

// ErrUnreachable is returned by the directory when it does not answer. The call may have had an
// effect.
var ErrUnreachable = errors.New("clustertest: the directory does not answer")

// Faults says how bad a network is. The zero Faults is a network without faults, on which nothing
// takes time. All draws come from System.Rand, or from a fixed seed if the system has none.
type Faults struct {
	Loss   float64       // the share of frames that are lost, 0 to 1
	Double float64       // the share of frames that arrive twice
	Delay  time.Duration // frames, and what the directory does, are delayed by up to so much
	Forget float64       // the share of calls of the directory whose answer is lost
	// Drift is the part by which the clock of a node is at most faster or slower than that of the
	// directory, 0 to 1. Each incarnation has a clock of its own. A lease must hold up to 0.2.
	Drift float64
}

// Network is a simulated network. Use [New] to make one. Its methods must be called inside a
// tasklet of the system that it was made in, and never park.
type Network struct {
	t    *actor.Tasklet
	ref  actor.Ref[netMsg]
	rand *rand.Rand

	// Owned by the scheduler.
	faults    Faults
	ends      map[string]*end // by the name of the node
	cut       map[[2]string]bool
	paused    map[string]time.Time // until when
	keys      map[string]*key
	revision  uint64
	followers []*follower
	stats     Stats
}

// Stats has the numbers of frames.
type Stats struct{ Sent, Lost, Doubled, Arrived int }

// end is one incarnation of a node on the network.
type end struct {
	net     *Network
	name    string
	receive func(from string, frame []byte)
	gone    bool
	rate    float64 // how long a second of the directory is on the clock of the node
}

type key struct {
	value []byte
	token cluster.Token
}

type follower struct {
	end   *end
	f     func(cluster.Change)
	queue []cluster.Change
	armed bool
}

type netMsg struct {
	do func() // what is due
}

// New starts a network, as a child of t. It must be started before its nodes, so that it ends after
// them.
func New(t *actor.Tasklet, f Faults) *Network {
	n := &Network{
		faults: f, ends: map[string]*end{}, cut: map[[2]string]bool{}, paused: map[string]time.Time{}, keys: map[string]*key{},
		ref: actor.NewRef[netMsg](actor.Name("network"), actor.Overflow(mailbox.Unbounded)),
	}
	if n.rand = t.System().Rand(); n.rand == nil {
		n.rand = rand.New(rand.NewPCG(1, 2))
	}
	n.t = actor.StartTasklet(t, actor.ReceiverBody(n.ref, func(_ *actor.Tasklet, m netMsg) error {
		m.do()
		return nil
	}))
	return n
}

// after calls f on the network's tasklet after d, unless the network has ended.
func (n *Network) after(d time.Duration, f func()) {
	_ = n.ref.TrySend(context.Background(), netMsg{func() {
		if d <= 0 {
			f()
		} else {
			actor.SendAfter(n.t, d, n.ref, netMsg{f})
		}
	}})
}

// draw reports an event of probability p.
func (n *Network) draw(p float64) bool { return p > 0 && n.rand.Float64() < p }

func (n *Network) delay() time.Duration {
	if n.faults.Delay <= 0 {
		return 0
	}
	return time.Duration(n.rand.Int64N(int64(n.faults.Delay)))
}

// Connect implements cluster.Connector.
func (n *Network) Connect(_ *actor.Tasklet, self cluster.Member) (cluster.Transport, cluster.Directory, error) {
	e := &end{net: n, name: self.Name, rate: 1}
	if n.faults.Drift > 0 {
		e.rate += n.faults.Drift * (2*n.rand.Float64() - 1)
	}
	return e, e, nil
}

// Listen implements cluster.Transport.
func (e *end) Listen(receive func(from string, frame []byte)) error {
	e.receive = receive
	return nil
}

// Close implements cluster.Transport.
func (e *end) Close() {
	e.gone = true
	if e.net.ends[e.name] == e {
		delete(e.net.ends, e.name)
	}
}

// Send implements cluster.Transport.
func (e *end) Send(to string, frame []byte) {
	n := e.net
	if e.gone {
		return
	}
	n.stats.Sent++
	if n.draw(n.faults.Loss) {
		n.stats.Lost++
		return
	}
	times := 1
	if n.draw(n.faults.Double) {
		n.stats.Doubled++
		times = 2
	}
	for range times {
		copied := slices.Clone(frame)
		n.after(n.delay(), func() { n.arrive(e, to, copied) })
	}
}

// arrive hands a frame to its node.
func (n *Network) arrive(from *end, to string, frame []byte) {
	if d := max(n.pause(from.name), n.pause(to)); d > 0 {
		n.after(d, func() { n.arrive(from, to, frame) })
		return
	}
	e := n.ends[to]
	if from.gone || e == nil || n.cut[[2]string{from.name, to}] {
		n.stats.Lost++
		return
	}
	n.stats.Arrived++
	e.receive(from.name, frame)
}

// pause returns how long the node is still stopped.
func (n *Network) pause(name string) time.Duration {
	until, ok := n.paused[name]
	if !ok {
		return 0
	}
	d := until.Sub(n.t.System().Now())
	if d <= 0 {
		delete(n.paused, name)
	}
	return d
}

// Cut makes all that is sent from one node to another one be lost, until Heal. What is under way is
// lost too. Either may be [Directory]: a node that can't send to it, or gets nothing from it, can't
// use it.
func (n *Network) Cut(from, to string) { n.cut[[2]string{from, to}] = true }

// Heal ends Cut.
func (n *Network) Heal(from, to string) {
	delete(n.cut, [2]string{from, to})
	n.wakeFollowers()
}

// Partition cuts the nodes off from all others and from the directory, in both directions.
func (n *Network) Partition(nodes ...string) {
	others := append(slices.Sorted(maps.Keys(n.ends)), Directory)
	for _, a := range nodes {
		for _, b := range others {
			if !slices.Contains(nodes, b) {
				n.Cut(a, b)
				n.Cut(b, a)
			}
		}
	}
}

// Pause stops a node for a while, as a machine that swaps: what it sends, and what is for it,
// waits. Its tasklets run on, but nobody can see that.
func (n *Network) Pause(node string, d time.Duration) {
	n.paused[node] = n.t.System().Now().Add(d)
}

// Unplug cuts the present incarnation of a node off for ever, as a crash does. To simulate a crash
// kill its tasklets then: nothing that they still do can be seen by others.
func (n *Network) Unplug(node string) {
	if e := n.ends[node]; e != nil {
		e.Close()
	}
}

// Calm ends all faults: cuts are healed, nobody is stopped, and no frame is lost or delayed from
// now on.
func (n *Network) Calm() {
	n.faults = Faults{}
	clear(n.cut)
	clear(n.paused)
	n.wakeFollowers()
}

// Keys returns the keys that are in the directory, sorted.
func (n *Network) Keys() []string { return slices.Sorted(maps.Keys(n.keys)) }

// Stats returns the numbers of frames so far.
func (n *Network) Stats() Stats { return n.stats }

// op carries out an operation of the directory.
func op[R any](ctx context.Context, e *end, f func() (R, error)) (R, error) {
	n := e.net
	type call = actor.Reply[R]
	var run func(r call)
	run = func(r call) {
		if d := n.pause(e.name); d > 0 {
			n.after(d, func() { run(r) })
			return
		}
		silent := e.gone || n.cut[[2]string{e.name, Directory}]
		var v R
		var err error = ErrUnreachable
		if !silent {
			v, err = f()
			silent = n.cut[[2]string{Directory, e.name}] || n.draw(n.faults.Forget)
		}
		wait := time.Duration(0)
		if silent {
			v, err, wait = *new(R), ErrUnreachable, 3*time.Second
		}
		n.after(wait+n.delay(), func() {
			switch {
			case !r.Awaited():
			case err != nil:
				_ = r.Fail(n.t, err)
			default:
				_ = r.Send(n.t, v)
			}
		})
	}
	return actor.Call(ctx, n.ref, func(r call) netMsg {
		return netMsg{func() {
			r.Delegate(n.t)
			n.after(n.delay(), func() { run(r) })
		}}
	})
}

// Create implements cluster.Directory.
func (e *end) Create(ctx context.Context, name string, value []byte, ttl time.Duration) (cluster.Token, error) {
	return op(ctx, e, func() (cluster.Token, error) {
		if e.net.keys[name] != nil {
			return cluster.Token{}, cluster.ErrExists
		}
		return e.put(name, value, ttl), nil
	})
}

// Update implements cluster.Directory.
func (e *end) Update(ctx context.Context, name string, value []byte, token cluster.Token, ttl time.Duration) (cluster.Token, error) {
	return op(ctx, e, func() (cluster.Token, error) {
		if k := e.net.keys[name]; k == nil || k.token != token {
			return cluster.Token{}, cluster.ErrChanged
		}
		return e.put(name, value, ttl), nil
	})
}

// put writes a key. The name of its node, if it is a session, is that of the end from now on.
func (e *end) put(name string, value []byte, ttl time.Duration) cluster.Token {
	n := e.net
	n.revision++
	k := &key{value: slices.Clone(value), token: cluster.Token{Era: 1, Revision: n.revision}}
	n.keys[name] = k
	ttl = time.Duration(float64(ttl) * e.rate)
	if ttl > 0 { // a session: the node can be reached from now on
		if !e.gone {
			n.ends[e.name] = e
		}
		n.after(ttl, func() {
			if n.keys[name] == k {
				n.remove(name)
			}
		})
	}
	n.tell(cluster.Change{Key: name, Value: k.value, Token: k.token})
	return k.token
}

func (n *Network) remove(name string) {
	delete(n.keys, name)
	n.revision++
	n.tell(cluster.Change{Key: name, Token: cluster.Token{Era: 1, Revision: n.revision}, Gone: true})
}

// Delete implements cluster.Directory.
func (e *end) Delete(ctx context.Context, name string, token cluster.Token) error {
	_, err := op(ctx, e, func() (struct{}, error) {
		if k := e.net.keys[name]; k == nil || k.token != token {
			return struct{}{}, cluster.ErrChanged
		}
		e.net.remove(name)
		return struct{}{}, nil
	})
	return err
}

// Get implements cluster.Directory.
func (e *end) Get(ctx context.Context, name string) (value []byte, token cluster.Token, err error) {
	k, err := op(ctx, e, func() (key, error) {
		if k := e.net.keys[name]; k != nil {
			return *k, nil
		}
		return key{}, cluster.ErrNoKey
	})
	return k.value, k.token, err
}

// Follow implements cluster.Directory.
func (e *end) Follow(f func(cluster.Change)) (stop func()) {
	n := e.net
	w := &follower{end: e, f: f}
	n.followers = append(n.followers, w)
	for _, name := range slices.Sorted(maps.Keys(n.keys)) {
		k := n.keys[name]
		w.queue = append(w.queue, cluster.Change{Key: name, Value: k.value, Token: k.token})
	}
	n.arm(w)
	return func() { n.followers = slices.DeleteFunc(n.followers, func(o *follower) bool { return o == w }) }
}

func (n *Network) tell(c cluster.Change) {
	for _, w := range n.followers {
		w.queue = append(w.queue, c)
		n.arm(w)
	}
}

func (n *Network) wakeFollowers() {
	for _, w := range n.followers {
		n.arm(w)
	}
}

// arm makes w get the next change, in order.
func (n *Network) arm(w *follower) {
	if w.armed || len(w.queue) == 0 {
		return
	}
	w.armed = true
	n.after(max(n.delay(), n.pause(w.end.name)), func() {
		w.armed = false
		if len(w.queue) == 0 || w.end.gone || n.cut[[2]string{Directory, w.end.name}] || !slices.Contains(n.followers, w) {
			return
		}
		if n.pause(w.end.name) <= 0 {
			c := w.queue[0]
			w.queue = w.queue[1:]
			w.f(c)
		}
		n.arm(w)
	})
}
