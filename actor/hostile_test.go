package actor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// hostile are strings that a user may send to a program, which makes names, labels, errors and
// panics of them.
var hostile = []string{
	"a\nb", "\r\n2000-01-01T00:00:00.000Z\tERROR\t/bank/vault panicked\t{\"event\": \"exit\"}",
	"\n{\"level\":\"error\",\"event\":\"exit\",\"path\":\"/bank/vault\"}", "\x1b[2J\x1b[31mred", "\x00\x07\x7f", "\u0085\u009b31m",
	"\u2028line\u2029paragraph", "\u202etxt.exe\u2066\u2069", "\u200b\ufeff\u00a0", "\xff\xfe\xc3", "└─ x  STALLED  task  idle", "  ",
	"x panicked", `", "event": "exit`, `\n`, "%s%d%!", "x, y (holds its scheduler)", "=", strings.Repeat("long", 30_000), strings.Repeat("\n", 3000),
}

// hostileError has hostile texts in all that a logger may ask for.
type hostileError struct{ s string }

func (e hostileError) Error() string                 { return e.s }
func (e hostileError) Format(f fmt.State, verb rune) { fmt.Fprintf(f, "%s\n\x1b%s", e.s, e.s) }
func (e hostileError) Errors() []error               { return []error{errors.New(e.s)} }
func (e hostileError) MarshalJSON() ([]byte, error)  { return json.Marshal(e.s) }
func (e hostileError) MarshalText() ([]byte, error)  { return []byte(e.s), nil }
func (e hostileError) LogValue() slog.Value          { return slog.StringValue(e.s) }

// hostileRun lets s in wherever something of a user's input gets into events.
func hostileRun(s string) func(t0 *actor.Tasklet) error {
	name := strings.ReplaceAll(s, "/", "")
	err := error(hostileError{s})
	return func(t0 *actor.Tasklet) error {
		fail := func(_ *actor.Tasklet, _ int) error { return err }
		k := actor.Go(t0, func(t *actor.Tasklet) error {
			t.SetLabel("kind", s)
			t.SetLabel(s, s)
			return fmt.Errorf("wrapped: %w", err)
		}, actor.Name(name))
		if e := k.Join(t0); e != nil {
			_ = actor.Go(t0, func(*actor.Tasklet) error { return e }, actor.Name(name)).Join(t0)
		}
		_ = actor.Go(t0, func(*actor.Tasklet) error { panic(s) }, actor.Name(name)).Join(t0)
		_ = actor.Go(t0, func(*actor.Tasklet) error { panic(err) }, actor.Name(name)).Join(t0)
		_ = actor.Go(t0, func(*actor.Tasklet) error { return errors.Join(err, errTest) }, actor.Name(name)).Join(t0)
		r := actor.Receiver(t0, fail, actor.Name(name), actor.OnFailure(actor.End))
		_ = r.Send(t0, 1)
		_ = r.Send(t0, 2)
		_ = r.Join(t0)
		r = actor.Receiver(t0, fail, actor.Name(name))
		_ = r.Send(t0, 1)
		_ = drain(t0, r)
		full := actor.NewRef[struct {
			A int `evil:"\n\x1b"`
		}](actor.MailboxLen(1), actor.Overflow(mailbox.DropNewest), actor.Name(name))
		_ = full.Send(t0, struct {
			A int `evil:"\n\x1b"`
		}{})
		_ = full.Send(t0, struct {
			A int `evil:"\n\x1b"`
		}{})
		_ = actor.Go(t0, func(t *actor.Tasklet) error {
			actor.Go(t, func(*actor.Tasklet) error { return err }, actor.OnFailure(actor.Escalate), actor.Name(name))
			t.Sleep(time.Hour)
			return nil
		}, actor.Name(name)).Join(t0)
		_ = actor.Go(t0, func(t *actor.Tasklet) error { return t.Join(t) }, actor.Name(name)).Join(t0)
		_ = actor.Go(t0, func(t *actor.Tasklet) error { t.Defer(func() { panic(err) }); return nil }, actor.Name(name)).Join(t0)
		t0.System().Emit(actor.EventRecord{Kind: ownEvent, Path: s, Err: err, Message: reflect.TypeFor[hostileError](), Fields: []zap.Field{
			zap.String(s, s), zap.ByteString("b", []byte(s)), zap.Strings("l", []string{s, s}), zap.NamedError("e", err),
			zap.Stringer("s", bytes.NewBufferString(s)), zap.Errors("es", []error{err}), zap.Dict("d", zap.String(s, s)),
			zap.Inline(zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error { enc.AddString("i", s); return nil })),
		}})
		actor.Go(t0, func(t *actor.Tasklet) error {
			for {
				func() { defer func() { _ = recover() }(); t.Sleep(time.Hour) }()
			}
		}, actor.Name(name))
		t0.Sleep(time.Second)
		return err
	}
}

