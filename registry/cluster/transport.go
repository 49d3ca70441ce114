package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/gotasklet/tasklet/actor"
)

// A Connector connects a node with the others of its cluster. Package clustertest has one that
// simulates a network.
type Connector interface {
	// Connect is called once, inside a tasklet of the node, and may park it. What it returns
	// belongs to the node, which closes the transport at its end.
	Connect(t *actor.Tasklet, self Member) (Transport, Directory, error)
}

// A Transport carries frames between nodes. It may lose, double, delay and reorder them, but it
// must not change them, and a frame of one node must not come in under the name of another one.
type Transport interface {
	// Listen makes the frames for this node come to receive, which never blocks and may be called
	// on any goroutine. The frame belongs to receive. Listen is called once.
	Listen(receive func(from string, frame []byte)) error
	// Send sends a copy of the frame to a node. It is called inside a tasklet and must not park. A
	// frame that can't be sent is lost, and need not be reported.
	Send(to string, frame []byte)
	// Close ends the transport. It must not park.
	Close()
}

// Errors of a Directory. Any other error means that it is not known whether the call has had an
// effect, or will have.
var (
	// ErrExists is returned by Create if the key is there.
	ErrExists = errors.New("cluster: key exists")
	// ErrChanged is returned by Update and Delete if the key has another token, or is not there.
	ErrChanged = errors.New("cluster: key has changed")
	// ErrNoKey is returned by Get.
	ErrNoKey = errors.New("cluster: no such key")
)

// Token is the number of a change in a Directory. Of two changes of a key the later one has the
// greater token, also after the directory has been made anew.
type Token struct{ Era, Revision uint64 }

// Less reports whether t is older than other.
func (t Token) Less(other Token) bool {
	return t.Era < other.Era || t.Era == other.Era && t.Revision < other.Revision
}

// A Directory is a small table that all nodes of a cluster share: who is there, and who has which
// name. Its changes are linearizable, by a majority. The methods with a context park a tasklet, or
// block a goroutine.
type Directory interface {
	// Create adds a key that is not there. If ttl is not 0 the key ends by itself after that time,
	// unless it is updated.
	Create(ctx context.Context, key string, value []byte, ttl time.Duration) (Token, error)
	// Update replaces the value of a key that has the token, and begins its time anew.
	Update(ctx context.Context, key string, value []byte, token Token, ttl time.Duration) (Token, error)
	// Delete removes a key that has the token.
	Delete(ctx context.Context, key string, token Token) error
	// Get reads the truth, not a copy that may be old.
	Get(ctx context.Context, key string) (value []byte, token Token, err error)
	// Follow calls f for every key that is there, and then for every change, in order. After a cut
	// it may skip changes, but not the last one of a key. f does not block, and may be called on
	// any goroutine. stop ends it.
	Follow(f func(Change)) (stop func())
}

// Change is a change of a Directory.
type Change struct {
	Key   string
	Value []byte
	Token Token
	Gone  bool // the key was deleted or has ended
}
