package supervisor

import (
	"time"

	"github.com/gotasklet/tasklet/internal/backoff"
)

// delay returns the pause before the restart of a child whose last n restarts were delayed. r is
// between 0 and 1. The pause is never longer than Max.
func (b Backoff) delay(n int, r float64) time.Duration {
	return backoff.Delay(b.Min, b.Max, b.Factor, b.Jitter, n, r)
}

// delay returns the backoff before the restart of ch that is due now, or 0.
func (c *core) delay(ch *child) time.Duration {
	b := c.s.spec.Backoff
	if b.Min == 0 {
		return 0
	}
	d := b.delay(ch.delays, c.draw())
	ch.delays++
	return d
}

// wasUp is called when an incarnation of ch has ended. If it was up for long enough, the row of
// failures ends. The time that a start takes does not count, whether it fails or not.
func (c *core) wasUp(ch *child) {
	b := c.s.spec.Backoff
	if ch.delays == 0 || ch.run == nil {
		return
	}
	till := ch.run.endedAt
	if till.IsZero() {
		till = c.now()
	}
	if till.Sub(ch.upAt) >= b.ResetAfter {
		ch.delays = 0
	}
}

// draw returns a number from 0 to 1. It comes from the system's seed if there is one, so that a run
// can be repeated.
func (c *core) draw() float64 {
	return backoff.Draw(c.t.System().Rand())
}
