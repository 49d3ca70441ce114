package scheduler

// checkDeadlock is called before t parks on w.On, which has a holder. It follows the chain of waits: the holder may be parked
// on a resource, which has a holder, and so on. Three ends are possible: somebody who is not parked on a resource (then all is
// well); t itself; a ring that t would wait for but is not part of (its members have their own time limits, or they would have
// been refused).
//
// If the chain comes back to t and nobody on it can time out, the wait is refused with a *DeadlockError. If somebody can, the
// wait begins, and the hook is told.
//
// The chain is followed within one scheduler: a task of another one ends it.
func (t *Task) checkDeadlock(w Wait, soft bool) error {
	// Brent's way to see a ring: the mark is moved on after 2, 4, 8 ... steps.
	var mark *Task
	steps, limit := 0, 2
	for x := w.On.Holder; x != t; {
		if x.s != t.s || x.state != Parked && x.state != Idle || x.waitsOn == nil || x.waitsOn.Holder == nil {
			return nil
		}
		soft = soft || x.soft
		x = x.waitsOn.Holder
		if x == mark {
			return nil
		}
		if steps++; steps == limit {
			mark, steps, limit = x, 0, 2*limit
		}
	}
	e := &DeadlockError{Chain: []Link{{Task: t.s.name(t), Kind: w.Kind}}}
	for x := w.On.Holder; x != t; x = x.waitsOn.Holder {
		e.Chain = append(e.Chain, Link{Task: t.s.name(x), Kind: x.kind})
	}
	if h := t.s.hooks.Deadlock; h != nil {
		h(t, e, soft)
	}
	if soft {
		return nil
	}
	return e
}
