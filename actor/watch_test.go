package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
)

// noticeText makes a message of a notice.
func noticeText(e actor.Exit) string { return fmt.Sprintf("%s %v %v", e.Path, e.Kind, e.Err) }

// drain closes ref and waits until what was queued is handled.
func drain[M any](t *actor.Tasklet, ref actor.Ref[M]) error {
	ref.Close()
	return ref.Join(t)
}

// collect starts a receiver that appends what it gets.
func collect[M any](p actor.Spawner, into *[]M, opts ...actor.Option) actor.Ref[M] {
	return actor.Receiver(p, func(_ *actor.Tasklet, m M) error { *into = append(*into, m); return nil }, opts...)
}

// Rules 20 and 21: a notice says how the tasklet ended; for one that has finished it comes at once.
func TestRule21WatchTellsTheEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		body func(*actor.Tasklet) error
		want string
	}{
		{"normal", func(*actor.Tasklet) error { return nil }, "normal <nil>"},
		{"ErrStop", func(*actor.Tasklet) error { return fmt.Errorf("done: %w", actor.ErrStop) }, "normal <nil>"},
		{"shutdown", func(*actor.Tasklet) error { return actor.ErrShutdown }, "shutdown actor: shutdown"},
		{"error", func(*actor.Tasklet) error { return errTest }, "error test"},
		{"panic", func(*actor.Tasklet) error { panic("oh") }, "panic panic: oh"},
		{"killed", func(t *actor.Tasklet) error { t.Kill(); t.Sleep(time.Hour); return nil }, "killed actor: killed"},
		{"Goexit", func(*actor.Tasklet) error { runtime.Goexit(); return nil }, "error actor: body called runtime.Goexit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				ref := actor.NewRef[string]()
				target := actor.Go(t0, c.body, actor.Name("x"))
				actor.Watch(t0, target, ref, noticeText)
				require.Zero(t, ref.Len())
				_ = target.Join(t0)
				require.Equal(t, 1, ref.Len())
				actor.Watch(t0, target, ref, noticeText)
				require.Equal(t, 2, ref.Len())
				var got []string
				actor.StartTasklet(t0, actor.ReceiverBody(ref, func(_ *actor.Tasklet, m string) error { got = append(got, m); return nil }))
				require.NoError(t, drain(t0, ref))
				require.Equal(t, []string{"/tasklet/x " + c.want, "/tasklet/x " + c.want}, got)
				return nil
			})
		})
	}
}

// Rule 21: children and deferred calls are over, and what the target sent has arrived, before the
// notice, also through a full mailbox. Joiners are woken in order, before those who watch.
func TestRule21OrderOfNotices(t *testing.T) {
	var got []string
	run(t, func(t0 *actor.Tasklet) error {
		ref := collect(t0, &got, actor.MailboxLen(2))
		target := actor.Go(t0, func(t *actor.Tasklet) error {
			t.Defer(func() { _ = ref.Send(t, "deferred") })
			actor.Go(t, func(c *actor.Tasklet) error {
				c.Defer(func() { _ = ref.Send(c, "child") })
				c.Sleep(time.Hour)
				return nil
			})
			t.Yield()
			for i := range 4 {
				if err := ref.Send(t, fmt.Sprint("m", i)); err != nil {
					return err
				}
			}
			return nil
		})
		for i := range 2 {
			actor.Watch(t0, target, ref, func(e actor.Exit) string {
				require.True(t, e.Tasklet.HasFinished())
				return fmt.Sprint("notice", i)
			})
		}
		require.NoError(t, target.Join(t0))
		return drain(t0, ref)
	})
	require.Equal(t, []string{"m0", "m1", "m2", "m3", "child", "deferred", "notice0", "notice1"}, got)
}

// Rule 21: the joiners are woken in order, and then those who watch are told.
func TestRule21JoinersBeforeNotices(t *testing.T) {
	var got []string
	run(t, func(t0 *actor.Tasklet) error {
		ref := collect(t0, &got)
		target := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Second); return nil })
		actor.Watch(t0, target, ref, func(actor.Exit) string { return "notice" })
		for i := range 3 {
			actor.Go(t0, func(t *actor.Tasklet) error {
				err := target.Join(t)
				got = append(got, fmt.Sprint("joiner", i))
				return err
			})
		}
		t0.Sleep(time.Minute)
		return drain(t0, ref)
	})
	require.Equal(t, []string{"joiner0", "joiner1", "joiner2", "notice"}, got)
}

