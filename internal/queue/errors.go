package queue

import (
	"errors"
	"fmt"

	"github.com/gotasklet/tasklet/internal/core"
)

var (
	// ErrClosed is returned by a send to a mailbox that takes no more messages, and by a read of
	// one that will never have one.
	ErrClosed = errors.New("mailbox: closed")
	// ErrFull is returned where there is no room and the sender is not to wait: TrySend, and Send
	// under Fail. The message is still the sender's.
	ErrFull = errors.New("mailbox: full")
	// ErrDropped is the fate of a message that was accepted and then gave way to the overflow
	// policy.
	ErrDropped = errors.New("mailbox: dropped by the overflow policy")
	// ErrTimeout is scheduler.ErrTimeout.
	ErrTimeout = core.ErrTimeout
)

// misuse panics at the caller with the rule that it broke.
func misuse(format string, args ...any) {
	panic("mailbox: " + fmt.Sprintf(format, args...))
}
