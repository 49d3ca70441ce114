// Package far is what package actor and package registry/cluster agree on, so that refs and replies
// can be parts of messages to other nodes. A node is a part of a system, usually all of it, that is
// joined with others by registry/cluster.
//
// A ref whose tasklet lives on another node is an ordinary ref here: its mailbox is read by a
// tasklet with a [Relay], which passes the messages on. A reply to a call on another node is an
// ordinary reply: its cell tells an [Answered] when the answer is there.
//
// The bytes of a ref or a reply have a meaning only for the two nodes that exchange them, and
// encoders and decoders have no context. So registry/cluster encodes and decodes under [Lock], and
// the methods MarshalBinary and UnmarshalBinary of package actor ask the [Coder] that is set there.
package far

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
)

// ErrOutside is returned by MarshalBinary and UnmarshalBinary of a ref or a reply that is not
// encoded or decoded as a part of a message between two nodes.
var ErrOutside = errors.New("actor: a ref or a reply can be encoded only in a message to another node")

// A Coder writes and reads the refs and the replies of one message. Its methods are called on the
// goroutine of Lock.
type Coder interface {
	WriteRef(Ref) ([]byte, error)
	WriteReply(Reply) ([]byte, error)
	// ReadRef returns a ref of the type.
	ReadRef([]byte, RefType) (Ref, error)
	// ReadReply returns a reply that the type has made.
	ReadReply([]byte, ReplyType) (Reply, error)
}

var (
	// mu is held while a message is coded, because the methods that ask for the coder don't know
	// who has called them. A node has one goroutine, so there is contention only between nodes of
	// one process.
	mu sync.Mutex
	// current is the coder of the message. Atomic: written under mu, and read by every call of
	// MarshalBinary, also by one that is not part of a message.
	current atomic.Pointer[Coder]
)

// Lock makes [Current] return *c until Unlock. In between the caller must neither park nor call
// Lock.
func Lock(c *Coder) {
	mu.Lock()
	current.Store(c)
}

// Unlock ends what Lock has begun. It must be called also after a panic.
func Unlock() {
	current.Store(nil)
	mu.Unlock()
}

// Current returns the coder that Lock has set, or nil.
func Current() Coder {
	if c := current.Load(); c != nil {
		return *c
	}
	return nil
}

// Ref is an actor.Ref whose message type the caller does not know. Two values are equal if the refs
// are. Methods may be called from any goroutine if nothing else is said.
type Ref interface {
	// Message returns the type of its messages.
	Message() reflect.Type
	// Value returns the actor.Ref.
	Value() any
	// Proxy returns what SetProxy has set, or nil.
	Proxy() Proxy
	// SetProxy declares that the tasklet of the ref is on another node. t is the *actor.Tasklet
	// below which the tasklets with a Relay for the ref will be; the ref sleeps until there is one.
	// SetProxy must be called before the ref is used.
	SetProxy(p Proxy, t any)
	// Weak returns a pointer that does not keep the ref in memory, except on a virtual clock. It
	// must be called after SetProxy.
	Weak() WeakRef
	// Relay returns the actor.Body of the tasklet that reads the ref and gives what it reads to r.
	// The body can be started once.
	Relay(r Relay) (body any)
	// Shut closes the mailbox, also that of a ref with a Proxy. What is queued is still read.
	Shut()
	// Retire ends a ref that no tasklet will read. What is queued is reported.
	Retire()
	// Deliver puts m into the mailbox for the tasklet t, an *actor.Tasklet, which does not wait. If
	// m is not assignable to the message type, the error is a *TypeError. request is the reply in
	// the message whose call its handling ends, or nil.
	//
	// If there is no room, the message takes a place in the line of senders, and Deliver returns
	// true. decided is then called once, with nil when the message is in the mailbox, and otherwise
	// with the reason. It is called on the scheduler of the mailbox, or on the goroutine that
	// closes it, and must not use the ref. If Deliver returns an error, the message was not
	// accepted, and that was not reported: it is mailbox.ErrClosed, or mailbox.ErrFull if the
	// overflow policy is mailbox.Fail. It must be called inside t.
	Deliver(t any, m any, request Reply, decided func(error)) (waits bool, err error)
	// Blank returns a pointer to a zero message. If Message is an interface, it returns nil.
	Blank() any
	// DeliverAt is Deliver for *m, a pointer that Blank has returned. It makes *m zero again.
	DeliverAt(t any, m any, request Reply, decided func(error)) (waits bool, err error)
}

// WeakRef is a pointer to a ref that may be gone.
type WeakRef interface {
	// Ref returns the ref, or nil if nobody has it any more.
	Ref() Ref
}

// RefType makes refs of one type.
type RefType interface {
	Message() reflect.Type
	// New makes a ref; see actor.NewRef.
	New(name string) Ref
}

