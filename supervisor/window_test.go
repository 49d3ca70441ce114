package supervisor

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The window against the list of all times. OTP's rule: "if more than Intensity restarts occur
// within Period"; one that is exactly Period old still counts.
func TestWindowAgainstTheListOfTimes(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := window{intensity: r.IntN(6), period: time.Duration(1 + r.IntN(10))}
		now := time.Unix(0, 0)
		var all []time.Time
		count := func() (n int) {
			for _, at := range all {
				if now.Sub(at) <= w.period {
					n++
				}
			}
			return n
		}
		for range 60 {
			now = now.Add(time.Duration(r.IntN(2 + r.IntN(12))))
			if got, want := w.count(now), count(); got != want {
				t.Fatalf("seed %d: %d restarts count, want %d", seed, got, want)
			}
			if r.IntN(3) == 0 {
				continue
			}
			all = append(all, now)
			if got, want := w.add(now), count() <= w.intensity; got != want {
				t.Fatalf("seed %d: allowed %v, want %v", seed, got, want)
			}
		}
	}
}

// What is old is forgotten: the memory is that of one period.
func TestWindowForgets(t *testing.T) {
	w := window{intensity: 1 << 30, period: time.Second}
	now := time.Unix(0, 0)
	for range 100_000 {
		now = now.Add(100 * time.Millisecond)
		w.add(now)
	}
	if len(w.times) != 11 || cap(w.times) > 100 {
		t.Errorf("%d times, room for %d", len(w.times), cap(w.times))
	}
	if n := testing.AllocsPerRun(1000, func() { now = now.Add(100 * time.Millisecond); w.add(now) }); n > 0.2 {
		t.Errorf("%v allocations a restart", n)
	}
}
