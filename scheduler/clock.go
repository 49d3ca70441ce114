package scheduler

import (
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// A Clock is the source of time of a system. There are two: [RealClock], the default, and
// [VirtualClock]. Clock has unexported methods, because the way time advances and the way a
// scheduler sleeps depend on each other; other packages cannot implement it.
type Clock = core.Clock

// RealClock returns the machine's clock. Inside a [testing/synctest] bubble it shows the bubble's
// time.
func RealClock() Clock { return core.RealClock() }

// A VirtualClock stands still while tasklets run. It jumps to the next deadline when no tasklet is
// ready and nothing outside the system is awaited. Work takes no time on a virtual clock, and a
// wait takes no real time. Its method Now returns the virtual time, from any goroutine. Use
// [NewVirtualClock] to make one.
type VirtualClock = core.VirtualClock

// NewVirtualClock returns a virtual clock that shows start until it first jumps. If start is the
// zero time, the clock starts at 2000-01-01 00:00:00 UTC, as in [testing/synctest].
func NewVirtualClock(start time.Time) *VirtualClock { return core.NewVirtualClock(start) }
