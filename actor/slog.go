package actor

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap/zapcore"
)

// SlogCore lets a program that logs with log/slog have the events of a system, and what its tasklets log, in its own log: it is a
// core of a zap logger that writes to h. In one line:
//
//	actor.Config{Logger: zap.New(actor.SlogCore(slog.Default().Handler()))}
//
// Levels, times and fields are kept; objects become groups, and errors are passed as they are. What h is not enabled for
// is not made. h is called on the goroutine that logs, which may be the scheduler's: a slow one holds up all tasklets. It panics if
// h is nil. The other direction, slog in a tasklet to the logger of the system, is go.uber.org/zap/exp/zapslog:
//
//	slog.New(zapslog.NewHandler(t.Log().Core()))
func SlogCore(h slog.Handler) zapcore.Core {
	if h == nil {
		misuse("SlogCore with a nil handler")
	}
	return slogCore{h}
}

type slogCore struct{ h slog.Handler }

func (c slogCore) Enabled(l zapcore.Level) bool {
	return c.h.Enabled(context.Background(), slogLevel(l))
}

// slogLevel: zap counts by one, slog by four, and both have 0 for info.
func slogLevel(l zapcore.Level) slog.Level { return 4 * slog.Level(l) }

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	for i, f := range fields {
		if f.Type == zapcore.NamespaceType { // everything from here on is inside it
			return slogCore{c.h.WithAttrs(slogAttrs(fields[:i])).WithGroup(f.Key)}.With(fields[i+1:])
		}
	}
	return slogCore{c.h.WithAttrs(slogAttrs(fields))}
}

func (c slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, slogLevel(e.Level), e.Message, e.Caller.PC)
	if e.LoggerName != "" {
		r.AddAttrs(slog.String("logger", e.LoggerName))
	}
	r.AddAttrs(slogAttrs(fields)...)
	if e.Stack != "" {
		r.AddAttrs(slog.String("stacktrace", e.Stack))
	}
	return c.h.Handle(context.Background(), r)
}

func (c slogCore) Sync() error { return nil } // a slog.Handler has nothing of the kind

func slogAttrs(fields []zapcore.Field) (attrs []slog.Attr) {
	for i, f := range fields {
		switch f.Type {
		case zapcore.NamespaceType:
			return append(attrs, slog.Attr{Key: f.Key, Value: slog.GroupValue(slogAttrs(fields[i+1:])...)})
		case zapcore.ErrorType:
			attrs = append(attrs, slog.Any(f.Key, f.Interface))
		default:
			m := zapcore.NewMapObjectEncoder()
			f.AddTo(m)
			attrs = append(attrs, slogObject(m.Fields)...) // one, but for inlined objects
		}
	}
	return attrs
}

// slogObject makes groups of objects.
func slogObject(m map[string]any) (attrs []slog.Attr) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if inner, ok := m[k].(map[string]any); ok {
			attrs = append(attrs, slog.Attr{Key: k, Value: slog.GroupValue(slogObject(inner)...)})
			continue
		}
		attrs = append(attrs, slog.Any(k, m[k]))
	}
	return attrs
}
