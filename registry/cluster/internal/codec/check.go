package codec

import (
	"encoding"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Limits of a message.
const (
	levelsMax   = 16
	elementsMax = 65536
	sizeMax     = 1 << 20 // of a value in memory, without what it points to
	memoryTimes = 64      // bytes of memory for each byte that the longest message may have
)

var (
	binaryMarshaler   = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryUnmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	binaryAppender    = reflect.TypeFor[encoding.BinaryAppender]()
	textMarshaler     = reflect.TypeFor[encoding.TextMarshaler]()
	cborMarshaler     = reflect.TypeFor[cbor.Marshaler]()
	cborUnmarshaler   = reflect.TypeFor[cbor.Unmarshaler]()
	timeType          = reflect.TypeFor[time.Time]()
)

// refused are types that the CBOR library treats in a way that does not come back.
var refused = map[reflect.Type]string{
	reflect.TypeFor[big.Int]():          "big.Int needs a tag, and tags are not allowed",
	reflect.TypeFor[cbor.Tag]():         "tags are not allowed",
	reflect.TypeFor[cbor.RawTag]():      "tags are not allowed",
	reflect.TypeFor[cbor.RawMessage]():  "it is not checked what is in it; use []byte",
	reflect.TypeFor[cbor.SimpleValue](): "simple values are not allowed",
	reflect.TypeFor[cbor.ByteString]():  "use []byte",
}

// shape is what a decoder has to know of a type beforehand.
type shape struct {
	levels    int  // nested arrays and maps, if not recursive
	recursive bool // a value can hold values of its own type
	unit      int  // most memory that one more byte of an encoding can take

	fields map[reflect.Type]map[string]reflect.Type // of each struct: the types by key, see keyOf
}

// checker walks over a type.
type checker struct {
	root  reflect.Type
	above map[reflect.Type]bool // types that the current one is in
	shape shape
}

// checkType returns the shape of a type, or a *NotEncodableError.
func checkType(t reflect.Type) (shape, error) {
	c := &checker{root: t, above: map[reflect.Type]bool{}}
	c.shape.fields = map[reflect.Type]map[string]reflect.Type{}
	levels, err := c.check(t, "")
	if err != nil {
		return shape{}, err
	}
	if c.shape.levels = levels; levels > levelsMax && !c.shape.recursive {
		return shape{}, c.refuse("", "it has %d levels, at most %d are allowed", levels, levelsMax)
	}
	return c.shape, nil
}

func (c *checker) refuse(path, format string, args ...any) error {
	return &NotEncodableError{Type: c.root.String(), Path: path, Reason: fmt.Sprintf(format, args...)}
}

// has reports whether a pointer to t, which has all methods, implements an interface.
func has(t, iface reflect.Type) bool { return reflect.PointerTo(t).Implements(iface) }

// check returns the levels of t.
func (c *checker) check(t reflect.Type, path string) (levels int, err error) {
	if t.Size() > sizeMax {
		return 0, c.refuse(path, "a %s has %d bytes, at most %d are allowed", t, t.Size(), sizeMax)
	}
	if why, ok := refused[t]; ok {
		return 0, c.refuse(path, "%s", why)
	}
	if t.Kind() == reflect.Pointer {
		if t.Elem().Kind() == reflect.Pointer {
			return 0, c.refuse(path, "a pointer to a pointer comes out as nil if one of them is")
		}
		if t.Elem() == timeType {
			return 0, c.refuse(path, "a pointer to a time comes out as nil if the time is zero; use time.Time")
		}
		c.shape.unit += int(t.Elem().Size()) // it may stand wherever something else does
		return c.check(t.Elem(), path)
	}
	if t == timeType {
		return 0, nil
	}
	switch own, err := c.methods(t, path); {
	case err != nil:
		return 0, err
	case own:
		return 0, nil
	}
	if c.above[t] {
		c.shape.recursive = true
		return 0, nil
	}
	c.above[t] = true
	defer delete(c.above, t)

	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return 0, nil
	case reflect.Slice, reflect.Array:
		return c.elements(t, path)
	case reflect.Map:
		return c.mapping(t, path)
	case reflect.Struct:
		return c.fields(t, path)
	case reflect.Interface:
		return 0, c.refuse(path, "the other side can't know which type is in an interface (%s); "+
			"use one type with a field for each case", t)
	}
	return 0, c.refuse(path, "a %s can't be encoded", t.Kind())
}

