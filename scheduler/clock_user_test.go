package scheduler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A virtual clock belongs to one scheduler or team, until all of its members have ended. A real one may be shared.
func TestVirtualClockHasOneUser(t *testing.T) {
	const refused = "scheduler: a VirtualClock that belongs to another system or scheduler, which has not ended: " +
		"its time would jump for both"
	end := func(s *Scheduler) {
		s.Stop()
		require.NoError(t, s.Run())
	}
	clock := NewVirtualClock(time.Time{})
	one := New(Config{Clock: clock})
	require.PanicsWithValue(t, refused, func() { New(Config{Clock: clock}) })
	require.PanicsWithValue(t, refused, func() { New(Config{Clock: clock, Team: new(Team)}) })
	end(one)

	team := new(Team)
	a, b := New(Config{Clock: clock, Team: team}), New(Config{Clock: clock, Team: team})
	require.PanicsWithValue(t, refused, func() { New(Config{Clock: clock}) })
	require.PanicsWithValue(t, refused, func() { New(Config{Clock: clock, Team: new(Team)}) })
	end(a)
	require.PanicsWithValue(t, refused, func() { New(Config{Clock: clock}) }, "b has not ended")
	end(b)
	end(New(Config{Clock: clock}))

	for range 2 {
		New(Config{Clock: RealClock()})
	}
	shared := RealClock()
	end(New(Config{Clock: shared}))
	New(Config{Clock: shared})
	New(Config{Clock: shared})
}
