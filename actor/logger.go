package actor

import (
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/internal/fields"
)

// loggers returns the logger of the tasklets of s, and the one for the library's events. Both write
// to given, or to standard error if that is nil, with the field system and the time of the system's
// clock. The library's logger adds no callers and no stack traces, because they would be the
// library's own. The stack of a panic is in the event, once.
func (s *System) loggers(given *zap.Logger) (tasklets, library *zap.Logger) {
	if given == nil {
		enc := zap.NewDevelopmentEncoderConfig()
		enc.CallerKey = ""
		given = zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(os.Stderr), zap.WarnLevel))
	}
	given = given.WithOptions(zap.WithClock(logClock{s}))
	if !s.real {
		given = given.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return clockCore{c, s.Now} }))
	}
	tasklets = given.With(zap.String("system", fields.Name(s.name)))
	none := zap.LevelEnablerFunc(func(zapcore.Level) bool { return false })
	return tasklets, tasklets.WithOptions(zap.WithCaller(false), zap.AddStacktrace(none))
}

// logClock makes log entries use the time of the system.
type logClock struct{ s *System }

func (c logClock) Now() time.Time                         { return c.s.Now() }
func (c logClock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

// clockCore sets the time of a virtual clock in entries that do not come from the system's own
// loggers, such as those of a slog logger that writes to the core of t.Log.
type clockCore struct {
	zapcore.Core
	now func() time.Time
}

// Level lets zapcore.LevelOf ask the wrapped core.
func (c clockCore) Level() zapcore.Level { return zapcore.LevelOf(c.Core) }

func (c clockCore) With(fields []zapcore.Field) zapcore.Core {
	return clockCore{c.Core.With(fields), c.now}
}

func (c clockCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	e.Time = c.now()
	return c.Core.Check(e, ce)
}
