package actor

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Spawner is the place under which a tasklet is started: a *Tasklet, which must be running and
// becomes the parent; or a *System, from any goroutine, whose root becomes the parent.
type Spawner interface {
	// spawner returns the system and the parent. outside says that the caller may be on any
	// goroutine.
	spawner(op string) (s *System, parent *Tasklet, outside bool)
}

func (t *Tasklet) spawner(op string) (*System, *Tasklet, bool) {
	if t.phase == finished && t.marks.Load()&markStopped == 0 || t.sys == nil {
		misuse("%s under %s, which has finished", op, t.Path())
	}
	t.mustRun(op)
	if t.phase >= deferring {
		misuse("%s from a deferred call of %s: no children may be started there", op, t.Path())
	}
	return t.sys, t, false
}

func (s *System) spawner(op string) (*System, *Tasklet, bool) {
	if s == nil {
		misuse("%s under a nil *System", op)
	}
	return s, s.root, true
}

// start puts t, whose inst is set, into the tree and into the run queue. The caller continues. The
// first step of t comes after those of the tasks that are ready now.
func (t *Tasklet) start(p Spawner, op string, opts []Option, allowed optionSet) {
	if p == nil {
		misuse("%s under a nil Spawner", op)
	}
	s, parent, outside := p.spawner(op)
	t.sys = s
	daemon, where := false, placement(0)
	if len(opts) > 0 || t.supervised {
		daemon, where = t.apply(op, opts, allowed)
	} else if allowed&optResume == 0 {
		t.onFailure = End
	}
	if daemon {
		parent = s.daemons
	}
	if s.sim != nil {
		s.sim.begin(t)
	}
	t.putAround()
	l := t.inst.lineage()
	h := s.place(op, parent, l, where)
	t.phase = living
	if _, ok := inner(t.inst).(initer); ok {
		t.phase = starting
	} else if r := t.rareOptions(); r != nil && r.onStart != nil {
		t.phase = starting
	}
	if l != nil {
		t.parent = parent // for the messages of misuse
		l.claim(t, h)
	}
	if !outside && !daemon && h.sched == parent.task.Scheduler() {
		if s.link(t, parent, h, true) {
			if l != nil {
				t.marks.Or(markPlaced)
				l.began(t)
			}
			t.born()
			t.arrive(l)
		} else {
			t.stillborn(l)
		}
		return
	}
	// This includes daemons started from inside: all tasklets whose parent is not the caller, or is
	// on another scheduler, take the same way.
	t.marks.Or(markAway)
	if !s.link(t, parent, h, !outside && !daemon) {
		t.stillborn(l)
		return
	}
	// From here on the scheduler may see t and end it.
	if l != nil {
		t.marks.Or(markPlaced)
		l.began(t)
	}
	if !h.sched.Inject((*arrival)(t)) && !t.HasFinished() {
		s.unlinkNew(t)
		t.stillborn(l)
		// It may have been found in the tree already.
		t.tellEnd(t.extra(), Exit{Tasklet: t, Kind: KindOf(ErrStopped), Err: ErrStopped}, nil)
		parent.task.Scheduler().Inject((*wakeStopping)(parent))
	}
}

// arrival is the part of a start that the tasklet's scheduler does for a caller on another one.
type arrival Tasklet

func (a *arrival) Do() {
	t := (*Tasklet)(a)
	if t.phase == finished {
		return // it was stopped with its parent
	}
	t.marks.And(^uint32(markAway))
	t.born()
	t.arrive(t.inst.lineage())
}

// arrive makes t ready. A receiver with an empty mailbox stays idle, as there is nothing to run. It
// must be called on the scheduler.
func (t *Tasklet) arrive(l anyLineage) {
	if t.phase == living {
		t.announce(nil)
		if t.drained() { // since before its arrival
			defer t.drain() // when its ref is open
		}
	}
	if l != nil && !t.left() { // otherwise it was detached on its way, and another may read now
		l.open(t)
		if t.sys.sim != nil {
			t.sys.sim.opened(t, l)
		}
		if _, waits := t.inst.(interface{ waitsFirst() }); waits && t.phase == living && l.idle() {
			return
		}
	}
	t.task.Wake()
}

// stillborn makes t a tasklet that has already finished, because its system has stopped.
func (t *Tasklet) stillborn(l anyLineage) {
	t.extra().result = ErrStopped
	t.phase = finished
	t.marks.Or(markOver | markFinished | markStopped | markPlaced)
	switch {
	case l == nil:
	case t.supervised:
		t.marks.Or(markLeft)
	default:
		l.retire()
	}
	t.announce(ErrStopped)
}

// Go starts a tasklet that calls f once. The error that f returns is its result; see
// [Tasklet.Join].
func Go(p Spawner, f func(*Tasklet) error, opts ...Option) *Tasklet {
	mustFunc("Go", f != nil)
	t := &Tasklet{inst: function(f)}
	t.start(p, "Go", opts, anyBody)
	return t
}

// StartTasklet starts a tasklet with the body b. To wait for its init, use [Tasklet.Started].
func StartTasklet(p Spawner, b Body, opts ...Option) *Tasklet {
	if b == nil {
		misuse("StartTasklet with a nil Body")
	}
	t := &Tasklet{inst: b.instance()}
	t.start(p, "StartTasklet", optionsOf(b, opts), b.allows())
	return t
}

