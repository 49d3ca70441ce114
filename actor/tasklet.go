package actor

import (
	"context"
	"encoding/binary"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/internal/core"
)

// A Tasklet is one activity: it has a name, a place in the tree, a body that runs on a scheduler of
// its system together with the other tasklets there, one at a time, and an end. A restart makes a
// new Tasklet.
//
// A *Tasklet is a context.Context. It is done when its end is certain: its body has ended, or it
// was killed for the second, hard time because it did not stop. A first kill does not end it: that
// is raised as a panic at the point where the tasklet waits, and deferred calls can still use the
// context. The context marks the tasklet's own blocking calls: give it to nobody else.
//
// Methods may be called from any goroutine unless they say otherwise. Those that say "only from
// inside" panic elsewhere.
type Tasklet struct {
	// The order of the fields leaves no gaps: see TestSizeOfReceiver.

	task core.Task

	// Set at the start, then read-only.
	sys        *System
	parent     *Tasklet // nil for the root, and for the node of the daemons
	inst       instance
	num        uint32 // makes derived names unique among siblings
	onFailure  FailurePolicy
	supervised bool

	phase phase // owned by the scheduler

	// System.mu protects the following, and the links below.
	linked  bool   // among its parent's children
	started uint32 // children so far

	// marks is written by the tasklet's scheduler, and read by those who join it or use its context
	// elsewhere.
	marks atomic.Uint32

	first, last, next, prev *Tasklet

	joiners core.Line // owned by the scheduler: those parked in Join

	// ex holds what most tasklets never need. Allocated by whoever needs it first.
	ex atomic.Pointer[extra]
}

// extra is the part of a tasklet that most never need.
type extra struct {
	// Set at the start, then read-only.
	name       string
	shutdown   time.Duration // 0: the default
	supervised func(Exit)
	slot       *Slot        // that it is in; nil: none
	rare       *rareOptions // nil: none

	// its slots that are no longer among its children, see lastChild; System.mu protects
	emptied *Slot

	// killedAt is ns on the clock, of the last kill; 0: never. Written by whoever kills, read by
	// those who show it: nothing else tells them.
	killedAt atomic.Int64

	// Written by the scheduler; read by the parent, which may be on another, while it stops t.
	waitFrom atomic.Int64 // ns on the clock: when t began to wait for its children; 0: it did not
	waitTill atomic.Int64 // and when that was over; written before markChildless

	// mu protects the following.
	mu        sync.Mutex
	done      chan struct{} // closed with markOver
	over      map[*func()]struct{}
	fin       chan struct{} // closed with markFinished, for joiners on other goroutines
	followers *followers    // nil until there is one; then it stays
	locals    map[any]any
	labels    []label
	cause     error // why it was killed, if not just so
	logger    *zap.Logger

	// Owned by the scheduler.
	result   error
	deferred []func()
	owned    ownedList // timers, watches, pipes
	cell     any       // a free *cell[R]
	start    *startWait
	stopping *stopState // of its children, one after the other; nil until one has to be waited for
}

// rareOptions are what few starts say.
type rareOptions struct {
	onStart  []func(*Tasklet) error
	together time.Duration // see StopTogether; 0: one after the other
	// what the name is derived from, if it is not the body's function; see Simulation
	source any
	before *Tasklet // the sibling before which t is placed; nil: at the end
}

// set gives the rare options, to be changed. At the start only.
func (x *extra) set() *rareOptions {
	if x.rare == nil {
		x.rare = new(rareOptions)
	}
	return x.rare
}

// followers are those who want to know of a tasklet's end. extra.mu protects them.
type followers struct {
	bells    bells        // of joiners on other schedulers
	watchers list[*watch] // of those that get a notice
	delegate []delegation // calls that the tasklet shall answer
}

// follow gives the followers, to add one.
func (x *extra) follow() *followers {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.followed()
}

// followed is follow under mu.
func (x *extra) followed() *followers {
	if x.followers == nil {
		x.followers = new(followers)
	}
	return x.followers
}

