package queue

// Revoke takes back the message that was sent with ticket, if it is still queued, because its
// sender has learned later that the send must fail. The ticket is settled with ErrDropped, and
// nothing is reported. Revoke may be called from any goroutine. The work is done on home, possibly
// a little later.
func (m *Queue[M]) Revoke(ticket Ticket) {
	if home := m.home.Load(); home != nil {
		home.Inject(&revocation[M]{m, ticket})
	}
}

type revocation[M any] struct {
	m      *Queue[M]
	ticket Ticket
}

func (r *revocation[M]) Do() {
	m := r.m
	m.collect() // it may be in transit
	k := m.queue.aside
	if k == nil || k.slots == nil {
		return
	}
	for i := range m.queue.n {
		if k.slots[m.queue.index(i)] != r.ticket {
			continue
		}
		m.queue.remove(i)
		x := m.extra()
		x.revoked++
		if i < x.stashed {
			x.stashed--
		}
		x.lanes.gone(i)
		r.ticket.Settled(ErrDropped)
		if m.queue.n < x.low {
			m.letIn(x)
		}
		return
	}
}
