package core

import (
	"context"
	"sync"
	"time"
)

// timeoutCtx is a context with a deadline on a scheduler's clock. A task that blocks under it sets
// its own timer, so nothing runs for the context itself until Done is called.
type timeoutCtx struct {
	// Set in withDeadline, then read-only.
	parent  context.Context
	task    *Task
	at      int64 // ns on the scheduler's clock
	limited bool  // parent is not only the task, so it may end first
	// foreign says that the outside may end it, because a context of another package is among its
	// parents.
	foreign bool
	outer   *timeoutCtx // the context that has adopted it, or nil
	// follows says that it ends with the task's own context. It does not if that was over when it
	// was made, because a deferred call may still wait.
	follows bool

	// mu protects the following. The mu of no other context is locked under it.
	mu   sync.Mutex
	done chan struct{} // nil until Done is called
	err  error         // not nil after the end; done, if it was made, is then closed
	// cause is the error of a blocking call. Written with err, then read-only.
	cause    error
	parked   *Task                    // the task that is blocked under it
	seq      uint32                   // the number of its wait
	children map[*timeoutCtx]struct{} // those of the same task
	hooks    map[*func()]struct{}
	timing   bool        // the timer was passed to the scheduler
	hooked   bool        // the end of the task's own context is watched
	unhook   func() bool // removes it from the parent; nil if there is nothing to remove

	// Owned by the scheduler.
	stopped bool // cancelled before the timer was started
	timer   Timer
}

// WithTimeout is context.WithTimeout on the clock of the task that parent belongs to, also a
// virtual one, and without a goroutine or a timer of the runtime. The deadline becomes that of
// every blocking call that is given the context. If parent belongs to no task, it is
// context.WithTimeout.
//
// With a virtual clock, Deadline reports only the deadline of the parent, because code that
// compares deadlines with the wall clock would be misled.
//
// WithTimeout may be called from any goroutine. The end of the context ends contexts derived from
// it by WithTimeout and WithDeadline in the same step. Contexts that package context derives from
// it are ended by a goroutine each, as context.AfterFunc promises. Contexts of package context
// count as the outside: while a task waits under one, a virtual clock stands still.
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

// WithDeadline is like WithTimeout, for a time of that clock.
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

// release is the CancelFunc. It calls Err first, because nothing may have run for an earlier end,
// which then stays the reason, as in package context.
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

// follow ensures that c ends when the task's own context does, once more than Err is asked for. mu
// must not be held.
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

// ours returns the timeoutCtx that ends when ctx does: ctx itself, or the one to which ctx only
// adds values. It returns nil if there is none.
func ours(ctx context.Context) *timeoutCtx {
	if c, ok := ctx.(*timeoutCtx); ok {
		return c
	}
	if c, ok := ctx.Value(timeoutKey{}).(*timeoutCtx); ok && ctx.Done() == c.Done() {
		return c
	}
	return nil
}

// deadlineOf returns the deadline that ctx has on its scheduler's clock, or 0 if it has none.
//
// A context derived by context.WithoutCancel no longer has the deadline of its parent. Only Done
// and Deadline show that. With a virtual clock, which Deadline does not show, a context that
// package context derives from such a context keeps the old deadline.
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

// Err does not wait until a timer or a goroutine ends c. It checks the clock and the parent.
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

// Done may be called from any goroutine, but only the scheduler may start the timer. So it uses the
// door.
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

// AfterFunc is used by context.AfterFunc, and by contexts derived from c, instead of a goroutine.
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

// adopt makes the end of c the end of child, in the same step. If it took a goroutine, virtual time
// might advance before that. It needs no timer of c, because child's deadline is not after c's.
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

// startTiming starts the timer, unless it was started. mu must be held.
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

// Expire is called by the timer.
func (c *timeoutCtx) Expire() { c.cancel(context.DeadlineExceeded, ErrTimeout) }

// cancel ends c once, and returns the error with which it ended. It may be called from any
// goroutine.
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
	// Their order does not matter, because a task is parked under at most one of its contexts.
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
