package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/embedded"
	"github.com/gotasklet/tasklet/registry/cluster/internal/conformance"
)

// conforming starts a system with a node, and returns what stops both.
func conforming(t *testing.T, e *embedded.Engine, name string, lost *conformance.Lost) (*actor.System, *cluster.Node, func()) {
	t.Helper()
	sys, err := actor.Start(actor.Config{Name: name, Logger: zap.NewNop(), OnEvent: lost.OnEvent})
	require.NoError(t, err)
	node, err := cluster.Join(limit(t, 30*time.Second), sys, cluster.Config{Name: name, Connect: e})
	require.NoError(t, err)
	return sys, node, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, node.Leave(ctx))
		require.NoError(t, sys.Stop(ctx))
	}
}

// The behaviours of refs, replies, names and groups, with the ends in two systems that are nodes by
// a real server.
func TestConformance(t *testing.T) {
	e := start(t, embedded.Config{})
	conformance.Test(t, true, func(t *testing.T, f func(*conformance.Place)) {
		lost := new(conformance.Lost)
		here, a, stopHere := conforming(t, e, "a", lost)
		defer stopHere()
		there, b, stopThere := conforming(t, e, "b", lost)
		defer stopThere()
		host := actor.Receiver(there, func(t *actor.Tasklet, f func(*actor.Tasklet)) error { f(t); return nil })
		run := actor.Go(here, func(task *actor.Tasklet) error {
			f(&conformance.Place{
				T: task, TB: t, Lost: lost,
				Here: &conformance.Side{Node: a},
				There: &conformance.Side{Node: b, Do: func(task *actor.Tasklet, f func(*actor.Tasklet)) {
					_, err := actor.Await(task, func(ctx context.Context) (struct{}, error) {
						done := make(chan struct{})
						err := host.Send(ctx, func(t *actor.Tasklet) {
							defer close(done)
							f(t)
						})
						if err == nil {
							<-done
						}
						return struct{}{}, err
					})
					require.NoError(t, err)
				}},
			})
			return nil
		})
		require.NoError(t, run.Join(limit(t, 60*time.Second)))
	})
}
