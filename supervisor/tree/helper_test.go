package tree_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// A machine that is busy with other tests may keep a goroutine waiting for longer than the usual
// limit. Tests of the limit set it themselves.
func TestMain(m *testing.M) {
	tree.LimitCalls(time.Second)
	m.Run()
}

// runWith runs main as the root tasklet of a system on a virtual clock, and fails the test if that
// ends badly.
func runWith(t *testing.T, cfg actor.Config, main func(t *actor.Tasklet)) {
	t.Helper()
	cfg.Clock = scheduler.NewVirtualClock(time.Time{})
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error { main(t); return nil }))
}

// start starts a supervisor, which must succeed.
func start(t *actor.Tasklet, spec supervisor.Spec) *supervisor.Supervisor {
	s, err := supervisor.Start(t, spec)
	if err != nil {
		panic(err)
	}
	return s
}

// startPool is start for a pool.
func startPool[A any](t *actor.Tasklet, spec supervisor.PoolSpec[A]) *supervisor.Pool[A] {
	p, err := supervisor.StartPool(t, spec)
	if err != nil {
		panic(err)
	}
	return p
}

// entries is a log as JSON objects.
type entries struct{ buf bytes.Buffer }

func (e *entries) config(level zapcore.Level) actor.Config {
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.CallerKey = "", ""
	enc.EncodeDuration = zapcore.StringDurationEncoder
	return actor.Config{Name: "shop", Seed: 1, Logger: zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(zapcore.AddSync(&e.buf)), level))}
}
