package actor

import (
	"context"
	"encoding"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap/zapcore"
)

// SlogCore returns a core for a zap logger that writes to h, so that a program with log/slog gets
// the events of a system, and the entries of its tasklets, in its own log:
//
//	actor.Config{Logger: zap.New(actor.SlogCore(slog.Default().Handler()))}
//
// Levels, times and fields are kept. Objects become groups, and errors are passed as they are. A
// handler writes an empty object, and an array with objects in it, as JSON, whether it writes JSON
// itself or text. An array with a text of its own, such as that of a supervision tree, is that text
// to a handler that writes text. Entries for which h is not enabled are not made.
//
// h is called on the goroutine that logs, which may be that of a scheduler. A slow handler delays
// all its tasklets. SlogCore panics if h is nil.
//
// For the other direction, slog in a tasklet to the logger of the system, use
// go.uber.org/zap/exp/zapslog, which also has the system's times:
//
//	slog.New(zapslog.NewHandler(t.Log().Core()))
func SlogCore(h slog.Handler) zapcore.Core {
	if h == nil {
		misuse("SlogCore with a nil handler")
	}
	return slogCore{h: h}
}

// slogCore keeps the namespaces that With has opened, and does not open groups of the handler. The
// name of the logger and the stack trace would go into such a group too, but zap's encoders write
// them outside.
type slogCore struct {
	h    slog.Handler
	keys []string        // keys of the attributes of h and of open namespaces
	open []slogNamespace // outermost first
}

// slogNamespace is an open namespace with its attributes so far.
type slogNamespace struct {
	key   string
	attrs []slog.Attr
	keys  []string
}

func (c slogCore) Enabled(l zapcore.Level) bool {
	return c.h.Enabled(context.Background(), slogLevel(l))
}

// slogLevel returns the level of slog for l. Zap's levels differ by one and those of slog by four,
// and both have 0 for info.
func slogLevel(l zapcore.Level) slog.Level { return 4 * slog.Level(l) }

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	for i, f := range fields {
		if f.Type == zapcore.NamespaceType { // the fields after it are inside it
			c = c.with(fields[:i])
			c.open = append(slices.Clip(c.open), slogNamespace{key: f.Key})
			return c.With(fields[i+1:])
		}
	}
	return c.with(fields)
}

// with returns c with more fields, none of which opens a namespace.
func (c slogCore) with(fields []zapcore.Field) slogCore {
	attrs := slogAttrs(fields, c.has())
	if len(attrs) == 0 {
		return c
	}
	keys := make([]string, len(attrs))
	for i, a := range attrs {
		keys[i] = a.Key
	}
	if len(c.open) == 0 {
		c.h, c.keys = c.h.WithAttrs(attrs), append(slices.Clip(c.keys), keys...)
		return c
	}
	c.open = slices.Clone(c.open)
	last := &c.open[len(c.open)-1]
	last.attrs = append(slices.Clip(last.attrs), attrs...)
	last.keys = append(slices.Clip(last.keys), keys...)
	return c
}

// has returns the keys that are in use where new fields are added.
func (c slogCore) has() []string {
	if n := len(c.open); n > 0 {
		return c.open[n-1].keys
	}
	return c.keys
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
	attrs := slogAttrs(fields, c.has())
	for _, ns := range slices.Backward(c.open) {
		attrs = []slog.Attr{slogGroup(ns.key, slices.Concat(ns.attrs, attrs))}
	}
	r.AddAttrs(attrs...)
	if e.Stack != "" {
		r.AddAttrs(slog.String("stacktrace", e.Stack))
	}
	return c.h.Handle(context.Background(), r)
}

func (c slogCore) Sync() error { return nil } // a slog.Handler has nothing to flush

// slogAttrs returns fields as attributes. has are the keys of the attributes before them.
func slogAttrs(fields []zapcore.Field, has []string) (attrs []slog.Attr) {
	for i, f := range fields {
		switch f.Type {
		case zapcore.NamespaceType:
			return append(attrs, slogGroup(f.Key, slogAttrs(fields[i+1:], nil)))
		case zapcore.ErrorType:
			attrs = append(attrs, slog.Any(f.Key, f.Interface))
		default:
			m := slogEncoder{zapcore.NewMapObjectEncoder(), has}
			f.AddTo(m)
			attrs = append(attrs, slogObject(m.Fields)...) // one, except for inlined objects
		}
	}
	return attrs
}

// slogEncoder collects the fields of one object.
type slogEncoder struct {
	*zapcore.MapObjectEncoder
	has []string
}

// HasKey reports whether the entry has an attribute with this key already, for callers that add a
// field only if there is none.
func (e slogEncoder) HasKey(key string) bool {
	_, here := e.Fields[key]
	return here || slices.Contains(e.has, key)
}

// AddArray adds an array, with its text if it has one.
func (e slogEncoder) AddArray(key string, a zapcore.ArrayMarshaler) error {
	err := e.MapObjectEncoder.AddArray(key, a)
	if text, ok := a.(encoding.TextMarshaler); ok && err == nil {
		e.Fields[key] = slogText{e.Fields[key], text}
	}
	return err
}

// slogObject returns the fields of an object as attributes, with a group for each object among
// them.
func slogObject(m map[string]any) (attrs []slog.Attr) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		switch v := m[k].(type) {
		case map[string]any:
			attrs = append(attrs, slogGroup(k, slogObject(v)))
		case []any:
			if slices.ContainsFunc(v, isComposed) {
				attrs = append(attrs, slog.Any(k, slogText{v, nil}))
				continue
			}
			attrs = append(attrs, slog.Any(k, v))
		default:
			attrs = append(attrs, slog.Any(k, v))
		}
	}
	return attrs
}

// isComposed reports whether slog.TextHandler would write v as Go does.
func isComposed(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// slogGroup returns a group. Because slog leaves out an empty group, it returns a value instead of
// one.
func slogGroup(key string, attrs []slog.Attr) slog.Attr {
	if len(attrs) == 0 {
		return slog.Any(key, slogText{struct{}{}, nil})
	}
	return slog.Attr{Key: key, Value: slog.GroupValue(attrs...)}
}

// slogText is a value that a handler for JSON writes as JSON. A handler for text writes its text,
// or JSON if it has none.
type slogText struct {
	value any
	text  encoding.TextMarshaler // or nil
}

// MarshalJSON is called by slog.JSONHandler.
func (v slogText) MarshalJSON() ([]byte, error) { return json.Marshal(v.value) }

// MarshalText is called by slog.TextHandler, and by the handler of slog.Default.
func (v slogText) MarshalText() ([]byte, error) {
	if v.text != nil {
		return v.text.MarshalText()
	}
	return json.Marshal(v.value)
}
