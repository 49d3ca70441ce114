package tree

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// Log writes t and everything below it as one entry, at level info with the event "tree". An
// encoder that writes the message as it is, as zap's console encoder does, gets the text of [Write]
// as the message. One that escapes line breaks, as zap's JSON encoder does, gets the field "tree",
// an array with an object for each row, parents first, without nesting:
//
//	jq '.tree[] | select(.state=="stalled")'
//
// and the field "folded", with an object for each fold. Both have 200 rows at most. If the logger
// writes to encoders of both sorts, the message is the text for all of them, and only the second
// sort gets the array too. For a nil t nothing is written. It may be called from any goroutine and
// waits for no tasklet; see [Snapshot]. A logger that fails, fails the caller.
func Log(logger *zap.Logger, t *actor.Tasklet) {
	if t == nil || !logger.Core().Enabled(zap.InfoLevel) {
		return
	}
	f := &treeField{survey: look(t)}
	f.shown = f.survey.fold(defaultRows)
	// With passes each encoder behind the logger to f, which determines what kind it is.
	logger = logger.With(zap.String("event", "tree"), zap.Inline(f))
	f.decided = true
	l := layout{rows: defaultRows}
	if f.text {
		l.write(f.survey, f.shown)
		l.lines = append(l.lines, "") // puts the fields, if there are any, on a line of their own
	} else {
		l.fill(f.survey.header(), "", " ")
	}
	logger.Info(strings.Join(l.lines, "\n"))
}

// treeField is a field whose encoding depends on the encoder.
type treeField struct {
	survey *survey
	shown  shown

	text    bool // an encoder that writes text as it is was met
	decided bool // the message is decided, and encoders that are met later get the array
}

// MarshalLogObject is called by each encoder.
func (f *treeField) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	text, context := probe(enc)
	t := f.survey.nodes[0].task
	for _, add := range []struct {
		key   string
		value func() string
	}{
		{"system", t.System().Name},
		{"tasklet", func() string { return t.ID().String() }},
		{"path", t.Path},
		{"kind", func() string { return t.Info().Kind }},
	} {
		if !context(add.key) {
			enc.AddString(add.key, fields.Value(add.value()))
		}
	}
	if text && (f.text || !f.decided) {
		f.text = true
		return nil
	}
	return f.array(enc)
}

// array adds the rows as fields.
func (f *treeField) array(enc zapcore.ObjectEncoder) error {
	w := f.survey
	n := w.numbers()
	enc.AddInt("tasklets", w.live)
	enc.AddInt("restarts", w.total)
	n.parts(enc.AddInt)
	if w.dropped > 0 {
		enc.AddUint64("dropped", w.dropped)
	}
	err := enc.AddArray("tree", treeRows{f})
	if err != nil || len(f.shown.folds) == 0 {
		return err
	}
	return enc.AddArray("folded", zapcore.ArrayMarshalerFunc(func(a zapcore.ArrayEncoder) error {
		for i := range f.shown.folds {
			fold := &f.shown.folds[i]
			if err := a.AppendObject(zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
				enc.AddString("under", fields.Name(w.row(fold.under).Path))
				enc.AddInt("count", fold.count)
				fold.parts(enc.AddInt)
				return nil
			})); err != nil {
				return err
			}
		}
		return nil
	}))
}

// treeRows are the rows that are shown. An encoder that has arrays gets an array of objects. An
// encoder that has only text, such as slog.TextHandler, gets the text of Write.
type treeRows struct{ f *treeField }

// MarshalLogArray is called by encoders of zap.
func (t treeRows) MarshalLogArray(a zapcore.ArrayEncoder) error {
	for _, i := range t.f.shown.nodes {
		r := t.f.survey.row(i)
		if err := a.AppendObject((*rowObject)(&r)); err != nil {
			return err
		}
	}
	return nil
}

