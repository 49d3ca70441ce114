package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

// peers returns a codec of a node with types from, and that of a node with types to which has
// learned its table.
func peers(t testing.TB, from, to *codec.Types) (a, b *codec.Peer) {
	a, b = from.Peer(codec.Config{}), to.Peer(codec.Config{})
	table, rows := a.Table(nil)
	require.NoError(t, b.Learn(table))
	a.Told(rows)
	table, _ = a.Table(nil)
	require.Empty(t, table)
	table, rows = b.Table(nil)
	require.NoError(t, a.Learn(table))
	b.Told(rows)
	return a, b
}

// What comes out of types made at random is what went in, and is encoded the same again.
func TestGeneratedTypesRoundTrip(t *testing.T) {
	n := 3000
	if testing.Short() || raceEnabled {
		n = 300
	}
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 2))
		typ := makeType(r, 1+r.IntN(6))
		types := codec.NewTypes()
		if err := codec.RegisterType(types, "x", 1, typ); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		a, b := peers(t, types, types)
		for range 5 {
			v := reflect.New(typ).Elem()
			fill(r, v, 14)
			if typ.Kind() == reflect.Pointer && v.IsNil() {
				v.Set(reflect.New(typ.Elem()))
			}
			src, err := a.Append([]byte("before"), v.Interface())
			if errors.Is(err, codec.ErrTooDeep) {
				continue
			}
			if err != nil || !bytes.HasPrefix(src, []byte("before")) {
				t.Fatalf("seed %d: %v: %v", seed, typ, err)
			}
			src = src[len("before"):]
			got, err := b.Decode(src)
			if err != nil {
				t.Fatalf("seed %d: %v: %v", seed, typ, err)
			}
			if !same(v, reflect.ValueOf(got)) {
				t.Fatalf("seed %d: %v: %+v came out as %+v (%x)", seed, typ, v, got, src)
			}
			again, err := a.Append(nil, got)
			if err != nil || !bytes.Equal(again, src) {
				t.Fatalf("seed %d: %v: %x, encoded again %x, %v", seed, typ, src, again, err)
			}
			place := reflect.New(typ)
			place.Elem().Set(v)
			again, err = a.AppendAt(nil, place.Interface())
			if err != nil || !bytes.Equal(again, src) {
				t.Fatalf("seed %d: %v: %x, encoded in place %x, %v", seed, typ, src, again, err)
			}
			place = reflect.New(typ)
			if _, at, err := b.DecodeAt(src, place.Interface()); !at || err != nil || !same(v, place.Elem()) {
				t.Fatalf("seed %d: %v: %+v came out as %+v in place, %v, %v", seed, typ, v, place.Elem(), at, err)
			}
			for i := range src { // nothing of the source is in the value
				src[i] ^= 0xff
			}
			if !same(v, reflect.ValueOf(got)) || !same(v, place.Elem()) {
				t.Fatalf("seed %d: %v: the value holds on to its source", seed, typ)
			}
		}
	}
}

// A place where a value could not be decoded is as it was.
func TestDecodeAt(t *testing.T) {
	types := codec.NewTypes()
	codec.Register[deposit](types, "deposit", 1)
	codec.Register[bin](types, "bin", 1)
	a, b := peers(t, types, types)
	src, err := a.Append(nil, deposit{Account: "account/42", Amount: 5})
	require.NoError(t, err)
	var place deposit
	_, at, err := b.DecodeAt([]byte("\x01\xa2\x01\x61a\x02\x61b"), &place) // the amount is a string
	require.ErrorAs(t, err, new(*codec.MalformedError))
	require.True(t, at)
	require.Zero(t, place, "also of what came before")
	_, at, err = b.DecodeAt(src, &place)
	require.NoError(t, err)
	require.True(t, at)
	require.Equal(t, deposit{"account/42", 5, []byte{}}, place)
	v, at, err := b.DecodeAt(src, new(bin)) // another type
	require.NoError(t, err)
	require.False(t, at)
	require.Equal(t, place, v)
	_, at, err = b.DecodeAt([]byte("\x02panic"), new(bin))
	require.ErrorAs(t, err, new(*codec.MalformedError))
	require.True(t, at)
	_, _, err = b.DecodeAt([]byte{9}, &place)
	require.ErrorAs(t, err, new(*codec.UnknownTypeError))
	_, err = a.AppendAt(nil, new(half))
	require.ErrorAs(t, err, new(*codec.NotRegisteredError))
}

