package supervisor

import (
	"fmt"
	"slices"

	"github.com/gotasklet/tasklet/actor"
)

// Check reports what is wrong with the books of a supervisor at rest. On its scheduler.
func (s *Supervisor) Check() error {
	c := s.view.core
	if c == nil {
		return nil
	}
	bad := func(format string, args ...any) error { return fmt.Errorf("books: "+format, args...) }
	n, significant, held := 0, 0, 0
	var prev, prevUp *child
	var tasks []*actor.Tasklet
	refs := map[any]bool{}
	for ch := c.first; ch != nil; prev, ch = ch, ch.next {
		n++
		switch {
		case ch.prev != prev:
			return bad("prev of %s", ch.spec.ID)
		case s.pool == nil && c.byID[ch.spec.ID] != ch:
			return bad("byID of %s", ch.spec.ID)
		case (ch.state == Running) != (ch.task != nil):
			return bad("%s is %v with tasklet %v", ch.spec.ID, ch.state, ch.task)
		case (ch.state == Running) != (ch.run != nil):
			return bad("%s is %v with run %v", ch.spec.ID, ch.state, ch.run)
		case (ch.state == Restarting) != (ch.again != nil):
			return bad("%s is %v with again %v", ch.spec.ID, ch.state, ch.again)
		case ch.task != nil && ch.task.HasFinished():
			return bad("tasklet of %s has finished", ch.spec.ID)
		case ch.isUp != (ch.task != nil):
			return bad("%s is up: %v", ch.spec.ID, ch.isUp)
		case ch.held && ch.state != Stopped:
			return bad("%s is held and %v", ch.spec.ID, ch.state)
		case ch.timer == nil && !ch.until.IsZero():
			return bad("%s waits without a timer", ch.spec.ID)
		}
		if ch.isUp {
			if ch.prevUp != prevUp {
				return bad("prevUp of %s", ch.spec.ID)
			}
			prevUp = ch
			tasks = append(tasks, ch.task)
		}
		if ch.spec.Significant && ch.state != Stopped {
			significant++
		}
		if ch.held {
			held++
		}
		if ch.ref != nil {
			refs[ch.ref] = true
			if c.byRef[ch.ref] != ch {
				return bad("byRef of %s", ch.spec.ID)
			}
		}
		_, state := actor.RefOf(ch.spec.Body)
		if want := map[State]actor.RefState{Running: actor.RefRunning, Restarting: actor.RefFree, Stopped: actor.RefFree}[ch.state]; state != actor.NoRef && state != want {
			return bad("ref of %s, which is %v: %v", ch.spec.ID, ch.state, state)
		}
	}
	switch {
	case c.tail != prev, c.lastUp != prevUp:
		return bad("last of a list")
	case n != c.n, s.pool == nil && n != len(c.byID), len(refs) != len(c.byRef):
		return bad("%d children, n %d, byID %d, refs %d, byRef %d", n, c.n, len(c.byID), len(refs), len(c.byRef))
	case significant != c.significant:
		return bad("%d significant, counted %d", significant, c.significant)
	case held != c.held:
		return bad("%d held, counted %d", held, c.held)
	case s.pool == nil && !slices.Equal(tasks, c.t.Children()):
		return bad("tree has %v, list %v", c.t.Children(), tasks)
	case s.pool != nil && len(tasks) != len(c.byTask):
		return bad("%d tasklets, byTask %d", len(tasks), len(c.byTask))
	}
	return nil
}

// Check is that of the supervisor inside.
func (p *Pool[A]) Check() error { return p.s.Check() }