// TypeError is returned by Ref.Deliver for a message of a type that the ref does not take.
type TypeError struct{ Have, Want reflect.Type }

func (e *TypeError) Error() string {
	return "actor: a message of type " + e.Have.String() + " for a ref of " + e.Want.String()
}

// A Proxy stands for the tasklet of a ref on another node. Its methods must not park, and may be
// called from any goroutine.
type Proxy interface {
	Close()
	// Kill kills the tasklet. by is the path of the tasklet that kills, or "".
	Kill(by string, cause error)
	// Rouse is called when the ref needs a tasklet: a message has come, or somebody waits for the
	// end. It may be called again when there is one.
	Rouse(Ref)
	// Ended is called when the ref is dead, and when nobody has it any more. On a virtual clock the
	// second is left out, because a run has to be the same each time.
	Ended()
}

// A Relay gets what the reader of a ref takes out of the mailbox. Its methods are called inside the
// tasklet.
type Relay interface {
	// Over reports whether the tasklet has to end, and with which result. It is asked each time
	// before a message is taken.
	Over() (over bool, err error)
	// Sleepy reports whether the tasklet should end until the ref needs one again. It does not end
	// while there is a message, or somebody waits for its end or for that of the ref.
	Sleepy() bool
	// Slept is called when it ends for that reason. The ref is not used after that.
	Slept()
	// Room reports whether a message may be passed on. If not, the tasklet waits until [Wake].
	Room() bool
	// Pass passes on *m, which is valid until Pass returns. request is the call that ends with the
	// message: that of one of the replies in it, or the zero Call. A request that was not delegated
	// ends with the error, or with actor.ErrNoReply. An error has no other effect.
	Pass(m any, request Call) error
	// Rest is called when the tasklet begins to wait for messages or for room.
	Rest()
	// Drained returns the result of the tasklet, which ends because the ref is closed and all
	// messages were passed on.
	Drained() error
	// Labels calls add for what a tree shows of the tasklet besides its labels. It may be called
	// from any goroutine, at any time, and must not wait.
	Labels(add func(key, value string))
}

// Call identifies one call. It can be compared, and does not keep the caller in memory.
type Call struct {
	Cell *Cell
	Gen  uint32
}

// Cell is a part of where a call waits, whose address is its identity.
type Cell struct{ _ byte }

// Reply is an actor.Reply whose type the caller does not know. Two values are equal if the replies
// are. Methods may be called from any goroutine if nothing else is said.
type Reply interface {
	// Type returns the type of the answer.
	Type() reflect.Type
	// Value returns the actor.Reply.
	Value() any
	// Call returns the identity of the call.
	Call() Call
	// Awaited reports whether the caller still waits.
	Awaited() bool
	// Delegate declares that the tasklet to, an *actor.Tasklet, will answer. It must be called
	// inside a tasklet.
	Delegate(to any)
	// New returns a pointer to a zero answer.
	New() any
	// Send answers with *v, and Fail with an error. They report whether the caller still waited. by
	// is the *actor.Tasklet that answers, which must be running.
	Send(by any, v any) bool
	Fail(by any, err error) bool

	// The following are for replies that ReplyType.New has made.

	// Answer returns a pointer to the answer, or the error, after Answered.
	Answer() (v any, err error)
	// Leave gives the call up, so that Awaited returns false, and reports whether it was open.
	Leave() bool
}

// ReplyType makes replies of one type.
type ReplyType interface {
	Type() reflect.Type
	// New makes a reply to a call on another node. When it is answered, or can't be answered any
	// more, a is told once.
	New(a Answered) Reply
}

// Answered is told that a reply was answered. Answered is called on any goroutine, and must not
// park.
type Answered interface{ Answered() }

// Functions of package actor, which sets them during initialization.
var (
	// Of returns ref, an actor.Ref, without its type.
	Of func(ref any) Ref
	// TypeOf returns the type of ref, an actor.Ref.
	TypeOf func(ref any) RefType
	// Wake makes t, an *actor.Tasklet with a Relay, ask again whether it is over and has room. It
	// must be called on its scheduler.
	Wake func(t any)
	// OnLeft makes f be called when the caller of a request that was delegated to t, an
	// *actor.Tasklet, has given up. f is called on any goroutine, and must not park. It must be set
	// before the first request.
	OnLeft func(t any, f func(Call))
	// ShowLabels makes trees show for t, an *actor.Tasklet, what f adds besides its labels. f may
	// be called from any goroutine, at any time, and must not wait. It must be set once.
	ShowLabels func(t any, f func(add func(key, value string)))
	// Lost reports n messages of the type typ that the tasklet at the path to will not get from
	// node to node, because of err. why is one word for the log. m is a pointer to the message if
	// n is 1 and it is known, and otherwise nil. t is an *actor.Tasklet that has lost them.
	Lost func(t any, to, why string, err error, typ reflect.Type, n int, m any)
)
