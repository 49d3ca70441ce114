package between

import (
	"fmt"
	"slices"
)

// Median returns the median.
func Median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// Spread returns the median with the lowest and the highest as text.
func Spread(x []float64) string {
	return fmt.Sprintf("%.2f (%.2f to %.2f)", Median(x), slices.Min(x), slices.Max(x))
}
