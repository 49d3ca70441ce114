package actor_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// A family whose children end together drains them all at a time, without a limit: with its own
// function for the drain, and killed before that has done anything, and without one. Only a cut
// kills them.
func TestDrainOfAFamilyThatStopsTogether(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(f *actor.Family, self *actor.Ref[int])
		cut   bool
	}{
		"no function": {func(*actor.Family, *actor.Ref[int]) {}, false},
		"killed":      {func(f *actor.Family, self *actor.Ref[int]) { f.Drain = func() { self.Kill() } }, false},
		"cut":         {func(*actor.Family, *actor.Ref[int]) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Explore(t, 30, func(t *actor.Tasklet) {
				tb, handled := actortest.TB(t), 0
				self := actor.NewRef[int]()
				f := actor.Family{Kind: "group", StopTogether: time.Second}
				c.begin(&f, &self)
				top := actor.StartTasklet(t, actor.Supervise(self, f, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					for range 3 {
						ref := actor.NewRef[int]()
						slot, err := actor.NewSlot(t, actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
							t.Sleep(time.Minute)
							handled++
							return nil
						}), nil)
						if err != nil {
							return nil, err
						}
						if _, err := slot.Start(t); err != nil {
							return nil, err
						}
						for m := range 2 {
							if err := ref.Send(t, m); err != nil {
								return nil, err
							}
						}
					}
					return func(*actor.Tasklet, int) error { return nil }, nil
				}))
				require.NoError(tb, top.Started(t))
				t.Sleep(time.Second)
				start := t.System().Now()
				limit := time.Hour
				if c.cut {
					limit = 90 * time.Second
				}
				ctx, cancel := actor.WithTimeout(t, limit)
				defer cancel()
				err := top.Drain(ctx)
				took := t.System().Now().Sub(start)
				if c.cut {
					var left *actor.DrainError
					require.ErrorAs(tb, err, &left)
					require.Equal(tb, 3, handled)
					_ = top.Join(t)
					require.Less(tb, t.System().Now().Sub(start), 92*time.Second)
					return
				}
				require.Equal(tb, 6, handled)
				require.Less(tb, took, 3*time.Minute)
			}, actortest.Allow(event.Exit), actortest.Allow(event.Kill), actortest.Allow(event.MessageLost), actortest.Allow(event.DeadLetter))
		})
	}
}

// A child that fails with Escalate ends the body of a parent that drains, but not the drain of the
// other children.
func TestEscalateDuringADrain(t *testing.T) {
	for _, early := range []bool{true, false} { // while the body of the parent runs, or after that
		actortest.Explore(t, 50, func(t *actor.Tasklet) {
			tb, handled := actortest.TB(t), 0
			top := actor.Go(t, func(t *actor.Tasklet) error {
				for i := range 3 {
					ref := actor.Receiver(t, func(t *actor.Tasklet, m int) error {
						t.Sleep(time.Second)
						if i == 2 {
							return errors.New("broken")
						}
						handled++
						return nil
					}, actor.OnFailure(actor.Escalate))
					for m := range 3 {
						if err := ref.Send(t, m); err != nil {
							return err
						}
					}
				}
				if early {
					t.Sleep(time.Hour)
				}
				return nil
			})
			err := top.Drain(t)
			if early {
				require.ErrorContains(tb, err, "broken")
			} else {
				require.NoError(tb, err) // the body had ended before the child failed
			}
			require.Equal(tb, 6, handled)
		}, actortest.Allow(event.Exit), actortest.Allow(event.Escalate), actortest.Allow(event.Kill), actortest.Allow(event.MessageLost), actortest.Allow(event.DeadLetter))
	}
}

// When the time of a drain is over, the daemons have not been drained either, and are named; also
// if it ends just when the last child of the root has ended.
func TestDrainOfASystemNamesDaemons(t *testing.T) {
	for _, limit := range []time.Duration{time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
			require.NoError(t, err)
			journal := actor.Receiver(sys, func(t *actor.Tasklet, m int) error { t.Sleep(time.Hour); return nil }, actor.Daemon(), actor.Name("journal"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			actor.Go(sys, func(t *actor.Tasklet) error {
				t.Sleep(30 * time.Second)
				cancel()
				return nil
			}, actor.Name("job"))
			for m := range 3 {
				require.NoError(t, journal.Send(t.Context(), m))
			}
			short, stop := context.WithTimeout(ctx, limit)
			defer stop()
			err = sys.Drain(short)
			var left *actor.DrainError
			require.ErrorAs(t, err, &left)
			want := map[string]int{"/(daemons)/journal": 2}
			if _, job := left.Left["/app/job"]; job || limit < 30*time.Second {
				want["/app/job"] = 0 // when it has cancelled it may still have its last step to do
			}
			require.Equal(t, want, left.Left)
		})
	}
}

