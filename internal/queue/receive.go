package queue

import (
	"context"
	"iter"
	"math"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// mustRead panics unless the reader is running, and gives it.
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

// pop takes the oldest message; the queue is not empty.
func (m *Queue[M]) pop() (v M) {
	if m.queue.n > m.peak {
		m.peak = m.queue.n
	}
	m.handled++
	m.taken = 1
	if m.queue.tickets == nil {
		v = m.queue.pop()
	} else {
		var ticket Ticket
		v, ticket = m.queue.popTicket()
		m.inHand(ticket)
	}
	if x := m.ext.Load(); x != nil && m.queue.n < x.low {
		m.letIn(x)
	}
	return v
}

// inHand notes the ticket of a message that was taken; nil too, so that PutBack finds the right
// one.
func (m *Queue[M]) inHand(ticket Ticket) {
	if k := m.queue.tickets; k != nil {
		k.taken = append(k.taken, ticket)
	}
}

// Settle tells the senders of the messages in hand, that is taken and not settled, that the reader
// is through with them: err is nil, or why it failed on them. Asking for the next message settles
// with nil, except TryNext and TakeBatch, after which the caller does it. On home.
func (m *Queue[M]) Settle(err error) {
	if k := m.queue.tickets; k != nil {
		k.settle(err)
	}
}

// InHand reports whether there is anything to settle.
func (m *Queue[M]) InHand() bool { return m.queue.tickets != nil && len(m.queue.tickets.taken) > 0 }

// SettleBy is Settle for the reader t, and does nothing if another task reads m by now.
func (m *Queue[M]) SettleBy(t *core.Task, err error) {
	if k := m.queue.tickets; k != nil && m.reader.Holder == t {
		k.settle(err)
	}
}

func (k *ticketing) settle(err error) {
	for i, ticket := range k.taken {
		k.taken[i] = nil
		if ticket != nil {
			ticket.Settled(err)
		}
	}
	k.taken = k.taken[:0]
}

// TryNext takes the next message if there is one. It never parks. Only the reader may call it.
func (m *Queue[M]) TryNext() (v M, ok bool) {
	m.mustRead("TryNext")
	if m.queue.n == 0 {
		return v, false
	}
	return m.pop(), true
}

// Take is TryNext for a caller that is the reader by its making, as a body that is called for each
// message is: it does not look who is running.
func (m *Queue[M]) Take() (v M, ok bool) {
	if m.queue.n == 0 {
		return v, false
	}
	return m.pop(), true
}

// Next takes the next message; while there is none it parks the reader. It returns ErrClosed when m
// is closed and nothing is left, else ErrTimeout or the cause of ctx when ctx is done before a
// message came. Only the reader may call it, with its own context.
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

// some parks the reader until a message is queued. If one is there when the wait ends, it doesn't
// matter what ended it.
//
// Between a read and Park is this one call: after a switch the processor predicts no return
// rightly, so each costs as much as taking a message (measured).
func (m *Queue[M]) some(t *core.Task, w core.Wait) error {
	m.taken = 0
	defer m.rested()
	for m.queue.n == 0 {
		if m.Drained() {
			return ErrClosed
		}
		if m.queue.n > 0 {
			break // it was on its way
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

// rested is deferred, for a kill may be raised: a message must not wake the task from another wait.
func (m *Queue[M]) rested() { m.need, m.any = never, false }

// Await is for a stackless reader, which has found fewer than need messages and is about to return
// from Run: it will be woken when so many are queued, or m is closed. It reports false if that is
// so already; if m is closed, Drained tells whether there will be more.
func (m *Queue[M]) Await(need int) bool {
	m.taken = 0
	if int(m.queue.n) >= need || m.Closed() {
		return false
	}
	m.need = uint32(need)
	m.calm()
	return true
}

// Awaited reports whether the reader is to be woken when messages come. On home.
func (m *Queue[M]) Awaited() bool { return m.need != never }

// StopAwait takes back Await, when the reader has been woken by something else.
func (m *Queue[M]) StopAwait() { m.need = never }

// Receive gives the messages as they come, and parks the reader while there are none. It ends when
// m is closed and nothing is left. Only the reader may use it.
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

// ReceiveTimeout is Receive with a limit of d on the wait for each message: when it is over, the
// last pair is (zero, ErrTimeout). If m is closed it ends without such a pair. With d <= 0 it
// doesn't wait, but gives way to the other ready tasks when there is nothing.
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

// ReceiveBatch gives the messages in batches of at most max, which is cut to the capacity. Each
// waits for a first message, and from then on for more until it is full, at most for wait: 0 takes
// what is there, a negative wait has no limit. What is collected stays in the mailbox until the
// batch is handed over, so a kill leaves it there; Close hands over what is there. The slice is
// valid until the next one. Only the reader may use it. It panics if max is not positive.
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

// BatchSize is the most that a batch of max can have.
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

// Match is the selective receive: it takes the first message for which want is true; the others
// keep their order. While there is none it parks the reader, and looks at the new ones as they
// come. Its cost is linear in what is queued: it asks want about every message before the one that
// it takes. ErrClosed if m is closed and no message matches; ErrFull, at once, if no message
// matches and none can come, because m is full and doesn't drop old ones; else errors as Next. Only
// the reader may call it, with its own context; want may not park.
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
			seen -= uint32(min(uint64(seen), now-dropped)) // they went from the front
			dropped = now
		}
		if now := m.revoked(); now != revoked {
			// one is gone that may have been seen or not: look at all of them again
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
	v, ticket := m.queue.remove(i)
	m.inHand(ticket)
	if x := m.ext.Load(); x != nil && m.queue.n < x.low {
		m.letIn(x)
	}
	return v
}

// large is the number of unused places in the buffer from which it is worth to give it back.
const large = 16

// calm is called when the reader begins to wait. If m is empty a second later, its memory is given
// back.
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
