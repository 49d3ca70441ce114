package mailbox

import "github.com/gotasklet/tasklet/internal/queue"

var (
	// ErrClosed is returned by a send to a closed mailbox, and by a read of a closed mailbox that
	// has no message to return.
	ErrClosed = queue.ErrClosed
	// ErrFull is returned by a send that finds no room and does not wait: TrySend, and Send and
	// Call under Fail. The message was not sent. Match returns it when no message matches and none
	// can come.
	ErrFull = queue.ErrFull
	// ErrDropped is returned by a Call whose request was dropped by the overflow policy. Sends
	// return nil for a message that is dropped.
	ErrDropped = queue.ErrDropped
	// ErrTimeout is the same value as scheduler.ErrTimeout.
	ErrTimeout = queue.ErrTimeout
)
