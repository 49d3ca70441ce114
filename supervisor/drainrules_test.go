package supervisor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor"
)

var drainEvents = []actortest.Option{
	actortest.Allow(event.Exit), actortest.Allow(event.MessageLost), actortest.Allow(event.DeadLetter),
	actortest.Allow(event.Kill), actortest.Allow(supervisor.EventRestart), actortest.Allow(supervisor.EventGiveUp),
}

// A child that waits for a restart when its turn comes has no reason to wait if it has no message.
func TestDrainDoesNotWaitForABackoffWithoutMessages(t *testing.T) {
	actortest.Explore(t, 50, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		first, broken := actor.NewRef[int](), actor.NewRef[int]()
		handled := 0
		top, err := supervisor.Start(t, supervisor.Spec{Name: "top", Backoff: supervisor.Backoff{Min: time.Hour}, Children: []supervisor.Child{
			{ID: "first", Body: actor.ReceiverBody(first, func(*actor.Tasklet, int) error { handled++; return nil })},
			{ID: "broken", Body: actor.ReceiverBody(broken, func(*actor.Tasklet, int) error { return errors.New("crash") })},
		}})
		require.NoError(tb, err)
		require.NoError(tb, first.Send(t, 1))
		require.NoError(tb, broken.Send(t, 1))
		start := t.System().Now()
		if t.System().Rand().IntN(2) == 0 {
			t.Sleep(time.Second)
		}
		require.NoError(tb, top.Drain(t))
		require.Less(tb, t.System().Now().Sub(start), time.Minute)
		require.Equal(tb, 1, handled)
	}, drainEvents...)
}

// A nested supervisor that gives up during its turn, with messages left in the refs of its
// children, is restarted as any child that has left messages.
func TestDrainRestartsASupervisorWhoseChildrenHaveMessages(t *testing.T) {
	actortest.Explore(t, 50, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ref := actor.NewRef[int]()
		handled, failed := 0, 0
		top, err := supervisor.Start(t, supervisor.Spec{Name: "top", Intensity: 100, Children: []supervisor.Child{
			{ID: "inner", Body: supervisor.Body(supervisor.Spec{Intensity: supervisor.NoRestart, Children: []supervisor.Child{
				{ID: "worker", Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
					t.Sleep(time.Second)
					if m%2 == 0 {
						failed++
						return errors.New("crash")
					}
					handled++
					return nil
				})},
			}})},
		}})
		require.NoError(tb, err)
		for m := range 6 {
			require.NoError(tb, ref.Send(t, m))
		}
		require.NoError(tb, top.Drain(t))
		require.Equal(tb, 3, handled)
		require.Equal(tb, 3, failed)
		require.True(tb, ref.IsDead())
	}, drainEvents...)
}

// A pool that is killed, or gives up, while it drains: its other children drain all the same.
func TestDrainOfAPoolThatEnds(t *testing.T) {
	for _, killed := range []bool{true, false} {
		actortest.Explore(t, 50, func(t *actor.Tasklet) {
			tb := actortest.TB(t)
			handled := 0
			refs := make(map[int]actor.Ref[int])
			pool, err := supervisor.StartPool(t, supervisor.PoolSpec[int]{Name: "pool", Intensity: supervisor.NoRestart, Child: func(i int) supervisor.Child {
				ref := actor.NewRef[int]()
				refs[i] = ref
				return supervisor.Child{Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
					t.Sleep(time.Minute)
					if i == 0 {
						return errors.New("crash")
					}
					handled++
					return nil
				})}
			}})
			require.NoError(tb, err)
			for i := range 5 {
				if i == 0 && killed {
					continue
				}
				_, err := pool.Start(t, i)
				require.NoError(tb, err)
				for m := range 3 {
					require.NoError(tb, refs[i].Send(t, m))
				}
			}
			if killed {
				actor.Go(t, func(t *actor.Tasklet) error {
					t.Sleep(time.Duration(t.System().Rand().IntN(100)) * time.Second)
					pool.Tasklet().Kill()
					return nil
				})
				t.Sleep(time.Duration(t.System().Rand().IntN(2)) * time.Millisecond)
			}
			err = pool.Drain(t)
			if killed {
				require.ErrorIs(tb, err, actor.ErrKilled)
			} else {
				require.ErrorIs(tb, err, supervisor.ErrIntensity)
			}
			require.Equal(tb, 12, handled)
		}, drainEvents...)
	}
}

