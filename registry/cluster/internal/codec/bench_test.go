package codec_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

type deposit struct {
	Account string `cbor:"1,keyasint"`
	Amount  int64  `cbor:"2,keyasint"`
	Note    []byte `cbor:"3,keyasint"`
}

type byName struct {
	Account string
	Amount  int64
	Note    []byte
}

func messages() (*codec.Types, map[string]any) {
	types := codec.NewTypes()
	codec.Register[deposit](types, "deposit", 1)
	codec.Register[byName](types, "named", 1)
	codec.Register[[]byte](types, "bytes", 1)
	codec.Register[bin](types, "bin", 1)
	note := make([]byte, 104)
	return types, map[string]any{
		"integer keys": deposit{"account/42", 100, note},
		"names":        byName{"account/42", 100, note},
		"bytes":        make([]byte, 128),
		"binary":       bin{s: string(make([]byte, 128))},
	}
}

// Encoding allocates nothing. Decoding allocates what is in the value, the value unless there is a
// place for it, and its box.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	types, all := messages()
	a, b := peers(t, types, types)
	buf := make([]byte, 0, 1024)
	most := map[string]float64{"integer keys": 4, "names": 4, "bytes": 2, "binary": 3}
	mostAt := map[string]float64{"integer keys": 2, "names": 2, "bytes": 1, "binary": 1}
	for name, v := range all {
		src, err := a.Append(nil, v)
		require.NoError(t, err)
		if n := testing.AllocsPerRun(100, func() { _, _ = a.Append(buf, v) }); n > 0 {
			t.Errorf("%s: Append allocates %v times", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = b.Decode(src) }); n > most[name] {
			t.Errorf("%s: Decode allocates %v times", name, n)
		}
		place := reflect.New(reflect.TypeOf(v))
		place.Elem().Set(reflect.ValueOf(v))
		m := place.Interface()
		if n := testing.AllocsPerRun(100, func() { _, _ = a.AppendAt(buf, m) }); n > 0 {
			t.Errorf("%s: AppendAt allocates %v times", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { place.Elem().SetZero(); _, _, _ = b.DecodeAt(src, m) }); n > mostAt[name] {
			t.Errorf("%s: DecodeAt allocates %v times", name, n)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	types, all := messages()
	from, to := peers(b, types, types)
	buf := make([]byte, 0, 1024)
	for _, name := range []string{"integer keys", "names", "bytes", "binary"} {
		v := all[name]
		src, err := from.Append(nil, v)
		require.NoError(b, err)
		b.Run(name+"/append", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = from.Append(buf, v)
			}
		})
		b.Run(name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = to.Decode(src)
			}
		})
	}
}
