package actor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// The name of a logger and a stack trace stand outside of a namespace that With has opened, as with
// zap's own encoders.
func TestSlogCoreNamespace(t *testing.T) {
	var buf bytes.Buffer
	log := zap.New(actor.SlogCore(slog.NewJSONHandler(&buf, nil))).Named("n")
	log = log.With(zap.Int("before", 1), zap.Namespace("ns"), zap.Int("b", 2), zap.Namespace("deep")).With(zap.Int("c", 3))
	branch := log.With(zap.Int("d", 4))
	log.With(zap.Int("e", 5))
	branch.WithOptions(zap.AddStacktrace(zap.InfoLevel)).Info("m", zap.Int("a", 6))
	var m map[string]any
	require.NoError(t, json.Unmarshal(buf.Bytes(), &m))
	require.Equal(t, "n", m["logger"])
	require.Contains(t, m["stacktrace"], "TestSlogCoreNamespace")
	require.Equal(t, 1.0, m["before"])
	require.Equal(t, map[string]any{"b": 2.0, "deep": map[string]any{"c": 3.0, "d": 4.0, "a": 6.0}}, m["ns"])
}

// An empty object is kept, and arrays of objects are readable, in JSON and in text.
func TestSlogCoreObjects(t *testing.T) {
	for _, c := range []struct {
		field      zap.Field
		json, text string
	}{
		{zap.Any("m", map[string]any{}), `"m":{}`, `m={}`},
		{zap.Dict("m"), `"m":{}`, `m={}`},
		{zap.Namespace("m"), `"m":{}`, `m={}`},
		{zap.Dict("o", zap.Dict("m")), `"o":{"m":{}}`, `o.m={}`},
		{zap.Object("o", dict{zap.Int("x", 1)}), `"o":{"x":1}`, `o.x=1`},
		{zap.Objects("l", []dict{{zap.Int("x", 1)}, {}}), `"l":[{"x":1},{}]`, `l="[{\"x\":1},{}]"`},
		{zap.Strings("l", []string{"a"}), `"l":["a"]`, `l=[a]`},
	} {
		var jsonBuf, textBuf bytes.Buffer
		zap.New(actor.SlogCore(slog.NewJSONHandler(&jsonBuf, nil))).Info("x", c.field)
		zap.New(actor.SlogCore(slog.NewTextHandler(&textBuf, nil))).Info("x", c.field)
		require.Contains(t, jsonBuf.String(), c.json)
		require.Contains(t, textBuf.String(), c.text)
	}
}

// dict is an object of a field.
type dict []zap.Field

func (d dict) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	for _, f := range d {
		f.AddTo(enc)
	}
	return nil
}

// Whatever writes to the core of a tasklet's logger has the time of the virtual clock, as zapslog's
// records have their own.
func TestTimeOfWhatGoesToTheCore(t *testing.T) {
	var buf bytes.Buffer
	enc := zapcore.NewJSONEncoder(zapcore.EncoderConfig{TimeKey: "t", MessageKey: "m", EncodeTime: zapcore.RFC3339TimeEncoder})
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(&buf)), zap.InfoLevel))}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		t0.Sleep(time.Hour)
		core := t0.Log().With(zap.Int("x", 1)).Core()
		require.Equal(t, zap.InfoLevel, zapcore.LevelOf(core))
		core.Check(zapcore.Entry{Message: "foreign", Time: time.Now(), Level: zap.InfoLevel}, nil).Write()
		t0.Log().Info("own")
		return nil
	}))
	require.Equal(t, 2, strings.Count(buf.String(), `"t":"2000-01-01T01:00:00Z","m":"foreign"`)+strings.Count(buf.String(), `"t":"2000-01-01T01:00:00Z","m":"own"`), buf.String())
}

// The library's entries have neither a caller nor a stack trace of its own; those of tasklets have
// what the logger adds. The stack of a panic is in one entry, once.
func TestEntriesShowNothingOfTheLibrary(t *testing.T) {
	var buf bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(&buf)), zap.DebugLevel)
	cfg := actor.Config{Logger: zap.New(core, zap.AddCaller(), zap.AddStacktrace(zap.DebugLevel)), Clock: scheduler.NewVirtualClock(time.Time{})}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		_ = actor.Go(t0, func(*actor.Tasklet) error { panic("oh") }).Join(t0)
		_ = actor.Go(t0, func(t *actor.Tasklet) error { t.Defer(func() { panic("late") }); return nil }).Join(t0)
		t0.Log().Info("mine")
		return nil
	}))
	own := 0
	for line := range strings.Lines(buf.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		if m["msg"] == "mine" {
			own++
			require.Contains(t, m["caller"], "logger_test.go")
			require.Contains(t, m["stacktrace"], "TestEntriesShowNothingOfTheLibrary")
			continue
		}
		require.NotContains(t, m, "caller", line)
		require.NotContains(t, m, "stacktrace", line)
	}
	require.Equal(t, 1, own)
	require.Equal(t, 2, strings.Count(buf.String(), `"stack":`), buf.String())
}
