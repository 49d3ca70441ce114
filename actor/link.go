package actor

import (
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/far"
)

// Link links two tasklets, so that neither outlives a failure of the other: if one fails, the other
// is killed, with a *[LinkError] as the cause. A *[Tasklet] stands for itself, and a [Ref] for its
// tasklet at the time of the call, as Ref.Tasklet returns it. An incarnation that a supervisor
// starts later is not linked. The kind of an end by a link is reason.Error, so a supervisor
// restarts the tasklet as after any other failure.
//
// A tasklet has failed when it has finished and its exit kind is a failure. Its children have ended
// by then, and its deferred calls have run. A kill is a failure too, and so is a stop by the parent
// or by a supervisor, with two exceptions: if the other side is the parent that stops it, or if the
// whole system stops, in which every tasklet has its turn. An end without a failure removes the
// link. If one side has failed before the call, the other is killed at once.
//
// The error passes through a chain of links unchanged: each tasklet that the chain ends has the
// *LinkError of the failure that came first. A kill by a link is a kill like any other. It has no
// effect on a tasklet whose body has ended or that is being killed, it may be recovered, and the
// children of a tasklet that drains continue to drain.
//
// A ref to another node stands for the tasklet there, over its restarts: the link kills it with a
// *cluster.KillError, and it has failed when the ref has.
//
// unlink removes the link, and reports whether it was in time. If so, this link kills nobody. Links
// are independent of each other, also two between the same tasklets.
//
// The error is [ErrNoTasklet] if a or b is a nil *Tasklet or a ref without a tasklet. Then unlink
// returns false. Link panics if a and b are the same tasklet, or belong to different systems. Link
// and unlink never park, and may be called from any goroutine.
func Link(a, b Watchable) (unlink func() (inTime bool), err error) {
	if a == nil || b == nil {
		misuse("Link of a nil *Tasklet")
	}
	l := &link{}
	for i, of := range [2]Watchable{a, b} {
		x := &l.sides[i]
		if x.target, x.system, x.far = of.linkedAs(); x.target == nil {
			return func() bool { return false }, ErrNoTasklet
		}
		w := &x.end
		w.now = true
		w.place.V, w.inLineage.V = w, w
		w.tell = func(e Exit) { l.ended(e, &l.sides[1-i]) }
	}
	x, y := &l.sides[0], &l.sides[1]
	switch {
	case x.target == y.target:
		misuse("Link of %v with itself", x.target)
	case x.system != y.system:
		misuse("Link of %v with %v, which belongs to another system", x.target, y.target)
	}
	for i := range l.sides {
		l.sides[i].end.t, _ = l.sides[1-i].target.(*Tasklet)
	}
	for i := range l.sides {
		if over, exit := l.sides[i].target.watchedBy(&l.sides[i].end); over {
			l.ended(exit, &l.sides[1-i])
		}
	}
	if l.over.Load() {
		l.leave() // one side may have ended before the other had its entry
	}
	return l.remove, nil
}

// link is a link between two tasklets, with an entry among the watchers of each. Whoever sets over
// decides how it ends, and removes the entries.
type link struct {
	over  atomic.Bool
	sides [2]linkSide
}

// linkSide is a side of a link. Set in Link, then read-only, except what the locks of the watched
// tasklets protect.
type linkSide struct {
	target Watchable // a *Tasklet, or a Ref to another node
	system *System
	far    far.Proxy // the tasklet that target stands for, if it is on another node; or nil
	end    watch     // of target, for the other side
}

// remove ends the link, and reports whether it had not ended before. It may be called from any
// goroutine.
func (l *link) remove() bool {
	if l.over.Swap(true) {
		return false
	}
	l.leave()
	return true
}

// leave removes the entries of the link. over must be set.
func (l *link) leave() {
	for i := range l.sides {
		l.sides[i].target.unwatch(&l.sides[i].end)
	}
}

// ended is called with the end of one side, and kills the other if that was a failure. It may be
// called from any goroutine.
func (l *link) ended(e Exit, other *linkSide) {
	to, _ := other.target.(*Tasklet)
	if !l.remove() || !e.Kind.Failure() || e.Tasklet.stoppedInOrder(to) {
		return
	}
	first, passed := e.Err.(*LinkError)
	if !passed || first == nil {
		first = &LinkError{Tasklet: e.Tasklet, Cause: e.Err}
	}
	if other.far != nil {
		other.far.Kill(e.Path, first)
	} else {
		to.killBody(first) // kill would cut a drain of the children
	}
}

// linkedAs implements Watchable.
func (t *Tasklet) linkedAs() (Watchable, *System, far.Proxy) {
	if t == nil {
		return nil, nil, nil
	}
	if m, ok := inner(t.inst).(mirror); ok { // its own end would end the ref for all on this node
		return t, t.sys, m.proxy()
	}
	return t, t.sys, nil
}

// linkedAs implements Watchable.
func (r Ref[M]) linkedAs() (Watchable, *System, far.Proxy) {
	l := r.must("Link")
	if p := l.elsewhere(); p != nil {
		return r, l.system(), p
	}
	return l.current().linkedAs()
}

// stoppedInOrder reports whether t, which has ended, was stopped by its parent, and that is no
// failure for other: it is that parent, or the system stops and other has its own turn. other is
// nil if it is on another node.
func (t *Tasklet) stoppedInOrder(other *Tasklet) bool {
	if t.marks.Load()&(markStopped|markSystem) == 0 {
		return false
	}
	select {
	case <-t.sys.stopping:
		return true
	default:
		return t.parent == other
	}
}
