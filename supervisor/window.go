package supervisor

import "time"

// window counts the restarts within the last period, as supervisor:add_restart of OTP does: "if
// more than Intensity restarts occur within Period". One for each supervisor. A restart that is
// exactly period old still counts.
type window struct {
	intensity int // Unlimited: nothing is counted
	period    time.Duration
	times     []time.Time // of the last restarts, oldest first; at most intensity+1
}

// add counts a restart at now, and reports whether it is allowed.
func (w *window) add(now time.Time) bool {
	if w.intensity == Unlimited {
		return true
	}
	w.times = append(w.times[w.old(now):], now)
	return len(w.times) <= w.intensity
}

// count is the number of restarts that count at now. It changes nothing.
func (w *window) count(now time.Time) int { return len(w.times) - w.old(now) }

// old is the number of times that count no longer.
func (w *window) old(now time.Time) int {
	old := 0
	for old < len(w.times) && now.Sub(w.times[old]) > w.period {
		old++
	}
	return old
}
