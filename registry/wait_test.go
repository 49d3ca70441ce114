package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry"
)

// WaitFor parks the tasklet until the name is there; if it is, it does not wait.
func TestWaitFor(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		var ref actor.Ref[int]
		actor.Later(t0, time.Hour, func(t *actor.Tasklet) error {
			ref = idle(t.System())
			return registry.Register(r, "n", ref)
		})
		start := t0.System().Now()
		got, err := registry.WaitFor[int](t0, r, "n")
		require.NoError(t, err)
		require.Equal(t, ref, got)
		require.Equal(t, time.Hour, t0.System().Now().Sub(start))
		got, err = registry.WaitFor[int](t0, r, "n")
		require.NoError(t, err)
		require.Equal(t, ref, got)
		_, err = registry.WaitFor[string](t0, r, "n")
		require.EqualError(t, err, `registry: "n" takes messages of type int, not string`)
		replies, names := r.Waiters()
		require.Zero(t, replies+names)
	})
}

// A name that comes with another type is told to those who wait for it.
func TestWaitForAnotherType(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		actor.Later(t0, time.Second, func(t *actor.Tasklet) error { return registry.Register(r, "n", idle(t.System())) })
		_, err := registry.WaitFor[string](t0, r, "n")
		var wrong *registry.TypeError
		require.ErrorAs(t, err, &wrong)
	})
}

// Rule 13: a limit of the system's clock gives ErrTimeout at its time; if the name is there, it
// wins over an ended context.
func TestWaitForTimeout(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		start := t0.System().Now()
		ctx, cancel := actor.WithTimeout(t0, time.Minute)
		defer cancel()
		_, err := registry.WaitFor[int](ctx, r, "n")
		require.Equal(t, actor.ErrTimeout, err)
		require.Equal(t, time.Minute, t0.System().Now().Sub(start))
		replies, names := r.Waiters()
		require.Zero(t, replies+names)
		ref := idle(t0)
		require.NoError(t, registry.Register(r, "n", ref))
		got, err := registry.WaitFor[int](ctx, r, "n")
		require.NoError(t, err)
		require.Equal(t, ref, got)
		_, err = registry.WaitFor[int](ctx, r, "other")
		require.Equal(t, actor.ErrTimeout, err)
	})
}

// The cause of a context cancelled by hand is the error, in a tasklet and in a goroutine.
func TestWaitForCancelled(t *testing.T) {
	why := errors.New("why")
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		var stop context.CancelCauseFunc
		k := actor.Go(t0, func(t *actor.Tasklet) error {
			var mine context.Context
			mine, stop = context.WithCancelCause(t)
			_, err := registry.WaitFor[int](mine, r, "n")
			return err
		})
		for replies, _ := r.Waiters(); replies == 0; replies, _ = r.Waiters() {
			t0.Yield()
		}
		stop(why)
		require.ErrorIs(t, k.Join(t0), why)
		_, err := actor.Await(t0, func(ctx context.Context) (int, error) {
			mine, stop := context.WithCancelCause(ctx)
			stop(why)
			_, err := registry.WaitFor[int](mine, r, "n")
			return 0, err
		})
		require.ErrorIs(t, err, why)
		replies, names := r.Waiters()
		require.Zero(t, replies+names)
	})
}

// Rule 17: a kill ends the wait where it is, and the one who waited is forgotten, as is one who
// gave up.
func TestKillInWaitFor(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		unwound := false
		k := actor.Go(t0, func(t *actor.Tasklet) error {
			defer func() { unwound = true }()
			_, err := registry.WaitFor[int](t, r, "n")
			return err
		})
		t0.Yield()
		t0.Yield()
		replies, names := r.Waiters()
		require.Equal(t, [2]int{1, 1}, [2]int{replies, names})
		require.Equal(t, "parked", k.Info().State)
		k.Kill()
		require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
		require.True(t, unwound)
		replies, names = r.Waiters()
		require.Zero(t, replies+names)
	})
}

