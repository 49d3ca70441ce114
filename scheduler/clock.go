package scheduler

import (
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// A Clock tells the schedulers of a system the time. There are two: [RealClock], the default, and
// the one that [NewVirtualClock] returns. Clock has unexported methods, since how time moves and
// how a scheduler sleeps belong together; so no third clock can be written elsewhere.
type Clock = core.Clock

// RealClock returns a clock that runs by itself. Inside a bubble of [testing/synctest] it shows the
// bubble's time.
func RealClock() Clock { return core.RealClock() }

// A VirtualClock stands still while tasklets run. It jumps to the next deadline when no tasklet is
// ready and nothing outside the system is awaited. Work takes no time on a virtual clock, and a
// wait takes no real time. Its method Now returns the virtual time, from any goroutine. Use
// [NewVirtualClock] to make one.
type VirtualClock = core.VirtualClock

// NewVirtualClock returns a virtual clock that shows start until it first jumps. If start is the
// zero time, the clock starts at 2000-01-01 00:00:00 UTC, as in [testing/synctest].
func NewVirtualClock(start time.Time) *VirtualClock { return core.NewVirtualClock(start) }
