package actor

import (
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/scheduler"
)

// SetPatience shortens the times of the wall clock that a stop waits for a tasklet which holds the scheduler.
func SetPatience(d time.Duration) (restore func()) {
	h, l := hogPatience, lastWait
	hogPatience, lastWait = d, d
	return func() { hogPatience, lastWait = h, l }
}

// CheckInvariants looks whether what must always hold between two steps of the scheduler does. On the scheduler.
func CheckInvariants(s *System) error {
	for _, top := range []*Tasklet{s.root, s.daemons} {
		if err := checkFamily(s, top, nil); err != nil {
			return err
		}
	}
	return nil
}

func checkFamily(s *System, t, parent *Tasklet) error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%s: "+what, append([]any{t.Path()}, args...)...)
	}
	marks := t.marks.Load()
	_, hard := t.task.Killed()
	switch {
	case t.parent != parent:
		return bad("its parent is %v", t.parent)
	case parent != nil && !t.linked:
		return bad("is in the tree and not marked so")
	case t.phase == finished || marks&markFinished != 0:
		return bad("has finished and is in the tree")
	case t.phase >= stopping && marks&markOver == 0:
		return bad("its body has ended and its context has not")
	case t.phase < stopping && marks&markOver != 0 && !hard:
		return bad("its context has ended in phase %d without a hard kill", t.phase)
	case t.phase >= deferring && t.first != nil:
		return bad("has children in phase %d", t.phase)
	case t.first != nil && marks&markParent == 0:
		return bad("has children and is not marked so")
	case marks&markLeaked != 0:
		return bad("was given up and is in the tree")
	case t.task.State() == scheduler.Finished:
		return bad("its task has finished")
	}
	if l := t.inst.line(); l != nil && marks&markAway == 0 {
		st := l.stats()
		if st.Cap > 0 && st.Len > st.Cap {
			return bad("%d messages in a mailbox for %d", st.Len, st.Cap)
		}
		if t.phase < stopping && l.current() != t {
			return bad("its ref is %v's", l.current())
		}
		if t.phase >= stopping && l.current() == t && !l.isDead() {
			return bad("its body has ended and its ref has not")
		}
	}
	s.mu.Lock()
	first, last := t.first, t.last
	s.mu.Unlock()
	var prev *Tasklet
	n := uint32(0)
	for c := first; c != nil; prev, c = c, c.next {
		if c.prev != prev {
			return bad("%s before %s points to %v", c.Path(), prev, c.prev)
		}
		if prev != nil && prev.num >= c.num {
			return bad("%s comes before %s", prev.Path(), c.Path())
		}
		if n++; n > t.started {
			return bad("has more children than were started: %d", t.started)
		}
		if err := checkFamily(s, c, t); err != nil {
			return err
		}
	}
	if last != prev {
		return bad("its last child is %v, not %v", last, prev)
	}
	return nil
}
