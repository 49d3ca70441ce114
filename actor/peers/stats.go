package main

import "slices"

// stats are the median of some figures, the lowest and the highest.
type stats struct{ median, low, high float64 }

// statsOf returns the stats of xs, which is not empty and keeps its order.
func statsOf(xs []float64) stats {
	xs = slices.Sorted(slices.Values(xs))
	n := len(xs)
	return stats{median: (xs[(n-1)/2] + xs[n/2]) / 2, low: xs[0], high: xs[n-1]}
}

// ratios divides each of xs by that of base in the same round. Both have a figure for every round.
func ratios(xs, base []float64) []float64 {
	rs := make([]float64, len(xs))
	for i, x := range xs {
		rs[i] = x / base[i]
	}
	return rs
}
