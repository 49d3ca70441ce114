package actor

import (
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/gauge"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/stack"
)

// This file ends a system. When it is done, the following holds, whatever happened before:
//
//  - Every tasklet has finished, or was reported once as left behind, by the event leak or by an
//    earlier stop_timeout.
//  - Every wait for a tasklet that has not finished has ended: those of joiners, callers, senders,
//    starters and delegated calls. A scheduler that works ends its waits itself; the context
//    Scheduler.Gone ends all others.
//  - Every message that was sent was handled or is reported.
//  - Only the *System itself refers to the system.
//
// The schedulers of a core.Team end together. When none of them has anything left to do, endRound
// examines what is still in the tree and lets it proceed, until nothing can. A scheduler that is
// held by a tasklet does not get that far. In that case giveUpHeld, on the goroutine of Stop,
// notifies those who wait for what is left, which ends by itself if the tasklet gives up control
// after all.

// endRound is called by a scheduler after Stop, when no scheduler has anything left to do and
// nothing else runs; see core.Hooks.Left. Each call makes progress: it kills hard tasklets that
// were not killed hard before, or removes tasklets that will never end from the tree, so that their
// parents proceed.
func (s *System) endRound() {
	if s.hardenLeft() {
		return
	}
	for t := range s.left() {
		if t.isChildless() {
			t.host().sched.Inject((*leaving)(t))
		}
	}
}

// hardenLeft kills all remaining tasklets hard, and reports whether it had not done so before for
// any of them. A kill of another goroutine does not count, even a hard one: the goroutine may be on
// its way to deliver it, and a tasklet that was not woken has not run its deferred calls.
func (s *System) hardenLeft() (any bool) {
	for t := range s.left() {
		if t.marks.Or(markSwept)&markSwept == 0 {
			any = true
			if _, hard := t.task.Killed(); !hard {
				t.marks.Or(markStopped)
				t.harden()
			} else {
				t.task.KillAgain()
			}
		}
		if t.parent != nil && t.parent.marks.Load()&(markLeaked|markReported) != 0 {
			t.marks.Or(markReported) // it is part of a subtree that was reported as left behind
		}
	}
	return any
}

// left iterates over the tasklets that have neither finished nor been left behind, in the tree and
// below those that were taken out of it. It includes the daemons and their node when the root has
// ended.
func (s *System) left() func(yield func(*Tasklet) bool) {
	return func(yield func(*Tasklet) bool) {
		for _, top := range s.tops() {
			if top == s.daemons && s.root.marks.Load()&(markFinished|markLost) == 0 {
				continue
			}
			for t := range top.Tree() {
				if t.marks.Load()&(markFinished|markLost) == 0 && !yield(t) {
					return
				}
			}
		}
	}
}

// tops returns the root, the tasklets that were taken out of the tree, and the node of the daemons.
func (s *System) tops() []*Tasklet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(append([]*Tasklet{s.root}, s.detached...), s.daemons)
}

// isChildless reports whether t has no children in the tree.
func (t *Tasklet) isChildless() bool {
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	for c := t.first; c != nil; c = c.next {
		if !c.vacant() {
			return false
		}
	}
	return true
}

// leaving is injected work that leaves a tasklet behind: the tasklet will never be called again,
// though it has not finished.
type leaving Tasklet

// Do leaves the tasklet behind, on its scheduler. After that the tasklet is out of the tree, and
// every wait for it has ended.
func (l *leaving) Do() {
	t := (*Tasklet)(l)
	before := t.marks.Or(markLost)
	switch {
	case before&markLost != 0:
		return
	case before&markFinished != 0:
		t.tellFinished() // a failure may have prevented that
		return
	}
	t.loseInHand()
	if path := t.Path(); t.marks.Or(markLeaked)&markLeaked == 0 {
		t.sys.takeAway(t, path, nil)
		t.reportLeak(nil)
	}
	t.answersNobody()
	t.retireRefs()
	if x := t.ex.Load(); x != nil && x.start != nil {
		if x.start.settle(ErrStopped) || x.start.state.Load() == startSettled {
			x.start.tell(t.task.Scheduler())
		}
	}
	t.childChanged()
	t.sys.finished(t)
}

// tellFinished repeats the last part of finish.
func (t *Tasklet) tellFinished() {
	t.sys.unlink(t)
	t.joiners.ReleaseAll()
	if x := t.ex.Load(); x != nil {
		err := t.result()
		t.tellEnd(x, Exit{Tasklet: t, Kind: KindOf(err), Err: err}, t.task.Scheduler())
		if x.start != nil && x.start.state.Load() == startSettled {
			x.start.tell(t.task.Scheduler())
		}
	}
	t.childChanged()
	t.sys.finished(t)
}

// loseInHand reports the message that t was handling when it was left behind.
func (t *Tasklet) loseInHand() {
	h, ok := inner(t.inst).(interface{ inHand() int })
	if !ok || t.isIdle() || t.phase != living || !t.task.OwnsStack() {
		return
	}
	if l := t.inst.lineage(); l != nil && own.Is(l.message()) {
		return // as in lose
	}
	if n := h.inHand(); n > 0 {
		t.handOverInHand(ErrKilled)
		t.sys.counts.lost[gauge.LostInHand].Add(uint64(n))
		t.sys.emit(EventRecord{
			Kind: event.MessageLost, Tasklet: t, Err: ErrKilled, Message: typeInHand(t.inst), Count: n, stopped: true,
		})
		t.sys.lettersOver()
	}
}

// reportLeak reports t as left behind, once. It may be called from any goroutine.
func (t *Tasklet) reportLeak(where []byte) {
	if t.marks.Or(markReported)&markReported == 0 {
		t.sys.emit(EventRecord{Kind: event.Leak, Tasklet: t, Stack: stack.Text(where)})
	}
}

// retireRefs ends the refs that nobody will read because t is left behind: its own, and those of
// its children if it is a supervisor.
func (t *Tasklet) retireRefs() {
	t.lineages(func(l anyLineage) { l.retire() })
}

// lineages calls f for the lineage of t, and for those of the bodies in its slots and of its
// family.
func (t *Tasklet) lineages(f func(anyLineage)) {
	if l := t.inst.lineage(); l != nil {
		f(l)
	}
	for _, s := range t.slots() {
		refsOf(s.body, f)
	}
	if fam := familyOf(t); fam != nil {
		for _, b := range fam.bodies {
			refsOf(b, f)
		}
	}
}

// giveUpHeld is called when Stop or Run returns although a tasklet holds a scheduler. It notifies
// everything that waits for a tasklet that is left. If the tasklet gives up control after all, the
// rest of the stop proceeds. It may be called from any goroutine.
func (s *System) giveUpHeld(left []*Tasklet, stacks map[*Tasklet][]byte) {
	for _, t := range left {
		if t.HasFinished() {
			continue
		}
		if t.marks.Load()&markLeaked == 0 {
			t.reportLeak(stacks[t])
		}
		t.lineages(anyLineage.giveUp)
		t.failDelegated()
	}
	for _, h := range s.hosts {
		h.sched.GiveUp()
	}
}
