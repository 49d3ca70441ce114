package supervisor_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// Rule 2: a restart, and that of a group, keeps the mailbox and its order; parked senders keep
// their place; state is made anew by init.
func TestMailboxSurvives(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.RestForOne, supervisor.OneForAll} {
		for _, backoff := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(strategy, " ", backoff), func(t *testing.T) {
				run(t, func(t0 *actor.Tasklet) {
					ref := actor.NewRef[int](actor.MailboxLen(3))
					var got []string
					inits := 0
					body := actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
						inits++
						state := 0
						return func(t *actor.Tasklet, n int) error {
							state++
							got = append(got, fmt.Sprintf("%d as number %d of %d", n, state, inits))
							if n == 2 {
								return errCrash
							}
							return nil
						}, nil
					})
					f := newFamily()
					s := start(t0, supervisor.Spec{
						Strategy: strategy, Backoff: supervisor.Backoff{Min: backoff},
						Children: []supervisor.Child{f.child("a"), {ID: "b", Body: body}, f.child("c")},
					})
					// All but the first three park.
					for i := range 9 {
						actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, i+1) })
					}
					settle(t0)
					t0.Sleep(2 * time.Minute)
					require.Equal(t, "a running, b running, c running", states(t0, s))
					want := []string{"1 as number 1 of 1", "2 as number 2 of 1"}
					for i := range 7 {
						want = append(want, fmt.Sprintf("%d as number %d of 2", i+3, i+1))
					}
					require.Equal(t, want, got)
				})
			})
		}
	}
}

// The queue of a sibling in the group survives too, and what is sent while all is down.
func TestGroupKeepsQueues(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		ref := actor.NewRef[int](actor.MailboxLen(2))
		var got []int
		body := actor.ReceiverBody(ref, func(t *actor.Tasklet, n int) error { got = append(got, n); t.Sleep(time.Second); return nil })
		start(t0, supervisor.Spec{
			Strategy: supervisor.OneForAll, Backoff: supervisor.Backoff{Min: time.Minute},
			Children: []supervisor.Child{f.child("a"), {ID: "b", Body: body}},
		})
		for i := range 6 {
			actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, i) })
		}
		settle(t0)
		f.send(t0, "a", errCrash)
		require.Nil(t, ref.Tasklet(), "nil between two")
		actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 6) })
		t0.Sleep(time.Hour)
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6}, got, "0 was in hand when its handler was killed")
	})
}

// Rule 3: Close, then a crash: the restart goes on draining, and ends normally. Close, then a
// normal end of a permanent child: the restart opens it.
func TestCloseAndRestart(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[int]()
		var got []int
		body := actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
			got = append(got, n)
			if n == 1 {
				return errCrash
			}
			return nil
		})
		s := start(t0, supervisor.Spec{Intensity: 9, Children: []supervisor.Child{{ID: "a", Body: body}}})
		for i := range 4 {
			require.NoError(t, ref.Send(t0, i))
		}
		ref.Close()
		require.ErrorIs(t, ref.Send(t0, 9), mailbox.ErrClosed)
		settle(t0)
		require.Equal(t, []int{0, 1, 2, 3}, got)
		require.Equal(t, "a running", states(t0, s))
		require.NoError(t, ref.Send(t0, 4), "open again")
	})
}

var inherited = actor.NewLocal(func() string { return "default" })

