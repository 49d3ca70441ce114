package scheduler

import (
	"context"
	"iter"

	"github.com/gotasklet/tasklet/internal/core"
)

// Chan is a channel between the tasks of one scheduler; a channel of Go would block all of them.
// Without a capacity it is a rendezvous: a send ends when a receiver has the value. With one, that
// many values can be on their way.
//
// Values are received in the order in which they were sent, and who waits is served first come
// first served: nobody overtakes.
//
// NewChan makes one; the zero Chan is a rendezvous. A Chan belongs to one scheduler: its methods
// are called from that one's tasks or from what was injected there. It must not be copied.
type Chan[T any] struct {
	home home

	// Set in NewChan, then read-only: the slice, not what is in it.
	buf []T // a ring

	// Owned by the scheduler. While receivers are parked, nothing is buffered and no sender is
	// parked; while senders are, the buffer is full.
	head, n   int
	senders   core.Line // their places hold what they send
	receivers core.Line // their places will hold what they get
	spare     places[T]
	closed    bool
}

// NewChan makes a Chan with room for capacity values, which is allocated at once. 0 is a
// rendezvous; a negative capacity panics.
func NewChan[T any](capacity int) *Chan[T] {
	if capacity < 0 {
		misuse("NewChan with the negative capacity %d", capacity)
	}
	return &Chan[T]{buf: make([]T, capacity)}
}

// Send sends v. It parks while there is neither a parked receiver nor room.
//
// It returns [ErrClosed] if c is closed, also when that happens while it is parked; [ErrTimeout] or
// the cause of ctx if ctx ends first. After an error v was not sent, after nil it was. A kill is
// raised at the entry or while parked, and v was not sent then. ctx must belong to the running
// task.
func (c *Chan[T]) Send(ctx context.Context, v T) error {
	t, limit := c.home.enter(ctx, "Chan.Send")
	for {
		if c.closed {
			return ErrClosed
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

// Receive receives the next value. It parks while there is none.
//
// It returns [ErrClosed] if c is closed and empty, also when that happens while it is parked;
// [ErrTimeout] or the cause of ctx if ctx ends first. With an error the value is zero, and none was
// taken. A kill is raised at the entry or while parked; a value that was handed over before the
// kill came is received, and the kill raised at the next blocking call. ctx must belong to the
// running task.
func (c *Chan[T]) Receive(ctx context.Context) (T, error) {
	t, limit := c.home.enter(ctx, "Chan.Receive")
	for {
		v, ok := c.take()
		if ok {
			return v, nil
		}
		if c.closed {
			return v, ErrClosed
		}
		p := c.spare.get(v)
		c.receivers.Add(&p.Waiter)
		err := t.Park(core.Wait{Kind: core.InChan, Ctx: limit, In: &p.Waiter})
		if v, ok = c.spare.put(p); ok || err != nil {
			return v, err
		}
	}
}

// TrySend sends v if it can be done at once: to a parked receiver, or into the buffer. False: it
// was not sent, for there is no room, or c is closed. It never parks and needs no context.
func (c *Chan[T]) TrySend(v T) bool { return !c.closed && c.give(v) }

// TryReceive receives the next value if there is one. It never parks and needs no context.
func (c *Chan[T]) TryReceive() (v T, ok bool) { return c.take() }

// All receives one value after the other, until c is closed and empty, or ctx ends ([ContextError]
// then tells why). It parks as Receive does.
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

// Close says that nothing more will be sent. What is buffered can still be received. Parked senders
// get ErrClosed, and so do parked receivers. Closing twice does nothing. It never parks.
func (c *Chan[T]) Close() {
	c.closed = true
	c.senders.ReleaseAll()
	c.receivers.ReleaseAll()
}

// Len is the number of values in the buffer; what parked senders hold does not count.
func (c *Chan[T]) Len() int { return c.n }

// Cap is the capacity, 0 for a rendezvous.
func (c *Chan[T]) Cap() int { return len(c.buf) }

// give hands v to the first receiver or puts it into the buffer, if either can be done.
func (c *Chan[T]) give(v T) bool {
	if w := c.receivers.First(); w != nil {
		p := w.Item.(*place[T])
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

// take gives the next value, if there is one: from the buffer, where the first sender's value then
// takes the room, or else from that sender.
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
		p := w.Item.(*place[T])
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
