package codec_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"time"

	"github.com/google/uuid"
)

// This file makes types and values at random, and compares values.

var leaves = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[string](), reflect.TypeFor[float32](), reflect.TypeFor[float64](),
	reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](),
	reflect.TypeFor[int64](), reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](),
	reflect.TypeFor[uint32](), reflect.TypeFor[uint64](), reflect.TypeFor[[]byte](), reflect.TypeFor[[16]byte](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](), reflect.TypeFor[uuid.UUID](),
	reflect.TypeFor[netip.Addr](), reflect.TypeFor[color](), reflect.TypeFor[nested](), reflect.TypeFor[tree](),
}

type color int8

func (color) MarshalText() ([]byte, error) { return []byte("a color"), nil }

type nested struct {
	A int    `cbor:"1,keyasint,omitempty"`
	B string `cbor:"-2,keyasint,omitzero"`
	inner
}

type inner struct {
	C []uint16 `json:"c,omitempty"`
	D *url.URL
}

// tree is recursive.
type tree struct {
	Name string
	Sub  []tree
	Next *tree `cbor:",omitempty"`
}

func makeType(r *rand.Rand, levels int) reflect.Type {
	if levels <= 1 || r.IntN(3) == 0 {
		return leaves[r.IntN(len(leaves))]
	}
	switch r.IntN(6) {
	case 0:
		return reflect.SliceOf(makeType(r, levels-1))
	case 1:
		return reflect.ArrayOf(r.IntN(4), makeType(r, levels-1))
	case 2:
		keys := []reflect.Type{leaves[1], leaves[0], leaves[4], leaves[5], leaves[13], reflect.TypeFor[color]()}
		return reflect.MapOf(keys[r.IntN(len(keys))], makeType(r, levels-1))
	case 3:
		if t := makeType(r, levels); t.Kind() != reflect.Pointer && t != reflect.TypeFor[time.Time]() {
			return reflect.PointerTo(t)
		}
	}
	var fields []reflect.StructField
	for i := range r.IntN(5) {
		tag := ""
		switch r.IntN(4) {
		case 0:
			tag = fmt.Sprintf(`cbor:"%d,keyasint"`, i-2)
		case 1:
			tag = fmt.Sprintf(`cbor:"f%d,omitempty"`, i)
		case 2:
			tag = `cbor:",omitzero"`
		}
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", i), Type: makeType(r, levels-1), Tag: reflect.StructTag(tag),
		})
	}
	return reflect.StructOf(fields)
}

func fill(r *rand.Rand, v reflect.Value, levels int) {
	if r.IntN(6) == 0 || levels <= 0 {
		return // zero
	}
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(r.Int64N(1<<33), r.Int64N(1e9)).In(time.FixedZone("", r.IntN(40000)-20000))
		return
	case *netip.Addr:
		*x = netip.AddrFrom4([4]byte{byte(r.Uint32()), 2, 3, 4})
		return
	case *url.URL:
		*x = url.URL{Scheme: "https", Host: "h", Path: "/p"}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.String:
		b := make([]byte, r.IntN(30))
		for i := range b {
			b[i] = byte(r.Uint32()) // not always UTF-8
		}
		v.SetString(string(b))
	case reflect.Float32:
		v.SetFloat(float64(math.Float32frombits(r.Uint32())))
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(r.Uint64()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(r.Int64() >> (64 - v.Type().Bits()) >> r.IntN(v.Type().Bits()) * int64(1-2*r.IntN(2)))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()) >> r.IntN(v.Type().Bits()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 8))
		for i := range v.Len() {
			fill(r, v.Index(i), levels-1)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), levels-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(4) {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(r, k, levels-1)
			fill(r, e, levels-1)
			v.SetMapIndex(k, e)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem(), levels)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(r, f, levels-1)
			} else if v.Type().Field(i).Anonymous {
				for j := range f.NumField() {
					if f.Field(j).CanSet() {
						fill(r, f.Field(j), levels-1)
					}
				}
			}
		}
	}
}

// same reports whether a came out as b: nil slices and maps are empty, times are the same instant
// in UTC, every NaN is a NaN.
func same(a, b reflect.Value) bool {
	if a.Type() != b.Type() {
		return false
	}
	if a.CanInterface() {
		if x, ok := a.Interface().(time.Time); ok {
			y := b.Interface().(time.Time)
			return x.Equal(y)
		}
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return a.Float() == b.Float() || math.IsNaN(a.Float()) && math.IsNaN(b.Float())
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for it := a.MapRange(); it.Next(); {
			if e := b.MapIndex(it.Key()); !e.IsValid() || !same(it.Value(), e) {
				return false
			}
		}
		return true
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[netip.Addr]() || a.Type() == reflect.TypeFor[url.URL]() {
			return reflect.DeepEqual(a.Interface(), b.Interface())
		}
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}
