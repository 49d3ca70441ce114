package actor

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// Await runs f on another goroutine and parks t until f has returned: for what blocks in a way that
// the scheduler can't see, a database, an HTTP request, a file, a long computation. Meanwhile other
// tasklets run. f must not touch what tasklets own. Its context is done when t is killed; the kill
// is raised when f has returned. A panic of f comes back as a *PanicError. With a virtual clock,
// time stands still meanwhile. Only from inside t.
func Await[R any](t *Tasklet, f func(context.Context) (R, error)) (R, error) {
	mustFunc("Await", f != nil)
	t.mustRun("Await")
	t.task.Checkpoint()
	a := newAwait(t)
	a.wake = t.task.NextWait()
	a.place.Item = a
	v, err := lend(a, f)
	a.cancel(nil)
	t.task.Checkpoint()
	return v, err
}

// lend runs f on another goroutine and waits for it. Meanwhile the tasklet is away: what f does in
// its name is refused.
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

// await is a function that runs on another goroutine for a tasklet.
type await struct {
	t      *Tasklet
	ctx    context.Context
	cancel context.CancelCauseFunc
	place  core.Waiter
	wake   core.WakeUp
	// of a simulation: nobody is told but by Interrupt; closed when f has returned. Else nil
	lost chan struct{}

	// Owned by the scheduler.
	returned bool // f has
	done     bool // t may go on
	then     func()
}

func newAwait(t *Tasklet) *await {
	a := &await{t: t}
	ctx, cancel := context.WithCancelCause(t.sys.plain)
	a.ctx, a.cancel = core.Outside(ctx), cancel
	if sim := t.sys.sim; sim != nil && sim.Lost != nil && sim.Lost(t) {
		a.lost = make(chan struct{})
	} else if t.sys.rand != nil {
		h := t.host()
		h.awaits = append(h.awaits, a)
	}
	return a
}

// Interrupt is called when t is killed.
func (a *await) Interrupt() {
	a.cancel(ErrKilled)
	if a.lost != nil {
		go func() {
			<-a.lost
			a.t.task.Scheduler().Inject(a)
		}()
	}
}

// over is called on the other goroutine, last.
func (a *await) over() {
	if a.lost != nil {
		close(a.lost)
		return
	}
	a.t.task.Scheduler().Inject(a)
}

// Do is the end of the wait, on the scheduler. With a seed it is only noted: see takeAwaits.
func (a *await) Do() {
	a.returned = true
	if a.t.sys.rand == nil || a.lost != nil {
		a.finish()
	}
}

// takeAwaits ends the first of the Awaits under way, in order of their start, if it has returned;
// and the next, if that has made nobody ready. It is called when nothing is ready: with a seed,
// neither the order nor the moment may depend on the other goroutines.
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

// protect calls f, and makes an error of its panic. The results go through pointers: a
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

// Pipe is Await without the wait: f runs on another goroutine, t goes on, and what f returns is
// sent to to as the message that msg makes of it. The message waits for room if there is none.
// cancel ends f's context, and reports whether it was in time: then no message comes any more. The
// end of t does the same, unless the message waits for room already. msg runs on t's scheduler, not
// inside t, and may not block; cancel is for there too. Only from inside t.
func Pipe[M, R any](t *Tasklet, f func(context.Context) (R, error), to Ref[M], msg func(R, error) M) (cancel func() (inTime bool)) {
	mustFunc("Pipe", f != nil && msg != nil)
	l := to.must("Pipe")
	t.mustRun("Pipe")
	a := newAwait(t)
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
