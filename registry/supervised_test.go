package registry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/supervisor"
)

var errCrash = errors.New("crash")

// crashing is a handler that fails on a negative number.
func crashing(_ *actor.Tasklet, n int) error {
	if n < 0 {
		return errCrash
	}
	return nil
}

// named is a child specification with a name.
func named(r *registry.Registry, id string) (supervisor.Child, actor.Ref[int]) {
	ref := actor.NewRef[int]()
	return supervisor.Child{
		ID: id, Body: actor.ReceiverBody(ref, crashing), Options: []actor.Option{registry.As(r, id, ref)},
	}, ref
}

func has(t testing.TB, r *registry.Registry, name string, ref actor.Ref[int]) {
	t.Helper()
	got, err := registry.Lookup[int](r, name)
	require.NoError(t, err)
	require.True(t, ref == got, "%v has the name", got)
}

// Rule 21, "unless the ref is held": a restart keeps the name, the membership and the labels, with
// any strategy, at any time in between, and with a backoff.
func TestNameOverRestarts(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne} {
		for _, backoff := range []supervisor.Backoff{{}, {Min: time.Minute}} {
			t.Run(fmt.Sprint(strategy, backoff.Min), func(t *testing.T) {
				var j journal
				require.NoError(t, actor.Run(context.Background(), config(&j), func(t0 *actor.Tasklet) error {
					r := registry.Of(t0.System())
					a, refA := named(r, "a")
					b, refB := named(r, "b")
					s, err := supervisor.Start(t0, supervisor.Spec{
						Name: "s", Strategy: strategy, Backoff: backoff, Children: []supervisor.Child{a, b}, Intensity: 10,
					})
					require.NoError(t, err)
					g := group[int](t, r, "g")
					require.NoError(t, g.Join(refA))
					require.NoError(t, g.Join(refB))
					key, err := g.ForKey("k")
					require.NoError(t, err)
					for range 3 {
						old := refA.Tasklet()
						require.NoError(t, refA.Send(t0, -1))
						// also when nobody runs
						for refA.Tasklet() == nil || refA.Tasklet() == old {
							has(t, r, "a", refA)
							has(t, r, "b", refB)
							require.Equal(t, []actor.Ref[int]{refA, refB}, g.Members())
							err := registry.Register(r, "a", idle(t0))
							require.EqualError(t, err, `registry: name "a" is taken by /sys/s/a`)
							if t0.Yield(); refA.Tasklet() == nil {
								t0.Sleep(time.Second)
							}
						}
						t0.Sleep(time.Second)
						require.Equal(t, map[string]string{"name": "a", "groups": "g"}, refA.Tasklet().Info().Labels)
						require.Equal(t, map[string]string{"name": "b", "groups": "g"}, refB.Tasklet().Info().Labels)
						again, err := g.ForKey("k")
						require.NoError(t, err)
						require.Equal(t, key, again)
					}
					info, err := s.Count(t0)
					require.NoError(t, err)
					require.Equal(t, 2, info[supervisor.Running])
					require.Len(t, j.of(registry.EventNameRegistered), 2, "a restart is no news")
					require.Empty(t, j.of(registry.EventNameLost, registry.EventGroupLeft))
					s.Tasklet().Kill()
					_ = s.Tasklet().Join(t0)
					require.Empty(t, r.Names())
					require.Empty(t, g.Members())
					return nil
				}))
				require.Equal(t, []string{
					"group_left group=g /sys/s/a", "group_left group=g /sys/s/b",
				}, j.of(registry.EventGroupLeft))
			})
		}
	}
}

