package scheduler

import (
	"context"
	"sync"
	"time"
)

type taskKey struct{}

// TaskContext is a context that is a task's own: what a type that holds a Task implements to be one. A wait under it has no
// end of its own.
type TaskContext interface {
	context.Context
	Task() *Task
}

// From gives the task that ctx belongs to, nil for the context of an ordinary goroutine. limit is what can end a wait under
// ctx besides a kill of the task: nil if ctx is the task's own context, else ctx.
func From(ctx context.Context) (t *Task, limit context.Context) {
	switch c := ctx.(type) {
	case *Task:
		return c, nil
	case *timeoutCtx:
		return c.task, c
	case TaskContext:
		return c.Task(), nil
	}
	t, _ = ctx.Value(taskKey{}).(*Task)
	return t, ctx
}

// Caller is From for a call that blocks tasks: op names the call. It panics if ctx belongs to no task, or to one that is not
// running.
func Caller(ctx context.Context, op string) (t *Task, limit context.Context) {
	if ctx == nil {
		misuse("%s with a nil context", op)
	}
	t, limit = From(ctx)
	if t == nil {
		misuse("%s called outside a task: its context belongs to none", op)
	}
	t.mustRun(op)
	return t, limit
}

func (t *Task) mustRun(op string) {
	if t.s.current != t {
		misuse("%s with the context of %s, but %s is running: a context may be used only inside its own task",
			op, t.s.name(t), t.s.name(t.s.current))
	}
}

// contextError is what a blocking call returns for a context that is done: ErrTimeout for a deadline, else the cause. Nil if
// it is not done.
func contextError(ctx context.Context) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case err == context.DeadlineExceeded || err == ErrTimeout:
		return ErrTimeout
	}
	if c, ok := ctx.(*timeoutCtx); ok {
		return c.cause
	}
	return context.Cause(ctx)
}

// ContextError is what a blocking call returns because ctx is done: [ErrTimeout] for a deadline, else context.Cause(ctx); nil
// if ctx is not done.
func ContextError(ctx context.Context) error { return contextError(ctx) }

// timeoutCtx is a context with a deadline on a scheduler's clock. A task that blocks under it sets its own timer, so nothing
// runs for the context itself until somebody asks for Done.
type timeoutCtx struct {
	// Set in withDeadline, then read-only.
	parent context.Context
	task   *Task
	at     int64 // ns on the scheduler's clock
	unhook func() bool

	// mu protects the following.
	mu      sync.Mutex
	done    chan struct{} // nil until asked for
	err     error         // not nil: done is closed if it was made
	cause   error         // what a blocking call returns
	parked  *Task         // the task that blocks under it now
	seq     uint32
	hooks   map[*func()]struct{}
	timing  bool // the timer was handed to the scheduler
	stopped bool // owned by the scheduler: cancelled before the timer was started

	timer Timer // owned by the scheduler
}

// WithTimeout is context.WithTimeout on the clock of the task that parent belongs to, a virtual one too; without a goroutine
// or a timer of the runtime. The deadline becomes that of every blocking call that is given the context. For a parent that
// belongs to no task it is context.WithTimeout.
//
// With a virtual clock Deadline reports the parent's deadline only: code that compares it with the wall clock would be misled.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	t, _ := From(parent)
	if t == nil {
		return context.WithTimeout(parent, d)
	}
	return withDeadline(parent, t, t.s.Nanotime()+int64(max(d, 0)))
}

// WithDeadline is WithTimeout for a time of that clock.
func WithDeadline(parent context.Context, at time.Time) (context.Context, context.CancelFunc) {
	t, _ := From(parent)
	if t == nil {
		return context.WithDeadline(parent, at)
	}
	return WithTimeout(parent, at.Sub(t.s.Now()))
}

func withDeadline(parent context.Context, t *Task, at int64) (context.Context, context.CancelFunc) {
	if outer := deadlineOf(parent); outer != 0 && outer < at {
		at = outer
	}
	c := &timeoutCtx{parent: parent, task: t, at: at}
	c.timer.target = c
	if _, limit := From(parent); limit != nil {
		c.unhook = context.AfterFunc(parent, func() { c.cancel(parent.Err(), context.Cause(parent)) })
	}
	return c, func() {
		c.cancel(context.Canceled, context.Canceled)
		if c.unhook != nil {
			c.unhook()
		}
	}
}

