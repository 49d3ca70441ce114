package actor_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// Rule 2: an unsupervised ref is dead as soon as the body has ended, before the children are
// stopped.
func TestUnsupervisedRefDies(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		var ref actor.Ref[int]
		var inChild error
		ref = actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
			actor.Go(t, func(c *actor.Tasklet) error {
				defer func() { inChild = ref.Send(c, 1) }()
				return forever(c)
			})
			t.Yield()
			return actor.ErrStop
		}, actor.MailboxLen(2), actor.Name("r"))
		require.NoError(t, ref.Send(t0, 1))
		require.NoError(t, ref.Send(t0, 2))
		parked := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 3) })
		require.False(t, actor.Finished(ref))
		require.NoError(t, ref.Join(t0))
		require.ErrorIs(t, inChild, mailbox.ErrClosed)
		require.True(t, actor.Finished(ref))
		require.NoError(t, parked.Join(t0), "there was room when the first was taken")
		require.ErrorIs(t, ref.Send(t0, 1), mailbox.ErrClosed)
		require.ErrorIs(t, ref.TrySend(t0, 1), mailbox.ErrClosed)
		_, err := actor.Call(t0, ref, func(actor.Reply[int]) int { return 0 })
		require.ErrorIs(t, err, mailbox.ErrClosed)
		require.Zero(t, ref.Len())
		ref.Kill()
		ref.Close()
		require.NoError(t, ref.Join(t0), "again")
		require.NotNil(t, ref.Tasklet(), "the one that it had")
		return nil
	}))
	letters := j.of(event.DeadLetter, "/r")
	require.Len(t, letters, 1)
	require.Equal(t, int64(2), count(letters[0]))
}

// A ref is a value: it can be compared and is the address of nobody when zero.
func TestRefIsAValue(t *testing.T) {
	a, b := actor.NewRef[int](), actor.NewRef[int]()
	require.False(t, a == b)
	require.True(t, a == func() actor.Ref[int] { return a }())
	var zero actor.Ref[int]
	require.True(t, zero.IsZero())
	require.False(t, a.IsZero())
	require.Equal(t, "(zero ref)", zero.String())
	for _, f := range []func(){
		func() { zero.Close() }, func() { zero.Kill() }, func() { zero.Len() }, func() { zero.Cap() }, func() { zero.Name() },
		func() { zero.Tasklet() }, func() { zero.IsDead() }, func() { _ = zero.Join(context.Background()) },
		func() { _ = zero.Send(context.Background(), 1) }, func() { _ = zero.TrySend(context.Background(), 1) },
	} {
		require.Contains(t, recovering(f), "zero Ref")
	}
}

// Rule 4: a ref that was never started queues up to its bound, and further senders park, from a
// tasklet and from outside; the start takes them in order.
func TestRefBeforeItsStart(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int](actor.MailboxLen(3))
		require.Nil(t, ref.Tasklet())
		require.Equal(t, 3, ref.Cap())
		ref.Kill() // does nothing
		for i := range 3 {
			require.NoError(t, ref.Send(t0, i))
		}
		require.ErrorIs(t, ref.TrySend(t0, 9), mailbox.ErrFull)
		require.Equal(t, 3, ref.Len())
		var senders []*actor.Tasklet
		for i := range 4 {
			senders = append(senders, actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 3+i) }))
		}
		t0.Sleep(time.Second)
		ctx, cancel := actor.WithTimeout(t0, time.Second)
		defer cancel()
		require.ErrorIs(t, ref.Send(ctx, 9), actor.ErrTimeout)
		require.Equal(t, 3, ref.Len())
		var got []int
		k := actor.StartTasklet(t0, actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error { got = append(got, n); return nil }))
		require.Same(t, k, ref.Tasklet())
		for _, s := range senders {
			require.NoError(t, s.Join(t0))
		}
		ref.Close()
		require.NoError(t, ref.Join(t0))
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6}, got)
		return nil
	})
	// From goroutines, before there is a system.
	ref := actor.NewRef[int](actor.MailboxLen(2))
	ctx := context.Background()
	require.NoError(t, ref.Send(ctx, 0))
	require.NoError(t, ref.TrySend(ctx, 0))
	require.ErrorIs(t, ref.TrySend(ctx, 0), mailbox.ErrFull)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { require.NoError(t, ref.Send(ctx, 1)) })
	}
	s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	n := 0
	k := actor.StartTasklet(s, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error {
		if n++; n == 7 {
			return actor.ErrStop
		}
		return nil
	}))
	wg.Wait()
	require.NoError(t, k.Join(ctx))
	require.Equal(t, 7, n)
	require.NoError(t, s.Stop(ctx))
}

