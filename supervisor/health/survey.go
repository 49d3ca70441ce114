package health

import (
	"fmt"
	"slices"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/vitals"
	_ "github.com/gotasklet/tasklet/supervisor/tree" // sets vitals.GivenUp
)

// survey is the result of the last walk over a tree. The handler's mutex protects it.
type survey struct {
	problems []problem
	more     int
	until    time.Time // the result is used until then, by the clock of the system
	walks    int       // for tests

	// downs has the children that are down, by their slots, and supervisors that start in no slot.
	// So the grace time of a child that runs for moments only does not begin anew with each of
	// them.
	downs map[any]down
	// complete says that everything has been running at least once.
	complete bool
}

// maxDowns is the largest number of entries of survey.downs. Others are measured from their last
// end only.
const maxDowns = 1 << 14

// renew surveys sys again if the last result is too old.
func (s *survey) renew(sys *actor.System, grace time.Duration, rows int) {
	now := sys.Now()
	if now.Before(s.until) {
		return
	}
	w := walk{now: now, grace: grace, rows: rows, before: s.downs, downs: make(map[any]down)}
	if !s.complete {
		w.grace = 0
	}
	w.gone(sys)
	w.look(sys)
	if len(w.problems) == 0 {
		s.complete = true
	}
	s.problems, s.more, s.downs = w.problems, w.more, w.downs
	s.walks++
	end := sys.Now()
	s.until = end.Add(max(fresh, share*end.Sub(now)))
}

// walk is one walk over a tree.
type walk struct {
	now           time.Time
	grace         time.Duration
	rows          int // the largest number of problems
	problems      []problem
	more          int          // the number of problems without room
	before, downs map[any]down // survey.downs, before and after the walk
}

// report adds a problem. It calls path only if there is room.
func (w *walk) report(path func() string, format string, args ...any) {
	if len(w.problems) == w.rows {
		w.more++
		return
	}
	w.problems = append(w.problems, problem{clean(path()), fmt.Sprintf(format, args...)})
}

// gone reports the supervisors that have given up and that nothing starts again.
func (w *walk) gone(sys *actor.System) {
	paths, more := vitals.GivenUp(sys)
	for _, path := range paths {
		w.report(func() string { return path }, "has given up")
	}
	w.more += more
}

// look walks over the tree, parents before children and children in order of start. It is a loop,
// because a tree may be deeper than a stack.
func (w *walk) look(sys *actor.System) {
	left := []*actor.Tasklet{sys.Root()} // the last is the next
	left = append(left, sys.Daemons()...)
	for len(left) > 0 {
		t := left[len(left)-1]
		left = left[:len(left)-1]
		below, slots := len(left), false
		for slot, child := range t.Places() {
			if slot != nil {
				if !slots && !vitals.Supervised(t) && vitals.Starting(t) {
					w.late(t, w.now, t.Path, "starting")
				}
				slots = true
				g := slot.Glance()
				w.judge(slot, g)
				child = g.Tasklet
			}
			if child != nil && vitals.Parent(child) {
				left = append(left, child)
			}
		}
		slices.Reverse(left[below:])
	}
}

// judge reports the child in a slot if it should run and does not.
func (w *walk) judge(slot *actor.Slot, g actor.SlotGlance) {
	path := func() string {
		if g.Tasklet != nil {
			return g.Tasklet.Path()
		}
		return slot.Info().Path
	}
	switch g.State {
	case "restarting", "ended":
		w.late(slot, g.LastAt, path, "restarting")
	case "starting":
		w.late(slot, w.now, path, "starting")
	case "running":
		if vitals.Ending(g.Tasklet) {
			w.late(slot, w.now.Add(-g.Tasklet.Glance().KilledFor), path, "ending")
		} else if down, ok := w.before[slot]; ok {
			if down.up.IsZero() {
				down.up = w.now
			}
			if w.now.Sub(down.up) < w.grace {
				w.keep(slot, down)
			}
		}
	}
}

// late reports what has not been running since at, or for longer than that, if the grace is over.
func (w *walk) late(key any, at time.Time, path func() string, what string) {
	if before, ok := w.before[key]; ok && before.since.Before(at) {
		at = before.since
	}
	w.keep(key, down{since: at})
	if d := w.now.Sub(at); d >= w.grace {
		w.report(path, "%s for %v", what, round(max(0, d)))
	}
}

// keep keeps d for the next walk.
func (w *walk) keep(key any, d down) {
	if len(w.downs) < maxDowns {
		w.downs[key] = d
	}
}

// down is a child that is not running, or has not been running for as long as the grace time since.
type down struct {
	since time.Time // when it was not running first
	up    time.Time // when it was seen running again first; zero if it is not running
}
