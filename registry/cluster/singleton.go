package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

const singletonPrefix = "singleton/"

// lookEvery is how often a standby looks into the local copy of the directory.
const lookEvery = 500 * time.Millisecond

// Singleton returns the body of a tasklet that keeps one tasklet running in the whole cluster. Put
// it under a supervisor on each node that may run it. One of them claims the name and starts a
// child with the body that start returns; the others stand by. start is called inside the tasklet
// of the singleton, and must not park.
//
// When the claim is lost the child is killed, a fifth of Config.TTL before another node can have
// the name; the singleton waits until it has ended, and stands by. A child that does not end in
// time, since it keeps its scheduler or ignores its kill, may be there beside the next one: let it
// send claim.Token along with what it changes outside. When the child ends by itself, the name is
// released, and the singleton ends with its result, so that its supervisor decides what follows.
// The singleton ends with a *[NodeError] when its node has left the cluster.
//
// The name has the prefix "singleton/" in the directory. Singleton panics if an argument is nil or
// name can't be a name.
func Singleton(n *Node, name string, start func(claim *Claimed) actor.Body) actor.Body {
	if start == nil {
		misuse("Singleton(%q) with a nil function", name)
	}
	return singleton(n, name, func(t *actor.Tasklet, told func()) (*Claimed, actor.Body, func(), error) {
		c, err := n.claim(t, singletonPrefix+name, 0, "", told)
		if err != nil {
			return nil, nil, nil, err
		}
		return c, start(c), func() {}, nil
	})
}

// SingletonReceiver is like [Singleton] for a receiver: [FindSingleton] returns a ref to it on each
// node. handler is called inside the tasklet of the singleton and returns the handler of a new
// receiver, which has the options opts. Messages that it has not handled when the claim is lost are
// dead letters. SingletonReceiver panics as Singleton does, and if messages of type M can't be sent
// to another node; see [Type].
func SingletonReceiver[M any](n *Node, name string, handler func(claim *Claimed) actor.Handler[M], opts ...actor.Option) actor.Body {
	if n == nil || handler == nil {
		misuse("SingletonReceiver(%q) with a nil Node or function", name)
	}
	if err := codec.Check[M](n.cfg.types); err != nil {
		misuse("SingletonReceiver(%q): %v", name, err)
	}
	return singleton(n, name, func(t *actor.Tasklet, told func()) (*Claimed, actor.Body, func(), error) {
		ref := actor.NewRef[M](opts...)
		r := far.Of(ref)
		e := n.export(r)
		c, err := n.claim(t, singletonPrefix+name, e.id, wireName[M](n), told)
		if err != nil {
			n.unexport(e)
			r.Retire()
			return nil, nil, nil, err
		}
		return c, actor.ReceiverBody(ref, handler(c)), r.Retire, nil
	})
}

// FindSingleton returns a ref to the receiver of a [SingletonReceiver], as [Find] does. It is dead
// when the singleton has moved to another node; then FindSingleton returns another one.
func FindSingleton[M any](ctx context.Context, n *Node, name string) (actor.Ref[M], error) {
	if err := checkSingleton(name); err != nil {
		return actor.Ref[M]{}, err
	}
	return Find[M](ctx, n, singletonPrefix+name)
}

// WaitForSingleton is to [FindSingleton] as [WaitFor] is to [Find].
func WaitForSingleton[M any](ctx context.Context, n *Node, name string) (actor.Ref[M], error) {
	if err := checkSingleton(name); err != nil {
		return actor.Ref[M]{}, err
	}
	return WaitFor[M](ctx, n, singletonPrefix+name)
}

// checkSingleton returns a *registry.NameError if name can't be that of a singleton.
func checkSingleton(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return checkName(singletonPrefix + name)
}

// singleton returns the body that both kinds of singletons have. win claims the name, and returns
// the body of the child, and what is to be done when the child has ended.
func singleton(n *Node, name string, win func(*actor.Tasklet, func()) (*Claimed, actor.Body, func(), error)) actor.Body {
	if n == nil {
		misuse("Singleton(%q) with a nil Node", name)
	}
	if err := checkSingleton(name); err != nil {
		misuse("Singleton: %v", err)
	}
	return actor.GoBody(func(t *actor.Tasklet) error {
		var child atomic.Pointer[actor.Tasklet]
		var held *Claimed
		t.Defer(func() { // after the child has ended, also if this tasklet is killed
			if held != nil {
				n.giveUp(held)
			}
		})
		told := func() {
			if c := child.Load(); c != nil {
				c.KillCause(context.Background(), ErrLease)
			}
		}
		for {
			if err := n.standBy(t, singletonPrefix+name); err != nil {
				return err
			}
			child.Store(nil)
			c, body, after, err := win(t, told)
			if err != nil {
				if gone := n.Err(); gone != nil && errors.Is(gone, ErrLeft) {
					return gone
				}
				t.Sleep(lookEvery)
				continue
			}
			k := actor.StartTasklet(t, body, actor.Name("active"), actor.OnFailure(actor.End))
			child.Store(k)
			if c.Err() != nil { // told has not found it
				told()
			}
			held = c
			err = k.Join(t)
			after()
			if c.Err() == nil {
				return err
			}
		}
	})
}

// standBy returns when it is worth an attempt to claim the name: when nobody seems to have it, and
// at the latest after Config.TTL and a second, since the local copy may be old. It returns an error
// when the node has left.
func (n *Node) standBy(t *actor.Tasklet, name string) error {
	for begin := n.clock(); ; {
		gone := n.Err()
		if gone != nil && errors.Is(gone, ErrLeft) {
			return gone
		}
		if gone == nil && (!n.taken(name) || n.clock()-begin > n.cfg.TTL+time.Second) {
			return nil
		}
		t.Sleep(lookEvery)
	}
}

// taken reports whether a member of the cluster has the name, as far as is known here.
func (n *Node) taken(name string) bool {
	has, ok := n.names.Load(name)
	if !ok {
		return false
	}
	o := has.(*owner)
	if o.Node != n.cfg.Name {
		return n.member(o.Node, o.Incarnation)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return o.Incarnation == n.self.Load().Incarnation && n.claims[name] != nil
}

// giveUp ends a claim here, and has it removed from the directory.
func (n *Node) giveUp(c *Claimed) {
	if n.lose(c, ErrReleased) {
		_ = n.ref.TrySend(context.Background(), nodeMsg{lost: c})
	}
}