// Rule 21: what somebody sent on the target's behalf, from inside its Await, comes before the
// notice too.
func TestRule21NoticeAfterAwaitedSend(t *testing.T) {
	var got []string
	run(t, func(t0 *actor.Tasklet) error {
		ref := collect(t0, &got)
		target := actor.Go(t0, func(t *actor.Tasklet) error {
			_, err := actor.Await(t, func(ctx context.Context) (int, error) { return 0, ref.Send(ctx, "from outside") })
			return err
		})
		actor.Watch(t0, target, ref, func(actor.Exit) string { return "notice" })
		require.NoError(t, target.Join(t0))
		return drain(t0, ref)
	})
	require.Equal(t, []string{"from outside", "notice"}, got)
}

// Rule 7: a notice waits for room under every policy but DropOldest, which makes some, in the line
// of senders, and doesn't count in Len.
func TestRule7NoticeWaitsForRoom(t *testing.T) {
	for _, started := range []bool{true, false} { // whether the ref has a reader yet
		for _, c := range []struct {
			policy mailbox.Policy
			want   []string
		}{
			{mailbox.Block, []string{"a", "b", "notice", "after"}},
			{mailbox.Fail, []string{"a", "b", "notice"}},
			{mailbox.DropNewest, []string{"a", "b", "notice"}},
			{mailbox.DropOldest, []string{"notice", "after"}},
		} {
			t.Run(fmt.Sprint(c.policy, " started=", started), func(t *testing.T) {
				run(t, func(t0 *actor.Tasklet) error {
					var got []string
					ref := actor.NewRef[string](actor.MailboxLen(2), actor.Overflow(c.policy))
					body := actor.SpawnBody(ref, func(t *actor.Tasklet, in *mailbox.Mailbox[string]) error {
						t.Sleep(time.Minute)
						for m := range in.Receive() {
							got = append(got, m)
						}
						return nil
					})
					if started {
						actor.StartTasklet(t0, body)
						t0.Yield()
					}
					require.NoError(t, ref.Send(t0, "a"))
					require.NoError(t, ref.Send(t0, "b"))
					target := actor.Go(t0, func(*actor.Tasklet) error { return nil })
					actor.Watch(t0, target, ref, func(actor.Exit) string { return "notice" })
					_ = target.Join(t0)
					require.Equal(t, 2, ref.Len())
					sender := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, "after") })
					t0.Sleep(time.Second)
					require.Equal(t, 2, ref.Len())
					if !started {
						actor.StartTasklet(t0, body)
					}
					switch err := sender.Join(t0); c.policy {
					case mailbox.Fail:
						require.ErrorIs(t, err, mailbox.ErrFull)
					default:
						require.NoError(t, err)
					}
					t0.Sleep(2 * time.Minute)
					require.NoError(t, drain(t0, ref))
					require.Equal(t, c.want, got)
					return nil
				})
			})
		}
	}
}

// Rule 21: cancel takes a watch back, also in the very step of the end, and a notice that waits for
// room; so does the end of who watches.
func TestRule21WatchCancelled(t *testing.T) {
	var got []string
	run(t, func(t0 *actor.Tasklet) error {
		ref := collect(t0, &got, actor.MailboxLen(1))
		sleeper := func() *actor.Tasklet {
			return actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Second); return nil })
		}
		a := sleeper()
		cancel := actor.Watch(t0, a, ref, func(actor.Exit) string { return "cancelled at once" })
		cancel()
		cancel()
		require.Zero(t, actor.Watchers(a), "nothing is left of it")
		var second func() bool
		actor.Watch(t0, a, ref, func(actor.Exit) string { second(); return "first" })
		second = actor.Watch(t0, a, ref, func(actor.Exit) string { return "cancelled by the first" })
		actor.Go(t0, func(t *actor.Tasklet) error {
			actor.Watch(t, a, ref, func(actor.Exit) string { return "watcher has ended" })
			return nil
		})
		require.NoError(t, a.Join(t0))
		t0.Yield()

		b := sleeper()
		full := actor.NewRef[string](actor.MailboxLen(1))
		require.NoError(t, full.Send(t0, "x"))
		waits := actor.Watch(t0, b, full, func(actor.Exit) string { return "waited for room" })
		actor.Watch(t0, b, full, func(actor.Exit) string { return "kept" })
		require.NoError(t, b.Join(t0))
		waits()
		actor.StartTasklet(t0, actor.ReceiverBody(full, func(_ *actor.Tasklet, m string) error { got = append(got, m); return nil }))
		t0.Yield()
		require.NoError(t, drain(t0, full))
		return drain(t0, ref)
	})
	require.Equal(t, []string{"first", "x", "kept"}, got)
}