type withText struct{ a, b int }

func (w withText) MarshalText() ([]byte, error) { return []byte{byte(w.a), byte(w.b)}, nil }

type half struct{ X int }

func (half) MarshalBinary() ([]byte, error) { return nil, nil }

// Embedded is embedded.
type Embedded struct{ X int }

type whole struct{ X int }

func (whole) MarshalBinary() ([]byte, error)  { return nil, nil }
func (*whole) UnmarshalBinary(b []byte) error { return nil }

// flat has methods of its own, and nothing that could be a ref.
type flat struct {
	At   time.Time
	Name string
	Next *flat
	Of   map[int][]string
}

func (f flat) AppendBinary(b []byte) ([]byte, error) { return b, nil }
func (*flat) UnmarshalBinary([]byte) error           { return nil }

// Config.Refs is held for types that may hold refs, and while a method of theirs is called.
func TestRefsAreGuarded(t *testing.T) {
	for want, all := range map[bool][]any{
		false: {1, "", flat{}, &flat{}, deposit{}, []time.Time{}},
		true: {
			struct{ W whole }{}, []whole{}, map[string]whole{}, struct{ P *whole }{}, struct{ F flat }{}, struct{ A any }{},
			struct{ F func() }{}, &struct{ C [1]chan int }{}, bin{},
		},
	} {
		for _, v := range all {
			require.Equal(t, want, codec.MayHoldRefs(reflect.TypeOf(v)), "%T", v)
		}
	}
	types := codec.NewTypes()
	codec.Register[guarded](types, "guarded", 1)
	codec.Register[deposit](types, "deposit", 1)
	g := &guard{}
	p := types.Peer(codec.Config{Refs: g})
	rows, _ := p.Table(nil)
	require.NoError(t, p.Learn(rows))
	for range 2 {
		src, err := p.Append(nil, guarded{g, nil})
		require.NoError(t, err)
		_, err = p.AppendAt(nil, &guarded{g, nil})
		require.NoError(t, err)
		held = g
		_, err = p.Decode(src)
		require.NoError(t, err)
		_, _, err = p.DecodeAt(src, new(guarded))
		require.NoError(t, err)
		var m guarded
		src, err = p.AppendPlain(nil, &guarded{g, nil})
		require.NoError(t, err)
		require.NoError(t, p.DecodePlain(src, &m))
		_, err = p.Append(nil, guarded{g, errors.New("sorry")}) // panics
		require.ErrorAs(t, err, new(*codec.EncodeError))
	}
	require.False(t, g.held)
	require.Equal(t, 14, g.times)
	_, err := p.Append(nil, deposit{})
	require.NoError(t, err)
	require.Equal(t, 14, g.times)
}

// guard is a sync.Locker that counts.
type guard struct {
	held  bool
	times int
}

func (g *guard) Lock()   { g.held = true; g.times++ }
func (g *guard) Unlock() { g.held = false }

var held *guard

// guarded can be coded only while its guard is held.
type guarded struct {
	g    *guard
	boom any
}

func (g guarded) AppendBinary(b []byte) ([]byte, error) {
	if g.boom != nil {
		panic(g.boom)
	}
	if !g.g.held {
		return b, errors.New("not held")
	}
	return append(b, 1), nil
}

func (g *guarded) UnmarshalBinary([]byte) error {
	if !held.held {
		return errors.New("not held")
	}
	return nil
}

