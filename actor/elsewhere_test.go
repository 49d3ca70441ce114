package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// A supervisor gives up an incarnation that has not arrived yet, because its scheduler is held, and
// starts the next: only that one reads the ref.
func TestGivenUpBeforeItArrived(t *testing.T) {
	cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop(), StallAfter: -1}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		held, release := make(chan struct{}), make(chan struct{})
		actor.Go(t0, func(*actor.Tasklet) error { close(held); <-release; return nil }, actor.OnScheduler(1))
		_, _ = actor.Await(t0, func(context.Context) (int, error) { <-held; return 0, nil })
		ref := actor.NewRef[int]()
		var read atomic.Int32
		body := actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error { read.Add(int32(n)); return nil })
		slot, _ := starter(t, t0, body, nil, actor.OnScheduler(1), actor.Shutdown(actor.BrutalKill))
		start := func() *actor.Tasklet {
			// It does not arrive as long as the scheduler is held.
			ctx, cancel := actor.WithTimeout(t0, time.Millisecond)
			defer cancel()
			k, err := slot.Start(ctx)
			require.ErrorIs(t, err, actor.ErrTimeout)
			return k
		}
		first := start()
		require.NoError(t, ref.Send(t0, 1))
		require.NoError(t, slot.Stop(t0))
		second := start()
		close(release)
		require.NoError(t, ref.Send(t0, 2))
		ref.Close()
		require.NoError(t, second.Join(t0))
		require.ErrorIs(t, first.Join(t0), actor.ErrKilled)
		require.Equal(t, int32(3), read.Load())
		return nil
	})
	var stop *actor.StopError
	require.ErrorAs(t, err, &stop)
	require.Len(t, stop.Leaked, 1)
	var p *actor.PanicError
	require.NotErrorAs(t, err, &p)
}

// A scheduler that has crashed still does its part of the stop, with its times: the kill of a child
// on another becomes hard.
func TestStopByACrashedScheduler(t *testing.T) {
	for _, virtual := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop()}
			if virtual {
				cfg.Clock = scheduler.NewVirtualClock(time.Time{})
			}
			var took time.Duration
			err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
				actor.Go(t0, func(c *actor.Tasklet) error {
					begin := c.System().Now()
					for c.Err() == nil && took < time.Minute {
						func() {
							defer func() { _ = recover() }()
							c.Sleep(time.Hour)
						}()
						took = c.System().Now().Sub(begin)
					}
					return nil
				}, actor.Shutdown(3*time.Second), actor.OnScheduler(1))
				t0.Sleep(time.Second)
				core.TaskOf(t0).Scheduler().InjectFunc(func() { panic("boom") })
				return wait(t0)
			})
			var p *actor.PanicError
			require.ErrorAs(t, err, &p)
			require.InDelta(t, 4, took.Seconds(), 0.1)
		})
	}
}

// Rule 32: a start that fails on another scheduler is told of when all is undone, also if the
// starter's time ends meanwhile.
func TestFailedStartElsewhereIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop()}
		err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			ref := actor.NewRef[int]()
			ref.OnEnd(func() { time.Sleep(time.Minute) })
			limit, cancel := actor.WithTimeout(t0, time.Second)
			defer cancel()
			slot, _ := starter(t, t0, actor.ReceiverInitBody(actor.NewRef[int](), func(c *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				// Its end takes a minute.
				slotOf(t, c, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil }))
				return nil, errBoom
			}), nil, actor.OnScheduler(1))
			c, err := slot.Start(limit)
			require.ErrorIs(t, err, errBoom)
			require.True(t, c.HasFinished())
			require.Empty(t, t0.Children())
			return nil
		})
		require.NoError(t, err)
	})
}

// If the starter's time ends first, a start that fails afterwards is an end as any other: the
// supervisor is told. One of the two it is.
func TestStartElsewhereIsToldOfOnce(t *testing.T) {
	cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop(), StallAfter: -1}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		for n := range 500 {
			var ends atomic.Int32
			ctx, cancel := context.WithCancel(t0)
			go func() {
				for range n % 40 {
					runtime.Gosched()
				}
				cancel()
			}()
			slot, _ := starter(t, t0, actor.ReceiverInitBody(actor.NewRef[int](), func(c *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				return nil, errBoom
			}), func(actor.Exit) { ends.Add(1) }, actor.OnScheduler(1))
			c, err := slot.Start(ctx)
			_ = c.Join(t0)
			t0.Yield()
			require.Error(t, err)
			for !c.HasFinished() {
				t0.Yield()
			}
			t0.Sleep(time.Millisecond)
			told := int32(0)
			if err != errBoom {
				told = 1
			}
			require.Equal(t, told, ends.Load(), "%v", err)
		}
		return nil
	}))
}

// Rule 21: who sees that a tasklet of another scheduler has finished does not see it in the tree
// any more.
func TestFinishedElsewhereIsOutOfTheTree(t *testing.T) {
	cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop(), StallAfter: -1}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		for range 5000 {
			c := actor.Go(t0, func(*actor.Tasklet) error { return errBoom }, actor.OnScheduler(1))
			for !c.HasFinished() {
				runtime.Gosched()
			}
			require.Empty(t, t0.Children())
		}
		return nil
	}))
}

