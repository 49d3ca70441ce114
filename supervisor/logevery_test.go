package supervisor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

// treeEvery runs a supervisor for half a minute that writes its tree every ten seconds, and has a
// child that holds the scheduler.
func treeEvery(t *testing.T, logger *zap.Logger) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, actor.Run(context.Background(), actor.Config{Name: "app", Logger: logger}, func(t0 *actor.Tasklet) error {
			start(t0, supervisor.Spec{Name: "top", LogEvery: 10 * time.Second, Children: []supervisor.Child{
				{ID: "hog", Restart: supervisor.Temporary, Body: actor.GoBody(func(t *actor.Tasklet) error {
					t.Sleep(15 * time.Second)
					time.Sleep(10 * time.Second)
					return nil
				})},
			}})
			t0.Sleep(32 * time.Second)
			return nil
		}))
	})
}

func TestLogEveryDuringAStall(t *testing.T) {
	var buf bytes.Buffer
	enc := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	logger := zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(&buf)), zap.InfoLevel))
	treeEvery(t, logger)
	require.Equal(t, 3, strings.Count(buf.String(), "supervision tree"), buf.String())
	require.Equal(t, 1, strings.Count(buf.String(), "STALLED"), buf.String())
}

// A logger that takes no trees is told of, once.
func TestLogEveryWithoutInfo(t *testing.T) {
	var buf bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(&buf)), zap.WarnLevel)
	treeEvery(t, zap.New(core))
	require.Equal(t, 1, strings.Count(buf.String(), "LogEvery writes nothing"), buf.String())
}

// A logger that panics while a tree is written is reported, and ends nothing but the writing.
func TestLogEveryWithABadLogger(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("broken") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core := zapcore.RegisterHooks(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"}), zapcore.AddSync(io.Discard), zap.InfoLevel),
					func(e zapcore.Entry) error {
						if strings.HasPrefix(e.Message, "supervision tree") {
							fail()
						}
						return nil
					})
				var failures []actor.EventRecord
				cfg := actor.Config{Logger: zap.New(core), OnEvent: func(e actor.EventRecord) {
					if e.Kind == event.Failure {
						failures = append(failures, e)
					}
				}}
				require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
					s := start(t0, supervisor.Spec{LogEvery: time.Second})
					t0.Sleep(5 * time.Second)
					require.False(t, s.Tasklet().HasFinished())
					return nil
				}))
				require.Len(t, failures, 1)
			})
		})
	}
}

// Spec.LogEvery logs the tree below the supervisor from time to time, also after the supervisor was
// restarted.
func TestLogEvery(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	cfg := actor.Config{Name: "sample", Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core)}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int]()
		_, err := supervisor.Start(t0, supervisor.Spec{Name: "top", Children: []supervisor.Child{
			{ID: "shop", Body: supervisor.Body(supervisor.Spec{
				LogEvery: 10 * time.Second, Intensity: supervisor.NoRestart,
				Children: []supervisor.Child{
					{ID: "a", Body: actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return errors.New("crash") })},
				},
			})},
		}})
		require.NoError(t, err)
		t0.Sleep(25 * time.Second)
		require.NoError(t, ref.Send(t0, 1))
		t0.Sleep(25 * time.Second)
		return nil
	}))
	var at []string
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, e := range logs.FilterField(zap.String("event", "tree")).All() {
		require.Equal(t, "/sample/top/shop", e.ContextMap()["path"])
		at = append(at, e.Time.Sub(start).String())
	}
	require.Equal(t, []string{"10s", "20s", "35s", "45s"}, at)
}
