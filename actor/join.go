package actor

import (
	"context"
	"slices"

	"github.com/gotasklet/tasklet/internal/core"
)

// Join waits until t has finished: its body, its children and its deferred calls. It parks a
// calling tasklet, and blocks a calling goroutine. It returns nil if t ended normally or with
// ErrShutdown, and otherwise a *[JoinError] with the cause. It returns ErrTimeout or the cause of
// ctx if ctx ends the wait. It returns a *[DeadlockError], at once, if the wait could never end, as
// in a join by t itself or by a descendant of t. Any number of tasklets and goroutines may join t,
// before and after its end. Inside a tasklet, ctx must belong to it.
func (t *Tasklet) Join(ctx context.Context) error {
	if ctx == nil {
		misuse("Join with a nil context")
	}
	if by, limit := core.From(ctx); by != nil {
		by.MustRun("Join")
		if !t.HasFinished() {
			if err := t.mayJoin(by, limit); err != nil {
				return err
			}
			err := t.parkUntilEnd(by, core.Wait{Kind: core.InJoin, On: t.task.Resource(), Ctx: limit})
			if err != nil && !t.HasFinished() {
				return err
			}
		}
		return t.joined()
	}
	if t.HasFinished() {
		return t.joined()
	}
	x := t.extra()
	x.mu.Lock()
	fin := x.fin
	switch {
	case fin != nil:
	case t.HasFinished(): // it has ended since the first check; a new channel would not be closed
		fin = closed
	default:
		fin = make(chan struct{})
		x.fin = fin
	}
	x.mu.Unlock()
	x.joining.Add(1)
	defer x.joining.Add(-1)
	select {
	case <-fin:
		return t.joined()
	case <-t.gone():
		return t.joined()
	case <-ctx.Done():
		if t.HasFinished() {
			return t.joined()
		}
		return core.ContextError(ctx)
	}
}

// parkUntilEnd parks by until t has finished or w ends.
func (t *Tasklet) parkUntilEnd(by *core.Task, w core.Wait) error {
	if by.Scheduler() == t.task.Scheduler() {
		return by.ParkIn(&t.joiners, w)
	}
	x := t.extra()
	b := &bell{V: by.NewBell()}
	if bells := &x.follow().bells; bells.hang(b, &x.mu, t.HasFinished) {
		defer bells.takeDown(b, &x.mu) // a kill may be raised
		defer whenGone(by, t.task.Scheduler(), b.V)()
		return b.V.Park(w)
	}
	return nil
}

// mayJoin refuses a join of an ancestor, which cannot finish before its children do. While the
// ancestor runs there is no cycle of parked tasklets that the search for deadlocks could find.
func (t *Tasklet) mayJoin(by *core.Task, limit context.Context) error {
	if limit != nil || by == &t.task {
		return nil // the search finds the cycle, or the wait has a limit
	}
	me := taskletOf(by)
	if t.parent == me {
		return nil // the common case, fast where the tree is deep
	}
	p := me.parent
	for p != t {
		if p == nil {
			return nil
		}
		p = p.parent
	}
	chain := []core.Link{{Task: me.Path(), Kind: core.InJoin}, {Task: t.Path(), Kind: core.InStop}}
	for p = me.parent; p != t; p = p.parent {
		chain = slices.Insert(chain, 2, core.Link{Task: p.Path(), Kind: core.InStop})
	}
	e := &DeadlockError{Chain: chain}
	t.sys.deadlock(by, e, false)
	return e
}

// joined returns the result of a join of t, which has finished, or was left behind when its system
// ended.
func (t *Tasklet) joined() error {
	if !t.HasFinished() {
		return t.leftBehind()
	}
	err := t.result()
	if !KindOf(err).Failure() {
		return nil
	}
	return &JoinError{t, err}
}

// Result is the result of one tasklet.
type Result[R any] struct {
	Value R
	Err   error // the error that Join returns
}

// Join is like [Tasklet.Join], and also returns the value that the function returned.
func (k *Task[R]) Join(ctx context.Context) (R, error) {
	err := k.t.Join(ctx)
	if k.t.HasFinished() {
		return k.v, err
	}
	var zero R
	return zero, err
}

