package actor

import (
	"context"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
)

// A Tasklet is one activity. It has a name, a place in the tree, a body, and an end. Its body runs
// on a scheduler of its system, which runs one tasklet at a time. A restart makes a new Tasklet.
// The zero Tasklet is not usable; the functions that start tasklets make them.
//
// A *Tasklet is a context.Context. It is done when the end of the tasklet is certain: its body has
// ended, or its kill has become hard because it did not stop in time. A soft kill does not end the
// context; it is raised as a panic where the tasklet waits, and deferred calls can still use the
// context. The context identifies the blocking calls of the tasklet, so it may be used only inside
// it.
//
// Methods may be called from any goroutine unless they say otherwise. Methods that must be called
// inside the tasklet panic if they are called anywhere else.
type Tasklet struct {
	// The order of the fields leaves no gaps; see TestSizeOfReceiver.

	task core.Task

	// Set at the start, then read-only.
	sys        *System
	parent     *Tasklet // nil for the root, and for the node of the daemons
	inst       instance
	num        uint32 // makes derived names unique among siblings
	onFailure  FailurePolicy
	supervised bool // it is in a slot

	phase phase // owned by the scheduler

	// System.mu protects the following, and the links below.
	linked  bool   // it is among its parent's children
	started uint32 // the number of children started so far

	// Atomic: written by the tasklet's scheduler, and read by goroutines that join it or use its
	// context on another scheduler.
	marks atomic.Uint32

	first, last, next, prev *Tasklet

	joiners core.Line // owned by the scheduler: the tasks parked in Join

	// ex has the data that most tasklets never need. It is allocated on first use.
	ex atomic.Pointer[extra]
}

func init() {
	core.OwnContexts(func(ctx context.Context) *core.Task {
		if t, ok := ctx.(*Tasklet); ok {
			return &t.task
		}
		return nil
	})
}

// System returns the system of t.
func (t *Tasklet) System() *System { return t.sys }

// String returns the path.
func (t *Tasklet) String() string { return t.Path() }

// Parent returns the tasklet under which t was started. It is nil for the root and for daemons.
func (t *Tasklet) Parent() *Tasklet {
	if t.parent == t.sys.daemons {
		return nil
	}
	return t.parent
}

// HasFinished reports whether t has finished, including its children and its deferred calls.
func (t *Tasklet) HasFinished() bool { return t.marks.Load()&markFinished != 0 }

// Kill asks t to end, with all tasklets below it, and returns at once. If t waits, a *[Killed]
// is raised as a panic where it waits, so that its deferred calls run. If t is busy, it is raised
// at the next blocking point. A receiver that waits for messages, or a tasklet that has not run
// yet, ends without running any of its code. If the body recovers the panic, t continues. A tasklet
// may kill itself. Further kills have no effect until the raised one was recovered; a kill of a
// tasklet that is ending has no effect.
//
// [Shutdown] describes what happens to a tasklet that does not end.
func (t *Tasklet) Kill() { t.kill(nil) }

// KillCause is like [Tasklet.Kill], and says why and who kills. The result of t is then a *[Killed]
// with the cause, and with the path of the tasklet that ctx belongs to. ctx has no other effect,
// and may belong to no tasklet. errors.Is finds both [ErrKilled] and cause in it, and the exit kind
// is reason.Killed, whatever cause is. The panic, [Tasklet.Killed], the notices of [Watch] and the
// log have the same cause and sender.
//
// A kill that has no effect does not change the cause: the first one counts until it was recovered.
// cause may be nil. KillCause may be called from any goroutine. It panics if ctx is nil.
func (t *Tasklet) KillCause(ctx context.Context, cause error) {
	if ctx == nil {
		misuse("KillCause with a nil context")
	}
	k := &Killed{Tasklet: t, Cause: cause}
	if by := Current(ctx); by != nil {
		k.By = by.Path()
	}
	if !t.killBody(k) {
		t.cutDrain()
	}
}

// Killed returns the kill that has ended the body of t or that is about to: one that is pending,
// or raised and not yet recovered. It returns nil if there is none. Functions given to
// [Tasklet.Defer] can use it to find out why t ends. Killed may be called from any goroutine.
func (t *Tasklet) Killed() *Killed {
	m := t.marks.Load()
	if m&markKilled == 0 && (m&(markEnded|markFinished) != 0 || !t.task.BeingKilled()) {
		return nil
	}
	return t.killed()
}

// raise returns the value of the panic for a kill that is being raised.
func (t *Tasklet) raise() any {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.raised = x.cause
	return x.killed(t)
}

// kill is like Kill, with a cause that becomes the result. If the body has ended, it cuts a drain
// of the children short.
func (t *Tasklet) kill(cause error) {
	if !t.killBody(cause) {
		if _, failed := cause.(*ChildError); !failed { // a child that fails does not cut it
			t.cutDrain()
		}
	}
}

