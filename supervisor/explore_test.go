package supervisor_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor"
)

// A supervisor has no handler that could panic on purpose, whatever Victims says.
func TestExploreSparesSupervisors(t *testing.T) {
	actortest.Explore(t, 50, func(t *actor.Tasklet) {
		s, err := supervisor.Start(t, supervisor.Spec{Children: []supervisor.Child{
			{ID: "a", Body: actor.IntervalBody(time.Hour, func(*actor.Tasklet) error { return nil })},
		}})
		require.NoError(actortest.TB(t), err)
		for range 20 {
			_, err := s.Children(t)
			require.NoError(actortest.TB(t), err)
		}
	}, actortest.Faults(actortest.HandlerPanic), actortest.Victims(func(t *actor.Tasklet) bool { return t.Name() != "a" }))
}

// Whatever fails in whatever order, a supervisor whose window is not full has all its children
// running when things have settled, one incarnation of each, each with the mailbox of its ref; and
// a stop stops all. The children call each other, and some are stopped and restarted by calls
// meanwhile.
func TestExploreSupervisor(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne} {
		t.Run(strategy.String(), func(t *testing.T) {
			actortest.Explore(t, runs(150), func(t *actor.Tasklet) { surviving(t, strategy) },
				actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox, actortest.LateTimer),
				actortest.Allow(event.DeadLetter), // StopChild gives up what is queued
				actortest.Allow(event.Deadlock))   // a full mailbox in a cycle of calls
		})
	}
}

type ask struct {
	n     int
	reply actor.Reply[int]
}

func surviving(t *actor.Tasklet, strategy supervisor.Strategy) {
	tb := actortest.TB(t)
	living := map[string]int{}
	refs := map[string]actor.Ref[ask]{}
	ids := []string{"a", "b", "c"}
	for _, id := range ids {
		refs[id] = actor.NewRef[ask]()
	}
	spec := supervisor.Spec{Strategy: strategy, Intensity: 100, Period: time.Hour}
	for i, id := range ids {
		next := refs[ids[(i+1)%len(ids)]]
		body := actor.ReceiverInitBody(refs[id], func(t *actor.Tasklet) (func(*actor.Tasklet, ask) error, error) {
			living[id]++
			t.Defer(func() { living[id]-- })
			if living[id] > 1 {
				tb.Errorf("%d incarnations of %s at the same time", living[id], id)
			}
			t.Sleep(time.Millisecond)
			return func(t *actor.Tasklet, q ask) error {
				if q.n == 0 {
					return q.reply.Send(t, 0)
				}
				t.Sleep(time.Millisecond)
				ctx, cancel := actor.WithTimeout(t, time.Second)
				defer cancel()
				v, err := actor.Call(ctx, next, func(r actor.Reply[int]) ask { return ask{q.n - 1, r} })
				if err != nil {
					return q.reply.Fail(t, err)
				}
				return q.reply.Send(t, v+1)
			}, nil
		})
		spec.Children = append(spec.Children, supervisor.Child{ID: id, Body: body})
	}
	s, err := supervisor.Start(t, spec)
	if err != nil {
		return // an init was killed: that is an error of the start, and all is undone
	}
	for _, id := range ids {
		actor.Go(t, func(t *actor.Tasklet) error {
			for n := range 3 {
				ctx, cancel := actor.WithTimeout(t, 10*time.Second)
				_, _ = actor.Call(ctx, refs[id], func(r actor.Reply[int]) ask { return ask{n, r} })
				cancel()
			}
			return nil
		}, actor.Name("client of "+id))
	}
	asked := false
	actor.Go(t, func(t *actor.Tasklet) error {
		asked = true
		if s.StopChild(t, "b") == nil {
			_, err := s.RestartChild(t, "b")
			if err != nil && !errors.Is(err, supervisor.ErrRunning) && !errors.Is(err, supervisor.ErrRestarting) {
				return fmt.Errorf("restart of b: %w", err)
			}
		}
		return nil
	}, actor.Name("operator"))
	t.Sleep(time.Minute)
	actortest.Calm(t)
	t.Sleep(time.Minute)
	infos, err := s.Children(t)
	require.NoError(tb, err)
	require.Len(tb, infos, 3)
	for i, info := range infos {
		require.Equal(tb, ids[i], info.ID)
		if info.State == supervisor.Stopped {
			// The operator was killed when it had stopped b, or the restart was. If it has stopped
			// b when a restart of the group was to be tried again, those that come after b in the
			// group are not started either, as in OTP.
			require.True(tb, asked && (info.ID == "b" || strategy != supervisor.OneForOne), info.ID)
			continue
		}
		require.Equal(tb, supervisor.Running, info.State, info.ID)
		require.Equal(tb, 1, living[info.ID], info.ID)
		require.Same(tb, info.Tasklet, refs[info.ID].Tasklet())
	}
	children := s.Tasklet().Children()
	require.True(tb, slices.IsSortedFunc(children, func(a, b *actor.Tasklet) int { return slices.Index(ids, a.Name()) - slices.Index(ids, b.Name()) }),
		"the tree is in the order of the specification")
	s.Tasklet().Kill()
	require.ErrorIs(tb, s.Tasklet().Join(t), actor.ErrKilled)
	require.Equal(tb, map[string]int{"a": 0, "b": 0, "c": 0}, living)
}
