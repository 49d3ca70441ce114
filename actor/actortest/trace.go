package actortest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// A Trace holds the events of a run as text, one line for each, in order:
//
//	5s exit /test/shop/b panic error="panic: boom"
//
// A line has the time since the first event, on the system's clock, the kind, and the path of the
// tasklet. If they exist, the kind of end, the error, the type and number of messages, and the
// fields follow. There are no IDs, stacks, addresses and times of the wall clock in it, so with a
// seed and a virtual clock the same run produces the same text. The zero Trace is empty and ready
// to use. Its methods may be called from any goroutine.
type Trace struct {
	mu    sync.Mutex // protects the following
	start time.Time
	lines []string
}

// Add appends e. It can be used as actor.Config.OnEvent.
func (tr *Trace) Add(e actor.EventRecord) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.start.IsZero() {
		tr.start = e.Time
	}
	tr.lines = append(tr.lines, line(e, e.Time.Sub(tr.start)))
}

// Lines returns the lines so far, without line breaks.
func (tr *Trace) Lines() []string { return tr.last(0) }

// String returns all lines, each followed by a line break.
func (tr *Trace) String() string { return joinLines(tr.last(0)) }

// Reset removes all lines.
func (tr *Trace) Reset() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.start, tr.lines = time.Time{}, nil
}

// last returns the last n lines, or all if n is 0.
func (tr *Trace) last(n int) []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if n == 0 || n > len(tr.lines) {
		n = len(tr.lines)
	}
	return append([]string(nil), tr.lines[len(tr.lines)-n:]...)
}

func joinLines(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// line returns the text of e.
func line(e actor.EventRecord, at time.Duration) string {
	var b strings.Builder
	b.WriteString(at.String() + " " + e.Kind.String())
	if e.Path != "" {
		b.WriteString(" " + text.Word(e.Path))
	}
	if e.Kind == event.Exit {
		b.WriteString(" " + actor.KindOf(e.Err).String())
	}
	if e.Err != nil && !saidByKind(e) {
		b.WriteString(" error=" + quote(guard.Text(e.Err)))
	}
	if e.Message != nil {
		b.WriteString(" message=" + quote(e.Message.String()))
	}
	if e.Count > 0 {
		fmt.Fprintf(&b, " count=%d", e.Count)
	}
	appendFields(&b, e.Fields)
	return b.String()
}

// saidByKind reports whether the error of e adds nothing to the kind of its end.
func saidByKind(e actor.EventRecord) bool {
	return e.Kind == event.Exit && (e.Err == actor.ErrKilled || e.Err == actor.ErrShutdown)
}

// appendFields writes key=value for each field, in order.
func appendFields(b *strings.Builder, fields []zap.Field) {
	for _, f := range fields {
		enc := zapcore.NewMapObjectEncoder()
		f.AddTo(enc)
		if v, ok := enc.Fields[f.Key]; ok {
			b.WriteString(" " + text.Key(f.Key) + "=" + quote(valueText(v)))
		}
	}
}

func valueText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v) // of maps in the order of their keys
}

// address matches what fmt prints for pointers, functions and channels, which differs in each run.
var address = regexp.MustCompile(`0x[0-9a-f]{6,16}\b`)

// quote returns s on one line without addresses. It is quoted if it has spaces or characters that
// cannot be printed.
func quote(s string) string {
	s = address.ReplaceAllString(s, "0x…")
	if s == "" || strings.ContainsAny(s, " \"=") || text.Line(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// begin returns the time of the first event.
func (tr *Trace) begin() time.Time {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.start
}
