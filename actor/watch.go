package actor

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/list"
	"github.com/gotasklet/tasklet/internal/queue"
)

// owned is something that belongs to a tasklet and ends with it: a timer, a watch, a pipe. Its
// value is the function that releases it.
type owned = list.Entry[func()]

// ownedList has what a tasklet owns, in order, so that it is released in the same order in every
// run. Owned by the scheduler.
type ownedList struct{ list.List[func()] }

func (l *ownedList) releaseAll() {
	for o := l.First(); o != nil; o = l.First() {
		l.Remove(o)
		o.V()
	}
}

// delivery is a message to l that no sender waits for. Until it is sent it belongs to t, and is
// discarded when t ends. Once it is sent and waits for room, it is like a message of a sender that
// has ended: it is read, or becomes a dead letter.
type delivery[M any] struct {
	t   *Tasklet
	l   *lineage[M]
	env queue.Envelope[M]

	// Owned by t's scheduler.
	own  owned
	sent bool // it is in the line of senders, or its fate is decided
}

// init prepares d and adds it to what t owns. release is called if the message is taken back before
// it was sent, by the end of t or by withdraw.
func (d *delivery[M]) init(t *Tasklet, l *lineage[M], release func()) {
	d.t, d.l = t, l
	l.use(t.sys)
	d.own.V = func() {
		if !d.sent {
			release()
		}
	}
	d.env.Decided = d.decided
	t.extra().owned.Add(&d.own)
}

// over is called when nothing can be taken back any more. It must be called on t's scheduler.
func (d *delivery[M]) over() { d.t.extra().owned.Remove(&d.own) }

// decided is called by the mailbox when the message has left the line of senders.
func (d *delivery[M]) decided(on *core.Scheduler) {
	if s := d.t.task.Scheduler(); s == on {
		d.over()
	} else {
		s.InjectFunc(d.over)
	}
}

// withdraw takes the message back, and reports whether it was in time. It must be called on the
// scheduler.
func (d *delivery[M]) withdraw() bool {
	if !d.own.In() {
		return false
	}
	d.over()
	d.own.V()
	return !d.sent || d.l.box.Withdraw(d.t.task.Scheduler(), &d.env)
}

// sendMade sends the message that msg returns. msg is user code and does not run on t's stack. If
// it fails, that is reported as the failure of a message of t.
func (d *delivery[M]) sendMade(msg func() M) {
	if !d.isWanted() {
		return
	}
	var m M
	if fault := guard.Call(func() { m = msg() }); fault != nil {
		d.over()
		d.t.sys.emit(failureEvent(d.t, fault, d.l.message()))
		return
	}
	d.send(m, true)
}

// isWanted reports whether the message is still to be sent.
func (d *delivery[M]) isWanted() bool {
	if !d.own.In() {
		return false // it was taken back in this very step
	}
	if d.t.phase >= stopping && any(d.t.inst.lineage()) == any(d.l) {
		// t would have read it, so nothing is lost. The next incarnation has not asked for it.
		d.over()
		return false
	}
	return true
}

// send sends m, unless it is no longer wanted.
func (d *delivery[M]) send(m M, mustWait bool) {
	if !d.isWanted() {
		return
	}
	d.sent = true
	// The mailbox reports a loss.
	if !d.l.box.Deliver(d.t.task.Scheduler(), &d.env, m, mustWait) {
		d.over()
	}
}

// Watchable is a target of [Watch], or a side of a [Link]: a *[Tasklet], which is one incarnation,
// or a [Ref], which is the address of its lineage.
type Watchable interface {
	// linkedAs returns what a link is with, its system, and the tasklet that it stands for if that
	// is on another node; or nil if there is nothing.
	linkedAs() (Watchable, *System, far.Proxy)
	// mayWatch panics if t may not watch the target.
	mayWatch(t *Tasklet)
	// watchedBy makes w be notified of the end. If the end has been already, it returns true and
	// that end.
	watchedBy(w *watch) (over bool, exit Exit)
	// unwatch removes w, if it was not notified yet.
	unwatch(w *watch)
}

// Watch sends a notice, made by msg, to to when target has ended, or at once if it has ended
// already. There is one notice. It is sent when Join of the target would return: for a tasklet when
// it has finished; for a ref when its tasklet has finished and no restart is to come, as in
// [Ref.Join]. The watch of a ref continues over restarts, and may begin before the first
// incarnation or between two. For a nil *Tasklet, which Ref.Tasklet returns between two
// incarnations, the notice comes at once, with ErrNoTasklet.
//
// Messages that target has sent to the same ref before its end come before the notice, unless it is
// on another node. The notice waits for room if there is none. If to is t's own ref, a notice that
// comes when t's body has ended is not sent, since it would not be read.
//
// cancel cancels the watch, and reports whether it was in time. If so, the notice was not sent, or
// still waited for room, and never comes. The end of t cancels the watch unless the notice was
// sent.
//
// msg runs while t's scheduler waits for it, not inside t, and must not block. If it panics, that
// is a failure of t, which continues. Watch must be called inside t; it panics if target is t
// itself, or belongs to another system. cancel must be called on t's scheduler.
func Watch[M any](t *Tasklet, target Watchable, to Ref[M], msg func(Exit) M) (cancel func() (inTime bool)) {
	mustFunc("Watch", msg != nil)
	if target == nil {
		misuse("Watch of a nil *Tasklet")
	}
	l := to.must("Watch")
	t.mustRun("Watch")
	target.mayWatch(t)
	var d delivery[M]
	w := &watch{t: t}
	w.place.V, w.inLineage.V = w, w
	w.tell = func(e Exit) { d.sendMade(func() M { return msg(e) }) }
	d.init(t, l, func() { target.unwatch(w) })
	if over, exit := target.watchedBy(w); over {
		w.tell(exit)
	}
	return d.withdraw
}

