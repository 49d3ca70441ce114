package mailbox

import (
	"context"
	"iter"
	"time"

	"github.com/gotasklet/tasklet/internal/queue"
)

// Mailbox is the reading end of a bounded queue of messages of type M. Package actor passes one to
// a body that reads its mailbox in a loop of its own; see actor.Spawn and actor.SpawnBody. There is
// no other way to make one, and the zero Mailbox is not usable.
//
// Only the tasklet that owns the Mailbox may call the methods that read; they panic in any other.
// Len, Cap, Close and Closed may be called from any goroutine.
type Mailbox[M any] queue.Queue[M]

func (m *Mailbox[M]) queue() *queue.Queue[M] { return (*queue.Queue[M])(m) }

// Receive returns an iterator over the messages, in order of arrival. It parks the reader while
// there are none, and ends when m is closed and empty.
func (m *Mailbox[M]) Receive() iter.Seq[M] { return m.queue().Receive() }

// ReceiveTimeout is like Receive, but waits at most d for each message. If the time expires, the
// iterator yields (zero, ErrTimeout) as its last pair. It ends without such a pair when m is closed
// and empty. If d <= 0 the reader does not wait; when there is no message, it yields once to the
// other ready tasklets first.
func (m *Mailbox[M]) ReceiveTimeout(d time.Duration) iter.Seq2[M, error] {
	return m.queue().ReceiveTimeout(d)
}

// ReceiveBatch returns an iterator over the messages in batches of at most max messages, or the
// capacity if that is smaller. The iterator parks the reader until there is a first message, and
// then until the batch is full, at most for wait. A wait of 0 takes the messages that are there; a
// negative wait has no limit. When m is closed, the iterator yields what is left and ends.
//
// The messages of a batch stay in the mailbox until the batch is yielded, so a kill loses none. The
// slice is valid until the next batch. ReceiveBatch panics if max is not positive.
func (m *Mailbox[M]) ReceiveBatch(max int, wait time.Duration) iter.Seq[[]M] {
	return m.queue().ReceiveBatch(max, wait)
}

// Next takes the next message, and parks the reader while there is none. It returns ErrClosed when
// m is closed and empty, and ErrTimeout or the cause of ctx when ctx ends before a message comes.
// ctx must belong to the reader.
func (m *Mailbox[M]) Next(ctx context.Context) (M, error) { return m.queue().Next(ctx) }

// TryNext takes the next message if there is one, and reports whether there was. It never parks.
func (m *Mailbox[M]) TryNext() (v M, ok bool) { return m.queue().TryNext() }

// Match takes the first message for which want returns true. The other messages stay in the mailbox
// and keep their order. While no message matches, Match parks the reader and examines new messages
// as they arrive. Its cost grows linearly with the number of queued messages.
//
// Match returns ErrClosed if m is closed and no message matches. It returns ErrFull, at once, if no
// message matches and none can arrive, because m is full and does not drop old messages. Its other
// errors are those of Next. ctx must belong to the reader. want must not park.
func (m *Mailbox[M]) Match(ctx context.Context, want func(M) bool) (M, error) {
	return m.queue().Match(ctx, want)
}

// Len returns the number of queued messages, not counting those of senders that wait for room. When
// called from another scheduler or from a goroutine, it may lag behind.
func (m *Mailbox[M]) Len() int { return m.queue().Len() }

// Cap returns the capacity, or 0 for [Unbounded].
func (m *Mailbox[M]) Cap() int { return m.queue().Cap() }

// Close closes m. Sends return ErrClosed from now on, and queued messages can still be read.
// Closing a closed Mailbox has no effect. Close never parks.
func (m *Mailbox[M]) Close() { m.queue().Close() }

// Closed reports whether m is closed.
func (m *Mailbox[M]) Closed() bool { return m.queue().Closed() }
