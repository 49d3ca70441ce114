package tree

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
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
// an array with an object for each row, without nesting. Rows that need attention come first, the
// most urgent one at the top, and the others follow in the order of [Write]:
//
//	jq '.tree[] | select(.state=="stalled")'
//
// Rows that are not shown are counted in the field "folded", with an object for each fold. The
// entry has 200 rows and 8 KiB at most. [MaxRows] and [MaxBytes] change the limits, and [AsText]
// replaces the array by the text.
//
// If the logger writes to encoders of both sorts, the message is the text for all of them, and only
// the second sort gets the array too. For a nil t nothing is written. Log may be called from any
// goroutine and waits for no tasklet; see [Snapshot]. A logger that fails, fails the caller.
func Log(logger *zap.Logger, t *actor.Tasklet, opts ...Option) {
	if t == nil || !logger.Core().Enabled(zap.InfoLevel) {
		return
	}
	f := &treeField{layout: layout{rows: defaultRows, bytes: defaultBytes}}
	for _, o := range opts {
		o(&f.layout)
	}
	f.survey = look(t, f.layout.rates)
	// With passes each encoder behind the logger to f, which determines what kind it is.
	logger = logger.With(zap.String("event", "tree"), zap.Inline(f))
	f.decided = true
	var lines []string
	if f.text {
		lines = append(f.lines(), "") // puts the fields, if there are any, on a line of their own
	} else {
		lines = []string{f.header()}
	}
	logger.Info(strings.Join(lines, "\n"))
}

// treeField is a field whose encoding depends on the encoder.
type treeField struct {
	survey *survey
	layout layout // what the options say

	text    bool // an encoder that writes text as it is was met
	decided bool // the message is decided, and encoders that are met later get the array

	array *array   // made when the first encoder needs it
	texts []string // the lines of the text, made when they are needed
}

// MarshalLogObject is called by each encoder.
func (f *treeField) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	text, context := probe(enc)
	f.head(enc, context)
	if text && (f.text || !f.decided) {
		f.text = true
		return nil
	}
	f.numbers(enc)
	if f.layout.asText {
		enc.AddString("text", strings.Join(f.lines(), "\n"))
		return nil
	}
	if f.array == nil {
		f.array = f.rows()
	}
	if err := enc.AddArray("tree", treeRows{f}); err != nil || len(f.array.folds) == 0 {
		return err
	}
	return enc.AddArray("folded", f.array.folds)
}

// head adds the fields that say which tree it is, except those that has reports.
func (f *treeField) head(enc zapcore.ObjectEncoder, has func(key string) bool) {
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
		if !has(add.key) {
			enc.AddString(add.key, fields.Name(add.value()))
		}
	}
}

// rest returns the size of an entry without rows and folds.
func (f *treeField) rest() int {
	n, _ := measure(func(enc zapcore.ObjectEncoder) error {
		f.head(enc, func(string) bool { return false })
		f.numbers(enc)
		enc.AddString("msg", f.header())
		return nil
	})
	return n + entryRest
}

// header returns the summary line.
func (f *treeField) header() string {
	l := layout{}
	l.fill(f.survey.header(), "", " ")
	return l.lines[0]
}

// numbers adds the counts of all rows, also of those that are not shown.
func (f *treeField) numbers(enc zapcore.ObjectEncoder) {
	w := f.survey
	n := w.numbers()
	enc.AddInt("tasklets", w.live)
	enc.AddInt("restarts", w.total)
	n.parts(enc.AddInt)
	if w.dropped > 0 {
		enc.AddUint64("dropped", w.dropped)
	}
	if d := w.over(); d > 0 {
		fields.Encoder(enc).AddDuration("rates_over", d)
	}
}

