package queue

import (
	"errors"
	"fmt"

	"github.com/gotasklet/tasklet/internal/core"
)

var (
	// ErrClosed is returned by a send to a mailbox that accepts no more messages, and by a read of
	// a mailbox that will never have another one.
	ErrClosed = errors.New("mailbox: closed")
	// ErrFull is returned if there is no room and the sender must not wait: by TrySend, and by Send
	// under Fail. The message was not sent.
	ErrFull = errors.New("mailbox: full")
	// ErrDropped is the outcome of a message that was accepted and then dropped because of the
	// overflow policy.
	ErrDropped = errors.New("mailbox: dropped by the overflow policy")
	// ErrTimeout is core.ErrTimeout.
	ErrTimeout = core.ErrTimeout
)

// misuse panics at the caller with the rule that it broke.
func misuse(format string, args ...any) {
	panic("mailbox: " + fmt.Sprintf(format, args...))
}
