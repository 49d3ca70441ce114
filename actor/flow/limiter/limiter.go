// Package limiter limits how often tasklets and other goroutines do something, such as calls a
// second to a service, or messages a second to a customer. A [Limiter] is a token bucket of
// golang.org/x/time/rate that uses the clock of a system, so that a test can wait for an hour in no
// time. It is not a tasklet, so it cannot end and need not be supervised.
//
// The package is a module of its own, so that the library does not depend on golang.org/x/time.
package limiter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// FullError is the error of Limiter.Wait for a call that found too many others waiting.
type FullError struct{ Waiting int }

// Error returns a text with the number of calls that were waiting.
func (e *FullError) Error() string {
	return fmt.Sprintf("limiter: too many calls wait: %d", e.Waiting)
}

// A Config determines how often something may be done.
type Config struct {
	// PerSecond is the number of calls a second in the long run. It must be at least 1e-6, which is
	// once in twelve days, and at most 1e9.
	PerSecond float64
	// Burst is the number of calls that may be made at once, after a pause that was long enough. It
	// must be from 1 to 1,000,000,000. Within any time d, at most Burst + PerSecond × d calls are
	// let through.
	Burst int
	// Waiting is the number of calls of Wait that may wait at a time. Further calls are refused.
	// With 0 every call that would have to wait is refused. It must not be negative.
	Waiting int
}

func (c Config) check() error {
	switch {
	case !(c.PerSecond >= 1e-6 && c.PerSecond <= 1e9): // NaN, too
		return fmt.Errorf("limiter: Config.PerSecond is %v: must be from 1e-06 to 1e+09", c.PerSecond)
	case c.Burst < 1 || c.Burst > 1e9:
		return fmt.Errorf("limiter: Config.Burst is %d: must be from 1 to 1,000,000,000", c.Burst)
	case c.Waiting < 0:
		return fmt.Errorf("limiter: Config.Waiting is %d: negative", c.Waiting)
	}
	return nil
}

// A Limiter lets calls through no more often than its Config says. Wait is for the tasklets of one
// scheduler, as the tools of package scheduler are. Allow may be called from any goroutine.
type Limiter struct {
	sys   *actor.System
	waits int // the largest number of waiting calls

	// The waiting calls stand in the line of head. Only the first of them has a turn in the bucket,
	// because a turn that is given back can only be given to calls that took theirs later.
	head    scheduler.Mutex
	waiting int // owned by the scheduler

	mu     sync.Mutex
	bucket *rate.Limiter // protected by mu
	now    time.Time     // the latest time that bucket was given; protected by mu
}

// New returns a limiter that uses the clock of sys, and at first lets a burst through. If a field
// of cfg is out of range, New returns an error that names the field.
func New(sys *actor.System, cfg Config) (*Limiter, error) {
	if sys == nil {
		return nil, fmt.Errorf("limiter: New without a system")
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Limiter{
		sys: sys, waits: cfg.Waiting, now: sys.Now(),
		bucket: rate.NewLimiter(rate.Limit(cfg.PerSecond), cfg.Burst),
	}, nil
}

// time returns the time for the bucket. It never goes back, because the bucket would credit the
// same time twice. l.mu must be held.
func (l *Limiter) time() time.Time {
	if now := l.sys.Now(); now.After(l.now) {
		l.now = now
	}
	return l.now
}

// Allow reports whether the caller may continue now, and counts the call if so. While a call of
// Wait waits for its turn, Allow returns false.
func (l *Limiter) Allow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket.AllowN(l.time(), 1)
}

// Wait parks the calling tasklet until the call has its turn, first come, first served, and returns
// nil. It returns an error if the call is refused:
//
//   - a *[FullError] at once, if Config.Waiting calls wait already;
//   - scheduler.ErrTimeout, if the deadline of ctx passes;
//   - the cause of ctx, if ctx ends in another way.
//
// In the tree, the first tasklet in the line is sleeping, and the others wait for a mutex that it
// holds.
//
// A call that is refused, or whose tasklet is killed while it waits, is not counted, and the next
// call has its turn. ctx must be the running tasklet or derived from it.
func (l *Limiter) Wait(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded):
		return scheduler.ErrTimeout
	default:
		return context.Cause(ctx)
	}
	if l.waiting == 0 && l.Allow() {
		return nil
	}
	if l.waiting >= l.waits {
		return &FullError{l.waiting}
	}
	l.waiting++
	defer func() { l.waiting-- }() // also after a kill
	if err := l.head.Lock(ctx); err != nil {
		return err
	}
	defer l.head.Unlock()
	return l.next(ctx)
}

// next waits for the turn of the first call in line.
func (l *Limiter) next(ctx context.Context) error {
	turn, delay := l.reserve()
	taken := false
	defer func() { // also after a kill
		if !taken {
			l.giveBack(turn)
		}
	}()
	if err := actor.Sleep(ctx, delay); err != nil {
		return err
	}
	taken = true
	return nil
}

// reserve takes a turn, and returns the time until then.
func (l *Limiter) reserve() (turn *rate.Reservation, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.time()
	turn = l.bucket.ReserveN(now, 1)
	delay = turn.DelayFrom(now)
	if !turn.OK() || delay == rate.InfDuration { // the checks of New exclude both
		panic(fmt.Sprintf("limiter: no turn at %v a second", l.bucket.Limit()))
	}
	return turn, delay
}

// giveBack returns a turn that was not taken. It must be called once, because the bucket would
// refund the turn again.
func (l *Limiter) giveBack(turn *rate.Reservation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	turn.CancelAt(l.time())
}