// "Timers, deferred calls, locals, children, watches end with the incarnation", and the old tasklet
// is finished: its joiners are told (rule 1).
func TestOldIncarnationEnds(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[string]()
		watched := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(24 * time.Hour); return nil })
		var log []string
		var child *actor.Tasklet
		incarnation := 0
		body := actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
			incarnation++
			me := incarnation
			log = append(log, fmt.Sprintf("%d: local %s", me, inherited.Get(t)))
			inherited.Set(t, fmt.Sprint("set by ", me))
			t.Defer(func() { log = append(log, fmt.Sprintf("%d: deferred", me)) })
			if me == 1 {
				actor.SendAfter(t, time.Hour, ref, "late")
				actor.Watch(t, watched, ref, func(actor.Exit) string { return "watch" })
				child = actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(24 * time.Hour); return nil })
			}
			return func(t *actor.Tasklet, m string) error {
				log = append(log, fmt.Sprintf("%d: %s", me, m))
				if m == "crash" {
					return errCrash
				}
				return nil
			}, nil
		})
		start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "a", Body: body}}})
		old := ref.Tasklet()
		require.NoError(t, ref.Send(t0, "crash"))
		require.NoError(t, ref.Send(t0, "next"))
		require.ErrorIs(t, old.Join(t0), errCrash)
		require.True(t, child.HasFinished())
		settle(t0)
		t0.Sleep(2 * time.Hour)
		watched.Kill()
		settle(t0)
		require.Equal(t, []string{"1: local default", "1: crash", "1: deferred", "2: local default", "2: next"}, log)
		require.NotEqual(t, old.ID(), ref.Tasklet().ID())
		require.Equal(t, old.Path(), ref.Tasklet().Path())
		require.ErrorIs(t, old.Join(t0), errCrash, "before and after the end")
	})
}

// Ends that a supervisor had not yet heard of when it gave up are nothing to the one that is
// started in its place: it has children of its own.
func TestEndsOfAnEarlierIncarnation(t *testing.T) {
	crowd := func(starts *int) (children []supervisor.Child) {
		for _, id := range []string{"a", "b", "c"} {
			children = append(children, supervisor.Child{ID: id, Body: actor.GoBody(func(t *actor.Tasklet) error {
				if *starts++; *starts <= 3 {
					return errCrash // all three before the supervisor hears of one
				}
				t.Sleep(time.Hour)
				return nil
			})})
		}
		return children
	}
	t.Run("supervisor", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) {
			starts := 0
			top := start(t0, supervisor.Spec{Children: []supervisor.Child{
				{ID: "crowd", Body: supervisor.Body(supervisor.Spec{Intensity: supervisor.NoRestart, Children: crowd(&starts)})},
			}})
			settle(t0)
			require.Equal(t, 6, starts)
			infos, err := top.Children(t0)
			require.NoError(t, err)
			require.Equal(t, "a running, b running, c running", states(t0, supervisor.Of(infos[0].Tasklet)))
			require.Len(t, infos[0].Tasklet.Children(), 3)
		})
	})
	t.Run("supervisor with a restart under way", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) {
			a, b := actor.NewRef[string](), actor.NewRef[string]()
			crash := func(*actor.Tasklet, string) error { return errCrash }
			inits := 0
			init := func(*actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
				if inits++; inits == 2 {
					// so a is to be tried again, and before that b is the restart too many
					return nil, errCrash
				}
				return crash, nil
			}
			top := start(t0, supervisor.Spec{Children: []supervisor.Child{
				{ID: "two", Body: supervisor.Body(supervisor.Spec{Intensity: 1, Children: []supervisor.Child{
					{ID: "a", Body: actor.ReceiverInitBody(a, init)}, {ID: "b", Body: actor.ReceiverBody(b, crash)},
				}})},
			}})
			require.NoError(t, a.Send(t0, "crash"))
			require.NoError(t, b.Send(t0, "crash"))
			settle(t0)
			require.Equal(t, 3, inits)
			infos, err := top.Children(t0)
			require.NoError(t, err)
			require.Equal(t, "a running, b running", states(t0, supervisor.Of(infos[0].Tasklet)))
		})
	})
	t.Run("pool", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) {
			pool := supervisor.NewPool(supervisor.PoolSpec[actor.Ref[string]]{
				Intensity: supervisor.NoRestart,
				Child: func(ref actor.Ref[string]) supervisor.Child {
					return supervisor.Child{Body: actor.ReceiverBody(ref, func(*actor.Tasklet, string) error { return errCrash })}
				},
			})
			top := start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "pool", Body: pool.Body()}}})
			var refs []actor.Ref[string]
			for range 3 {
				ref := actor.NewRef[string]()
				_, err := pool.Start(t0, ref)
				require.NoError(t, err)
				refs = append(refs, ref)
			}
			for _, ref := range refs {
				require.NoError(t, ref.Send(t0, "crash"))
			}
			settle(t0)
			require.Equal(t, "pool running", states(t0, top))
			require.False(t, top.Tasklet().HasFinished())
			require.Zero(t, pool.Len(), "a pool that is restarted is empty")
			require.Empty(t, pool.Tasklet().Children())
			for _, ref := range refs {
				require.True(t, ref.IsDead())
			}
		})
	})
}