// Two tasklets may have the same path. The messages of both are counted.
func TestDrainErrorOfTheSamePath(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		top := actor.Go(t, func(t *actor.Tasklet) error {
			for n := range 3 {
				ref := actor.Receiver(t, func(t *actor.Tasklet, m int) error { t.Sleep(time.Hour); return nil }, actor.Name("worker"))
				for m := range 4 - n {
					if err := ref.Send(t, m); err != nil {
						return err
					}
				}
			}
			return nil
		}, actor.Name("top"))
		ctx, cancel := actor.WithTimeout(t, time.Second)
		defer cancel()
		err := top.Drain(ctx)
		require.ErrorIs(tb, err, scheduler.ErrTimeout)
		var left *actor.DrainError
		require.ErrorAs(tb, err, &left)
		// one is not yet begun with: it has one message in hand and none queued
		require.Equal(tb, map[string]int{"/test/top/worker": 3 + 2 + 1}, left.Left)
	}, actortest.Allow(event.Exit), actortest.Allow(event.Kill), actortest.Allow(event.MessageLost), actortest.Allow(event.DeadLetter))
}

// The root of a system without main has no body that could end.
func TestDrainOfTheRoot(t *testing.T) {
	sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
	require.NoError(t, err)
	require.PanicsWithValue(t, "actor: Tasklet.Drain of the root of a system without main: use System.Drain", func() {
		_ = sys.Root().Drain(t.Context())
	})
	require.NoError(t, sys.Drain(t.Context()))
}

// The function of a family is called once, whatever the drain finds: a tasklet whose init runs, on
// its own scheduler or on another one.
func TestFamilyDrainsOnce(t *testing.T) {
	for range 20 {
		sys, err := actor.Start(actor.Config{Schedulers: 2, Logger: zap.NewNop()})
		require.NoError(t, err)
		calls := 0
		self := actor.NewRef[int]()
		f := actor.Family{Kind: "group", Drain: func() { calls++; _ = self.TrySend(context.Background(), 0) }}
		drained := make(chan error, 1)
		actor.StartTasklet(sys, actor.Supervise(self, f, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			go func() { drained <- t.Drain(context.Background()) }()
			for !actor.IsDraining(t) {
				runtime.Gosched() // holds the scheduler, so that it is told only after the init
			}
			return func(t *actor.Tasklet, _ int) error { t.Sleep(time.Millisecond); return actor.ErrStop }, nil
		}), actor.OnScheduler(1))
		require.NoError(t, <-drained)
		require.NoError(t, sys.Stop(context.Background()))
		require.Equal(t, 1, calls)
	}
}

// A tasklet that is drained on its way to its scheduler, by one that runs there, is told when it
// has arrived. Its ref may be one that the arrival opens again.
func TestDrainBeforeTheArrival(t *testing.T) {
	for name, body := range map[string]func(ref actor.Ref[int]) actor.Body{
		"receiver": func(ref actor.Ref[int]) actor.Body {
			return actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil })
		},
		"interval": func(actor.Ref[int]) actor.Body {
			return actor.IntervalBody(time.Hour, func(*actor.Tasklet) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			sys, err := actor.Start(actor.Config{Schedulers: 2, Logger: zap.NewNop()})
			require.NoError(t, err)
			result, held, linked := make(chan error, 1), make(chan struct{}), make(chan *actor.Tasklet)
			parent := actor.Go(sys, func(t *actor.Tasklet) error {
				ended := make(chan struct{}, 2)
				slot, err := actor.NewSlot(t, body(actor.NewRef[int]()), func(actor.Exit) { ended <- struct{}{} }, actor.OnScheduler(1))
				if err != nil {
					return err
				}
				child, err := slot.Start(t)
				if err != nil {
					return err
				}
				if err := child.Drain(t); err != nil {
					return err
				}
				actor.Go(t, func(t *actor.Tasklet) error {
					close(held)
					result <- (<-linked).Drain(t) // the channel holds the scheduler
					return nil
				}, actor.OnScheduler(1))
				<-held
				go func() {
					for slot.Tasklet() == nil {
						runtime.Gosched()
					}
					linked <- slot.Tasklet()
				}()
				if _, err = slot.Start(t); err != nil {
					return err
				}
				t.Sleep(time.Hour)
				return nil
			})
			require.NoError(t, <-result)
			parent.Kill()
			require.NoError(t, sys.Stop(context.Background()))
		})
	}
}

// Queued counts the messages for the tasklet in a slot and for the family of one, at any depth, in
// an empty slot as well.
func TestSlotQueued(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		own, inner, leaf := actor.NewRef[string](), actor.NewRef[int](), actor.NewRef[int]()
		init := func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, errors.New("not today") }
		group := actor.Supervise(inner, actor.Family{Kind: "group", Bodies: []actor.Body{
			actor.ReceiverBody(leaf, func(*actor.Tasklet, int) error { return nil }),
		}}, init)
		for _, c := range []struct {
			body actor.Body
			want int
		}{
			{actor.GoBody(func(*actor.Tasklet) error { return nil }), 0},
			{actor.ReceiverBody(own, func(*actor.Tasklet, string) error { return nil }), 1},
			{group, 3},
		} {
			slot, err := actor.NewSlot(t, c.body, nil)
			require.NoError(tb, err)
			if c.want == 1 {
				require.NoError(tb, own.Send(t, "a"))
			} else if c.want == 3 {
				require.NoError(tb, inner.Send(t, 1))
				require.NoError(tb, leaf.Send(t, 1))
				require.NoError(tb, leaf.Send(t, 2))
				_, err := slot.Start(t)
				require.ErrorContains(tb, err, "not today")
			}
			require.Equal(tb, c.want, slot.Queued())
			slot.Retire()
			require.Zero(tb, slot.Queued())
		}
	}, actortest.Allow(event.Exit), actortest.Allow(event.DeadLetter))
}
