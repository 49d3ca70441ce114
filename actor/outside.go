package actor

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/guard"
)

// Await runs f on another goroutine, parks the calling tasklet until f has returned, and returns
// what f has returned. Use it for work that would block the scheduler: a database, an HTTP request,
// a file, a long computation. Other tasklets run during the wait.
//
// ctx must belong to the running tasklet. The context that f gets has the values of ctx, and also
// its deadline unless the clock is virtual. It ends when ctx ends, with ErrTimeout or the cause of
// ctx as its cause, or when the tasklet is killed. Await still waits until f has returned, and a
// kill is raised then. f must not use data that tasklets own. A panic of f is returned as a
// *[PanicError], a runtime.Goexit as [ErrGoexit]. Virtual time stands still while f runs.
func Await[R any](ctx context.Context, f func(context.Context) (R, error)) (R, error) {
	mustFunc("Await", f != nil)
	t, limit := caller(ctx, "Await")
	t.task.Checkpoint()
	a := newAwait(t, limit)
	if limit != nil {
		stop := context.AfterFunc(limit, func() {
			cause := context.Canceled
			guard.Call(func() { cause = core.ContextError(limit) }) // limit may be of a user's type
			a.cancel(cause)
		})
		defer stop()
	}
	a.wake = t.task.NextWait()
	a.place.SetItem(a)
	v, err := lend(a, f)
	a.cancel(nil)
	t.task.Checkpoint()
	return v, err
}

// lend runs f on another goroutine and waits for it. During that time the tasklet is away, and
// calls that f makes in its name are refused.
func lend[R any](a *await, f func(context.Context) (R, error)) (v R, err error) {
	task := &a.t.task
	task.SetAway(true)
	defer task.SetAway(false) // a kill is raised when the scheduler ends
	go func() {
		defer a.over()
		a.t.sys.sim.onGoroutine()
		protect(a.ctx, f, &v, &err)
	}()
	for !a.done {
		_ = task.Park(core.Wait{Kind: core.InAwait, In: &a.place})
	}
	return v, err
}

// await is a function that runs on another goroutine on behalf of a tasklet.
type await struct {
	t      *Tasklet
	ctx    context.Context
	cancel context.CancelCauseFunc
	place  core.Waiter
	wake   core.WakeUp
	// lost is used if a simulation loses the result: then only Interrupt ends the wait. It is
	// closed when f has returned. Otherwise it is nil.
	lost chan struct{}

	// Owned by the scheduler.
	returned bool // f has returned
	done     bool // t may continue
	then     func()
}

// newAwait returns an await for t. The values of the function's context are those of values, or
// those of t if values is nil.
func newAwait(t *Tasklet, values context.Context) *await {
	a := &await{t: t}
	ctx, cancel := context.WithCancelCause(t.sys.plain)
	if values != nil {
		ctx = &lentContext{ctx, values, t.task.Scheduler().Virtual()}
	}
	a.ctx, a.cancel = core.Outside(ctx), cancel
	if sim := t.sys.sim; sim != nil && sim.Lost != nil && sim.Lost(t) {
		a.lost = make(chan struct{})
	} else if t.sys.rand != nil {
		h := t.host()
		h.awaits = append(h.awaits, a)
	}
	return a
}

// lentContext is a context with the values of another one, except the tasklet that the other
// belongs to.
type lentContext struct {
	context.Context
	values  context.Context
	virtual bool // a deadline of a virtual clock means nothing on another goroutine
}

func (c *lentContext) Deadline() (time.Time, bool) {
	if c.virtual {
		return c.Context.Deadline()
	}
	return c.values.Deadline()
}

func (c *lentContext) Value(key any) any {
	if key == (taskletKey{}) {
		return nil
	}
	if v := c.Context.Value(key); v != nil { // first, because package context finds its own there
		return v
	}
	return c.values.Value(key)
}

// Interrupt is called when t is killed. It ends the context of the function.
func (a *await) Interrupt() {
	a.cancel(ErrKilled)
	if a.lost != nil {
		go func() {
			<-a.lost
			a.t.task.Scheduler().Inject(a)
		}()
	}
}

// over is called last on the other goroutine.
func (a *await) over() {
	if a.lost != nil {
		close(a.lost)
		return
	}
	a.t.task.Scheduler().Inject(a)
}

// Do ends the wait, on the scheduler. With a seed it only records that the function has returned;
// see takeAwaits.
func (a *await) Do() {
	a.returned = true
	if a.t.sys.rand == nil || a.lost != nil {
		a.finish()
	}
}

// takeAwaits ends the Awaits that have returned, in order of their start. It stops at the first
// that has not returned, or when a task has become ready. It is called when nothing is ready. With
// a seed, neither the order nor the moment may depend on the other goroutines.
func (h *host) takeAwaits() {
	for len(h.awaits) > 0 && h.awaits[0].returned {
		first := h.awaits[0]
		h.awaits = h.awaits[1:]
		if first.finish(); h.sched.Ready() > 0 {
			return
		}
	}
}

func (a *await) finish() {
	a.done = true
	if a.then != nil {
		a.then()
		return
	}
	a.wake.Do()
}

// protect calls f, and turns its panic into an error. The results go through pointers, because a
// runtime.Goexit of f leaves no other way.
func protect[R any](ctx context.Context, f func(context.Context) (R, error), v *R, err *error) {
	*err = ErrGoexit
	defer func() {
		if p := recover(); p != nil {
			*err = core.NewPanicError(p)
		}
	}()
	*v, *err = f(ctx)
}

// Pipe is Await without the wait: f runs on another goroutine while t continues, and msg makes a
// message for to from the result of f. The message waits for room if there is none.
//
// cancel ends f's context, and reports whether it was in time. If so, no message comes. The end of
// t does the same, unless the message waits for room already. msg runs on t's scheduler, not inside
// t, and must not block. Pipe must be called inside t, and cancel on t's scheduler.
func Pipe[M, R any](t *Tasklet, f func(context.Context) (R, error), to Ref[M], msg func(R, error) M) (cancel func() (inTime bool)) {
	mustFunc("Pipe", f != nil && msg != nil)
	l := to.must("Pipe")
	t.mustRun("Pipe")
	a := newAwait(t, nil)
	sched := t.task.Scheduler()
	var v R
	var err error
	var d delivery[M]
	d.init(t, l, a.Interrupt)
	sched.AwaitOutside(1)
	a.then = func() {
		sched.AwaitOutside(-1)
		d.sendMade(func() M { return msg(v, err) })
		a.cancel(nil)
	}
	go func() {
		defer a.over()
		a.t.sys.sim.onGoroutine()
		protect(a.ctx, f, &v, &err)
	}()
	return d.withdraw
}
