package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// Self is the same ref that the start returned, for each kind of body that reads one, and after a
// restart.
func TestSelf(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got actor.Ref[int]
		note := func(t *actor.Tasklet, _ int) error { got = actor.Self[int](t); return actor.ErrStop }

		ref := actor.Receiver(t0, note)
		require.NoError(t, ref.Send(t0, 1))
		require.NoError(t, ref.Join(t0))
		require.Equal(t, ref, got)

		ref = actor.BatchReceiver(t0, 1, 0, func(t *actor.Tasklet, _ []int) error { return note(t, 0) })
		require.NoError(t, ref.Send(t0, 1))
		require.NoError(t, ref.Join(t0))
		require.Equal(t, ref, got)

		ref = actor.Spawn(t0, func(t *actor.Tasklet, _ *mailbox.Mailbox[int]) error { return note(t, 0) })
		require.NoError(t, ref.Join(t0))
		require.Equal(t, ref, got)

		ref = actor.NewRef[int]()
		for range 2 { // with Retry it is another type of body
			init := func(t *actor.Tasklet) (actor.Handler[int], error) { return note, nil }
			k := actor.StartTasklet(t0, actor.ReceiverInitBody(ref, init), actor.Retry(1))
			require.Equal(t, ref, actor.Self[int](k), "known before it runs")
			k.Kill()
			_ = k.Join(t0)
			require.Equal(t, ref, actor.Self[int](k), "and after its end")
			ref = actor.NewRef[int]()
		}
		return nil
	})
}

func TestSelfMisuse(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		require.PanicsWithValue(t, "actor: Self[int] of /tasklet, which has no mailbox", func() { actor.Self[int](t0) })
		ref := actor.Receiver(t0, func(*actor.Tasklet, string) error { return nil }, actor.Name("r"))
		require.PanicsWithValue(t, "actor: Self[int] of /tasklet/r, whose messages are of type string", func() { actor.Self[int](ref.Tasklet()) })
		return nil
	})
}

func ExampleSelf() {
	type question struct {
		text  string
		reply actor.Ref[string]
	}
	simulate(func(t *actor.Tasklet) error {
		oracle := actor.Receiver(t, func(t *actor.Tasklet, q question) error {
			return q.reply.Send(t, "the answer to "+q.text)
		})
		asker := actor.Spawn(t, func(t *actor.Tasklet, in *mailbox.Mailbox[string]) error {
			if err := oracle.Send(t, question{"everything", actor.Self[string](t)}); err != nil {
				return err
			}
			answer, err := in.Next(t)
			fmt.Println(answer)
			return err
		})
		return asker.Join(t)
	})
	// Output: the answer to everything
}

// Sleep ends at its time or with its context, whichever is first, and says which.
func TestSleepWithALimit(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		s := t0.System()
		for _, c := range []struct {
			sleep, limit, want time.Duration
			err                error
		}{
			{time.Second, time.Minute, time.Second, nil},
			{time.Minute, time.Second, time.Second, actor.ErrTimeout},
			{time.Second, time.Second, time.Second, nil},
			{0, 0, 0, nil},
			{-1, time.Second, 0, nil},
			{time.Second, -1, 0, actor.ErrTimeout},
		} {
			ctx, cancel := actor.WithTimeout(t0, c.limit)
			begin := s.Now()
			require.Equal(t, c.err, actor.Sleep(ctx, c.sleep), "%+v", c)
			require.Equal(t, c.want, s.Now().Sub(begin), "%+v", c)
			cancel()
		}

		// A context of another kind, which holds up a virtual clock.
		ctx, cancel := context.WithCancelCause(t0)
		actor.Go(t0, func(*actor.Tasklet) error { cancel(errTest); return nil })
		begin := s.Now()
		require.Equal(t, errTest, actor.Sleep(ctx, time.Hour))
		require.Zero(t, s.Now().Sub(begin))

		require.NoError(t, actor.Sleep(t0, time.Second))
		require.Equal(t, time.Second, s.Now().Sub(begin))
		return nil
	})
}

