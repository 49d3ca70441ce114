package actor

import (
	"encoding/binary"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/text"
)

// Name returns the name given at the start, or that of the ref, or else the name of the body's
// function with a number that makes it unique among its siblings, such as "worker#2".
func (t *Tasklet) Name() string {
	if x := t.ex.Load(); x != nil && x.name != "" {
		return x.name
	}
	return functionName(t.source()) + "#" + strconv.FormatUint(uint64(t.num), 10)
}

func (t *Tasklet) source() any {
	if r := t.rareOptions(); r != nil && r.source != nil {
		return r.source
	}
	return t.inst.source()
}

// Path returns the names from the root down, such as "/shop/orders/worker-3".
func (t *Tasklet) Path() string {
	var buf [128]byte // most paths fit, and then cost one allocation
	return string(t.appendPath(buf[:0]))
}

func (t *Tasklet) appendPath(path []byte) []byte {
	if t.parent == t.sys.daemons && t.parent != nil {
		path = append(path, "/(daemons)"...)
	} else if t.parent != nil {
		path = t.parent.appendPath(path)
	}
	path = append(path, '/')
	if x := t.ex.Load(); x != nil && x.name != "" {
		return append(path, x.name...)
	}
	path = append(path, functionName(t.source())...)
	path = append(path, '#')
	return strconv.AppendUint(path, uint64(t.num), 10)
}

// functionName returns the name of a function without its package and the compiler's additions. For
// "example.com/shop/orders.(*Book).handle-fm" it returns "Book.handle".
func functionName(f any) string {
	if name, ok := f.(string); ok {
		return name
	}
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Func {
		return "tasklet"
	}
	fn := runtime.FuncForPC(v.Pointer())
	if fn == nil {
		return "tasklet"
	}
	name := fn.Name()
	name = name[strings.LastIndexByte(name, '/')+1:]
	if i := strings.IndexByte(name, '['); i >= 0 { // type arguments
		if j := strings.LastIndexByte(name, ']'); j > i {
			name = name[:i] + name[j+1:]
		}
	}
	if _, after, ok := strings.Cut(name, "."); ok {
		name = after
	}
	name = strings.TrimSuffix(name, "-fm")
	return receiverMarks.Replace(name)
}

var receiverMarks = strings.NewReplacer("(*", "", "(", "", ")", "")

// checkName returns name as a part of a path, and panics if it cannot be one. It escapes characters
// that cannot be printed. All names pass through it, so no path and no name has such characters.
func checkName(op, name string) string {
	if name == "" {
		misuse("%s with an empty name", op)
	}
	if strings.ContainsRune(name, '/') {
		misuse("%s with the name %q: a slash separates the parts of a path", op, name)
	}
	return text.Line(name)
}

// label returns the value of one label.
func (t *Tasklet) label(key string) (string, bool) {
	x := t.ex.Load()
	if x == nil {
		return "", false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.labels {
		if l.key == key {
			return l.value, true
		}
	}
	return "", false
}

// SetLabel sets a label of t, which trees show; an empty value removes it. The label "kind"
// replaces the body's kind.
func (t *Tasklet) SetLabel(key, value string) {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.labels = setLabel(x.labels, key, value)
}

// withLabels is an instance that adds labels of its own. addLabels may be called from any
// goroutine.
type withLabels interface {
	addLabels(add func(key, value string))
}

// stateFields returns the labels of t's instance as fields of the log. Few instances have any, and
// others allocate nothing.
func (t *Tasklet) stateFields() []zap.Field {
	l, ok := inner(t.inst).(withLabels)
	if !ok {
		return nil
	}
	return labelFields(l)
}

func labelFields(l withLabels) (fs []zap.Field) {
	l.addLabels(func(key, value string) { fs = append(fs, zap.String(key, value)) })
	return fs
}

// rareOptions returns the rare options of t, or nil if there are none.
func (t *Tasklet) rareOptions() *rareOptions {
	if x := t.ex.Load(); x != nil {
		return x.rare
	}
	return nil
}

type label struct{ key, value string }

// kindName returns the kind of t for trees and logs: its label "kind" if it has one, and otherwise
// the kind of its body.
func (t *Tasklet) kindName() string {
	if v, ok := t.label("kind"); ok {
		return fields.Name(v)
	}
	if t == t.sys.root {
		if _, ok := t.inst.(function); ok {
			return "main"
		}
	}
	return t.inst.kind()
}

// describeStart describes a tasklet that is not in the tree yet.
func (t *Tasklet) describeStart() string {
	return "start of " + strings.TrimSuffix(t.Path(), "#0") // it gets its number with its place
}

// setLabel returns labels with one of them set. An empty value removes it.
func setLabel(labels []label, key, value string) []label {
	i := slices.IndexFunc(labels, func(l label) bool { return l.key == key })
	switch {
	case i < 0 && value == "":
		return labels
	case i < 0:
		return append(labels, label{key, value})
	case value == "":
		return slices.Delete(labels, i, i+1)
	}
	labels[i].value = value
	return labels
}

// ID returns the unique ID of t. It is made from an ID of the system and a count, not from random
// bits for each tasklet.
func (t *Tasklet) ID() uuid.UUID {
	id := t.sys.id
	binary.BigEndian.PutUint64(id[8:], t.task.ID())
	id[8] = id[8]&0x3f | 0x80 // variant
	return id
}

// keepSource keeps the function that the name of t is derived from. It must be called before the
// instance is wrapped.
func (t *Tasklet) keepSource() {
	if r := t.extra().set(); r.source == nil {
		r.source = t.inst.source()
	}
}