// killBody kills the body. It returns false, and does nothing, if the body has ended.
func (t *Tasklet) killBody(cause error) bool {
	if t.marks.Load()&(markOver|markFinished) != 0 {
		return false
	}
	if t == t.sys.root {
		t.sys.beginStop()
	}
	if t.killTask(cause) {
		t.extra().killedAt.Store(max(1, t.task.Scheduler().Nanotime()))
		t.sys.emit(EventRecord{Kind: event.Kill, Tasklet: t, Err: cause})
	}
	return true
}

// killTask makes the kill pending, with its cause, and reports whether it has an effect. Whoever
// sees a cause also sees the kill, because both are made under the lock.
func (t *Tasklet) killTask(cause error) bool {
	if cause == nil {
		return t.task.Kill(false)
	}
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	before := x.cause
	x.cause = cause
	effect := t.task.Kill(false)
	if !effect && (before != nil || !overrules(cause)) {
		x.cause = before
	}
	return effect
}

// overrules reports whether the cause of a kill counts also if the kill before it had none.
func overrules(cause error) bool {
	switch cause.(type) {
	case *Killed, *LinkError:
		return false // somebody has asked for the kill, and the first one counts
	}
	return true
}

// harden makes the kill hard, so that it is raised at every blocking point. It may be called from
// any goroutine.
func (t *Tasklet) harden() {
	t.markHard()
	t.task.Kill(true)
	t.cutDrain()
}

// markHard records that the kill of t is hard, and ends the context.
func (t *Tasklet) markHard() {
	if t.marks.Or(markOver|markHard)&markOver == 0 {
		t.closeDone()
	}
}

// cutDrain ends a drain of t, so that its children are killed. It may be called from any goroutine.
func (t *Tasklet) cutDrain() {
	if t.marks.Load()&markDraining != 0 && t.marks.Or(markCut)&(markCut|markFinished) == 0 {
		t.task.Scheduler().Inject((*wakeStopping)(t))
	}
}

// Sleep parks t for at least d on the system's clock. If d <= 0 it is Yield. It must be called
// inside t. The function [Sleep] does the same with a limit.
func (t *Tasklet) Sleep(d time.Duration) { t.task.Sleep(d) }

// Yield parks t until the other ready tasklets have had their turn. It must be called inside t.
func (t *Tasklet) Yield() { t.task.Yield() }

// Sleep parks the calling tasklet for at least d on the system's clock, and returns nil. If ctx
// ends first, Sleep returns [ErrTimeout] for a deadline, and otherwise the cause of ctx. If d <= 0
// it is [Yield], and returns nil. ctx must belong to the running tasklet; Sleep panics with any
// other.
func Sleep(ctx context.Context, d time.Duration) error {
	t, limit := caller(ctx, "Sleep")
	if limit == nil || d <= 0 {
		t.task.Sleep(d)
		return nil
	}
	s := t.task.Scheduler()
	until := s.After(d)
	err := t.task.Park(core.Wait{Kind: core.InSleep, Until: until, Ctx: limit})
	if s.Nanotime() >= until {
		return nil
	}
	return err
}

// Yield parks the calling tasklet until the other ready tasklets have had their turn. ctx must
// belong to the running tasklet; Yield panics with any other.
func Yield(ctx context.Context) {
	t, _ := caller(ctx, "Yield")
	t.task.Yield()
}

// Self returns the ref whose messages t reads, so that a body can pass on its own address, for
// answers for example. Self may be called from any goroutine. It panics if t reads no ref, or one
// with messages of another type than M.
func Self[M any](t *Tasklet) Ref[M] {
	switch l := t.inst.lineage().(type) {
	case *lineage[M]:
		return Ref[M]{l}
	case nil:
		misuse("Self[%v] of %s, which has no mailbox", reflect.TypeFor[M](), t.Path())
	default:
		misuse("Self[%v] of %s, whose messages are of type %v", reflect.TypeFor[M](), t.Path(), l.message())
	}
	return Ref[M]{}
}

// caller returns the running tasklet, to which ctx belongs. limit is ctx if it is not the tasklet
// itself, and nil otherwise.
func caller(ctx context.Context, op string) (t *Tasklet, limit context.Context) {
	if ctx == nil {
		misuse("%s with a nil context", op)
	}
	if t, limit = callerOf(ctx); t == nil {
		misuse("%s called outside a tasklet: its context belongs to none", op)
	}
	t.mustRun(op)
	return t, limit
}

// Defer makes f run when t ends, for whatever reason, after its children have ended. Deferred calls
// run in reverse order. Use Defer to release what a receiver holds, which has no stack for a Go
// defer. f may block, under the same kill as t, but may not start children. A panic in f is
// reported, and becomes t's result if there was no failure before. Defer must be called inside t,
// and not in a deferred call. It panics if f is nil.
func (t *Tasklet) Defer(f func()) {
	if f == nil {
		misuse("Defer of a nil function")
	}
	t.mustRun("Defer")
	if t.phase >= deferring {
		misuse("Defer from a deferred call of %s", t.Path())
	}
	x := t.extra()
	x.deferred = append(x.deferred, f)
}

