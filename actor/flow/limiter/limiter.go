// Package limiter limits how often tasklets and other goroutines do something: calls a second to a
// service, messages a second to a customer. It is a token bucket, by golang.org/x/time/rate, that
// goes by the clock of a system, so that a test can wait for an hour in no time. A [Limiter] is no
// tasklet: there is nothing that could end, or that has to be supervised.
//
// The package is a module of its own, so that the library does not depend on golang.org/x/time.
package limiter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// A FullError is returned by Limiter.Wait for a call that found too many others waiting.
type FullError struct{ Waiting int }

// Error says how many calls were waiting.
func (e *FullError) Error() string {
	return fmt.Sprintf("limiter: too many calls wait: %d", e.Waiting)
}

// A Config says how often something may be done.
type Config struct {
	// PerSecond is how often a second in the long run. It must be at least 1e-6, which is once in
	// twelve days, and at most 1e9.
	PerSecond float64
	// Burst is how often at once, after a pause that was long enough. It must be from 1 to
	// 1,000,000,000. Within any time d no more than Burst + PerSecond × d are let through.
	Burst int
	// Waiting is how many calls of Wait may wait at a time; more are refused. 0 refuses all that
	// would have to wait. It must not be negative.
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
	waits int // the most that may wait

	// The waiting calls stand in the line of head. The first of them has a turn in the bucket, and
	// no other: a turn that is given back can only be given to those that took theirs later.
	head    scheduler.Mutex
	waiting int // owned by the scheduler

	mu     sync.Mutex
	bucket *rate.Limiter // protected by mu
	now    time.Time     // the latest time that bucket was given; protected by mu
}

// New returns a limiter that goes by the clock of sys, and lets a burst through at first. It
// returns an error that names the field if cfg is out of range.
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

// time returns the time for the bucket. It never goes back: the bucket would credit the same time
// twice. l.mu must be held.
func (l *Limiter) time() time.Time {
	if now := l.sys.Now(); now.After(l.now) {
		l.now = now
	}
	return l.now
}

// Allow reports whether the caller may go on now, and counts it if so. While a call of Wait waits
// for its turn, the result is false.
func (l *Limiter) Allow() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket.AllowN(l.time(), 1)
}

// Wait parks the calling tasklet until it may go on, first come first served, and returns nil. The
// errors say that it may not:
//   - a *[FullError] at once, if Config.Waiting calls wait already,
//   - scheduler.ErrTimeout, if the deadline of ctx passes,
//   - the cause of ctx, if ctx ends otherwise.
//
// A call that is refused, or whose tasklet is killed while it waits, is not counted, and the next
// one has its turn. ctx must be that of the running tasklet or derived from it.
func (l *Limiter) Wait(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
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

// next waits for the turn of the call that is the next.
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

// reserve takes a turn, and returns how long it is until then.
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

// giveBack gives a turn back that was not taken. Once only: the bucket would refund it again.
func (l *Limiter) giveBack(turn *rate.Reservation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	turn.CancelAt(l.time())
}