// rareOptions gives those of t; nil if there are none.
func (t *Tasklet) rareOptions() *rareOptions {
	if x := t.ex.Load(); x != nil {
		return x.rare
	}
	return nil
}

type label struct{ key, value string }

func (t *Tasklet) extra() *extra {
	if x := t.ex.Load(); x != nil {
		return x
	}
	t.ex.CompareAndSwap(nil, new(extra))
	return t.ex.Load()
}

// Task is the scheduler's half of t, for code that is built on package scheduler.
func (t *Tasklet) Task() *core.Task { return &t.task }

// System is the one that t belongs to.
func (t *Tasklet) System() *System { return t.sys }

// ID is unique. It is made from an identity of the system and a count, not from random bits for
// each tasklet.
func (t *Tasklet) ID() uuid.UUID {
	id := t.sys.id
	binary.BigEndian.PutUint64(id[8:], t.task.ID())
	id[8] = id[8]&0x3f | 0x80 // variant
	return id
}

// String is the path.
func (t *Tasklet) String() string { return t.Path() }

// Parent is the tasklet under which t was started; nil for the root and for daemons.
func (t *Tasklet) Parent() *Tasklet {
	if t.parent == t.sys.daemons {
		return nil
	}
	return t.parent
}

// Children gives the children that have not finished, in order of start.
func (t *Tasklet) Children() []*Tasklet {
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	var cs []*Tasklet
	for c := t.first; c != nil; c = c.next {
		if !c.vacant() {
			cs = append(cs, c)
		}
	}
	return cs
}

// Tree walks t and everything below that has not finished, parents before children, with the level:
// t itself is at 0. It goes over a copy made at the start of each family.
func (t *Tasklet) Tree() iter.Seq2[*Tasklet, int] {
	return func(yield func(*Tasklet, int) bool) { t.walk(0, yield) }
}

func (t *Tasklet) walk(level int, yield func(*Tasklet, int) bool) bool {
	if !yield(t, level) {
		return false
	}
	for _, c := range t.Children() {
		if !c.walk(level+1, yield) {
			return false
		}
	}
	return true
}

// HasFinished reports whether t, its children and its deferred calls are all over.
func (t *Tasklet) HasFinished() bool { return t.marks.Load()&markFinished != 0 }

// Kill asks t to end, with everything below. It returns at once. If t waits, a *[TaskletExit] is
// raised as a panic where it waits, so that its deferred calls run; if it is busy, at its next
// blocking point; a receiver that waits for messages, or a tasklet not yet started, ends without
// any of its code being run. A body that recovers the panic goes on living. Killing oneself is
// allowed. Further kills do nothing until that one was recovered; on a tasklet that is ending they
// do nothing.
//
// See [Shutdown] for what happens to one that does not end.
func (t *Tasklet) Kill() { t.kill(nil) }

// kill is Kill with a cause, which becomes the result.
func (t *Tasklet) kill(cause error) {
	if t.marks.Load()&(markOver|markFinished) != 0 {
		return
	}
	if cause != nil {
		x := t.extra()
		x.mu.Lock()
		if x.cause == nil {
			x.cause = cause
		}
		x.mu.Unlock()
	}
	if t == t.sys.root {
		t.sys.beginStop()
	}
	if t.task.Kill(false) {
		t.extra().killedAt.Store(max(1, t.task.Scheduler().Nanotime()))
		t.sys.emit(Event{Kind: EventKill, Tasklet: t, Err: cause})
	}
}

// harden makes the kill one that is raised at every blocking point. From any goroutine.
func (t *Tasklet) harden() {
	if t.marks.Or(markOver|markHard)&markOver == 0 {
		t.closeDone()
	}
	t.task.Kill(true)
}

// Sleep parks t for d of the system's clock, never shorter; d <= 0 is Yield. Only from inside. The
// function [Sleep] does the same with a limit.
func (t *Tasklet) Sleep(d time.Duration) { t.task.Sleep(d) }

// Yield parks t until the other ready tasklets have had their turn. Only from inside.
func (t *Tasklet) Yield() { t.task.Yield() }

