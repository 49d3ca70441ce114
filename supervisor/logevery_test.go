package supervisor_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

// treeEvery runs a supervisor for half a minute that writes its tree every ten seconds, and has a
// child that holds the scheduler.
func treeEvery(t *testing.T, logger *zap.Logger) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, actor.Run(context.Background(), actor.Config{Name: "app", Logger: logger}, func(t0 *actor.Tasklet) error {
			start(t0, supervisor.Spec{Name: "top", LogEvery: 10 * time.Second, Children: []supervisor.Child{
				{ID: "hog", Restart: supervisor.Temporary, Body: actor.Func(func(t *actor.Tasklet) error {
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
	logger, buf := console()
	treeEvery(t, logger)
	require.Equal(t, 3, strings.Count(buf.String(), "supervision tree"), buf.String())
	require.Equal(t, 1, strings.Count(buf.String(), "STALLED"), buf.String())
}

// Each key is in the entry once, whatever writes it, and a time has the same number everywhere.
func TestTreeIsTheSameInZapAndSlog(t *testing.T) {
	zapLog, zapBuf := jsonLog()
	treeEvery(t, zapLog)
	var slogBuf, textBuf bytes.Buffer
	treeEvery(t, zap.New(actor.SlogCore(slog.NewJSONHandler(&slogBuf, nil))))
	treeEvery(t, zap.New(actor.SlogCore(slog.NewTextHandler(&textBuf, nil))))
	for _, log := range []string{zapBuf.String(), slogBuf.String()} {
		for line := range strings.Lines(log) {
			requireKeysOnce(t, line)
		}
		require.Contains(t, log, `"window_seconds":5`)
		require.NotContains(t, log, `"window":`)
	}
	require.NotContains(t, textBuf.String(), "map[")
	require.Contains(t, textBuf.String(), "└─ hog", "the tree is readable as text")
	for line := range strings.Lines(textBuf.String()) {
		require.True(t, strings.HasPrefix(line, "time="), line)
	}
}

// A logger that takes no trees is told of, once.
func TestLogEveryWithoutInfo(t *testing.T) {
	var buf bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&buf), zap.WarnLevel)
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
				var failures []actor.Event
				cfg := actor.Config{Logger: zap.New(core), OnEvent: func(e actor.Event) {
					if e.Kind == actor.EventFailure {
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
