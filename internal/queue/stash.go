package queue

import "github.com/gotasklet/tasklet/internal/core"

// This file keeps messages for later. The reader can put the message in hand back to the front of
// the queue, behind those that it has put back before, and is not given them again until Unstash.
// They are ordinary queued messages in every other way: they count against the capacity, a drop of
// the oldest message and Revoke find them, the next reader gets them in their order, and they are
// reported if there is none. So nothing else has to know them.
//
// Taking the message behind n stashed ones moves the shorter part of the queue by one place.

// Stash puts v, which the reader took last, back into the queue, as the last of the stashed
// messages. It is not handled, so it does not count as such. It may exceed the capacity by one. It
// must be called on home.
func (m *Queue[M]) Stash(v M) {
	x := m.extra()
	x.putBack = true
	m.taken = 0
	m.handled--
	m.queue.insert(x.stashed, v, m.handTicket())
	x.stashed++
}

// Unstash makes the stashed messages the next ones to be read. It must be called on home.
func (m *Queue[M]) Unstash() {
	if x := m.ext.Load(); x != nil {
		x.stashed = 0
	}
}

// Stashed returns the number of stashed messages. It must be called on home.
func (m *Queue[M]) Stashed() int { return int(m.stashed()) }

// PeekStashed is Stashed for any goroutine. It may lag behind.
func (m *Queue[M]) PeekStashed() int {
	if x := m.ext.Load(); x != nil {
		return int(core.Peek(&x.stashed))
	}
	return 0
}

func (m *Queue[M]) stashed() uint32 {
	if x := m.ext.Load(); x != nil {
		return x.stashed
	}
	return 0
}

// TakeFresh is like Take, and skips the stashed messages.
func (m *Queue[M]) TakeFresh() (v M, ok bool) {
	n := m.stashed()
	switch {
	case m.queue.n <= n:
		return v, false
	case n == 0:
		return m.pop(), true
	}
	return m.take(n), true
}

// AwaitFresh is like Await(1), for a message that is not stashed.
func (m *Queue[M]) AwaitFresh() bool {
	m.taken = 0
	n := m.stashed()
	if m.queue.n > n || m.Closed() {
		return false
	}
	// Every arrival wakes the reader, because a stashed message can be dropped or revoked.
	m.need, m.any = 1, n > 0
	m.calm()
	return true
}

// DrainedFresh is like Drained, if stashed messages do not count. It must be called on home.
func (m *Queue[M]) DrainedFresh() bool {
	if !m.Closed() || m.queue.n > m.stashed() {
		return false
	}
	m.collect()
	return m.queue.n <= m.stashed()
}

// handTicket takes the ticket of the message that the reader took last out of its hand.
func (m *Queue[M]) handTicket() (ticket Ticket) {
	if k := m.queue.aside; k != nil && len(k.taken) > 0 {
		last := len(k.taken) - 1
		ticket, k.taken = k.taken[last], k.taken[:last]
	}
	return ticket
}
