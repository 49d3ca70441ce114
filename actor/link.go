package actor

import "sync/atomic"

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
// *cluster.KillError, and it has failed when the ref has. A ref that has just come here may have no
// tasklet yet.
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
	t, u := a.incarnation(), b.incarnation()
	switch {
	case t == nil || u == nil:
		return func() bool { return false }, ErrNoTasklet
	case t == u:
		misuse("Link of %s with itself", t.Path())
	case t.sys != u.sys:
		misuse("Link of %s with %s, which belongs to another system", t.Path(), u.Path())
	}
	l := &link{of: [2]*Tasklet{t, u}}
	for i := range l.ends {
		w := &l.ends[i]
		w.t, w.now = l.of[1-i], true
		w.place.V = w
		w.tell = func(e Exit) { l.ended(e, w.t) }
	}
	for i := range l.ends {
		w := &l.ends[i]
		if over, exit := l.of[i].watchedBy(w); over {
			l.ended(exit, w.t)
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
	over atomic.Bool

	// Set in Link, then read-only, except what the locks of the watched tasklets protect.
	of   [2]*Tasklet
	ends [2]watch // ends[i] watches of[i] for the other
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
	for i := range l.ends {
		l.of[i].unwatch(&l.ends[i])
	}
}

// ended is called with the end of one side, and kills the other if that was a failure. It may be
// called from any goroutine.
func (l *link) ended(e Exit, other *Tasklet) {
	if !l.remove() || !e.Kind.Failure() || e.Tasklet.stoppedInOrder(other) {
		return
	}
	first, passed := e.Err.(*LinkError)
	if !passed || first == nil {
		first = &LinkError{Tasklet: e.Tasklet, Cause: e.Err}
	}
	if m, ok := inner(other.inst).(mirror); ok { // its end would end the ref for all on this node
		m.proxy().Kill(e.Path, first)
		return
	}
	other.killBody(first) // kill would cut a drain of the children
}

// stoppedInOrder reports whether t, which has ended, was stopped by its parent, and that is no
// failure for other: it is that parent, or the system stops and other has its own turn.
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
