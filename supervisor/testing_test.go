package supervisor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/supervisor"
)

// The tests of docs/testing.md that need a supervisor. See TestGuide in actor/actortest.

func TestCounterIsRestarted(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		sums := actortest.NewProbe[int](t)
		// sends its sum after each number; a negative one is an error
		counter := startCounter(t, sums.Ref())
		first := counter.Tasklet()
		for _, n := range []int{1, 2, -1, 4} {
			require.NoError(actortest.TB(t), counter.Send(t, n))
		}
		sums.Expect(1)
		sums.Expect(3)
		sums.ExpectExit(first, reason.Error)
		sums.Expect(4) // it has begun anew, and what was queued is not lost
	})
}

func TestCounterBearsFaults(t *testing.T) {
	actortest.Explore(t, 200, func(t *actor.Tasklet) {
		sums, last := actortest.NewProbe[int](t), 0
		counter := startCounter(t, sums.Ref())
		for range 10 {
			require.NoError(actortest.TB(t), counter.Send(t, 1))
			t.Sleep(time.Second)
		}
		for _, sum := range sums.Got() {
			require.True(actortest.TB(t), sum == last+1 || sum == 1, "%d after %d", sum, last)
			last = sum
		}
	}, actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox))
}

func startCounter(t *actor.Tasklet, sums actor.Ref[int]) actor.Ref[int] {
	ref := actor.NewRef[int]()
	body := actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
		sum := 0
		return func(t *actor.Tasklet, n int) error {
			if n < 0 {
				return errors.New("negative")
			}
			sum += n
			return sums.Send(t, sum)
		}, nil
	})
	_, err := supervisor.Start(t, supervisor.Spec{
		Intensity: 20,
		Children:  []supervisor.Child{{ID: "counter", Body: body}},
	})
	require.NoError(actortest.TB(t), err)
	return ref
}
