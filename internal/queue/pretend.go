package queue

import "github.com/gotasklet/tasklet/internal/core"

// PretendFull lets local sends find m full although there is room, whenever full says so: for
// simulations that look for senders that can't bear it, as package actortest does. What such a send
// does is up to the policy. Under Block its sender parks, and its message is moved in before the
// next task runs; nobody overtakes it. Under DropOldest a message is dropped only if there is one.
// Unbounded mailboxes stay as they are, and so do sends from elsewhere.
//
// On home, or before the first Open. It costs other mailboxes nothing: m is given a state of its
// own, by which the fast path of a send is left.
func (m *Queue[M]) PretendFull(full func() bool) {
	if m.policy == Unbounded {
		return
	}
	m.extra().pretend.full = full
	m.state.CompareAndSwap(stateOpen, stateMoody)
}

// pretence is the part of ext that PretendFull needs. Owned by home.
type pretence struct {
	full func() bool // nil: nobody pretends
	// line is where those stand who have met a pretended fullness, until home looks: not in the
	// line of senders, which is empty as long as there is room. Whoever comes meanwhile stands
	// behind them.
	line core.Line
	next bool // the one that is about to stand somewhere stands there
}

// seemsFull reports whether a send is to find m full, and sees to it that whoever stands in line
// for that is let in soon. On home.
func (m *Queue[M]) seemsFull(onFull Policy) bool {
	p := &m.ext.Load().pretend
	if p.line.Empty() && (onFull == DropOldest && m.queue.n == 0 || !p.full()) {
		return false
	}
	if onFull == Block {
		p.next = true
		m.home.Load().Inject((*arrival[M])(m))
	}
	return true
}

// stand reports whether w stands in the line of the pretence.
func (p *pretence) stand(w *core.Waiter) bool {
	if !p.next {
		return false
	}
	p.next = false
	p.line.Add(w)
	return true
}

// endPretence does with those who stand there what would have been done when they came. On home.
func (m *Queue[M]) endPretence(x *ext[M]) {
	for p := &x.pretend; !p.line.Empty(); {
		w := p.line.First()
		e := w.Item.(*Envelope[M])
		if !m.Closed() && x.line.Empty() && (!m.full() || m.reclaim()) {
			if v, ticket := e.msg, e.ticket; e.decide(m.home.Load(), nil) {
				m.put(v, ticket)
			}
			continue
		}
		w.Leave()
		x.line.Add(w)
	}
}
