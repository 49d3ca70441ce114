package supervisor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// delays crashes a child n times, each pause after it is up again, and gives how long the restarts waited.
func delays(t *testing.T, seed uint64, b supervisor.Backoff, n int, pause time.Duration) (ds []time.Duration) {
	var seen events
	cfg := seen.config(supervisor.EventRestart)
	cfg.Seed = seed
	runWith(t, cfg, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[bool]()
		var up time.Time
		body := actor.HandleInit(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, bool) error, error) {
			up = t.System().Now()
			return func(*actor.Tasklet, bool) error { return errCrash }, nil
		})
		start(t0, supervisor.Spec{Intensity: 1 << 20, Backoff: b, Children: []supervisor.Child{{ID: "a", Body: body}}})
		for range n {
			t0.Sleep(pause)
			down := t0.System().Now()
			require.NoError(t, ref.Send(t0, true))
			for !up.After(down) {
				t0.Sleep(50 * time.Millisecond)
			}
			ds = append(ds, up.Sub(down))
		}
	})
	for i, e := range seen.all {
		require.InDelta(t, ds[i], fieldDuration(e, "delay"), float64(time.Millisecond), "the event tells it, a tick rounded up")
	}
	return ds
}

func fieldDuration(e actor.Event, key string) time.Duration {
	for _, f := range e.Fields {
		if f.Key == key && f.Type == zapcore.DurationType {
			return time.Duration(f.Integer)
		}
	}
	return -1
}

// Rule 36: Min after the first failure, Factor times as long after each further one, at most Max; after ResetAfter of quiet Min again.
func TestBackoff(t *testing.T) {
	seconds := func(ns ...float64) (ds []time.Duration) {
		for _, n := range ns {
			ds = append(ds, time.Duration(n*float64(time.Second)))
		}
		return ds
	}
	b := supervisor.Backoff{Min: time.Second, Max: 10 * time.Second}
	require.Equal(t, seconds(1, 2, 4, 8, 10, 10), delays(t, 0, b, 6, time.Millisecond))
	require.Equal(t, seconds(1, 1, 1), delays(t, 0, b, 3, 21*time.Second), "quiet for twice Max: the default")
	require.Equal(t, seconds(1, 2, 4), delays(t, 0, b, 3, 19*time.Second))
	b.Factor, b.ResetAfter = 3, 5*time.Second
	require.Equal(t, seconds(1, 3, 9, 10), delays(t, 0, b, 4, 4*time.Second))
	require.Equal(t, seconds(1, 1), delays(t, 0, b, 2, 6*time.Second))
	b.Factor = 1
	require.Equal(t, seconds(1, 1, 1), delays(t, 0, b, 3, time.Millisecond))
	require.Equal(t, seconds(16, 30, 30), delays(t, 0, supervisor.Backoff{Min: 16 * time.Second}, 3, time.Millisecond), "Max is 30 s by default")
	require.Equal(t, seconds(0.001, 0.002), delays(t, 0, supervisor.Backoff{Max: time.Second}, 2, time.Millisecond), "Max alone: Min is 1 ms")
	require.Equal(t, seconds(40, 40), delays(t, 0, supervisor.Backoff{Min: 40 * time.Second}, 2, time.Millisecond))
}

// Jitter draws the delay from the last part of it; with a seed a run repeats.
func TestJitter(t *testing.T) {
	b := supervisor.Backoff{Min: 10 * time.Second, Factor: 1, Jitter: 0.5}
	traces := map[string]int{}
	for seed := range uint64(8) {
		ds := delays(t, seed, b, 20, time.Millisecond)
		distinct := map[time.Duration]bool{}
		for _, d := range ds {
			require.GreaterOrEqual(t, d, 5*time.Second)
			require.LessOrEqual(t, d, 10*time.Second+time.Millisecond)
			distinct[d] = true
		}
		require.Greater(t, len(distinct), 10)
		traces[fmt.Sprint(ds)]++
		if seed > 0 {
			require.Equal(t, ds, delays(t, seed, b, 20, time.Millisecond), "seed %d", seed)
		}
	}
	require.Len(t, traces, 8, "another seed, another trace")
}

// "A child waiting for its backoff shows as restarting; a stop gets in between", and so does the end of the supervisor; StopChild
// cancels the restart (rule 33).
func TestStopDuringBackoff(t *testing.T) {
	spec := func(f *family) supervisor.Spec {
		cs := f.children("a", "b")
		cs[1].Restart = supervisor.Transient
		tmp := f.child("c")
		return supervisor.Spec{Backoff: supervisor.Backoff{Min: time.Minute}, Children: append(cs, tmp)}
	}
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, spec(f))
		f.send(t0, "a", errCrash)
		require.Equal(t, "a restarting, b running, c running", states(t0, s))
		require.NoError(t, f.ref("a").Send(t0, 1), "held")
		before := t0.System().Now()
		require.NoError(t, s.StopChild(t0, "a"))
		require.Zero(t, t0.System().Now().Sub(before))
		require.Equal(t, "a stopped, b running, c running", states(t0, s))
		require.ErrorIs(t, f.ref("a").Send(t0, 1), mailbox.ErrClosed)
		t0.Sleep(time.Hour)
		require.Equal(t, "a stopped, b running, c running", states(t0, s))
		require.NoError(t, s.DeleteChild(t0, "a"))
	})
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, spec(f))
		f.send(t0, "b", errCrash)
		before := t0.System().Now()
		s.Tasklet().Kill()
		_ = s.Tasklet().Join(t0)
		require.Zero(t, t0.System().Now().Sub(before))
		f.took()
		t0.Sleep(time.Hour)
		require.Empty(t, f.took())
		require.True(t, f.ref("b").IsDead())
	})
	// It can be deleted and started anew while the old timer would still run; the old restart does not come.
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, spec(f))
		f.send(t0, "a", errCrash)
		t0.Sleep(30 * time.Second)
		require.NoError(t, s.StopChild(t0, "a"))
		_, err := s.RestartChild(t0, "a")
		require.NoError(t, err)
		f.took()
		f.send(t0, "a", errCrash)
		t0.Sleep(31 * time.Second)
		require.Equal(t, "end a", f.took(), "the second failure waits two minutes")
		t0.Sleep(2 * time.Minute)
		require.Equal(t, "start a", f.took())
	})
}

// With a backoff the others of the group are stopped at once, and all are started after it.
func TestBackoffOfAGroup(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{
			Strategy: supervisor.RestForOne, Backoff: supervisor.Backoff{Min: time.Minute}, Children: f.children("a", "b", "c"),
		})
		f.took()
		f.send(t0, "b", errCrash)
		require.Equal(t, "end b, end c", f.took())
		require.Equal(t, "a running, b restarting, c stopped", states(t0, s))
		// What is started in between is part of the group.
		_, err := s.RestartChild(t0, "c")
		require.NoError(t, err)
		_, err = s.StartChild(t0, f.child("d"))
		require.NoError(t, err)
		f.took()
		t0.Sleep(time.Minute)
		require.Equal(t, "end d, end c, start b, start c, start d", f.took())
	})
}

// A stop during the backoff takes the timer back: nothing of it reaches the supervisor later.
func TestStopDuringBackoffLeavesNoTimer(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Backoff: supervisor.Backoff{Min: time.Minute}, Children: f.children("a")})
		f.send(t0, "a", errCrash)
		require.NoError(t, s.StopChild(t0, "a"))
		handled := func() uint64 { return s.Tasklet().Info().Mailbox.Handled }
		before := handled()
		t0.Sleep(time.Hour)
		require.Equal(t, before, handled())
	})
}
