package actor

import (
	"reflect"
	"runtime"
	"strconv"
	"strings"

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
	var buf [128]byte // most paths fit, and are then one allocation
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

// functionName returns the name of a function for people, without its package and the marks of the
// compiler. For "example.com/shop/orders.(*Book).handle-fm" it is "Book.handle".
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
