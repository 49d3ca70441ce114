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

// ring is a queue of messages in a buffer that grows by doubling. The zero ring is empty and owns
// no memory.
type ring[M any] struct {
	buf     []M    // its length is a power of two, or 0
	aside   *aside // nil as long as there are only messages
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
	if ticket != nil || r.ticketed() {
		r.setTicket(i, ticket)
	}
}

// ticketed reports whether messages of r have tickets.
func (r *ring[M]) ticketed() bool { return r.aside != nil && r.aside.slots != nil }

func (r *ring[M]) setTicket(i uint32, ticket Ticket) {
	if r.aside == nil {
		r.aside = newAside()
	}
	if r.aside.slots == nil {
		r.aside.slots = make([]Ticket, len(r.buf))
	}
	r.aside.slots[i] = ticket
}

// pushFront puts v before all other messages.
func (r *ring[M]) pushFront(v M, ticket Ticket) {
	r.front(v, ticket)
	if r.aside != nil {
		r.aside.inserted(0)
	}
}

// front is pushFront without stamps.
func (r *ring[M]) front(v M, ticket Ticket) {
	if r.n == uint32(len(r.buf)) {
		r.grow()
	}
	r.head = r.index(uint32(len(r.buf)) - 1)
	r.buf[r.head] = v
	r.n++
	if ticket != nil || r.ticketed() {
		r.setTicket(r.head, ticket)
	}
}

// pop takes the oldest message. n must not be 0. Use popTicket for a ring that may have an aside.
func (r *ring[M]) pop() M {
	p := &r.buf[r.head]
	v := *p
	var zero M
	*p = zero // otherwise the message could not be collected until its place is used again
	r.head = r.index(1)
	r.n--
	return v
}

// popTicket is pop with the ticket of the message.
func (r *ring[M]) popTicket() (M, Ticket) {
	v, ticket, _ := r.popAll()
	return v, ticket
}

// popAll is pop with everything that belongs to the message.
func (r *ring[M]) popAll() (v M, ticket Ticket, s stamp) {
	if r.aside != nil {
		s = r.aside.leave()
	}
	v, ticket = r.popFront()
	return v, ticket, s
}

// popFront is popTicket without stamps.
func (r *ring[M]) popFront() (M, Ticket) {
	var ticket Ticket
	if r.ticketed() {
		ticket = r.aside.slots[r.head]
		r.aside.slots[r.head] = nil
	}
	return r.pop(), ticket
}

// remove takes out the i-th message from the head, with everything that belongs to it. The others
// keep their order.
func (r *ring[M]) remove(i uint32) (M, Ticket, stamp) {
	at := r.index(i)
	v := r.buf[at]
	var ticket Ticket
	var s stamp
	if r.aside != nil {
		s = r.aside.removed(i)
	}
	if r.ticketed() {
		ticket = r.aside.slots[at]
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
		if r.ticketed() {
			r.aside.slots[last] = nil
		}
		r.n--
		return v, ticket, s
	}
	for ; i > 0; i-- {
		r.move(i-1, i)
	}
	_, _ = r.popFront()
	return v, ticket, s
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
		r.front(v, ticket)
		for k := range i {
			r.move(k+1, k)
		}
	}
	r.set(i, v, ticket)
	if r.aside != nil {
		r.aside.inserted(i)
	}
}

// set puts v, with its ticket, at place i, counted from the head.
func (r *ring[M]) set(i uint32, v M, ticket Ticket) {
	at := r.index(i)
	r.buf[at] = v
	if r.ticketed() {
		r.aside.slots[at] = ticket
	}
}

// move copies the message at place from, counted from the head, to place to.
func (r *ring[M]) move(from, to uint32) {
	src, dst := r.index(from), r.index(to)
	r.buf[dst] = r.buf[src]
	if r.ticketed() {
		r.aside.slots[dst] = r.aside.slots[src]
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
	if r.ticketed() {
		tickets := make([]Ticket, size)
		k := copy(tickets, r.aside.slots[r.head:])
		copy(tickets[k:], r.aside.slots[:r.head])
		r.aside.slots = tickets
	}
	r.buf, r.head = buf, 0
}

// swap exchanges the queued messages of two rings. What belongs to the reader stays with r: the
// tickets of taken messages, and waits.
func (r *ring[M]) swap(with *ring[M]) {
	if r.aside != nil && with.aside == nil {
		with.aside = newAside()
	}
	if r.ticketed() && !with.ticketed() {
		with.aside.slots = make([]Ticket, len(with.buf))
	}
	*r, *with = *with, *r
	if r.aside != nil && with.aside != nil {
		r.aside.taken, with.aside.taken = with.aside.taken, r.aside.taken
		r.aside.waits, with.aside.waits = with.aside.waits, nil
	}
}

// release frees the memory of an empty ring.
func (r *ring[M]) release() {
	r.buf, r.head = nil, 0
	if k := r.aside; k != nil {
		k.stamps, k.slots = nil, nil
		if len(k.taken) > 0 {
			k.slots = []Ticket{} // the tickets of the next messages are recorded behind these
		}
	}
}

// clear makes r empty, which has no messages any more, and frees its memory. waits stays.
func (r *ring[M]) clear() {
	k := r.aside
	*r = ring[M]{}
	if k != nil && k.waits != nil {
		r.aside = newAside()
		r.aside.waits = k.waits
	}
}
