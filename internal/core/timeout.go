package core

import (
	"context"
	"sync"
	"time"
)

// timeoutCtx is a context with a deadline on a scheduler's clock. A task that blocks under it sets
// its own timer, so nothing runs for the context itself until somebody asks for Done.
type timeoutCtx struct {
	// Set in withDeadline, then read-only.
	parent  context.Context
	task    *Task
	at      int64 // ns on the scheduler's clock
	limited bool  // parent is not just the task: it may end first
	// somebody outside may end it: among its parents is a context that is not ours
	foreign bool
	outer   *timeoutCtx // that has adopted it; nil if none has
	// it ends with the task's own context. Not if that was over when it was made: a deferred call
	// may still wait
	follows bool

	// mu protects the following. No other context's mu is taken under it.
	mu   sync.Mutex
	done chan struct{} // nil until asked for
	err  error         // not nil: done is closed if it was made
	// what a blocking call returns; written with err, then read-only
	cause    error
	parked   *Task                    // the task that blocks under it now
	seq      uint32                   // of its wait
	children map[*timeoutCtx]struct{} // of the same task
	hooks    map[*func()]struct{}
	timing   bool        // the timer was handed to the scheduler
	hooked   bool        // the end of the task's own context is watched for
	unhook   func() bool // from the parent; nil if there is nothing to unhook

	// Owned by the scheduler.
	stopped bool // cancelled before the timer was started
	timer   Timer
}

// WithTimeout is context.WithTimeout on the clock of the task that parent belongs to, a virtual one
// too; without a goroutine or a timer of the runtime. The deadline becomes that of every blocking
// call that is given the context. For a parent that belongs to no task it is context.WithTimeout.
//
// With a virtual clock Deadline reports the parent's deadline only: code that compares it with the
// wall clock would be misled.
//
// From any goroutine. The end of the context ends those derived from it by WithTimeout and
// WithDeadline in the same step; those that package context derives from it are ended by a
// goroutine each, as context.AfterFunc promises. Contexts of package context count as the outside:
// while a task waits under one, a virtual clock stands still.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if parent == nil {
		misuse("WithTimeout with a nil context")
	}
	t, limit := From(parent)
	if t == nil {
		return context.WithTimeout(parent, d)
	}
	c := withDeadline(parent, limit, t, t.s.after(d))
	if d <= 0 {
		c.cancel(context.DeadlineExceeded, ErrTimeout)
	}
	return c, c.release
}

// WithDeadline is WithTimeout for a time of that clock.
func WithDeadline(parent context.Context, at time.Time) (context.Context, context.CancelFunc) {
	if parent == nil {
		misuse("WithDeadline with a nil context")
	}
	t, _ := From(parent)
	if t == nil {
		return context.WithDeadline(parent, at)
	}
	return WithTimeout(parent, at.Sub(t.s.Now()))
}

func withDeadline(parent, limit context.Context, t *Task, at int64) *timeoutCtx {
	if outer := deadlineOf(parent); outer != 0 && outer < at {
		at = outer
	}
	c := &timeoutCtx{parent: parent, task: t, at: at, limited: limit != nil}
	c.timer.V.target = c
	if limit == nil {
		c.follows = parent != context.Context(t) && parent.Err() == nil
		return c
	}
	if outer := ours(parent); outer != nil {
		c.outer = outer
		c.foreign = outer.foreign
		c.unhook = outer.adopt(c)
		return c
	}
	if parent.Done() == nil {
		return c
	}
	c.foreign = !ownDone(parent, t)
	if c.Err() == nil {
		c.unhook = context.AfterFunc(parent, func() { c.cancel(parent.Err(), context.Cause(parent)) })
	}
	return c
}

// release is the CancelFunc. Err is asked first, since nothing may have run for an end that came
// before: it stays the reason, as in package context.
func (c *timeoutCtx) release() {
	if c.Err() == nil {
		c.cancel(context.Canceled, context.Canceled)
	}
	c.mu.Lock()
	unhook := c.unhook
	c.unhook = nil
	c.mu.Unlock()
	if unhook != nil {
		unhook()
	}
}

