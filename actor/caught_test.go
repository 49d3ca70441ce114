package actor_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// A panic or runtime.Goexit ends the tasklet whose code it was, wherever in its life that was, and
// nobody else: once, with its children and deferred calls, while others go on.
func TestEndsWhereverItFails(t *testing.T) {
	boom := errors.New("boom")
	fails := map[string]struct {
		f    func()
		want error
	}{
		"panic":  {func() { panic(boom) }, boom},
		"goexit": {runtime.Goexit, actor.ErrGoexit},
		"panic in a deferred call of goexit": {func() {
			defer func() { panic(boom) }()
			runtime.Goexit()
		}, boom},
		"goexit in a deferred call of panic": {func() {
			defer runtime.Goexit()
			panic(boom)
		}, actor.ErrGoexit},
	}
	// Each starts a tasklet that calls fail at some place of its life.
	places := map[string]func(t *actor.Tasklet, fail func()) *actor.Tasklet{
		"OnStart": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			return actor.Go(t, func(*actor.Tasklet) error { return nil }, actor.OnStart(func(*actor.Tasklet) error { fail(); return nil }))
		},
		"init": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			return actor.StartTasklet(t, actor.ReceiverInitBody(actor.NewRef[int](), func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				fail()
				return nil, nil
			}))
		},
		"init that has parked": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			return actor.StartTasklet(t, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				t.Sleep(1)
				fail()
				return nil, nil
			}))
		},
		"body": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			return actor.Go(t, func(*actor.Tasklet) error { fail(); return nil })
		},
		"body that has parked": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			return actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(1); fail(); return nil })
		},
		"handler": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			r := actor.Receiver(t, func(t *actor.Tasklet, _ int) error { fail(); return nil }, actor.OnFailure(actor.End))
			_ = r.Send(t, 1)
			return r.Tasklet()
		},
		"deferred call": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			return actor.Go(t, func(t *actor.Tasklet) error { t.Defer(fail); return nil })
		},
		"deferred call that has parked": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			return actor.Go(t, func(t *actor.Tasklet) error {
				t.Defer(func() { t.Sleep(1); fail() })
				return nil
			})
		},
		"deferred call of a child that is stopped": func(t *actor.Tasklet, fail func()) *actor.Tasklet {
			var child *actor.Tasklet
			parent := actor.Go(t, func(t *actor.Tasklet) error {
				child = actor.Go(t, func(t *actor.Tasklet) error { t.Defer(fail); t.Sleep(1 << 40); return nil })
				t.Yield()
				return nil
			})
			_ = parent.Join(t)
			return child
		},
	}
	for place, start := range places {
		for how, fail := range fails {
			t.Run(place+"/"+how, func(t *testing.T) {
				calls := 0
				cfg := actor.Config{Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})}
				err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
					heard := 0
					other := actor.Receiver(t0, func(*actor.Tasklet, int) error { heard++; return nil })
					c := start(t0, func() {
						calls++
						fail.f()
					})
					_ = c.Join(t0)
					require.True(t, c.HasFinished())
					exit, ok := c.Exit()
					require.True(t, ok)
					if place != "deferred call of a child that is stopped" { // it was killed
						require.ErrorIs(t, exit.Err, fail.want)
					}
					_ = other.Send(t0, 1)
					other.Close()
					require.NoError(t, other.Join(t0))
					require.Equal(t, 1, heard)
					return nil
				})
				require.NoError(t, err)
				require.Equal(t, 1, calls)
			})
		}
	}
}
