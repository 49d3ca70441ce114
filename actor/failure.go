package actor

import "github.com/gotasklet/tasklet/actor/event"

// failed is called by a body when a message or round returned an error. done says that the tasklet
// ends with result.
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

func (t *Tasklet) takeKill() {
	t.task.TakeKill()
}

// lose is called when t ends because it failed on a message, or was killed while it handled one.
// The next incarnation handles that message again, or it is reported as lost.
func (t *Tasklet) lose(err error) {
	h, ok := as[interface{ inHand() int }](t.inst)
	if !ok || t.isIdle() || t.phase != living {
		return
	}
	n := h.inHand()
	if n == 0 {
		return
	}
	t.marks.Or(markInHand)
	if r, ok := as[retrier](t.inst); ok && t.supervised && r.putBack() {
		return
	}
	t.sys.emit(EventRecord{
		Kind: event.MessageLost, Tasklet: t, Err: err, Message: typeInHand(t.inst), Count: n, stopped: t.wasStopped(err),
	})
}

// resumes reports whether t continues after a failed message or round.
func (t *Tasklet) resumes() bool { return t.onFailure == Resume }

// recovered is called when t has recovered its kill and continues.
func (t *Tasklet) recovered() {
	if x := t.ex.Load(); x != nil {
		x.mu.Lock()
		x.cause = nil
		x.mu.Unlock()
	}
	// A hard kill is raised repeatedly, but reported once.
	if _, hard := t.task.Killed(); !hard || t.marks.Or(markStubborn)&markStubborn == 0 {
		t.sys.emit(EventRecord{Kind: event.KillRecovered, Tasklet: t})
	}
}
