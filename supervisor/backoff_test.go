package supervisor_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// delays crashes a child n times, each pause after it is up again, and gives how long the restarts
// waited.
func delays(t *testing.T, seed uint64, b supervisor.Backoff, n int, pause time.Duration) (ds []time.Duration) {
	var seen events
	cfg := seen.config(supervisor.EventRestart)
	cfg.Seed = seed
	runWith(t, cfg, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[bool]()
		var up time.Time
		body := actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, bool) error, error) {
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

func fieldDuration(e actor.EventRecord, key string) time.Duration {
	for _, f := range e.Fields {
		if f.Key == key && f.Type == zapcore.DurationType {
			return time.Duration(f.Integer)
		}
	}
	return -1
}

// Rule 36: Min after the first failure, Factor times as long after each further one, at most Max;
// after ResetAfter of quiet Min again.
func TestBackoff(t *testing.T) {
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

// "A child waiting for its backoff shows as restarting; a stop gets in between", and so does the
// end of the supervisor; StopChild cancels the restart (rule 33).
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
	// It can be deleted and started anew while the old timer would still run; the old restart does
	// not come.
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

// starts gives when the tasklets of a child are started, each of which fails after up, in the first
// d. Its start takes dial, and fails but for the first time if fails is set.
func starts(t *testing.T, spec supervisor.Spec, d, up, dial time.Duration, fails bool) (at []time.Duration) {
	t.Helper()
	run(t, func(t0 *actor.Tasklet) {
		begin, ref := t0.System().Now(), actor.NewRef[int]()
		t0.Sleep(time.Hour) // so that a sum with the time of day is out of range, too
		init := func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			at = append(at, t.System().Now().Sub(begin)-time.Hour)
			if len(at) > 1 {
				t.Sleep(dial)
				if fails {
					return nil, errCrash
				}
			}
			actor.SendAfter(t, up, ref, 1)
			return func(*actor.Tasklet, int) error { return errCrash }, nil
		}
		spec.Children = []supervisor.Child{{ID: "a", Body: actor.ReceiverInitBody(ref, init)}}
		start(t0, spec)
		t0.Sleep(d)
	})
	return at
}

func seconds(ns ...float64) (ds []time.Duration) {
	for _, n := range ns {
		ds = append(ds, time.Duration(math.Round(n*1e9)))
	}
	return ds
}

// A backoff begins anew when the child was up for ResetAfter. What a start takes is no time in
// which it was up, whether the start fails or not, nor is the delay itself.
func TestBackoffResetsByTimeUp(t *testing.T) {
	// reset after 16 s
	spec := supervisor.Spec{Intensity: supervisor.Unlimited, Backoff: supervisor.Backoff{Min: time.Second, Max: 8 * time.Second}}
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		up, dial time.Duration
		fails    bool
		want     []time.Duration
	}{
		{"starts fail slowly", 0, 20 * time.Second, true, seconds(0, 1, 23, 47, 75, 103)},
		{"starts succeed slowly", 0, 20 * time.Second, false, seconds(0, 1, 23, 47, 75, 103)},
		{"up for too short", 16*time.Second - ms, 0, false, seconds(0, 16.999, 34.998, 54.997, 78.996, 102.995)},
		{"up for long enough", 16 * time.Second, 0, false, seconds(0, 17, 34, 51, 68, 85, 102)},
		{"up for long enough after slow starts", 16 * time.Second, 10 * time.Second, false, seconds(0, 17, 44, 71, 98)},
	} {
		require.Equal(t, c.want, starts(t, spec, 110*time.Second, c.up, c.dial, c.fails), c.name)
	}
}

