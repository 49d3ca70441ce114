package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

// Rule 40: whatever fails during a drain, each message that was accepted is handled once, or was in
// hand when its handler failed. The children have ended in reverse order of start.
func TestDrainLosesNothing(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.RestForOne, supervisor.OneForAll} {
		t.Run(strategy.String(), func(t *testing.T) {
			actortest.Explore(t, runs(150), func(t *actor.Tasklet) {
				drainOnce(t, strategy, time.Duration(t.System().Rand().IntN(3))*time.Millisecond)
			}, actortest.Allow(event.Exit), actortest.Allow(event.MessageLost), actortest.Allow(supervisor.EventRestart))
		})
	}
}

type drainCount struct{ accepted, handled, lost int }

func drainOnce(t *actor.Tasklet, strategy supervisor.Strategy, backoff time.Duration) {
	tb, rand := actortest.TB(t), t.System().Rand()
	counts := make(map[string]*drainCount)
	var ends []string
	var refs []actor.Ref[int]
	child := func(path string) supervisor.Child {
		n := &drainCount{}
		counts[path] = n
		ref := actor.NewRef[int](actor.Name(path))
		refs = append(refs, ref)
		return supervisor.Child{
			ID: path,
			Body: actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (actor.Handler[int], error) {
				t.Defer(func() { ends = append(ends, path) })
				return func(t *actor.Tasklet, m int) error {
					n.lost++ // in hand, if it fails or is killed
					t.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
					if m%5 == 0 {
						return errors.New("crash")
					}
					n.lost--
					n.handled++
					return nil
				}, nil
			}),
			Restart: supervisor.Restart(rand.IntN(2)), // permanent or transient
		}
	}
	spec := supervisor.Spec{Name: "top", Strategy: strategy, Intensity: supervisor.Unlimited, Children: []supervisor.Child{
		child("a"),
		{ID: "inner", Body: supervisor.Body(supervisor.Spec{
			Intensity: supervisor.Unlimited, Strategy: strategy,
			Children: []supervisor.Child{child("b"), child("c")},
		})},
		child("d"),
	}}
	if backoff > 0 {
		spec.Backoff = supervisor.Backoff{Min: backoff}
	}
	top, err := supervisor.Start(t, spec)
	require.NoError(tb, err)
	ids := []string{"a", "b", "c", "d"}
	for i, ref := range refs {
		n := counts[ids[i]]
		actor.Go(t, func(t *actor.Tasklet) error {
			for m := range 20 {
				switch err := ref.Send(t, m); {
				case err == nil:
					n.accepted++
				case errors.Is(err, mailbox.ErrClosed):
				default:
					tb.Errorf("send: %v", err)
				}
				if rand.IntN(4) == 0 {
					t.Sleep(time.Millisecond)
				}
			}
			return nil
		})
	}
	t.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
	require.NoError(tb, top.Drain(t))
	for id, n := range counts {
		require.Equal(tb, n.accepted, n.handled+n.lost, "%s: %+v", id, *n)
	}
	var last []string // the last end of each
	for _, id := range slices.Backward(ends) {
		if !slices.Contains(last, id) {
			last = append(last, id)
		}
	}
	// otherwise a group may begin again that was partly drained
	if strategy == supervisor.OneForOne {
		require.Equal(tb, ids, last, "%v", ends)
	}
	for _, ref := range refs {
		require.True(tb, ref.IsDead())
	}
}

