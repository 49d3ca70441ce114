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
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// A Trace is the events of a run as text, one line for each, in order:
//
//	5s exit /test/shop/b panic error="panic: boom"
//
// with the time since the first event, on the system's clock; the kind; the path of the tasklet;
// and, of what there is, how it ended, the error, the type and number of messages, and the fields.
// There are no IDs, stacks, addresses and times of the wall clock in it: with a seed and a virtual
// clock the same run gives the same text. The zero Trace is ready for use; its methods may be
// called from any goroutine.
type Trace struct {
	mu    sync.Mutex // protects the following
	start time.Time
	lines []string
}

// Add appends e. It can be given to actor.Config.OnEvent.
func (tr *Trace) Add(e actor.Event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.start.IsZero() {
		tr.start = e.Time
	}
	tr.lines = append(tr.lines, line(e, e.Time.Sub(tr.start)))
}

// Lines gives the lines so far, without their ends.
func (tr *Trace) Lines() []string { return tr.last(0) }

// String is all lines, each with its end.
func (tr *Trace) String() string { return joinLines(tr.last(0)) }

// Reset forgets everything.
func (tr *Trace) Reset() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.start, tr.lines = time.Time{}, nil
}

// last gives the last n lines; 0: all.
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

// line is the text of e.
func line(e actor.Event, at time.Duration) string {
	var b strings.Builder
	b.WriteString(at.String() + " " + e.Kind.String())
	if e.Path != "" {
		b.WriteString(" " + text.Word(e.Path))
	}
	if e.Kind == actor.EventExit {
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

// saidByKind reports whether the error of e says nothing that the kind of its end does not.
func saidByKind(e actor.Event) bool {
	return e.Kind == actor.EventExit && (e.Err == actor.ErrKilled || e.Err == actor.ErrShutdown)
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

// address is what fmt prints for pointers, functions and channels: another one in each run.
var address = regexp.MustCompile(`0x[0-9a-f]{6,16}\b`)

// quote gives s on one line, in quotes if it has blanks or what can't be printed, and without
// addresses.
func quote(s string) string {
	s = address.ReplaceAllString(s, "0x…")
	if s == "" || strings.ContainsAny(s, " \"=") || text.Line(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// begin is the time of the first event.
func (tr *Trace) begin() time.Time {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.start
}
