package health_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/health"
)

// A chain of tasklets needs no stack of that depth, and a supervisor at its end is found.
func TestDeepTree(t *testing.T) {
	const depth = 10_000
	cfg := actor.Config{Name: "app", Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		ready := health.Ready(t.System(), health.Options{})
		deepest := make(map[string]bool)
		var down func(t *actor.Tasklet, n int) error
		down = func(t *actor.Tasklet, n int) error {
			if n > 0 {
				actor.Go(t, func(t *actor.Tasklet) error { return down(t, n-1) }, actor.Name("a"))
				return waiting(t)
			}
			_, err := supervisor.Start(t, supervisor.Spec{
				Name: "s", Backoff: supervisor.Backoff{Min: time.Hour, Max: time.Hour}, Intensity: 5,
				Children: []supervisor.Child{{ID: "c", Body: actor.GoBody(func(*actor.Tasklet) error { return errBad })}},
			})
			deepest["started"] = err == nil
			return waiting(t)
		}
		top := actor.Go(t, func(t *actor.Tasklet) error { return down(t, depth) })
		t.Sleep(time.Minute)
		if !deepest["started"] {
			return fmt.Errorf("not started")
		}
		if code, body := get(ready); code != 503 || len(body) > 2000 {
			return fmt.Errorf("%d %.3000s", code, body)
		}
		top.Kill()
		return nil
	})
	require.NoError(t, err)
}

// BenchmarkSurvey measures a survey of n idle receivers, in a pool or below one tasklet. Requests
// that share a survey are measured as shared.
func BenchmarkSurvey(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		for _, supervised := range []bool{false, true} {
			if supervised && n > 100_000 {
				continue
			}
			b.Run(fmt.Sprintf("n=%d/supervised=%v", n, supervised), func(b *testing.B) {
				cfg := actor.Config{Name: "app", Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})}
				err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
					idle := func(*actor.Tasklet, int) error { return nil }
					if supervised {
						pool, err := supervisor.StartPool(t, supervisor.PoolSpec[int]{Child: func(int) supervisor.Child {
							return supervisor.Child{Body: actor.ReceiverBody(actor.NewRef[int](), idle)}
						}})
						if err != nil {
							return err
						}
						for i := range n {
							if _, err := pool.Start(t, i); err != nil {
								return err
							}
						}
					} else {
						for range n {
							actor.Receiver(t, idle)
						}
					}
					ready := health.Ready(t.System(), health.Options{})
					for b.Loop() {
						t.Sleep(time.Second)
						if code, body := get(ready); code != 200 {
							return fmt.Errorf("%s", body)
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