func TestRefusedTypes(t *testing.T) {
	for _, c := range []struct {
		v          any
		path, says string
	}{
		{struct{ F func() }{}, ".F", "a func can't be encoded"},
		{struct{ C []chan int }{}, ".C[]", "a chan can't be encoded"},
		{struct{ M map[string]complex64 }{}, ".M[]", "a complex64 can't be encoded"},
		{struct{ U uintptr }{}, ".U", "a uintptr can't be encoded"},
		{struct{ A any }{}, ".A", "in an interface"},
		{struct{ E error }{}, ".E", "in an interface"},
		{struct{ P **int }{}, ".P", "pointer to a pointer"},
		{struct{ T []*time.Time }{}, ".T[]", "pointer to a time"},
		{struct{ x int }{}, ".x", "not exported"},
		{struct {
			A int
			b int
		}{}, ".b", "not exported"},
		{struct {
			A int `cbor:"1,keyasint"`
			B int `cbor:"1,keyasint"`
		}{}, ".B", "same key (1) as .A"},
		{struct {
			A int `cbor:"1,keyasint"`
			B int `cbor:"01,keyasint"`
		}{}, ".B", "same key (1) as .A"},
		{struct {
			A int `cbor:"x"`
			B int `json:"x"`
		}{}, ".B", `same key ("x") as .A`},
		{struct {
			C []uint16 `cbor:"c"`
			nested
		}{}, ".nested.inner.C", `same key ("c") as .C`},
		{struct {
			A int `cbor:"a,keyasint"`
		}{}, ".A", `keyasint with "a"`},
		{struct {
			_ struct{} `cbor:",toarray"`
			A int
		}{}, "._", "array"},
		{struct {
			_ struct{} `cbor:",toindefarray"`
			A int
		}{}, "._", "array"},
		{struct {
			A int `json:"-"`
		}{}, ".A", `json:"-"`},
		{struct{ M map[withText]int }{}, ".M", "only have MarshalText"},
		{struct{ M map[[2]int]int }{}, ".M", "key of a map"},
		{struct{ M map[float64]int }{}, ".M", "key of a map"},
		{struct{ M map[any]int }{}, ".M", "key of a map"},
		{struct{ W withText }{}, ".W.a", "not exported"},
		{struct{ H half }{}, ".H", "has MarshalBinary and no UnmarshalBinary"},
		{struct{ *Embedded }{}, ".Embedded", "embedded by a pointer"},
		{struct{ *inner }{}, ".inner", "not exported"},
		{struct {
			L [][][][][][][][][][][][][][][][]int
		}{}, "", "17 levels"},
		{struct{ L [1 << 18]int }{}, "", "bytes"},
		{struct{ L []func() }{}, ".L[]", "func"},
		{struct {
			M map[string]struct{ X []struct{ F func() } }
		}{}, ".M[].X[].F", "func"},
	} {
		err := codec.CheckType(reflect.TypeOf(c.v))
		var refused *codec.NotEncodableError
		if !errors.As(err, &refused) {
			t.Errorf("%T: %v", c.v, err)
			continue
		}
		assert.Equal(t, c.path, refused.Path, "%v", err)
		assert.Contains(t, refused.Reason, c.says)
	}
	type embedding struct {
		whole
		Y int
	}
	assert.ErrorContains(t, codec.CheckType(reflect.TypeFor[embedding]()), "MarshalBinary of the embedded")
	require.PanicsWithValue(t, "cluster: codec_test.half can't be sent to another node: codec_test.half "+
		"has MarshalBinary and no UnmarshalBinary", func() { codec.Register[half](codec.NewTypes(), "half", 1) })
}

func TestAllowedTypes(t *testing.T) {
	for _, v := range []any{
		struct{}{}, struct{ A int }{}, nested{}, tree{}, &tree{}, []tree{}, map[color]tree{}, 7, "",
		struct {
			A int
			b func() `cbor:"-"`
			C error  `cbor:"-"`
		}{},
		struct{ W *whole }{},
	} {
		assert.NoError(t, codec.CheckType(reflect.TypeOf(v)), "%T", v)
	}
}

type one struct{ X int }
type two struct{ X int }

func TestRegistration(t *testing.T) {
	types := codec.NewTypes()
	codec.Register[one](types, "one", 1)
	for says, f := range map[string]func(){
		`type "one" is registered twice: codec_test.one and codec_test.two`:  func() { codec.Register[two](types, "one", 1) },
		`type codec_test.one is registered twice: as "one" and as "another"`: func() { codec.Register[one](types, "another", 1) },
		`version of "two" is 0, not 1 or more`:                               func() { codec.Register[two](types, "two", 0) },
		`a name is empty`:                                                    func() { codec.Register[two](types, "", 1) },
		`name "a b" has blanks, control characters or invalid UTF-8`:         func() { codec.Register[two](types, "a b", 1) },
	} {
		assert.PanicsWithValue(t, "cluster: "+says, f)
	}
	assert.Panics(t, func() { codec.Register[two](types, strings.Repeat("x", 129), 1) })

	assert.NoError(t, codec.Check[one](types))
	assert.NoError(t, codec.Check[fmt.Stringer](types))
	assert.EqualError(t, codec.Check[two](types), "type codec_test.two has no name for other nodes: give it one with cluster.Type")
	assert.ErrorContains(t, codec.Check[func()](types), "a func can't be encoded")
	name, version, ok := types.Name(one{})
	assert.Equal(t, "one 1 true", fmt.Sprint(name, " ", version, " ", ok))
	_, _, ok = types.Name(two{})
	assert.False(t, ok)
}

