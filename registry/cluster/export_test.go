package cluster

import (
	"fmt"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

// Types are the types of messages that a build knows. Nodes of one system can have different ones.
type Types = codec.Types

func NewTypes() *Types { return codec.NewTypes() }

// Register is [Type] for a set of types.
func Register[T any](types *Types, name string, version int) { codec.Register[T](types, name, version) }

// WithTypes returns c for a node with these types.
func (c Config) WithTypes(types *Types) Config {
	c.types = types
	return c
}

// Held describes what the node holds for calls and messages that are under way, or returns "" if
// there is nothing. It must be called on the node's scheduler.
func (n *Node) Held() string {
	s := ""
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		st := l.wire.Stats()
		if len(l.replies)+len(l.numbers)+len(l.asked)+len(l.backlog)+len(l.stuck)+st.Queued+st.Held+st.Unacked+l.busy+int(l.arriving.Load()) > 0 {
			s += fmt.Sprintf("to %s: replies %d, numbers %d, asked %d, backlog %d, stuck %d, queued %d, held %d, unacked %d, busy %d, arriving %d; ",
				l.peer.Name, len(l.replies), len(l.numbers), len(l.asked), len(l.backlog), len(l.stuck), st.Queued, st.Held, st.Unacked, l.busy, l.arriving.Load())
		}
		for o := range l.outboxes {
			if !o.idle() {
				s += fmt.Sprintf("outbox %s waits %v; ", o.path(), o.waits)
			}
		}
		awake, open := 0, 0
		for _, o := range l.imports {
			if (o.t == nil) != (o.ref == nil) {
				s += fmt.Sprintf("outbox %s is half awake; ", o.path())
			}
			if o.t != nil {
				awake++
			}
			if o.target != nil {
				open++
			}
		}
		if len(l.outboxes) != awake || len(l.targets) != open || l.rousing.Load() != 0 {
			s += fmt.Sprintf("%d outboxes and %d targets for %d imports awake and %d open, %d are being roused; ",
				len(l.outboxes), len(l.targets), awake, open, l.rousing.Load())
		}
	}
	return s
}

// Receive takes a frame as the transport hands it over.
func (n *Node) Receive(from string, frame []byte) { n.receive(from, frame) }

// ShowLinks does what each link does once a second for those who look. It must be called on the
// node's scheduler.
func (n *Node) ShowLinks() {
	for _, l := range n.links {
		l.show()
	}
}

// Outboxes counts what the node has for refs of others and for others: refs that are known, those
// of them that are awake, targets at the peers, and inlets for the peers. It must be called on the
// node's scheduler.
func (n *Node) Outboxes() (known, awake, targets, inlets int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		known += len(l.imports)
		awake += len(l.outboxes)
		targets += len(l.targets)
		inlets += len(l.inlets)
	}
	return known, awake, targets, inlets
}

// Drowse makes all outboxes sleep that can. It must be called on the node's scheduler.
func (n *Node) Drowse() {
	for _, l := range n.links {
		l.drowse() // what was used before it does not count
		l.drowse()
	}
}

// Drop does what the collector does when nobody has the ref any more, which it does not do on a
// virtual clock. The ref must not be used after it.
func Drop[M any](ref actor.Ref[M]) { far.Of(ref).Proxy().Ended() }
