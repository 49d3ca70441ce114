package actor

import "time"

// SetPatience shortens the times of the wall clock that a stop waits for a tasklet which holds the
// scheduler.
func SetPatience(d time.Duration) (restore func()) {
	h, l := hogPatience, lastWait
	hogPatience, lastWait = d, d
	return func() { hogPatience, lastWait = h, l }
}

// HeldAfter reports whether s counts as held by one tasklet, after checks with these times between
// them. One tasklet must hold the first scheduler of s.
func HeldAfter(s *System, limit time.Duration, gaps ...time.Duration) (held bool) {
	var k stuck
	now := time.Now()
	held = k.look(s.hosts[0], now, limit)
	for _, gap := range gaps {
		now = now.Add(gap)
		held = k.look(s.hosts[0], now, limit)
	}
	return held
}
