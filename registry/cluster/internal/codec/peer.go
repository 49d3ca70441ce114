package codec

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Codec encodes messages for one peer, and decodes those of it. It is used by one goroutine, or one
// tasklet, at a time.
type Codec interface {
	// Append appends the encoding of v to dst. With an error dst is as it was.
	Append(dst []byte, v any) ([]byte, error)
	// Decode returns the value that src is the encoding of. Nothing of src is in it.
	Decode(src []byte) (any, error)
}

// Config has the limits of a codec.
type Config struct {
	MessageBytes int // length of the longest message; 256 KiB
	// Refs, if it is not nil, is held while a value is encoded or decoded in which there may be
	// refs or replies.
	Refs sync.Locker
}

// typesMax is how many types a table has at most.
const typesMax = 1 << 14

// Peer is the Codec for one peer of a node: it knows the table of types that the peer has sent.
type Peer struct {
	types *Types
	max   int
	refs  sync.Locker
	told  int       // rows of the own table that the peer has
	known []row     // table of the peer
	last  *entry    // the type that was encoded last
	plain [2]*entry // the types of the last answers
	buf   bytes.Buffer
}

// row is a type in the table of a peer.
type row struct {
	name    string
	version int
	entry   *entry // nil if this node can't read it
}

var _ Codec = (*Peer)(nil)

var writing, reading = modes()

// modes returns how CBOR is written and read. Each option is here for something that was seen to go
// wrong without it; TestCBOR has them.
func modes() (cbor.UserBufferEncMode, cbor.DecMode) {
	enc := cbor.CoreDetEncOptions()
	enc.Time = cbor.TimeRFC3339NanoUTC
	enc.NilContainers = cbor.NilContainerAsEmpty
	enc.TagsMd = cbor.TagsForbidden
	e, err := enc.UserBufferEncMode()
	if err != nil {
		panic("cluster: " + err.Error())
	}
	d, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   levelsMax,
		MaxArrayElements:  elementsMax,
		MaxMapPairs:       elementsMax,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		UTF8:              cbor.UTF8DecodeInvalid, // a string comes out as it was
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
	if err != nil {
		panic("cluster: " + err.Error())
	}
	return e, d
}

// Peer returns a codec for a peer that has told nothing yet.
func (t *Types) Peer(c Config) *Peer {
	if c.MessageBytes == 0 {
		c.MessageBytes = 256 << 10
	}
	if c.MessageBytes < 16 || c.MessageBytes > 1<<26 {
		panic(fmt.Sprintf("codec: Config.MessageBytes is %d, not 16 to %d", c.MessageBytes, 1<<26))
	}
	return &Peer{types: t, max: c.MessageBytes, refs: c.Refs}
}

// Table appends to dst the rows of the table that the peer has not been told, and returns how many
// it will have then, for Told. The peer needs them before a message of a type that is among them.
func (p *Peer) Table(dst []byte) ([]byte, int) { return p.types.appendTable(dst, p.told) }

// Told says that so many rows are on their way to the peer, before any later message.
func (p *Peer) Told(rows int) { p.told = rows }

// Learn adds rows to the table of the peer: what its Table has appended. A row that comes once more
// has to be the same. It returns a *MalformedError, and has then learned nothing.
func (p *Peer) Learn(src []byte) error {
	fail := func(format string, args ...any) error {
		return &MalformedError{Err: fmt.Errorf("table: "+format, args...)}
	}
	if len(src) == 0 {
		return nil
	}
	first, n := binary.Uvarint(src)
	if n <= 0 || first < 1 || first > uint64(len(p.known))+1 {
		return fail("it begins with row %d after %d", first, len(p.known))
	}
	known := p.known
	own := p.types.types.Load()
	for at := int(first) - 1; n < len(src); at++ {
		version, k := binary.Uvarint(src[n:])
		if k <= 0 || version < 1 || version > 1<<30 {
			return fail("version of row %d", at+1)
		}
		n += k
		size, k := binary.Uvarint(src[n:])
		if k <= 0 || size > nameMax || size > uint64(len(src)-n-k) {
			return fail("name of row %d is cut off or too long", at+1)
		}
		n += k
		r := row{name: string(src[n : n+int(size)]), version: int(version)}
		n += int(size)
		if err := checkName(r.name); err != nil {
			return fail("row %d: %w", at+1, err)
		}
		if at >= typesMax {
			return fail("it has more than %d rows", typesMax)
		}
		if at < len(known) {
			if old := known[at]; old.name != r.name || old.version != r.version {
				return fail("row %d was %q and is %q", at+1, old.name, r.name)
			}
			continue
		}
		if e := own.byName[r.name]; e != nil && e.version >= r.version {
			r.entry = e
		}
		known = append(known, r)
	}
	p.known = known
	return nil
}

