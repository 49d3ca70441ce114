package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A virtual clock belongs to one scheduler or team, until all of its members have ended. A real one
// may be shared.
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
	a.Stop()
	ended := make(chan error)
	go func() { ended <- a.Run() }()
	end(b)
	require.NoError(t, <-ended)
	end(New(Config{Clock: clock}))

	for range 2 {
		New(Config{Clock: RealClock()})
	}
	shared := RealClock()
	end(New(Config{Clock: shared}))
	New(Config{Clock: shared})
	New(Config{Clock: shared})
}

// A virtual clock begins at any time, and waits are exact there.
func TestVirtualClocksOfAnyStart(t *testing.T) {
	for _, start := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(-1<<40, 0), time.Unix(1<<40, 0), time.Now(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		clock := NewVirtualClock(start)
		s := New(Config{Clock: clock})
		var took time.Duration
		spawn(s, 1, func(t *Task) {
			before := clock.Now()
			ctx, cancel := WithDeadline(t, before.Add(time.Hour))
			defer cancel()
			if err := t.Park(Wait{Kind: InEvent, Ctx: ctx}); err != ErrTimeout {
				fail(s, "the wait ends with %v", err)
			}
			took = clock.Now().Sub(before)
			s.Stop()
		})
		mustEnd(t, s)
		require.Equal(t, time.Hour, took, "%v", start)
	}
}
