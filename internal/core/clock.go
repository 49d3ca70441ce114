package core

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A Clock tells a scheduler the time. There are two: [RealClock], the default, and that of
// [NewVirtualClock]. Other packages cannot implement Clock, because the way in which time moves and
// the way in which a scheduler sleeps belong together.
type Clock interface {
	// Now returns the current time. It may be called from any goroutine.
	Now() time.Time

	// since returns the nanoseconds since the clock's origin; it never goes back. Only differences
	// mean something: a scheduler takes its own zero from it when it starts.
	since() int64

	// virtual reports whether time moves only by jump.
	virtual() bool

	// jump moves a virtual clock forward to ns after its origin, or does nothing if that has
	// passed. Only a scheduler calls it, when nothing is ready and nothing outside is awaited.
	jump(ns int64)

	// claim makes user, a *Scheduler or a *Team, the user of the clock, possibly once more. It
	// returns false if the clock has another user. Each claim is ended by a release. Only a virtual
	// clock has one user, because two users would jump over each other's deadlines.
	claim(user any) bool
	release()
}

// addNS returns the sum of two times in nanoseconds. If the sum is out of range, it returns the
// largest or the smallest number.
func addNS(a, b int64) int64 {
	switch sum := a + b; {
	case b > 0 && sum < a:
		return math.MaxInt64
	case b < 0 && sum > a:
		return math.MinInt64
	default:
		return sum
	}
}

// RealClock returns a clock that advances by itself. Inside a bubble of [testing/synctest] it shows
// the bubble's time.
func RealClock() Clock { return &realClock{origin: time.Now()} }

type realClock struct {
	// Set in RealClock, then read-only. It cannot be a variable of the package, because that would
	// be set before any synctest bubble begins, and the monotonic time of a bubble is another one.
	origin time.Time // with its monotonic reading, so a step of the wall clock moves no deadline
}

func (*realClock) Now() time.Time { return time.Now() }
func (c *realClock) since() int64 { return int64(time.Since(c.origin)) }
func (*realClock) virtual() bool  { return false }
func (*realClock) jump(int64)     { panic("scheduler: internal error: jump of the real clock") }
func (*realClock) claim(any) bool { return true }
func (*realClock) release()       {}

// A VirtualClock stands still while tasks run. It jumps to the next deadline when no task is ready
// and nothing outside is awaited. Work takes no time on it, and a wait takes no real time. It
// belongs to one scheduler or [Team] at a time, from [New] until Run has returned. New panics if
// the clock has another user. Use [NewVirtualClock] to make one.
//
// Its time ends 146 years after the start. A wait that would end later ends then, and a wait that
// begins then ends at the next tick.
type VirtualClock struct {
	start time.Time // set in NewVirtualClock, then read-only; without a monotonic reading

	// offset is in nanoseconds since start. Atomic: written by jump on a scheduler, and read by Now
	// and since on any goroutine, because loggers and outside goroutines ask for the time. It
	// publishes only itself. A plain variable would be a data race, and could be torn on 32-bit
	// machines.
	offset atomic.Int64

	mu    sync.Mutex // protects the following
	user  any        // the *Scheduler or *Team that it belongs to, or nil
	users int        // the number of schedulers of user that have not ended
}

// NewVirtualClock returns a virtual clock that shows start until its first jump. If start is zero,
// it shows 2000-01-01 00:00:00 UTC, as in [testing/synctest].
func NewVirtualClock(start time.Time) *VirtualClock {
	if start.IsZero() {
		start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	// Round(0) removes the monotonic reading. With it, Sub of one of this clock's times and a real
	// one would use a time that has nothing to do with either.
	return &VirtualClock{start: start.Round(0)}
}

// Now returns the start plus all jumps. It may be called from any goroutine.
func (c *VirtualClock) Now() time.Time { return c.start.Add(time.Duration(c.offset.Load())) }

func (c *VirtualClock) since() int64 { return c.offset.Load() }
func (*VirtualClock) virtual() bool  { return true }

func (c *VirtualClock) jump(ns int64) {
	// Several schedulers may share the clock, so this is a loop: the furthest jump wins, and none
	// goes back.
	for {
		now := c.offset.Load()
		if ns <= now || c.offset.CompareAndSwap(now, ns) {
			return
		}
	}
}

func (c *VirtualClock) claim(user any) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users > 0 && c.user != user {
		return false
	}
	c.user = user
	c.users++
	return true
}

func (c *VirtualClock) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users--; c.users == 0 {
		c.user = nil
	}
}

// Nanotime returns the time of the scheduler's clock in nanoseconds since an arbitrary moment. It
// may be called from any goroutine.
func (s *Scheduler) Nanotime() int64 { return s.clock.since() }

// Recent returns what Nanotime has returned a short time ago: when nothing was ready, or at most 64
// activations before. It must be called on the scheduler.
func (s *Scheduler) Recent() int64 { return s.now }

// Now returns the time of the scheduler's clock. It may be called from any goroutine.
func (s *Scheduler) Now() time.Time { return s.clock.Now() }

// Virtual reports whether the clock is a virtual one.
func (s *Scheduler) Virtual() bool { return s.clock.virtual() }

// timeAt returns the time of day at which the clock shows ns. For the same ns it is always the
// same.
func (s *Scheduler) timeAt(ns int64) time.Time {
	switch c := s.clock.(type) {
	case *realClock:
		return c.origin.Add(time.Duration(ns))
	case *VirtualClock:
		return c.start.Add(time.Duration(ns))
	}
	panic("unreachable: there are two clocks")
}

// after returns the time d from now. It is at least 1, because 0 means never, and at most the
// largest number.
func (s *Scheduler) after(d time.Duration) int64 {
	return max(addNS(s.clock.since(), int64(d)), 1)
}

// After returns the time d from now on the clock, for Wait.Until and WakeAt. It returns
// math.MaxInt64 if the sum would be larger.
func (s *Scheduler) After(d time.Duration) int64 { return s.after(d) }
