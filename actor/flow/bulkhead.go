package flow

import (
	"context"
	"fmt"

	"github.com/gotasklet/tasklet/scheduler"
)

// A FullError is returned by Bulkhead.Do for a call that found too many others waiting.
type FullError struct{ Waiting int }

// Error says how many calls were waiting.
func (e *FullError) Error() string {
	return fmt.Sprintf("flow: the bulkhead is full: %d calls wait", e.Waiting)
}

// A Bulkhead limits how many calls are in flight, and how many wait for their turn, so that one
// slow service can't hold all tasklets of a program. It belongs to the scheduler whose tasklets use
// it, as the tools of package scheduler do.
type Bulkhead struct {
	slots   *scheduler.Semaphore
	calls   int
	limit   int // of waiting
	waiting int
}

// NewBulkhead returns a bulkhead for at most calls calls at a time, and at most waiting that wait.
// It returns an error if calls is not positive, or waiting is negative.
func NewBulkhead(calls, waiting int) (*Bulkhead, error) {
	switch {
	case calls <= 0:
		return nil, fmt.Errorf("flow: NewBulkhead with %d calls: must be positive", calls)
	case waiting < 0:
		return nil, fmt.Errorf("flow: NewBulkhead with %d waiting calls: negative", waiting)
	}
	return &Bulkhead{slots: scheduler.NewSemaphore(int64(calls)), calls: calls, limit: waiting}, nil
}

// Do calls f when it is its turn, first come first served, and returns the error of f. It parks the
// calling tasklet until then. Do returns a *[FullError] at once if too many calls wait, and
// scheduler.ErrTimeout or the cause of ctx if ctx ends before the call's turn; f is not called
// then. ctx must be that of the running tasklet or derived from it, and is handed to f.
func (b *Bulkhead) Do(ctx context.Context, f func(ctx context.Context) error) error {
	if !b.slots.TryAcquire(1) {
		if b.waiting >= b.limit {
			return &FullError{b.waiting}
		}
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	defer b.slots.Release(1) // also after a panic, a Goexit and a kill
	return f(ctx)
}

// wait waits for the turn of a call; a kill may be raised in it.
func (b *Bulkhead) wait(ctx context.Context) error {
	b.waiting++
	defer func() { b.waiting-- }()
	return b.slots.Acquire(ctx, 1)
}
