package codec

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// nameMax is the length of the longest name.
const nameMax = 128

// Types are the types and errors that a node knows by name. All methods may be called by anybody at
// any time.
type Types struct {
	mu    sync.Mutex            // held by those that register
	types atomic.Pointer[table] // replaced as a whole, so that encoders read it without a lock
	errs  atomic.Pointer[failures]
}

// table is what is registered.
type table struct {
	rows   []*entry // the number of a type is its place, from 1
	byType map[reflect.Type]*entry
	byName map[string]*entry
}

// entry is one type.
type entry struct {
	number  uint64
	name    string
	version int
	typ     reflect.Type
	pointer reflect.Type // to typ
	shape   shape
	form    form
	refs    bool // there may be refs or replies in a value
	decode  func(src []byte) (any, error)
}

// newEntry returns what is known of a type, without a decoder of its own.
func newEntry(name string, version int, t reflect.Type) (*entry, error) {
	e := &entry{name: name, version: version, typ: t, pointer: reflect.PointerTo(t)}
	var err error
	if e.form, e.shape, err = examine(t); err != nil {
		return nil, err
	}
	e.refs = e.form != formBytes && mayHoldRefs(t)
	return e, nil
}

// form is how a type is written.
type form uint8

const (
	formCBOR   form = iota
	formBytes       // as it is
	formBinary      // AppendBinary and UnmarshalBinary
)

// Default are the types of the program.
var Default = NewTypes()

// NewTypes returns an empty set of types.
func NewTypes() *Types {
	t := &Types{}
	t.types.Store(&table{byType: map[reflect.Type]*entry{}, byName: map[string]*entry{}})
	t.errs.Store(&failures{byName: map[string]error{}})
	return t
}

// Register registers T under a name and a version, which is 1 or more. It panics if the name or the
// type is taken, and if T can't be encoded.
func Register[T any](types *Types, name string, version int) {
	if err := register[T](types, name, version); err != nil {
		panic("cluster: " + err.Error())
	}
}

func register[T any](types *Types, name string, version int) error {
	e, err := newEntry(name, version, reflect.TypeFor[T]())
	if err != nil {
		return err
	}
	e.decode = func(src []byte) (any, error) {
		v := new(T)
		err := e.into(src, v)
		return *v, err
	}
	if e.typ == reflect.TypeFor[[]byte]() {
		e.decode = func(src []byte) (any, error) { return append([]byte{}, src...), nil }
	}
	return types.add(e)
}

// into decodes a body into the value that p, a pointer, points to. It is zero before.
func (e *entry) into(src []byte, p any) error {
	switch e.form {
	case formBytes:
		reflect.ValueOf(p).Elem().SetBytes(append([]byte{}, src...))
		return nil
	case formBinary:
		if e.typ.Kind() == reflect.Pointer {
			v := reflect.New(e.typ.Elem())
			reflect.ValueOf(p).Elem().Set(v)
			p = v.Interface()
		}
		return p.(encoding.BinaryUnmarshaler).UnmarshalBinary(src)
	}
	err := reading.Unmarshal(src, p)
	if err == nil && e.typ.Kind() == reflect.Pointer && reflect.ValueOf(p).Elem().IsNil() {
		return errNil
	}
	return err
}

var errNil = errors.New("it is nil")

// examine returns how a type is written.
func examine(t reflect.Type) (form, shape, error) {
	base := t
	if t.Kind() == reflect.Pointer {
		base = t.Elem()
	}
	// A time's own encoding gets offsets with seconds wrong.
	if base.Kind() != reflect.Pointer && base != timeType && has(base, binaryAppender) && has(base, binaryUnmarshaler) {
		return formBinary, shape{}, (&checker{root: t}).embeds(base, "", binaryAppender, "AppendBinary")
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !has(t, binaryMarshaler) &&
		!has(t, cborMarshaler) {
		return formBytes, shape{}, nil
	}
	s, err := checkType(t)
	return formCBOR, s, err
}

// checkName returns what is wrong with a name.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a name is empty")
	case len(name) > nameMax:
		return fmt.Errorf("name %.32q... has %d bytes, at most %d are allowed", name, len(name), nameMax)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Errorf("name %q has blanks, control characters or invalid UTF-8", name)
	}
	return nil
}

func (t *Types) add(e *entry) error {
	if err := checkName(e.name); err != nil {
		return err
	}
	if e.version < 1 || e.version > 1<<30 {
		return fmt.Errorf("version of %q is %d, not 1 or more", e.name, e.version)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.types.Load()
	if other := old.byName[e.name]; other != nil {
		return fmt.Errorf("type %q is registered twice: %s and %s", e.name, other.typ, e.typ)
	}
	if other := old.byType[e.typ]; other != nil {
		return fmt.Errorf("type %s is registered twice: as %q and as %q", e.typ, other.name, e.name)
	}
	if len(old.rows) >= typesMax {
		return fmt.Errorf("more than %d types are registered", typesMax)
	}
	e.number = uint64(len(old.rows)) + 1
	now := &table{
		rows:   append(old.rows[:len(old.rows):len(old.rows)], e),
		byType: maps.Clone(old.byType),
		byName: maps.Clone(old.byName),
	}
	now.byType[e.typ], now.byName[e.name] = e, e
	t.types.Store(now)
	return nil
}

// Check returns why values of T can't be sent: a *NotEncodableError or a *NotRegisteredError. It
// returns nil for an interface: its values are looked at one by one.
func Check[T any](types *Types) error {
	t := reflect.TypeFor[T]()
	if t.Kind() == reflect.Interface || types.types.Load().byType[t] != nil {
		return nil
	}
	if _, _, err := examine(t); err != nil {
		return err
	}
	return &NotRegisteredError{Type: t.String()}
}

// Name returns the name and the version of the type of v, if it is registered.
func (t *Types) Name(v any) (name string, version int, ok bool) {
	e := t.types.Load().byType[reflect.TypeOf(v)]
	if e == nil {
		return "", 0, false
	}
	return e.name, e.version, true
}

// appendTable appends the rows of the table after the first ones:
//
//	number of the first row, then for each row its version, the length of its name, the name
func (t *Types) appendTable(dst []byte, first int) ([]byte, int) {
	rows := t.types.Load().rows
	if first >= len(rows) {
		return dst, first
	}
	dst = binary.AppendUvarint(dst, uint64(first)+1)
	for _, e := range rows[first:] {
		dst = binary.AppendUvarint(dst, uint64(e.version))
		dst = binary.AppendUvarint(dst, uint64(len(e.name)))
		dst = append(dst, e.name...)
	}
	return dst, len(rows)
}