// Calls and failures of all kinds come amid a drain. It ends, the books are right, and nothing that
// was accepted disappears without a word.
func TestDrainAmidEverything(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.RestForOne, supervisor.OneForAll} {
		t.Run(strategy.String(), func(t *testing.T) {
			actortest.Explore(t, runs(200), func(t *actor.Tasklet) { drainAmid(t, strategy) },
				append(drainEvents, actortest.Allow(event.CallTimeout), actortest.Allow(event.Close), actortest.Allow(event.KillRecovered), actortest.Allow(event.ReplyLate))...)
		})
	}
}

func drainAmid(t *actor.Tasklet, strategy supervisor.Strategy) {
	tb, rand := actortest.TB(t), t.System().Rand()
	pause := func(t *actor.Tasklet) { t.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond) }
	child := func(id string) supervisor.Child {
		ref := actor.NewRef[int]()
		var sender func(t *actor.Tasklet) error = func(t *actor.Tasklet) error {
			for m := range 8 {
				if ref.Send(t, m) != nil {
					return nil
				}
				pause(t)
			}
			return nil
		}
		actor.Go(t, sender)
		return supervisor.Child{
			ID: id, Restart: supervisor.Restart(rand.IntN(3)), Retry: rand.IntN(2),
			Body: actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (actor.Handler[int], error) {
				if rand.IntN(3) == 0 {
					pause(t)
				}
				if rand.IntN(10) == 0 {
					return nil, errors.New("init")
				}
				if rand.IntN(4) == 0 {
					t.OnDrain(t.Kill)
				}
				return func(t *actor.Tasklet, m int) error {
					pause(t)
					switch rand.IntN(10) {
					case 0:
						return errors.New("crash")
					case 1:
						panic("crash")
					case 2:
						actor.Go(t, func(t *actor.Tasklet) error { pause(t); return nil })
					}
					return nil
				}, nil
			}),
		}
	}
	spec := supervisor.Spec{Name: "top", Strategy: strategy, Intensity: []int{3, supervisor.Unlimited}[rand.IntN(2)]}
	if rand.IntN(2) == 0 {
		spec.Backoff = supervisor.Backoff{Min: time.Millisecond, Max: 4 * time.Millisecond}
	}
	ids := []string{"a", "b", "c", "d"}
	for _, id := range ids {
		spec.Children = append(spec.Children, child(id))
	}
	top, err := supervisor.Start(t, spec)
	if err != nil {
		return // an init has failed
	}
	for range 2 {
		actor.Go(t, func(t *actor.Tasklet) error {
			for range 5 {
				pause(t)
				ctx, cancel := actor.WithTimeout(t, time.Second)
				id := ids[rand.IntN(len(ids))]
				switch rand.IntN(6) {
				case 0:
					_ = top.StopChild(ctx, id)
				case 1:
					_ = top.DeleteChild(ctx, id)
				case 2:
					_, _ = top.RestartChild(ctx, id)
				case 3:
					_, _ = top.StartChild(ctx, child(id+"+"))
				case 4:
					for _, c := range top.Tasklet().Children() {
						c.Kill()
						break
					}
				case 5:
					for _, c := range top.Tasklet().Children() {
						_ = c.Drain(ctx)
						break
					}
				}
				cancel()
			}
			return nil
		})
	}
	pause(t)
	other := actor.Go(t, func(t *actor.Tasklet) error { pause(t); _ = top.Drain(t); return nil })
	ctx, cancel := actor.WithTimeout(t, time.Minute)
	defer cancel()
	err = top.Drain(ctx)
	var left *actor.DrainError
	require.False(tb, errors.As(err, &left), "%v", err)
	require.NoError(tb, other.Join(t))
	require.True(tb, top.Tasklet().HasFinished())
	require.NoError(tb, t.System().Check())
}

func TestDrainOfAPoolThatWasNotStarted(t *testing.T) {
	pool := supervisor.NewPool(supervisor.PoolSpec[int]{Child: func(int) supervisor.Child { return supervisor.Child{} }})
	require.PanicsWithValue(t, "supervisor: Drain of a pool that was not started", func() { _ = pool.Drain(t.Context()) })
}
