package queue

// This file gives the reader urgent messages first. The reader sorts: before it takes a message, it
// moves the urgent ones among those that have come since to the front, behind the urgent ones that
// are there. Both kinds keep their order. Senders know nothing of it, so there is one bound and one
// count of messages, and who waits for room waits in one line.
//
//	queue:  urgent ... | ordinary ... | not asked about yet ...
//	        0          front          seen                    n
//
// A message that was put back is the first again, and counts as urgent from then on.
//
// Rejected: a second ring for the urgent messages. Every place that looks at the length of the
// queue would have to add two, among them the fast path of each send.

// lanes has the borders between the kinds of messages. Owned by home.
type lanes[M any] struct {
	front, seen uint32
	// handled is that of the mailbox at the last take. If it differs, the mailbox was read without
	// lanes since then.
	handled uint64

	// Empty between two calls of TakeUrgent.
	found   []uint32 // the places of the urgent messages that are to be moved, ascending
	msgs    []M
	tickets []Ticket
}

// TakeUrgent is like Take, but takes urgent messages first. is reports whether a message is urgent.
// It is called once for each message. If it panics, the message is an ordinary one. is must not
// park. The policy must not be DropOldest, because the oldest message would be an urgent one.
//
// Its cost is that of is, and the copy of as many messages as there are urgent ones that wait, or
// as there are others, whichever is less.
func (m *Queue[M]) TakeUrgent(is func(M) bool) (v M, ok bool) {
	x := m.extra()
	if x.mu.Lock(); x.in.n > 0 { // a reader that is not through for a while would not see them
		x.mu.Unlock()
		m.takeIn()
	} else {
		x.mu.Unlock()
	}
	l := x.lanes
	switch {
	case l == nil:
		l = &lanes[M]{handled: m.handled}
		x.lanes = l
	case l.handled != m.handled:
		l.front, l.seen, l.handled = 0, 0, m.handled
	}
	if l.seen < m.queue.n {
		m.sort(x, l, is)
	}
	if m.queue.n == 0 {
		return v, false
	}
	l.front -= min(l.front, 1)
	l.seen--
	l.handled++
	return m.pop(), true
}

// sort asks about all messages that were not asked about, and moves the urgent ones.
func (m *Queue[M]) sort(x *ext[M], l *lanes[M], is func(M) bool) {
	reader, handled, revoked := m.reader.Holder, m.handled, x.revoked
	same := func() bool {
		return x.lanes == l && m.reader.Holder == reader && m.handled == handled && x.revoked == revoked
	}
	defer func() {
		if same() {
			l.move(&m.queue)
		}
		l.found = l.found[:0]
	}()
	for l.seen < m.queue.n {
		at := l.seen
		l.seen++ // before the call, because is may panic
		urgent := is(m.queue.buf[m.queue.index(at)])
		switch {
		case !same():
			misuse("the function that tells urgent messages has parked, and others have used the mailbox")
		case urgent:
			l.found = append(l.found, at)
		}
	}
}

// move moves the messages at the places in found to front.
func (l *lanes[M]) move(r *ring[M]) {
	k := uint32(len(l.found))
	if k == 0 {
		return
	}
	// Take them out. The messages behind the first of them close the gaps.
	to, next := l.found[0], 0
	for at := to; at < r.n; at++ {
		if next < len(l.found) && l.found[next] == at {
			next++
			i := r.index(at)
			l.msgs = append(l.msgs, r.buf[i])
			if r.ticketed() {
				l.tickets = append(l.tickets, r.aside.slots[i])
			}
			continue
		}
		r.move(at, to)
		to++
	}
	// Make room for them. The shorter part moves.
	if to -= l.front; l.front <= to {
		var zero M
		for at := r.n - k; at < r.n; at++ {
			r.set(at, zero, nil)
		}
		r.head = r.index(uint32(len(r.buf)) - k)
		for at := range l.front {
			r.move(at+k, at)
		}
	} else {
		for at := r.n - k; at > l.front; at-- {
			r.move(at-1, at-1+k)
		}
	}
	for i, v := range l.msgs {
		var ticket Ticket
		if r.ticketed() {
			ticket = l.tickets[i]
		}
		r.set(l.front+uint32(i), v, ticket)
		if r.aside != nil {
			r.aside.moved(l.found[i], l.front+uint32(i))
		}
	}
	l.front += k
	clear(l.msgs)
	clear(l.tickets)
	l.msgs, l.tickets = l.msgs[:0], l.tickets[:0]
}

// gone is called when the i-th message was taken out from among the others.
func (l *lanes[M]) gone(i uint32) {
	if l == nil {
		return
	}
	if i < l.front {
		l.front--
	}
	if i < l.seen {
		l.seen--
	}
}

// back is called when a message was put back.
func (l *lanes[M]) back(handled uint64) {
	if l != nil && l.handled == handled {
		l.front++
		l.seen++
	}
}
