package actor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
)

// Rule 1: a watch of a ref lasts as long as its Join: over restarts, from before the first start or
// between two incarnations on, until the lineage has ended, or its tasklet has ended without
// failure and is kept stopped. There is one notice.
func TestRule1WatchOfRef(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int](actor.Name("r"))
		body := actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
			switch n {
			case -1:
				return errBoom
			case -2:
				return actor.ErrStop
			}
			return nil
		})
		slot, start := starter(t, t0, body, nil)
		var got []string
		box := collect(t0, &got)
		watch := func(name string) {
			actor.Watch(t0, ref, box, func(e actor.Exit) string { return fmt.Sprint(name, " ", noticeText(e)) })
		}
		told := func(want ...string) {
			t.Helper()
			t0.Sleep(time.Second)
			require.Equal(t, want, got)
			got = nil
		}
		watch("before the start")
		first := start()
		watch("running")
		require.NoError(t, ref.Send(t0, -1))
		require.ErrorIs(t, first.Join(t0), errBoom)
		require.Nil(t, ref.Tasklet())
		watch("between two")
		told()
		second := start()
		second.Kill()
		_ = second.Join(t0)
		slot.Close() // as one that was stopped, and may be started again
		watch("stopped")
		told()
		third := start()
		require.NoError(t, ref.Send(t0, -2))
		require.NoError(t, third.Join(t0))
		told()
		joined := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Join(t) })
		t0.Yield()
		slot.Close() // it has ended normally, and is not restarted
		told("before the start /tasklet/r normal <nil>", "running /tasklet/r normal <nil>", "between two /tasklet/r normal <nil>",
			"stopped /tasklet/r normal <nil>")
		require.True(t, joined.HasFinished())
		require.False(t, actor.Finished(ref), "not for good")
		watch("at rest")
		told("at rest /tasklet/r normal <nil>")
		require.NoError(t, ref.Join(t0))

		// Those who wait are told of a stop also if the next start comes in the same step.
		start()
		watch("again")
		joined = actor.Go(t0, func(t *actor.Tasklet) error { return ref.Join(t) })
		t0.Yield()
		require.NoError(t, ref.Send(t0, -2))
		_ = ref.Tasklet().Join(t0)
		slot.Close()
		last := start()
		told("again /tasklet/r normal <nil>")
		require.True(t, joined.HasFinished())
		watch("the last")
		last.Kill()
		_ = last.Join(t0)
		slot.Retire()
		told("the last /tasklet/r killed actor: killed")
		watch("dead")
		told("dead /tasklet/r killed actor: killed")
		return nil
	})
}

// A watch of an unsupervised ref is that of its tasklet, in the order of rule 21.
func TestWatchOfUnsupervisedRef(t *testing.T) {
	for _, early := range []bool{true, false} {
		var got []string
		run(t, func(t0 *actor.Tasklet) error {
			box := collect(t0, &got)
			ref := actor.NewRef[int](actor.Name("x"))
			watch := func() { actor.Watch(t0, ref, box, noticeText) }
			if early {
				watch()
			}
			it := actor.StartTasklet(t0, actor.ReceiverBody(ref, func(t *actor.Tasklet, _ int) error {
				t.Defer(func() { _ = box.Send(t, "deferred") })
				return box.Send(t, "sent")
			}), actor.OnFailure(actor.End))
			if !early {
				watch()
			}
			require.NoError(t, ref.Send(t0, 1))
			ref.Close()
			require.NoError(t, it.Join(t0))
			return drain(t0, box)
		})
		require.Equal(t, []string{"sent", "deferred", "/tasklet/x normal <nil>"}, got)
	}
}

// In place of a tasklet that is not there, the notice comes at once.
func TestWatchOfNobody(t *testing.T) {
	var got []actor.Exit
	run(t, func(t0 *actor.Tasklet) error {
		box := collect(t0, &got)
		cancel := actor.Watch(t0, actor.NewRef[int]().Tasklet(), box, func(e actor.Exit) actor.Exit { return e })
		require.False(t, cancel())
		return drain(t0, box)
	})
	require.Equal(t, []actor.Exit{{Kind: reason.Error, Err: actor.ErrNoTasklet}}, got)
}

// Nobody watches its own ref, nor one of another system.
func TestWatchOfRefMisuse(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		box := actor.NewRef[string]()
		var v any
		own := actor.NewRef[int]()
		k := actor.StartTasklet(t0, actor.ReceiverBody(own, func(t *actor.Tasklet, _ int) error {
			v = recovering(func() { actor.Watch(t, own, box, noticeText) })
			return nil
		}), actor.Name("me"))
		require.NoError(t, own.Send(t0, 1))
		t0.Yield()
		require.Equal(t, "actor: Watch of "+k.Path()+" by itself: the notice would come after its end", v)
		other, err := actor.Start((&journal{}).config())
		require.NoError(t, err)
		ran := make(chan struct{})
		foreign := actor.Receiver(other, func(*actor.Tasklet, int) error { close(ran); return nil }, actor.Name("f"))
		_, err = actor.Await(t0, func(context.Context) (int, error) {
			err := foreign.Send(context.Background(), 1)
			<-ran
			return 0, err
		})
		require.NoError(t, err)
		require.Contains(t, recovering(func() { actor.Watch(t0, foreign, box, noticeText) }), "which belongs to another system")
		_, err = actor.Await(t0, func(ctx context.Context) (int, error) { return 0, other.Stop(context.Background()) })
		return err
	})
}