// A panic of the function that makes the notice is reported as a failure of who watches, and hurts
// nobody.
func TestWatchFunctionPanics(t *testing.T) {
	var got []string
	es := record(t, func(t0 *actor.Tasklet) error {
		ref := collect(t0, &got)
		target := actor.Go(t0, func(t *actor.Tasklet) error { return nil })
		actor.Watch(t0, target, ref, func(actor.Exit) string { panic(errTest) })
		actor.Watch(t0, target, ref, func(actor.Exit) string { return "second" })
		require.NoError(t, target.Join(t0))
		return drain(t0, ref)
	})
	require.Equal(t, []string{"second"}, got)
	failures := only(es, event.Failure)
	require.Len(t, failures, 1)
	require.Equal(t, "/tasklet", failures[0].Path)
	require.ErrorIs(t, failures[0].Err, errTest)
	require.NotEmpty(t, failures[0].Stack)
}

// A notice for somebody who is gone is a dead letter.
func TestWatchForTheDead(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		ref := actor.Receiver(t0, func(*actor.Tasklet, string) error { return nil }, actor.Name("gone"))
		ref.Kill()
		_ = ref.Join(t0)
		actor.Watch(t0, actor.Go(t0, func(*actor.Tasklet) error { return nil }), ref, noticeText)
		return nil
	})
	letters := only(es, event.DeadLetter)
	require.Len(t, letters, 1)
	require.Equal(t, "/tasklet/gone", letters[0].Path)
	require.Equal(t, mailbox.ErrClosed, letters[0].Err)
}

// A timer's message comes when its time has come, in the order of times, and of starts for the same
// time.
func TestSendAfter(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		begin := t0.System().Now()
		var got []string
		ref := actor.Receiver(t0, func(t *actor.Tasklet, m string) error {
			got = append(got, fmt.Sprint(m, " ", t.System().Now().Sub(begin)))
			return nil
		})
		actor.SendAfter(t0, 2*time.Second, ref, "b")
		actor.SendAfter(t0, time.Second, ref, "a")
		actor.SendAfter(t0, 2*time.Second, ref, "c")
		actor.SendAfter(t0, 0, ref, "now")
		actor.SendAfter(t0, -time.Second, ref, "late")
		stopped := actor.SendAfter(t0, time.Second, ref, "never")
		require.True(t, stopped.Stop())
		require.False(t, stopped.Stop())
		fired := actor.SendAfter(t0, time.Second, ref, "d")
		t0.Sleep(time.Minute)
		require.False(t, fired.Stop())
		require.NoError(t, drain(t0, ref))
		require.Equal(t, []string{"now 0s", "late 0s", "a 1s", "d 1s", "b 2s", "c 2s"}, got)
		return nil
	})
}

// Rule 21: a timer is gone with its tasklet.
func TestRule21TimerBelongsToTasklet(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got []string
		ref := collect(t0, &got)
		var timer *actor.Timer
		owner := actor.Go(t0, func(t *actor.Tasklet) error {
			timer = actor.SendAfter(t, time.Second, ref, "never")
			t.Sleep(time.Millisecond)
			return nil
		})
		require.NoError(t, owner.Join(t0))
		require.False(t, timer.Stop())
		t0.Sleep(time.Minute)
		require.NoError(t, drain(t0, ref))
		require.Empty(t, got)
		return nil
	})
}