// Sleep parks the calling tasklet for d of the system's clock, never shorter, and returns nil. If
// ctx ends first, Sleep returns [ErrTimeout] for a deadline and the cause of ctx otherwise. With d
// <= 0 it is [Yield], and returns nil. ctx must be that of the running tasklet or derived from it;
// Sleep panics with any other.
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

// Yield parks the calling tasklet until the other ready tasklets have had their turn. ctx must be
// that of the running tasklet or derived from it; Yield panics with any other.
func Yield(ctx context.Context) {
	t, _ := caller(ctx, "Yield")
	t.task.Yield()
}

// Self returns the ref whose messages t reads: a body that is given t can hand it out, as the
// address for answers, before anybody has told it. Self may be called from any goroutine. It panics
// if t reads no ref, or one with messages of another type than M.
func Self[M any](t *Tasklet) Ref[M] {
	switch l := t.inst.line().(type) {
	case *line[M]:
		return Ref[M]{l}
	case nil:
		misuse("Self[%v] of %s, which has no mailbox", reflect.TypeFor[M](), t.Path())
	default:
		misuse("Self[%v] of %s, whose messages are of type %v", reflect.TypeFor[M](), t.Path(), l.message())
	}
	return Ref[M]{}
}

// caller returns the running tasklet, which ctx belongs to, and ctx if it is more than the tasklet
// itself.
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

// Defer lets f run when t ends, however it ends, after its children: last in, first out. It is the
// place to release what a receiver holds, which has no stack for a Go defer. f may block, under the
// same kill as t; it may not start children. A panic in it is reported, and becomes t's result if
// there was none. Only from inside, and not from a deferred call.
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

// Log gives the system's logger with t's id and path.
func (t *Tasklet) Log() *zap.Logger {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.logger == nil {
		x.logger = t.sys.log.With(t.fields()...)
	}
	return x.logger
}

// Current is the tasklet that ctx belongs to: ctx is the tasklet itself, or derived from it. Nil
// outside.
func Current(ctx context.Context) *Tasklet {
	if t, ok := ctx.(*Tasklet); ok {
		return t
	}
	t, _ := ctx.Value(taskletKey{}).(*Tasklet)
	return t
}

type taskletKey struct{}

// Deadline is that of the context given to Run.
func (t *Tasklet) Deadline() (time.Time, bool) { return t.sys.ctx.Deadline() }

// Done is closed when the end of t is certain: its body has ended, or a kill has become hard.
func (t *Tasklet) Done() <-chan struct{} {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		if t.marks.Load()&markOver != 0 {
			return closed // not kept: closeDone, which may come yet, would close it again
		}
		x.done = make(chan struct{})
	}
	return x.done
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Err is context.Canceled once Done is closed. It is never t's result: for that, Join.
func (t *Tasklet) Err() error {
	if t.marks.Load()&markOver != 0 {
		return context.Canceled
	}
	return nil
}

// Value is that of the context given to Run, for keys other than this package's own.
func (t *Tasklet) Value(key any) any {
	if key == (taskletKey{}) {
		return t
	}
	if v := t.task.Value(key); v != nil {
		return v
	}
	return t.sys.plain.Value(key) // not ctx: context.Cause would take its cause for t's
}

// AfterFunc is what contexts derived from t use to be told of its end, without a goroutine. It is
// meant for package context.
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

// closeDone tells those who wait for the context's end. After markOver was set.
func (t *Tasklet) closeDone() {
	if t == t.sys.root {
		t.sys.beginStop()
	}
	x := t.ex.Load()
	if x == nil {
		return // who allocates it from now on sees the mark
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

// WithTimeout is context.WithTimeout on the clock of the tasklet that ctx belongs to, a virtual one
// too, without a goroutine. See scheduler.WithTimeout.
func WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return core.WithTimeout(ctx, d)
}

// WithDeadline is WithTimeout for a time of that clock.
func WithDeadline(ctx context.Context, at time.Time) (context.Context, context.CancelFunc) {
	return core.WithDeadline(ctx, at)
}
