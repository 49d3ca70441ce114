package actor

import (
	"sync"

	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/list"
)

// Life is a notice of [WatchLineage]. An incarnation has started or ended, or the lineage has
// ended.
type Life struct {
	// Tasklet is the incarnation. If Over, it is the last one, or nil if there was none.
	Tasklet *Tasklet
	Ended   bool // the incarnation has ended, and otherwise it has started
	Exit    Exit // how it has ended; set if Ended or Over
	Over    bool // the ref is dead, so that this is the last notice
	// Missed is the number of earlier notices that were left out, because those that waited to be
	// sent were too many. They came between the notice before this one and this one.
	Missed int
}

// pendingLives is the number of notices of WatchLineage that may wait to be sent.
const pendingLives = 16

// WatchLineage sends a notice, made by msg, to to for each start and each end of an incarnation of
// target, in order, and a last one when target is dead. If there is an incarnation, its start is
// the first notice. So a tasklet that lives long can follow a ref over its restarts, where [Watch]
// has one notice for all of them.
//
// The notice of a start comes when the incarnation is in the tree. Its OnStart functions and its
// init may still run, and if they fail, the notice of its end says so. The notice of an end comes
// as in Watch. An incarnation that was left behind because it did not end in its time counts as
// killed, at the next start or with the end of the lineage.
//
// A notice waits for room if there is none, and later ones wait for it. If more than 16 wait, the
// oldest of them is left out, and the next notice counts it in Missed.
//
// cancel cancels the watch, and reports whether the last notice was not sent. Then no further
// notice comes. The end of t cancels the watch.
//
// msg runs while t's scheduler waits for it, not inside t, and must not block. If it panics, that
// is a failure of t, which continues, and the notice is lost. WatchLineage must be called inside t;
// it panics if target is t's own ref, or belongs to another system. cancel must be called on t's
// scheduler.
func WatchLineage[N, M any](t *Tasklet, target Ref[N], to Ref[M], msg func(Life) M) (cancel func() (inTime bool)) {
	mustFunc("WatchLineage", msg != nil)
	l, from := to.must("WatchLineage"), target.must("WatchLineage")
	t.mustRun("WatchLineage")
	target.mayWatch(t)
	l.use(t.sys)
	w := &lifeWatch{t: t}
	w.place.V = w
	var waiting *delivery[M] // the notice that was sent last
	w.send = func(n Life) (waits bool) {
		d := new(delivery[M])
		d.init(t, l, func() {})
		d.env.Decided = func(on *core.Scheduler) {
			d.decided(on)
			w.decided()
		}
		waiting = d
		d.sendMade(func() M { return msg(n) })
		return d.own.In()
	}
	x := from.extra()
	w.own.V = func() {
		x.mu.Lock()
		x.lives.Remove(&w.place)
		x.mu.Unlock()
		w.forget()
	}
	t.extra().owned.Add(&w.own)
	x.livesWatched.Store(true)
	x.mu.Lock()
	x.lives.Add(&w.place)
	w.begin(from.last())
	if from.over.Load() == lineageOver {
		w.lineageOver()
	}
	x.mu.Unlock()
	from.rouse(x)
	return func() bool {
		inTime := w.end()
		return waiting != nil && waiting.withdraw() || inTime
	}
}

// lifeWatch is the request of a tasklet to follow a lineage.
type lifeWatch struct {
	t *Tasklet // the tasklet that watches
	// send sends a notice, and reports whether w.decided will be called. It is called on the
	// scheduler of t.
	send  func(n Life) (waits bool)
	place list.Entry[*lifeWatch] // in lineageExtra.lives, whose mu protects it
	own   owned                  // owned by the scheduler of t

	// mu protects the following. It may be taken while the lineage's mu is held, and extra.mu of an
	// incarnation while it is held.
	mu      sync.Mutex
	last    *Tasklet // the newest incarnation whose start is known, or nil
	exit    Exit     // how last has ended
	living  *watch   // the watch of last, or nil if its end is known
	over    bool     // the lineage has ended
	pending []Life   // to be sent, at most pendingLives
	posted  bool     // pump is injected
	sending bool     // a notice waits for room
}

// begin tells w of last, the newest incarnation, when the watch begins.
func (w *lifeWatch) begin(last *Tasklet) {
	switch {
	case last == nil:
	case last.HasFinished():
		w.last, w.exit = last, last.exit()
	case last.marks.Load()&markLeaked != 0:
		w.last, w.exit = last, leftExit(last)
	default:
		w.started(last)
	}
}