// requirePrintable fails if text has a character that is none of a line of text.
func requirePrintable(t *testing.T, text, what string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatalf("%s is no UTF-8: %.200q", what, text)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) && r != '\t' {
			t.Fatalf("%s has %q: %.200q", what, r, text)
		}
	}
}

// Nothing that comes from a user's input forges an entry, or writes what can't be printed, whatever
// the log is written with.
func TestHostileTextForgesNothing(t *testing.T) {
	for i, s := range hostile {
		t.Run(fmt.Sprint(i), func(t *testing.T) { checkHostile(t, s) })
	}
}

func FuzzHostileText(f *testing.F) {
	for _, s := range hostile {
		if len(s) < 1000 {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ReplaceAll(s, "/", "") != "" && len(s) < 5000 {
			checkHostile(t, s)
		}
	})
}

func checkHostile(t *testing.T, s string) {
	enc := zap.NewProductionEncoderConfig()
	encoders := map[string]func(*bytes.Buffer) zapcore.Core{
		"json": func(b *bytes.Buffer) zapcore.Core {
			return zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(zapcore.AddSync(b)), zap.DebugLevel)
		},
		"console": func(b *bytes.Buffer) zapcore.Core {
			return zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(zapcore.AddSync(b)), zap.DebugLevel)
		},
		"slog json": func(b *bytes.Buffer) zapcore.Core {
			return actor.SlogCore(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
		},
		"slog text": func(b *bytes.Buffer) zapcore.Core {
			return actor.SlogCore(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
		},
	}
	for name, core := range encoders {
		var buf bytes.Buffer
		events := 0
		var es []actor.EventRecord
		var tr actortest.Trace
		cfg := actor.Config{
			Name: strings.ReplaceAll(s, "/", ""), Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core(&buf)), Seed: 1,
			OnEvent: func(e actor.EventRecord) { es = append(es, e); tr.Add(e) },
		}
		err := actor.Run(context.Background(), cfg, hostileRun(s))
		var left *actor.StopError
		require.ErrorAs(t, err, &left)
		requirePrintable(t, left.Error(), "StopError")
		for _, e := range es {
			if e.Kind != ownEvent {
				requirePrintable(t, e.Path, "path")
				events++
			}
			if e.Tasklet != nil {
				requirePrintable(t, e.Tasklet.Path(), "path")
				requirePrintable(t, e.Tasklet.Name(), "name")
			}
			var p *actor.PanicError
			var j *actor.JoinError
			var c *actor.ChildError
			var d *actor.DeadlockError
			for _, own := range []error{as(e.Err, &p), as(e.Err, &j), as(e.Err, &c), as(e.Err, &d)} {
				if own != nil {
					requirePrintable(t, own.Error(), fmt.Sprintf("%T", own))
				}
			}
		}
		require.Greater(t, events, 25)
		require.Len(t, tr.Lines(), len(es))
		for _, line := range tr.Lines() {
			requirePrintable(t, line, "trace")
		}
		entries := strings.Split(strings.TrimSuffix(buf.String(), "\n"), "\n")
		for _, line := range entries {
			requirePrintable(t, line, name)
			if !strings.Contains(line, "own_event") { // which has a dozen fields
				require.Less(t, len(line), 32<<10)
			}
			var prefix string
			switch {
			case strings.HasSuffix(name, "json"):
				require.True(t, json.Valid([]byte(line)), "%.300s", line)
				prefix = "{"
			case name == "slog text":
				prefix = "time="
			case name == "console":
				require.Equal(t, 3, strings.Count(line, "\t"), "%.300q", line)
				continue
			}
			require.True(t, strings.HasPrefix(line, prefix), "%.300s", line)
		}
		suppressed := 0
		for _, line := range entries {
			if strings.Contains(line, "suppressed") {
				suppressed++
			}
		}
		require.LessOrEqual(t, len(entries), len(es)+suppressed, "%s: there are more entries than events", name)
	}
}

// as is errors.As that gives the error.
func as[E error](err error, target *E) error {
	if err != nil && errors.As(err, target) {
		return *target
	}
	return nil
}