// Later starts a tasklet that calls f once, d after its start.
func Later(p Spawner, d time.Duration, f func(*Tasklet) error, opts ...Option) *Tasklet {
	mustFunc("Later", f != nil)
	t := &Tasklet{inst: &later{d: d, f: f}}
	t.start(p, "Later", opts, anyBody)
	return t
}

// Interval starts a tasklet that calls f repeatedly, each time d after f has returned; see
// [IntervalBody].
func Interval(p Spawner, d time.Duration, f func(*Tasklet) error, opts ...Option) *Tasklet {
	b := IntervalBody(d, f)
	t := &Tasklet{inst: b.instance()}
	t.start(p, "Interval", opts, b.allows())
	return t
}

// Loop starts a tasklet that calls f repeatedly, and yields after each call. After a failure it
// waits for a second.
func Loop(p Spawner, f func(*Tasklet) error, opts ...Option) *Tasklet {
	mustFunc("Loop", f != nil)
	t := &Tasklet{inst: &loop{f: f}}
	t.start(p, "Loop", opts, anyBody|repeatOptions)
	return t
}

// Rate starts a tasklet that calls f hz times a second; see [RateBody]. The example shows how to
// use it as a rate limiter for other tasklets.
func Rate(p Spawner, hz float64, f func(*Tasklet, time.Time) error, opts ...Option) *Tasklet {
	b := RateBody(hz, f)
	t := &Tasklet{inst: b.instance()}
	t.start(p, "Rate", opts, b.allows())
	return t
}

// New starts a tasklet that calls f once, and keeps the value that f returns for [Task.Join].
func New[R any](p Spawner, f func(*Tasklet) (R, error), opts ...Option) *Task[R] {
	mustFunc("New", f != nil)
	k := &Task[R]{f: f}
	k.t.inst = (*withResult[R])(k)
	k.t.start(p, "New", opts, anyBody)
	return k
}

type withResult[R any] Task[R]

func (w *withResult[R]) step(t *Tasklet) (bool, error) {
	v, err := w.f(t)
	w.v = v
	return true, err
}
func (w *withResult[R]) lineage() anyLineage { return nil }
func (w *withResult[R]) source() any         { return w.f }
func (w *withResult[R]) kind() string        { return "task" }
func (w *withResult[R]) value() any          { return w.v }

// Receiver starts a tasklet that calls f for each message sent to the returned ref, one after the
// other. The tasklet ends when the ref is closed and all messages are handled, or when f returns
// ErrStop or ErrShutdown. If f returns another error or panics, that is reported, and the next
// message is handled with the same state, unless [OnFailure] says otherwise.
func Receiver[M any](p Spawner, f func(*Tasklet, M) error, opts ...Option) Ref[M] {
	mustFunc("Receiver", f != nil)
	r := &receiver[M]{}
	r.l.init("Receiver", opts)
	r.h = handling[M]{&r.l, f}
	r.t.inst = r.h.typed()
	r.t.start(p, "Receiver", opts, anyBody|repeatOptions|boxOptions|optIdle|optUrgent)
	return Ref[M]{&r.l}
}

// receiver is everything that an idle receiver needs, in one piece of memory of 384 bytes.
type receiver[M any] struct {
	t Tasklet
	l lineage[M]
	h handling[M]
}

// BatchReceiver is like [Receiver], for batches of messages; see [BatchReceiverBody].
func BatchReceiver[M any](p Spawner, max int, wait time.Duration, f func(*Tasklet, []M) error, opts ...Option) Ref[M] {
	ref := newRef[M]("BatchReceiver", opts)
	b := BatchReceiverBody(ref, max, wait, f)
	t := &Tasklet{inst: b.instance()}
	t.start(p, "BatchReceiver", opts, anyBody|repeatOptions|boxOptions)
	return ref
}

// Spawn starts a tasklet that calls f once, with a mailbox to read in a loop. The returned ref
// sends to that mailbox.
func Spawn[M any](p Spawner, f func(*Tasklet, *mailbox.Mailbox[M]) error, opts ...Option) Ref[M] {
	ref := newRef[M]("Spawn", opts)
	t := &Tasklet{inst: SpawnBody(ref, f).instance()}
	t.start(p, "Spawn", opts, anyBody|boxOptions)
	return ref
}

// stopBy kills c and parks by until c has finished or was given up.
func (c *Tasklet) stopBy(by *core.Task, limit context.Context, d time.Duration) error {
	if c.endIdle(by.Scheduler()) {
		return nil
	}
	var st stopState
	st.begin(c, d)
	for !st.check(by.Scheduler().Nanotime()) {
		err := c.parkUntilEnd(by, core.Wait{Kind: core.InStop, On: c.task.Resource(), Ctx: limit, Until: st.deadline})
		if err != nil && err != ErrTimeout || limit != nil && limit.Err() != nil {
			if c.HasFinished() {
				return nil
			}
			if err == nil || err == ErrTimeout {
				err = core.ContextError(limit)
			}
			return err
		}
	}
	return nil
}
