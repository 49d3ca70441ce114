package registry

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
)

// WaitFor is Lookup that waits until name is registered: it parks the calling tasklet or blocks the
// calling goroutine, as long as ctx allows. A *TypeError comes when the name is there with another
// type; actor.ErrStopped when the system has stopped; a *NameError, at once, if nobody can ever
// have name. Those who wait for one name are told in the order in which they came.
func WaitFor[M any](ctx context.Context, r *Registry, name string) (actor.Ref[M], error) {
	bad := check(r, "WaitFor", name)
	if ctx == nil {
		misuse("WaitFor(%q) with a nil context", name)
	}
	if bad != nil {
		return actor.Ref[M]{}, bad
	}
	for {
		if _, there := r.names.Load(name); there {
			ref, err := Lookup[M](r, name)
			if !errors.Is(err, ErrNotFound) {
				return ref, err
			}
		}
		if err := r.wait(ctx, name); err != nil {
			return actor.Ref[M]{}, err
		}
	}
}

// A clerk is the tasklet that those who wait for a name call. It is what makes a wait a call like
// any other: with the caller's context, on its clock, and seen when nothing can happen any more.
// Its work is only not to answer: who registers the name does.
type clerk struct {
	mu  sync.Mutex // protects ref; not Registry.mu, because the start of a tasklet is an event
	ref actor.Ref[waitRequest]
}

type waitRequest struct {
	own.Mark
	name  string
	reply actor.Reply[struct{}]
}

// waiters are those who wait for one name. Registry.mu protects them.
type waiters struct {
	replies []actor.Reply[struct{}] // in order
	gone    int                     // how many have given up since the last look, or fewer
}

// wait returns when name was registered.
func (r *Registry) wait(ctx context.Context, name string) error {
	answered := false
	defer func() {
		if !answered { // also when a kill is being raised
			r.forget(name)
		}
	}()
	to := r.startClerk()
	_, err := actor.Call(ctx, to, func(reply actor.Reply[struct{}]) waitRequest { return waitRequest{name: name, reply: reply} })
	answered = err == nil
	var ended *actor.JoinError
	if errors.Is(err, mailbox.ErrClosed) || errors.As(err, &ended) {
		if r.sys.Root().Err() != nil {
			return actor.ErrStopped
		}
		return nil // somebody has killed the clerk: look again, and ask the next
	}
	return err
}

func (r *Registry) startClerk() actor.Ref[waitRequest] {
	c := &r.clerk
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ref.IsZero() || c.ref.IsDead() {
		c.ref = actor.Receiver(r.sys, r.enter, actor.Name("registry"), actor.Daemon(), actor.Overflow(mailbox.Unbounded))
	}
	return c.ref
}

// enter is the clerk's work.
func (r *Registry) enter(t *actor.Tasklet, q waitRequest) error {
	q.reply.Delegate(t)
	r.mu.Lock()
	_, there := r.names.Load(q.name)
	if !there && q.reply.Awaited() { // who gives up from now on finds the reply there
		w := r.wanted[q.name]
		if w == nil {
			w = &waiters{}
			r.wanted[q.name] = w
		}
		w.replies = append(w.replies, q.reply)
	}
	r.mu.Unlock()
	if there && q.reply.Awaited() {
		_ = q.reply.Send(t, struct{}{})
	}
	return nil
}

// forget is called after somebody who waited for name has given up. It does not look for that one:
// when half of them may be gone it looks for all, so that a thousand who give up cost no thousand
// searches.
func (r *Registry) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.wanted[name]
	if w == nil {
		return
	}
	if w.gone++; 2*w.gone < len(w.replies) {
		return
	}
	w.gone = 0
	w.replies = slices.DeleteFunc(w.replies, func(reply actor.Reply[struct{}]) bool { return !reply.Awaited() })
	if len(w.replies) == 0 {
		delete(r.wanted, name)
	}
}

// answer tells w, which may be nil, that their name is there.
func (w *waiters) answer() {
	if w == nil {
		return
	}
	for _, reply := range w.replies {
		if reply.Awaited() {
			// one who gives up just now is told by its own context
			_ = reply.Send(context.Background(), struct{}{})
		}
	}
}
