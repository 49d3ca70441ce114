package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

type runKey struct{}

// Await gives what the function returned, an error for its panic and for runtime.Goexit.
func TestAwaitResults(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		v, err := actor.Await(t0, func(context.Context) (int, error) { return 7, nil })
		require.Equal(t, 7, v)
		require.NoError(t, err)
		v, err = actor.Await(t0, func(context.Context) (int, error) { return 8, errTest })
		require.Equal(t, 8, v)
		require.Equal(t, errTest, err)
		_, err = actor.Await(t0, func(context.Context) (int, error) { panic(errTest) })
		var pe *actor.PanicError
		require.True(t, errors.As(err, &pe))
		require.Equal(t, errTest, pe.Value)
		require.ErrorIs(t, err, errTest)
		require.Contains(t, pe.Stack.String(), "TestAwaitResults")
		_, err = actor.Await(t0, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		require.Equal(t, actor.ErrGoexit, err)
		return nil
	})
}

// Rule 14: others run meanwhile, and a virtual clock stands still.
func TestRule14AwaitParksOnlyItself(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		begin := t0.System().Now()
		var got []string
		actor.Later(t0, time.Millisecond, func(*actor.Tasklet) error { got = append(got, "timer"); return nil })
		others := make(chan bool)
		actor.Go(t0, func(t *actor.Tasklet) error { got = append(got, "other"); close(others); return nil })
		now, err := actor.Await(t0, func(context.Context) (time.Time, error) {
			<-others
			for range 100 {
				runtime.Gosched()
			}
			return t0.System().Now(), nil
		})
		require.NoError(t, err)
		require.Equal(t, begin, now)
		require.Equal(t, []string{"other"}, got)
		t0.Sleep(time.Second)
		require.Equal(t, []string{"other", "timer"}, got)
		return nil
	})
}

// The function's context is an ordinary goroutine's: it belongs to no tasklet, ends only with a
// kill, and has Run's values.
func TestAwaitContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), runKey{}, "value"))
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(ctx, cfg, func(t0 *actor.Tasklet) error {
		var got []string
		ref := collect(t0, &got)
		_, err := actor.Await(t0, func(ctx context.Context) (int, error) {
			require.Nil(t, actor.Current(ctx))
			require.Equal(t, "value", ctx.Value(runKey{}))
			require.NoError(t, ctx.Err())
			_, has := ctx.Deadline()
			require.False(t, has)
			return 0, ref.Send(ctx, "sent from outside")
		})
		require.NoError(t, err)
		require.NoError(t, drain(t0, ref))
		require.Equal(t, []string{"sent from outside"}, got)
		_, _ = actor.Await(t0, func(ctx context.Context) (int, error) {
			cancel() // the end of Run's context kills main, and so ends ctx
			<-ctx.Done()
			require.Equal(t, actor.ErrKilled, context.Cause(ctx))
			return 0, nil
		})
		require.Fail(t, "the kill was not raised")
		return nil
	})
	require.Equal(t, context.Canceled, err)
}

// Rule 17: a kill ends the function's context, and is raised when the function has returned; a
// recovered one lets Await be used again.
func TestRule17KillInAwait(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var mu sync.Mutex
		var got []string
		add := func(s string) { mu.Lock(); got = append(got, s); mu.Unlock() }
		running := make(chan bool)
		k := actor.New(t0, func(t *actor.Tasklet) (v int, err error) {
			defer func() {
				if _, killed := recover().(*actor.Killed); killed {
					add("raised")
					v, err = actor.Await(t, func(ctx context.Context) (int, error) { return 5, ctx.Err() })
				}
			}()
			return actor.Await(t, func(ctx context.Context) (int, error) {
				close(running)
				<-ctx.Done()
				add("cancelled")
				return 0, nil
			})
		})
		_, _ = actor.Await(t0, func(context.Context) (int, error) { <-running; return 0, nil })
		k.Kill()
		v, err := k.Join(t0)
		require.NoError(t, err)
		require.Equal(t, 5, v)
		require.Equal(t, []string{"cancelled", "raised"}, got)
		return nil
	})
}

// Rule 18: one whose function does not return is left behind and named; its deferred calls run when
// the scheduler ends.
func TestRule18AwaitThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		unwound := make(chan bool)
		err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
			actor.Go(t0, func(t *actor.Tasklet) error {
				defer close(unwound)
				_, err := actor.Await(t, func(context.Context) (int, error) { <-release; return 0, nil })
				return err
			}, actor.Name("slow"))
			t0.Yield()
			return nil
		})
		var se *actor.StopError
		require.True(t, errors.As(err, &se))
		require.Equal(t, []actor.Leak{{Path: "/tasklet/slow"}}, se.Leaked)
		<-unwound
		close(release)
	})
}

// With a seed, those that have returned go on in the order of their start.
func TestRule39AwaitsInOrderWithSeed(t *testing.T) {
	for seed := range uint64(5) {
		var got []int
		cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Seed: seed + 1}
		var started []int
		err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			const n = 5
			var gates [n + 1]chan bool
			for i := range gates {
				gates[i] = make(chan bool)
			}
			for range n {
				actor.Go(t0, func(t *actor.Tasklet) error {
					me := len(started) // in the order of the Awaits
					started = append(started, me)
					_, err := actor.Await(t, func(context.Context) (int, error) {
						<-gates[me+1] // the last one first
						close(gates[me])
						return 0, nil
					})
					got = append(got, me)
					// so that the order of the ends is not drawn
					t.Sleep(time.Duration(me+1) * time.Second)
					return err
				})
			}
			for len(started) < n {
				t0.Yield()
			}
			close(gates[n])
			_, err := t0.JoinChildren(t0)
			return err
		})
		require.NoError(t, err)
		require.Len(t, got, 5)
	}
}

