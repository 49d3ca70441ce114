package actor

import (
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/scheduler"
)

// phase is where a tasklet is in its life. It only grows. This file makes all transitions:
//
//	starting ── init done ──▶ living ── body ended ──▶ stopping ── no child left ──▶ deferring ──▶ finished
//	    └────────── init failed ────────────────────────▲
//
// A tasklet is called by its scheduler whenever it is ready, and does what its phase says. A body that waits half-way keeps
// the call open; in all other waits, for messages, for a time, for the end of a child, the tasklet owns no stack.
type phase uint8

const (
	starting  phase = iota // OnStart functions and the body's init
	living                 // the body
	stopping               // the children are stopped, newest first
	deferring              // the deferred calls
	finished               // all over; never called again
)

// runner makes a Tasklet a scheduler.Runner without giving it an exported method.
type runner Tasklet

// Run is called by the scheduler on each activation.
func (r *runner) Run(*scheduler.Task) {
	t := (*Tasklet)(r)
	if t.phase <= living {
		t.live()
	}
	if t.phase == stopping {
		t.stopChildren()
	}
	if t.phase == deferring {
		t.runDeferred()
	}
}

// live lets the body take one step, and begins the end if that was the last. It may return while the body goes on later.
func (t *Tasklet) live() {
	returned := false
	defer func() {
		if !returned {
			t.caught(recover())
		}
	}()
	done, err := true, error(nil)
	if pending, _ := t.task.Killed(); pending {
		// Found at the start of a step, so there is no stack to unwind.
		t.takeKill()
		err = ErrKilled
	} else if t.phase == starting {
		if err = t.begin(); err == nil {
			t.phase = living
			t.announce(nil)
			done, err = t.inst.step(t)
		} else if x := t.ex.Load(); x != nil && x.start != nil {
			x.start.err = err // also if it is none as a result, as ErrStop
		}
	} else {
		done, err = t.inst.step(t)
	}
	returned = true
	if done {
		t.bodyEnded(err)
	} else if pending, _ := t.task.Killed(); pending {
		t.task.Wake() // it came after the body, which had been waiting, was woken: nobody else will call it
	}
}

// begin runs what comes before the body.
func (t *Tasklet) begin() error {
	if r := t.rareOptions(); r != nil {
		for _, f := range r.onStart {
			if err := f(t); err != nil {
				return err
			}
		}
	}
	if i, ok := t.inst.(initer); ok {
		return i.init(t)
	}
	return nil
}

// caught deals with a step that did not return: v is the panic's value, nil for runtime.Goexit.
func (t *Tasklet) caught(v any) {
	var err error
	switch e := v.(type) {
	case nil:
		// The goroutine is lost when the deferred calls have run: what is left is done on another one.
		t.lose(ErrGoexit)
		t.bodyEnded(ErrGoexit)
		t.task.Wake()
		return
	case *TaskletExit:
		err = ErrKilled
		if e.Tasklet != t {
			err = scheduler.NewPanicError(v)
		}
	default:
		err = scheduler.NewPanicError(v)
	}
	if err != ErrKilled && t.phase == living && t.resumes() {
		t.reportFailure(err)
		t.task.Wake()
		return
	}
	t.lose(err)
	t.bodyEnded(err)
}

// lose is called when t ends because it failed on a message, or was killed while it handled one: that is handled once more by
// the next incarnation, or reported as lost.
func (t *Tasklet) lose(err error) {
	h, ok := t.inst.(interface{ inHand() int })
	if !ok || t.phase != living {
		return
	}
	n := h.inHand()
	if n == 0 {
		return
	}
	t.marks.Or(markInHand)
	if r, ok := t.inst.(retrier); ok && t.supervised && r.putBack() {
		return
	}
	e := Event{Kind: EventMessageLost, Tasklet: t, Err: err, Message: messageType(t.inst)}
	if n > 1 {
		e.Count = n
	}
	t.sys.emit(e)
}

