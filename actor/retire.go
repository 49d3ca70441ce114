package actor

import "time"

// Retire ends the use of an empty slot. The slot leaves the children of its parent, and the ref of
// its body ends permanently, with those of the children of a [Family]. Retiring a retired slot has
// no effect.
func (s *Slot) Retire() {
	s.mustBeEmpty("Retire", slotRetired)
	refsOf(s.body, anyLineage.retire)
}

// mustBeEmpty sets the state of the slot to next, unless it was retired. A slot that is retired
// leaves the children in the same step, because a check on another scheduler may look in between.
// mustBeEmpty panics if the slot is occupied.
func (s *Slot) mustBeEmpty(op string, next slotState) {
	sys := s.parent.sys
	sys.mu.Lock()
	t := s.task
	if t == nil && s.state != slotRetired {
		s.state, s.until = next, time.Time{}
		if next == slotRetired && s.hole != nil {
			unlink(s.hole)
			s.hole = nil
		}
	}
	sys.mu.Unlock()
	if t != nil {
		misuse("Slot.%s: %s is in the slot", op, t.Path())
	}
}

// Close closes the ref of an empty slot until the next Start. Sends are refused, and queued
// messages become dead letters, a little later if the ref belongs to another scheduler. If the last
// tasklet has ended by itself without a failure, calls of Ref.Join return, and watches of the ref
// are notified, because no restart is to come. A tasklet that was stopped is only interrupted. For
// a [Family], Close does the same to the refs of its children.
func (s *Slot) Close() {
	s.mustBeEmpty("Close", slotStopped)
	over := false
	if s.lineage != nil {
		if t := s.lineage.last(); t != nil {
			exit, finished := t.Exit()
			over = finished && !exit.Kind.Failure()
		}
	}
	refsOf(s.body, func(l anyLineage) {
		if !l.isDead() {
			l.close(over)
		}
	})
}

// endSlots ends the slots of t, whose children have ended. Their refs end permanently, except those
// of a family with another life to come. It must be called on the scheduler of t.
func (t *Tasklet) endSlots() {
	f := familyOf(t)
	forGood := f == nil || t.inst.lineage().isDead()
	if x := t.ex.Load(); x != nil {
		for s := x.emptied; s != nil; s = s.next {
			if forGood || s.family == nil {
				s.Retire()
			}
		}
	}
	if forGood && f != nil {
		for _, b := range f.bodies { // including those that were never started
			refsOf(b, anyLineage.retire)
		}
	}
}

// ended handles the end of a tasklet that was in s. It must be called on the scheduler of the
// parent.
func (s *Slot) ended(exit Exit) {
	if s.cur != exit.Tasklet {
		notRestarted(exit)
		return // Stop was called for it, or Start has returned its end
	}
	s.cur = nil
	sys := s.parent.sys
	sys.mu.Lock()
	s.last, s.lastAt = exit, sys.Now()
	sys.mu.Unlock()
	if s.onEnd != nil {
		s.onEnd(exit)
	}
}