// MarshalText is called by handlers of slog that write text; see actor.SlogCore.
func (t treeRows) MarshalText() ([]byte, error) {
	l := layout{rows: defaultRows}
	l.write(t.f.survey, t.f.shown)
	return []byte(strings.Join(l.lines, "\n")), nil
}

// probe determines by a trial whether an encoder writes a message as it is or escapes its line
// breaks, and which keys its context already has. An encoder that cannot be tried counts as one
// that escapes.
func probe(enc zapcore.ObjectEncoder) (text bool, has func(key string) bool) {
	switch e := enc.(type) {
	case zapcore.Encoder:
		const message = "tree\ntree"
		buf, err := e.Clone().EncodeEntry(zapcore.Entry{Message: message}, nil)
		if err != nil {
			break
		}
		out := bytes.Clone(buf.Bytes())
		buf.Free()
		return bytes.Contains(out, []byte(message)), func(key string) bool {
			return bytes.Contains(out, fmt.Appendf(nil, "%q:", key))
		}
	case interface{ HasKey(string) bool }: // the encoder of actor.SlogCore
		return false, e.HasKey
	case *zapcore.MapObjectEncoder:
		return false, func(key string) bool { _, ok := e.Fields[key]; return ok }
	}
	return false, func(string) bool { return false }
}

// rowObject is a row as a flat object. The keys of times end in _seconds.
type rowObject Row

// MarshalLogObject is called by encoders of zap.
func (o *rowObject) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	r := (*Row)(o)
	enc = fields.Encoder(enc)
	enc.AddInt("depth", r.Depth)
	enc.AddString("path", r.Path)
	enc.AddString("name", r.Name)
	enc.AddString("kind", r.Kind)
	enc.AddString("state", r.State.String())
	if r.Schedulers > 1 {
		enc.AddInt("scheduler", r.Scheduler)
	}
	if r.Tasklet != nil {
		enc.AddString("tasklet", r.Tasklet.ID().String())
	}
	duration := func(key string, d time.Duration) {
		if d > 0 {
			enc.AddDuration(key, d)
		}
	}
	switch r.State {
	case Stalled:
		duration("for", r.For)
		if r.Message != nil {
			enc.AddString("message", r.Message.String())
		}
	case Parked, Starting:
		if r.Wait != "" {
			duration("for", r.For)
			enc.AddString("wait", strings.TrimSpace(r.Wait))
		}
		if r.On != "" {
			enc.AddString("on", r.On)
		}
	case Idle:
		duration("for", r.For)
	case Sleeping, Restarting:
		duration("until", r.Until)
	}
	if m := r.Mailbox; m != nil {
		enc.AddInt("mailbox_len", m.Len)
		enc.AddInt("mailbox_cap", m.Cap)
		enc.AddInt("mailbox_peak", m.Peak)
		if m.Cap > 0 && m.Len >= m.Cap {
			enc.AddBool("full", true)
		}
		if m.Closed {
			enc.AddBool("closed", true)
		}
		enc.AddUint64("handled", m.Handled)
		enc.AddUint64("dropped", m.Dropped)
	}
	if s := r.Supervision; s != nil {
		if s.Strategy != "" {
			enc.AddString("strategy", s.Strategy)
		}
		enc.AddInt("children", s.Children)
		duration("up", s.Up)
		if s.Max != unlimited {
			enc.AddInt("window_restarts", s.Restarts)
			enc.AddInt("max_restarts", s.Max)
			enc.AddDuration("window", s.Period)
		}
		enc.AddInt("total_restarts", s.Total)
	}
	if r.Restarts > 0 {
		enc.AddInt("restarts", r.Restarts)
		enc.AddBool("restarted", r.restarted())
	}
	if r.showsLast() {
		enc.AddString("last_error", guard.Text(r.Last))
		duration("last_ago", r.LastAgo)
	}
	if r.Fault != "" {
		enc.AddString("fault", r.Fault)
	}
	duration("killed_ago", r.Killed)
	for _, k := range labelKeys(r.Labels) {
		enc.AddString("label_"+text.Key(k), r.Labels[k])
	}
	return nil
}
