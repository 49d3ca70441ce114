package mailbox

import (
	"context"
	"iter"
	"time"

	"github.com/gotasklet/tasklet/scheduler"
)

// mustRead panics unless the reader is running, and gives it.
func (m *Mailbox[M]) mustRead(op string) *scheduler.Task {
	t := m.reader.Holder
	if t == nil {
		misuse("%s of a mailbox that has no reader", op)
	}
	if !t.IsRunning() {
		misuse("%s by %v of the mailbox that %v reads: a mailbox has one reader", op, t.Scheduler().Current(), t)
	}
	return t
}

// pop takes the oldest message; the queue is not empty.
func (m *Mailbox[M]) pop() M {
	if m.queue.n > m.peak {
		m.peak = m.queue.n
	}
	m.handled++
	if m.queue.tickets != nil {
		return m.popWithTicket()
	}
	v := m.queue.pop()
	if m.ext.Load() != nil {
		m.madeRoom()
	}
	return v
}

func (m *Mailbox[M]) popWithTicket() M {
	v, ticket := m.queue.popTicket()
	if ticket != nil {
		m.queue.tickets.taken = append(m.queue.tickets.taken, ticket)
	}
	if m.ext.Load() != nil {
		m.madeRoom()
	}
	return v
}

// Settle tells the senders of the messages in hand, that is taken and not settled, that the reader is through with them: err
// is nil, or why it failed on them. Asking for the next message settles with nil, except TryNext and TakeBatch, after which
// the caller does it. On home.
func (m *Mailbox[M]) Settle(err error) {
	k := m.queue.tickets
	if k == nil || len(k.taken) == 0 {
		return
	}
	for i, ticket := range k.taken {
		k.taken[i] = nil
		ticket.Settled(err)
	}
	k.taken = k.taken[:0]
}

// madeRoom lets in those who wait, after the reader has taken something.
func (m *Mailbox[M]) madeRoom() {
	x := m.ext.Load()
	if x != nil && (!x.line.Empty() || (x.used && m.granted == 0)) {
		m.letIn(x)
	}
}

// TryNext takes the next message if there is one. It never parks. Only the reader may call it.
func (m *Mailbox[M]) TryNext() (v M, ok bool) {
	m.mustRead("TryNext")
	if m.queue.n == 0 {
		return v, false
	}
	return m.pop(), true
}

// Next takes the next message; while there is none it parks the reader. It returns ErrClosed when m is closed and nothing is
// left, else ErrTimeout or the cause of ctx when ctx is done before a message came. Only the reader may call it, with its own
// context.
func (m *Mailbox[M]) Next(ctx context.Context) (M, error) {
	t := m.mustRead("Next")
	_, limit := scheduler.Caller(ctx, "Next")
	return m.next(t, scheduler.Wait{Kind: scheduler.InReceive, Ctx: limit})
}

func (m *Mailbox[M]) next(t *scheduler.Task, w scheduler.Wait) (v M, err error) {
	m.Settle(nil)
	for m.queue.n == 0 {
		if m.Drained() {
			return v, ErrClosed
		}
		if m.queue.n == 0 {
			if err := m.await(t, w, 1); err != nil && m.queue.n == 0 {
				return v, err
			}
		}
	}
	return m.pop(), nil
}

// await parks the reader until need messages are queued, m is closed, or the wait ends.
func (m *Mailbox[M]) await(t *scheduler.Task, w scheduler.Wait, need uint32) error {
	m.need = need
	m.calm()
	defer m.rested() // also when a kill is raised: a message must not wake the task from another wait
	return t.Park(w)
}

func (m *Mailbox[M]) rested() { m.need = never }

// Await is for a stackless reader, which has found fewer than need messages and is about to return from Run: it will be woken
// when so many are queued, or m is closed. It reports false if that is so already.
func (m *Mailbox[M]) Await(need int) bool {
	if int(m.queue.n) >= need || m.Drained() || (m.queue.n > 0 && m.Closed()) {
		return false
	}
	m.need = uint32(need)
	m.calm()
	return true
}

// StopAwait takes back Await, when the reader has been woken by something else.
func (m *Mailbox[M]) StopAwait() { m.need = never }

// Receive gives the messages as they come, and parks the reader while there are none. It ends when m is closed and nothing is
// left. Only the reader may use it.
func (m *Mailbox[M]) Receive() iter.Seq[M] {
	return func(yield func(M) bool) {
		for {
			v, err := m.next(m.mustRead("Receive"), scheduler.Wait{Kind: scheduler.InReceive})
			if err != nil || !yield(v) {
				return
			}
		}
	}
}

