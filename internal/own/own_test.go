package own

import (
	"reflect"
	"testing"
)

type receiver struct{ n int }

func (r *receiver) trusted(n int) { r.n += n }
func (r *receiver) other(n int)   { r.n -= n }

func init() { Trust((&receiver{}).trusted) }

func TestHarmless(t *testing.T) {
	for range 3 {
		r := &receiver{}
		for name, c := range map[string]struct {
			f    func(int)
			want bool
		}{
			"the method": {r.trusted, true}, "another one": {r.other, false},
			"a closure that calls it": {func(n int) { r.trusted(n) }, false}, "nil": {nil, false},
		} {
			if got := Harmless(c.f); got != c.want {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
}

func TestIs(t *testing.T) {
	type marked struct{ Mark }
	if !Is(reflect.TypeFor[marked]()) || Is(reflect.TypeFor[receiver]()) {
		t.Error("only types with a Mark are the library's own")
	}
}
