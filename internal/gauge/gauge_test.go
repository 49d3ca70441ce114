package gauge

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each time is in the bucket between two limits, and the limits are at most half as large again as
// the times.
func TestBuckets(t *testing.T) {
	times := []int64{0, 1, 63, 64, 65, 95, 96, 97, 127, 128, 1<<39 - 1, 1 << 39, 1<<40 - 1, 1 << 40, math.MaxInt64}
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		times = append(times, r.Int64()>>r.IntN(63))
	}
	for _, ns := range times {
		i := Bucket(ns)
		require.Less(t, i, Buckets)
		if i < Buckets-1 {
			require.Less(t, ns, Limit(i), "%d", ns)
		}
		if i > 0 {
			require.GreaterOrEqual(t, ns, Limit(i-1), "%d", ns)
		}
		if 0 < i && i < Buckets-1 {
			require.LessOrEqual(t, float64(Limit(i)), 1.5*float64(Limit(i-1)), "%d", i)
		}
	}
}

// run makes the calls that next returns the times of, and returns the true numbers.
func run(m *Meter, n int, next func(i int) int64) (sum int64, slow uint64) {
	for i := range n {
		ns := next(i)
		sum += ns
		if ns >= 1_000_000 {
			slow++
		}
		if m.Left--; m.Left == 0 {
			m.Done(ns)
		}
	}
	return sum, slow
}

// Whatever the pattern of the calls is, also a periodic one, the sums are about right, and the
// number of calls is exact.
func TestMeterSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for name, next := range map[string]func(i int) int64{
		"fast":       func(int) int64 { return 20 },
		"slow":       func(int) int64 { return 5_000_000 },
		"random":     func(int) int64 { return r.Int64N(2000) },
		"period 64":  func(i int) int64 { return int64(i%64/63) * 3_000_000 },
		"period 128": func(i int) int64 { return 30 + int64(i%128/127)*2_000_000 },
		"seldom":     func(int) int64 { return 30 + int64(r.IntN(100)/99)*2_000_000 },
		"phases":     func(i int) int64 { return 30 + int64(i/5000%2)*1500 },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 4_000_000
			var m Meter
			m.Init(7, false)
			sum, slow := run(&m, n, next)
			var h Histogram
			require.EqualValues(t, n, m.Read(&h))
			var count, slowSeen uint64
			for i, c := range h.Counts {
				count += c
				if Limit(i) > 1_000_000 {
					slowSeen += c
				}
			}
			require.InDelta(t, n, count, maxBlock)
			require.InEpsilon(t, float64(sum), float64(h.Sum), 0.15)
			if slow > 0 {
				require.InEpsilon(t, float64(slow), float64(slowSeen), 0.15)
			} else {
				require.Zero(t, slowSeen)
			}
		})
	}
}

// An exact meter is right to the nanosecond.
func TestMeterExact(t *testing.T) {
	var m Meter
	m.Init(0, true)
	sum, _ := run(&m, 1000, func(i int) int64 { return int64(i) })
	var h Histogram
	require.EqualValues(t, 1000, m.Read(&h))
	require.Equal(t, sum, h.Sum)
	require.EqualValues(t, 999, h.Max)
	require.Zero(t, m.Open())
}

// The cost of measuring is small: blocks take at least about 4 us, or have 64 calls.
func TestBlockFor(t *testing.T) {
	for ns, want := range map[int64]uint32{0: 64, 20: 64, 124: 64, 125: 32, 500: 8, 3999: 2, 4000: 1, math.MaxInt64: 1} {
		require.Equal(t, want, blockFor(ns, maxBlock), "%d", ns)
	}
}
