package flow

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/backoff"
)

// A Retry says how often a call is repeated, and how long the pauses are. The zero value makes
// three attempts, with pauses of 100 ms and 200 ms.
type Retry struct {
	// Attempts is how many calls are made at most; 0: 3. There is no value for "without end": a
	// supervisor restarts what has to go on for ever.
	Attempts int
	// Min is the first pause; 0: 100 ms. Each pause is Factor times as long as the one before, and
	// at most Max; Factor 0: 2, Max 0: 30 s or Min, whichever is longer. Factor is at least 1.
	Min, Max time.Duration
	Factor   float64
	// Jitter is the share of each pause that is drawn by chance, from 0 to 1: with 0.2 a pause of
	// 1 s lasts 0.8 s to 1 s. It keeps callers that failed together from coming back together.
	Jitter float64
	// If reports whether a call that returned err is worth another attempt. nil: every call is,
	// unless the context has ended.
	If func(err error) bool
}

// A RetryError is what Try returns when it gives up after more than one attempt.
type RetryError struct {
	Attempts int   // that were made
	Last     error // what the last of them returned
	Cause    error // why no other was made: the end of the context; nil if all were made, or by If
}

// Error says how many attempts were made, and what the last one returned.
func (e *RetryError) Error() string {
	text := fmt.Sprintf("flow: %d attempts failed, the last with: %v", e.Attempts, e.Last)
	if e.Cause != nil {
		text += fmt.Sprintf("; no other was made: %v", e.Cause)
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
// between two calls. It returns what the last call returned: its value, and nil, or its error
// itself after a single attempt and a *[RetryError] after more.
//
// ctx must be that of the running tasklet or derived from it. When it ends, the pause ends too, and
// no other attempt is made. A panic, a runtime.Goexit and a kill pass through Try. Try returns an
// error that names the field if r is wrong, and does not call f then.
func Try[R any](ctx context.Context, r Retry, f func(ctx context.Context) (R, error)) (v R, err error) {
	if err := r.fill(); err != nil {
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
		if cause = actor.Sleep(ctx, backoff.Delay(r.Min, r.Max, r.Factor, r.Jitter, n-1, backoff.Draw(t.System().Rand()))); cause != nil {
			break
		}
	}
	if n == 1 && cause == nil {
		return v, err
	}
	return v, &RetryError{n, err, cause}
}

// fill sets the defaults, and returns what is wrong with r.
func (r *Retry) fill() error {
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
		return fmt.Errorf("flow: Retry.Attempts is %d: negative", r.Attempts)
	case r.Min < 0:
		return fmt.Errorf("flow: Retry.Min is %v: negative", r.Min)
	case r.Max < r.Min:
		return fmt.Errorf("flow: Retry.Max is %v: less than Min, %v", r.Max, r.Min)
	case !(r.Factor >= 1) || math.IsInf(r.Factor, 0):
		return fmt.Errorf("flow: Retry.Factor is %v: must be at least 1 and finite", r.Factor)
	case !(r.Jitter >= 0 && r.Jitter <= 1):
		return fmt.Errorf("flow: Retry.Jitter is %v: must be from 0 to 1", r.Jitter)
	}
	return nil
}
