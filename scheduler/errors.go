package scheduler

import (
	"errors"

	"github.com/gotasklet/tasklet/internal/core"
)

var (
	// ErrChanClosed is returned by Chan.Send on a closed Chan, and by Chan.Receive on a Chan that
	// is closed and empty.
	ErrChanClosed = errors.New("scheduler: closed channel")

	// ErrTimeout is returned by a blocking call when the deadline of its context has passed.
	// errors.Is(ErrTimeout, context.DeadlineExceeded) is true, and its method Timeout returns true.
	// Packages mailbox and actor export the same value.
	ErrTimeout = core.ErrTimeout
)

// A DeadlockError reports a wait that was refused because it could never have ended. The caller
// would have waited for a tasklet that itself waits, directly or through others, for the caller,
// and no wait in that cycle has a time limit.
type DeadlockError = core.DeadlockError

// A PanicError is a recovered panic as an error. It holds the value that was passed to panic, and
// the stack.
type PanicError = core.PanicError