// resumes reports whether t goes on after a failed message or round.
func (t *Tasklet) resumes() bool { return t.onFailure == Resume }

// failed is called by a body when a message or round gave an error: done says that the tasklet ends with it.
func (t *Tasklet) failed(err error) (done bool, result error) {
	switch {
	case !KindOf(err).Failure():
		return true, err
	case t.resumes():
		t.reportFailure(err)
		return false, nil
	}
	t.lose(err)
	return true, err
}

// bodyEnded makes the end of t certain. The order of what follows is rule 21 of docs/semantics.md.
func (t *Tasklet) bodyEnded(err error) {
	if err == ErrKilled {
		t.marks.Or(markKilled)
		if x := t.ex.Load(); x != nil {
			x.mu.Lock()
			if x.cause != nil {
				err = x.cause
				x.result = err
			}
			x.mu.Unlock()
		}
	} else if KindOf(err) != ExitNormal {
		t.extra().result = err
	}
	t.phase = stopping
	t.task.TakeKill() // also one that the body did not meet: the deferred calls may block
	if parent := t.marks.Load()&markParent != 0; parent || t.ex.Load() != nil {
		ended := uint32(markOver | markEnded)
		if !parent {
			ended |= markChildless
		}
		if t.marks.Or(ended)&markOver == 0 {
			t.closeDone()
		}
	} // else nobody can see t between this and its finish, which sets the mark too
	if l := t.inst.line(); l != nil {
		l.bodyEnded(t, err)
	}
}

// result is what t ended with; nil as long as it has not.
func (t *Tasklet) result() error {
	if x := t.ex.Load(); x != nil && x.result != nil {
		return x.result
	}
	if t.marks.Load()&markKilled != 0 {
		return ErrKilled
	}
	return nil
}

func (t *Tasklet) takeKill() {
	t.task.TakeKill()
}

// recovered is called when t has recovered its kill and goes on.
func (t *Tasklet) recovered() {
	if x := t.ex.Load(); x != nil {
		x.mu.Lock()
		x.cause = nil
		x.mu.Unlock()
	}
	if _, hard := t.task.Killed(); !hard || t.marks.Or(markStubborn)&markStubborn == 0 { // a hard kill is raised again and again
		t.sys.emit(Event{Kind: EventKillRecovered, Tasklet: t})
	}
}

// stopChildren stops the children one by one, the newest first, and waits for each without a stack: the end of the child and a
// timer call it again.
func (t *Tasklet) stopChildren() {
	if t.marks.Load()&markParent == 0 {
		t.phase = deferring
		return
	}
	if r := t.rareOptions(); r != nil && r.together != 0 {
		t.stopTogether(r.together)
		return
	}
	for n := 0; ; n++ {
		t.sys.mu.Lock()
		c := t.last
		t.sys.mu.Unlock()
		if c == nil {
			break
		}
		if n == stepMessages {
			t.task.Wake() // others want to run too
			return
		}
		if c.endIdle(t.task.Scheduler()) {
			continue
		}
		st := t.stopState()
		if st.child != c {
			st.begin(c, c.shutdown())
		}
		now := t.task.Scheduler().Nanotime()
		if st.check(now) {
			continue
		}
		t.awaitStop(c, now)
		return
	}
	t.childrenGone()
}

// awaitsChildren reports whether the body of t has ended, and its children have not. From any goroutine.
func (t *Tasklet) awaitsChildren() bool { return t.marks.Load()&(markEnded|markChildless) == markEnded }

// waited is how much of the time since since t, whose body has ended, has waited for its children. From any goroutine.
func (t *Tasklet) waited(since, now int64) int64 {
	x := t.ex.Load()
	if x == nil {
		return 0
	}
	if t.marks.Load()&markChildless != 0 {
		now = x.waitTill.Load()
	}
	from := x.waitFrom.Load()
	if from == 0 {
		return 0
	}
	return max(0, now-max(since, from))
}