// Rules 5 and 7: a timer's message that finds no room takes its place in the line of senders, and
// can be stopped there; under Fail and DropNewest it is a dead letter.
func TestRule7TimerWithoutRoom(t *testing.T) {
	for _, started := range []bool{true, false} {
		for _, c := range []struct {
			policy mailbox.Policy
			want   []string
			reason string
		}{
			{mailbox.Block, []string{"x", "first", "timer", "third"}, ""},
			{mailbox.Fail, []string{"x"}, "full"},
			{mailbox.DropNewest, []string{"x"}, "dropped"},
			{mailbox.DropOldest, []string{"timer"}, "dropped"},
		} {
			t.Run(fmt.Sprint(c.policy, " started=", started), func(t *testing.T) {
				es := record(t, func(t0 *actor.Tasklet) error {
					var got []string
					open := false
					ref := actor.NewRef[string](actor.MailboxLen(1), actor.Overflow(c.policy), actor.Name("r"))
					body := actor.SpawnBody(ref, func(t *actor.Tasklet, in *mailbox.Mailbox[string]) error {
						t.Sleep(time.Minute)
						open = true
						for m := range in.Receive() {
							got = append(got, m)
						}
						return nil
					})
					if started {
						actor.StartTasklet(t0, body)
						t0.Yield()
					}
					require.NoError(t, ref.Send(t0, "x"))
					if c.policy == mailbox.Block {
						actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, "first") })
						actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(2 * time.Second); return ref.Send(t, "third") })
					}
					timer := actor.SendAfter(t0, time.Second, ref, "timer")
					stopped := actor.SendAfter(t0, time.Second, ref, "stopped")
					t0.Sleep(time.Second / 2)
					if c.policy != mailbox.Block {
						require.True(t, stopped.Stop())
					}
					t0.Sleep(3 * time.Second)
					require.False(t, open)
					require.Equal(t, 1, ref.Len())
					if c.policy == mailbox.Block {
						require.True(t, stopped.Stop(), "while it stands in line")
						require.False(t, stopped.Stop())
					}
					if !started {
						actor.StartTasklet(t0, body)
					}
					t0.Sleep(2 * time.Minute)
					require.False(t, timer.Stop())
					require.NoError(t, drain(t0, ref))
					require.Equal(t, c.want, got)
					return nil
				})
				letters := only(es, event.DeadLetter)
				if c.reason == "" {
					require.Empty(t, letters)
					return
				}
				require.Len(t, letters, 1)
				require.Equal(t, c.reason, fieldsOf(letters[0])["reason"])
			})
		}
	}
}

// What was delivered is forgotten: a tasklet that lives long does not keep its timers, watches and
// pipes, however they went.
func TestDeliveriesAreForgotten(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.MailboxLen(1))
		done := actor.Go(t0, func(*actor.Tasklet) error { return nil })
		_ = done.Join(t0)
		for i := range 10 {
			for range 3 { // the second and the third wait for room
				actor.SendAfter(t0, time.Second, ref, i)
				actor.Watch(t0, done, ref, func(actor.Exit) int { return i })
			}
			actor.Watch(t0, done, ref, func(actor.Exit) int { return i })()
			actor.SendAfter(t0, time.Second, ref, i).Stop()
			t0.Sleep(2 * time.Second)
			require.Zero(t, actor.Owned(t0))
		}
		return nil
	})
}

// Adapt gives a sender of another type, with the sends of the ref behind it.
func TestAdapt(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got []string
		ref := collect(t0, &got, actor.MailboxLen(2))
		var s actor.Sender[int] = actor.Adapt(ref, func(n int) string { return fmt.Sprint("n", n) })
		require.NoError(t, s.Send(t0, 1))
		require.NoError(t, s.TrySend(t0, 2))
		require.Equal(t, mailbox.ErrFull, s.TrySend(t0, 3))
		require.NoError(t, s.Send(t0, 4)) // parks
		ctx, cancel := actor.WithTimeout(t0, 0)
		defer cancel()
		require.NoError(t, s.TrySend(ctx, 5))
		require.NoError(t, drain(t0, ref))
		require.Equal(t, []string{"n1", "n2", "n4", "n5"}, got)
		require.Equal(t, mailbox.ErrClosed, s.Send(t0, 6))
		var same actor.Sender[string] = ref
		require.Equal(t, mailbox.ErrClosed, same.Send(t0, "x"))

		bad := actor.Adapt(ref, func(int) string { panic(errTest) })
		k := actor.Go(t0, func(t *actor.Tasklet) error { return bad.Send(t, 1) })
		err := k.Join(t0)
		var pe *actor.PanicError
		require.True(t, errors.As(err, &pe), "a panic of the function is the sender's")
		return nil
	})
}
