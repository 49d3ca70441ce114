package mailbox

import "github.com/gotasklet/tasklet/internal/queue"

var (
	// ErrClosed is returned by a send to a mailbox that takes no more messages, and by a read of
	// one that will never have one.
	ErrClosed = queue.ErrClosed
	// ErrFull is returned where there is no room and the sender does not wait: by TrySend, and by
	// Send under Fail. The message is still the sender's.
	ErrFull = queue.ErrFull
	// ErrDropped is the fate of a message that was accepted and then dropped by the overflow
	// policy.
	ErrDropped = queue.ErrDropped
	// ErrTimeout is scheduler.ErrTimeout.
	ErrTimeout = queue.ErrTimeout
)