// Many at a time.
func TestAwaitMany(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var ks []*actor.Task[int]
		for i := range 200 {
			ks = append(ks, actor.New(t0, func(t *actor.Tasklet) (int, error) {
				sum := 0
				for range 5 {
					v, err := actor.Await(t, func(context.Context) (int, error) { return i, nil })
					if err != nil {
						return 0, err
					}
					sum += v
				}
				return sum, nil
			}))
		}
		rs, err := actor.JoinAll(t0, ks...)
		require.NoError(t, err)
		for i, r := range rs {
			require.Equal(t, actor.Result[int]{Value: 5 * i}, r)
		}
		return nil
	})
}

// What the function of a Pipe returned comes as a message, its panic as an error; who piped goes on
// meanwhile.
func TestPipe(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got []string
		ref := collect(t0, &got)
		text := func(n int, err error) string { return fmt.Sprint(n, " ", err) }
		gate := make(chan bool)
		actor.Pipe(t0, func(context.Context) (int, error) { <-gate; return 1, nil }, ref, text)
		require.Empty(t, got)
		close(gate)
		begin := t0.System().Now()
		for len(got) < 1 {
			t0.Sleep(time.Nanosecond) // time stands still until the function has returned
			require.LessOrEqual(t, t0.System().Now().Sub(begin), 2*time.Millisecond)
		}
		for _, f := range []func(context.Context) (int, error){
			func(context.Context) (int, error) { return 2, errTest },
			func(context.Context) (int, error) { panic("oh") },
			func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		} {
			n := len(got)
			actor.Pipe(t0, f, ref, text)
			for len(got) == n {
				t0.Sleep(time.Nanosecond)
			}
		}
		require.Equal(t, []string{"1 <nil>", "2 test", "0 panic: oh", "0 actor: body called runtime.Goexit"}, got)
		require.Zero(t, actor.Owned(t0))
		return drain(t0, ref)
	})
}

// Cancelling a Pipe ends its context, and no message comes; so does the end of who piped.
func TestPipeCancelled(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got []int
		ref := collect(t0, &got)
		causes := make(chan error, 2)
		f := func(ctx context.Context) (int, error) { <-ctx.Done(); causes <- context.Cause(ctx); return 1, nil }
		take := func(n int, _ error) int { return n }
		cancel := actor.Pipe(t0, f, ref, take)
		cancel()
		cancel()
		require.Equal(t, actor.ErrKilled, <-causes)
		c := actor.Go(t0, func(t *actor.Tasklet) error { actor.Pipe(t, f, ref, take); return nil })
		require.NoError(t, c.Join(t0))
		require.Equal(t, actor.ErrKilled, <-causes)
		t0.Sleep(time.Second)
		require.NoError(t, drain(t0, ref))
		require.Empty(t, got)
		return nil
	})
}

// The message of a Pipe waits for room, and can be taken back there; a panic of the function that
// makes it is reported.
func TestPipeWithoutRoom(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int](actor.MailboxLen(1), actor.Overflow(mailbox.Fail))
		require.NoError(t, ref.Send(t0, 0))
		f := func(context.Context) (int, error) { return 0, nil }
		cancel := actor.Pipe(t0, f, ref, func(int, error) int { return 1 })
		actor.Pipe(t0, f, ref, func(int, error) int { return 2 })
		actor.Pipe(t0, f, ref, func(int, error) int { panic(errTest) })
		t0.Sleep(time.Second)
		require.Equal(t, 1, ref.Len())
		require.Equal(t, 2, actor.Owned(t0))
		cancel()
		require.Equal(t, 1, actor.Owned(t0))
		var got []int
		actor.StartTasklet(t0, actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error { got = append(got, n); return nil }))
		t0.Sleep(time.Second)
		require.NoError(t, drain(t0, ref))
		require.Equal(t, []int{0, 2}, got)
		require.Zero(t, actor.Owned(t0))
		return nil
	})
	failures := only(es, event.Failure)
	require.Len(t, failures, 1)
	require.ErrorIs(t, failures[0].Err, errTest)
}

// With a seed, a Pipe that ends without waking anybody does not keep the next from being told of.
func TestPipesInARowWithSeed(t *testing.T) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Seed: 1}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		for range 100 {
			got := 0
			ref := actor.Receiver(t0, func(_ *actor.Tasklet, n int) error { got = n; return actor.ErrStop })
			var returned atomic.Int32
			f := func(context.Context) (int, error) { returned.Add(1); return 7, nil }
			for range 5 {
				actor.Pipe(t0, f, ref, func(int, error) int { return 1 })()
			}
			actor.Pipe(t0, f, ref, func(n int, _ error) int { return n })
			for n := 0; returned.Load() < 6 || n < 100; n++ { // without giving up control
				runtime.Gosched()
			}
			require.NoError(t, ref.Join(t0))
			require.Equal(t, 7, got)
		}
		return nil
	}))
}