// What is registered after a table was told comes in the next one.
func TestTableGrows(t *testing.T) {
	from, to := codec.NewTypes(), codec.NewTypes()
	codec.Register[one](from, "one", 1)
	a, b := peers(t, from, to)
	src, err := a.Append(nil, one{1})
	require.NoError(t, err)
	_, err = b.Decode(src)
	assert.Equal(t, &codec.UnknownTypeError{Name: "one", Number: 1}, err)
	codec.Register[one](to, "one", 1) // registered late
	v, err := b.Decode(src)
	assert.NoError(t, err)
	assert.Equal(t, one{1}, v)

	codec.Register[two](from, "two", 1)
	codec.Register[two](to, "two", 1)
	src, err = a.Append(nil, two{2})
	require.NoError(t, err)
	_, err = b.Decode(src)
	assert.Equal(t, &codec.UnknownTypeError{Number: 2}, err)
	table, rows := a.Table(nil)
	for range 2 { // a row may come twice
		require.NoError(t, b.Learn(table))
	}
	a.Told(rows)
	v, err = b.Decode(src)
	assert.NoError(t, err)
	assert.Equal(t, two{2}, v)

	for _, bad := range [][]byte{{0}, {9}, {0x80}, {1, 0, 1, 'x'}, {1, 1, 9, 'x'}, {1, 1}, {1, 1, 1, 'y'}, {3, 1, 1, ' '}, {3, 1, 0}} {
		var malformed *codec.MalformedError
		assert.ErrorAs(t, b.Learn(bad), &malformed, "%v", bad)
	}
	v, err = b.Decode(src)
	assert.NoError(t, err)
	assert.Equal(t, two{2}, v)
}

func TestVersions(t *testing.T) {
	older, newer := codec.NewTypes(), codec.NewTypes()
	codec.Register[one](older, "m", 1)
	codec.Register[two](newer, "m", 2)
	a, b := peers(t, newer, older)
	src, err := a.Append(nil, two{5})
	require.NoError(t, err)
	_, err = b.Decode(src)
	assert.Equal(t, &codec.NewerVersionError{Name: "m", Got: 2, Known: 1}, err)
	assert.Equal(t, &codec.NewerVersionError{Name: "m", Got: 2, Known: 1}, a.Reads(two{}))
	assert.NoError(t, b.Reads(one{}))
	src, err = b.Append(nil, one{5})
	require.NoError(t, err)
	v, err := a.Decode(src) // the newer one reads what is older
	assert.NoError(t, err)
	assert.Equal(t, two{5}, v)
	assert.NoError(t, codec.ReadsType[fmt.Stringer](a))
	assert.ErrorContains(t, codec.ReadsType[one](a), "has no name")

	codec.Register[half2](newer, "only.there", 1)
	assert.Equal(t, &codec.UnknownTypeError{Name: "only.there"}, codec.ReadsType[half2](a))
}

type half2 struct{}

// Two builds of a program of which one has more fields, and one other.
type (
	itemOld struct {
		ID    int    `cbor:"1,keyasint"`
		Price int    `cbor:"2,keyasint"`
		Note  string `cbor:"3,keyasint"`
	}
	itemNew struct {
		ID    int            `cbor:"1,keyasint"`
		Price int64          `cbor:"2,keyasint"`
		Tags  []string       `cbor:"4,keyasint"`
		More  map[string]int `cbor:"5,keyasint"`
	}
	orderOld struct {
		Items []itemOld
		Named string
	}
	orderNew struct {
		Items []itemNew
		Added *itemNew
	}
)

