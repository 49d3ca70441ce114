package actor

import (
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/vitals"
)

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
	vitals.KindOf = func(t any) string { return t.(*Tasklet).kindName() }
	vitals.Supervised = func(t any) bool { return t.(*Tasklet).supervised }
	vitals.Observe = func(s any, f func(record any, level int8)) func() { return s.(*System).events.observe(f) }
	vitals.DetailsOf = func(t any) vitals.Details { return t.(*Tasklet).details() }
	vitals.StackOf = func(t any) []byte { return t.(*Tasklet).stackNow() }
}

// details returns what is known of t besides its Info. It may be called from any goroutine.
func (t *Tasklet) details() vitals.Details {
	d := vitals.Details{
		OnFailure: [...]string{Resume: "resume", End: "end", Escalate: "escalate"}[t.onFailure],
		Shutdown:  t.shutdown(), Daemon: t.parent == t.sys.daemons && t.parent != nil, Supervised: t.supervised,
	}
	if l := t.inst.lineage(); l != nil {
		d.Overflow = l.overflow().String()
	}
	x := t.ex.Load()
	if x == nil {
		return d
	}
	x.mu.Lock()
	var by []*Tasklet
	if x.followers != nil {
		for w := range x.followers.watchers.All() {
			if d.Watched++; d.Watched <= vitals.MaxWatchers {
				if w.t != nil {
					by = append(by, w.t)
				}
			}
		}
	}
	x.mu.Unlock()
	for _, w := range by {
		d.Watchers = append(d.Watchers, w.Path())
	}
	return d
}

// stackNow returns the stack of t if it is running. It may be called from any goroutine.
func (t *Tasklet) stackNow() []byte {
	s := t.task.Scheduler()
	if t.task.Glance().State != core.Running {
		return nil
	}
	if id, _ := s.Busy(); id != t.task.ID() {
		return nil
	}
	stack := s.Hog()
	if id, _ := s.Busy(); id != t.task.ID() {
		return nil // another tasklet may have been running when the stack was taken
	}
	return stack
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