// lines returns the text of the tree, at most as long as MaxBytes says.
func (f *treeField) lines() []string {
	if f.texts != nil {
		return f.texts
	}
	rest := f.rest()
	f.survey.fit(f.layout.rows, f.layout.bytes, func(s shown) (size int) {
		size = rest
		l := f.layout
		l.write(f.survey, s)
		f.texts = l.lines
		for _, line := range l.lines {
			// A handler that writes it as one string escapes line breaks, quotes and backslashes.
			size += len(line) + 2 + strings.Count(line, `"`) + strings.Count(line, `\`)
		}
		return size
	})
	return f.texts
}

// array is a tree as an array of rows, and one of folds.
type array struct {
	rows  []rowObject
	folds foldObjects
}

// rows returns the array, at most as long as MaxBytes says.
func (f *treeField) rows() *array {
	w := f.survey
	var a *array
	rest := f.rest()
	f.survey.fit(f.layout.rows, f.layout.bytes, func(s shown) (size int) {
		a = &array{}
		nodes := slices.Clone(s.nodes)
		slices.SortStableFunc(nodes, func(i, j int) int { return cmp.Compare(w.nodes[j].noise, w.nodes[i].noise) })
		size = rest
		for _, i := range nodes {
			o := rowObject{Row: w.row(i)}
			_, n := measure(o.MarshalLogObject)
			if f.layout.bytes > 0 && n > longRow {
				o.brief = true
				_, n = measure(o.MarshalLogObject)
			}
			size += n
			a.rows = append(a.rows, o)
		}
		for i := range s.folds {
			fold := &s.folds[i]
			o := foldObject{fold, cutStart(fields.Name(w.row(fold.under).Path), longPath)}
			_, n := measure(o.MarshalLogObject)
			size += n
			a.folds = append(a.folds, o)
		}
		return size
	})
	return a
}

const (
	// defaultBytes is the size of an entry, unless MaxBytes says otherwise.
	defaultBytes = 8 << 10
	// entryRest is room for the time, the level, the caller, the name of the logger and the keys.
	entryRest = 400
	// longRow is the size from which a row is written with short values and without labels.
	longRow = 1 << 10
	// longPath, longValue and briefValue are numbers of columns of a value in a row, the last one
	// for a row that would be longer than longRow.
	longPath, longValue, briefValue = 240, 240, 60
	// maxLabels is the number of labels that a row shows.
	maxLabels = 8
)

// fit folds w to at most rows lines, or fewer, until its size is at most limit; 0 means any size.
// Whatever the limit, the top is shown, and all others are counted.
func (w *survey) fit(rows, limit int, size func(shown) int) {
	rows = min(rows, len(w.nodes))
	for {
		s := w.fold(rows)
		n := size(s)
		if limit <= 0 || n <= limit || rows <= 1 {
			return
		}
		// The next attempt is as large as it would be if all rows had the same length.
		rows = max(1, min(rows-1, len(s.nodes)+len(s.folds), rows*limit/n+1))
	}
}

// measure returns the length of an object in JSON, and that with the characters of HTML escaped, as
// package encoding/json does.
func measure(add func(zapcore.ObjectEncoder) error) (n, html int) {
	enc := zapcore.NewJSONEncoder(zapcore.EncoderConfig{SkipLineEnding: true})
	if add(enc) != nil {
		return 0, 0 // then the real encoder gets the error as well
	}
	buf, err := enc.EncodeEntry(zapcore.Entry{}, nil)
	if err != nil {
		return 0, 0
	}
	defer buf.Free()
	n = buf.Len() + 1 // the comma
	html = n
	for _, c := range buf.Bytes() {
		if c == '<' || c == '>' || c == '&' {
			html += len(`\u003c`) - 1
		}
	}
	return n, html
}

// foldObjects are the folds as an array.
type foldObjects []foldObject

// MarshalLogArray is called by encoders of zap.
func (o foldObjects) MarshalLogArray(a zapcore.ArrayEncoder) error {
	for _, f := range o {
		if err := a.AppendObject(f); err != nil {
			return err
		}
	}
	return nil
}

// MarshalText is called by handlers of slog that write text. The text of the tree has the folds, so
// that of the field is only the number of the rows.
func (o foldObjects) MarshalText() ([]byte, error) {
	n := 0
	for _, f := range o {
		n += f.fold.count
	}
	return strconv.AppendInt(nil, int64(n), 10), nil
}

// foldObject is a fold as an object.
type foldObject struct {
	fold *fold
	path string
}

// MarshalLogObject is called by encoders of zap.
func (o foldObject) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("under", o.path)
	enc.AddInt("count", o.fold.count)
	o.fold.parts(enc.AddInt)
	return nil
}

// treeRows are the rows that are shown. An encoder that has arrays gets an array of objects. An
// encoder that has only text, such as slog.TextHandler, gets the text of Write.
type treeRows struct{ f *treeField }

// MarshalLogArray is called by encoders of zap.
func (t treeRows) MarshalLogArray(a zapcore.ArrayEncoder) error {
	for i := range t.f.array.rows {
		if err := a.AppendObject(&t.f.array.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// MarshalText is called by handlers of slog that write text; see actor.SlogCore.
func (t treeRows) MarshalText() ([]byte, error) { return []byte(strings.Join(t.f.lines(), "\n")), nil }

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

// rowObject is a row as a flat object. The keys of times end in _seconds. Keys without meaning for
// a row, and counters that are 0, are left out.
type rowObject struct {
	Row
	brief bool // with short values and without labels
}

// MarshalLogObject is called by encoders of zap.
func (o *rowObject) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	r := &o.Row
	enc = fields.Encoder(enc)
	long := longValue
	if o.brief {
		long = briefValue
	}
	value := func(key, s string) { enc.AddString(key, cutEnd(fields.Name(s), long)) }
	enc.AddInt("depth", r.Depth)
	enc.AddString("path", cutStart(fields.Name(r.Path), longPath))
	value("kind", r.Kind)
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
	count := func(key string, n uint64) {
		if n > 0 {
			enc.AddUint64(key, n)
		}
	}
	switch r.State {
	case Stalled:
		duration("for", r.For)
		if r.Message != nil {
			value("message", r.Message.String())
		}
	case Parked, Starting:
		if r.Wait != "" {
			duration("for", r.For)
			enc.AddString("wait", strings.TrimSpace(r.Wait))
		}
		if r.On != "" {
			enc.AddString("on", cutStart(fields.Name(r.On), long))
		}
	case Idle:
		duration("for", r.For)
	case Sleeping, Restarting:
		duration("until", r.Until)
	}
	if m := r.Mailbox; m != nil {
		enc.AddInt("mailbox_len", m.Len)
		enc.AddInt("mailbox_cap", m.Cap)
		count("mailbox_peak", uint64(max(0, m.Peak)))
		if m.Cap > 0 && m.Len >= m.Cap {
			enc.AddBool("full", true)
			duration("full", m.FullFor)
		}
		count("senders_waiting", uint64(max(0, m.Waiting)))
		if m.Closed {
			enc.AddBool("closed", true)
		}
		duration("oldest_at_least", r.Oldest)
		count("handled", m.Handled)
		if r.showsRate() {
			enc.AddFloat64("handled_per_second", digits(r.Rate))
		}
		count("dropped", m.Dropped)
	}
	count("callers_waiting", uint64(max(0, r.Callers)))
	count("joiners_waiting", uint64(max(0, r.Joiners)))
	if t := r.Timing; t != nil && t.Calls > 0 {
		enc.AddUint64("handler_calls", t.Calls)
		duration("handler_p50", t.Handler.Quantile(0.5))
		duration("handler_p99", t.Handler.Quantile(0.99))
		duration("handler_max", t.Handler.Max)
		if r.Over > 0 {
			enc.AddFloat64("busy_ratio", digits(r.Busy))
		}
	}
	if t := r.Timing; t != nil && t.Mailbox.Max > 0 {
		duration("mailbox_wait_p50", t.Mailbox.Quantile(0.5))
		duration("mailbox_wait_p99", t.Mailbox.Quantile(0.99))
		duration("mailbox_wait_max", t.Mailbox.Max)
	}
	if s := r.Supervision; s != nil {
		if s.Strategy != "" {
			value("strategy", s.Strategy)
		}
		if s.Note != "" {
			enc.AddString("note", s.Note)
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
		value("last_error", guard.Text(r.Last))
		duration("last_ago", r.LastAgo)
	}
	if r.Fault != "" {
		value("fault", r.Fault)
	}
	duration("killed_ago", r.Killed)
	shown := make(map[string]bool)
	for _, k := range labelKeys(r.Labels) {
		if o.brief || len(shown) == maxLabels {
			break
		}
		key := "label_" + cutEnd(text.Key(text.Cut(k, text.MaxName)), 40)
		if shown[key] {
			continue
		}
		shown[key] = true
		enc.AddString(key, cutEnd(fields.Name(r.Labels[k]), 100))
	}
	count("labels_omitted", uint64(len(r.Labels)-len(shown)))
	return nil
}
