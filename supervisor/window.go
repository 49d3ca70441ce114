package supervisor

import "time"

// window counts the restarts within the last period, as supervisor:add_restart of OTP does: "if
// more than Intensity restarts occur within Period". Each supervisor has one. A restart that is
// exactly period old still counts.
type window struct {
	intensity int // nothing is counted if it is Unlimited
	period    time.Duration
	times     []time.Time // of the last restarts, oldest first; at most intensity+1
}

// add counts a restart at now, and reports whether it is allowed.
func (w *window) add(now time.Time) bool {
	if w.intensity == Unlimited {
		return true
	}
	old := w.old(now)
	if old == len(w.times) {
		w.times = w.times[:0] // and so in the same place
	} else {
		w.times = w.times[old:]
	}
	w.times = append(w.times, now)
	return len(w.times) <= w.intensity
}

// count returns the number of restarts that count at now. It changes nothing.
func (w *window) count(now time.Time) int { return len(w.times) - w.old(now) }

// old returns the number of times that no longer count.
func (w *window) old(now time.Time) int {
	old := 0
	for old < len(w.times) && now.Sub(w.times[old]) > w.period {
		old++
	}
	return old
}
