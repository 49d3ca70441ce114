package actortest_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
)

var oddTimes = []time.Duration{
	0, 1, -1, -time.Second, math.MinInt64, time.Millisecond, 1500 * time.Microsecond, time.Hour, math.MaxInt64/2 + 1, math.MaxInt64,
}

// The odd times: no limit, the default, at once or never, and nothing overflows.
func TestTimesOfTests(t *testing.T) {
	const farOff = 100 * 365 * 24 * time.Hour
	for _, d := range oddTimes {
		if d <= 0 || d >= time.Hour {
			actortest.Run(t, func(t *actor.Tasklet) { t.Sleep(time.Hour) }, actortest.Limit(d))
		} else {
			fails(t, func(t *actor.Tasklet) {
				for {
					t.Yield()
				}
			}, actortest.Limit(d))
		}
		waits := func(t *actor.Tasklet) {
			p := actortest.NewProbe[int](t)
			p.Within = d
			actor.SendAfter(t, time.Second, p.Ref(), 1)
			p.Expect(1)
		}
		if d <= 0 || d >= time.Second { // not positive: the default
			actortest.Run(t, waits)
		} else {
			require.Contains(t, fails(t, waits), "nothing within")
		}
		actortest.Run(t, func(t *actor.Tasklet) {
			tb := actortest.TB(t)
			t.Sleep(time.Hour)
			begin := t.System().Now()
			actortest.NewProbe[int](t).ExpectNone(d)
			took := t.System().Now().Sub(begin)
			if d > farOff {
				require.Greater(tb, took, farOff)
			} else {
				require.LessOrEqual(tb, max(0, d), took)
				require.LessOrEqual(tb, took, max(0, d)+2*time.Millisecond)
			}
		})
		actortest.Run(t, func(t *actor.Tasklet) {
			begin := t.System().Now()
			require.NoError(actortest.TB(t), (&actortest.Script{}).Handle("x")(t, actortest.Message{Busy: d}))
			if took := t.System().Now().Sub(begin); d < farOff {
				require.LessOrEqual(actortest.TB(t), took, max(0, d)+time.Millisecond)
			}
		})
	}
}
