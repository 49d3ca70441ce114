package queue

import "github.com/gotasklet/tasklet/internal/core"

// A Ticket travels with a message whose sender waits to learn what becomes of it: the caller that
// expects a reply.
type Ticket interface {
	// Settled is called once: with nil when the reader is through with the message, that is when it
	// asks for the next one; with the error when it failed on the message; with ErrDropped or
	// ErrClosed when the message will never be read. It is called on the mailbox's scheduler or,
	// for the last two, on the goroutine of the one who closes or overflows it, and may not park.
	Settled(err error)
}

// A ReaderWaiter is a Ticket whose sender, when its message is queued, waits for the reader all the
// same. ReadBy is called on the mailbox's scheduler when t has become the reader; it may not park.
type ReaderWaiter interface {
	Ticket
	ReadBy(t *core.Task)
}

// ticketing is what a ring has if its messages have tickets.
type ticketing struct {
	slots []Ticket // as long as the ring's buf, index for index
	taken []Ticket // of the messages that the reader has taken and not yet settled
}

// ring is a queue of messages in a buffer that grows by doubling. The zero ring is empty and owns
// no memory.
type ring[M any] struct {
	buf     []M        // its length is a power of two, or 0
	tickets *ticketing // nil until a message with a ticket comes
	head, n uint32
}

// index of the i-th message from the head.
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

// pushFront puts v before all others.
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

// pop takes the oldest; n must not be 0. For a ring that may have tickets there is popTicket.
func (r *ring[M]) pop() M {
	p := &r.buf[r.head]
	v := *p
	var zero M
	*p = zero // or the message could not be collected while its place waits for the next round
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

// remove takes out the i-th message from the head; the others keep their order.
func (r *ring[M]) remove(i uint32) (M, Ticket) {
	at := r.index(i)
	v := r.buf[at]
	var ticket Ticket
	if r.tickets != nil {
		ticket = r.tickets.slots[at]
	}
	// The messages in front move one place towards the tail: they are the fewer in a selective
	// receive.
	for ; i > 0; i-- {
		to, from := r.index(i), r.index(i-1)
		r.buf[to] = r.buf[from]
		if r.tickets != nil {
			r.tickets.slots[to] = r.tickets.slots[from]
		}
	}
	_, _ = r.popTicket()
	return v, ticket
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

// swap exchanges what is queued in two rings. What was taken of r and not yet settled stays with r.
func (r *ring[M]) swap(with *ring[M]) {
	if r.tickets != nil && with.tickets == nil {
		with.tickets = &ticketing{slots: make([]Ticket, len(with.buf))}
	}
	*r, *with = *with, *r
	if r.tickets != nil && with.tickets != nil {
		r.tickets.taken, with.tickets.taken = with.tickets.taken, r.tickets.taken
	}
}

// release gives the memory of an empty ring back.
func (r *ring[M]) release() {
	r.buf, r.head = nil, 0
	if r.tickets != nil {
		r.tickets.slots = nil
	}
}
