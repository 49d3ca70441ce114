package queue

import "github.com/gotasklet/tasklet/internal/core"

// A Ticket travels with a message whose sender waits for its outcome, as a caller that expects a
// reply does.
type Ticket interface {
	// Settled is called once. err is nil when the reader has handled the message and asks for the
	// next one. It is the reader's error if handling failed, and ErrDropped or ErrClosed if the
	// message will never be read. Settled is called on the mailbox's scheduler. With the last two
	// errors it may also be called on the goroutine that closes the mailbox or sends to it. It must
	// not park.
	Settled(err error)
}

// A ReaderWaiter is a Ticket whose sender waits for the reader even when its message is queued.
// ReadBy is called on the mailbox's scheduler when t has become the reader. It must not park.
type ReaderWaiter interface {
	Ticket
	ReadBy(t *core.Task)
}

// ticketing is the part of a ring whose messages have tickets.
type ticketing struct {
	slots []Ticket // at the same indexes as the messages in the ring's buf
	taken []Ticket // the tickets of messages that the reader has taken and not settled
}

// ring is a queue of messages in a buffer that grows by doubling. The zero ring is empty and owns
// no memory.
type ring[M any] struct {
	buf     []M        // its length is a power of two, or 0
	tickets *ticketing // nil until a message with a ticket comes
	head, n uint32
}

// index returns the index of the i-th message from the head.
func (r *ring[M]) index(i uint32) uint32 { return (r.head + i) & uint32(len(r.buf)-1) }

// push appends v.
func (r *ring[M]) push(v M, ticket Ticket) {
	if r.n == uint32(len(r.buf)) {
		r.grow()
	}
	i := r.index(r.n)
	r.buf[i] = v
	r.n++
	if ticket != nil || r.tickets != nil {
		r.setTicket(i, ticket)
	}
}

func (r *ring[M]) setTicket(i uint32, ticket Ticket) {
	if r.tickets == nil {
		r.tickets = &ticketing{slots: make([]Ticket, len(r.buf))}
	}
	r.tickets.slots[i] = ticket
}

// pushFront puts v before all other messages.
func (r *ring[M]) pushFront(v M, ticket Ticket) {
	if r.n == uint32(len(r.buf)) {
		r.grow()
	}
	r.head = r.index(uint32(len(r.buf)) - 1)
	r.buf[r.head] = v
	r.n++
	if ticket != nil || r.tickets != nil {
		r.setTicket(r.head, ticket)
	}
}

// pop takes the oldest message. n must not be 0. Use popTicket for a ring that may have tickets.
func (r *ring[M]) pop() M {
	p := &r.buf[r.head]
	v := *p
	var zero M
	*p = zero // otherwise the message could not be collected until its place is used again
	r.head = r.index(1)
	r.n--
	return v
}

func (r *ring[M]) popTicket() (M, Ticket) {
	var ticket Ticket
	if r.tickets != nil {
		ticket = r.tickets.slots[r.head]
		r.tickets.slots[r.head] = nil
	}
	return r.pop(), ticket
}

// remove takes out the i-th message from the head. The others keep their order.
func (r *ring[M]) remove(i uint32) (M, Ticket) {
	at := r.index(i)
	v := r.buf[at]
	var ticket Ticket
	if r.tickets != nil {
		ticket = r.tickets.slots[at]
	}
	// The shorter part moves: the messages in front of it one place towards the tail, or those
	// behind it one place towards the head.
	if behind := r.n - 1 - i; behind < i {
		for ; i < r.n-1; i++ {
			r.move(i+1, i)
		}
		var zero M
		last := r.index(r.n - 1)
		r.buf[last] = zero
		if r.tickets != nil {
			r.tickets.slots[last] = nil
		}
		r.n--
		return v, ticket
	}
	for ; i > 0; i-- {
		r.move(i-1, i)
	}
	_, _ = r.popTicket()
	return v, ticket
}

// insert puts v, with its ticket, before the i-th message from the head, or behind all of them if
// there are i. The shorter part moves.
func (r *ring[M]) insert(i uint32, v M, ticket Ticket) {
	if behind := r.n - i; behind < i {
		r.push(v, ticket)
		for k := r.n - 1; k > i; k-- {
			r.move(k-1, k)
		}
	} else {
		r.pushFront(v, ticket)
		for k := range i {
			r.move(k+1, k)
		}
	}
	at := r.index(i)
	r.buf[at] = v
	if r.tickets != nil {
		r.tickets.slots[at] = ticket
	}
}

// move copies the message at place from, counted from the head, to place to.
func (r *ring[M]) move(from, to uint32) {
	src, dst := r.index(from), r.index(to)
	r.buf[dst] = r.buf[src]
	if r.tickets != nil {
		r.tickets.slots[dst] = r.tickets.slots[src]
	}
}

func (r *ring[M]) grow() {
	if r.n >= 1<<31 {
		misuse("more than %d messages", r.n)
	}
	size := max(4, 2*len(r.buf))
	buf := make([]M, size)
	k := copy(buf, r.buf[r.head:])
	copy(buf[k:], r.buf[:r.head])
	if r.tickets != nil {
		tickets := make([]Ticket, size)
		k := copy(tickets, r.tickets.slots[r.head:])
		copy(tickets[k:], r.tickets.slots[:r.head])
		r.tickets.slots = tickets
	}
	r.buf, r.head = buf, 0
}

// swap exchanges the queued messages of two rings. The tickets of taken messages stay with r.
func (r *ring[M]) swap(with *ring[M]) {
	if r.tickets != nil && with.tickets == nil {
		with.tickets = &ticketing{slots: make([]Ticket, len(with.buf))}
	}
	*r, *with = *with, *r
	if r.tickets != nil && with.tickets != nil {
		r.tickets.taken, with.tickets.taken = with.tickets.taken, r.tickets.taken
	}
}

// release frees the memory of an empty ring.
func (r *ring[M]) release() {
	r.buf, r.head = nil, 0
	if r.tickets != nil {
		r.tickets.slots = nil
	}
}