// Ref.Join waits over restarts, until the end for good.
func TestRefJoinOverRestarts(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Intensity: 9, Children: f.children("a")})
		var joined error
		j := actor.Go(t0, func(t *actor.Tasklet) error { joined = f.ref("a").Join(t); return nil })
		f.send(t0, "a", errCrash)
		f.send(t0, "a", errCrash)
		require.False(t, j.HasFinished() || f.ref("a").IsDead())
		require.NoError(t, s.StopChild(t0, "a"))
		settle(t0)
		require.False(t, j.HasFinished(), "its spec is kept")
		require.NoError(t, s.DeleteChild(t0, "a"))
		require.NoError(t, j.Join(t0))
		require.ErrorIs(t, joined, actor.ErrKilled, "the result of the last one")
		require.True(t, f.ref("a").IsDead())
	})
}

type parcel struct{ n int }

// "The message in hand is lost and reported; the queue is kept."
func TestMessageInHandIsReported(t *testing.T) {
	var seen events
	runWith(t, seen.config(event.MessageLost), func(t0 *actor.Tasklet) {
		ref := actor.NewRef[parcel]()
		batch := actor.NewRef[parcel]()
		body := actor.ReceiverBody(ref, func(t *actor.Tasklet, p parcel) error {
			switch p.n {
			case 1:
				return errCrash
			case 2:
				panic("boom")
			case 3:
				t.Sleep(time.Hour)
			case 4:
				return actor.ErrStop
			}
			return nil
		})
		s := start(t0, supervisor.Spec{Name: "s", Intensity: 9, Children: []supervisor.Child{
			{ID: "a", Body: body},
			{ID: "b", Body: actor.BatchReceiverBody(batch, 9, 0, func(_ *actor.Tasklet, ps []parcel) error {
				if len(ps) > 1 {
					return errCrash
				}
				return nil
			})},
		}})
		for _, n := range []int{1, 2, 4} {
			require.NoError(t, ref.Send(t0, parcel{n}))
			settle(t0)
		}
		require.NoError(t, ref.Send(t0, parcel{3}))
		settle(t0)
		ref.Kill()
		settle(t0)
		ref.Kill() // idle: nothing is lost
		settle(t0)
		for range 3 {
			require.NoError(t, batch.Send(t0, parcel{}))
		}
		settle(t0)
		require.Equal(t, "a running, b running", states(t0, s))
		s.Tasklet().Kill() // nor is anything here
	})
	var got []string
	for _, e := range seen.all {
		got = append(got, fmt.Sprintf("%s %v %v", e.Path, e.Message, e.Err))
	}
	require.Equal(t, []string{
		"/tasklet/s/a supervisor_test.parcel crash",
		"/tasklet/s/a supervisor_test.parcel panic: boom",
		"/tasklet/s/a supervisor_test.parcel actor: killed",
		"/tasklet/s/b supervisor_test.parcel crash",
	}, got)
}