// Timer.Stop says false if the message has been moved into the mailbox of another scheduler, though
// the timer's own has not heard yet.
func TestTimerStopAfterTheMessageWasTaken(t *testing.T) {
	cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop(), StallAfter: -1}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		var read atomic.Int32
		ref := actor.NewRef[int](actor.MailboxLen(1))
		require.NoError(t, ref.Send(t0, 1))
		tm := actor.SendAfter(t0, 0, ref, 2)
		actor.StartTasklet(t0, actor.SpawnBody(ref, func(_ *actor.Tasklet, in *mailbox.Mailbox[int]) error {
			for range in.Receive() {
				read.Add(1)
			}
			return nil
		}), actor.OnScheduler(1))
		for read.Load() < 2 { // without giving up control
			runtime.Gosched()
		}
		require.False(t, tm.Stop())
		require.False(t, tm.Stop())
		return nil
	}))
}

// A joiner of a ref that finds no tasklet yet, but is so slow that it waits only when that has come
// and its body has ended, is told too.
func TestRefJoinBetweenBodyAndFinish(t *testing.T) {
	across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
		for n := range 2 {
			ref := actor.NewRef[int]()
			c := actor.StartTasklet(t0, actor.SpawnBody(ref, func(c *actor.Tasklet, _ *mailbox.Mailbox[int]) error {
				c.Defer(func() { c.Sleep(time.Minute) })
				return nil
			}), actor.OnScheduler(n))
			t0.Sleep(time.Second)
			require.True(t, ref.IsDead())
			limit, cancel := actor.WithTimeout(t0, time.Hour)
			require.NoError(t, actor.WaitDead(ref, limit))
			require.NoError(t, limit.Err(), "told, not out of time")
			cancel()
			require.NoError(t, ref.Join(t0)) // being told comes a moment before the end
			require.True(t, c.HasFinished())
		}
	})
}

// Rule 5: who is killed while it waits for room on another scheduler leaves without sending; if the
// message was moved in before that was heard of, the send has ended well, and the kill comes at the
// next blocking point.
func TestKillOfSenderElsewhere(t *testing.T) {
	cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop(), StallAfter: -1}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		for _, late := range []bool{true, false} {
			var read atomic.Int32
			begin := make(chan struct{})
			full := actor.NewRef[int](actor.MailboxLen(1))
			actor.StartTasklet(t0, actor.SpawnBody(full, func(r *actor.Tasklet, in *mailbox.Mailbox[int]) error {
				_, _ = actor.Await(r, func(context.Context) (int, error) { <-begin; return 0, nil })
				for range in.Receive() {
					read.Add(1)
				}
				return nil
			}), actor.OnScheduler(1))
			require.NoError(t, full.Send(t0, 1))
			sent, blocked := false, false
			s := actor.Go(t0, func(s *actor.Tasklet) error {
				blocked = true
				sent = full.Send(s, 2) == nil
				return wait(s)
			})
			for !blocked {
				t0.Yield()
			}
			s.Kill()
			if late {
				close(begin)
				for read.Load() < 2 { // without giving up control
					runtime.Gosched()
				}
			} else {
				t0.Yield()
				close(begin)
			}
			require.ErrorIs(t, s.Join(t0), actor.ErrKilled)
			require.Equal(t, late, sent)
			full.Close()
			require.NoError(t, full.Join(t0))
			require.Equal(t, map[bool]int32{true: 2, false: 1}[late], read.Load())
		}
		return nil
	}))
}

