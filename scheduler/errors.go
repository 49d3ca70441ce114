package scheduler

import (
	"errors"

	"github.com/gotasklet/tasklet/internal/core"
)

var (
	// ErrClosed is returned by Chan.Send on a closed Chan, and by Chan.Receive on one that is
	// closed and empty.
	ErrClosed = errors.New("scheduler: closed channel")

	// ErrTimeout is returned by a blocking call whose time is over. errors.Is reports that it is
	// context.DeadlineExceeded, and its method Timeout returns true. Packages mailbox and actor
	// export the same value.
	ErrTimeout = core.ErrTimeout
)

// A DeadlockError reports a wait that was refused because it could never have ended: the tasklet
// that would be waited for waits itself, over some steps, for the one that asks, and none of them
// has a time limit.
type DeadlockError = core.DeadlockError

// A PanicError is a panic as an error: the value that was passed to panic, and the stack.
type PanicError = core.PanicError
