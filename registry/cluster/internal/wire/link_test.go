package wire_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

var seeds = flag.Int("seeds", 10000, "seeds of TestEveryEntryArrivesOnceInOrder")

// A world is two links over a channel that loses, doubles, delays and reorders frames, and
// mailboxes that are full at times. What arrives is compared with the obvious version: a slice for
// each inbox.
type world struct {
	rng    *rand.Rand
	config wire.Config
	nodes  [2]*node
	calm   bool // nothing is lost any more
	plan   plan
}

// A plan says how bad the channel is, in percent.
type plan struct{ lose, double, hold, mess, stuck int }

type node struct {
	w       *world
	link    *wire.Link
	peer    *node
	wires   [][]byte // frames on their way to this node
	targets []*wire.Target
	entries []uint64            // sent by this node and no message, in order
	sent    map[uint64][]uint64 // messages by target
	next    uint64

	got   []uint64
	boxes map[uint64]*box
	// Messages that Send refused. Their targets send nothing until Ready returns them.
	refused map[*wire.Target][]byte
}

// A box is a mailbox at a node.
type box struct {
	in    *wire.Inbox
	got   []uint64
	room  int
	stuck bool
	ended bool
}

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1))}
	w.config = wire.Config{
		FrameBytes:   64 + w.rng.IntN(400),
		MessageBytes: 20 + w.rng.IntN(1200),
		UnackedBytes: 1 + w.rng.IntN(4000),
		Credits:      1 + w.rng.IntN(60),
		Trust:        1 + w.rng.IntN(20),
		Window:       1 + w.rng.IntN(8),
		WindowMax:    1 + w.rng.IntN(64),
		Targets:      1 + w.rng.IntN(8),
		IdleTicks:    1 + w.rng.IntN(6),
	}
	w.plan = plan{w.rng.IntN(60), w.rng.IntN(40), w.rng.IntN(80), w.rng.IntN(100), w.rng.IntN(100)}
	if w.rng.IntN(4) == 0 {
		w.plan = plan{}
	}
	ids := [2][16]byte{{1}, {2}}
	for i := range w.nodes {
		c := w.config
		c.Out, c.In = wire.SessionOf(ids[i], ids[1-i]), wire.SessionOf(ids[1-i], ids[i])
		w.nodes[i] = &node{w: w, link: wire.NewLink(c), sent: map[uint64][]uint64{}, boxes: map[uint64]*box{},
			refused: map[*wire.Target][]byte{}}
	}
	w.nodes[0].peer, w.nodes[1].peer = w.nodes[1], w.nodes[0]
	return w
}

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (n *node) payload() []byte {
	n.next++
	size := 8 + n.w.rng.IntN(12)
	if n.w.chance(20) {
		size = 8 + n.w.rng.IntN(n.w.config.MessageBytes-7)
	}
	b := make([]byte, size)
	binary.BigEndian.PutUint64(b, n.next)
	for i := 8; i < size; i++ {
		b[i] = byte(n.next) + byte(i)
	}
	return b
}

func number(b []byte) uint64 {
	x := binary.BigEndian.Uint64(b)
	for i := 8; i < len(b); i++ {
		if b[i] != byte(x)+byte(i) {
			panic(fmt.Sprintf("payload %d is damaged", x))
		}
	}
	return x
}

func (n *node) Entry(e wire.Entry) {
	switch e.Kind {
	case wire.KindOpen:
		n.boxes[e.Target] = &box{in: e.Inbox, room: n.w.rng.IntN(20), stuck: n.w.chance(n.w.plan.stuck)}
		e.Inbox.Value = n.boxes[e.Target]
	case wire.KindClose:
		n.boxes[e.Target].ended = true
	}
	var x uint64
	if len(e.Payload) > 0 {
		x = number(e.Payload)
	}
	n.got = append(n.got, x)
}

func (n *node) Message(e wire.Entry) bool {
	b := e.Inbox.Value.(*box)
	if b.room == 0 {
		return false
	}
	b.room--
	b.got = append(b.got, number(e.Payload))
	return true
}

// step does one thing, drawn.
func (n *node) step() error {
	w, l := n.w, n.link
	switch w.rng.IntN(12) {
	case 0:
		p := n.payload()
		t, err := l.Open(p)
		if err == nil {
			n.targets = append(n.targets, t)
			n.entries = append(n.entries, number(p))
		} else if !errors.Is(err, wire.ErrTargets) && !errors.Is(err, wire.ErrFull) {
			return err
		}
	case 1, 2, 3:
		for range w.rng.IntN(20) {
			if len(n.targets) == 0 {
				break
			}
			n.send(n.targets[w.rng.IntN(len(n.targets))])
		}
	case 4:
		p := n.payload()
		if err := l.Append(wire.KindAnswer, w.rng.Uint64N(9), p); err == nil {
			n.entries = append(n.entries, number(p))
		} else if !errors.Is(err, wire.ErrFull) {
			return err
		}
	case 5:
		if i := len(n.targets); i > 0 && w.chance(20) {
			i = w.rng.IntN(i)
			n.close(i)
		}
	case 6:
		n.resume()
	case 7, 8:
		l.Flush()
		n.pump()
	case 9:
		return n.receive()
	case 10:
		n.work()
	case 11:
		if w.chance(40) {
			l.Tick()
			n.pump()
		}
	}
	return nil
}

func (n *node) close(i int) {
	t := n.targets[i]
	delete(n.refused, t)
	n.link.Close(t)
	n.link.Close(t)
	n.targets = slices.Delete(n.targets, i, i+1)
	n.entries = append(n.entries, 0)
}

