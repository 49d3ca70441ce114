package queue

import "github.com/gotasklet/tasklet/internal/core"

// PretendFull makes local sends find m full although there is room, whenever full returns true. It
// is for simulations that look for senders that do not expect this; see package actortest. The
// policy determines what such a send does. Under Block its sender parks, and its message is moved
// in before the next task runs, so that nobody overtakes it. Under DropOldest a message is dropped
// only if there is one. PretendFull does not affect unbounded mailboxes and foreign sends.
//
// It must be called on home, or before the first Open. It costs other mailboxes nothing, because m
// gets a state of its own in which sends do not take the fast path.
func (m *Queue[M]) PretendFull(full func() bool) {
	if m.policy == Unbounded {
		return
	}
	m.extra().pretend.full = full
	m.state.CompareAndSwap(stateOpen, stateMoody)
}

// pretence is the part of ext for PretendFull. Owned by home.
type pretence struct {
	full func() bool // nil if nothing is pretended
	// line has the senders that have met a pretended full mailbox, until home checks. They are not
	// in the line of senders, which is empty as long as there is room. Senders that come before
	// home checks stand behind them.
	line core.Line
	next bool // the next sender that joins a line joins this one
}

// seemsFull reports whether a send must find m full. If so, it ensures that the sender is let in
// soon. It must be called on home.
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

// stand puts w into the line of the pretence, if it belongs there, and reports whether it did so.
func (p *pretence) stand(w *core.Waiter) bool {
	if !p.next {
		return false
	}
	p.next = false
	p.line.Add(w)
	return true
}

// endPretence does with the senders in the line what would have been done when they came. It must
// be called on home.
func (m *Queue[M]) endPretence(x *ext[M]) {
	for p := &x.pretend; !p.line.Empty(); {
		w := p.line.First()
		e := w.Item().(*Envelope[M])
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
