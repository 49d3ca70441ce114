package actor

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// owned is something that belongs to a tasklet and goes with it: a timer, a watch, a pipe. Its value releases it.
type owned = entry[func()]

// ownedList holds what a tasklet owns, in order, so that it goes in the same order in every run. Owned by the scheduler.
type ownedList struct{ list[func()] }

func (l *ownedList) releaseAll() {
	for l.first != nil {
		o := l.first
		l.remove(o)
		o.v()
	}
}

// delivery is a message that nobody waits for, on its way to l: it belongs to t, and is gone with it.
type delivery[M any] struct {
	t      *Tasklet
	l      *line[M]
	env    mailbox.Envelope[M]
	own    owned
	inTime bool // of the last attempt to take it back
}

// init: release is called when the message is taken back: by t's end, or by withdraw.
func (d *delivery[M]) init(t *Tasklet, l *line[M], release func()) {
	d.t, d.l = t, l
	l.use(t.sys)
	d.own.v = func() {
		release()
		d.inTime = l.box.Withdraw(t.task.Scheduler(), &d.env)
	}
	d.env.Decided = d.decided
	t.extra().owned.add(&d.own)
}

// over is called when there is nothing to be taken back any more. On t's scheduler.
func (d *delivery[M]) over() { d.t.extra().owned.remove(&d.own) }

// decided is called by the mailbox when the message is no longer in its line.
func (d *delivery[M]) decided(on *scheduler.Scheduler) {
	if s := d.t.task.Scheduler(); s == on {
		d.over()
	} else {
		s.InjectFunc(d.over)
	}
}

// withdraw takes the message back, and reports whether that was in time. On the scheduler.
func (d *delivery[M]) withdraw() bool {
	if !d.own.in {
		return false
	}
	d.over()
	d.own.v()
	return d.inTime
}

// send sends what msg makes. A panic of msg is the failure of a message of t, on whose stack it does not run.
func (d *delivery[M]) send(msg func() M, mustWait bool) {
	if !d.own.in {
		return // taken back, in this very step
	}
	made := false
	defer func() {
		if !made {
			d.over()
			err := scheduler.NewPanicError(recover())
			d.t.sys.emit(Event{Kind: EventFailure, Tasklet: d.t, Err: err, Stack: err.Stack, Message: d.l.message()})
		}
	}()
	m := msg()
	made = true
	if !d.l.box.Deliver(d.t.task.Scheduler(), &d.env, m, mustWait) { // a loss is reported by the mailbox
		d.over()
	}
}

// Watch sends to a message, made by msg, when target has finished; at once if it has already. What target sent to the same ref
// before its end comes before. The message waits for room if there is none. cancel takes the watch back; so does the end of t. msg
// runs on t's scheduler, not inside t, and may not block. Only from inside t, which may watch any tasklet of its system but itself;
// cancel is for the inside of t's scheduler.
func Watch[M any](t *Tasklet, target *Tasklet, to Ref[M], msg func(Exit) M) (cancel func()) {
	mustFunc("Watch", msg != nil)
	if target == nil {
		misuse("Watch of a nil *Tasklet")
	}
	l := to.must("Watch")
	t.mustRun("Watch")
	switch {
	case target == t:
		misuse("Watch of %s by itself: the notice would come when nobody waits for it", t.Path())
	case target.sys != t.sys:
		misuse("Watch of %s, which belongs to another system", target.Path())
	}
	var d delivery[M]
	w := &watch{t: t}
	w.place.v = w
	w.tell = func(e Exit) { d.send(func() M { return msg(e) }, true) }
	d.init(t, l, func() { target.unwatch(w) })
	if !target.watchedBy(w) {
		w.tell(target.exit())
	}
	return func() { d.withdraw() }
}

// watch is one tasklet's wish to know of the end of another.
type watch struct {
	t     *Tasklet      // who wishes it
	tell  func(Exit)    // on the scheduler of t
	place entry[*watch] // among the target's watchers; the target's extra.mu protects it
}

// end tells, from the scheduler of the one that has ended.
func (w *watch) end(e Exit, from *scheduler.Scheduler) {
	if s := w.t.task.Scheduler(); s == from {
		w.tell(e)
	} else {
		s.InjectFunc(func() { w.tell(e) })
	}
}

// watchedBy lets w be told of the end of t; false: that was before.
func (t *Tasklet) watchedBy(w *watch) bool {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if t.HasFinished() {
		return false
	}
	x.followed().watchers.add(&w.place)
	return true
}

func (t *Tasklet) unwatch(w *watch) {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if f := x.followers; f != nil {
		f.watchers.remove(&w.place)
	}
}

// A Timer is a message that will be sent later; see [SendAfter].
type Timer struct {
	timer scheduler.Timer
	fire  func()
	stop  func() bool
	own   *owned
}

type timerExpiry Timer

// Expire is called by the scheduler.
func (tm *timerExpiry) Expire() { tm.fire() }

// Alive is for scheduler.Check: the tasklet that the timer belongs to still has it.
func (tm *timerExpiry) Alive() bool { return tm.own.in }

// SendAfter sends m to to after d, rounded up to the next tick of 1 ms; at once if d <= 0. Messages
// that are due at the same tick are sent in the order of these calls. If there is no room then, the
// message waits in the line of senders. The timer belongs to t: it is gone when t ends or is
// restarted. Only from inside t.
func SendAfter[M any](t *Tasklet, d time.Duration, to Ref[M], m M) *Timer {
	l := to.must("SendAfter")
	t.mustRun("SendAfter")
	tm := &Timer{}
	var dl delivery[M]
	s := t.task.Scheduler()
	dl.init(t, l, func() { s.StopTimer(&tm.timer) })
	tm.own = &dl.own
	tm.fire = func() { dl.send(func() M { return m }, false) }
	tm.stop = dl.withdraw
	if d <= 0 {
		tm.fire()
	} else {
		s.StartTimer(&tm.timer, s.After(d), (*timerExpiry)(tm))
	}
	return tm
}

// Stop takes the message back, and reports whether it was in time. Only from inside a tasklet of the same scheduler.
func (tm *Timer) Stop() bool { return tm.stop() }

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
