package actortest

import (
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/text"
)

// testLog writes to the log of a test until the test ends: package testing panics on later output.
type testLog struct {
	tb testing.TB

	mu   sync.Mutex
	over bool // mu protects
}

func (l *testLog) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		// Not Log, which would say the line of the source, of zap.
		_, _ = io.WriteString(l.tb.Output(), text+"\n")
	}
}

func (l *testLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// logger returns a logger that writes its entries, from level info on, to l in the form of the
// trace.
func (l *testLog) logger(clock func() time.Time) *zap.Logger {
	return zap.New(&logCore{LevelEnabler: zap.InfoLevel, log: l, start: clock()})
}

// failsOnFatal returns logger, or a copy whose Fatal fails the test if logger is this package's or
// takes no entries. Otherwise Fatal would end the process without a word about the test or the
// entry.
func (l *testLog) failsOnFatal(logger *zap.Logger) *zap.Logger {
	if logger == nil {
		return nil
	}
	if _, ours := logger.Core().(*logCore); !ours && logger.Core() != zapcore.NewNopCore() {
		return logger
	}
	return logger.WithOptions(zap.WithFatalHook(fatalHook{l}))
}

// fatalHook is called after an entry at level fatal was written.
type fatalHook struct{ log *testLog }

// OnWrite fails the test, and ends the goroutine as FailNow does. In a tasklet that ends the
// tasklet, and with it the run.
func (h fatalHook) OnWrite(e *zapcore.CheckedEntry, _ []zapcore.Field) {
	h.log.mu.Lock()
	over := h.log.over
	h.log.mu.Unlock()
	if !over {
		h.log.tb.Errorf("actortest: an entry at level fatal: %s", lines(e.Message))
		h.log.tb.FailNow()
	}
	runtime.Goexit()
}

// logCore is a zapcore.Core.
type logCore struct {
	zapcore.LevelEnabler
	log    *testLog
	start  time.Time
	fields []zap.Field
}

func (c *logCore) With(fields []zap.Field) zapcore.Core {
	with := *c
	with.fields = slices.Concat(c.fields, fields)
	return &with
}

func (c *logCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *logCore) Write(e zapcore.Entry, fields []zap.Field) error {
	var b strings.Builder
	b.WriteString(e.Level.CapitalString() + " " + e.Time.Sub(c.start).String() + " " + lines(e.Message))
	event, stack := false, ""
	for _, f := range slices.Concat(c.fields, fields) {
		switch f.Key {
		case "event":
			event = true
			if f.String == "system_start" || f.String == "system_stop" {
				return nil // the test has begun, and is over
			}
		case "error":
			if f.Interface == actor.ErrGoexit {
				return nil // from FailNow or SkipNow; judge reports any other
			}
			appendFields(&b, []zap.Field{f})
		case "system", "tasklet", "path", "kind": // the sentence says it, or the test knows
		case "stack":
			enc := zapcore.NewMapObjectEncoder()
			f.AddTo(enc)
			stack = "\n" + valueText(enc.Fields[f.Key])
		default:
			appendFields(&b, []zap.Field{f})
		}
	}
	if event {
		// an unexpected panic or stall is reported with its stack at the end of the run
		stack = ""
	}
	c.log.print(b.String() + strings.TrimRight(stack, "\n"))
	return nil
}

// lines indents all lines of s but the first, so that none of them looks like an entry of its own.
func lines(s string) string {
	ls := strings.Split(s, "\n")
	for i := range ls {
		ls[i] = text.Line(ls[i])
	}
	return strings.Join(ls, "\n    ")
}

func (c *logCore) Sync() error { return nil }