// Reads returns whether the peer can read values of the type of v: nil, a *NotRegisteredError here,
// an *UnknownTypeError there, or a *NewerVersionError there. Before the peer has told its table
// nothing is known.
func (p *Peer) Reads(v any) error { return p.reads(reflect.TypeOf(v)) }

// ReadsType is Reads for a type. It returns nil for an interface.
func ReadsType[T any](p *Peer) error {
	t := reflect.TypeFor[T]()
	if t.Kind() == reflect.Interface {
		return nil
	}
	return p.reads(t)
}

func (p *Peer) reads(t reflect.Type) error {
	e := p.types.types.Load().byType[t]
	if e == nil {
		return &NotRegisteredError{Type: typeName(t)}
	}
	for _, r := range p.known {
		if r.name != e.name {
			continue
		}
		if r.version < e.version {
			return &NewerVersionError{Name: e.name, Got: e.version, Known: r.version}
		}
		return nil
	}
	return &UnknownTypeError{Name: e.name}
}

func typeName(t reflect.Type) string {
	if t == nil {
		return "nil"
	}
	return t.String()
}

// Append appends the encoding of v: the number of its type, and its value. Errors are
// *NotRegisteredError, ErrTooLarge, ErrTooDeep, and *EncodeError for what a method of the type
// returned or panicked with.
func (p *Peer) Append(dst []byte, v any) ([]byte, error) {
	t := reflect.TypeOf(v)
	e := p.last
	if e == nil || e.typ != t {
		if e = p.types.types.Load().byType[t]; e == nil {
			return dst, &NotRegisteredError{Type: typeName(t)}
		}
		p.last = e
	}
	return p.appendMessage(dst, e, v, false)
}

// AppendAt is Append for *m, which is not an interface.
func (p *Peer) AppendAt(dst []byte, m any) ([]byte, error) {
	t := reflect.TypeOf(m)
	e := p.last
	if e == nil || e.pointer != t {
		if e = p.types.types.Load().byType[t.Elem()]; e == nil {
			return dst, &NotRegisteredError{Type: typeName(t.Elem())}
		}
		p.last = e
	}
	return p.appendMessage(dst, e, m, true)
}

func (p *Peer) appendMessage(dst []byte, e *entry, v any, at bool) ([]byte, error) {
	b := binary.AppendUvarint(dst, e.number)
	body := len(b)
	b, err := p.append(b, e, v, at)
	if err != nil {
		return dst, err
	}
	if len(b)-len(dst) > p.max {
		return dst, fmt.Errorf("%w: %q has %d bytes, at most %d are allowed", ErrTooLarge, e.name, len(b)-len(dst), p.max)
	}
	if err := e.fits(b[body:], p.max); err != nil {
		return dst, err
	}
	return b, nil
}

// append appends the encoding of v, or of *v if at is true.
func (p *Peer) append(b []byte, e *entry, v any, at bool) (_ []byte, err error) {
	if e.form == formBytes {
		switch raw := v.(type) {
		case []byte:
			return append(b, raw...), nil
		case *[]byte:
			return append(b, *raw...), nil
		}
		return append(b, reflect.Indirect(reflect.ValueOf(v)).Bytes()...), nil
	}
	defer func() {
		if x := recover(); x != nil {
			err = &EncodeError{e.name, &PanicError{x}}
		}
	}()
	if p.refs != nil && e.refs {
		p.refs.Lock()
		defer p.refs.Unlock()
	}
	if e.typ.Kind() == reflect.Pointer {
		of := reflect.ValueOf(v)
		if at {
			of = of.Elem()
			v = of.Interface()
		}
		if of.IsNil() {
			return b, &EncodeError{e.name, errNil}
		}
	}
	if e.form == formBinary {
		a, ok := v.(encoding.BinaryAppender)
		if !ok { // its methods are those of a pointer
			x := reflect.New(e.typ)
			x.Elem().Set(reflect.ValueOf(v))
			a = x.Interface().(encoding.BinaryAppender)
		}
		before := len(b)
		b, err := a.AppendBinary(b)
		if err == nil && len(b) < before {
			err = errors.New("AppendBinary cut off what was there")
		}
		if err != nil {
			return b, &EncodeError{e.name, err}
		}
		return b, nil
	}
	if e.shape.recursive {
		if err := depth(reflect.ValueOf(v), 0); err != nil {
			return b, fmt.Errorf("%w: %q", err, e.name)
		}
	}
	p.buf = *bytes.NewBuffer(b)
	err = writing.MarshalToBuffer(v, &p.buf)
	b = p.buf.Bytes()
	p.buf = bytes.Buffer{}
	if err != nil {
		return b, &EncodeError{e.name, err}
	}
	return b, nil
}

