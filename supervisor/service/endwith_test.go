//go:build unix

package service_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/service"
)

// startTop starts a supervisor with one child, which does f, and whose end ends the program.
func startTop(t *actor.Tasklet, f func(t *actor.Tasklet) error) (*supervisor.Supervisor, error) {
	top, err := supervisor.Start(t, supervisor.Spec{Name: "top", AutoShutdown: supervisor.AnySignificant, Children: []supervisor.Child{
		{ID: "job", Body: actor.GoBody(f), Restart: supervisor.Transient, Significant: true},
	}})
	if err == nil {
		service.EndWith(top.Tasklet())
	}
	return top, err
}

// The program ends with a supervisor while main still runs. Another part finishes its work, and the
// exit code and the log say how the supervisor has ended.
func TestEndWith(t *testing.T) {
	for name, c := range map[string]struct {
		job   func(t *actor.Tasklet) error
		code  int
		level zapcore.Level
	}{
		"normal":   {func(t *actor.Tasklet) error { t.Sleep(time.Millisecond); return nil }, 0, zap.InfoLevel},
		"shutdown": {func(t *actor.Tasklet) error { return actor.ErrShutdown }, 0, zap.InfoLevel},
		"gives up": {func(t *actor.Tasklet) error { return errors.New("disk\nfull") }, 1, zap.ErrorLevel},
		"killed":   {func(t *actor.Tasklet) error { t.Parent().Kill(); t.Sleep(time.Hour); return nil }, 1, zap.ErrorLevel},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.InfoLevel)
			var stored atomic.Int64
			code := service.Run(actor.Config{Name: "shop", Logger: zap.New(core)}, service.Options{Signals: usr2}, func(t *actor.Tasklet) error {
				orders := actor.Receiver(t, func(t *actor.Tasklet, m int) error {
					t.Sleep(time.Millisecond)
					stored.Add(1)
					return nil
				})
				for i := range 20 {
					if err := orders.Send(t, i); err != nil {
						return err
					}
				}
				if _, err := startTop(t, c.job); err != nil {
					return err
				}
				t.Sleep(time.Hour)
				return nil
			})
			require.Equal(t, c.code, code)
			require.EqualValues(t, 20, stored.Load())
			draining := logs.FilterMessage("draining").All()
			require.Len(t, draining, 1)
			require.Equal(t, c.level, draining[0].Level)
			require.Empty(t, draining[0].Stack)
			fs := draining[0].ContextMap()
			require.Equal(t, "/shop/top", fs["ended"])
			require.NotContains(t, fs, "signal")
			if text, failed := fs["error"]; failed {
				require.NotContains(t, text, "\n")
			}
			require.Equal(t, c.code == 1, fs["error"] != nil)
			require.Equal(t, 1, logs.FilterMessage("drained").Len())
		})
	}
}

// Main ends just before or after the supervisor: a failure of the supervisor before that counts,
// and the stop of a supervisor with main is none.
func TestEndWithAndMain(t *testing.T) {
	for range 20 {
		code := service.Run(actor.Config{Logger: zap.NewNop()}, service.Options{Signals: usr2}, func(t *actor.Tasklet) error {
			top, err := startTop(t, func(t *actor.Tasklet) error { return errors.New("failed") })
			if err != nil {
				return err
			}
			_ = top.Tasklet().Join(t)
			return nil
		})
		require.Equal(t, 1, code)
		code = service.Run(actor.Config{Logger: zap.NewNop()}, service.Options{Signals: usr2}, func(t *actor.Tasklet) error {
			_, err := startTop(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
			return err
		})
		require.Equal(t, 0, code)
	}
}

// A part that had ended before the call, several parts, the same part twice, and main itself.
func TestEndWithSeveral(t *testing.T) {
	for name, c := range map[string]struct {
		parts func(t *actor.Tasklet) []*actor.Tasklet
		code  int
	}{
		"ended before": {func(t *actor.Tasklet) []*actor.Tasklet {
			part := actor.Go(t, func(*actor.Tasklet) error { return errors.New("failed") })
			_ = part.Join(t)
			return []*actor.Tasklet{part}
		}, 1},
		"the first of two": {func(t *actor.Tasklet) []*actor.Tasklet {
			long := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(100 * time.Millisecond); return nil })
			return []*actor.Tasklet{long, actor.Go(t, func(*actor.Tasklet) error { return nil })}
		}, 0},
		"twice": {func(t *actor.Tasklet) []*actor.Tasklet {
			part := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Millisecond); return nil })
			return []*actor.Tasklet{part, part}
		}, 0},
		"a failure in the drain": {func(t *actor.Tasklet) []*actor.Tasklet {
			var over bool
			late := actor.Go(t, func(t *actor.Tasklet) error {
				t.OnDrain(func() { over = true })
				for !over {
					t.Sleep(time.Millisecond)
				}
				return errors.New("failed")
			})
			return []*actor.Tasklet{late, actor.Go(t, func(*actor.Tasklet) error { ask(); return nil })}[:1]
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			code := service.Run(actor.Config{Logger: zap.NewNop()}, service.Options{Signals: usr2}, func(t *actor.Tasklet) error {
				for _, part := range c.parts(t) {
					service.EndWith(part)
				}
				t.Sleep(time.Hour)
				return nil
			})
			require.Equal(t, c.code, code)
		})
	}
	require.Equal(t, 0, service.Run(actor.Config{Logger: zap.NewNop()}, service.Options{}, func(t *actor.Tasklet) error {
		service.EndWith(t)
		return nil
	}))
	require.PanicsWithValue(t, "service: EndWith of a nil *actor.Tasklet", func() { service.EndWith(nil) })
}