// retried is a child that fails on each message the given number of times.
func retried(ref actor.Ref[int], got *[]int, failures map[int]int, end func() error) actor.Body {
	return actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
		*got = append(*got, n)
		if failures[n] > 0 {
			failures[n]--
			return end()
		}
		return nil
	})
}

// Rule 34: Retry is how often the message in hand at a crash is handled again; it is put back at
// the head; then it is lost.
func TestRetry(t *testing.T) {
	crash := func() error { return errCrash }
	boom := func() error { panic("boom") }
	for _, c := range []struct {
		name     string
		retry    int
		failures map[int]int
		end      func() error
		got      []int
		lost     int
	}{
		{"none", 0, map[int]int{2: 1}, crash, []int{1, 2, 3}, 1},
		{"once", 1, map[int]int{2: 1}, crash, []int{1, 2, 2, 3}, 0},
		{"once, in a panic", 1, map[int]int{2: 1}, boom, []int{1, 2, 2, 3}, 0},
		{"poison", 1, map[int]int{2: 99}, crash, []int{1, 2, 2, 3}, 1},
		{"poison, three times", 3, map[int]int{2: 99}, boom, []int{1, 2, 2, 2, 2, 3}, 1},
		{"each message by itself", 1, map[int]int{1: 1, 2: 1, 3: 1}, crash, []int{1, 1, 2, 2, 3, 3}, 0},
		{"poison after poison", 1, map[int]int{1: 99, 2: 99, 3: 99}, crash, []int{1, 1, 2, 2, 3, 3}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen events
			runWith(t, seen.config(event.MessageLost, event.DeadLetter), func(t0 *actor.Tasklet) {
				ref := actor.NewRef[int](actor.MailboxLen(2))
				var got []int
				start(t0, supervisor.Spec{Intensity: 99, Children: []supervisor.Child{
					{ID: "a", Retry: c.retry, Body: retried(ref, &got, c.failures, c.end)},
				}})
				for i := 1; i <= 3; i++ {
					require.NoError(t, ref.Send(t0, i))
				}
				settle(t0)
				require.Equal(t, c.got, got)
				require.Equal(t, 0, ref.Len())
			})
			require.Len(t, seen.all, c.lost)
		})
	}
}

// Retry works for ReceiverInitBody too, and for who is killed in the midst of a message; with a
// full mailbox it is over the bound by one, and nobody overtakes; when the child is stopped for
// good, what was put back is a dead letter.
func TestRetryAtTheHead(t *testing.T) {
	var seen events
	runWith(t, seen.config(event.MessageLost, event.DeadLetter), func(t0 *actor.Tasklet) {
		ref := actor.NewRef[int](actor.MailboxLen(2))
		var got []int
		slow := true
		s := start(t0, supervisor.Spec{Backoff: supervisor.Backoff{Min: time.Minute}, Children: []supervisor.Child{
			{ID: "a", Retry: 1, Body: actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				return func(t *actor.Tasklet, n int) error {
					if slow {
						t.Sleep(time.Hour)
					}
					got = append(got, n)
					return nil
				}, nil
			})},
		}})
		for i := range 5 {
			actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, i) })
		}
		settle(t0)
		ref.Kill()
		settle(t0)
		require.Equal(t, 3, ref.Len(), "two and the one put back")
		require.ErrorIs(t, ref.TrySend(t0, 9), mailbox.ErrFull)
		slow = false
		t0.Sleep(2 * time.Minute)
		require.Equal(t, []int{0, 1, 2, 3, 4}, got)

		slow = true
		require.NoError(t, ref.Send(t0, 7))
		settle(t0)
		require.NoError(t, s.StopChild(t0, "a"))
		require.Len(t, seen.all, 1)
		require.Equal(t, event.DeadLetter, seen.all[0].Kind)
		slow = false
		_, err := s.RestartChild(t0, "a")
		require.NoError(t, err)
		require.NoError(t, ref.Send(t0, 8))
		settle(t0)
		require.Equal(t, []int{0, 1, 2, 3, 4, 8}, got)
	})
}