func (t *Tasklet) mustRun(op string) { t.task.MustRun(op) }

// Current returns the tasklet that ctx belongs to: ctx is the tasklet itself, or derived from it.
// It returns nil for any other context.
func Current(ctx context.Context) *Tasklet {
	if t, ok := ctx.(*Tasklet); ok {
		return t
	}
	t, _ := ctx.Value(taskletKey{}).(*Tasklet)
	return t
}

type taskletKey struct{}

// Deadline returns the deadline of the context given to Run.
func (t *Tasklet) Deadline() (time.Time, bool) { return t.sys.ctx.Deadline() }

// Done returns a channel that is closed when the end of t is certain: its body has ended, or a kill
// has become hard.
func (t *Tasklet) Done() <-chan struct{} {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		if t.marks.Load()&markOver != 0 {
			return closed // not stored, because a later closeDone would close it again
		}
		x.done = make(chan struct{})
	}
	return x.done
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Err returns context.Canceled after Done is closed. It never returns t's result; use Join for
// that.
func (t *Tasklet) Err() error {
	if t.marks.Load()&markOver != 0 {
		return context.Canceled
	}
	return nil
}

// Value returns the value of the context given to Run, for keys other than this package's own.
func (t *Tasklet) Value(key any) any {
	if key == (taskletKey{}) {
		return t
	}
	if v := t.task.Value(key); v != nil {
		return v
	}
	// plain is not ctx, whose cause context.Cause would take for that of t.
	if l, ok := t.task.Runner().(*labelled); ok {
		return l.set.ctx.Value(key) // plain with the labels of t, on which pprof.Do builds
	}
	return t.sys.plain.Value(key)
}

// AfterFunc calls f in its own goroutine when Done is closed. Package context uses it to end
// contexts that are derived from t without another goroutine.
func (t *Tasklet) AfterFunc(f func()) (stop func() bool) {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if t.marks.Load()&markOver != 0 {
		go f()
		return func() bool { return false }
	}
	if x.over == nil {
		x.over = make(map[*func()]struct{})
	}
	key := &f
	x.over[key] = struct{}{}
	return func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		_, ok := x.over[key]
		delete(x.over, key)
		return ok
	}
}

// closeDone ends the context for the goroutines that wait for it. markOver must be set.
func (t *Tasklet) closeDone() {
	if t == t.sys.root {
		t.sys.beginStop()
	}
	x := t.ex.Load()
	if x == nil {
		return // a goroutine that allocates it from now on sees the mark
	}
	x.mu.Lock()
	if x.done != nil {
		close(x.done)
	}
	over := x.over
	x.over = nil
	x.mu.Unlock()
	for f := range over {
		go (*f)()
	}
}

// WithTimeout is context.WithTimeout on the clock of the tasklet that ctx belongs to, also a
// virtual one, and without a goroutine. If ctx belongs to no tasklet, it is context.WithTimeout.
// WithTimeout panics if ctx is nil.
func WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return core.WithTimeout(ctx, d)
}

// WithDeadline is [WithTimeout] for a time of that clock.
func WithDeadline(ctx context.Context, at time.Time) (context.Context, context.CancelFunc) {
	return core.WithDeadline(ctx, at)
}

// taskletOf returns the tasklet that a task is part of.
func taskletOf(t *core.Task) *Tasklet {
	if r, ok := t.Runner().(*runner); ok {
		return (*Tasklet)(r)
	}
	return (*Tasklet)(t.Runner().(*labelled).runner)
}

// callerOf is like core.From, for tasklets.
func callerOf(ctx context.Context) (*Tasklet, context.Context) {
	if t, ok := ctx.(*Tasklet); ok {
		return t, nil
	}
	task, limit := core.From(ctx)
	if task == nil {
		return nil, ctx
	}
	return taskletOf(task), limit
}

// result returns the result of t, or nil as long as t has not ended.
func (t *Tasklet) result() error {
	if x := t.ex.Load(); x != nil && x.result != nil {
		return x.result
	}
	if t.marks.Load()&markKilled != 0 {
		return ErrKilled
	}
	return nil
}

// exit returns the Exit of a tasklet that has finished.
func (t *Tasklet) exit() Exit {
	err := t.result()
	return Exit{Tasklet: t, Path: t.Path(), Kind: KindOf(err), Err: err}
}

// Exit returns how t ended, and true. It returns false if t has not finished.
func (t *Tasklet) Exit() (Exit, bool) {
	if !t.HasFinished() {
		return Exit{}, false
	}
	return t.exit(), true
}
