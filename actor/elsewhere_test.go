package actor_test

import (
	"context"
	"sync/atomic"
	"testing"

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