// Many wait for one name: all are told, in the order in which they came; those who gave up before
// are not, and no reply is late.
func TestManyWaiters(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), config(&j), func(t0 *actor.Tasklet) error {
		r := registry.Of(t0.System())
		const n = 1000
		var order []int
		gaveUp := 0
		for i := range n {
			actor.Go(t0, func(k *actor.Tasklet) error {
				k.Sleep(time.Duration(i+1) * time.Millisecond)
				if i%3 == 0 {
					ctx, cancel := actor.WithTimeout(k, time.Second)
					defer cancel()
					_, err := registry.WaitFor[int](ctx, r, "n")
					require.Equal(t, actor.ErrTimeout, err)
					gaveUp++
					return nil
				}
				_, err := registry.WaitFor[int](k, r, "n")
				order = append(order, i)
				return err
			}, actor.Name(fmt.Sprint(i)))
		}
		t0.Sleep(time.Hour)
		require.Equal(t, (n+2)/3, gaveUp)
		replies, _ := r.Waiters()
		require.Less(t, replies, 2*(n-gaveUp)+1)
		require.NoError(t, registry.Register(r, "other", idle(t0)))
		t0.Yield()
		require.Empty(t, order)
		require.NoError(t, registry.Register(r, "n", idle(t0)))
		t0.Sleep(time.Second)
		require.Len(t, order, n-gaveUp)
		require.IsIncreasing(t, order)
		replies, names := r.Waiters()
		require.Zero(t, replies+names)
		return nil
	}))
	require.Empty(t, j.of(event.ReplyLate, event.DeadLetter))
}

// Those who give up are forgotten: ten thousand who wait a moment for a name that never comes leave
// nothing, and take no time that grows with their square.
func TestWaitersThatGiveUpAreForgotten(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		start := time.Now()
		n := fewer(10_000)
		most := 0
		for range n {
			actor.Go(t0, func(t *actor.Tasklet) error {
				ctx, cancel := actor.WithTimeout(t, time.Second)
				defer cancel()
				_, err := registry.WaitFor[int](ctx, r, "n")
				replies, _ := r.Waiters()
				most = max(most, replies)
				return ignoreTimeout(err)
			})
		}
		t0.Sleep(time.Minute)
		require.Equal(t, n, most, "the first to give up has seen all")
		replies, names := r.Waiters()
		require.Zero(t, replies+names)
		t.Log(n, "waited and gave up in", time.Since(start))
		// One after the other, while one stays: what is kept is bounded by those who wait.
		actor.Go(t0, func(t *actor.Tasklet) error { _, err := registry.WaitFor[int](t, r, "n"); return err })
		t0.Yield()
		for range 1000 {
			ctx, cancel := actor.WithTimeout(t0, time.Second)
			_, err := registry.WaitFor[int](ctx, r, "n")
			require.Equal(t, actor.ErrTimeout, err)
			cancel()
			replies, _ := r.Waiters()
			require.LessOrEqual(t, replies, 3)
		}
		require.NoError(t, registry.Register(r, "n", idle(t0)))
	})
}

func ignoreTimeout(err error) error {
	if errors.Is(err, actor.ErrTimeout) {
		return nil
	}
	return err
}

// Rule 16: main that waits for a name that nobody can register any more is told so, and the clerk
// that waits with it is no reason to go on.
func TestWaitForNobody(t *testing.T) {
	var j journal
	err := actor.Run(context.Background(), config(&j), func(t0 *actor.Tasklet) error {
		idle(t0)
		_, err := registry.WaitFor[int](t0, registry.Of(t0.System()), "n")
		return err
	})
	var deadlock *actor.DeadlockError
	require.ErrorAs(t, err, &deadlock)
	require.True(t, deadlock.Quiescent)
	require.Equal(t, "/sys", deadlock.Chain[0].Task)
	require.Empty(t, deadlock.Chain[0].On, "it does not wait for the clerk, but for anybody")
	require.Len(t, j.of(event.Deadlock), 1)
	require.Empty(t, j.of(event.DeadLetter, event.ReplyLate, event.MessageLost))
}

// A supervised start that waits for a name is no deadlock as long as the one who has it can come:
// two tasklets that find each other.
func TestWaitForEachOther(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		meet := func(mine, other string) actor.Ref[int] {
			ref := actor.NewRef[int](actor.Name(mine))
			actor.StartTasklet(t0, actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				_, err := registry.WaitFor[int](t, r, other)
				return func(*actor.Tasklet, int) error { return actor.ErrStop }, err
			}), registry.As(r, mine, ref))
			return ref
		}
		a, b := meet("a", "b"), meet("b", "a")
		t0.Sleep(time.Second) // whoever ends too early would not be found
		require.NoError(t, a.Send(t0, 1))
		require.NoError(t, b.Send(t0, 1))
		require.NoError(t, a.Join(t0))
		require.NoError(t, b.Join(t0))
	})
}