// Decode returns the value of a message. Errors are *UnknownTypeError, *NewerVersionError,
// ErrTooLarge, and *MalformedError for all that is wrong with the bytes, also by the opinion of a
// method of the type, or if that panics.
func (p *Peer) Decode(src []byte) (any, error) {
	e, body, err := p.entryOf(src)
	if err != nil {
		return nil, err
	}
	return p.value(e, body)
}

// DecodeAt is Decode for a place where the value is expected to belong: if it is of the type of *m,
// which must be zero, DecodeAt makes *m the value and returns true. Otherwise it returns the value.
// With an error *m is zero.
func (p *Peer) DecodeAt(src []byte, m any) (v any, at bool, err error) {
	e, body, err := p.entryOf(src)
	if err != nil {
		return nil, false, err
	}
	if e.pointer != reflect.TypeOf(m) {
		v, err = p.value(e, body)
		return v, false, err
	}
	if err := p.into(e, body, m); err != nil {
		reflect.ValueOf(m).Elem().SetZero()
		return nil, true, err
	}
	return nil, true, nil
}

// entryOf returns the type and the body of a message.
func (p *Peer) entryOf(src []byte) (*entry, []byte, error) {
	if len(src) > p.max {
		return nil, nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, len(src), p.max)
	}
	number, n := binary.Uvarint(src)
	if n <= 0 {
		return nil, nil, &MalformedError{Err: errors.New("no number of a type")}
	}
	if number < 1 || number > uint64(len(p.known)) {
		return nil, nil, &UnknownTypeError{Number: number}
	}
	r := &p.known[number-1]
	if r.entry == nil {
		e := p.types.types.Load().byName[r.name] // registered meanwhile
		switch {
		case e == nil:
			return nil, nil, &UnknownTypeError{Name: r.name, Number: number}
		case e.version < r.version:
			return nil, nil, &NewerVersionError{Name: r.name, Got: r.version, Known: e.version}
		}
		r.entry = e
	}
	return r.entry, src[n:], nil
}

// value decodes the body of a message.
func (p *Peer) value(e *entry, body []byte) (v any, err error) {
	if err := e.fits(body, p.max); err != nil {
		return nil, err
	}
	defer func() {
		if x := recover(); x != nil {
			v, err = nil, &MalformedError{e.name, &PanicError{x}}
		}
	}()
	if p.refs != nil && e.refs {
		p.refs.Lock()
		defer p.refs.Unlock()
	}
	v, err = e.decode(body)
	if err != nil {
		return nil, &MalformedError{e.name, err}
	}
	return v, nil
}

// into decodes the body of a message into *m, which must be zero. With an error something of it may
// be in *m.
func (p *Peer) into(e *entry, body []byte, m any) (err error) {
	if err := e.fits(body, p.max); err != nil {
		return err
	}
	defer func() {
		if x := recover(); x != nil {
			err = &MalformedError{e.name, &PanicError{x}}
		}
	}()
	if p.refs != nil && e.refs {
		p.refs.Lock()
		defer p.refs.Unlock()
	}
	if err := e.into(body, m); err != nil {
		return &MalformedError{e.name, err}
	}
	return nil
}

// fits returns ErrTooLarge if the value of a body of CBOR has too many elements or takes too much
// memory. Both sides ask, so that what would be refused there is an error here.
func (e *entry) fits(body []byte, max int) error {
	limit := memoryTimes * max
	if e.form != formCBOR || len(body) <= elementsMax && len(body)*e.shape.unit <= limit {
		return nil // no element is shorter than a byte
	}
	m := meter{rest: body, fields: e.shape.fields}
	m.value(e.typ, 0)
	if m.most > elementsMax {
		return fmt.Errorf("%w: %q has %d elements in one place, at most %d are allowed", ErrTooLarge, e.name, m.most, elementsMax)
	}
	if m.bytes > limit {
		return fmt.Errorf("%w: %q takes %d bytes of memory, at most %d are allowed", ErrTooLarge, e.name, m.bytes, limit)
	}
	return nil
}
