package actor

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// owned is something that belongs to a tasklet and goes with it: a timer, a watch, a pipe.
type owned struct {
	next, prev *owned
	in         bool
	release    func()
}

// ownedList holds them, in order, so that they go in the same order in every run. Owned by the scheduler.
type ownedList struct{ first, last *owned }

func (l *ownedList) add(o *owned) {
	o.in = true
	o.prev = l.last
	if l.last == nil {
		l.first = o
	} else {
		l.last.next = o
	}
	l.last = o
}

func (l *ownedList) remove(o *owned) {
	if !o.in {
		return
	}
	if o.prev == nil {
		l.first = o.next
	} else {
		o.prev.next = o.next
	}
	if o.next == nil {
		l.last = o.prev
	} else {
		o.next.prev = o.prev
	}
	o.next, o.prev, o.in = nil, nil, false
}

func (l *ownedList) releaseAll() {
	for l.first != nil {
		o := l.first
		l.remove(o)
		o.release()
	}
}

// Watch sends to a message, made by msg, when target has finished; at once if it has already. What target sent to the same ref
// before its end comes before. The message waits for room if there is none. cancel takes the watch back; so does the end of t.
// Only from inside t, which may watch any tasklet of its system but itself; cancel is for the inside of t's scheduler.
func Watch[M any](t *Tasklet, target *Tasklet, to Ref[M], msg func(Exit) M) (cancel func()) {
	mustFunc("Watch", msg != nil)
	if target == nil {
		misuse("Watch of a nil *Tasklet")
	}
	l := to.must("Watch")
	t.mustRun("Watch")
	var env mailbox.Envelope[M]
	w := &watch{}
	w.tell = func(e Exit) {
		_ = l.box.Deliver(&env, msg(e), true) // a loss is reported by the mailbox
		if !env.Waits() {
			t.extra().owned.remove(&w.own)
		}
	}
	w.own.release = func() {
		target.unwatch(w)
		l.box.Withdraw(&env)
	}
	t.extra().owned.add(&w.own)
	if target.HasFinished() {
		err := target.result()
		w.tell(Exit{Tasklet: target, Path: target.Path(), Kind: KindOf(err), Err: err})
	} else {
		x := target.extra()
		x.watchers = append(x.watchers, w)
	}
	return func() {
		if w.own.in {
			t.extra().owned.remove(&w.own)
			w.own.release()
		}
	}
}

// watch is one tasklet's wish to know of the end of another.
type watch struct {
	own  owned
	tell func(Exit)
}

func (t *Tasklet) unwatch(w *watch) {
	x := t.extra()
	for i, o := range x.watchers {
		if o == w {
			x.watchers = append(x.watchers[:i:i], x.watchers[i+1:]...)
			return
		}
	}
}

// A Timer is a message that will be sent later; see [SendAfter].
type Timer struct {
	t     *Tasklet
	timer scheduler.Timer
	own   owned
	fire  func()
	undo  func() bool
}

// Expire is called by the scheduler.
func (tm *timerExpiry) Expire() { (*Timer)(tm).fire() }

type timerExpiry Timer

// SendAfter sends m to to after d. If there is no room then, the message waits in the line of senders. The timer belongs to t: it
// is gone when t ends or is restarted. Only from inside t.
func SendAfter[M any](t *Tasklet, d time.Duration, to Ref[M], m M) *Timer {
	l := to.must("SendAfter")
	t.mustRun("SendAfter")
	tm := &Timer{t: t}
	var env mailbox.Envelope[M]
	owned := &t.extra().owned
	s := t.task.Scheduler()
	tm.fire = func() {
		_ = l.box.Deliver(&env, m, false) // a loss is reported by the mailbox
		if !env.Waits() {
			owned.remove(&tm.own)
		}
	}
	tm.undo = func() bool {
		waits := env.Waits()
		l.box.Withdraw(&env)
		return s.StopTimer(&tm.timer) || waits
	}
	tm.own.release = func() { tm.undo() }
	owned.add(&tm.own)
	s.StartTimer(&tm.timer, s.After(max(d, 0)), (*timerExpiry)(tm))
	return tm
}

// Stop takes the message back, and reports whether it was in time. Only from inside a tasklet of the same scheduler.
func (tm *Timer) Stop() bool {
	if tm.t.phase == finished {
		return false
	}
	tm.t.extra().owned.remove(&tm.own)
	return tm.undo()
}

// A Sender takes messages of type N: a Ref[N], or what Adapt makes of another ref.
type Sender[N any] interface {
	Send(ctx context.Context, n N) error
	TrySend(ctx context.Context, n N) error
}

// Adapt gives a Sender whose messages f turns into messages of to: how a tasklet that is told its answers' type by others can be
// one of their receivers. f runs in the sender.
func Adapt[N, M any](to Ref[M], f func(N) M) Sender[N] {
	mustFunc("Adapt", f != nil)
	to.must("Adapt")
	return adapter[N, M]{to, f}
}

type adapter[N, M any] struct {
	to Ref[M]
	f  func(N) M
}

func (a adapter[N, M]) Send(ctx context.Context, n N) error    { return a.to.Send(ctx, a.f(n)) }
func (a adapter[N, M]) TrySend(ctx context.Context, n N) error { return a.to.TrySend(ctx, a.f(n)) }