// stopTogether is stopChildren for children that are all killed first and then awaited, under one deadline.
func (t *Tasklet) stopTogether(limit time.Duration) {
	st := t.stopState()
	if st.limit == 0 {
		st.limit = limit
		st.rest = t.Children()
	}
	for n := 0; len(st.rest) > 0; n++ {
		if n == stepMessages {
			t.task.Wake() // others want to run too
			return
		}
		c := st.rest[len(st.rest)-1]
		st.rest = st.rest[:len(st.rest)-1]
		if c.HasFinished() || c.endIdle(t.task.Scheduler()) {
			continue
		}
		c.marks.Or(markStopped)
		c.kill(nil)
		if st.limit == BrutalKill {
			c.harden()
		}
	}
	st.rest = nil
	now := t.task.Scheduler().Nanotime()
	if st.deadline == 0 {
		switch st.limit {
		case Infinity:
		case BrutalKill:
			st.deadline = now + int64(hardTime)
		default:
			st.deadline = now + int64(st.limit)
		}
	} else if now >= st.deadline {
		for _, c := range t.Children() {
			_, hard := c.task.Killed()
			switch {
			case c.awaitsChildren(): // it waits for its own children, each of which has its own time
			case hard:
				c.detach()
			default:
				c.harden()
			}
		}
		st.deadline = now + int64(hardTime)
	}
	t.sys.mu.Lock()
	c := t.last
	t.sys.mu.Unlock()
	if c == nil {
		t.childrenGone()
		return
	}
	t.awaitStop(c, now)
}

// awaitStop waits until the child c has finished or it is time to look again.
func (t *Tasklet) awaitStop(c *Tasklet, now int64) {
	x := t.ex.Load()
	if x.waitFrom.Load() == 0 {
		x.waitFrom.Store(max(now, 1))
	}
	at := x.stopping.deadline
	if at != 0 {
		t.task.WakeAt(at)
	}
	t.task.IdleOn(scheduler.InStop, c.task.Resource(), at != 0)
}

// childrenGone ends the phase in which children are stopped.
func (t *Tasklet) childrenGone() {
	t.task.WakeStop()
	t.phase = deferring
	x := t.ex.Load()
	waited := x != nil && x.waitFrom.Load() != 0
	if waited {
		x.waitTill.Store(t.task.Scheduler().Nanotime())
	}
	t.marks.Or(markChildless)
	if waited && len(x.deferred) > 0 {
		t.childChanged() // the parent did not count the time until now
	}
}

// endIdle ends a child at once, on the stack of its parent, which runs on on, if none of its code has to be run for that: how a
// million idle receivers can be stopped in less than half a second. False: it is not so simple.
func (t *Tasklet) endIdle(on *scheduler.Scheduler) bool {
	if t.task.Scheduler() != on || t.task.State() != scheduler.Idle || t.phase != living {
		return false
	}
	if x := t.ex.Load(); x != nil && (len(x.deferred) > 0 || x.owned.first != nil) {
		return false
	}
	if t.marks.Load()&markParent != 0 {
		return false
	}
	t.marks.Or(markStopped)
	t.task.TakeKill()
	t.bodyEnded(ErrKilled)
	t.finish()
	return true
}

// stopState is the stop of one child: a kill, after the child's time a hard kill, and a second later it is given up.
type stopState struct {
	child    *Tasklet
	limit    time.Duration // for what comes next; Infinity: it has all the time
	since    int64         // ns on the clock: when that time began
	deadline int64         // ns on the clock: when to look again; 0: never
	hard     bool
	rest     []*Tasklet // to be killed; see stopTogether
}

// stopState is that of t's children.
func (t *Tasklet) stopState() *stopState {
	x := t.extra()
	if x.stopping == nil {
		x.stopping = new(stopState)
	}
	return x.stopping
}

// hardTime is what a body has to end after its kill became hard.
const hardTime = time.Second

