package flow

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/backoff"
)

// A Retry determines how often a call is repeated, and how long the pauses are. The zero value
// makes three attempts, with pauses of 100 ms and 200 ms.
type Retry struct {
	// Attempts is the largest number of calls. 0 means 3. There is no value for an unlimited
	// number: work that must go on forever belongs under a supervisor, which restarts it.
	Attempts int
	// Min is the first pause. Each further pause is Factor times as long as the one before, and at
	// most Max. Factor must be at least 1. 0 means 100 ms for Min, 2 for Factor, and for Max 30 s
	// or Min, whichever is longer.
	Min, Max time.Duration
	Factor   float64
	// Jitter is the share of each pause that is random, from 0 to 1. With 0.2 a pause of 1 s lasts
	// 0.8 s to 1 s. Jitter prevents callers that failed at the same time from trying again at the
	// same time.
	Jitter float64
	// If reports whether a call that returned err is worth another attempt. If it is nil, every
	// call is, unless the context has ended.
	If func(err error) bool
}

// A RetryError is the error of Try when it gives up after more than one attempt, or when the
// context ends a pause.
type RetryError struct {
	Attempts int   // the number of attempts
	Last     error // the error of the last attempt
	Cause    error // the error of the context, if it ended a pause; otherwise nil
}

// Error returns a text with the number of attempts and the last error.
func (e *RetryError) Error() string {
	text := fmt.Sprintf("flow: gave up after attempt %d: %v", e.Attempts, e.Last)
	if e.Cause != nil {
		text += fmt.Sprintf("; the pause was ended by: %v", e.Cause)
	}
	return text
}

// Unwrap returns Last, and Cause if there is one.
func (e *RetryError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Last}
	}
	return []error{e.Last, e.Cause}
}

// Try calls f until it returns no error, at most r.Attempts times, and parks the calling tasklet
// between two calls. It returns the value of the last call. If the last call failed too, Try
// returns its error unchanged after a single attempt, and a *[RetryError] after several.
//
// ctx must be the running tasklet or derived from it. When it ends, no other attempt is made. If it
// ends a pause, the error is a *[RetryError] with its cause. A panic, a runtime.Goexit and a kill
// pass through Try. If a field of r is invalid, Try returns an error that names the field, and does
// not call f.
func Try[R any](ctx context.Context, r Retry, f func(ctx context.Context) (R, error)) (v R, err error) {
	r, err = r.Checked()
	if err != nil {
		return v, err
	}
	t := actor.Current(ctx)
	if t == nil {
		panic("flow: Try called outside a tasklet: its context belongs to none")
	}
	var cause error
	n := 1
	for ; ; n++ {
		if v, err = f(ctx); err == nil {
			return v, nil
		}
		if n == r.Attempts || ctx.Err() != nil || r.If != nil && !r.If(err) {
			break
		}
		if cause = actor.Sleep(ctx, r.Pause(t.System(), n)); cause != nil {
			break
		}
	}
	if n == 1 && cause == nil {
		return v, err
	}
	return v, &RetryError{n, err, cause}
}

// Checked returns r with the defaults in the place of zeros, or an error that names a field that is
// invalid. It is for packages that use a Retry for something else than Try.
func (r Retry) Checked() (Retry, error) {
	if r.Attempts == 0 {
		r.Attempts = 3
	}
	if r.Min == 0 {
		r.Min = 100 * time.Millisecond
	}
	if r.Max == 0 {
		r.Max = max(30*time.Second, r.Min)
	}
	if r.Factor == 0 {
		r.Factor = 2
	}
	switch {
	case r.Attempts < 0:
		return Retry{}, fmt.Errorf("flow: Retry.Attempts is %d: negative", r.Attempts)
	case r.Min < 0:
		return Retry{}, fmt.Errorf("flow: Retry.Min is %v: negative", r.Min)
	case r.Max < r.Min:
		return Retry{}, fmt.Errorf("flow: Retry.Max is %v: less than Min, %v", r.Max, r.Min)
	case !(r.Factor >= 1) || math.IsInf(r.Factor, 0):
		return Retry{}, fmt.Errorf("flow: Retry.Factor is %v: must be at least 1 and finite", r.Factor)
	case !(r.Jitter >= 0 && r.Jitter <= 1):
		return Retry{}, fmt.Errorf("flow: Retry.Jitter is %v: must be from 0 to 1", r.Jitter)
	}
	return r, nil
}

// Pause returns the pause after n attempts, at least 1, of which the random share is drawn from the
// seed of sys if it has one. r must be the result of Checked.
func (r Retry) Pause(sys *actor.System, n int) time.Duration {
	return backoff.Delay(r.Min, r.Max, r.Factor, r.Jitter, n-1, backoff.Draw(sys.Rand()))
}