// JoinAll joins all of ts, and returns their results in the same order. A failure is in its result,
// and does not end JoinAll. The returned error is not nil only if the wait ended early: it is
// ErrTimeout, the cause of ctx or a *DeadlockError, and the results so far are returned with it.
func JoinAll[R any](ctx context.Context, ts ...*Task[R]) ([]Result[R], error) {
	rs := make([]Result[R], len(ts))
	for i, k := range ts {
		rs[i].Value, rs[i].Err = k.Join(ctx)
		if !k.HasFinished() {
			return rs, rs[i].Err
		}
	}
	return rs, nil
}

// JoinEach is like [JoinAll], for tasklets with and without a result. The value of one without is
// nil.
func JoinEach(ctx context.Context, ts ...*Tasklet) ([]Result[any], error) {
	rs := make([]Result[any], len(ts))
	for i, t := range ts {
		rs[i].Err = t.Join(ctx)
		if !t.HasFinished() {
			return rs, rs[i].Err
		}
		if v, ok := t.inst.(interface{ value() any }); ok {
			rs[i].Value = v.value()
		}
	}
	return rs, nil
}

// JoinChildren joins the children that t has when it is called, in order of their start. It returns
// as [JoinEach] does.
func (t *Tasklet) JoinChildren(ctx context.Context) ([]Result[any], error) {
	return JoinEach(ctx, t.Children()...)
}

// Join waits until the tasklet has finished and no restart is to come. It waits over restarts and
// backoffs until the tasklet has ended by itself and its supervisor keeps it stopped, as it does
// with a transient child after a normal end; or until the supervisor has ended in this way; or
// until the lineage has ended permanently. A child that supervisor.StopChild has stopped is only
// interrupted: Join waits until it is started again and ends, or is deleted. The result is that of
// the last tasklet; see [Tasklet.Join]. If no tasklet ever reads the ref, Join waits until ctx
// ends.
func (r Ref[M]) Join(ctx context.Context) error {
	l := r.must("Join")
	if ctx == nil {
		misuse("Join with a nil context")
	}
	// The usual case, which does not need x.
	if t := l.last(); t != nil && !t.supervised && l.elsewhere() == nil {
		return t.Join(ctx)
	}
	x := l.extra()
	x.mu.Lock()
	begun := x.stops
	x.mu.Unlock()
	for {
		x.mu.Lock()
		t, known := l.lastForGood(x)
		if !known && x.stops != begun { // it was stopped and has been started again
			t, known = x.last, true
		}
		x.mu.Unlock()
		switch {
		case known && t != nil:
			return t.Join(ctx)
		case known:
			return nil
		}
		if err := l.waitStopped(ctx, begun); err != nil {
			return err
		}
	}
}

// waitStopped waits until the callers of Ref.Join must check again. begun is the value of x.stops
// that they have seen.
func (l *lineage[M]) waitStopped(ctx context.Context, begun uint32) error {
	x := l.extra()
	// called under mu
	over := func() bool { return x.stops != begun || l.over.Load() == lineageOver }
	if t, limit := core.From(ctx); t != nil {
		t.MustRun("Join")
		b := &bell{V: t.NewBell()}
		if !x.bells.hang(b, &x.mu, over) {
			return nil
		}
		defer x.bells.takeDown(b, &x.mu) // a kill may be raised
		l.rouse(x)
		home := l.scheduler()
		defer whenGone(t, home, b.V)()
		w := core.Wait{Kind: core.InJoin, On: l.ReaderResource(), Ctx: limit}
		if err := b.V.Park(w); err != nil {
			x.mu.Lock()
			defer x.mu.Unlock()
			if !over() {
				return err
			}
		}
		if home != nil && home.Gone().Err() != nil && l.over.Load() != lineageOver {
			return l.last().leftBehind()
		}
		return nil
	}
	change := l.changeUnless(over)
	x.joining.Add(1)
	defer x.joining.Add(-1)
	l.rouse(x)
	select {
	case <-change:
		return nil
	case <-l.gone():
		if l.over.Load() == lineageOver {
			return nil
		}
		return l.last().leftBehind()
	case <-ctx.Done():
		return core.ContextError(ctx)
	}
}
