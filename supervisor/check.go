package supervisor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gotasklet/tasklet/actor"
)

func init() { extension.Check(checkSystem) }

// checkSystem is the part of actor.System.Check for supervisors and pools. It examines the books of
// those that are at rest; during a start, a stop or a restart they are not balanced.
func checkSystem(s *actor.System, _ *handles) error {
	var errs []error
	look := func(top *actor.Tasklet) {
		for t := range top.Tree() {
			h := handleOf(t)
			if h == nil || t != h.Tasklet() {
				continue
			}
			if g := t.Glance(); g.State == "idle" && g.Mailbox.Len == 0 {
				if err := h.check(); err != nil {
					errs = append(errs, fmt.Errorf("supervisor: %s: %w", t.Path(), err))
				}
			}
		}
	}
	look(s.Root())
	for _, d := range s.Daemons() {
		look(d)
	}
	return errors.Join(errs...)
}

// check returns an error if the books of a supervisor at rest are inconsistent. It must be called
// on its scheduler. The following holds:
//
//   - A child is running with a tasklet, which has not finished and is in the tree, in the order of
//     the children; or it is restarting with a restart that is due; or it is stopped.
//   - The lists and maps have the same children, and the counts are right.
//   - The slots of its tasklet are those of the children, in order. Only stopped children are held.
func (s *Supervisor) check() error {
	c := s.view.core
	if c == nil {
		return nil
	}
	bad := func(format string, args ...any) error { return fmt.Errorf("books: "+format, args...) }
	n, up, significant, held := 0, 0, 0, 0
	if !c.children.Sound() {
		return bad("links of the children")
	}
	var slots []*actor.Slot
	for ch := range c.children.All() {
		n++
		switch {
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
		case ch.slot.Tasklet() != ch.task:
			return bad("%s has %v in its slot and %v in the books", ch.spec.ID, ch.slot.Tasklet(), ch.task)
		case ch.held && ch.state != Stopped:
			return bad("%s is held and %v", ch.spec.ID, ch.state)
		case ch.timer == nil && !ch.until.IsZero():
			return bad("%s waits without a timer", ch.spec.ID)
		}
		slots = append(slots, ch.slot)
		if ch.task != nil {
			up++
		}
		if ch.spec.Significant && ch.state != Stopped {
			significant++
		}
		if ch.held {
			held++
		}
	}
	var places []*actor.Slot
	for slot, task := range c.t.Places() {
		if slot == nil {
			return bad("tree has %v, which is in no slot", task)
		}
		places = append(places, slot)
	}
	switch {
	case n != c.n, s.pool == nil && n != len(c.byID):
		return bad("%d children, n %d, byID %d", n, c.n, len(c.byID))
	case significant != c.significant:
		return bad("%d significant, counted %d", significant, c.significant)
	case held != c.held:
		return bad("%d held, counted %d", held, c.held)
	case !slices.Equal(slots, places):
		return bad("the tree has %d slots in another order than the %d of the list", len(places), n)
	case s.pool != nil && up != len(c.byTask):
		return bad("%d tasklets, byTask %d", up, len(c.byTask))
	}
	return nil
}
