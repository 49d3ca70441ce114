package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/flow/limiter"
	"github.com/gotasklet/tasklet/scheduler"
)

// Whatever calls are refused, killed or end their context: in no span of time more calls are let
// through than the limits say, those that wait go first come first served, and after all no turn
// was lost.
func TestLimiter(t *testing.T) {
	actortest.Explore(t, 200, func(t *actor.Tasklet) {
		tb, rand := actortest.TB(t), t.System().Rand()
		burst, waiting := 1+rand.IntN(4), rand.IntN(6)
		l, err := limiter.New(t.System(), limiter.Config{PerSecond: 2, Burst: burst, Waiting: waiting})
		require.NoError(tb, err)

		var at []time.Time // of the calls that were let through
		var line []int     // the calls that wait, in order
		var all []*actor.Tasklet
		for i := range 40 {
			all = append(all, actor.Go(t, func(t *actor.Tasklet) error {
				ctx, cancel := actor.WithTimeout(t, time.Duration(1+i%7)*time.Second)
				defer cancel()
				line = append(line, i)
				left := func() (first bool) {
					for p, j := range line {
						if j == i {
							line = append(line[:p:p], line[p+1:]...)
							return p == 0
						}
					}
					return false
				}
				defer left()
				err := l.Wait(ctx)
				var full *limiter.FullError
				switch {
				case err == nil:
					require.True(tb, left(), "a call overtook")
					at = append(at, t.System().Now())
				case errors.As(err, &full):
					require.Equal(tb, waiting, full.Waiting)
				default:
					require.ErrorIs(tb, err, scheduler.ErrTimeout)
				}
				return nil
			}))
			t.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
			switch rand.IntN(5) {
			case 0:
				all[rand.IntN(len(all))].Kill()
			case 1:
				if l.Allow() {
					require.Empty(tb, line, "Allow overtook those that wait")
					at = append(at, t.System().Now())
				}
			}
		}
		_, _ = actor.JoinEach(t, all...)
		for i := range at {
			for j := i; j < len(at); j++ {
				most := float64(burst) + 2*at[j].Sub(at[i]).Seconds()
				require.LessOrEqual(tb, float64(j-i+1), most+1e-6, "%d calls in %v", j-i+1, at[j].Sub(at[i]))
			}
		}
		t.Sleep(time.Hour)
		for range burst {
			require.True(tb, l.Allow(), "a turn was lost")
		}
		require.False(tb, l.Allow())
	}, actortest.Allow(event.Exit))
}

// A call that waits and is killed gives its turn to the next, which need not wait longer.
func TestKilledWhileItWaits(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb, start := actortest.TB(t), t.System().Now()
		l, err := limiter.New(t.System(), limiter.Config{PerSecond: 1, Burst: 1, Waiting: 2})
		require.NoError(tb, err)
		require.NoError(tb, l.Wait(t))
		first := actor.Go(t, func(t *actor.Tasklet) error { return l.Wait(t) })
		second := actor.New(t, func(t *actor.Tasklet) (time.Time, error) {
			err := l.Wait(t)
			return t.System().Now(), err
		})
		t.Sleep(500 * time.Millisecond)
		first.Kill()
		at, err := second.Join(t)
		require.NoError(tb, err)
		require.Equal(tb, time.Second, at.Sub(start))
	}, actortest.Allow(event.Exit))
}

// A call whose context ends before its turn has taken nothing.
func TestContextEndsBeforeTheTurn(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb, start := actortest.TB(t), t.System().Now()
		l, err := limiter.New(t.System(), limiter.Config{PerSecond: 0.1, Burst: 1, Waiting: 1})
		require.NoError(tb, err)
		require.True(tb, l.Allow())
		ctx, cancel := actor.WithTimeout(t, 9*time.Second)
		require.ErrorIs(tb, l.Wait(ctx), scheduler.ErrTimeout)
		require.Equal(tb, 9*time.Second, t.System().Now().Sub(start))
		cancel()
		require.ErrorIs(tb, l.Wait(ctx), context.DeadlineExceeded, "of a context that has ended")
		require.NoError(tb, l.Wait(t))
		require.Equal(tb, 10*time.Second, t.System().Now().Sub(start))
	})
}

func TestConfig(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		for _, c := range []struct {
			cfg  limiter.Config
			want string
		}{
			{limiter.Config{Burst: 1}, "PerSecond is 0: must be from"},
			{limiter.Config{PerSecond: math.NaN(), Burst: 1}, "PerSecond is NaN"},
			{limiter.Config{PerSecond: math.Inf(1), Burst: 1}, "PerSecond is +Inf"},
			{limiter.Config{PerSecond: 1e-10, Burst: 1}, "PerSecond is 1e-10"},
			{limiter.Config{PerSecond: 1}, "Burst is 0"},
			{limiter.Config{PerSecond: 1, Burst: 1, Waiting: -1}, "Waiting is -1"},
		} {
			_, err := limiter.New(t.System(), c.cfg)
			require.ErrorContains(tb, err, c.want)
		}
		_, err := limiter.New(nil, limiter.Config{PerSecond: 1, Burst: 1})
		require.ErrorContains(tb, err, "without a system")
		for _, r := range []float64{1e-6, 1e9} {
			l, err := limiter.New(t.System(), limiter.Config{PerSecond: r, Burst: 1, Waiting: 1})
			require.NoError(tb, err)
			require.True(tb, l.Allow())
			require.NoError(tb, l.Wait(t))
		}
	})
}

func Example() {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{})}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		l, err := limiter.New(t.System(), limiter.Config{PerSecond: 10, Burst: 2, Waiting: 2})
		if err != nil {
			return err
		}
		start := t.System().Now()
		for i := range 5 {
			actor.Go(t, func(t *actor.Tasklet) error {
				err := l.Wait(t)
				fmt.Println(i, t.System().Now().Sub(start), err)
				return nil
			})
		}
		_, err = t.JoinChildren(t)
		return err
	})
	fmt.Println(err)
	// Output:
	// 0 0s <nil>
	// 1 0s <nil>
	// 4 0s limiter: too many calls wait: 2
	// 2 100ms <nil>
	// 3 200ms <nil>
	// <nil>
}

// A context that has ended before the call has the same error as one that ends during it.
func TestWaitAfterTheDeadline(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		l, err := limiter.New(t.System(), limiter.Config{PerSecond: 1, Burst: 1})
		require.NoError(tb, err)
		ctx, cancel := context.WithDeadline(t, time.Now().Add(-time.Second))
		defer cancel()
		require.Equal(tb, scheduler.ErrTimeout, l.Wait(ctx))
		require.NoError(tb, l.Wait(t), "the refused call was not counted")
	})
}
