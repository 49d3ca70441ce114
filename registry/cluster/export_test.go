package cluster

import (
	"fmt"

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
		if len(l.outboxes) != len(l.imports) {
			s += fmt.Sprintf("%d outboxes for %d imports; ", len(l.outboxes), len(l.imports))
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
