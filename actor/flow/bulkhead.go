package flow

import (
	"context"
	"fmt"

	"github.com/gotasklet/tasklet/scheduler"
)

// FullError is the error of Bulkhead.Do for a call that found too many others waiting.
type FullError struct{ Waiting int }

// Error returns a text with the number of calls that were waiting.
func (e *FullError) Error() string {
	return fmt.Sprintf("flow: the bulkhead is full: %d calls wait", e.Waiting)
}

// A Bulkhead limits the number of calls that are in flight, and the number of calls that wait for
// their turn, so that one slow service cannot hold all tasklets of a program. It belongs to the
// scheduler whose tasklets use it, as a scheduler.Semaphore does.
type Bulkhead struct {
	slots   *scheduler.Semaphore
	calls   int
	limit   int // the number of calls that may wait
	waiting int
}

// NewBulkhead returns a bulkhead that lets at most calls calls be in flight, and at most waiting
// calls wait. It returns an error if calls is not positive, or if waiting is negative.
func NewBulkhead(calls, waiting int) (*Bulkhead, error) {
	switch {
	case calls <= 0:
		return nil, fmt.Errorf("flow: NewBulkhead with %d calls: must be positive", calls)
	case waiting < 0:
		return nil, fmt.Errorf("flow: NewBulkhead with %d waiting calls: negative", waiting)
	}
	return &Bulkhead{slots: scheduler.NewSemaphore(int64(calls)), calls: calls, limit: waiting}, nil
}

// Do parks the calling tasklet until it is the call's turn, first come first served. Then it calls
// f and returns its error. If too many calls wait, Do returns a *[FullError] at once. If ctx ends
// before the call's turn, Do returns scheduler.ErrTimeout or the cause of ctx. In both cases f is
// not called. ctx must be the running tasklet or derived from it, and is passed to f.
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

// wait waits for the turn of a call. A kill may be raised in it.
func (b *Bulkhead) wait(ctx context.Context) error {
	b.waiting++
	defer func() { b.waiting-- }()
	return b.slots.Acquire(ctx, 1)
}
