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

// WaitFor returns the ref that is registered under name, and waits until there is one. It parks the
// calling tasklet, or blocks the calling goroutine, as long as ctx allows. Callers that wait for
// the same name are served in the order in which they came.
//
// WaitFor returns a *TypeError if the name is registered with another type, actor.ErrStopped if the
// system has stopped, and a *NameError, at once, if name cannot be a name. It returns ErrTimeout or
// the cause of ctx if ctx ends first. It panics if r or ctx is nil.
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

// A clerk is the tasklet that callers of WaitFor call. It makes a wait an ordinary call: the wait
// has the caller's context and clock, and counts when the system looks for deadlocks. The clerk
// itself does not answer; Register does, when the name is registered.
type clerk struct {
	mu  sync.Mutex // protects ref; not Registry.mu, because the start of a tasklet is an event
	ref actor.Ref[waitRequest]
}

type waitRequest struct {
	own.Mark
	name  string
	reply actor.Reply[struct{}]
}

// waiters are the calls that wait for one name. Registry.mu protects them.
type waiters struct {
	replies []actor.Reply[struct{}] // in order
	gone    int                     // calls that have given up since stale replies were removed
}

// wait returns nil when name may have been registered.
func (r *Registry) wait(ctx context.Context, name string) error {
	answered := false
	defer func() {
		if !answered { // also if a kill is raised
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
		return nil // the clerk was killed; the caller tries again with the next one
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

// enter handles a request of the clerk.
func (r *Registry) enter(t *actor.Tasklet, q waitRequest) error {
	q.reply.Delegate(t)
	r.mu.Lock()
	_, there := r.names.Load(q.name)
	if !there && q.reply.Awaited() { // a caller that gives up from now on calls forget
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

// forget is called after a caller has given up waiting for name. It does not search for that
// caller's reply. When half of the replies may be stale it removes all stale ones, so that a
// thousand callers that give up do not cost a thousand searches.
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

// answer answers all calls of w, which may be nil.
func (w *waiters) answer() {
	if w == nil {
		return
	}
	for _, reply := range w.replies {
		if reply.Awaited() {
			// a caller that gives up at this moment gets the error of its own context
			_ = reply.Send(context.Background(), struct{}{})
		}
	}
}