// Rule 2: a child that was stopped, or ended normally, keeps its name as long as its specification
// is kept; the name goes with DeleteChild, and is free when that returns.
func TestNameOfAStoppedChild(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		c, ref := named(r, "c")
		s, err := supervisor.Start(t0, supervisor.Spec{Name: "s", Children: []supervisor.Child{c}})
		require.NoError(t, err)
		g := group[int](t, r, "g")
		require.NoError(t, g.Join(ref))
		require.NoError(t, s.StopChild(t0, "c"))
		has(t, r, "c", ref)
		require.ErrorIs(t, ref.Send(t0, 1), mailbox.ErrClosed)
		require.EqualError(t, registry.Register(r, "c", idle(t0)), `registry: name "c" is taken by /sys/s/c`)
		_, err = g.Next()
		require.ErrorIs(t, err, registry.ErrNoMembers, "a member, but closed")
		sent, err := g.Broadcast(t0, 1)
		require.Zero(t, sent)
		require.EqualError(t, err, "registry: send to /sys/s/c: mailbox: closed")

		_, err = s.RestartChild(t0, "c")
		require.NoError(t, err)
		has(t, r, "c", ref)
		got, err := g.Next()
		require.NoError(t, err)
		require.Equal(t, ref, got)
		require.Equal(t, map[string]string{"name": "c", "groups": "g"}, ref.Tasklet().Info().Labels)

		require.NoError(t, s.StopChild(t0, "c"))
		require.NoError(t, s.DeleteChild(t0, "c"))
		require.Empty(t, r.Names())
		require.Empty(t, g.Members())
		require.True(t, ref.IsDead())
	})
}

// Rule 2: the name of a temporary child goes when the child has ended or was stopped.
func TestNameOfATemporaryChild(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		s, err := supervisor.Start(t0, supervisor.Spec{Name: "s"})
		require.NoError(t, err)
		for _, end := range []func(actor.Ref[int]){
			func(actor.Ref[int]) { require.NoError(t, s.StopChild(t0, "c")) },
			func(ref actor.Ref[int]) { require.NoError(t, ref.Send(t0, -1)); _ = ref.Join(t0) },
			func(ref actor.Ref[int]) { ref.Close(); require.NoError(t, ref.Join(t0)) },
			func(ref actor.Ref[int]) { ref.Kill(); _ = ref.Join(t0) },
		} {
			c, ref := named(r, "c")
			c.Restart = supervisor.Temporary
			_, err := s.StartChild(t0, c)
			require.NoError(t, err)
			has(t, r, "c", ref)
			end(ref)
			require.Empty(t, r.Names())
		}
	})
}

// A taken name is a failed start; the error says which child, which name, and who has it, and what
// was started is undone.
func TestTakenNameInASpec(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		first, ref := named(r, "first")
		second, refSecond := named(r, "second")
		second.Options = []actor.Option{registry.As(r, "first", refSecond)}
		_, err := supervisor.Start(t0, supervisor.Spec{Name: "s", Children: []supervisor.Child{first, second}})
		var start *supervisor.StartError
		require.ErrorAs(t, err, &start)
		require.Equal(t, "second", start.ID)
		var taken *registry.TakenError
		require.ErrorAs(t, start, &taken)
		require.Equal(t, registry.TakenError{Name: "first", Owner: "/sys/s/first"}, *taken)
		require.ErrorIs(t, err, registry.ErrTaken)
		require.EqualError(t, err, `supervisor: start of child "second": registry: name "first" is taken by /sys/s/first`)
		require.Empty(t, r.Names())
		require.True(t, ref.IsDead())

		// At run time the others go on.
		first, ref = named(r, "first")
		s, err := supervisor.Start(t0, supervisor.Spec{Name: "s", Children: []supervisor.Child{first}})
		require.NoError(t, err)
		second, refSecond = named(r, "second")
		second.Options = []actor.Option{registry.As(r, "first", refSecond)}
		_, err = s.StartChild(t0, second)
		require.ErrorAs(t, err, &start)
		require.ErrorAs(t, err, &taken)
		has(t, r, "first", ref)
		require.NoError(t, ref.Send(t0, 1))
	})
}