// How long a child was up is known also when its supervisor is busy when it ends: with the start of
// another child, for a minute.
func TestBackoffOfAChildThatEndsWhileItsSupervisorIsBusy(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		slow := supervisor.Child{ID: "slow", Body: actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			t.Sleep(time.Minute)
			return func(*actor.Tasklet, int) error { return nil }, nil
		})}
		s := start(t0, supervisor.Spec{
			Intensity: supervisor.Unlimited, Backoff: supervisor.Backoff{Min: time.Second, Max: 8 * time.Second},
			Children: f.children("a"),
		})
		f.send(t0, "a", errCrash)
		t0.Sleep(time.Second)
		actor.Go(t0, func(t *actor.Tasklet) error { _, err := s.StartChild(t, slow); return err })
		settle(t0)
		// it was up for some milliseconds, and the supervisor hears of it a minute later
		f.send(t0, "a", errCrash)
		f.took()
		t0.Sleep(61 * time.Second)
		require.Empty(t, f.took(), "the second delay is of two seconds")
		t0.Sleep(time.Second)
		require.Equal(t, "start a", f.took())
	})
}

// The longest times there are: nothing overflows, now or with the time of day added.
func TestBackoffOfTheLongestTimes(t *testing.T) {
	const most = time.Duration(math.MaxInt64)
	for _, c := range []struct {
		b    supervisor.Backoff
		want []time.Duration
	}{
		{supervisor.Backoff{Min: time.Second, Max: most}, seconds(0, 1, 3, 7, 15)},
		{supervisor.Backoff{Min: time.Second, Max: most / 2}, seconds(0, 1, 3, 7, 15)},
		{supervisor.Backoff{Min: time.Second, Max: 4 * time.Second, ResetAfter: most}, seconds(0, 1, 3, 7, 11, 15, 19)},
		{supervisor.Backoff{Min: most, Max: most}, seconds(0)},
		{supervisor.Backoff{Min: most}, seconds(0)},
		{supervisor.Backoff{Min: most, Jitter: 1e-300}, seconds(0)},
		{supervisor.Backoff{Min: time.Second, Max: most, Factor: 1e300}, seconds(0, 1)},
		{supervisor.Backoff{Min: time.Second, Max: most, Factor: math.Inf(1)}, seconds(0, 1)},
	} {
		spec := supervisor.Spec{Intensity: supervisor.Unlimited, Backoff: c.b}
		require.Equal(t, c.want, starts(t, spec, 20*time.Second, 0, 0, false), "%+v", c.b)
	}
}

// With Unlimited a supervisor never gives up, and keeps no account of what was: also its tree and
// its reports have no window.
func TestUnlimited(t *testing.T) {
	var seen events
	runWith(t, seen.config(supervisor.EventRestart), func(t0 *actor.Tasklet) {
		n := 0
		s := start(t0, supervisor.Spec{Name: "s", Intensity: supervisor.Unlimited, Period: math.MaxInt64, Children: []supervisor.Child{
			{ID: "a", Body: actor.GoBody(func(t *actor.Tasklet) error {
				if n++; n > 10_000 {
					t.Sleep(time.Hour)
				}
				return errCrash
			})},
		}})
		t0.Sleep(time.Second)
		require.Equal(t, "a running", states(t0, s))
		var text strings.Builder
		require.NoError(t, tree.Write(&text, s.Tasklet()))
		require.Contains(t, text.String(), "restarts 10000 unlimited")
		require.Equal(t, supervisor.Unlimited, tree.Snapshot(s.Tasklet())[0].Supervision.Max)
		require.NoError(t, s.Check())
	})
	require.Len(t, seen.all, 10_000)
	for _, f := range seen.all[0].Fields {
		require.NotContains(t, []string{"window", "window_restarts", "max_restarts"}, f.Key)
	}
}

// The default Intensity with a Backoff: the second failure within Period ends the supervisor, as
// the comment on the field says.
func TestBackoffWithTheDefaultIntensity(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Backoff: supervisor.Backoff{Min: time.Second}, Children: f.children("a")})
		f.send(t0, "a", errCrash)
		t0.Sleep(time.Second)
		f.send(t0, "a", errCrash)
		require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
	})
}