// A pool drains its children at the same time, also those that fail, and takes no new ones.
func TestDrainOfAPool(t *testing.T) {
	actortest.Explore(t, 50, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		handled := 0
		refs := make(map[int]actor.Ref[int])
		pool, err := supervisor.StartPool(t, supervisor.PoolSpec[int]{Name: "pool", Intensity: supervisor.Unlimited, Child: func(i int) supervisor.Child {
			ref := actor.NewRef[int]()
			refs[i] = ref
			return supervisor.Child{Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
				t.Sleep(time.Second)
				handled++
				if m == 1 {
					return errors.New("crash")
				}
				return nil
			})}
		}})
		require.NoError(tb, err)
		for i := range 10 {
			_, err := pool.Start(t, i)
			require.NoError(tb, err)
			for m := range 3 {
				require.NoError(tb, refs[i].Send(t, m))
			}
		}
		start := t.System().Now()
		caller := actor.Go(t, func(t *actor.Tasklet) error {
			t.Sleep(time.Second / 2)
			_, err := pool.Start(t, 10)
			require.ErrorIs(tb, err, mailbox.ErrClosed)
			return nil
		})
		require.NoError(tb, pool.Drain(t))
		require.NoError(tb, caller.Join(t))
		require.Equal(tb, 30, handled)
		require.Less(tb, t.System().Now().Sub(start), 15*time.Second)
	}, actortest.Allow(event.Exit), actortest.Allow(event.MessageLost), actortest.Allow(supervisor.EventRestart))
}

// A drain whose time is over names what is left, with the messages, and ends the supervisor.
func TestDrainThatTakesTooLong(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		slow, broken := actor.NewRef[int](), actor.NewRef[int]()
		top, err := supervisor.Start(t, supervisor.Spec{Name: "top", Backoff: supervisor.Backoff{Min: time.Hour}, Children: []supervisor.Child{
			{ID: "slow", Body: actor.ReceiverBody(slow, func(t *actor.Tasklet, m int) error { t.Sleep(time.Minute); return nil })},
			{ID: "idle", Body: actor.ReceiverBody(actor.NewRef[int](), func(t *actor.Tasklet, m int) error { return nil })},
			{ID: "broken", Body: actor.ReceiverBody(broken, func(t *actor.Tasklet, m int) error { return errors.New("crash") })},
		}})
		require.NoError(tb, err)
		for i := range 3 {
			require.NoError(tb, slow.Send(t, i))
			require.NoError(tb, broken.Send(t, i))
		}
		ctx, cancel := actor.WithTimeout(t, time.Second)
		defer cancel()
		err = top.Drain(ctx)
		require.ErrorIs(tb, err, scheduler.ErrTimeout)
		var left *actor.DrainError
		require.ErrorAs(tb, err, &left)
		require.Equal(tb, map[string]int{"/test/top/slow": 2, "/test/top/broken": 2}, left.Left)
		require.EqualError(tb, left, "actor: not drained in time: /test/top/broken (messages: 2), /test/top/slow (messages: 2)")
		_ = top.Tasklet().Join(t)
		require.True(tb, slow.IsDead() && broken.IsDead())
	}, actortest.Allow(event.Exit), actortest.Allow(event.MessageLost), actortest.Allow(event.DeadLetter), actortest.Allow(supervisor.EventRestart), actortest.Allow(event.Kill))
}

func ExampleSupervisor_Drain() {
	cfg := actor.Config{Name: "shop", Clock: scheduler.NewVirtualClock(time.Time{})}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		orders := actor.NewRef[string]()
		top, err := supervisor.Start(t, supervisor.Spec{Name: "top", Children: []supervisor.Child{
			{ID: "orders", Body: actor.ReceiverBody(orders, func(t *actor.Tasklet, order string) error {
				t.Sleep(time.Second)
				fmt.Println("stored", order)
				return nil
			})},
		}})
		if err != nil {
			return err
		}
		for _, order := range strings.Fields("tea coffee") {
			if err := orders.Send(t, order); err != nil {
				return err
			}
		}
		ctx, cancel := actor.WithTimeout(t, 20*time.Second)
		defer cancel()
		err = top.Drain(ctx)
		fmt.Println("drained", err, orders.Send(t, "cocoa"))
		return nil
	})
	fmt.Println(err)
	// Output:
	// stored tea
	// stored coffee
	// drained <nil> mailbox: closed
	// <nil>
}
