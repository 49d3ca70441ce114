package main

import (
	"math"
	"slices"
	"testing"
	"testing/quick"
)

// figures makes some figures above 0 out of what testing/quick draws.
func figures(drawn []uint16) []float64 {
	xs := []float64{7}
	for _, d := range drawn {
		xs = append(xs, float64(d%1000)+1)
	}
	return xs
}

// The median is the figure with as many at or below as at or above it; the obvious way to see that
// is to count.
func TestStatsProperties(t *testing.T) {
	property := func(drawn []uint16, turn uint8) bool {
		xs := figures(drawn)
		before := slices.Clone(xs)
		s := statsOf(xs)
		below, above := 0, 0
		for _, x := range xs {
			if x < s.low || x > s.high {
				return false
			}
			if x <= s.median {
				below++
			}
			if x >= s.median {
				above++
			}
		}
		half := len(xs) / 2
		// The same figures in another order have the same stats.
		n := int(turn) % len(xs)
		turned := append(slices.Clone(xs[n:]), xs[:n]...)
		return below >= half && above >= half && slices.Contains(xs, s.low) && slices.Contains(xs, s.high) &&
			(len(xs)%2 == 0 || slices.Contains(xs, s.median)) && slices.Equal(xs, before) && statsOf(turned) == s
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestStatsOfKnownFigures(t *testing.T) {
	for _, c := range []struct {
		xs   []float64
		want stats
	}{
		{[]float64{3}, stats{3, 3, 3}},
		{[]float64{4, 1}, stats{2.5, 1, 4}},
		{[]float64{9, 1, 2}, stats{2, 1, 9}},
		{[]float64{9, 1, 2, 4}, stats{3, 1, 9}},
	} {
		if got := statsOf(c.xs); got != c.want {
			t.Errorf("%v: %v, want %v", c.xs, got, c.want)
		}
	}
}

// A drift that slows both sides of a round down leaves the ratios as they are; and a ratio times
// its base is the figure.
func TestRatiosProperties(t *testing.T) {
	property := func(drawn []uint16, seed uint8) bool {
		xs := figures(drawn)
		base := make([]float64, len(xs))
		slow := make([]float64, len(xs))
		slowBase := make([]float64, len(xs))
		for i := range xs {
			base[i] = float64((i*37+int(seed))%91) + 1
			drift := float64(int(1) << (i % 5))
			slow[i], slowBase[i] = xs[i]*drift, base[i]*drift
		}
		rs := ratios(xs, base)
		for i := range xs {
			if math.Abs(rs[i]*base[i]-xs[i]) > 1e-9*xs[i] {
				return false
			}
		}
		return slices.Equal(rs, ratios(slow, slowBase)) && len(rs) == len(xs)
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}
