package core

import "context"

type taskKey struct{}

// ownerOf returns the task whose own context ctx is, nil for none. See OwnContexts.
var ownerOf = func(context.Context) *Task { return nil }

// OwnContexts makes f say which contexts are a task's own, besides the *Task itself: f returns the
// task, nil for any other context. A wait under such a context has no end of its own. The one
// package whose type holds a Task calls OwnContexts, from init.
func OwnContexts(f func(ctx context.Context) *Task) { ownerOf = f }

// From gives the task that ctx belongs to, nil for the context of an ordinary goroutine. limit is
// what can end a wait under ctx besides a kill of the task: nil if ctx is the task's own context,
// else ctx.
func From(ctx context.Context) (t *Task, limit context.Context) {
	switch c := ctx.(type) {
	case *Task:
		return c, nil
	case *timeoutCtx:
		return c.task, c
	case *outsideCtx:
		return nil, ctx
	}
	if t := ownerOf(ctx); t != nil {
		return t, nil
	}
	t, _ = ctx.Value(taskKey{}).(*Task)
	return t, ctx
}

// TaskOf returns the task that ctx belongs to, nil for the context of an ordinary goroutine.
func TaskOf(ctx context.Context) *Task {
	t, _ := From(ctx)
	return t
}

// outsideCtx belongs to no task, which is seen at once and not at the end of a walk through its
// parents.
type outsideCtx struct{ context.Context }

// Outside gives ctx for use on an ordinary goroutine: as a context it is the same, but it belongs
// to no task, whatever it was derived from. A send with it costs a quarter less than with one in
// which From has to look for a task.
func Outside(ctx context.Context) context.Context { return &outsideCtx{ctx} }

func (c *outsideCtx) Value(key any) any {
	switch key.(type) {
	case taskKey, timeoutKey:
		return nil
	}
	return c.Context.Value(key)
}

// Caller is From for a call that blocks tasks: op names the call. It panics if ctx belongs to no
// task, or to one that is not running.
func Caller(ctx context.Context, op string) (t *Task, limit context.Context) {
	if ctx == nil {
		misuse("%s with a nil context", op)
	}
	t, limit = From(ctx)
	if t == nil {
		misuse("%s called outside a tasklet: its context belongs to none", op)
	}
	t.MustRun(op)
	return t, limit
}

// contextError is what a blocking call returns for a context that is done: ErrTimeout for a
// deadline, else the cause. Nil if it is not done.
func contextError(ctx context.Context) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case err == context.DeadlineExceeded || err == ErrTimeout:
		return ErrTimeout
	}
	if c := ours(ctx); c != nil {
		return c.cause
	}
	return context.Cause(ctx)
}

// ContextError is what a blocking call returns because ctx is done: [ErrTimeout] for a deadline,
// else context.Cause(ctx); nil if ctx is not done.
func ContextError(ctx context.Context) error { return contextError(ctx) }

// endWait ends the wait number seq of t because its context is done.
type endWait struct {
	t   *Task
	seq uint32
}

func (e *endWait) Do() {
	if e.t.state == Parked && e.t.waitSeq == e.seq {
		e.t.wake(cancelled)
	}
}

// watch is what makes the end of a context end a wait.
type watch struct {
	ours   *timeoutCtx
	unhook func() bool
	// the end of the context may come from outside: while it is watched, a virtual clock stands
	// still
	foreign bool
}

// watch makes the end of ctx end the wait that t is about to begin.
func (t *Task) watch(ctx context.Context) (w watch) {
	seq := t.waitSeq
	if c := ours(ctx); c != nil {
		w.ours, w.foreign = c, c.foreign
		c.mu.Lock()
		c.parked, c.seq = t, seq
		if c.err != nil { // since the caller looked
			t.s.Inject(&endWait{t, seq})
		}
		c.mu.Unlock()
	} else if ctx.Done() != nil {
		w.foreign = !ownDone(ctx, t)
		w.unhook = context.AfterFunc(ctx, func() { t.s.Inject(&endWait{t, seq}) })
	}
	if w.foreign {
		t.s.outside++
	}
	return w
}

// unwatch ends w.
func (t *Task) unwatch(w watch) {
	if w.foreign {
		t.s.outside--
	}
	if c := w.ours; c != nil {
		c.mu.Lock()
		c.parked = nil
		c.mu.Unlock()
	} else if w.unhook != nil {
		w.unhook()
	}
}

// ownDone reports whether ctx, which is none of ours, ends only with the task: then virtual time
// may go on.
func ownDone(ctx context.Context, t *Task) bool {
	h := t.s.hooks.Context
	return h != nil && h(t).Done() == ctx.Done()
}
