package work

import (
	"reflect"
	"strings"
	"testing"
	"testing/quick"
)

func TestTheTenWorkloads(t *testing.T) {
	var ten []string
	seen := map[string]bool{}
	for _, w := range Workloads {
		if seen[w.Name] {
			t.Errorf("%s is there twice", w.Name)
		}
		seen[w.Name] = true
		if !w.Grows() {
			ten = append(ten, w.Name)
		}
		if w.Grows() != (w.Bound != "") {
			t.Errorf("%s: a bound belongs to a workload that grows, and to no other", w.Name)
		}
	}
	want := "ping-pong counting ring big fork-join idle call teardown restart fan-in"
	if got := strings.Join(ten, " "); got != want {
		t.Errorf("the comparison has %s, want %s", got, want)
	}
}

// Every workload that can be asked for has whole steps, whatever its share of the work.
func TestScaledProperties(t *testing.T) {
	property := func(drawn uint16) bool {
		share := (float64(drawn) + 1) / (1 << 16)
		for _, w := range Workloads {
			for _, size := range w.Sizes {
				p, q := size.Params, size.Scaled(share)
				step := max(1, p.Step)
				exact := share * float64(p.Operations)
				if q.Operations%step != 0 || q.Warmup%step != 0 || q.Actors != p.Actors ||
					float64(q.Operations) > max(exact, float64(step)) || float64(q.Operations) < exact-float64(step) ||
					(q.Warmup == 0) != p.Cold || q.Warmup > max(step, q.Operations/10) {
					t.Logf("%s: %+v of %+v", w.Name, q, p)
					return false
				}
			}
		}
		return true
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
	for _, w := range Workloads {
		for _, size := range w.Sizes {
			if size.Operations != size.Scaled(1).Operations {
				t.Errorf("%s: %d operations are no whole steps of %d", w.Name, size.Operations, size.Step)
			}
		}
	}
}

func TestArgumentsAreParsedBack(t *testing.T) {
	property := func(actors, operations, warmup, schedulers, busy uint16) bool {
		p := Params{
			Actors: int(actors), Operations: int(operations), Warmup: int(warmup), Schedulers: int(schedulers), Busy: int(busy),
		}
		name, got, err := parse(Arguments("ring", p))
		return err == nil && name == "ring" && reflect.DeepEqual(got, p)
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range []string{"", "ring", "ring 1 2 3 4", "ring 1 2 3 4 5 6", "ring 1 x 3 4 5", "ring 1 2 3 4 -5"} {
		if name, _, err := parse(strings.Fields(args)); err == nil || name != "" {
			t.Errorf("%q gave no error", args)
		}
	}
}

// A walk by the stride visits every place.
func TestStrideVisitsAll(t *testing.T) {
	for n := 1; n <= 300; n++ {
		seen := make([]bool, n)
		for i, at := 0, 0; i < n; i, at = i+1, (at+Stride(n))%n {
			if seen[at] {
				t.Fatalf("stride %d of %d is back at %d too early", Stride(n), n, at)
			}
			seen[at] = true
		}
	}
}

// Each place is drawn about as often as the others.
func TestDrawIsEven(t *testing.T) {
	for _, n := range []int{2, 64, 120} {
		counts := make([]int, n)
		state, place := 1, 0
		for range 1000 * n {
			state, place = Draw(state, n)
			counts[place]++
		}
		for i, c := range counts {
			if c < 800 || c > 1200 {
				t.Errorf("of %d, %d was drawn %d times of %d", n, i, c, 1000*n)
			}
		}
	}
}

// The low bits of such a generator go round in a short circle, which must not be where the messages
// go.
func TestDrawDoesNotGoRound(t *testing.T) {
	const n = 64
	state, same := 1, 0
	var places [2 * n]int
	for i := range places {
		state, places[i] = Draw(state, n)
		if i >= n && places[i] == places[i-n] {
			same++
		}
	}
	if same > n/4 {
		t.Errorf("%d of %d draws were those of the round before", same, n)
	}
}

func TestUnknownWorkload(t *testing.T) {
	if _, err := (Peer{Name: "p"}).Run("nope", Params{}); err == nil || err.Error() != `p has no workload "nope"` {
		t.Error(err)
	}
}

// The warm-up comes first, unmeasured; what is measured is what happens between Start and Stop.
func TestRun(t *testing.T) {
	var asked []int
	p := Peer{Name: "p", Do: map[string]Func{"w": func(m *Meter, p Params) int {
		asked = append(asked, p.Operations)
		_ = make([]byte, 1<<20)
		kept = nil
		m.Start()
		kept = make([]byte, 4<<20)
		m.Stop()
		_ = make([]byte, 1<<20)
		return p.Operations
	}}}
	r, err := p.Run("w", Params{Operations: 10, Warmup: 2})
	if err != nil || !reflect.DeepEqual(asked, []int{2, 10}) || r.Done != 10 || r.NS <= 0 || r.Allocs < 1 || r.Allocs > 100 {
		t.Errorf("%+v, %v, asked for %v", r, err, asked)
	}
	if !strings.HasPrefix(r.Version, "go") {
		t.Errorf("version %q", r.Version)
	}
	asked = nil
	r, err = p.Run("w", Params{Operations: 10})
	if err != nil || len(asked) != 1 || r.Bytes < 3<<20 || r.Bytes > 5<<20 {
		t.Errorf("%+v, %v, asked for %v", r, err, asked)
	}
}

var kept []byte
