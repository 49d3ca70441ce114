package actor

import "time"

// SetPatience shortens the times of the wall clock that a stop waits for a tasklet which holds the
// scheduler.
func SetPatience(d time.Duration) (restore func()) {
	h, l := hogPatience, lastWait
	hogPatience, lastWait = d, d
	return func() { hogPatience, lastWait = h, l }
}