// watch is the request of a tasklet to be notified of the end of another, or of a lineage.
type watch struct {
	t     *Tasklet           // the tasklet that watches, or nil if it is on another node
	tell  func(Exit)         // called on the scheduler of t
	place list.Entry[*watch] // among the watchers of a tasklet, whose extra.mu protects it
	now   bool               // tell may be called on any goroutine

	// For the watch of a ref. The ref's lineageExtra.mu protects them.
	inLineage list.Entry[*watch] // among the ref's watchers
	// last is the last tasklet of the ref, whose end must be reported instead, or nil if it is not
	// known yet.
	last *Tasklet
}

// end notifies t. from is the scheduler of the tasklet that has ended, or nil if the caller may be
// on any goroutine.
func (w *watch) end(e Exit, from *core.Scheduler) {
	if w.now {
		w.tell(e)
	} else if s := w.t.task.Scheduler(); s == from {
		w.tell(e)
	} else {
		s.InjectFunc(func() { w.tell(e) })
	}
}

func (t *Tasklet) mayWatch(by *Tasklet) {
	switch {
	case t == nil:
	case t == by:
		misuse("Watch of %s by itself: the notice would come after its end", t.Path())
	case t.sys != by.sys:
		misuse("Watch of %s, which belongs to another system", t.Path())
	}
}

func (t *Tasklet) watchedBy(w *watch) (over bool, exit Exit) {
	if t == nil {
		return true, Exit{Kind: reason.Error, Err: ErrNoTasklet}
	}
	x := t.extra()
	x.mu.Lock()
	if !t.HasFinished() {
		x.followed().watchers.Add(&w.place)
		x.mu.Unlock()
		return false, Exit{}
	}
	x.mu.Unlock()
	return true, t.exit()
}

func (t *Tasklet) unwatch(w *watch) {
	if t == nil {
		return
	}
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if f := x.followers; f != nil {
		f.watchers.Remove(&w.place)
	}
}

func (r Ref[M]) mayWatch(by *Tasklet) {
	l := r.must("Watch")
	if any(by.inst.lineage()) == any(l) {
		misuse("Watch of %s by itself: the notice would come after its end", by.Path())
	}
	l.use(by.sys)
	if s := l.system(); s != nil && s != by.sys {
		misuse("Watch of %s, which belongs to another system", l.path())
	}
}

func (r Ref[M]) watchedBy(w *watch) (over bool, exit Exit) {
	l := r.l
	x := l.extra()
	x.mu.Lock()
	t, known := l.lastForGood(x)
	if !known {
		x.watchers.Add(&w.inLineage)
		x.mu.Unlock()
		l.rouse(x)
		return false, Exit{}
	}
	w.last = t
	x.mu.Unlock()
	return l.watchLast(t, w)
}

func (r Ref[M]) unwatch(w *watch) {
	x := r.l.extra()
	x.mu.Lock()
	x.watchers.Remove(&w.inLineage)
	t := w.last
	x.mu.Unlock()
	t.unwatch(w)
}

// watchLast is watchedBy for the last tasklet of l so far, or nil if there was none.
func (l *lineage[M]) watchLast(t *Tasklet, w *watch) (over bool, exit Exit) {
	switch {
	case t == nil:
		return true, Exit{Path: l.name(), Kind: reason.Normal}
	case t.marks.Load()&(markFinished|markLeaked) == markLeaked:
		// It was given up.
		return true, Exit{Tasklet: t, Path: t.Path(), Kind: reason.Killed, Err: ErrKilled}
	}
	return t.watchedBy(w)
}

// A Timer is a message that will be sent later; see [SendAfter].
type Timer struct {
	timer core.Timer
	fire  func()
	stop  func() bool
	own   *owned
}

type timerExpiry Timer

// Expire is called by the scheduler when the timer is due.
func (tm *timerExpiry) Expire() { tm.fire() }

// Alive is for core's Check. It reports whether the tasklet that the timer belongs to still has it.
func (tm *timerExpiry) Alive() bool { return tm.own.In() }

// SendAfter sends m to to after d, rounded up to the next tick of 1 ms, or at once if d <= 0.
// Messages that are due at the same tick are sent in the order of these calls. If there is no room
// at that time, the message waits in the line of senders.
//
// The timer belongs to t. It is cancelled when t ends or is restarted, and if to is t's own ref,
// when t's body has ended. A message that was due before that, and waits for room, is not
// cancelled: it is read, or becomes a dead letter. SendAfter must be called inside t.
func SendAfter[M any](t *Tasklet, d time.Duration, to Ref[M], m M) *Timer {
	l := to.must("SendAfter")
	t.mustRun("SendAfter")
	tm := &Timer{}
	var dl delivery[M]
	s := t.task.Scheduler()
	dl.init(t, l, func() { s.StopTimer(&tm.timer) })
	tm.own = &dl.own
	tm.fire = func() { dl.send(m, false) }
	tm.stop = dl.withdraw
	if d <= 0 {
		tm.fire()
	} else {
		s.StartTimer(&tm.timer, s.After(d), (*timerExpiry)(tm))
	}
	return tm
}

// Stop cancels the message, and reports whether it was in time. It must be called inside a tasklet
// of the same scheduler.
func (tm *Timer) Stop() bool { return tm.stop() }

// A Sender takes messages of type N. It is a Ref[N], or made by [Adapt] from another ref.
type Sender[N any] interface {
	Send(ctx context.Context, n N) error
	TrySend(ctx context.Context, n N) error
}

// Adapt returns a Sender that converts its messages with f into messages of to. A tasklet can use
// it to receive messages whose type others define. f runs in the sender. Adapt panics if f is nil.
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