// ReceiveTimeout is Receive with a limit of d on the wait for each message: when it is over, the last pair is (zero,
// ErrTimeout). If m is closed it ends without such a pair. d <= 0: only what is there already.
func (m *Mailbox[M]) ReceiveTimeout(d time.Duration) iter.Seq2[M, error] {
	return func(yield func(M, error) bool) {
		for {
			t := m.mustRead("ReceiveTimeout")
			v, err := m.next(t, scheduler.Wait{Kind: scheduler.InReceive, Until: t.Scheduler().After(max(d, 0))})
			if err == ErrClosed || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// ReceiveBatch gives the messages in batches of at most max, which is cut to the capacity. Each waits for a first message, and
// from then on for more until it is full, at most for wait: 0 takes what is there, a negative wait has no limit. What is
// collected stays in the mailbox until the batch is handed over, so a kill leaves it there; Close hands over what is there.
// The slice is valid until the next one. Only the reader may use it. It panics if max is not positive.
func (m *Mailbox[M]) ReceiveBatch(max int, wait time.Duration) iter.Seq[[]M] {
	if max <= 0 {
		misuse("ReceiveBatch with max %d: it must be positive", max)
	}
	return func(yield func([]M) bool) {
		var batch []M
		for {
			t := m.mustRead("ReceiveBatch")
			w := scheduler.Wait{Kind: scheduler.InReceive}
			need := m.BatchSize(max)
			m.Settle(nil)
			for m.queue.n == 0 {
				if m.Drained() {
					return
				}
				if m.queue.n == 0 {
					_ = m.await(t, w, 1)
				}
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
func (m *Mailbox[M]) BatchSize(max int) int { return min(max, int(m.cap)) }

// TakeBatch appends the next messages, at most max, to batch. Only the reader may call it.
func (m *Mailbox[M]) TakeBatch(batch []M, max int) []M {
	m.mustRead("TakeBatch")
	for max = min(max, int(m.queue.n)); max > 0; max-- {
		batch = append(batch, m.pop())
	}
	return batch
}

// Match is the selective receive: it takes the first message for which want is true; the others keep their order. While
// there is none it parks the reader, and looks at the new ones as they come. Errors as Next; also ErrFull, at once, if no
// message matches and none can come, because m is full and its policy is Block or Fail. Only the reader may call it, with
// its own context; want may not park.
func (m *Mailbox[M]) Match(ctx context.Context, want func(M) bool) (v M, err error) {
	t := m.mustRead("Match")
	_, limit := scheduler.Caller(ctx, "Match")
	m.Settle(nil)
	var seen, evicted uint32
	for ended := error(nil); ; {
		if d := uint32(m.dropped) - evicted; d > 0 && m.policy == DropOldest {
			seen -= min(seen, d) // they went from the front
		}
		evicted = uint32(m.dropped)
		for ; seen < m.queue.n; seen++ {
			if want(m.queue.buf[m.queue.index(seen)]) {
				return m.take(seen), nil
			}
		}
		switch {
		case ended != nil:
			return v, ended
		case m.Drained() || (m.Closed() && m.queue.n == seen):
			return v, ErrClosed
		case m.queue.n >= m.cap && (m.policy == Block || m.policy == Fail):
			return v, ErrFull
		case m.queue.n == seen:
			ended = m.await(t, scheduler.Wait{Kind: scheduler.InReceive, Ctx: limit}, 1)
		}
	}
}

// take removes the i-th message.
func (m *Mailbox[M]) take(i uint32) M {
	m.peak = max(m.peak, m.queue.n)
	m.handled++
	v, ticket := m.queue.remove(i)
	if ticket != nil {
		m.queue.tickets.taken = append(m.queue.tickets.taken, ticket)
	}
	m.madeRoom()
	return v
}

// large is the number of unused places in the buffer from which it is worth to give it back.
const large = 16

// calm is called when the reader begins to wait: if the mailbox is empty and stays so, its memory is given back.
func (m *Mailbox[M]) calm() {
	if len(m.queue.buf) <= large || m.calming || m.queue.n > 0 {
		return
	}
	m.calming = true
	m.home.Load().WhenCalm((*shrink[M])(m))
}

type shrink[M any] Mailbox[M]

func (s *shrink[M]) Do() {
	m := (*Mailbox[M])(s)
	m.calming = false
	if m.queue.n > 0 {
		return
	}
	m.queue.buf, m.queue.head = nil, 0
	if m.queue.tickets != nil {
		m.queue.tickets.slots = nil
	}
	if x := m.ext.Load(); x != nil {
		x.spare = ring[M]{}
	}
}