// Cancel says whether it was in time: before the end, in its step, while the notice waits for room,
// and not any more.
func TestWatchCancelSaysWhetherItWasInTime(t *testing.T) {
	across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
		for at := range 2 {
			sleeper := func() *actor.Tasklet {
				return actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Second); return nil }, actor.OnScheduler(at))
			}
			full := actor.NewRef[string](actor.MailboxLen(1))
			require.NoError(t, full.Send(t0, "x"))
			a, ref := sleeper(), actor.NewRef[int]()
			var cancels []func() bool
			for _, to := range []actor.Ref[string]{actor.NewRef[string](), full} {
				for _, target := range []actor.Watchable{a, ref} {
					cancel := actor.Watch(t0, target, to, noticeText)
					require.True(t, cancel())
					require.False(t, cancel(), "once")
				}
			}
			open := actor.NewRef[string]()
			for _, to := range []actor.Ref[string]{full, open} {
				cancels = append(cancels, actor.Watch(t0, a, to, noticeText))
			}
			require.NoError(t, a.Join(t0))
			t0.Sleep(time.Second)
			require.True(t, cancels[0](), "it stands in line")
			require.False(t, cancels[1](), "it is in the mailbox")
			require.False(t, cancels[0]())
			require.Equal(t, 1, open.Len())
			require.Equal(t, 1, full.Load())
		}
	})
}

// Rule 7: what was sent and waits for room is read although its sender has ended; it is a dead
// letter when the reader ends. What was not sent goes with its owner.
func TestRule7WhatStandsInLineStays(t *testing.T) {
	for _, ends := range []bool{false, true} {
		var got []string
		es := record(t, func(t0 *actor.Tasklet) error {
			desk := actor.NewRef[string](actor.MailboxLen(1), actor.Name("desk"))
			actor.StartTasklet(t0, actor.SpawnBody(desk, func(t *actor.Tasklet, in *mailbox.Mailbox[string]) error {
				t.Sleep(time.Minute)
				if ends {
					return nil
				}
				for m := range in.Receive() {
					got = append(got, m)
				}
				return nil
			}))
			t0.Yield()
			require.NoError(t, desk.Send(t0, "first"))
			other := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Second); return nil })
			late := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
			worker := actor.Go(t0, func(t *actor.Tasklet) error {
				actor.SendAfter(t, time.Second, desk, "timer")
				actor.SendAfter(t, time.Hour, desk, "later")
				actor.Watch(t, other, desk, func(actor.Exit) string { return "notice" })
				actor.Watch(t, late, desk, func(actor.Exit) string { return "late notice" })
				actor.Pipe(t, func(context.Context) (int, error) { return 0, nil }, desk, func(int, error) string { return "piped" })
				t.Sleep(2 * time.Second)
				return nil
			})
			require.NoError(t, worker.Join(t0))
			require.Zero(t, actor.Owned(worker))
			t0.Sleep(2 * time.Hour)
			return drain(t0, desk)
		})
		lost := 0
		for _, e := range only(es, event.DeadLetter) {
			lost += e.Count
		}
		if ends {
			require.Empty(t, got)
			require.Equal(t, 4, lost)
		} else {
			require.ElementsMatch(t, []string{"first", "timer", "notice", "piped"}, got)
			require.Zero(t, lost)
		}
	}
}

// A tasklet that watches its own children, or has timers to itself, stops without a dead letter,
// and its next incarnation has nothing of it.
func TestNoticesToOneselfAtTheEnd(t *testing.T) {
	for _, supervised := range []bool{true, false} {
		for _, n := range []int{1, 20} {
			actortest.Run(t, func(t0 *actor.Tasklet) {
				tb := actortest.TB(t0)
				ref := actor.NewRef[string](actor.Name("keeper"), actor.MailboxLen(2))
				var got []string
				body := actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
					for range n {
						c := actor.Go(t, func(t *actor.Tasklet) error {
							t.Defer(func() { t.Sleep(time.Second) })
							t.Sleep(time.Hour)
							return nil
						})
						actor.Watch(t, c, ref, noticeText)
						cr := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil })
						actor.Watch(t, cr, ref, noticeText)
					}
					actor.SendAfter(t, 1500*time.Millisecond, ref, "timer")
					return func(_ *actor.Tasklet, m string) error { got = append(got, m); return nil }, nil
				})
				var start func() *actor.Tasklet
				if supervised {
					_, start = starter(tb, t0, body, nil)
				} else {
					start = func() *actor.Tasklet { return actor.StartTasklet(t0, body) }
				}
				k := start()
				require.NoError(tb, k.Started(t0))
				t0.Sleep(time.Second)
				k.Kill()
				_ = k.Join(t0)
				if supervised {
					start()
					t0.Sleep(100 * time.Millisecond)
				}
				require.Empty(tb, got)
			})
		}
	}
}