func (s *stopState) begin(c *Tasklet, limit time.Duration) {
	now := c.task.Scheduler().Nanotime()
	*s = stopState{child: c, limit: limit, since: now}
	c.marks.Or(markStopped)
	c.kill(nil)
	if limit == BrutalKill {
		s.harden(now)
	}
}

func (s *stopState) harden(now int64) {
	s.hard = true
	s.child.harden()
	s.limit, s.since = hardTime, now
}

// check reports whether the child is gone: finished, or given up. The time in which it waits for its own children is not
// counted, as each of them has its own.
func (s *stopState) check(now int64) bool {
	if s.child.marks.Load()&(markFinished|markLeaked) != 0 {
		return true
	}
	if s.limit == Infinity {
		return false
	}
	left := int64(s.limit) - (now - s.since - s.child.waited(s.since, now))
	if s.child.awaitsChildren() {
		left = max(left, int64(hardTime)) // look again
	} else if left <= 0 {
		if s.hard {
			s.child.detach()
			return true
		}
		s.harden(now)
		left = int64(s.limit)
	}
	s.deadline = now + left
	return false
}

// detach gives t up: it is taken out of the tree with all that is below it, so that its parent can go on. On the parent's scheduler.
func (t *Tasklet) detach() {
	path := t.Path()
	if t.marks.Or(markLeaked)&markFinished != 0 {
		return // at the last moment
	}
	t.sys.unlink(t)
	t.sys.leak(path)
	t.answersNobody()
	t.sys.emit(Event{Kind: EventStopTimeout, Tasklet: t, Path: path})
}

// answersNobody is called when t is given up: those who wait for an answer from it are told that none will come, and its ref is left to
// the next tasklet, or dead.
func (t *Tasklet) answersNobody() {
	if l := t.inst.line(); l != nil {
		l.abandon(t)
	}
	if x := t.ex.Load(); x != nil {
		x.mu.Lock()
		var delegate []delegation
		if f := x.followers; f != nil {
			delegate, f.delegate = f.delegate, nil
		}
		x.mu.Unlock()
		for _, d := range delegate {
			d.fail(t, ErrKilled)
		}
	}
}

// runDeferred runs the deferred calls, last in first out, and finishes.
func (t *Tasklet) runDeferred() {
	if x := t.ex.Load(); x != nil {
		for n := len(x.deferred); n > 0; n = len(x.deferred) {
			f := x.deferred[n-1]
			x.deferred = x.deferred[:n-1]
			if !t.callDeferred(f) {
				return
			}
		}
	}
	t.finish()
}

// callDeferred reports whether the goroutine goes on.
func (t *Tasklet) callDeferred(f func()) (goesOn bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		switch v := recover(); v.(type) {
		case nil: // runtime.Goexit: the other calls are run on another goroutine
			t.deferredFailed(ErrGoexit, nil)
			t.task.Wake()
		case *TaskletExit:
			goesOn = true
		default:
			goesOn = true
			err := scheduler.NewPanicError(v)
			t.deferredFailed(err, err.Stack)
		}
	}()
	f()
	returned = true
	return true
}

func (t *Tasklet) deferredFailed(err error, stack []byte) {
	t.sys.emit(Event{Kind: EventFailure, Tasklet: t, Err: err, Stack: stack})
	if t.result() == nil {
		t.extra().result = err
	}
}

