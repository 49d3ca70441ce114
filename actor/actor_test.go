package actor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// run runs main on a virtual clock and fails the test if it does not end well.
func run(t *testing.T, main func(t *actor.Tasklet) error) {
	t.Helper()
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	require.NoError(t, actor.Run(context.Background(), cfg, main))
}

func TestSmoke(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		sum := 0
		r := actor.Receiver(t0, func(t *actor.Tasklet, n int) error { sum += n; return nil })
		for i := range 10 {
			if err := r.Send(t0, i); err != nil {
				return err
			}
		}
		r.Close()
		if err := r.Join(t0); err != nil {
			return err
		}
		require.Equal(t, 45, sum)
		k := actor.New(t0, func(t *actor.Tasklet) (int, error) { t.Sleep(time.Hour); return 7, nil })
		v, err := k.Join(t0)
		require.Equal(t, 7, v)
		require.NoError(t, err)
		type req struct {
			n int
			r actor.Reply[int]
		}
		sq := actor.Receiver(t0, func(t *actor.Tasklet, q req) error {
			if q.n == 3 {
				return nil
			}
			return q.r.Send(t, q.n*q.n)
		})
		for i := range 3 {
			v, err := actor.Call(t0, sq, func(r actor.Reply[int]) req { return req{i, r} })
			require.NoError(t, err)
			require.Equal(t, i*i, v)
		}
		_, err = actor.Call(t0, sq, func(r actor.Reply[int]) req { return req{3, r} })
		require.ErrorIs(t, err, actor.ErrNoReply)
		c := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		t0.Yield()
		c.Kill()
		err = c.Join(t0)
		require.ErrorIs(t, err, actor.ErrKilled)
		var je *actor.JoinError
		require.True(t, errors.As(err, &je))
		require.Equal(t, "/tasklet/TestSmoke.func1.6#4", c.Path())
		_, err = actor.Await(t0, func(context.Context) (int, error) { panic("x") })
		var pe *actor.PanicError
		require.True(t, errors.As(err, &pe))
		return nil
	})
}

// wait waits until t is killed.
func wait(t *actor.Tasklet) error { t.Sleep(1000 * time.Hour); return nil }
