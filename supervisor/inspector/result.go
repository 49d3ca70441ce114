package inspector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/view"
)

// result is the answer of an endpoint: fields, and lists of rows. It is not changed after it was
// made.
type result struct {
	head  map[string]any
	lists []list
	text  []byte // instead of all that, if it is not nil
}

type list struct {
	name string
	rows []row
}

// row is an object with a key that identifies it among the rows of its list from one moment to the
// next.
type row struct {
	key    string
	fields map[string]any
}

func (r *result) add(name string, rows []row) { r.lists = append(r.lists, list{name, rows}) }

// json returns the answer of the endpoint.
func (r *result) json() []byte {
	all := make(map[string]any, len(r.head)+len(r.lists))
	for k, v := range r.head {
		all[k] = v
	}
	for _, l := range r.lists {
		objects := make([]map[string]any, len(l.rows))
		for i := range l.rows {
			objects[i] = l.rows[i].fields
		}
		all[l.name] = objects
	}
	return encode(all)
}

// encode returns v as JSON. v consists of maps, slices, texts, finite numbers, and JSON that its
// author has made. Whatever is in a text, the result has only characters that can be printed, so it
// is one line, which turns around or colours nothing in a terminal.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(true)
	if err := e.Encode(v); err != nil {
		return []byte(`{"error":"this cannot be written as JSON"}`)
	}
	return printable(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// printable returns JSON with escapes for all characters that cannot be printed. They can only be
// in a string.
func printable(b []byte) []byte {
	var out []byte
	from := 0 // what is before is in out
	for i := 0; i < len(b); {
		if b[i] >= ' ' && b[i] <= '~' {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) {
			out = append(out, b[from:i]...)
			for _, u := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, u)
			}
			from = i + size
		}
		i += size
	}
	if from == 0 {
		return b
	}
	return append(out, b[from:]...)
}

// keyOf returns the key of the i-th place.
func keyOf(m view.Survey, i int) string {
	if t := m.Place(i).Task; t != nil {
		return strconv.FormatUint(number(t.ID()), 36)
	}
	return m.Path(i)
}

// rowOf returns the row of the i-th place: what the log has, and what the page needs besides.
func rowOf(m view.Survey, i int) row {
	enc := zapcore.NewMapObjectEncoder()
	_ = m.Row(i, enc) // it adds scalars, which cannot fail
	f := enc.Fields
	p := m.Place(i)
	f["name"] = fields.Name(m.Name(i))
	if p.Noise > 0 {
		f["attention"] = p.Noise
	}
	if p.Children > 0 {
		f["children"] = p.Children
	}
	if p.Slot != nil {
		f["supervised"] = true
		if p.Task == nil && p.Parent >= 0 {
			f["supervisor"] = m.Place(p.Parent).Task.ID().String()
		}
	}
	return row{keyOf(m, i), f}
}

// briefOf returns what names a tasklet in the row of another one.
func briefOf(t *actor.Tasklet) map[string]any {
	return map[string]any{"path": fields.Name(t.Path()), "tasklet": t.ID().String()}
}

// The keys of times. In a stream they are moments, because a duration that only grows is no change.
var (
	past = []string{
		"for_seconds", "last_ago_seconds", "killed_ago_seconds", "up_seconds", "full_seconds", "oldest_at_least_seconds",
	}
	future = []string{"until_seconds", "lease_seconds"}
)

// jitter is by how much two surveys may differ about one moment.
const jitter = 150 // ms

// fix replaces the durations of a row by moments, in ms since 1970 on the system's clock. before is
// the same row of the result before, or nil: a moment that has not changed keeps its value.
func fix(f, before map[string]any, now time.Time) map[string]any {
	out := make(map[string]any, len(f))
	for k, v := range f {
		out[k] = v
	}
	at := func(key string, sign float64) {
		d, ok := f[key].(float64)
		if !ok {
			return
		}
		delete(out, key)
		key = strings.TrimSuffix(key, "_seconds") + "_at"
		ms := now.UnixMilli() + int64(sign*d*1000)
		if old, ok := before[key].(int64); ok && max(ms-old, old-ms) < jitter {
			ms = old
		}
		out[key] = ms
	}
	delete(out, "rates_over_seconds") // differs each time, and says nothing to a page
	for _, key := range past {
		at(key, -1)
	}
	for _, key := range future {
		at(key, 1)
	}
	return out
}

// fixed returns r with moments in place of durations.
func (r *result) fixed(before *result, now time.Time) *result {
	out := &result{head: fix(r.head, headOf(before), now)}
	for i, l := range r.lists {
		old := map[string]map[string]any{}
		if before != nil {
			for _, b := range before.lists[i].rows {
				old[b.key] = b.fields
			}
		}
		rows := make([]row, len(l.rows))
		for k, w := range l.rows {
			rows[k] = row{w.key, fix(w.fields, old[w.key], now)}
		}
		out.add(l.name, rows)
	}
	return out
}

func headOf(r *result) map[string]any {
	if r == nil {
		return nil
	}
	return r.head
}

// whole returns all of r, for a page that has nothing.
func (r *result) whole() map[string]any {
	lists := make(map[string]any, len(r.lists))
	for _, l := range r.lists {
		rows := make([]any, len(l.rows))
		for i, w := range l.rows {
			rows[i] = [2]any{w.key, w.fields}
		}
		lists[l.name] = rows
	}
	return map[string]any{"head": r.head, "lists": lists}
}

// since returns what a page that has before needs to have r, or nil if it is the same. Lists have
// the fields of rows that have changed, null for a field that is gone, and the order of the keys if
// that has changed.
func (r *result) since(before *result) map[string]any {
	out := map[string]any{}
	if head := changes(r.head, before.head); len(head) > 0 {
		out["head"] = head
	}
	lists := map[string]any{}
	for i, l := range r.lists {
		old := map[string]map[string]any{}
		order := len(l.rows) != len(before.lists[i].rows)
		for k, b := range before.lists[i].rows {
			old[b.key] = b.fields
			order = order || l.rows[k].key != b.key
		}
		diff := map[string]any{}
		set := map[string]any{}
		keys := make([]string, len(l.rows))
		for k, w := range l.rows {
			keys[k] = w.key
			if c := changes(w.fields, old[w.key]); len(c) > 0 {
				set[w.key] = c
			}
		}
		if order {
			diff["order"] = keys
		}
		if len(set) > 0 {
			diff["set"] = set
		}
		if len(diff) > 0 {
			lists[l.name] = diff
		}
	}
	if len(lists) > 0 {
		out["lists"] = lists
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// changes returns the fields of now that differ from those of before, and null for those that are
// gone.
func changes(now, before map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range now {
		if old, ok := before[k]; !ok || !reflect.DeepEqual(v, old) {
			out[k] = v
		}
	}
	for k := range before {
		if _, ok := now[k]; !ok {
			out[k] = nil
		}
	}
	return out
}
