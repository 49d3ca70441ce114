package queue

import (
	"context"
	"iter"
	"math"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// mustRead returns the reader. It panics unless the reader is running.
func (m *Queue[M]) mustRead(op string) *core.Task {
	t := m.reader.Holder
	if t == nil || !t.IsRunning() {
		misread(op, t)
	}
	return t
}

func misread(op string, reader *core.Task) {
	if reader == nil {
		misuse("%s of a mailbox that has no reader", op)
	}
	reader.MustNotBeAway(op)
	misuse("%s by %v of the mailbox that %v reads: a mailbox has one reader", op, reader.Scheduler().Current(), reader)
}

// pop takes the oldest message. The queue must not be empty.
func (m *Queue[M]) pop() (v M) {
	if m.queue.n > m.peak {
		m.peak = m.queue.n
	}
	m.handled++
	m.taken = 1
	if k := m.queue.aside; k == nil {
		v = m.queue.pop()
	} else if k.slots == nil && k.head != k.next {
		k.head++
		v = m.queue.pop()
	} else {
		v = m.popAside()
	}
	if x := m.ext.Load(); x != nil && m.queue.n < x.low {
		m.letIn(x)
	}
	return v
}

// popAside is the part of pop for a message that may have a ticket or a stamp.
func (m *Queue[M]) popAside() M {
	v, ticket, s := m.queue.popAll()
	m.inHand(ticket)
	m.waited(s)
	return v
}

// inHand records the ticket of a message that was taken. It also records nil, so that PutBack finds
// the right ticket.
func (m *Queue[M]) inHand(ticket Ticket) {
	if k := m.queue.aside; k != nil && k.slots != nil {
		k.taken = append(k.taken, ticket)
	}
}

// Settle settles the tickets of the messages in hand, which are taken and not settled. err is nil
// if the reader has handled them, or its failure. Asking for the next message settles with nil.
// After TryNext and TakeBatch the caller must call Settle. Settle must be called on home.
func (m *Queue[M]) Settle(err error) {
	if k := m.queue.aside; k != nil {
		k.settle(err)
	}
}

// InHand reports whether there is any message to settle.
func (m *Queue[M]) InHand() bool { return m.queue.aside != nil && len(m.queue.aside.taken) > 0 }

// TicketInHand returns the ticket of the message that was taken last and is not settled, or nil. It
// must be called on home.
func (m *Queue[M]) TicketInHand() Ticket {
	if k := m.queue.aside; k != nil && len(k.taken) > 0 {
		return k.taken[len(k.taken)-1]
	}
	return nil
}

// SettleBy is Settle for the reader t. It does nothing if another task reads m now.
func (m *Queue[M]) SettleBy(t *core.Task, err error) {
	if k := m.queue.aside; k != nil && m.reader.Holder == t {
		k.settle(err)
	}
}

func (k *aside) settle(err error) {
	for i, ticket := range k.taken {
		k.taken[i] = nil
		if ticket != nil {
			ticket.Settled(err)
		}
	}
	k.taken = k.taken[:0]
}

// TryNext returns the next message if there is one. It never parks. Only the reader may call it.
func (m *Queue[M]) TryNext() (v M, ok bool) {
	m.mustRead("TryNext")
	if m.queue.n == 0 {
		return v, false
	}
	return m.pop(), true
}

// Take is like TryNext, for a caller that is known to be the reader, such as a body that is called
// for each message. It does not check which task is running.
func (m *Queue[M]) Take() (v M, ok bool) {
	if m.queue.n == 0 {
		return v, false
	}
	return m.pop(), true
}

// Next returns the next message, and parks the reader while there is none. It returns ErrClosed if
// m is closed and empty. If ctx is done before a message comes, it returns ErrTimeout or the cause
// of ctx. Only the reader may call it, with its own context.
func (m *Queue[M]) Next(ctx context.Context) (M, error) {
	t := m.mustRead("Next")
	_, limit := core.Caller(ctx, "Next")
	return m.next(t, core.Wait{Kind: core.InReceive, Ctx: limit})
}

func (m *Queue[M]) next(t *core.Task, w core.Wait) (v M, err error) {
	m.Settle(nil)
	t.Checkpoint()
	if m.queue.n == 0 {
		if err := m.some(t, w); err != nil {
			return v, err
		}
	}
	return m.pop(), nil
}

// some parks the reader until a message is queued. If a message is there when the wait ends, it
// does not matter what ended the wait.
//
// This is the only call between a read and Park. After a switch the processor predicts no return
// correctly, so each return costs as much as taking a message (measured).
func (m *Queue[M]) some(t *core.Task, w core.Wait) error {
	m.taken = 0
	defer m.rested()
	for m.queue.n == 0 {
		if m.Drained() {
			return ErrClosed
		}
		if m.queue.n > 0 {
			break // it was in transit
		}
		m.need = 1
		m.calm()
		if err := t.Park(w); err != nil && m.queue.n == 0 {
			return err
		}
	}
	return nil
}

// await parks the reader until need messages are queued, m is closed, or the wait ends.
func (m *Queue[M]) await(t *core.Task, w core.Wait, need uint32) error {
	defer m.rested()
	m.need, m.taken = need, 0
	m.calm()
	return t.Park(w)
}

// rested is deferred because a kill may be raised. After it a message cannot wake the task from
// another wait.
func (m *Queue[M]) rested() { m.need, m.any = never, false }

// Await is for a stackless reader that has found fewer than need messages and is about to return
// from Run. The reader will be woken when need messages are queued or m is closed. Await returns
// false if that is already so. If m is closed, Drained reports whether there will be no more
// messages.
func (m *Queue[M]) Await(need int) bool {
	m.taken = 0
	if int(m.queue.n) >= need || m.Closed() {
		return false
	}
	m.need = uint32(need)
	m.calm()
	return true
}

// Awaited reports whether messages will wake the reader. It must be called on home.
func (m *Queue[M]) Awaited() bool { return m.need != never }

// StopAwait cancels Await, when something else has woken the reader.
func (m *Queue[M]) StopAwait() { m.need = never }

// Receive returns an iterator over the messages. It parks the reader while there are none, and ends
// when m is closed and empty. Only the reader may use it.
func (m *Queue[M]) Receive() iter.Seq[M] {
	return func(yield func(M) bool) {
		for {
			t := m.mustRead("Receive")
			m.Settle(nil)
			t.Checkpoint()
			if m.queue.n == 0 && m.some(t, core.Wait{Kind: core.InReceive}) != nil || !yield(m.pop()) {
				return
			}
		}
	}
}

// ReceiveTimeout is like Receive, with a limit of d on the wait for each message. When that time is
// over, the last pair is (zero, ErrTimeout). If m is closed the iterator ends without such a pair.
// With d <= 0 it does not wait, but yields to the other ready tasks if there is no message.
func (m *Queue[M]) ReceiveTimeout(d time.Duration) iter.Seq2[M, error] {
	return func(yield func(M, error) bool) {
		for {
			v, err := m.nextWithin(m.mustRead("ReceiveTimeout"), d)
			if err == ErrClosed || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func (m *Queue[M]) nextWithin(t *core.Task, d time.Duration) (v M, err error) {
	w := core.Wait{Kind: core.InReceive}
	m.Settle(nil)
	switch {
	case m.queue.n > 0:
	case d > 0:
		w.Until = t.Scheduler().After(d)
	default:
		t.Yield()
		if !m.Drained() && m.queue.n == 0 {
			return v, ErrTimeout
		}
	}
	return m.next(t, w)
}

// ReceiveBatch returns an iterator over batches of at most max messages, or the capacity if that is
// smaller. It waits for the first message of a batch, and then at most wait for more. A wait of 0
// takes the messages that are there, and a negative wait has no limit. Collected messages stay in
// the mailbox until the batch is handed over, so a kill leaves them there. Close hands over the
// messages that are there. The slice is valid until the next batch. Only the reader may use the
// iterator. ReceiveBatch panics if max is not positive.
func (m *Queue[M]) ReceiveBatch(max int, wait time.Duration) iter.Seq[[]M] {
	if max <= 0 {
		misuse("ReceiveBatch with max %d: it must be positive", max)
	}
	return func(yield func([]M) bool) {
		var batch []M
		for {
			t := m.mustRead("ReceiveBatch")
			w := core.Wait{Kind: core.InReceive}
			need := m.BatchSize(max)
			m.Settle(nil)
			t.Checkpoint()
			if m.some(t, w) != nil {
				return
			}
			if wait > 0 {
				w.Until = t.Scheduler().After(wait)
			}
			for wait != 0 && int(m.queue.n) < need && !m.Closed() {
				if m.await(t, w, uint32(need)) != nil {
					break
				}
			}
			batch = m.TakeBatch(batch[:0], need)
			if !yield(batch) {
				return
			}
			clear(batch)
		}
	}
}

// BatchSize returns the largest size of a batch with the limit max.
func (m *Queue[M]) BatchSize(max int) int { return min(max, int(min(m.cap, math.MaxInt32))) }

// TakeBatch appends the next messages, at most max, to batch. Only the reader may call it.
func (m *Queue[M]) TakeBatch(batch []M, max int) []M {
	m.mustRead("TakeBatch")
	max = min(max, int(m.queue.n))
	for range max {
		batch = append(batch, m.pop())
	}
	m.taken = uint8(min(max, math.MaxUint8))
	return batch
}

// Match is the selective receive. It takes the first message for which want returns true, and the
// others keep their order. While there is no such message it parks the reader, and examines new
// messages as they come. It calls want for every message before the one that it takes, so its cost
// is linear in the number of queued messages.
//
// If no message matches, Match returns ErrClosed if m is closed. It returns ErrFull at once if no
// message can come, because m is full and does not drop old messages. Its other errors are those of
// Next. Only the reader may call it, with its own context. want must not park.
func (m *Queue[M]) Match(ctx context.Context, want func(M) bool) (v M, err error) {
	t := m.mustRead("Match")
	_, limit := core.Caller(ctx, "Match")
	m.Settle(nil)
	t.Checkpoint()
	var seen uint32
	dropped, revoked := m.evicted(), m.revoked()
	for ended := error(nil); ; {
		closed := m.Closed()
		if closed {
			m.collect()
		}
		if m.policy == DropOldest {
			now := m.evicted()
			seen -= uint32(min(uint64(seen), now-dropped)) // the dropped messages were at the front
			dropped = now
		}
		if now := m.revoked(); now != revoked {
			// A message is gone that may have been examined or not, so all of them are examined
			// again.
			revoked, seen = now, 0
		}
		for ; seen < m.queue.n; seen++ {
			if want(m.queue.buf[m.queue.index(seen)]) {
				return m.take(seen), nil
			}
		}
		switch {
		case ended != nil:
			return v, ended
		case closed:
			return v, ErrClosed
		case m.queue.n >= m.cap && m.policy != DropOldest:
			return v, ErrFull
		}
		m.any = true
		ended = m.await(t, core.Wait{Kind: core.InReceive, Ctx: limit}, 1)
	}
}

// take removes the i-th message.
func (m *Queue[M]) take(i uint32) M {
	m.peak = max(m.peak, m.queue.n)
	m.handled++
	m.taken = 1
	v, ticket, s := m.queue.remove(i)
	m.inHand(ticket)
	m.waited(s)
	if x := m.ext.Load(); x != nil && m.queue.n < x.low {
		m.letIn(x)
	}
	return v
}

// large is the number of unused places above which it is worthwhile to free a buffer.
const large = 16

// calm is called when the reader begins to wait. If m is empty a second later, its memory is freed.
func (m *Queue[M]) calm() {
	if m.calming || m.queue.n > 0 {
		return
	}
	if x := m.ext.Load(); len(m.queue.buf) <= large && (x == nil || x.free == nil) {
		return
	}
	m.calming = true
	m.home.Load().WhenCalm((*shrink[M])(m))
}

type shrink[M any] Queue[M]

func (s *shrink[M]) Do() {
	m := (*Queue[M])(s)
	m.calming = false
	if m.queue.n > 0 {
		return
	}
	m.queue.release()
	if x := m.ext.Load(); x != nil {
		x.free = nil
		x.spare.release()
		x.mu.Lock()
		if x.in.n == 0 {
			x.in.release()
		}
		x.mu.Unlock()
	}
}
