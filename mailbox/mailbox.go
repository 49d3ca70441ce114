package mailbox

import (
	"context"
	"iter"
	"time"

	"github.com/gotasklet/tasklet/internal/queue"
)

// Mailbox is the reading end of a bounded queue of messages of type M. A body that reads its
// mailbox in a loop of its own is given one: see actor.Spawn and actor.Read. There is no other way
// to make one.
//
// Only the tasklet that it was given to may call the methods that read: they panic in any other.
// Len, Cap, Close and Closed may be called from any goroutine.
type Mailbox[M any] queue.Queue[M]

func (m *Mailbox[M]) queue() *queue.Queue[M] { return (*queue.Queue[M])(m) }

// Receive returns an iterator over the messages as they come. It parks the reader while there are
// none, and ends when m is closed and nothing is left.
func (m *Mailbox[M]) Receive() iter.Seq[M] { return m.queue().Receive() }

// ReceiveTimeout is Receive with a limit of d on the wait for each message. When the limit is over,
// the iterator's last pair is (zero, ErrTimeout). If m is closed it ends without such a pair. With
// d <= 0 the reader does not wait, but yields to the other ready tasklets when there is no message.
func (m *Mailbox[M]) ReceiveTimeout(d time.Duration) iter.Seq2[M, error] {
	return m.queue().ReceiveTimeout(d)
}

// ReceiveBatch returns an iterator over the messages in batches of at most max, which is cut to the
// capacity. Each batch waits for a first message, and from then on for more until it is full, at
// most for wait: 0 takes what is there, a negative wait has no limit. What is collected stays in
// the mailbox until the batch is handed over, so a kill leaves it there; Close hands over what is
// there. The slice is valid until the next batch. ReceiveBatch panics if max is not positive.
func (m *Mailbox[M]) ReceiveBatch(max int, wait time.Duration) iter.Seq[[]M] {
	return m.queue().ReceiveBatch(max, wait)
}

// Next takes the next message, and parks the reader while there is none. It returns ErrClosed when
// m is closed and nothing is left, ErrTimeout or the cause of ctx when ctx is done before a message
// came. ctx must belong to the reader.
func (m *Mailbox[M]) Next(ctx context.Context) (M, error) { return m.queue().Next(ctx) }

// TryNext takes the next message if there is one. It never parks.
func (m *Mailbox[M]) TryNext() (v M, ok bool) { return m.queue().TryNext() }

// Match is the selective receive: it takes the first message for which want returns true, and the
// others keep their order. While there is none it parks the reader, and looks at new messages as
// they come. Its cost grows linearly with the number of queued messages.
//
// Match returns ErrClosed if m is closed and no message matches. It returns ErrFull, at once, if no
// message matches and none can come, because m is full and does not drop old ones. Other errors are
// those of Next. ctx must belong to the reader; want may not park.
func (m *Mailbox[M]) Match(ctx context.Context, want func(M) bool) (M, error) {
	return m.queue().Match(ctx, want)
}

// Len returns the number of queued messages, without those of senders that wait for room.
func (m *Mailbox[M]) Len() int { return m.queue().Len() }

// Cap returns the capacity; 0 with [Unbounded].
func (m *Mailbox[M]) Cap() int { return m.queue().Cap() }

// Close closes m: sends are refused with ErrClosed from now on, and what is queued can still be
// read. Closing twice does nothing.
func (m *Mailbox[M]) Close() { m.queue().Close() }

// Closed reports whether m takes no more messages.
func (m *Mailbox[M]) Closed() bool { return m.queue().Closed() }
