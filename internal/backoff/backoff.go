// Package backoff computes the pauses between attempts: each is a factor longer than the one
// before, up to a limit, and a share of it is drawn by chance.
package backoff

import (
	"math"
	"math/rand/v2"
	"time"
)

// Delay returns the pause after n earlier pauses. r is a number from 0 to 1 that was drawn: the
// pause is shorter by the share jitter*r. It is never longer than longest.
func Delay(shortest, longest time.Duration, factor, jitter float64, n int, r float64) time.Duration {
	d := min(float64(shortest)*math.Pow(factor, float64(n)), float64(longest)) * (1 - jitter*r)
	if d >= float64(longest) { // d may have been rounded up to a value that is no time.Duration
		return longest
	}
	return time.Duration(d)
}

// Draw returns a number from 0 to 1. It draws the number from r, the generator of a system with a
// seed, unless r is nil.
func Draw(r *rand.Rand) float64 {
	if r != nil {
		return r.Float64()
	}
	return rand.Float64()
}
