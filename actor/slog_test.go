package actor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// A program that logs with log/slog has the events of a system, and what its tasklets log, in its
// own log.
func ExampleSlogCore() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "tasklet" { // the id: another in each run
				return slog.Attr{}
			}
			return a
		},
	})

	cfg := actor.Config{Name: "shop", Logger: zap.New(actor.SlogCore(handler))}
	_ = actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		t.Log().Info("open", zap.Int("doors", 2))
		return actor.Go(t, func(*actor.Tasklet) error { return errors.New("out of paper") }, actor.Name("till")).Join(t)
	})
	// Output:
	// level=INFO msg="system started" system=shop event=system_start path=/shop kind=main
	// level=INFO msg=open system=shop path=/shop doors=2
	// level=WARN msg="/shop/till failed" system=shop event=exit path=/shop/till kind=task error="out of paper"
	// level=WARN msg="/shop failed" system=shop event=exit path=/shop kind=main error="/shop/till: out of paper"
	// level=INFO msg="system stopped" system=shop event=system_stop path=/shop kind=main
}

// Every event has the same level, time, text and fields by way of slog as zap's own JSON encoder
// writes.
func TestSlogCoreTellsTheSame(t *testing.T) {
	lines := func(core func(*bytes.Buffer) zapcore.Core) (entries []map[string]any) {
		var buf bytes.Buffer
		cfg := actor.Config{Seed: 1, Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core(&buf))}
		require.ErrorContains(t, actor.Run(context.Background(), cfg, everything), "stubborn")
		for line := range strings.Lines(buf.String()) {
			var m map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &m))
			delete(m, "stack") // of a panic: addresses
			entries = append(entries, m)
		}
		return entries
	}
	enc := zapcore.EncoderConfig{
		MessageKey: "msg", LevelKey: "level", TimeKey: "time",
		EncodeLevel: zapcore.CapitalLevelEncoder, EncodeTime: zapcore.RFC3339NanoTimeEncoder, EncodeDuration: zapcore.NanosDurationEncoder,
	}
	want := lines(func(buf *bytes.Buffer) zapcore.Core {
		return zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(zapcore.AddSync(buf)), zap.DebugLevel)
	})
	got := lines(func(buf *bytes.Buffer) zapcore.Core {
		return actor.SlogCore(slog.NewJSONHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	require.Greater(t, len(want), 20)
	require.Equal(t, want, got)
}

func TestSlogCoreFields(t *testing.T) {
	var buf bytes.Buffer
	drop := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	log := zap.New(actor.SlogCore(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.Level(-8), ReplaceAttr: drop})))
	line := func(f func()) string {
		buf.Reset()
		f()
		return strings.TrimSpace(buf.String())
	}
	var nobody *time.Time
	require.Equal(t, `{"level":"INFO","msg":"m","a":1,"s":"x","d":1000000000,"e":"boom","b":"bytes","at":"2000-01-01T00:00:00Z"}`, line(func() {
		log.Info("m", zap.Int("a", 1), zap.String("s", "x"), zap.Duration("d", time.Second), zap.NamedError("e", errors.New("boom")),
			zap.ByteString("b", []byte("bytes")), zap.Time("at", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), zap.Skip(), zap.Error(nil))
	}))
	require.Equal(t, `{"level":"WARN","msg":"m","p":null,"l":["x","y"],"o":{"k":7},"k":7}`, line(func() {
		o := zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error { enc.AddInt("k", 7); return nil })
		log.Warn("m", zap.Timep("p", nobody), zap.Strings("l", []string{"x", "y"}), zap.Object("o", o), zap.Inline(o))
	}))
	require.Equal(t, `{"level":"ERROR","msg":"m","a":1,"in":{"b":2,"deep":{"c":3,"d":4}}}`, line(func() {
		log.With(zap.Int("a", 1), zap.Namespace("in"), zap.Int("b", 2)).Error("m", zap.Namespace("deep"), zap.Int("c", 3), zap.Int("d", 4))
	}))
	require.Equal(t, `{"level":"DEBUG","msg":"m","logger":"shop.till"}`, line(func() { log.Named("shop").Named("till").Debug("m") }))
	require.Equal(t, `{"level":"ERROR+4","msg":"m"}`, line(func() { log.DPanic("m") }))
	require.Contains(t, line(func() { log.WithOptions(zap.AddStacktrace(zap.InfoLevel)).Info("m") }), "TestSlogCoreFields")
	require.NoError(t, log.Sync())

	// The caller, where zap knows it.
	log = zap.New(actor.SlogCore(slog.NewTextHandler(&buf, &slog.HandlerOptions{AddSource: true})), zap.AddCaller())
	require.Contains(t, line(func() { log.Info("m") }), "slog_test.go:")
}

// Errors come to the handler as errors, those of the handler to the logger; what is not enabled is
// not made.
func TestSlogCoreHandler(t *testing.T) {
	h := &handler{err: errTest}
	core := actor.SlogCore(h)
	log := zap.New(core, zap.ErrorOutput(zapcore.AddSync(io.Discard)))
	log.Warn("m", zap.Error(errBoom))
	require.Same(t, errBoom, h.attrs["error"].Any())
	require.Equal(t, errTest, core.Write(zapcore.Entry{}, nil))
	require.False(t, core.Enabled(zap.InfoLevel))
	require.True(t, core.Enabled(zap.WarnLevel))
	handled := h.handled
	log.Info("m")
	require.Equal(t, handled, h.handled)
	err := actor.Run(context.Background(), actor.Config{Logger: log}, func(t0 *actor.Tasklet) error {
		require.False(t, extension.Wants(t0.System(), event.Spawn))
		require.True(t, extension.Wants(t0.System(), event.DeadLetter))
		return nil
	})
	require.NoError(t, err)
}

// handler is a slog.Handler that takes warnings.
type handler struct {
	attrs   map[string]slog.Value
	handled int
	err     error
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (h *handler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *handler) WithGroup(string) slog.Handler                { return h }
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	h.handled++
	h.attrs = make(map[string]slog.Value)
	for a := range r.Attrs {
		h.attrs[a.Key] = a.Value
	}
	return h.err
}
