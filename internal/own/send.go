package own

import "context"

// MustSend panics, as a send does, if ctx is nil or belongs to a tasklet that is not running.
// Package actor sets it when it is initialized.
var MustSend func(ctx context.Context)
