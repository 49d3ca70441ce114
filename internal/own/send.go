package own

import "context"

// Functions of package actor, which sets them during initialization.
var (
	// MustSend panics, as a send does, if ctx is nil or belongs to a tasklet that is not running.
	MustSend func(ctx context.Context)
	// Ended returns the error of a call with the context ctx if ctx has ended, and otherwise nil.
	// The context of a tasklet itself does not end.
	Ended func(ctx context.Context) error
)