// methods reports whether t encodes itself.
func (c *checker) methods(t reflect.Type, path string) (bool, error) {
	for _, pair := range [...]struct {
		to, from         reflect.Type
		toName, fromName string
	}{
		{cborMarshaler, cborUnmarshaler, "MarshalCBOR", "UnmarshalCBOR"},
		{binaryMarshaler, binaryUnmarshaler, "MarshalBinary", "UnmarshalBinary"},
	} {
		to, from := has(t, pair.to), has(t, pair.from)
		if !to && !from {
			continue
		}
		if !to || !from {
			missing, present := pair.toName, pair.fromName
			if to {
				missing, present = present, missing
			}
			return false, c.refuse(path, "%s has %s and no %s", t, present, missing)
		}
		return true, c.embeds(t, path, pair.to, pair.toName)
	}
	return false, nil
}

// embeds returns an error if the method that t encodes itself with may be that of a part of it.
func (c *checker) embeds(t reflect.Type, path string, iface reflect.Type, method string) error {
	if t.Kind() != reflect.Struct || t.NumField() == 1 {
		return nil
	}
	for f := range structFields(t) {
		if f.Anonymous && (f.Type.Implements(iface) || has(f.Type, iface)) {
			return c.refuse(path, "%s of the embedded %s may be taken for that of %s, and its other "+
				"fields be lost; give the field a name", method, f.Type, t)
		}
	}
	return nil
}

func structFields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func (c *checker) elements(t reflect.Type, path string) (int, error) {
	e := t.Elem()
	if e.Kind() == reflect.Uint8 {
		return 0, nil // a byte string
	}
	if t.Kind() == reflect.Slice {
		c.shape.unit += int(e.Size())
	} else if t.Len() > elementsMax {
		return 0, c.refuse(path, "it has %d elements, at most %d are allowed", t.Len(), elementsMax)
	}
	levels, err := c.check(e, path+"[]")
	return 1 + levels, err
}

func (c *checker) mapping(t reflect.Type, path string) (int, error) {
	k := t.Key()
	switch k.Kind() {
	case reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	case reflect.Interface, reflect.Pointer, reflect.Float32, reflect.Float64:
		return 0, c.refuse(path, "a %s can't be the key of a map", k)
	default:
		if has(k, textMarshaler) && !has(k, binaryMarshaler) && !has(k, cborMarshaler) {
			return 0, c.refuse(path, "keys of type %s only have MarshalText and would all be alike", k)
		}
		return 0, c.refuse(path, "a %s can't be the key of a map; use a string or an integer", k)
	}
	if _, err := c.check(k, path+"[key]"); err != nil {
		return 0, err
	}
	if has(k, cborMarshaler) || has(k, binaryMarshaler) {
		return 0, c.refuse(path, "a %s can't be the key of a map: it encodes itself", k)
	}
	c.shape.unit += pairBytes + int(k.Size()+t.Elem().Size())
	levels, err := c.check(t.Elem(), path+"[]")
	return 1 + levels, err
}

