package actor_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// A system asks each function of its Simulation, and does what it says.
func TestSimulation(t *testing.T) {
	settled, goroutines := 0, atomic.Int64{}
	var bad, lost *actor.Tasklet
	var failure error
	sim := &actor.Simulation{
		Order:     func(n int) int { return n - 1 }, // the last one first
		Settled:   func() { settled++ },
		Goroutine: func() { goroutines.Add(1) },
		Panic: func(t *actor.Tasklet) any {
			if t == bad {
				return "simulated"
			}
			return nil
		},
		Lost:         func(t *actor.Tasklet) bool { return t == lost },
		CheckThreads: true,
	}
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Seed: 1, Simulation: sim, OnEvent: func(e actor.EventRecord) {
		if e.Kind == event.Failure {
			failure = e.Err
		}
	}}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		order := ""
		for _, name := range []string{"a", "b", "c"} {
			actor.Go(t0, func(*actor.Tasklet) error { order += name; return nil })
		}
		t0.Sleep(time.Second)
		require.Equal(t, "cba", order)
		require.NotZero(t, settled)

		handled := 0
		ref := actor.Receiver(t0, func(*actor.Tasklet, int) error { handled++; return nil })
		bad = ref.Tasklet()
		require.NoError(t, ref.Send(t0, 1))
		t0.Sleep(time.Second)
		require.ErrorContains(t, failure, "simulated")
		require.Zero(t, handled)

		before := goroutines.Load()
		_, err := actor.Await(t0, func(context.Context) (int, error) { return 1, nil })
		require.NoError(t, err)
		require.Greater(t, goroutines.Load(), before)

		lost = actor.Go(t0, func(t *actor.Tasklet) error {
			_, err := actor.Await(t, func(context.Context) (int, error) { return 1, nil })
			return err
		})
		for range 3 { // no time passes while an Await waits
			t0.Yield()
		}
		require.False(t, lost.HasFinished())
		lost.Kill()
		require.ErrorIs(t, lost.Join(t0), actor.ErrKilled)

		locks := actor.Go(t0, func(*actor.Tasklet) error { runtime.LockOSThread(); return nil })
		require.ErrorContains(t, locks.Join(t0), "locked to an OS thread")
		return nil
	}))
}
