package core

// checkDeadlock is called before t parks on w.On, which has a holder. It follows the chain of
// waits: the holder may be parked on a resource, which has a holder, and so on. The chain has one
// of three ends. It ends at a task that is not parked on a resource, or that was killed and so will
// not be for long; then there is no deadlock. It ends at t itself. Or it ends in a cycle that t
// would wait for but is not part of; the waits of that cycle have limits, or they would have been
// refused.
//
// If the chain comes back to t and no wait on it can time out, the wait is refused with a
// *DeadlockError. If one can, the wait begins, and the hook is called.
//
// The chain is followed within one scheduler. A cycle over several schedulers is found by a chase,
// a little later.
func (t *Task) checkDeadlock(w Wait, soft bool) error {
	e, soft := t.ring(w, soft)
	if e == nil {
		return nil
	}
	if h := t.s.hooks.Deadlock; h != nil {
		h(t, e, soft)
	}
	if soft {
		return nil
	}
	return e
}

// MayWait returns the *[DeadlockError] that Park would return for w. It is for callers that first
// do something that they must not do if they cannot wait afterwards. It must be called on the
// running task.
func (t *Task) MayWait(w Wait) error {
	if w.On == nil || w.On.Holder == nil || w.Ctx != nil || w.Until != 0 {
		return nil
	}
	if e, soft := t.ring(w, false); e == nil || soft {
		return nil
	}
	return t.checkDeadlock(w, false)
}

// ring returns the chain that comes back to t if t waits as w says, or nil, and whether a wait on
// it can time out.
func (t *Task) ring(w Wait, soft bool) (*DeadlockError, bool) {
	// This is Brent's way to detect a cycle: the mark moves on after 2, 4, 8 and so on steps.
	var mark *Task
	steps, limit := 0, 2
	for x := w.On.Holder; x != t; {
		if x.s != t.s {
			t.s.strayed()
			return nil, false
		}
		if x.state != Parked && x.state != Idle || x.waitsOn == nil || x.waitsOn.Holder == nil {
			return nil, false
		}
		if pending, _ := x.Killed(); pending && x.state == Parked {
			return nil, false // its wait is about to end
		}
		soft = soft || x.soft
		x = x.waitsOn.Holder
		if x == mark {
			return nil, false
		}
		if steps++; steps == limit {
			mark, steps, limit = x, 0, 2*limit
		}
	}
	e := &DeadlockError{Chain: []Link{{Task: t.s.name(t), Kind: w.Kind}}}
	for x := w.On.Holder; x != t; x = x.waitsOn.Holder {
		e.Chain = append(e.Chain, Link{Task: t.s.name(x), Kind: x.kind})
	}
	return e, soft
}
