package netio

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
)

// Dial connects to an address, like net.Dial, for the tasks of the scheduler that ctx belongs to.
// It parks until the connection is made. It returns the errors of net.Dial, or
// [scheduler.ErrTimeout] or the cause of ctx if ctx ends first. If the task is killed, the attempt
// is abandoned and the kill is raised. ctx must belong to the running task, and has no effect on
// the Conn afterwards.
func Dial(ctx context.Context, network, addr string) (*Conn, error) {
	h, t, limit := homeOf(ctx, "netio.Dial")
	c, err := outside(h, t, limit, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	})
	if err != nil {
		return nil, err
	}
	return h.wrap(c), nil
}

// outside parks t while a helper runs f. The result of f is closed if it is not returned. The
// context of f ends with limit or by a kill, but the wait ends only when f has returned.
func outside[R io.Closer](h *home, t *core.Task, limit context.Context, f func(context.Context) (R, error)) (v R, err error) {
	t.Checkpoint()
	a := &errand[R]{h: h, t: t, f: f}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	defer a.cancel()
	a.place.SetItem(a)
	a.returned.Add(1)
	h.hand(a)
	taken := false
	defer func() {
		a.t = nil
		if !a.done {
			a.returned.Wait() // a kill was raised, since the scheduler ends
		}
		if !taken && a.err == nil {
			_ = a.v.Close()
		}
	}()
	var ended error
	for !a.done {
		if err := t.Park(core.Wait{Kind: core.InIO, Ctx: limit, In: &a.place}); err != nil {
			ended, limit = err, nil
			a.cancel()
		}
	}
	if a.err == nil {
		taken = true
		return a.v, nil // even if ctx has ended, or t was killed
	}
	t.Checkpoint()
	if ended != nil {
		return v, ended
	}
	return v, a.err
}

// errand is a function that a helper runs for a task.
type errand[R any] struct {
	h      *home
	f      func(context.Context) (R, error)
	ctx    context.Context
	cancel context.CancelFunc
	w      *helper

	// Owned by the helper until it has returned, then by the task.
	v        R
	err      error
	returned sync.WaitGroup

	// Owned by the scheduler.
	t     *core.Task // nil when no task waits any more
	place core.Waiter
	done  bool
}

func (a *errand[R]) servedBy(w *helper) { a.w = w }

func (a *errand[R]) run() {
	defer a.returned.Done()
	a.v, a.err = a.f(a.ctx)
}

// Do ends the wait. It runs on the scheduler.
func (a *errand[R]) Do() {
	a.h.keep(a.w)
	a.done = true
	if a.t != nil {
		a.t.Wake()
	}
}

// Interrupt is called when the task is killed.
func (a *errand[R]) Interrupt() { a.cancel() }