// deadlineOf is the deadline that ctx has on its scheduler's clock, 0 if it has none.
func deadlineOf(ctx context.Context) int64 {
	if c, ok := ctx.(*timeoutCtx); ok {
		return c.at
	}
	if c, ok := ctx.Value(timeoutKey{}).(*timeoutCtx); ok {
		return c.at
	}
	return 0
}

type timeoutKey struct{}

func (c *timeoutCtx) Deadline() (time.Time, bool) {
	outer, ok := c.parent.Deadline()
	if c.task.s.clock.virtual() {
		return outer, ok
	}
	if at := c.task.s.timeAt(c.at); !ok || at.Before(outer) {
		return at, true
	}
	return outer, ok
}

func (c *timeoutCtx) Value(key any) any {
	switch key {
	case taskKey{}:
		return c.task
	case timeoutKey{}:
		return c
	}
	return c.parent.Value(key)
}

func (c *timeoutCtx) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err == nil && c.task.s.Nanotime() >= c.at {
		c.cancel(context.DeadlineExceeded, ErrTimeout)
		return context.DeadlineExceeded
	}
	return err
}

// Done may be called from any goroutine, the timer started only by the scheduler: hence the door.
func (c *timeoutCtx) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	c.startTiming()
	return c.done
}

// AfterFunc is what context.AfterFunc and the contexts derived from c use instead of a goroutine.
func (c *timeoutCtx) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	if c.hooks == nil {
		c.hooks = make(map[*func()]struct{})
	}
	key := &f
	c.hooks[key] = struct{}{}
	c.startTiming()
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.hooks[key]
		delete(c.hooks, key)
		return ok
	}
}

// startTiming: mu held.
func (c *timeoutCtx) startTiming() {
	if c.timing || c.err != nil {
		return
	}
	c.timing = true
	c.task.s.InjectFunc(func() {
		if !c.stopped {
			c.task.s.startTimer(&c.timer, c.at)
		}
	})
}

// Expire is the timer's.
func (c *timeoutCtx) Expire() { c.cancel(context.DeadlineExceeded, ErrTimeout) }

// cancel ends c, once. From any goroutine.
func (c *timeoutCtx) cancel(err, cause error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err, c.cause = err, cause
	if c.done != nil {
		close(c.done)
	}
	hooks := c.hooks
	c.hooks = nil
	t, seq, timing := c.parked, c.seq, c.timing
	c.mu.Unlock()
	if timing {
		c.task.s.InjectFunc(func() { c.stopped = true; c.task.s.stopTimer(&c.timer) })
	}
	if t != nil {
		t.s.Inject(&endWait{t, seq})
	}
	for f := range hooks {
		go (*f)()
	}
}

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

// watch makes the end of ctx end the wait that t is about to begin; the function that it returns ends the watch.
//
// A foreign context may end at any time and on any goroutine: while it is watched, a virtual clock stands still.
func (t *Task) watch(ctx context.Context) (stop func()) {
	seq := t.waitSeq + 1
	if c, ok := ctx.(*timeoutCtx); ok {
		c.mu.Lock()
		c.parked, c.seq = t, seq
		if c.err != nil { // since the caller looked
			t.s.Inject(&endWait{t, seq})
		}
		c.mu.Unlock()
		return c.unwatch
	}
	if ctx.Done() == nil {
		return nil
	}
	unhook := context.AfterFunc(ctx, func() { t.s.Inject(&endWait{t, seq}) })
	foreign := !ownDone(ctx, t)
	if foreign {
		t.s.outside++
	}
	return func() {
		unhook()
		if foreign {
			t.s.outside--
		}
	}
}

// ownDone reports whether everything that can end ctx is known to the scheduler: then virtual time may go on.
func ownDone(ctx context.Context, t *Task) bool {
	// A context whose Done is that of one of ours adds nothing but values.
	if c, ok := ctx.Value(timeoutKey{}).(*timeoutCtx); ok {
		return c.Done() == ctx.Done()
	}
	if h := t.s.hooks.Context; h != nil {
		return h(t).Done() == ctx.Done()
	}
	return false
}

func (c *timeoutCtx) unwatch() {
	c.mu.Lock()
	c.parked = nil
	c.mu.Unlock()
}