// The name may be lost again before the one who waits for it looks: it waits on.
func TestWaitForANameThatFlickers(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		k := actor.New(t0, func(t *actor.Tasklet) (actor.Ref[int], error) { return registry.WaitFor[int](t, r, "n") })
		t0.Sleep(time.Second)
		ref := idle(t0)
		for range 10 {
			require.NoError(t, registry.Register(r, "n", idle(t0)))
			require.True(t, r.Unregister("n"))
			t0.Sleep(time.Second)
			require.False(t, k.HasFinished())
		}
		require.NoError(t, registry.Register(r, "n", ref))
		got, err := k.Join(t0)
		require.NoError(t, err)
		require.Equal(t, ref, got)
	})
}

// From goroutines: the wait blocks them, with their own contexts, and the clock of the bubble.
func TestWaitForOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outside(t, func(s *actor.System, r *registry.Registry) {
			const n = 100
			var wg sync.WaitGroup
			var mu sync.Mutex
			found, gaveUp := 0, 0
			for i := range n {
				wg.Go(func() {
					ctx := context.Background()
					if i%2 == 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, time.Duration(i+1)*time.Second)
						defer cancel()
					}
					_, err := registry.WaitFor[int](ctx, r, "n")
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						found++
					case errors.Is(err, actor.ErrTimeout):
						gaveUp++
					default:
						t.Error(err)
					}
				})
			}
			time.Sleep(time.Duration(n)*time.Second/2 + time.Millisecond)
			synctest.Wait()
			require.NoError(t, registry.Register(r, "n", idle(s)))
			wg.Wait()
			require.Equal(t, [2]int{n - n/4, n / 4}, [2]int{found, gaveUp})
			replies, names := r.Waiters()
			require.Zero(t, replies+names)
		})
	})
}

// Waits end with the system, and none begins after it: ErrStopped.
func TestWaitForWhileTheSystemStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		s, err := actor.Start(actor.Config{Name: "sys", Logger: zap.NewNop(), OnEvent: j.add})
		require.NoError(t, err)
		r := registry.Of(s)
		result := make(chan error, 10)
		for range 10 {
			go func() {
				_, err := registry.WaitFor[int](context.Background(), r, "n")
				result <- err
			}()
			actor.Go(s, func(t *actor.Tasklet) error {
				_, err := registry.WaitFor[int](t, r, "n")
				return err
			})
		}
		synctest.Wait()
		replies, _ := r.Waiters()
		require.Equal(t, 20, replies)
		require.NoError(t, s.Stop(context.Background()))
		for range 10 {
			require.Equal(t, actor.ErrStopped, <-result)
		}
		_, err = registry.WaitFor[int](context.Background(), r, "n")
		require.Equal(t, actor.ErrStopped, err)
		replies, names := r.Waiters()
		require.Zero(t, replies+names)
		require.Empty(t, j.of(event.DeadLetter, event.ReplyLate, event.MessageLost))
	})
}

// Somebody may kill the clerk, as it is in the tree: those who wait go on to wait, with the next.
func TestKillOfTheClerk(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		k := actor.Go(t0, func(t *actor.Tasklet) error { _, err := registry.WaitFor[int](t, r, "n"); return err })
		for range 3 {
			t0.Sleep(time.Second)
			clerks := t0.System().Daemons()
			require.Len(t, clerks, 1)
			require.Equal(t, "/(daemons)/registry", clerks[0].Path())
			clerks[0].Kill()
			require.ErrorIs(t, clerks[0].Join(t0), actor.ErrKilled)
		}
		t0.Sleep(time.Second)
		require.False(t, k.HasFinished())
		require.NoError(t, registry.Register(r, "n", idle(t0)))
		require.NoError(t, k.Join(t0))
	})
}

// Registrations and waits from many goroutines: nobody sleeps through a name.
func TestWaitForRace(t *testing.T) {
	outside(t, func(s *actor.System, r *registry.Registry) {
		var wg sync.WaitGroup
		const names, each = 200, 5
		for i := range names {
			name := fmt.Sprint(i)
			for range each {
				wg.Go(func() {
					if _, err := registry.WaitFor[int](context.Background(), r, name); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if err := registry.Register(r, name, idle(s)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		replies, left := r.Waiters()
		require.Zero(t, replies+left)
	})
}
