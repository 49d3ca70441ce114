package supervisor_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// A supervisor whose children run on other schedulers is the same supervisor: see also
// TestOTPTraces.

// Rule 35: children on three schedulers crash at full speed. Every message is handled, each
// sender's in order, no name is taken twice.
func TestStormOverSchedulers(t *testing.T) {
	const children, messages = 12, 300
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.RestForOne, supervisor.OneForAll} {
		t.Run(strategy.String(), func(t *testing.T) {
			cfg := actor.Config{Schedulers: 3, Logger: zap.NewNop()}
			err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
				var cs []supervisor.Child
				refs := make([]actor.Ref[int], children)
				last := make([]int, children)
				var disorder atomic.Int32
				for i := range refs {
					refs[i] = actor.NewRef[int](actor.MailboxLen(8))
					cs = append(cs, supervisor.Child{
						ID: strconv.Itoa(i), Options: []actor.Option{actor.OnScheduler(i % 3)}, Shutdown: actor.Infinity,
						Body: actor.ReceiverBody(refs[i], func(_ *actor.Tasklet, n int) error {
							if n != last[i]+1 {
								disorder.Add(1)
							}
							last[i] = n
							if n%3 == 1 {
								panic("boom")
							}
							if n == messages {
								return actor.ErrShutdown
							}
							return nil
						}),
						Restart: supervisor.Transient,
					})
				}
				s, err := supervisor.Start(t0, supervisor.Spec{Strategy: strategy, Intensity: 1 << 30, Children: cs})
				if err != nil {
					return err
				}
				var senders []*actor.Tasklet
				for i, ref := range refs {
					senders = append(senders, actor.Go(t0, func(t *actor.Tasklet) error {
						for n := 1; n <= messages; n++ {
							if err := ref.Send(t, n); err != nil {
								return err
							}
						}
						return nil
					}, actor.OnScheduler((i+1)%3)))
				}
				for _, sender := range senders {
					require.NoError(t, sender.Join(t0))
				}
				for {
					n, err := s.Count(t0)
					require.NoError(t, err)
					if n[supervisor.Stopped] == children || strategy != supervisor.OneForOne && n[supervisor.Restarting] == 0 && queued(refs) == 0 {
						break
					}
					t0.Yield()
				}
				s.Tasklet().Kill()
				_ = s.Tasklet().Join(t0)
				require.Zero(t, disorder.Load())
				for i := range refs {
					require.Equal(t, messages, last[i], "child %d", i)
					require.True(t, refs[i].IsDead())
				}
				return nil
			})
			require.NoError(t, err)
		})
	}
}

func queued(refs []actor.Ref[int]) (n int) {
	for _, r := range refs {
		n += r.Len()
	}
	return n
}

// Rule 2 over schedulers: a restart holds the ref, its queue and its parked senders; StopChild
// closes it, what is queued becomes dead letters; RestartChild opens it again; DeleteChild ends it.
func TestRefOfChildOnAnotherScheduler(t *testing.T) {
	lost := 0
	cfg := actor.Config{Schedulers: 2, OnEvent: func(e actor.EventRecord) {
		if e.Kind == event.DeadLetter {
			lost += e.Count
		}
	}}
	runWith(t, cfg, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[string](actor.MailboxLen(2))
		var got atomic.Pointer[[]string]
		got.Store(&[]string{})
		body := actor.ReceiverBody(ref, func(c *actor.Tasklet, m string) error {
			all := append(*got.Load(), m)
			got.Store(&all)
			switch m {
			case "crash":
				return errCrash
			case "work":
				c.Sleep(time.Minute)
			}
			return nil
		})
		s := start(t0, supervisor.Spec{
			Backoff: supervisor.Backoff{Min: time.Second, Max: time.Second, Factor: 1}, Intensity: 10,
			Children: []supervisor.Child{{ID: "a", Body: body, Options: []actor.Option{actor.OnScheduler(1)}}},
		})
		// the last two park until the restart
		for _, m := range []string{"crash", "1", "2", "3", "4"} {
			require.NoError(t, ref.Send(t0, m))
		}
		settle(t0)
		require.Equal(t, []string{"crash", "1", "2", "3", "4"}, *got.Load())

		require.NoError(t, ref.Send(t0, "work"))
		settle(t0)
		require.NoError(t, ref.Send(t0, "lost"))
		require.NoError(t, ref.Send(t0, "lost"))
		parked := actor.New(t0, func(p *actor.Tasklet) (error, error) { return ref.Send(p, "refused"), nil })
		settle(t0)
		require.NoError(t, s.StopChild(t0, "a"))
		require.ErrorIs(t, ref.Send(t0, "no"), mailbox.ErrClosed)
		err, _ := parked.Join(t0)
		require.ErrorIs(t, err, mailbox.ErrClosed)
		settle(t0)
		require.Equal(t, 2, lost)
		_, err = s.RestartChild(t0, "a")
		require.NoError(t, err)
		require.NoError(t, ref.Send(t0, "again"))
		settle(t0)
		require.Equal(t, []string{"crash", "1", "2", "3", "4", "work", "again"}, *got.Load())
		require.NoError(t, s.StopChild(t0, "a"))
		require.NoError(t, s.DeleteChild(t0, "a"))
		require.True(t, ref.IsDead())
		require.ErrorIs(t, ref.Join(t0), actor.ErrKilled, "its last tasklet was stopped")
	})
}

// A pool that spreads its children: all schedulers work, and the pool's stop waits for all.
func TestPoolOverSchedulers(t *testing.T) {
	runWith(t, actor.Config{Schedulers: 3}, func(t0 *actor.Tasklet) {
		var ended atomic.Int32
		p, err := supervisor.StartPool(t0, supervisor.PoolSpec[int]{Child: func(n int) supervisor.Child {
			return supervisor.Child{
				ID: strconv.Itoa(n), Options: []actor.Option{actor.Spread()}, Restart: supervisor.Transient,
				Body: actor.GoBody(func(c *actor.Tasklet) error {
					c.Defer(func() { ended.Add(1) })
					c.Sleep(time.Duration(n+1) * time.Minute)
					if n%2 == 1 {
						return errors.New("boom")
					}
					return nil
				}),
			}
		}, Intensity: 1 << 30})
		require.NoError(t, err)
		used := map[int]int{}
		for n := range 30 {
			c, err := p.Start(t0, n)
			require.NoError(t, err)
			used[c.Info().Scheduler]++
		}
		require.Len(t, used, 3)
		for _, n := range used {
			require.Greater(t, n, 7, "%v", used)
		}
		t0.Sleep(30*time.Minute + time.Second)
		require.Equal(t, 15, p.Len(), "the odd ones were restarted")
		before := ended.Load()
		p.Tasklet().Kill()
		_ = p.Tasklet().Join(t0)
		require.Equal(t, before+15, ended.Load())
	})
}