// A kill goes through Sleep and Yield with a context of their own, as through any other call.
func TestSleepIsKilled(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		for _, wait := range []func(ctx context.Context){
			func(ctx context.Context) { _ = actor.Sleep(ctx, time.Hour) },
			func(ctx context.Context) {
				for {
					actor.Yield(ctx)
				}
			},
		} {
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				ctx, cancel := actor.WithTimeout(t, time.Minute)
				defer cancel()
				wait(ctx)
				return errTest
			})
			t0.Yield()
			k.Kill()
			require.Equal(t, actor.ErrKilled, errors.Unwrap(k.Join(t0)))
		}
		return nil
	})
}

type traceKey struct{}

// The function's context has the values of Await's, and no tasklet; it ends with Await's.
func TestAwaitWithALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := actor.Run(t.Context(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
			ctx := context.WithValue(t0, traceKey{}, "abc")
			ctx, cancel := actor.WithTimeout(ctx, time.Minute)
			defer cancel()
			begin := time.Now()
			late, err := actor.Await(ctx, func(ctx context.Context) (time.Duration, error) {
				require.Equal(t, "abc", ctx.Value(traceKey{}))
				require.Nil(t, actor.Current(ctx))
				at, ok := ctx.Deadline()
				require.True(t, ok)
				require.WithinDuration(t, begin.Add(time.Minute), at, 10*time.Millisecond)
				<-ctx.Done()
				require.Equal(t, actor.ErrTimeout, context.Cause(ctx))
				time.Sleep(time.Hour) // Await waits for it all the same
				return time.Since(begin), context.Cause(ctx)
			})
			require.Equal(t, actor.ErrTimeout, err)
			require.InDelta(t, time.Hour+time.Minute, late, float64(10*time.Millisecond))

			_, err = actor.Await(t0, func(ctx context.Context) (int, error) {
				require.Nil(t, ctx.Value(traceKey{}))
				return 0, ctx.Err()
			})
			require.NoError(t, err)
			return nil
		})
		require.NoError(t, err)
	})
}

func TestCallersOutside(t *testing.T) {
	require.PanicsWithValue(t, "actor: Sleep called outside a tasklet: its context belongs to none", func() { _ = actor.Sleep(context.Background(), 1) })
	require.PanicsWithValue(t, "actor: Yield called outside a tasklet: its context belongs to none", func() { actor.Yield(context.Background()) })
	require.PanicsWithValue(t, "actor: Await with a nil context", func() { _, _ = actor.Await(noContext, outside) })
}

// The bodies of Later and Loop start anew with each tasklet.
func TestLaterAndLoopBodies(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		begin := t0.System().Now()
		var at []time.Duration
		later := actor.LaterBody(time.Second, func(t *actor.Tasklet) error {
			at = append(at, t.System().Now().Sub(begin))
			return errTest
		})
		for range 2 {
			require.ErrorIs(t, actor.StartTasklet(t0, later).Join(t0), errTest)
		}
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second}, at)

		n := 0
		loop := actor.LoopBody(func(t *actor.Tasklet) error {
			switch n++; n % 3 {
			case 0:
				return actor.ErrStop
			case 1:
				return errTest // and a pause of a second
			}
			return nil
		})
		for range 2 {
			require.NoError(t, actor.StartTasklet(t0, loop).Join(t0))
		}
		require.Equal(t, 6, n)
		require.Equal(t, 4*time.Second, t0.System().Now().Sub(begin))

		require.PanicsWithValue(t, "actor: LaterBody with a nil function", func() { actor.LaterBody(1, nil) })
		require.PanicsWithValue(t, "actor: LoopBody with a nil function", func() { actor.LoopBody(nil) })
		return nil
	})
}
