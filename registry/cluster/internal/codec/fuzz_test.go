package codec_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

type everything struct {
	A  []nested          `cbor:"1,keyasint"`
	B  map[string][]tree `cbor:"2,keyasint"`
	C  *everything       `cbor:"3,keyasint"`
	D  time.Time
	E  [][100]*nested
	F  map[int]*[50]int64
	G  []struct{ H [1000]int64 }
	I  []string
	J  []byte
	K  [4]byte
	BN big `cbor:"70000000000,keyasint"`
}

type big struct{ N []*[2000]int64 }

func hostile(tb testing.TB) (*codec.Types, *codec.Peer) {
	types := codec.NewTypes()
	codec.Register[everything](types, "everything", 1)
	codec.Register[*everything](types, "pointer", 1)
	codec.Register[map[uint16]everything](types, "map", 1)
	codec.Register[[]byte](types, "bytes", 1)
	_, b := peers(tb, types, types)
	return types, b
}

// FuzzDecode decodes whatever comes: it does not panic, and what was decoded can be encoded and
// decoded again.
func FuzzDecode(f *testing.F) {
	types, b := hostile(f)
	a := types.Peer(codec.Config{})
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		v := reflect.New(reflect.TypeFor[everything]()).Elem()
		fill(r, v, 6)
		if src, err := a.Append(nil, v.Interface()); err == nil && len(src) < 4000 {
			f.Add(src)
		}
	}
	f.Add([]byte{3, 0xa1, 1, 0xa0})
	f.Fuzz(func(t *testing.T, src []byte) {
		before := bytes.Clone(src)
		v, err := b.Decode(src)
		if !bytes.Equal(before, src) {
			t.Fatal("the source was changed")
		}
		var place everything
		got, at, errAt := b.DecodeAt(src, &place)
		switch {
		case (err == nil) != (errAt == nil):
			t.Fatalf("%x: %v, and in place %v", src, err, errAt)
		case (err != nil || !at) && !reflect.ValueOf(place).IsZero():
			t.Fatalf("%x: %v, and in place there is %+v", src, err, place)
		case err == nil && at:
			got = place
		}
		if err == nil && !same(reflect.ValueOf(v), reflect.ValueOf(got)) {
			t.Fatalf("%x: %+v, and in place %+v", src, v, got)
		}
		if err != nil {
			return
		}
		once, err := a.Append(nil, v)
		if err != nil {
			t.Fatalf("%x decoded to %+v: %v", src, v, err)
		}
		again, err := b.Decode(once)
		if err != nil {
			t.Fatalf("%x: encoded again %x: %v", src, once, err)
		}
		if !same(reflect.ValueOf(v), reflect.ValueOf(again)) {
			t.Fatalf("%x: %+v and then %+v", src, v, again)
		}
	})
}

func FuzzTableAndErrors(f *testing.F) {
	types, _ := hostile(f)
	table, _ := types.Peer(codec.Config{}).Table(nil)
	f.Add(table)
	f.Add(types.AppendError(nil, errOverdrawn))
	f.Fuzz(func(t *testing.T, src []byte) {
		p := types.Peer(codec.Config{})
		_ = p.Learn(src)
		_ = p.Learn(src)
		if e, err := types.DecodeError(src); err == nil {
			again, err := types.DecodeError(types.AppendError(nil, e))
			if err != nil || again.Text != e.Text && len(e.Text) <= 4<<10 {
				t.Fatalf("%q and then %q, %v", e, again, err)
			}
		}
	})
}

// Messages of up to 256 KiB that are made to take much memory don't.
func TestHostileMessagesTakeBoundedMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	_, b := hostile(t)
	array := func(n int, element string) string {
		return "\x9a" + string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + string(bytes.Repeat([]byte(element), n))
	}
	pairs := func(n int, value string) string {
		var s bytes.Buffer
		s.WriteString("\xba" + string([]byte{0, 0, byte(n >> 8), byte(n)}))
		for i := range n {
			s.WriteString("\x19" + string([]byte{byte(i >> 8), byte(i)}) + value)
		}
		return s.String()
	}
	for what, body := range map[string]string{
		"empty structs":            "\xa1\x61G" + array(65536, "\xa0"),
		"wrong elements":           "\xa1\x61G" + array(65536, "\x01"),
		"null elements":            "\xa1\x61G" + array(65536, "\xf6"),
		"arrays of pointers":       "\xa1\x61E" + array(65536, "\x80"),
		"pointers to arrays":       "\xa1\x61F" + pairs(40000, "\x80"),
		"pointers by a large key":  "\xa1\x1b\x00\x00\x00\x10\x4c\x53\x3c\x00\xa1\x61N" + array(65536, "\x80"),
		"one array, unknown field": "\xa1\x61Z" + array(65536, "\x80"),
		"structs in a list":        "\xa1\x01" + array(65536, "\xa0"),
	} {
		for _, number := range []string{"\x01", "\x02"} {
			src := []byte(number + body)
			require.LessOrEqual(t, len(src), 256<<10)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := b.Decode(src)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 20<<20 {
				t.Errorf("%s: %d bytes of memory, %v", what, got, err)
			}
		}
	}
	src := []byte("\x03" + pairs(65535, "\xa0"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := b.Decode(src[:256<<10])
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 20<<20 {
		t.Errorf("map: %d bytes of memory, %v", got, err)
	}
}
