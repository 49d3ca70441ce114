package scheduler

import (
	"context"
	"iter"

	"github.com/gotasklet/tasklet/internal/core"
)

// Chan is a channel between the tasklets of one scheduler. (A wait on a Go channel would block the
// whole scheduler.) A Chan with a capacity buffers that many values. A Chan without one is a
// rendezvous: a send returns when a receiver has the value.
//
// Values are received in the order in which they were sent. Waiting senders and waiting receivers
// are served first come, first served.
//
// Use [NewChan] to make a Chan with a capacity. The zero Chan is a rendezvous, ready to use. A Chan
// belongs to one scheduler, and only the tasklets of that scheduler may call its methods. A Chan
// must not be copied after first use.
type Chan[T any] struct {
	home home

	// Set in NewChan, then read-only: the slice, not what is in it.
	buf []T // a ring

	// Owned by the scheduler. While receivers are parked, the buffer is empty and no sender is
	// parked. While senders are parked, the buffer is full.
	head, n   int
	senders   core.Line // each place holds the value to send
	receivers core.Line // each place receives a value
	spare     places[T]
	closed    bool
}

// NewChan returns a Chan with room for capacity values, which is allocated at once. A capacity of 0
// makes a rendezvous. NewChan panics if capacity is negative.
func NewChan[T any](capacity int) *Chan[T] {
	if capacity < 0 {
		misuse("NewChan with negative capacity %d", capacity)
	}
	return &Chan[T]{buf: make([]T, capacity)}
}

// Send sends v. It parks the calling tasklet while there is neither a waiting receiver nor room.
//
// Send returns [ErrChanClosed] if c is closed before v is sent, and [ErrTimeout] or the cause of
// ctx if ctx ends first. If the error is not nil, v was not sent. A kill is raised when Send is
// called or while it is parked; v was not sent then. ctx must belong to the running tasklet.
func (c *Chan[T]) Send(ctx context.Context, v T) error {
	t, limit := c.home.enter(ctx, "Chan.Send")
	for {
		if c.closed {
			return ErrChanClosed
		}
		if c.give(v) {
			return nil
		}
		p := c.spare.get(v)
		c.senders.Add(&p.Waiter)
		err := t.Park(core.Wait{Kind: core.InChan, Ctx: limit, In: &p.Waiter})
		if _, done := c.spare.put(p); done || err != nil {
			return err
		}
	}
}

// Receive receives the next value. It parks the calling tasklet while there is none.
//
// Receive returns [ErrChanClosed] if c is closed and empty, or is closed while Receive is parked.
// It returns [ErrTimeout] or the cause of ctx if ctx ends first. If the error is not nil, the value
// is zero and none was taken. A kill is raised when Receive is called or while it is parked. If a
// value was handed over before the kill, Receive returns the value, and the kill is raised at the
// next blocking point. ctx must belong to the running tasklet.
func (c *Chan[T]) Receive(ctx context.Context) (T, error) {
	t, limit := c.home.enter(ctx, "Chan.Receive")
	for {
		v, ok := c.take()
		if ok {
			return v, nil
		}
		if c.closed {
			return v, ErrChanClosed
		}
		p := c.spare.get(v)
		c.receivers.Add(&p.Waiter)
		err := t.Park(core.Wait{Kind: core.InChan, Ctx: limit, In: &p.Waiter})
		if v, ok = c.spare.put(p); ok || err != nil {
			return v, err
		}
	}
}

// TrySend sends v if it need not wait, and reports whether it did. It returns false if there is
// neither a waiting receiver nor room, or if c is closed. It never parks.
func (c *Chan[T]) TrySend(v T) bool { return !c.closed && c.give(v) }

// TryReceive receives the next value if there is one, and reports whether there was. It never
// parks.
func (c *Chan[T]) TryReceive() (v T, ok bool) { return c.take() }

// All returns an iterator over the values of c. The iterator ends when c is closed and empty, or
// when ctx ends; it parks as [Chan.Receive] does. After the loop, context.Cause(ctx) tells the two
// apart: it is nil unless ctx has ended.
func (c *Chan[T]) All(ctx context.Context) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			v, err := c.Receive(ctx)
			if err != nil || !yield(v) {
				return
			}
		}
	}
}

// Close closes c. Buffered values can still be received. The Send and Receive calls that are parked
// return ErrClosed. Closing a closed Chan has no effect. Close never parks.
func (c *Chan[T]) Close() {
	c.closed = true
	c.senders.ReleaseAll()
	c.receivers.ReleaseAll()
}

// Len returns the number of buffered values, without those of parked senders.
func (c *Chan[T]) Len() int { return c.n }

// Cap returns the capacity, 0 for a rendezvous.
func (c *Chan[T]) Cap() int { return len(c.buf) }

// give hands v to the first receiver or puts it into the buffer, and reports whether it could do
// either.
func (c *Chan[T]) give(v T) bool {
	if w := c.receivers.First(); w != nil {
		p := w.Item().(*place[T])
		p.v = v
		p.hand()
		return true
	}
	if c.n == len(c.buf) {
		return false
	}
	c.push(v)
	return true
}

// take takes the next value, if there is one. If it comes from the buffer, the first sender's value
// moves into the freed room; with an empty buffer it comes from the first sender.
func (c *Chan[T]) take() (v T, ok bool) {
	if c.n > 0 {
		v, c.buf[c.head] = c.buf[c.head], v
		if c.head++; c.head == len(c.buf) {
			c.head = 0
		}
		c.n--
		ok = true
	}
	if w := c.senders.First(); w != nil {
		p := w.Item().(*place[T])
		if ok {
			c.push(p.v)
		} else {
			v, ok = p.v, true
		}
		p.hand()
	}
	return v, ok
}

func (c *Chan[T]) push(v T) {
	i := c.head + c.n
	if i >= len(c.buf) {
		i -= len(c.buf)
	}
	c.buf[i] = v
	c.n++
}
