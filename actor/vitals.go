package actor

import "github.com/gotasklet/tasklet/internal/vitals"

func init() {
	vitals.PhaseOf = func(s any) vitals.Phase { return s.(*System).vitalPhase() }
	vitals.BusyOf = func(s any, n int) vitals.Busy { return s.(*System).hosts[n].vitals() }
	vitals.PathOf = func(s any, task uint64) string {
		if t := s.(*System).findID(task); t != nil {
			return t.Path()
		}
		return ""
	}
	vitals.Starting = func(t any) bool { return t.(*Tasklet).startsNow() }
	vitals.Parent = func(t any) bool { return t.(*Tasklet).marks.Load()&markParent != 0 }
	vitals.Ending = func(t any) bool { return t.(*Tasklet).endsNow() }
	vitals.Supervised = func(t any) bool { return t.(*Tasklet).supervised }
}

// vitalPhase returns how far s has come.
func (s *System) vitalPhase() vitals.Phase {
	select {
	case <-s.done:
		return vitals.Stopped
	default:
	}
	select {
	case <-s.stopping:
		return vitals.Stopping
	default:
	}
	if s.root.marks.Load()&markDraining != 0 {
		return vitals.Draining
	}
	return vitals.Running
}

// vitals returns what the scheduler of h does.
func (h *host) vitals() vitals.Busy {
	if h.ended() {
		return vitals.Busy{}
	}
	id, word := h.sched.Busy()
	b := vitals.Busy{Task: id, Word: word}
	if stalled, d := h.sched.Stalled(); stalled == id && id != 0 {
		b.Stalled = d
	}
	return b
}

// startsNow reports whether the init or the OnStart functions of t are not done yet.
func (t *Tasklet) startsNow() bool {
	return t.startsSlowly() && t.marks.Load()&(markStarted|markFinished) == 0
}

// endsNow reports whether t was killed or is certain to end, and has not finished.
func (t *Tasklet) endsNow() bool {
	killed, _ := t.task.Killed()
	return (killed || t.marks.Load()&markOver != 0) && !t.HasFinished()
}