// A message that was put back and then dropped by the overflow policy leaves its tries to nobody.
func TestRetryAndDropOldest(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[int](actor.MailboxLen(2), actor.Overflow(mailbox.DropOldest))
		var got []int
		start(t0, supervisor.Spec{Intensity: 9, Backoff: supervisor.Backoff{Min: time.Second}, Children: []supervisor.Child{
			{ID: "a", Retry: 1, Body: retried(ref, &got, map[int]int{1: 9, 3: 1}, func() error { return errCrash })},
		}})
		require.NoError(t, ref.Send(t0, 1))
		settle(t0)
		for i := 2; i <= 4; i++ {
			require.NoError(t, ref.Send(t0, i))
		}
		t0.Sleep(time.Minute)
		require.Equal(t, []int{1, 3, 3, 4}, got)
	})
}

type question struct {
	n     int
	reply actor.Reply[int]
}

// A Call whose request is in hand at the crash fails with it; with Retry the caller keeps waiting,
// and gets its answer, or the error of the last crash.
func TestRetryOfACall(t *testing.T) {
	for _, c := range []struct {
		retry, failures int
		ok              bool
	}{{0, 1, false}, {1, 1, true}, {2, 2, true}, {1, 2, false}} {
		run(t, func(t0 *actor.Tasklet) {
			ref := actor.NewRef[question]()
			failures := c.failures
			start(t0, supervisor.Spec{Intensity: 9, Backoff: supervisor.Backoff{Min: time.Second}, Children: []supervisor.Child{
				{ID: "a", Retry: c.retry, Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, q question) error {
					if q.n == 1 && failures > 0 {
						failures--
						return errCrash
					}
					return q.reply.Send(t, q.n)
				})},
			}})
			// Another call stands behind it.
			other := actor.Go(t0, func(t *actor.Tasklet) error {
				t.Yield()
				_, err := actor.Call(t, ref, func(r actor.Reply[int]) question { return question{2, r} })
				return err
			})
			n, err := actor.Call(t0, ref, func(r actor.Reply[int]) question { return question{1, r} })
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, 1, n)
			} else {
				var je *actor.JoinError
				require.True(t, errors.As(err, &je), "%v", err)
				require.ErrorIs(t, err, errCrash)
			}
			require.NoError(t, other.Join(t0))
		})
	}
	// The supervisor gives up: the caller is told.
	run(t, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[question]()
		start(t0, supervisor.Spec{Children: []supervisor.Child{
			{ID: "a", Retry: 9, Body: actor.ReceiverBody(ref, func(*actor.Tasklet, question) error { return errCrash })},
		}})
		_, err := actor.Call(t0, ref, func(r actor.Reply[int]) question { return question{1, r} })
		require.ErrorIs(t, err, mailbox.ErrClosed)
	})
}

// Rule 3, again: a normal end lets the restart open the ref once. A close after that, with a crash,
// goes on draining.
func TestCloseAndCrashAfterANormalEnd(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[int]()
		var got []int
		body := actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
			got = append(got, n)
			if n == 1 {
				return errCrash
			}
			return nil
		})
		start(t0, supervisor.Spec{Intensity: 9, Children: []supervisor.Child{{ID: "a", Body: body}}})
		ref.Close()
		settle(t0)
		require.NoError(t, ref.Send(t0, 0), "opened by the restart after the normal end")
		for i := range 3 {
			require.NoError(t, ref.Send(t0, i+1))
		}
		ref.Close()
		closed := true
		watch := actor.Go(t0, func(t *actor.Tasklet) error {
			for len(got) < 4 {
				closed = closed && ref.IsClosed()
				t.Yield()
			}
			return nil
		})
		require.NoError(t, watch.Join(t0))
		require.Equal(t, []int{0, 1, 2, 3}, got)
		require.True(t, closed, "it was open after the crash")
	})
}