// send sends a message to a target, or the one that was refused before.
func (n *node) send(t *wire.Target) {
	if n.refused[t] == nil {
		n.try(t, n.payload())
	}
}

func (n *node) try(t *wire.Target, p []byte) {
	credits := t.Credits()
	switch err := n.link.Send(t, wire.KindMessage, p); {
	case err == nil:
		n.sent[t.ID()] = append(n.sent[t.ID()], number(p))
	case errors.Is(err, wire.ErrCredits) && credits > 0 && len(p) <= 256:
		panic("no credits although there are some")
	case errors.Is(err, wire.ErrCredits) || errors.Is(err, wire.ErrFull):
		n.refused[t] = p
	default:
		panic(err)
	}
}

// resume sends what was refused, as far as Ready says that it can be sent.
func (n *node) resume() {
	for {
		t, ok := n.link.Ready()
		if !ok {
			return
		}
		if p := n.refused[t]; p != nil {
			delete(n.refused, t)
			n.try(t, p)
		}
	}
}

// pump puts what is due on the wire.
func (n *node) pump() {
	w := n.w
	for {
		f, ok := n.link.Outgoing()
		if !ok {
			return
		}
		if len(f) > w.config.FrameMax() {
			panic("frame is too long")
		}
		copies := 1
		if !w.calm {
			if w.chance(w.plan.lose) {
				copies = 0
			}
			if w.chance(w.plan.double) {
				copies++
			}
		}
		for range copies {
			n.peer.wires = append(n.peer.wires, slices.Clone(f))
		}
	}
}

// receive takes frames from the wire.
func (n *node) receive() error {
	w := n.w
	for len(n.wires) > 0 && (w.calm || !w.chance(w.plan.hold)) {
		i := 0
		if !w.calm && w.chance(w.plan.mess) {
			i = w.rng.IntN(len(n.wires))
		}
		f := n.wires[i]
		n.wires = slices.Delete(n.wires, i, i+1)
		if err := n.link.Accept(f); err != nil {
			return err
		}
		if w.chance(70) {
			if _, err := n.link.Deliver(w.rng.IntN(9), n); err != nil {
				return err
			}
		}
	}
	_, err := n.link.Deliver(w.rng.IntN(70), n)
	return err
}

// work makes room in mailboxes.
func (n *node) work() {
	for _, in := range n.link.Inboxes() {
		b := in.Value.(*box)
		if b.stuck && !n.w.calm {
			continue
		}
		b.room += n.w.rng.IntN(30)
		if n.w.calm {
			b.room += 1000
		}
		if n.w.chance(80) {
			n.link.Retry(in, n.w.rng.IntN(9), n)
		} else if e, ok := in.Peek(); ok {
			b.got = append(b.got, number(e.Payload))
			n.link.Pop(in)
		}
	}
}

// run runs a world and returns what is wrong with it.
func run(seed uint64) error {
	w := newWorld(seed)
	check := func() error {
		for i, n := range w.nodes {
			if err := n.link.Check(); err != nil {
				return fmt.Errorf("node %d: %w", i, err)
			}
		}
		return nil
	}
	for range 20 + w.rng.IntN(200) {
		n := w.nodes[w.rng.IntN(2)]
		if err := n.step(); err != nil {
			return err
		}
		if err := check(); err != nil {
			return err
		}
	}
	// The channel is good from now on: everything gets through, targets can send, and when all are
	// closed nothing is left.
	w.calm = true
	settle := func(done func(n *node) bool) error {
		for round := 0; ; round++ {
			all := true
			for _, n := range w.nodes {
				n.link.Tick()
				n.pump()
				if err := n.receive(); err != nil {
					return err
				}
				n.work()
				n.resume()
				n.link.Flush()
				n.pump()
				all = done(n) && all
			}
			if err := check(); err != nil {
				return err
			}
			if all {
				return nil
			}
			if round > 1000 {
				return fmt.Errorf("stuck: %+v and %+v", w.nodes[0].link.Stats(), w.nodes[1].link.Stats())
			}
		}
	}
	for i, n := range w.nodes {
		for range 3 {
			for _, t := range n.targets {
				before := len(n.sent[t.ID()])
				if err := settle(func(m *node) bool {
					if m == n && len(n.sent[t.ID()]) == before {
						n.send(t)
					}
					return m != n || len(n.sent[t.ID()]) > before
				}); err != nil {
					return fmt.Errorf("node %d can't send to target %d: %w", i, t.ID(), err)
				}
			}
		}
	}
	for _, n := range w.nodes {
		for len(n.targets) > 0 {
			n.close(0)
		}
	}
	if err := settle(func(n *node) bool { return n.link.Idle() && len(n.wires) == 0 }); err != nil {
		return err
	}
	for i, n := range w.nodes {
		if !slices.Equal(n.peer.got, n.entries) {
			return fmt.Errorf("node %d: entries %d, got %d", i, n.entries, n.peer.got)
		}
		for id, sent := range n.sent {
			if got := n.peer.boxes[id].got; !slices.Equal(got, sent) {
				return fmt.Errorf("node %d, target %d: sent %d, got %d", i, id, sent, got)
			}
		}
		s := n.link.Stats()
		if s.Targets != 0 || s.Inboxes != 0 || s.Reserved != 0 || s.Queued != 0 || s.Unacked != 0 || s.Held != 0 {
			return fmt.Errorf("node %d: left over: %+v", i, s)
		}
	}
	return nil
}

func TestEveryEntryArrivesOnceInOrder(t *testing.T) {
	n := *seeds
	if testing.Short() || raceEnabled {
		n = min(n, 3000)
	}
	for seed := range uint64(n) {
		if err := run(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
