package codec

import (
	"math"
	"reflect"
	"strconv"
)

// pairBytes is what a map needs for an entry, beside key and value.
const pairBytes = 32

// meter finds out how much memory a decoder would take for a body of CBOR, without taking it: the
// heads of arrays and maps say it. It believes them only as far as there are bytes: where the body
// is malformed it ends, since the decoder refuses that before it takes anything.
type meter struct {
	rest   []byte
	fields map[reflect.Type]map[string]reflect.Type
	bytes  int // of slices, maps and what pointers point to; strings are as long as they were
	most   int // elements in one place
}

// head reads the head of an item. A length is not above that of the rest.
func (m *meter) head() (major byte, n uint64, ok bool) {
	if len(m.rest) == 0 {
		return 0, 0, false
	}
	major, info := m.rest[0]>>5, m.rest[0]&31
	size := 0
	switch {
	case info < 24:
		n = uint64(info)
	case info < 28:
		size = 1 << (info - 24)
	default:
		return 0, 0, false // an indefinite length
	}
	if len(m.rest) < 1+size {
		return 0, 0, false
	}
	for _, x := range m.rest[1 : 1+size] {
		n = n<<8 | uint64(x)
	}
	m.rest = m.rest[1+size:]
	if major >= 2 && major <= 5 && n > uint64(len(m.rest)) {
		return 0, 0, false
	}
	return major, n, true
}

// value measures the next item, which is decoded into a t; nil if it is ignored. It reports whether
// the body goes on.
func (m *meter) value(t reflect.Type, level int) bool {
	if level > levelsMax {
		return false
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
		m.bytes += int(t.Size())
	}
	major, n, ok := m.head()
	if !ok {
		return false
	}
	kind := reflect.Invalid
	if t != nil {
		kind = t.Kind()
	}
	switch major {
	case 2, 3:
		m.rest = m.rest[n:]
	case 4:
		m.most = max(m.most, int(n))
		var element reflect.Type
		if kind == reflect.Slice || kind == reflect.Array {
			element = t.Elem()
		}
		if kind == reflect.Slice {
			m.bytes += int(n) * int(element.Size())
		}
		for range n {
			if !m.value(element, level+1) {
				return false
			}
		}
	case 5:
		m.most = max(m.most, int(n))
		var element reflect.Type
		if kind == reflect.Map {
			element = t.Elem()
			m.bytes += int(n) * (pairBytes + int(t.Key().Size()+element.Size()))
		}
		for range n {
			key := m.key()
			if kind == reflect.Struct {
				element = m.fields[t][key]
			}
			if !m.value(nil, level+1) || !m.value(element, level+1) {
				return false
			}
		}
	case 6:
		return false // a tag
	}
	return true
}

// key returns the next item as the key of a field, without taking it: a string in quotes or an
// integer, as in shape.fields.
func (m *meter) key() string {
	look := meter{rest: m.rest}
	switch major, n, ok := look.head(); {
	case !ok:
	case major == 3:
		return strconv.Quote(string(look.rest[:n]))
	case major == 0:
		return strconv.FormatUint(n, 10)
	case major == 1 && n <= math.MaxInt64:
		return strconv.FormatInt(-1-int64(n), 10)
	}
	return ""
}
