package actor

import (
	"slices"

	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
)

// uncounted returns n, the number of lost messages, without those that giveUp has reported already.
func (l *lineage[M]) uncounted(n int) int {
	x := l.more.Load()
	if x == nil {
		return n
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	k := min(n, x.counted)
	x.counted -= k
	return n - k
}

// post calls f on the scheduler that owns the lineage's mailbox, before the first step of the next
// tasklet that reads it. The caller may be on another scheduler.
func (l *lineage[M]) post(f func()) {
	if !l.far() {
		f()
		return
	}
	x := l.extra()
	x.mu.Lock()
	x.posted = append(x.posted, f)
	x.mu.Unlock()
	if home := l.home(); !home.sched.Inject((*posted[M])(l)) && home.ended() {
		l.catchUp()
	}
}

// catchUp calls the posted functions. It must be called on home.
func (l *lineage[M]) catchUp() {
	x := l.more.Load()
	if x == nil {
		return
	}
	x.mu.Lock()
	fs := x.posted
	x.posted = nil
	x.mu.Unlock()
	for _, f := range fs {
		f()
	}
}

// claim makes t, which will run on h, the tasklet of the lineage. It must be called on the
// goroutine of the starter.
func (l *lineage[M]) claim(t *Tasklet, h *host) {
	if l.dead.Load() {
		misuse("%s: the ref of its body is dead", t.describeStart())
	}
	before := l.cur.Load()
	if s := ownerOf(before); s != nil && s != t.slot() {
		misuse("%s: the ref of its body belongs to the slot of %s", t.describeStart(), s.path())
	}
	if before != nil && !before.left() || !l.cur.CompareAndSwap(before, t) {
		misuse("%s: %v still runs with the same ref", t.describeStart(), l.current())
	}
	if s := l.system(); s != nil && s != t.sys || before != nil && before.sys != t.sys {
		l.cur.Store(before)
		misuse("%s: the ref of its body belongs to another system", t.describeStart())
	}
	if home := l.home(); home != nil && home != h {
		l.cur.Store(before)
		misuse("%s on scheduler %d: the ref of its body was read on scheduler %d before, and never moves", t.describeStart(), h.n, home.n)
	}
	if more := l.more.Load(); more != nil {
		more.mu.Lock()
		more.stopped = false
		for _, b := range more.labels {
			t.SetLabel(b.key, b.value)
		}
		more.mu.Unlock()
	}
	if n := l.name(); n != "" {
		if x := t.extra(); x.name == "" {
			x.name = n
		}
	}
}

func (l *lineage[M]) open(t *Tasklet) {
	l.catchUp()
	if x := l.more.Load(); x != nil && x.reopen {
		x.reopen = false
		l.box.Reopen()
	}
	l.box.Open(&t.task)
	if t.sys.measure && !own.Is(l.message()) {
		l.box.MeasureWaits(l, t.sys.meters.Add(1), !t.sys.real)
	}
	l.tellJoiners() // they wait for t now
}

// bodyEnded holds the lineage for a supervisor, or ends it.
func (l *lineage[M]) bodyEnded(t *Tasklet, err error) {
	if l.cur.Load() != t || t.left() {
		return // it was given up, and another tasklet may read now
	}
	if l.box.InHand() {
		if err == nil {
			l.box.Settle(ErrNoReply)
		} else {
			l.box.Settle(&JoinError{t, err})
		}
	}
	if !t.supervised {
		l.die()
		return
	}
	t.marks.Or(markLeft)
	l.box.Hold()
	if !KindOf(t.result()).Failure() {
		l.extra().reopen = true
	}
}

// abandon takes the lineage from t, which does not end. If t is supervised the next tasklet can
// have the lineage, otherwise the lineage becomes dead. It must be called on the scheduler of the
// parent.
func (l *lineage[M]) abandon(t *Tasklet) {
	if l.cur.Load() != t || t.marks.Or(markLeft)&markLeft != 0 {
		return
	}
	l.post(func() {
		l.box.Settle(&JoinError{t, ErrKilled})
		l.box.Hold()
	})
	if !t.supervised {
		l.retire()
	}
}

// die makes the lineage dead. It must be called on the scheduler, unless the lineage was never
// opened.
func (l *lineage[M]) die() {
	l.dead.Store(true)
	l.box.Discard()
}

// close closes the ref of a child that its supervisor may start again. over says that the child has
// ended by itself, so that nobody needs to wait for another tasklet.
func (l *lineage[M]) close(over bool) {
	if l.far() {
		l.box.Close() // from now on no message gets in
	}
	l.post(func() {
		x := l.extra()
		x.reopen, x.tries = true, 0
		l.box.CloseEmpty()
	})
	if over {
		l.tellStopped()
	}
}

func (l *lineage[M]) retire() {
	if l.dead.Load() {
		return
	}
	if !l.far() {
		l.die()
		l.ended()
		return
	}
	l.dead.Store(true)
	l.box.Close()
	l.ended()
	l.post(l.box.Discard)
}

// tellStopped notifies the tasklets in Ref.Join and the watchers of the ref that no further tasklet
// starts by itself.
func (l *lineage[M]) tellStopped() {
	x := l.more.Load()
	if x == nil {
		return // a goroutine that allocates it from now on sees over
	}
	x.mu.Lock()
	t := l.last()
	x.stopped, x.last = true, t
	x.stops++
	watchers := slices.Collect(x.watchers.Take())
	for _, w := range watchers {
		w.last = t
	}
	x.mu.Unlock()
	l.tellJoiners()
	for _, w := range watchers {
		if over, exit := l.watchLast(t, w); over {
			w.end(exit, nil)
		}
	}
}

// ended calls the functions of OnEnd, once. Then it notifies the tasklets in Ref.Join and the
// watchers of the ref, so that these find the names free.
func (l *lineage[M]) ended() {
	if !l.over.CompareAndSwap(lineageLives, lineageEnds) {
		return
	}
	if x := l.more.Load(); x != nil { // a goroutine that allocates it from now on sees over
		x.mu.Lock()
		hooks := x.onEnd.Take()
		x.mu.Unlock()
		for f := range hooks {
			if fault := guard.Call(f); fault != nil {
				l.hookFailed(fault)
			}
		}
	}
	l.over.Store(lineageOver)
	l.tellStopped()
	l.tellLives()
	if p := l.elsewhere(); p != nil {
		p.Ended()
	}
}

// giveUp closes the ref of a tasklet whose scheduler is held, and reports the queued messages. If
// the scheduler continues after all, they are not reported again. It may be called from any
// goroutine.
func (l *lineage[M]) giveUp() {
	l.box.Close()
	x := l.extra()
	x.mu.Lock()
	n := l.box.Len()
	if x.gaveUp {
		n = 0
	}
	x.gaveUp = true
	x.counted += n
	x.mu.Unlock()
	if t := l.last(); n > 0 && t != nil {
		t.sys.deadLetters(l, t, queue.Loss{Count: n, Type: l.message(), Reason: mailbox.ErrClosed})
	}
	// A waiter for a first tasklet that has not arrived now sees where the tasklet would have run.
	l.tellJoiners()
}

// MessagesLost implements queue.LossReporter.
func (l *lineage[M]) MessagesLost(loss queue.Loss) {
	s := l.loser()
	if s == nil || own.Is(l.message()) {
		return
	}
	if loss.Reason == mailbox.ErrClosed {
		loss.Count = l.uncounted(loss.Count)
	}
	if loss.Count > 0 {
		s.deadLetters(l, l.last(), loss)
	}
	s.lettersOver()
}

// hookFailed reports a function of OnEnd that failed. The failure affects nothing else.
func (l *lineage[M]) hookFailed(fault *guard.Fault) {
	t := l.last()
	var sys *System
	if t != nil {
		sys = t.sys
	} else if x := l.more.Load(); x != nil {
		sys = x.sys.Load()
	}
	if sys == nil {
		return // no system has used the ref yet, so there is no log either
	}
	e := failureEvent(t, fault, l.message())
	if t == nil {
		e.Path = l.name()
	}
	sys.emit(e)
}

type posted[M any] lineage[M]

func (p *posted[M]) Do() { (*lineage[M])(p).catchUp() }