// Rule 4: one living incarnation; a second start panics with both paths. It belongs to the first
// system.
func TestRefHasOneTasklet(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int]()
		h := func(*actor.Tasklet, int) error { return nil }
		actor.StartTasklet(t0, actor.ReceiverBody(ref, h), actor.Name("first"))
		p := actor.Go(t0, func(p *actor.Tasklet) error {
			v := recovering(func() { actor.StartTasklet(p, actor.ReceiverBody(ref, h), actor.Name("second")) })
			require.Contains(t0ErrorT{}, v, "/tasklet/first")
			require.Contains(t0ErrorT{}, v, "/tasklet/p/second")
			v = recovering(func() { actor.StartTasklet(p, actor.ReceiverBody(ref, h)) })
			require.Contains(t0ErrorT{}, v, "/tasklet/p/TestRefHasOneTasklet")
			require.Empty(t0ErrorT{}, p.Children())
			return nil
		}, actor.Name("p"))
		require.NoError(t, p.Join(t0))
		require.Equal(t, "/tasklet/first", ref.Tasklet().Path(), "the first goes on")
		require.NoError(t, ref.Send(t0, 1))
		ref.Close()
		require.NoError(t, ref.Join(t0))
		require.Contains(t, recovering(func() { actor.StartTasklet(t0, actor.ReceiverBody(ref, h)) }), "the ref of its body is dead")
		return nil
	})
	t.Run("a body without a ref may run any number of times", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			n := 0
			for _, b := range []actor.Body{
				actor.GoBody(func(*actor.Tasklet) error { n++; return nil }),
				actor.IntervalBody(time.Second, func(*actor.Tasklet) error { n++; return actor.ErrStop }),
				actor.RateBody(1, func(*actor.Tasklet, time.Time) error { n++; return actor.ErrStop }),
			} {
				n = 0
				for range 3 {
					actor.StartTasklet(t0, b)
				}
				t0.Sleep(2 * time.Second)
				require.Equal(t, 3, n)
			}
			return nil
		})
	})
	t.Run("another system", func(t *testing.T) {
		ref := actor.NewRef[int]()
		h := func(*actor.Tasklet, int) error { return nil }
		run(t, func(t0 *actor.Tasklet) error {
			fam := actor.Family{Kind: "f", Bodies: []actor.Body{actor.ReceiverBody(ref, h)}}
			_, start := starter(t, t0, actor.Supervise(actor.NewRef[int](), fam, func(p *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				_, start := starter(t, p, fam.Bodies[0], nil)
				start()
				return h, nil
			}), nil)
			start()
			return nil
		})
		require.Nil(t, ref.Tasklet())
		run(t, func(t0 *actor.Tasklet) error {
			require.NotNil(t, recovering(func() { actor.StartTasklet(t0, actor.ReceiverBody(ref, h)) }))
			require.Nil(t, ref.Tasklet())
			return nil
		})
	})
	t.Run("sends from another system, while both live", func(t *testing.T) {
		a, err := actor.Start(actor.Config{Logger: zap.NewNop()})
		require.NoError(t, err)
		b, err := actor.Start(actor.Config{Logger: zap.NewNop()})
		require.NoError(t, err)
		sum := 0
		ref := actor.Receiver(a, func(_ *actor.Tasklet, n int) error { sum += n; return nil }, actor.MailboxLen(2))
		k := actor.Go(b, func(t *actor.Tasklet) error {
			for range 1000 {
				if err := ref.Send(t, 1); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(t, k.Join(context.Background()))
		ref.Close()
		require.NoError(t, ref.Join(context.Background()))
		require.Equal(t, 1000, sum)
		require.NoError(t, a.Stop(context.Background()))
		require.NoError(t, b.Stop(context.Background()))
	})
}

// Rule 3: Close.
func TestClose(t *testing.T) {
	t.Run("what is queued is handled, then it ends with nil; parked senders get ErrClosed", func(t *testing.T) {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			var got []int
			ref := actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
				got = append(got, n)
				t.Sleep(time.Second)
				return nil
			}, actor.MailboxLen(3), actor.Name("r"))
			for i := range 4 {
				require.NoError(t, ref.Send(t0, i))
				if i == 2 {
					t0.Yield() // the first is in hand
				}
			}
			parked := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 9) })
			t0.Yield()
			ref.Close()
			ref.Close()
			require.ErrorIs(t, ref.Send(t0, 9), mailbox.ErrClosed)
			require.ErrorIs(t, ref.TrySend(t0, 9), mailbox.ErrClosed)
			require.ErrorIs(t, parked.Join(t0), mailbox.ErrClosed)
			require.NoError(t, ref.Join(t0))
			require.Equal(t, []int{0, 1, 2, 3}, got)
			return nil
		}))
		require.Len(t, j.of(event.Close, "/r"), 1)
		require.Empty(t, j.of(event.DeadLetter, ""))
	})
	t.Run("of each body that reads a ref", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			sum := 0
			for _, b := range []func(actor.Ref[int]) actor.Body{
				func(r actor.Ref[int]) actor.Body {
					return actor.ReceiverBody(r, func(_ *actor.Tasklet, n int) error { sum += n; return nil })
				},
				func(r actor.Ref[int]) actor.Body {
					return actor.BatchReceiverBody(r, 10, time.Hour, func(_ *actor.Tasklet, ns []int) error { sum += len(ns); return nil })
				},
				func(r actor.Ref[int]) actor.Body {
					return actor.ReceiverInitBody(r, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
						return func(_ *actor.Tasklet, n int) error { sum += n; return nil }, nil
					})
				},
				func(r actor.Ref[int]) actor.Body {
					return actor.SpawnBody(r, func(_ *actor.Tasklet, m *mailbox.Mailbox[int]) error {
						for n := range m.Receive() {
							sum += n
						}
						return nil
					})
				},
			} {
				for _, when := range []string{"before the start", "at once", "idle", "with messages"} {
					sum = 0
					ref := actor.NewRef[int]()
					send := func() {
						for range 3 {
							require.NoError(t, ref.Send(t0, 1))
						}
					}
					if when == "before the start" {
						send()
						ref.Close()
						require.ErrorIs(t, ref.Send(t0, 1), mailbox.ErrClosed)
					}
					k := actor.StartTasklet(t0, b(ref))
					if when == "idle" {
						t0.Sleep(time.Second)
					}
					if when == "with messages" {
						send()
					}
					ref.Close()
					require.NoError(t, k.Join(t0))
					if when == "before the start" || when == "with messages" {
						require.Equal(t, 3, sum)
					}
				}
			}
			return nil
		})
	})
	t.Run("from goroutines while others send", func(t *testing.T) {
		for range 50 {
			s, err := actor.Start(actor.Config{Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})})
			require.NoError(t, err)
			handled := 0
			ref := actor.Receiver(s, func(*actor.Tasklet, int) error { handled++; return nil }, actor.MailboxLen(4))
			var wg sync.WaitGroup
			var mu sync.Mutex
			sent := 0
			for range 3 {
				wg.Go(func() {
					n := 0
					for ref.Send(context.Background(), 1) == nil {
						n++
					}
					mu.Lock()
					sent += n
					mu.Unlock()
				})
			}
			wg.Go(func() {
				for ref.Len() == 0 {
					runtime.Gosched()
				}
				ref.Close()
			})
			wg.Wait()
			require.NoError(t, ref.Join(context.Background()))
			require.Equal(t, sent, handled)
			require.NoError(t, s.Stop(context.Background()))
		}
	})
}

// Ref.Join, HasFinished and Kill from everywhere, at every moment. For the race detector.
func TestRefFromGoroutines(t *testing.T) {
	for range 30 {
		s, err := actor.Start(actor.Config{Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})})
		require.NoError(t, err)
		ref := actor.NewRef[int](actor.MailboxLen(2))
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				for range g {
					runtime.Gosched()
				}
				_ = ref.TrySend(context.Background(), 1)
				_ = ref.String()
				_ = ref.Len()
				_ = ref.Tasklet()
				if g == 5 {
					for ref.Tasklet() == nil {
						runtime.Gosched()
					}
					ref.Kill()
				}
				require.ErrorIs(t, ref.Join(context.Background()), actor.ErrKilled)
				require.True(t, actor.Finished(ref))
			})
		}
		actor.StartTasklet(s, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil }))
		wg.Wait()
		require.NoError(t, s.Stop(context.Background()))
	}
}
