package actor

import (
	"math"
	"time"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
)

// stopChildren stops the children one by one, the newest first. It waits for each without a stack:
// the end of the child, or a timer, makes the scheduler call it again.
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
		c := t.lastChild()
		if c == nil {
			break
		}
		if n == stepMessages {
			t.task.Wake() // lets other tasks run
			return
		}
		drains := t.drains()
		if !drains && c.endIdle(t.task.Scheduler()) {
			continue
		}
		st := t.stopState()
		switch {
		case drains && st.child != c:
			*st = stopState{child: c, limit: Infinity, drains: true}
			c.beginDrain(t.task.Scheduler())
		case !drains && (st.child != c || st.drains):
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

// awaitsChildren reports whether the body of t has ended and its children have not. It may be
// called from any goroutine.
func (t *Tasklet) awaitsChildren() bool { return t.marks.Load()&(markEnded|markChildless) == markEnded }

// waited returns for how much of the time from since to now t, whose body has ended, has waited for
// its children. It may be called from any goroutine.
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

// stopTogether is like stopChildren, but kills all children first and then waits for them, with one
// deadline for all.
func (t *Tasklet) stopTogether(limit time.Duration) {
	st := t.stopState()
	if t.drains() {
		t.drainTogether(st)
		return
	}
	if st.limit == 0 || st.drains {
		*st = stopState{limit: limit, rest: t.Children()}
	}
	for n := 0; len(st.rest) > 0; n++ {
		if n == stepMessages {
			t.task.Wake() // lets other tasks run
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
			st.deadline = until(now, int64(st.limit))
		}
	} else if now >= st.deadline {
		for _, c := range t.Children() {
			_, hard := c.task.Killed()
			switch {
			case c.awaitsChildren(): // its children have their own times to stop
			case hard:
				c.detach()
			default:
				c.harden()
			}
		}
		st.deadline = now + int64(hardTime)
	}
	c := t.lastChild()
	if c == nil {
		t.childrenGone()
		return
	}
	t.awaitStop(c, now)
}

// drainTogether is like stopTogether, but drains all children, without a deadline.
func (t *Tasklet) drainTogether(st *stopState) {
	if !st.drains {
		*st = stopState{limit: Infinity, drains: true, rest: t.Children()}
	}
	for n := 0; len(st.rest) > 0; n++ {
		if n == stepMessages {
			t.task.Wake() // lets other tasks run
			return
		}
		c := st.rest[len(st.rest)-1]
		st.rest = st.rest[:len(st.rest)-1]
		c.beginDrain(t.task.Scheduler())
	}
	st.rest = nil
	c := t.lastChild()
	if c == nil {
		t.childrenGone()
		return
	}
	t.awaitStop(c, t.task.Scheduler().Nanotime())
}

// awaitStop makes t wait until the child c has finished or it is time to check again.
func (t *Tasklet) awaitStop(c *Tasklet, now int64) {
	x := t.ex.Load()
	if x.waitFrom.Load() == 0 {
		x.waitFrom.Store(max(now, 1))
	}
	at := x.stopping.deadline
	if at != 0 {
		t.task.WakeAt(at)
	}
	t.task.IdleOn(core.InStop, c.task.Resource(), at != 0)
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

// endIdle ends the child t at once, on the stack of its parent, which runs on the scheduler on. It
// does so only if none of the child's code must run, and returns false otherwise. This is why a
// million idle receivers can be stopped in less than half a second.
func (t *Tasklet) endIdle(on *core.Scheduler) bool {
	if t.task.Scheduler() != on || t.task.State() != core.Idle || t.phase != living {
		return false
	}
	if x := t.ex.Load(); x != nil && (len(x.deferred) > 0 || !x.owned.Empty()) {
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

// stopState is the stop of one child: a kill, a hard kill when the child's time is over, and a
// second later the detachment.
type stopState struct {
	child    *Tasklet
	limit    time.Duration // the time until the next of these steps, or Infinity
	since    int64         // ns on the clock: the start of that time
	deadline int64         // ns on the clock: when to check again; 0 means never
	hard     bool
	drains   bool       // the child drains, and is not stopped yet
	rest     []*Tasklet // the children still to be killed; see stopTogether
}

// stopState returns the state of the stop of t's children.
func (t *Tasklet) stopState() *stopState {
	x := t.extra()
	if x.stopping == nil {
		x.stopping = new(stopState)
	}
	return x.stopping
}

// hardTime is the time that a body has to end after its kill has become hard.
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

// check reports whether the child has finished or was given up. The time in which the child waits
// for its own children does not count, because each of them has its own.
func (s *stopState) check(now int64) bool {
	if s.child.marks.Load()&(markFinished|markLeaked) != 0 {
		return true
	}
	if s.limit == Infinity {
		return false
	}
	left := int64(s.limit) - (now - s.since - s.child.waited(s.since, now))
	if s.child.awaitsChildren() {
		left = max(left, int64(hardTime)) // check again then
	} else if left <= 0 {
		if s.hard {
			s.child.detach()
			return true
		}
		s.harden(now)
		left = int64(s.limit)
	}
	if s.deadline = until(now, left); s.deadline == math.MaxInt64 {
		s.deadline = 0
	}
	return false
}

// detach gives t up. It takes t out of the tree with its subtree, so that its parent can proceed.
// It must be called on the parent's scheduler.
func (t *Tasklet) detach() {
	path := t.Path()
	if t.marks.Or(markLeaked)&markFinished != 0 {
		return // it has finished at the last moment
	}
	var where []byte
	if !t.near(t.parent) { // otherwise the parent would not run while t holds its scheduler
		if where = t.hogStack(); len(where) == 0 {
			where = nil // it has just given up control
		}
	}
	t.sys.takeAway(t, path, where)
	t.answersNobody()
	t.sys.emit(EventRecord{Kind: event.StopTimeout, Tasklet: t, Path: path})
}

// answersNobody is called when t is given up. It tells those who wait for an answer from t that
// none will come. The ref of t is left to the next tasklet, or becomes dead.
func (t *Tasklet) answersNobody() {
	if l := t.inst.lineage(); l != nil {
		l.abandon(t)
	}
	t.failDelegated()
}