// finish is the last step: nobody sees t half-way in it.
func (t *Tasklet) finish() {
	x := t.ex.Load()
	err := t.result()
	if x != nil {
		x.owned.releaseAll()
		x.cell = nil
	}
	t.phase = finished
	t.task.Finish()
	exit := Exit{Tasklet: t, Kind: KindOf(err), Err: err}
	failedStart := x != nil && x.start != nil && x.start.settle(err)
	leaked := t.marks.Load()&markLeaked != 0
	near := t.parent == nil || t.near(t.parent)
	supervised := x != nil && x.supervised != nil && (!near || t.parent.phase < stopping)
	if supervised || t.sys.wantsExit(t, exit.Kind) {
		exit.Path = t.Path() // only then: it is long where the tree is deep
	}
	if l := t.inst.line(); l != nil && !t.supervised {
		l.ended()
	}
	if t.marks.Load()&markAway != 0 {
		t.born() // stopped before it arrived
	}
	told := failedStart && x.supervised != nil || t == t.sys.daemons // or nobody is to be told
	before := uint32(0)
	switch {
	case leaked: // it is not in the tree
		before = t.marks.Or(markFinished | markOver)
	case near:
		t.sys.unlink(t)
		before = t.marks.Or(markFinished | markOver)
	default:
		before = t.sys.leave(t, exit, !told)
		told = true
	}
	if before&markOver == 0 {
		t.closeDone()
	}
	x = t.ex.Load() // a joiner elsewhere may just have made it
	if !told {
		t.sys.emitExit(t, exit)
	}
	t.joiners.ReleaseAll()
	if x != nil {
		t.tellEnd(x, exit, t.task.Scheduler())
		switch {
		case failedStart:
			x.start.tell(t.task.Scheduler())
		case !supervised:
		case near:
			x.supervised(exit)
		default:
			t.parent.task.Scheduler().Inject(&childEnd{exit, x.supervised})
		}
	}
	if t.onFailure == Escalate && exit.Kind.Failure() && t.parent != nil && t.marks.Load()&markStopped == 0 {
		t.sys.emit(Event{Kind: EventEscalate, Tasklet: t, Path: exit.Path, Err: err})
		t.parent.kill(&ChildError{t, err})
	}
	t.childChanged()
	t.sys.finished(t)
}

// tellEnd tells those who wait for the end of t from elsewhere, watch it, or wait for an answer of it. After markFinished was set.
// from is the scheduler that the caller runs on; nil: it may be any.
func (t *Tasklet) tellEnd(x *extra, exit Exit, from *scheduler.Scheduler) {
	x.mu.Lock()
	if x.fin != nil {
		close(x.fin)
	}
	x.locals = nil
	var all followers
	if f := x.followers; f != nil {
		all, *f = *f, followers{}
	}
	x.mu.Unlock()
	if len(all.watchers) > 0 && exit.Path == "" {
		exit.Path = t.Path()
	}
	for _, d := range all.delegate {
		d.fail(t, exit.Err)
	}
	all.bells.ring(from)
	for _, w := range all.watchers {
		w.end(exit, from)
	}
}

// announce tells the one that waits for the start of t how it went.
func (t *Tasklet) announce(err error) {
	if x := t.ex.Load(); x != nil && x.start != nil && x.start.settle(err) {
		x.start.tell(t.task.Scheduler())
	}
}

// startWait is where StartChild waits.
type startWait struct {
	// state is written by the scheduler, or the starter, whoever is first: what the start came to, or that nobody waits for it.
	state atomic.Uint32
	err   error          // written before state
	bell  scheduler.Bell // for a tasklet
	done  chan struct{}  // for an ordinary goroutine; else nil
}

const (
	startWaits   = iota
	startSettled // it is known; if the start failed, what is left is being undone
	startTold
	startLeft // nobody waits any more
)

func (w *startWait) decide(state uint32) bool { return w.state.CompareAndSwap(startWaits, state) }

// settle is the first half of the announcement; false: nobody waits, or it was made.
func (w *startWait) settle(err error) bool {
	if w.state.Load() != startWaits {
		return false
	}
	if w.err == nil {
		w.err = err
	}
	return w.decide(startSettled)
}

// tell is the second half. on is the scheduler of the tasklet that was started.
func (w *startWait) tell(on *scheduler.Scheduler) {
	w.state.Store(startTold)
	if w.done != nil {
		close(w.done)
	} else {
		w.bell.Ring(on)
	}
}