// Rule 29 over incarnations: who waits for a line of tasklets on another scheduler, in a send, a
// call or a join of the ref, waits for its current one, also if that came later.
func TestDeadlockWithALaterIncarnation(t *testing.T) {
	type ask struct{ r actor.Reply[int] }
	waits := map[string]func(c *actor.Tasklet, ref actor.Ref[ask]) error{
		"join": func(c *actor.Tasklet, ref actor.Ref[ask]) error { return ref.Join(c) },
		"call": func(c *actor.Tasklet, ref actor.Ref[ask]) error {
			_, err := actor.Call(c, ref, func(r actor.Reply[int]) ask { return ask{r: r} })
			return err
		},
		"send": func(c *actor.Tasklet, ref actor.Ref[ask]) error {
			for range 9 {
				if err := ref.Send(c, ask{}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for what, wait := range waits {
		for at := range 4 { // on which scheduler, and whether there was an incarnation before
			t.Run(fmt.Sprint(what, at), func(t *testing.T) {
				across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
					ref := actor.NewRef[ask](actor.MailboxLen(3))
					waiter := actor.NewRef[int]()
					actor.StartTasklet(t0, actor.ReceiverBody(waiter, func(c *actor.Tasklet, _ int) error { return wait(c, ref) }), actor.OnFailure(actor.End))
					crash := at >= 2
					body := actor.ReceiverBody(ref, func(c *actor.Tasklet, _ ask) error {
						if crash {
							crash = false
							return errBoom
						}
						return waiter.Join(c)
					})
					slot, start := starter(t, t0, body, nil, actor.OnScheduler(at%2))
					require.NoError(t, ref.Send(t0, ask{}))
					if crash {
						require.ErrorIs(t, start().Join(t0), errBoom)
						require.NoError(t, ref.Send(t0, ask{}))
					}
					require.NoError(t, waiter.Send(t0, 1))
					t0.Sleep(time.Second)
					second := start()
					limit, cancel := actor.WithTimeout(t0, time.Minute)
					defer cancel()
					var d *actor.DeadlockError
					err := errors.Join(waiter.Join(limit), second.Join(limit))
					require.ErrorAs(t, err, &d)
					require.Len(t, d.Chain, 2)
					second.Kill()
					_ = second.Join(t0)
					slot.Retire()
				})
			})
		}
	}
}

// A ref that is closed, and opened in the same step by the next start, is open; also if the
// supervisor is on its scheduler.
func TestCloseAndStartInOneStep(t *testing.T) {
	for at := range 2 {
		across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
			ref := actor.NewRef[int]()
			sum := 0
			body := actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
				if n == 0 {
					return errBoom
				}
				sum += n
				return nil
			})
			slot, start := starter(t, t0, body, nil, actor.OnScheduler(at))
			first := start()
			require.NoError(t, ref.Send(t0, 0))
			require.NoError(t, ref.Send(t0, 1))
			require.ErrorIs(t, first.Join(t0), errBoom)
			slot.Close()
			require.ErrorIs(t, ref.TrySend(t0, 2), mailbox.ErrClosed, "at once")
			second := start()
			t0.Sleep(time.Second)
			require.NoError(t, ref.Send(t0, 4))
			ref.Close()
			require.NoError(t, second.Join(t0))
			require.Equal(t, 4, sum)
			slot.Retire()
		})
	}
}

// A ref on a scheduler that is held is closed at once.
func TestCloseOnAHeldScheduler(t *testing.T) {
	cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop(), StallAfter: -1}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int]()
		body := actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return errBoom })
		slot, start := starter(t, t0, body, nil, actor.OnScheduler(1))
		first := start()
		require.NoError(t, ref.Send(t0, 1))
		require.ErrorIs(t, first.Join(t0), errBoom)
		held, release := make(chan struct{}), make(chan struct{})
		actor.Go(t0, func(*actor.Tasklet) error { close(held); <-release; return nil }, actor.OnScheduler(1))
		_, _ = actor.Await(t0, func(context.Context) (int, error) { <-held; return 0, nil })
		slot.Close()
		require.ErrorIs(t, ref.Send(t0, 1), mailbox.ErrClosed)
		close(release)
		slot.Retire()
		return nil
	}))
}

// Nothing stays behind of what has waited for something on another scheduler and waits no longer.
func TestNothingStaysBehindElsewhere(t *testing.T) {
	across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
		target := actor.Go(t0, wait, actor.OnScheduler(1))
		for range 100 {
			limit, cancel := actor.WithTimeout(t0, time.Second)
			require.ErrorIs(t, target.Join(limit), actor.ErrTimeout)
			cancel()
		}
		require.Zero(t, actor.Bells(target))
		ref := actor.Spawn(t0, func(r *actor.Tasklet, in *mailbox.Mailbox[int]) error {
			r.Sleep(time.Hour)
			for range in.Receive() {
			}
			return nil
		}, actor.OnScheduler(1), actor.MailboxLen(1))
		require.NoError(t, ref.Send(t0, 1))
		for range 100 {
			actor.SendAfter(t0, 0, ref, 1)
		}
		require.Equal(t, 100, actor.Owned(t0))
		t0.Sleep(2 * time.Hour)
		require.Zero(t, actor.Owned(t0))
	})
}

// Rule 30 over schedulers: a callee that has handed its duty on and then waits for the caller makes
// no cycle with it.
func TestDelegateAndWaitForTheCaller(t *testing.T) {
	type ask struct{ r actor.Reply[int] }
	synctest.Test(t, func(t *testing.T) {
		var rings atomic.Int32
		cfg := actor.Config{Schedulers: 3, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
			if e.Kind == event.Deadlock {
				rings.Add(1)
			}
		}}
		require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			helper := actor.Receiver(t0, func(h *actor.Tasklet, a ask) error {
				h.Sleep(10 * time.Second)
				return a.r.Send(h, 7)
			}, actor.OnScheduler(2))
			var caller *actor.Task[int]
			callee := actor.Receiver(t0, func(c *actor.Tasklet, a ask) error {
				a.r.Delegate(helper.Tasklet())
				if err := helper.Send(c, a); err != nil {
					return err
				}
				_, err := caller.Join(c)
				return err
			}, actor.OnScheduler(1), actor.OnFailure(actor.End))
			caller = actor.New(t0, func(c *actor.Tasklet) (int, error) {
				return actor.Call(c, callee, func(r actor.Reply[int]) ask { return ask{r} })
			})
			v, err := caller.Join(t0)
			require.NoError(t, err)
			require.Equal(t, 7, v)
			callee.Close()
			return callee.Join(t0)
		}))
		require.Zero(t, rings.Load())
	})
}
