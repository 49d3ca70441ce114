//go:build unix

package service_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/service"
)

// ask sends the process a signal that the service waits for.
func ask() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR2) }

var usr2 = []os.Signal{syscall.SIGUSR2}

// A signal in the middle of the work: all that was accepted is handled.
func TestSignal(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	var accepted, stored atomic.Int64
	code := service.Run(actor.Config{Name: "shop", Logger: zap.New(core)}, service.Options{Signals: usr2}, func(t *actor.Tasklet) error {
		orders := actor.NewRef[int](actor.MailboxLen(10))
		_, err := supervisor.Start(t, supervisor.Spec{Name: "top", Intensity: supervisor.Unlimited, Children: []supervisor.Child{
			{ID: "orders", Body: actor.ReceiverBody(orders, func(t *actor.Tasklet, order int) error {
				stored.Add(1)
				if order%7 == 0 {
					return errors.New("crash")
				}
				return nil
			})},
			{ID: "front", Restart: supervisor.Temporary, Body: actor.GoBody(func(t *actor.Tasklet) error {
				over := false
				t.OnDrain(func() { over = true })
				for i := 0; !over; i++ {
					if err := orders.Send(t, i); err != nil {
						return err
					}
					if accepted.Add(1) == 500 {
						ask()
					}
				}
				return nil
			})},
		}})
		if err != nil {
			return err
		}
		t.Sleep(time.Hour) // parks, as a Go channel does not
		return nil
	})
	require.Equal(t, 0, code)
	require.GreaterOrEqual(t, accepted.Load(), int64(500))
	require.Equal(t, accepted.Load(), stored.Load())
	require.Equal(t, 1, logs.FilterMessage("draining").FilterField(zap.String("event", "draining")).Len())
	require.Equal(t, 1, logs.FilterMessageSnippet("supervision tree").Len())
	require.Equal(t, 1, logs.FilterMessage("drained").FilterField(zap.String("event", "drained")).Len())
}

// What is not done in time, or before a second signal, is named; the exit code says so.
func TestNotInTime(t *testing.T) {
	for name, opts := range map[string]service.Options{
		"time is over":  {Signals: usr2, Drain: time.Millisecond},
		"second signal": {Signals: usr2, Drain: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.InfoLevel)
			logger := zap.New(core, zap.AddCaller(), zap.AddStacktrace(zap.WarnLevel))
			code := service.Run(actor.Config{Name: "shop", Logger: logger}, opts, func(t *actor.Tasklet) error {
				busy := actor.Receiver(t, func(t *actor.Tasklet, m int) error { t.Sleep(time.Hour); return nil }, actor.Name("busy"))
				actor.Go(t, func(t *actor.Tasklet) error {
					t.OnDrain(func() {
						if opts.Drain == time.Hour {
							ask()
						}
					})
					ask()
					t.Sleep(time.Hour)
					return nil
				}, actor.Name("job"))
				for m := range 3 {
					if err := busy.Send(t, m); err != nil {
						return err
					}
				}
				t.Sleep(time.Hour)
				return nil
			})
			require.Equal(t, 1, code)
			require.Equal(t, 2, logs.FilterMessageSnippet("supervision tree").Len())
			require.Equal(t, 1, logs.FilterField(zap.String("event", "drain_cut")).Len())
			failed := logs.FilterField(zap.String("event", "undrained")).All()
			require.Len(t, failed, 1)
			require.Equal(t, zapcore.ErrorLevel, failed[0].Level)
			require.Empty(t, failed[0].Stack, "it would be the library's own")
			require.False(t, failed[0].Caller.Defined)
			require.Contains(t, fmt.Sprint(failed[0].ContextMap()["error"]), "/shop/busy (messages: 2), /shop/job")
		})
	}
}

// The exit code of a main that ends by itself. No signal is caught afterwards.
func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{{nil, 0}, {actor.ErrShutdown, 0}, {errors.New("failed"), 1}} {
		code := service.Run(actor.Config{Logger: zap.NewNop()}, service.Options{}, func(*actor.Tasklet) error { return c.err })
		require.Equal(t, c.code, code)
	}
	require.False(t, signal.Ignored(syscall.SIGTERM))
	require.Equal(t, 1, service.Run(actor.Config{}, service.Options{Drain: -1}, func(*actor.Tasklet) error { panic("it was called") }))
}

// Options.Drain over the whole range of times: a negative one is refused, and any other is long
// enough for a system that has nothing to do, or short enough to end.
func TestOptionsDrain(t *testing.T) {
	for d, code := range map[time.Duration]int{math.MinInt64: 1, -1: 1, math.MaxInt64: 0, time.Hour: 0} {
		got := service.Run(actor.Config{Logger: zap.NewNop()}, service.Options{Signals: usr2, Drain: d}, func(t *actor.Tasklet) error {
			ask()
			t.Sleep(time.Hour)
			return nil
		})
		require.Equal(t, code, got, d)
	}
}

// A logger that panics does not keep the process from its end.
func TestLoggerThatFails(t *testing.T) {
	logger := zap.New(faulty{zapcore.NewNopCore()})
	code := service.Run(actor.Config{Logger: logger}, service.Options{Signals: usr2}, func(t *actor.Tasklet) error {
		ask()
		t.Sleep(time.Hour) // parks, as a Go channel does not
		return nil
	})
	require.Equal(t, 0, code)
}

// faulty is a core that panics.
type faulty struct{ zapcore.Core }

func (faulty) Enabled(zapcore.Level) bool          { return true }
func (f faulty) With([]zapcore.Field) zapcore.Core { return f }
func (f faulty) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.AddCore(e, f)
}
func (faulty) Write(zapcore.Entry, []zapcore.Field) error { panic("broken") }

func Example() {
	code := service.Run(actor.Config{Name: "shop", Logger: zap.NewNop()}, service.Options{Drain: 10 * time.Second},
		func(t *actor.Tasklet) error {
			orders := actor.Receiver(t, func(t *actor.Tasklet, order string) error {
				fmt.Println("stored", order)
				return nil
			})
			for _, order := range []string{"tea", "coffee"} {
				if err := orders.Send(t, order); err != nil {
					return err
				}
			}
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM) // as a service manager does
			t.Sleep(time.Hour)                             // parks, as a Go channel does not
			return nil
		})
	fmt.Println("exit code", code)
	// Output:
	// stored tea
	// stored coffee
	// exit code 0
}
