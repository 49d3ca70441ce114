package supervisor

import (
	"math"
	"math/rand/v2"
	"time"
)

// delay is how long the restart of a child waits that was put off n times in a row before; r is between 0 and 1.
func (b Backoff) delay(n int, r float64) time.Duration {
	d := min(float64(b.Min)*math.Pow(b.Factor, float64(n)), float64(b.Max))
	return time.Duration(d * (1 - b.Jitter*r))
}

// delay is the backoff before the restart of ch that is due now; 0: none.
func (c *core) delay(ch *child) time.Duration {
	b := c.s.spec.Backoff
	if b.Min == 0 {
		return 0
	}
	now := c.now()
	if now.Sub(ch.delayedAt) > b.ResetAfter {
		ch.delays = 0
	}
	d := b.delay(ch.delays, c.draw())
	ch.delays++
	ch.delayedAt = now.Add(d)
	return d
}

// draw gives a number from 0 to 1: from the system's seed if it has one, so that a run can be repeated.
func (c *core) draw() float64 {
	if r := c.t.System().Rand(); r != nil {
		return r.Float64()
	}
	return rand.Float64()
}
