package actor

import "strings"

// Bits of Tasklet.marks: what is known of the kill and the end of a tasklet. A bit that is set
// stays set, except markAway. The table markRules says when each bit is set, by whom, and what
// holds then.
const (
	markOver      = 1 << iota // the context is done
	markFinished              // the tasklet has finished
	markLeaked                // detached, because it did not stop
	markKilled                // the result is ErrKilled, unless extra has another one
	markStopped               // stopped by its parent or its system, not by a Kill
	markInHand                // it failed while it handled a message
	markLeft                  // it no longer reads its ref
	markAway                  // not yet arrived on its scheduler
	markStubborn              // it has recovered a hard kill
	markPlaced                // it reads a ref, and is in the tree
	markParent                // it has children, or has had some
	markEnded                 // its body has ended
	markChildless             // its body and all its children have ended
	markReported              // the event leak was emitted for it
	markLost                  // it will never be called again
	markHard                  // its kill is hard
	markSystem                // the root was killed by the end of the system
	markStarted               // its OnStart functions and its init are done
	markVacant                // it is not a tasklet, but the placeholder of an empty slot
	markDraining              // it drains: its body ends when its work is done
	markCut                   // its drain was cut short by a kill
	markTold                  // its body was told that it drains
	markSwept                 // the end of the system has killed it hard
	markLostHand              // the message in hand was reported as lost
	markQuiet                 // its supervisor reports its end
)

// markRule is a row of the table of marks.
type markRule struct {
	mark  uint32
	name  string
	by    string // who sets it, and where
	when  string
	needs uint32 // at least one of these is set by then; 0 means no such rule
	never uint32 // none of these is set together with it
}

// markRules is the table of the states of a kill and of an end, beside phase. "own" is the
// scheduler of the tasklet, and "parent" that of its parent. System.Check compares the table with
// the tasklets in the tree, and TestMarkRules with all ends that it can draw.
var markRules = []markRule{
	{markOver, "over", "own, and whoever hardens a kill", "the body ends, or the kill becomes hard", markEnded | markHard | markFinished, markVacant},
	{markFinished, "finished", "own, in System.leave; the starter, for a stillborn", "with its leaving the tree, under System.mu", markOver, markVacant},
	{markLeaked, "leaked", "parent, in detach; own, in leaving", "it did not stop in its time, or nothing is left that could end it", markStopped | markHard, markVacant},
	{markKilled, "killed", "own, in bodyEnded", "a kill ended the body", 0, markVacant},
	{markStopped, "stopped", "parent; System.hardenLeft; Drain, any goroutine; the starter, for a stillborn", "before the kill that stops it", 0, markVacant},
	{markInHand, "in hand", "own, in lose", "before the end of the body", 0, markVacant},
	{markLeft, "left", "own, in bodyEnded; parent, in abandon", "its ref is free for the next tasklet of its slot", 0, 0},
	{markAway, "away", "the starter; own takes it off", "from the start to the arrival, or to the end of one that never arrives", 0, markVacant},
	{markStubborn, "stubborn", "own, in recovered", "the kill is hard, and was reported as recovered", markOver, markVacant},
	{markPlaced, "placed", "the starter", "it is linked", 0, markVacant},
	{markParent, "parent", "own, under System.mu", "before the first child or slot is linked", 0, markVacant},
	{markEnded, "ended", "own, in bodyEnded", "with over; not for one that nobody could have seen", markOver, markVacant},
	{markChildless, "childless", "own, in childrenGone and bodyEnded", "when the last child has gone; deferred calls are left", 0, markVacant},
	{markReported, "reported", "any goroutine", "with the event leak of it or of one above it", 0, markVacant},
	{markLost, "lost", "own, in leaving", "when its system ends without it", markLeaked | markFinished, markVacant},
	{markHard, "hard", "any goroutine, in harden; own, in recovered", "with over, and before the task learns of the kill, unless its scheduler ends", markOver, markVacant},
	{markSystem, "system", "any goroutine, in stopRoot", "before the kill of the root", 0, markVacant},
	{markStarted, "started", "own, in hasStarted", "before the first step of the body; never without OnStart and init", 0, markVacant},
	{markVacant, "vacant", "own, in NewSlot", "when the slot is made, or loses its tasklet", markLeft, 0},
	{markDraining, "draining", "any goroutine, in beginDrain", "before the body is told", 0, markVacant},
	{markCut, "cut", "any goroutine, in cutDrain", "its children are killed from now on", markDraining, markVacant},
	{markTold, "told", "own, in drain", "once, when it lives", markDraining, markVacant},
	{markSwept, "swept", "any scheduler, in hardenLeft", "the system ends, and the tasklet is left", 0, markVacant},
	{markLostHand, "lost in hand", "own, in lose", "with the event message_lost", markInHand, markVacant},
	{markQuiet, "quiet", "own, in System.leave", "with its leaving the tree, before its exit is told", 0, markVacant},
}

// markNames returns the names of the marks that are set, for messages.
func markNames(marks uint32) string {
	var names []string
	for _, r := range markRules {
		if marks&r.mark != 0 {
			names = append(names, r.name)
		}
	}
	return strings.Join(names, ", ")
}

// wrongMark returns the first rule that marks break between two activations, or nil.
func wrongMark(marks uint32) *markRule {
	for i := range markRules {
		r := &markRules[i]
		if marks&r.mark != 0 && (r.needs != 0 && marks&r.needs == 0 || marks&r.never != 0) {
			return r
		}
	}
	return nil
}

// vacant reports whether t is the placeholder of an empty slot.
func (t *Tasklet) vacant() bool { return t.marks.Load()&markVacant != 0 }

// left reports whether t, which is supervised, has left its lineage to the next.
func (t *Tasklet) left() bool { return t.marks.Load()&markLeft != 0 }

// drains reports whether t, whose body has ended, drains its children and does not stop them.
func (t *Tasklet) drains() bool {
	return t.marks.Load()&(markDraining|markStopped|markCut|markHard|markLeaked) == markDraining
}

// endsDaemons returns the mark with which the daemons are ended after the root t: they are drained
// too, or stopped.
func (t *Tasklet) endsDaemons() uint32 {
	if t.marks.Load()&(markDraining|markCut|markHard) == markDraining {
		return markDraining
	}
	return markStopped
}

// drainsChildren reports whether t drains its children, because it drains and its body has ended.
// It may be called from any goroutine.
func (t *Tasklet) drainsChildren() bool {
	return t.marks.Load()&markEnded != 0 && t.drains()
}

// drained reports whether the body of t must end because t drains. It is for bodies that are called
// repeatedly.
func (t *Tasklet) drained() bool { return t.marks.Load()&markDraining != 0 }