// The first signal in a drain that a part has caused asks for what is already being done. The
// second one ends it.
func TestEndWithAndSignals(t *testing.T) {
	for signals, code := range map[int]int{1: 0, 2: 1} {
		core, logs := observer.New(zap.InfoLevel)
		got := service.Run(actor.Config{Logger: zap.New(core)}, service.Options{Signals: usr2, Drain: time.Hour}, func(t *actor.Tasklet) error {
			actor.Go(t, func(t *actor.Tasklet) error {
				over := false
				t.OnDrain(func() { over = true })
				for !over {
					t.Sleep(time.Millisecond)
				}
				for i := 0; i < signals; i++ {
					ask()
					t.Sleep(20 * time.Millisecond)
				}
				if signals == 2 {
					t.Sleep(time.Hour)
				}
				return nil
			})
			if _, err := startTop(t, func(t *actor.Tasklet) error { return nil }); err != nil {
				return err
			}
			t.Sleep(time.Hour)
			return nil
		})
		require.Equal(t, code, got, signals)
		require.Equal(t, code, logs.FilterMessage("stopping before everything is drained").Len())
	}
}

// The time of a drain that a part has caused is limited too.
func TestEndWithNotInTime(t *testing.T) {
	code := service.Run(actor.Config{Logger: zap.NewNop()}, service.Options{Signals: usr2, Drain: time.Millisecond}, func(t *actor.Tasklet) error {
		actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		_, err := startTop(t, func(t *actor.Tasklet) error { return nil })
		t.Sleep(time.Hour)
		return err
	})
	require.Equal(t, 1, code)
}

// In a test of main on the virtual clock, EndWith only warns.
func TestEndWithElsewhere(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	cfg := actor.Config{Logger: zap.New(core), Clock: scheduler.NewVirtualClock(time.Time{})}
	require.NoError(t, actor.Run(t.Context(), cfg, func(t *actor.Tasklet) error {
		top, err := startTop(t, func(t *actor.Tasklet) error { return nil })
		if err != nil {
			return err
		}
		err = top.Tasklet().Join(t)
		t.Sleep(time.Hour)
		return err
	}))
	require.Equal(t, 1, logs.FilterField(zap.String("event", "end_with_ignored")).Len())
}

func ExampleEndWith() {
	code := service.Run(actor.Config{Name: "shop", Logger: zap.NewNop()}, service.Options{}, func(t *actor.Tasklet) error {
		top, err := supervisor.Start(t, supervisor.Spec{Name: "top", Children: []supervisor.Child{
			{ID: "orders", Body: actor.GoBody(func(t *actor.Tasklet) error { return errors.New("no database") })},
		}})
		if err != nil {
			return err
		}
		service.EndWith(top.Tasklet())
		t.Sleep(time.Hour) // main does something else, and does not watch top
		return nil
	})
	fmt.Println("exit code", code)
	// Output: exit code 1
}