// A nested supervisor that is restarted keeps the names of the children in its specification; those
// of children added at run time go. When it ends for good, all go before it has finished.
func TestNamesUnderARestartedSupervisor(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		fixed, ref := named(r, "fixed")
		top, err := supervisor.Start(t0, supervisor.Spec{Name: "top", Children: []supervisor.Child{{
			ID: "inner", Body: supervisor.Body(supervisor.Spec{Children: []supervisor.Child{fixed}}),
		}}})
		require.NoError(t, err)
		inner := func() *supervisor.Supervisor {
			all, err := top.Children(t0)
			require.NoError(t, err)
			return supervisor.Of(all[0].Tasklet)
		}
		added, refAdded := named(r, "added")
		_, err = inner().StartChild(t0, added)
		require.NoError(t, err)
		require.Equal(t, []string{"added", "fixed"}, r.Names())
		inner().Tasklet().Kill()
		t0.Sleep(time.Second)
		require.Equal(t, []string{"fixed"}, r.Names())
		has(t, r, "fixed", ref)
		require.NoError(t, ref.Send(t0, 1))
		require.True(t, refAdded.IsDead())
		top.Tasklet().Kill()
		require.ErrorIs(t, top.Tasklet().Join(t0), actor.ErrKilled)
		require.Empty(t, r.Names())
	})
}

// A supervisor that gives up releases the names of its children.
func TestNamesOfASupervisorThatGivesUp(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		c, ref := named(r, "c")
		s, err := supervisor.Start(t0, supervisor.Spec{Name: "s", Children: []supervisor.Child{c}})
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, ref.Send(t0, -1))
		}
		require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
		require.Empty(t, r.Names())
	})
}

// Rule 35: named children that end at once and are restarted, at full speed: the name stays the
// ref's, and no start fails.
func TestStormOfRestarts(t *testing.T) {
	crashes := fewer(5000)
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll} {
		var j journal
		require.NoError(t, actor.Run(context.Background(), config(&j), func(t0 *actor.Tasklet) error {
			r := registry.Of(t0.System())
			left := crashes
			var children []supervisor.Child
			for i := range 4 {
				ref := actor.NewRef[int]()
				name := fmt.Sprint("n", i)
				children = append(children, supervisor.Child{
					ID: name, Options: []actor.Option{registry.As(r, name, ref)},
					Body: actor.SpawnBody(ref, func(k *actor.Tasklet, box *mailbox.Mailbox[int]) error {
						has(t, r, name, ref)
						if left--; left > 0 {
							return errCrash
						}
						for range box.Receive() {
						}
						return nil
					}),
				})
			}
			_, err := supervisor.Start(t0, supervisor.Spec{
				Name: "s", Strategy: strategy, Children: children, Intensity: crashes + 1, Period: time.Hour,
			})
			require.NoError(t, err)
			t0.Sleep(time.Minute)
			require.LessOrEqual(t, left, 0)
			require.Equal(t, []string{"n0", "n1", "n2", "n3"}, r.Names())
			require.Len(t, j.of(registry.EventNameRegistered), 4)
			require.Empty(t, j.of(registry.EventNameLost, kindNamed(t, "restart_failed")))
			return nil
		}))
	}
}

// Rule 35 for refs that are new each time: who starts the next one when the last has ended finds
// the name free, a thousand times, from a tasklet and from outside.
func TestNewRefForANameThatWasInUse(t *testing.T) {
	outside(t, func(s *actor.System, r *registry.Registry) {
		sup, err := supervisor.Start(s, supervisor.Spec{Name: "s"})
		require.NoError(t, err)
		ctx := context.Background()
		for i := range 1000 {
			c, ref := named(r, "c")
			c.Restart = supervisor.Temporary
			_, err := sup.StartChild(ctx, c)
			require.NoError(t, err)
			switch i % 3 {
			case 0:
				require.NoError(t, sup.StopChild(ctx, "c"))
			case 1:
				require.NoError(t, ref.Send(ctx, -1))
				require.ErrorIs(t, ref.Join(ctx), errCrash)
			case 2:
				ref.Kill()
				require.ErrorIs(t, ref.Join(ctx), actor.ErrKilled)
			}
			_, err = registry.Lookup[int](r, "c")
			require.ErrorIs(t, err, registry.ErrNotFound)
		}
	})
}

// kindNamed returns the kind of event with a name.
func kindNamed(t *testing.T, name string) event.Kind {
	for k := event.Spawn; k != 0; k++ {
		if k.String() == name {
			return k
		}
	}
	t.Fatalf("no kind of event is called %s", name)
	return 0
}