func TestRollingChange(t *testing.T) {
	older, newer := codec.NewTypes(), codec.NewTypes()
	codec.Register[orderOld](older, "order", 1)
	codec.Register[orderNew](newer, "order", 1)
	a, b := peers(t, older, newer)

	src, err := a.Append(nil, orderOld{Items: []itemOld{{1, 2, "n"}, {ID: 3}}, Named: "x"})
	require.NoError(t, err)
	v, err := b.Decode(src)
	require.NoError(t, err)
	assert.Equal(t, orderNew{Items: []itemNew{{ID: 1, Price: 2}, {ID: 3}}}, v)

	src, err = b.Append(nil, orderNew{Items: []itemNew{{ID: 1, Price: 2, Tags: []string{"t"}}}, Added: &itemNew{ID: 9}})
	require.NoError(t, err)
	v, err = a.Decode(src)
	require.NoError(t, err)
	assert.Equal(t, orderOld{Items: []itemOld{{1, 2, ""}}}, v)

	// A value that does not fit is refused, not cut.
	src, err = b.Append(nil, orderNew{Items: []itemNew{{Price: 1 << 62}}})
	require.NoError(t, err)
	if _, err = a.Decode(src); fmt.Sprint(^uint(0)) == "4294967295" {
		assert.ErrorContains(t, err, "cannot unmarshal")
	}
	// A field is not found by another case, as encoding/json would.
	lower, upper := codec.NewTypes(), codec.NewTypes()
	codec.Register[struct{ X, Xx int }](upper, "x", 1)
	codec.Register[struct {
		X int `cbor:"x"`
	}](lower, "x", 1)
	a, b = peers(t, lower, upper)
	src, err = a.Append(nil, struct {
		X int `cbor:"x"`
	}{7})
	require.NoError(t, err)
	v, err = b.Decode(src)
	assert.NoError(t, err)
	assert.Equal(t, struct{ X, Xx int }{}, v)
}

type raw []byte

// bin is written by its own methods.
type bin struct {
	s    string
	fail error
	boom bool
}

func (b bin) AppendBinary(dst []byte) ([]byte, error) {
	if b.boom {
		panic("boom")
	}
	return append(dst, b.s...), b.fail
}

func (b *bin) UnmarshalBinary(src []byte) error {
	switch string(src) {
	case "panic":
		panic("no")
	case "bad":
		return errors.New("bad")
	}
	b.s = string(src)
	return nil
}

type ptr struct{ s string }

func (p *ptr) AppendBinary(dst []byte) ([]byte, error) { return append(dst, p.s...), nil }
func (p *ptr) UnmarshalBinary(src []byte) error        { p.s = string(src); return nil }

type cut struct{}

func (cut) AppendBinary([]byte) ([]byte, error) { return nil, nil }
func (*cut) UnmarshalBinary([]byte) error       { return nil }

func TestBytesAndBinaryAreWrittenWithoutCBOR(t *testing.T) {
	types := codec.NewTypes()
	codec.Register[[]byte](types, "bytes", 1)
	codec.Register[raw](types, "raw", 1)
	codec.Register[bin](types, "bin", 1)
	codec.Register[ptr](types, "ptr", 1)
	codec.Register[*bin](types, "pbin", 1)
	codec.Register[cut](types, "cut", 1)
	a, b := peers(t, types, types)
	for i, v := range []any{[]byte("abc"), raw("abc"), bin{s: "abc"}, ptr{"abc"}, &bin{s: "abc"}} {
		src, err := a.Append(nil, v)
		require.NoError(t, err)
		assert.Equal(t, append([]byte{byte(i) + 1}, "abc"...), src)
		got, err := b.Decode(src)
		require.NoError(t, err)
		assert.Equal(t, v, got)
	}
	_, err := a.Append(nil, bin{fail: errors.New("sorry")})
	assert.EqualError(t, err, `encoding "bin": sorry`)
	_, err = a.Append(nil, bin{boom: true})
	assert.EqualError(t, err, `encoding "bin": panic: boom`)
	_, err = a.Append(nil, (*bin)(nil))
	assert.EqualError(t, err, `encoding "pbin": it is nil`)
	_, err = a.Append([]byte("something"), cut{})
	assert.EqualError(t, err, `encoding "cut": AppendBinary cut off what was there`)
	_, err = b.Decode([]byte("\x03panic"))
	assert.EqualError(t, err, `malformed "bin": panic: no`)
	_, err = b.Decode([]byte("\x03bad"))
	assert.EqualError(t, err, `malformed "bin": bad`)
	_, err = a.Append(nil, nil)
	assert.EqualError(t, err, `type nil has no name for other nodes: give it one with cluster.Type`)
}

