package queue

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/gotasklet/tasklet/internal/core"
)

// Check returns an error that lists the invariants of m that do not hold between two steps, or nil.
// It is for tests; nothing calls it unless the build has the tag tasklet_check. It changes nothing.
// It must be called on home, or before the first Open.
//
// The invariants are those of credits and lines in elsewhere.go, and the following:
//
//   - There are never more messages than the capacity, except for one that was put back.
//   - A reader that waits for a number of messages has been woken if that many are queued.
//   - In the line of senders there are envelopes whose messages are undecided. A task that is
//     parked with one waits for room in m.
//   - The stashed messages are queued, and there is a reader that skips them.
//   - Tickets are at the same indexes as their messages. A free place has neither a message nor a
//     ticket.
//   - Stamps belong to different messages that are queued, in their order.
func (m *Queue[M]) Check() error {
	var c check
	n, granted := m.queue.n, m.granted
	c.ring("queue", ringProblem(&m.queue))
	switch {
	case n > m.limit():
		c.bad("%d messages, the capacity is %d", n, m.cap)
	case n >= m.need && !m.any:
		c.bad("%d messages are queued, and the reader that waits for %d was not woken", n, m.need)
	case m.stashed() > n:
		c.bad("%d of %d messages are stashed", m.stashed(), n)
	case m.stashed() > 0 && m.reader.Holder == nil:
		c.bad("%d messages are stashed without a reader", m.stashed())
	case m.lanesOut():
		c.bad("%d of the first %d messages are urgent, and %d are queued", m.ext.Load().lanes.front, m.ext.Load().lanes.seen, n)
	case m.need != never && m.reader.Holder == nil && !m.sleeps():
		c.bad("%d messages are waited for without a reader", m.need)
	}
	x := m.ext.Load()
	if x == nil {
		if granted != m.firstCredits() {
			c.bad("%d are promised without a sender", granted)
		}
		return c.err()
	}
	checkEnvelopes(&c, m, x)
	for e := x.free; e != nil; e = e.next {
		if e.place.Waits() || e.ticket != nil {
			c.bad("a free envelope is in use")
		}
	}
	c.ring("spare", ringProblem(&x.spare))

	x.mu.Lock()
	defer x.mu.Unlock()
	c.ring("in", ringProblem(&x.in))
	if m.home.Load() != nil && (x.in.n > 0 || !x.queue.Empty()) && !x.knocked {
		c.bad("foreign messages wait, and home was not notified")
	}
	if m.policy == Unbounded {
		if granted+x.credits+x.over != 0 {
			c.bad("room of an unbounded mailbox is promised")
		}
		return c.err()
	}
	switch {
	case granted != x.credits+x.in.n-x.over:
		c.bad("granted is %d, with %d credits, %d messages in transit, and %d of these over", granted, x.credits, x.in.n, x.over)
	case n+granted > m.limit():
		c.bad("%d messages and %d promised, the capacity is %d", n, granted, m.cap)
	case x.in.n > 2*m.cap || x.over > m.cap:
		c.bad("%d in transit, %d of them over, the capacity is %d", x.in.n, x.over, m.cap)
	case !x.line.Empty() && (x.credits > 0 || !m.full()):
		c.bad("a sender waits for room, with %d messages, %d promised and %d credits", n, granted, x.credits)
	case m.home.Load() != nil && !m.Closed() && n < m.cap && granted == 0 && x.queue.Empty():
		c.bad("there is room for %d and nothing is promised", m.cap-n)
	}
	return c.err()
}

// sleeps reports whether m has no reader, and its Sleeper gets one when a message comes.
func (m *Queue[M]) sleeps() bool { return m.any && m.need == 1 && m.reader.Holder == nil }

// lanesOut reports whether the borders between the kinds of messages are out of their order.
func (m *Queue[M]) lanesOut() bool {
	x := m.ext.Load()
	if x == nil || x.lanes == nil || x.lanes.handled != m.handled {
		return false
	}
	return x.lanes.front > x.lanes.seen || x.lanes.seen > m.queue.n
}

// limit returns the largest number of messages that may be queued.
func (m *Queue[M]) limit() uint32 {
	if x := m.ext.Load(); x != nil && x.putBack && m.cap < math.MaxUint32 {
		return m.cap + 1
	}
	return m.cap
}

// check collects the problems that Check finds.
type check struct{ problems []error }

func (c *check) bad(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("mailbox: "+format, args...))
}

func (c *check) ring(name, problem string) {
	if problem != "" {
		c.bad("%s: %s", name, problem)
	}
}

func (c *check) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return errors.Join(c.problems...)
}

// checkEnvelopes examines the envelopes in the line of senders.
func checkEnvelopes[M any](c *check, m *Queue[M], x *ext[M]) {
	for w := x.line.First(); w != nil; w = w.Next() {
		e, ok := w.Item().(*Envelope[M])
		if !ok || &e.place != w {
			c.bad("a place in the line of senders is not that of its envelope")
			continue
		}
		t := w.Task()
		if t == nil {
			continue
		}
		if kind, on, _ := t.Waits(); kind != core.InSend || on != &m.reader || e.err != errUndecided {
			c.bad("%v stands in the line of senders, and is parked in %v, or its message was decided on (%v)", t, kind, e.err)
		}
	}
}

// zeroLimit is the length of a buffer up to which ringProblem examines each free place.
const zeroLimit = 256

func ringProblem[M any](r *ring[M]) string {
	size := uint32(len(r.buf))
	switch {
	case size&(size-1) != 0:
		return fmt.Sprintf("%d places", size)
	case r.n > size || size > 0 && r.head >= size:
		return fmt.Sprintf("%d messages from place %d of %d on", r.n, r.head, size)
	case r.ticketed() && len(r.aside.slots) != len(r.buf):
		return fmt.Sprintf("%d tickets beside %d messages", len(r.aside.slots), size)
	}
	if text := r.aside.problem(r.n); text != "" || size > zeroLimit {
		return text
	}
	for i := r.n; i < size; i++ {
		at := r.index(i)
		if !reflect.ValueOf(&r.buf[at]).Elem().IsZero() || r.ticketed() && r.aside.slots[at] != nil {
			return fmt.Sprintf("the free place %d holds something", at)
		}
	}
	return ""
}

// problem returns what is wrong with the stamps, if there are n messages.
func (k *aside) problem(n uint32) string {
	if k == nil {
		return ""
	}
	next := uint64(none)
	for i, s := range k.stamps[k.gone:] {
		switch {
		case s.number < k.head || s.number >= k.head+uint64(n) || s.weight == 0:
			return fmt.Sprintf("stamp %d is for message %d from %d on, of %d", i, s.number, k.head, n)
		case i == 0:
			next = s.number
		case s.number <= k.stamps[k.gone+i-1].number:
			return fmt.Sprintf("stamp %d is not behind the one before it", i)
		}
	}
	if k.next != next {
		return fmt.Sprintf("the first stamp is that of %d, not of %d", next, k.next)
	}
	return ""
}