// leftExit is the end of a tasklet that was left behind.
func leftExit(t *Tasklet) Exit {
	return Exit{Tasklet: t, Path: t.Path(), Kind: reason.Killed, Err: ErrKilled}
}

// started tells w that t is the newest incarnation. It may be called from any goroutine.
func (w *lifeWatch) started(t *Tasklet) {
	w.mu.Lock()
	if w.last == t {
		w.mu.Unlock()
		return // it was seen when the watch began
	}
	if w.living != nil { // it was left behind, or the next one could not have started
		w.last.unwatch(w.living)
		w.ended(leftExit(w.last))
	}
	one := &watch{t: w.t, now: true}
	one.place.V = one
	one.tell = func(e Exit) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.living == one {
			w.ended(e)
		}
	}
	w.last, w.living = t, one
	w.push(Life{Tasklet: t})
	finished, exit := t.watchedBy(one)
	if finished {
		w.ended(exit)
	}
	w.mu.Unlock()
}

// ended notes the end of the last incarnation. mu must be held.
func (w *lifeWatch) ended(e Exit) {
	w.living, w.exit = nil, e
	w.push(Life{Tasklet: w.last, Ended: true, Exit: e})
	if w.over {
		w.push(Life{Tasklet: w.last, Exit: e, Over: true})
	}
}

// lineageOver tells w that the lineage is over. If its last tasklet has not finished, the notice
// follows that of its end. It may be called from any goroutine, more than once.
func (w *lifeWatch) lineageOver() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.over = true
	switch {
	case w.living == nil:
		w.push(Life{Tasklet: w.last, Exit: w.exit, Over: true})
	case w.last.marks.Load()&(markFinished|markLeaked) == markLeaked:
		w.last.unwatch(w.living)
		w.ended(leftExit(w.last))
	}
}

// push adds n to the pending notices, and leaves the oldest one out if they are too many. mu must
// be held.
func (w *lifeWatch) push(n Life) {
	if len(w.pending) == pendingLives {
		missed := w.pending[0].Missed + 1
		w.pending = append(w.pending[:0], w.pending[1:]...)
		w.pending[0].Missed += missed
	}
	w.pending = append(w.pending, n)
	w.post()
}

// post injects pump, unless it will run anyway. mu must be held.
func (w *lifeWatch) post() {
	if !w.posted && !w.sending {
		w.posted = true
		w.t.task.Scheduler().InjectFunc(w.pump)
	}
}

// decided is called when the notice that waited has found room, or was lost. It may be called on
// any scheduler.
func (w *lifeWatch) decided() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending = false
	if len(w.pending) > 0 {
		w.post()
	}
}

// pump sends pending notices until one must wait. It is called on the scheduler of t.
func (w *lifeWatch) pump() {
	for w.own.In() {
		w.mu.Lock()
		w.posted = false
		if w.sending || len(w.pending) == 0 {
			w.mu.Unlock()
			return
		}
		n := w.pending[0]
		w.pending = append(w.pending[:0], w.pending[1:]...)
		w.sending = true
		w.mu.Unlock()
		if n.Over {
			w.end()
		}
		if w.send(n) {
			return
		}
		w.mu.Lock()
		w.sending = false
		w.mu.Unlock()
	}
}

// end ends the watch, and reports whether it had not ended before. It must be called on the
// scheduler of t.
func (w *lifeWatch) end() bool {
	if !w.t.extra().owned.Remove(&w.own) {
		return false
	}
	w.own.V()
	return true
}

// forget drops what is pending, and the watch of the incarnation.
func (w *lifeWatch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending, w.over = nil, true
	if w.living != nil {
		w.last.unwatch(w.living)
		w.living = nil
	}
}

// began tells those that watch the lineage that t, which is in the tree, is its newest tasklet.
func (l *lineage[M]) began(t *Tasklet) {
	x := l.more.Load()
	if x == nil || !x.livesWatched.Load() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for w := range x.lives.All() {
		w.started(t)
	}
}

// tellLives tells those that watch the lineage that it is over.
func (l *lineage[M]) tellLives() {
	x := l.more.Load()
	if x == nil || !x.livesWatched.Load() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for w := range x.lives.All() {
		w.lineageOver()
	}
}
