package actor_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

// A supervisor gives up an incarnation that has not arrived yet, because its scheduler is held, and starts the next: only that one
// reads the ref.
func TestGivenUpBeforeItArrived(t *testing.T) {
	cfg := actor.Config{Schedulers: 2, Logger: zap.NewNop(), StallAfter: -1}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		held, release := make(chan struct{}), make(chan struct{})
		actor.Go(t0, func(*actor.Tasklet) error { close(held); <-release; return nil }, actor.OnScheduler(1))
		_, _ = actor.Await(t0, func(context.Context) (int, error) { <-held; return 0, nil })
		ref := actor.NewRef[int]()
		var read atomic.Int32
		body := actor.Handle(ref, func(_ *actor.Tasklet, n int) error { read.Add(int32(n)); return nil })
		opts := []actor.Option{actor.OnScheduler(1), actor.Supervised(func(actor.Exit) {})}
		first := actor.StartTasklet(t0, body, opts...)
		require.NoError(t, ref.Send(t0, 1))
		require.NoError(t, actor.StopChild(t0, first, actor.BrutalKill))
		second := actor.StartTasklet(t0, body, opts...)
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

// If the starter's time ends first, a start that fails afterwards is an end as any other: the supervisor is told. One of the two it is.
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
			c, err := actor.StartChild(ctx, t0, actor.HandleInit(actor.NewRef[int](), func(c *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				return nil, errBoom
			}), actor.OnScheduler(1), actor.Supervised(func(actor.Exit) { ends.Add(1) }))
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