// follow sees to it that c ends when the task's own context does, once somebody asks for more than
// Err. Not under mu.
func (c *timeoutCtx) follow() {
	if c.outer != nil {
		c.outer.follow()
	}
	c.mu.Lock()
	begin := c.follows && !c.hooked && c.err == nil
	c.hooked = c.hooked || begin
	c.mu.Unlock()
	if !begin {
		return
	}
	unhook := context.AfterFunc(c.parent, func() { c.cancel(c.parent.Err(), context.Cause(c.parent)) })
	c.mu.Lock()
	c.unhook = unhook
	over := c.err != nil
	c.mu.Unlock()
	if over {
		unhook()
	}
}

type timeoutKey struct{}

// ours gives the timeoutCtx that ends when ctx does: ctx itself, or the one to which ctx adds
// nothing but values. Nil if there is none.
func ours(ctx context.Context) *timeoutCtx {
	if c, ok := ctx.(*timeoutCtx); ok {
		return c
	}
	if c, ok := ctx.Value(timeoutKey{}).(*timeoutCtx); ok && ctx.Done() == c.Done() {
		return c
	}
	return nil
}

// deadlineOf is the deadline that ctx has on its scheduler's clock, 0 if it has none.
//
// A context derived by context.WithoutCancel has that of its parent no longer. Only Done and
// Deadline tell, so with a virtual clock, which Deadline does not show, one derived from that again
// by package context keeps the old deadline.
func deadlineOf(ctx context.Context) int64 {
	if c, ok := ctx.(*timeoutCtx); ok {
		return c.at
	}
	c, ok := ctx.Value(timeoutKey{}).(*timeoutCtx)
	if !ok || ctx.Done() == nil {
		return 0
	}
	if !c.task.s.Virtual() {
		if at, ok := ctx.Deadline(); !ok || at.After(c.task.s.timeAt(c.at)) {
			return 0
		}
	}
	return c.at
}

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

// Err does not wait for a timer or a goroutine to tell c that it has ended: it looks at the clock
// and at the parent.
func (c *timeoutCtx) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if c.limited || c.follows {
		if err := c.parent.Err(); err != nil {
			return c.cancel(err, contextError(c.parent))
		}
	}
	if c.task.s.Nanotime() >= c.at {
		return c.cancel(context.DeadlineExceeded, ErrTimeout)
	}
	return nil
}

// Done may be called from any goroutine, the timer started only by the scheduler: hence the door.
func (c *timeoutCtx) Done() <-chan struct{} {
	c.follow()
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
	c.follow()
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

// adopt makes the end of c that of child, in the same step: if it took a goroutine, virtual time
// might go on in between. It needs no timer of c, since child's deadline is not after c's.
func (c *timeoutCtx) adopt(child *timeoutCtx) (unhook func() bool) {
	c.mu.Lock()
	err, cause := c.err, c.cause
	if err == nil {
		if c.children == nil {
			c.children = make(map[*timeoutCtx]struct{})
		}
		c.children[child] = struct{}{}
	}
	c.mu.Unlock()
	if err != nil {
		child.cancel(err, cause)
		return nil
	}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.children, child)
		return true
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

// cancel ends c, once, and gives the error that it ended with. From any goroutine.
func (c *timeoutCtx) cancel(err, cause error) error {
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	c.err, c.cause = err, cause
	if c.done != nil {
		close(c.done)
	}
	hooks, children := c.hooks, c.children
	c.hooks, c.children = nil, nil
	t, seq, timing := c.parked, c.seq, c.timing
	c.mu.Unlock()
	// The order among them decides nothing: at most one of all that belong to a task is the one
	// that it is parked under.
	for child := range children {
		child.cancel(err, cause)
	}
	if timing {
		c.task.s.InjectFunc(func() { c.stopped = true; c.task.s.stopTimer(&c.timer) })
	}
	if t != nil {
		t.s.Inject(&endWait{t, seq})
	}
	for f := range hooks {
		go (*f)()
	}
	return err
}
