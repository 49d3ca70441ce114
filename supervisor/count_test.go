package supervisor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/stats"
	"github.com/gotasklet/tasklet/supervisor"
)

// Restarts are counted whatever the log takes.
func TestRestartsAreCounted(t *testing.T) {
	for name, log := range map[string]*zap.Logger{
		"no log": zap.NewNop(),
		"errors": zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(discard{}), zap.ErrorLevel)),
		"all":    zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(discard{}), zap.DebugLevel)),
	} {
		runWith(t, actor.Config{Logger: log}, func(root *actor.Tasklet) {
			s, err := supervisor.Start(root, supervisor.Spec{
				Intensity: 3, Period: time.Minute,
				Children: []supervisor.Child{{ID: "a", Body: actor.GoBody(func(*actor.Tasklet) error { return errors.New("no") })}},
			})
			require.NoError(t, err)
			require.Error(t, s.Tasklet().Join(root))
			events := stats.Read(root.System()).Events
			require.EqualValues(t, 3, events[supervisor.EventRestart], name)
			require.EqualValues(t, 1, events[supervisor.EventGiveUp], name)
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
