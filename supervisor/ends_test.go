package supervisor_test

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
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor"
)

// A Stop that gives up: those who wait on goroutines for a supervisor to start, for a child, or for
// the answer to a call are told, wherever the child is that does not end, and whether it holds its
// scheduler or only waits. What is queued for children that are between two incarnations is
// reported.
func TestStopThatGivesUp(t *testing.T) {
	for n := 1; n <= 3; n++ {
		for at := range n {
			for _, holds := range []bool{true, false} {
				t.Run(fmt.Sprintf("%d schedulers, at %d, holds %v", n, at, holds), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { stopThatGivesUp(t, n, at, holds) })
				})
			}
		}
	}
}

func stopThatGivesUp(t *testing.T, schedulers, at int, holds bool) {
	dead := 0
	sys, err := actor.Start(actor.Config{Schedulers: schedulers, Logger: zap.NewNop(), StallAfter: -1, OnEvent: func(e actor.EventRecord) {
		if e.Kind == event.DeadLetter && e.Message.Kind().String() == "int" {
			dead += e.Count
		}
	}})
	require.NoError(t, err)
	release := make(chan struct{})
	stuck := func() actor.Body {
		return actor.ReceiverInitBody(actor.NewRef[string](), func(t *actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
			if holds {
				<-release
			} else {
				_, _ = actor.Await(t, func(context.Context) (int, error) { <-release; return 0, nil })
			}
			return nil, errors.New("x")
		})
	}
	on := []actor.Option{actor.OnScheduler(at)}
	crashing := actor.NewRef[int]()
	sup, err := supervisor.Start(sys, supervisor.Spec{Backoff: supervisor.Backoff{Min: time.Hour, Max: time.Hour}, Children: []supervisor.Child{{
		ID: "crashes", Options: on,
		Body: actor.ReceiverBody(crashing, func(*actor.Tasklet, int) error { return errors.New("x") }),
	}}})
	require.NoError(t, err)
	for range 3 {
		// one is lost, two wait for the next incarnation
		require.NoError(t, crashing.Send(context.Background(), 1))
	}
	synctest.Wait()
	told := make(chan error, 4)
	for _, f := range []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := sup.StartChild(ctx, supervisor.Child{ID: "stuck", Body: stuck(), Options: on})
			return err
		},
		func(ctx context.Context) error { _, err := sup.Children(ctx); return err },
		func(context.Context) error {
			_, err := supervisor.Start(sys, supervisor.Spec{Children: []supervisor.Child{{ID: "a", Body: stuck(), Options: on}}})
			return err
		},
		func(ctx context.Context) error { return crashing.Join(ctx) },
	} {
		go func() { told <- f(context.Background()) }()
		synctest.Wait()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, sys.Stop(ctx))
	for i := range 4 {
		select {
		case err := <-told:
			require.Error(t, err)
		case <-time.After(time.Minute):
			require.Failf(t, "somebody is not told", "after %d", i)
		}
	}
	require.Equal(t, 2, dead)
	close(release)
	require.NoError(t, sys.Stop(context.Background()))
	require.Equal(t, 2, dead, "once")
	require.True(t, sys.Root().HasFinished())
	require.Nil(t, supervisor.Of(sup.Tasklet()))
}