type list struct {
	Next *list
	L    [][]int
}

func TestLimits(t *testing.T) {
	types := codec.NewTypes()
	codec.Register[*list](types, "list", 1)
	codec.Register[[]int8](types, "ints", 1)
	codec.Register[map[int]bool](types, "map", 1)
	codec.Register[[]struct{ A [100]int64 }](types, "wide", 1)
	codec.Register[[]byte](types, "bytes", 1)
	codec.Register[[][][][][][][][][][][][][][][][]int](types, "deep", 1)
	a, b := peers(t, types, types)
	both := func(v any) error {
		src, err := a.Append(nil, v)
		if err != nil {
			return err
		}
		_, err = b.Decode(src)
		assert.NoError(t, err, "%T: what was encoded is refused", v)
		return err
	}
	chain := func(n int) (l *list) {
		for range n {
			l = &list{Next: l}
		}
		return l
	}
	assert.NoError(t, both(chain(15)))
	assert.ErrorIs(t, both(chain(16)), codec.ErrTooDeep)
	round := &list{}
	round.Next = round
	assert.ErrorIs(t, both(round), codec.ErrTooDeep)
	deep := [][][][][][][][][][][][][][][][]int{{{{{{{{{{{{{{{{1}}}}}}}}}}}}}}}}
	assert.NoError(t, both(deep))
	assert.NoError(t, both(make([]int8, 65536)))
	assert.ErrorIs(t, both(make([]int8, 65537)), codec.ErrTooLarge)
	m := map[int]bool{}
	for i := range 65536 {
		m[i] = true
	}
	assert.NoError(t, both(m))
	m[-1] = true
	assert.ErrorIs(t, both(m), codec.ErrTooLarge)
	assert.NoError(t, both(make([]byte, 256<<10-1)))
	assert.ErrorIs(t, both(make([]byte, 256<<10)), codec.ErrTooLarge)
	_, err := b.Decode(append([]byte{5}, make([]byte, 256<<10)...))
	assert.ErrorIs(t, err, codec.ErrTooLarge)

	// 60,000 empty elements in 60 KB would be 48 MB.
	wide := []byte{4, 0x99, 0xea, 0x60}
	for range 60000 {
		wide = append(wide, 0xa0)
	}
	_, err = b.Decode(wide)
	assert.ErrorIs(t, err, codec.ErrTooLarge)
	assert.NoError(t, both(make([]struct{ A [100]int64 }, 1000)))

	for what, body := range map[string]string{
		"17 levels":         strings.Repeat("\x81", 17) + "\x01",
		"100,000 levels":    strings.Repeat("\x81", 100000) + "\x01",
		"an endless array":  "\x9f\x01\xff",
		"a tag":             "\xc0\x01",
		"half an array":     "\x82\x01",
		"an array of 2^60":  "\x9b\x10\x00\x00\x00\x00\x00\x00\x00\x01",
		"something behind":  "\x80\x00",
		"nothing":           "",
		"a map":             "\xa0",
		"a number too long": "\x81\x19\xff\xff",
	} {
		var malformed *codec.MalformedError
		_, err := b.Decode([]byte("\x02" + body))
		assert.ErrorAs(t, err, &malformed, what)
	}
	_, err = b.Decode([]byte("\x03\xa2\x01\xf5\x01\xf5")) // a key twice
	assert.ErrorContains(t, err, "duplicate")
	_, err = b.Decode([]byte("\x01\xf6"))
	assert.EqualError(t, err, `malformed "list": it is nil`)
	for _, src := range []string{"", "\x80", "\x00", "\x07", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		_, err := b.Decode([]byte(src))
		assert.Error(t, err)
	}
	small := types.Peer(codec.Config{MessageBytes: 16})
	_, err = small.Append(nil, make([]byte, 16))
	assert.ErrorIs(t, err, codec.ErrTooLarge)
	assert.Panics(t, func() { types.Peer(codec.Config{MessageBytes: 1}) })
}
