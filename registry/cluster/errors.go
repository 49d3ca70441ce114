package cluster

import (
	"errors"
	"fmt"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

var (
	// ErrShutOut is the error of a node whose session has ended although it lives, because it could
	// not renew it in time. Others count it as lost.
	ErrShutOut = errors.New("cluster: the session of this node has ended")
	// ErrLeft is the error of what belonged to a node that has left, at this node itself.
	ErrLeft = errors.New("cluster: this node has left")
)

// ErrNoQuorum says that the directory does not answer: too few of its servers live, or none can be
// reached. It is not known whether what was asked for was done, or will be.
var ErrNoQuorum = errors.New("cluster: the directory does not answer")

// Why a name is not held any more. See [Claimed.Err].
var (
	// ErrLease says that the node could not renew its session in time.
	ErrLease = errors.New("cluster: the lease of this node is over")
	// ErrReleased says that the name was given up on this node.
	ErrReleased = errors.New("cluster: the name was released")
)

// NodeError reports that a node is lost or does not answer, or that this node is no longer a
// member. A call that returns it may have been handled or not.
type NodeError struct {
	Node        string // its name
	Incarnation string
	Cause       error
}

func (e *NodeError) Error() string {
	if e.Cause == ErrSilent {
		return fmt.Sprintf("cluster: node %q does not answer: %v", e.Node, e.Cause)
	}
	return fmt.Sprintf("cluster: node %q is lost: %v", e.Node, e.Cause)
}

// Unwrap returns the cause.
func (e *NodeError) Unwrap() error { return e.Cause }

// Causes of a NodeError.
var (
	// ErrDown is the cause if the session of the other node has ended.
	ErrDown = errors.New("its session has ended")
	// ErrReplaced is the cause if another incarnation has the name of the other node.
	ErrReplaced = errors.New("another incarnation has its name")
	// ErrSilent is the cause if nothing has come from the other node for 4 s. It may live, and is a
	// member until [EventNodeDown]. Only calls fail because of it. Messages wait until the node is
	// heard again or is lost.
	ErrSilent = errors.New("nothing has come from it for 4 s")
)

// TakenError reports that a name belongs to another ref. errors.Is(err, registry.ErrTaken) is true
// for it.
type TakenError struct {
	Name string
	Node string // the node of the owner
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("cluster: name %q is taken on node %q", e.Name, e.Node)
}

// TypeError reports that a name is that of a ref with messages of another type, or of an older
// version of the type than this node sends.
type TypeError struct {
	Name       string
	Have, Want string // the wire names of the types, with their versions, or else those of Go
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("cluster: %q takes messages of type %s, not %s", e.Name, e.Have, e.Want)
}

// RemoteError is an error that came from another node: the text, and the errors that were given to
// [Error] on both nodes, which errors.Is finds. A result of a tasklet there, a failure of a handler
// and an answer of Reply.Fail arrive as a RemoteError.
type RemoteError = codec.RemoteError

// Type gives the messages of type T a name and a version on the wire. All nodes must use the same
// name. A field may be added without a new version: a node that does not know it ignores it, and
// one that misses it has zero. A message of a version that is newer than that of its reader is
// refused there.
//
// A type may have AppendBinary and UnmarshalBinary of its own. They may write and read refs and
// replies that are in the value, but no others.
//
// Type panics if the name or the type has been given already, and if a value of T would not come
// out as it went in. It must be called before the type is used, usually in init.
func Type[T any](name string, version int) { codec.Register[T](codec.Default, name, version) }

// Error gives err a name on the wire: an error for which errors.Is(e, err) holds on one node has
// the same property on another one. Error panics if the name is given already, or err is nil.
func Error(name string, err error) { codec.Default.Error(name, err) }

func init() {
	for _, known := range []struct {
		name string
		err  error
	}{
		{"closed", mailbox.ErrClosed}, {"full", mailbox.ErrFull}, {"dropped", mailbox.ErrDropped}, {"timeout", mailbox.ErrTimeout},
		{"no_reply", actor.ErrNoReply}, {"killed", actor.ErrKilled}, {"goexit", actor.ErrGoexit}, {"stopped", actor.ErrStopped},
		{"stop", actor.ErrStop}, {"shutdown", actor.ErrShutdown},
		{"down", ErrDown}, {"replaced", ErrReplaced}, {"shut_out", ErrShutOut}, {"left", ErrLeft}, {"silent", ErrSilent},
	} {
		codec.Default.Error("tasklet."+known.name, known.err)
	}
}
