package core

import "context"

type taskKey struct{}

// ownerOf returns the task whose own context ctx is, or nil. See OwnContexts.
var ownerOf = func(context.Context) *Task { return nil }

// OwnContexts makes f determine which contexts are a task's own, besides the *Task itself. f
// returns the task, or nil for any other context. A wait under such a context has no end of its
// own. The package whose type embeds a Task calls OwnContexts from init.
func OwnContexts(f func(ctx context.Context) *Task) { ownerOf = f }

// From returns the task that ctx belongs to, or nil for the context of an ordinary goroutine. limit
// is what can end a wait under ctx besides a kill of the task. It is nil if ctx is the task's own
// context, and ctx otherwise.
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

// TaskOf returns the task that ctx belongs to, or nil for the context of an ordinary goroutine.
func TaskOf(ctx context.Context) *Task {
	t, _ := From(ctx)
	return t
}

// outsideCtx belongs to no task. That can be seen at once, without a walk through its parents.
type outsideCtx struct{ context.Context }

// Outside returns ctx for use on an ordinary goroutine. The result is the same context, except that
// it belongs to no task, whatever it was derived from. A send with it costs a quarter less than
// with a context in which From has to search for a task.
func Outside(ctx context.Context) context.Context { return &outsideCtx{ctx} }

func (c *outsideCtx) Value(key any) any {
	switch key.(type) {
	case taskKey, timeoutKey:
		return nil
	}
	return c.Context.Value(key)
}

// Caller is like From, for a call that blocks tasks. op names the call. Caller panics if ctx
// belongs to no task, or to one that is not running.
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

// contextError returns the error of a blocking call whose context is done: ErrTimeout for a
// deadline, and otherwise the cause. It returns nil if ctx is not done.
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

// ContextError returns the error of a blocking call whose context ctx is done: [ErrTimeout] for a
// deadline, and otherwise context.Cause(ctx). It returns nil if ctx is not done.
func ContextError(ctx context.Context) error { return contextError(ctx) }

// endWait is injected work that ends the wait number seq of t because its context is done.
type endWait struct {
	t   *Task
	seq uint32
}

func (e *endWait) Do() {
	if e.t.state == Parked && e.t.waitSeq == e.seq {
		e.t.wake(cancelled)
	}
}

// watch ends a wait when a context ends.
type watch struct {
	ours   *timeoutCtx
	unhook func() bool
	// foreign says that the outside may end the context, so that a virtual clock stands still
	// during the watch.
	foreign bool
}

// watch makes the end of ctx end the wait that t is about to begin.
func (t *Task) watch(ctx context.Context) (w watch) {
	seq := t.waitSeq
	if c := ours(ctx); c != nil {
		w.ours, w.foreign = c, c.foreign
		c.mu.Lock()
		c.parked, c.seq = t, seq
		if c.err != nil { // it has ended since the caller checked
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

// ownDone reports whether ctx, which is not of this package, ends only with the task. If so,
// virtual time may advance.
func ownDone(ctx context.Context, t *Task) bool {
	h := t.s.hooks.Context
	return h != nil && h(t).Done() == ctx.Done()
}