// fields checks a struct with the fields of those that it embeds.
func (c *checker) fields(t reflect.Type, path string) (int, error) {
	keys := map[string]string{} // paths by key
	types := map[string]reflect.Type{}
	c.shape.fields[t] = types
	levels := 0
	var walk func(t reflect.Type, path string) error
	walk = func(t reflect.Type, path string) error {
		for f := range structFields(t) {
			at := path + "." + f.Name
			tag, tagged := f.Tag.Lookup("cbor")
			if f.Name == "_" {
				if strings.Contains(tag, "array") {
					return c.refuse(at, "a struct that is an array can't get another field")
				}
				continue
			}
			if tag == "-" {
				continue
			}
			embedded := f.Anonymous && f.Type.Kind() == reflect.Struct && f.Type != timeType
			if !f.IsExported() && !embedded {
				return c.refuse(at, `it is not exported; say cbor:"-" if it is not meant to be sent`)
			}
			if tag == "" {
				tag = f.Tag.Get("json")
				if tag == "-" {
					return c.refuse(at, `json:"-" would leave it out; say cbor:"-" if that is meant`)
				}
				tagged = tag != ""
			}
			name, options, _ := strings.Cut(tag, ",")
			if f.Anonymous && name == "" {
				if f.Type.Kind() == reflect.Pointer {
					return c.refuse(at, "it is embedded by a pointer; give the field a name")
				}
				if embedded {
					switch own, err := c.methods(f.Type, at); {
					case err != nil:
						return err
					case own:
						return c.refuse(at, "%s encodes itself and is embedded; give the field a name", f.Type)
					}
					if err := walk(f.Type, at); err != nil {
						return err
					}
					continue
				}
			}
			if !f.IsExported() {
				return c.refuse(at, "it is not exported")
			}
			if name == "" {
				name = f.Name
			}
			key := strconv.Quote(name)
			if tagged {
				for option := range strings.SplitSeq(options, ",") {
					switch option {
					case "keyasint":
						n, err := strconv.Atoi(name)
						if err != nil {
							return c.refuse(at, "keyasint with %q, which is no integer", name)
						}
						key = strconv.Itoa(n)
					case "toarray":
						return c.refuse(at, "toarray belongs to no field")
					}
				}
			}
			if other, twice := keys[key]; twice {
				return c.refuse(at, "it has the same key (%s) as %s, and neither would be sent", key, other)
			}
			keys[key], types[key] = at, f.Type
			n, err := c.check(f.Type, at)
			if err != nil {
				return err
			}
			levels = max(levels, n)
		}
		return nil
	}
	if err := walk(t, path); err != nil {
		return 0, err
	}
	return 1 + levels, nil
}

// mayHoldRefs reports whether there can be an actor.Ref or an actor.Reply in a value of the type.
// They are like other types with methods of their own, so it takes those for them too, but a time.
// It also says so of what it can't look into.
func mayHoldRefs(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return mayBelow(t, map[reflect.Type]bool{timeType: true})
}

// mayBelow is mayHoldRefs without the methods of t itself. seen has types that were asked about.
func mayBelow(t reflect.Type, seen map[reflect.Type]bool) bool {
	seen[t] = true
	below := func(t reflect.Type) bool {
		return !seen[t] && (has(t, binaryMarshaler) || has(t, binaryAppender) || has(t, cborMarshaler) || mayBelow(t, seen))
	}
	switch t.Kind() {
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return below(t.Elem())
	case reflect.Map:
		return below(t.Key()) || below(t.Elem())
	case reflect.Struct:
		for f := range structFields(t) {
			if below(f.Type) {
				return true
			}
		}
	}
	return false
}

// depth returns an error if a value has more levels than are allowed. It is asked for values of
// recursive types only, and ends for values that hold themselves.
func depth(v reflect.Value, levels int) error {
	if levels > levelsMax {
		return ErrTooDeep
	}
	t := v.Type()
	if t == timeType || has(t, cborMarshaler) || has(t, binaryMarshaler) {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return depth(v.Elem(), levels)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil
		}
		if levels == levelsMax {
			return ErrTooDeep
		}
		for i := range v.Len() {
			if err := depth(v.Index(i), levels+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		if levels == levelsMax {
			return ErrTooDeep
		}
		for it := v.MapRange(); it.Next(); {
			if err := depth(it.Value(), levels+1); err != nil {
				return err
			}
		}
	case reflect.Struct:
		if levels == levelsMax {
			return ErrTooDeep
		}
		for i := range v.NumField() {
			if t.Field(i).Tag.Get("cbor") == "-" {
				continue
			}
			below := levels + 1
			if f := t.Field(i); f.Anonymous && f.Type.Kind() == reflect.Struct {
				below = levels // its fields are fields of the outer one
			}
			if err := depth(v.Field(i), below); err != nil {
				return err
			}
		}
	}
	return nil
}
