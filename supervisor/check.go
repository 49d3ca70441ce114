package supervisor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gotasklet/tasklet/actor"
)

func init() { actor.RegisterCheck(checkSystem) }

// checkSystem is the part of actor.System.Check that looks at supervisors and pools: the books of
// those that are at rest. In the midst of a start, a stop or a restart they are not balanced.
func checkSystem(s *actor.System) error {
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

// check reports what is wrong with the books of a supervisor at rest. On its scheduler. What holds:
//
//   - A child is running with a tasklet, which has not finished and is in the tree, in the order of
//     the children; restarting with a restart that is due; or stopped.
//   - The lists and maps have the same children, and the counts are right.
//   - A ref is read if and only if its child runs. Held is only who is stopped.
func (s *Supervisor) check() error {
	c := s.view.core
	if c == nil {
		return nil
	}
	bad := func(format string, args ...any) error { return fmt.Errorf("books: "+format, args...) }
	n, up, significant, held := 0, 0, 0, 0
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
			up++
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
		runs := ch.task != nil && ch.task.Err() == nil // else it waits for its own children
		// A body of a stopped child may be started elsewhere: misuse of its author, which the next
		// start here finds. See core.ours.
		elsewhere := ch.state == Stopped && !ch.held && state == actor.RefRunning
		if state != actor.NoRef && (state == actor.RefRunning) != runs && !elsewhere || state == actor.RefDead {
			return bad("ref of %s, which is %v: %v", ch.spec.ID, ch.state, state)
		}
	}
	// A pool's list has no order.
	for ch := c.firstUp; ch != nil; prevUp, ch = ch, ch.nextUp {
		if !ch.isUp || ch.prevUp != prevUp {
			return bad("prevUp of %s", ch.spec.ID)
		}
		tasks = append(tasks, ch.task)
	}
	switch {
	case c.tail != prev, c.lastUp != prevUp, len(tasks) != up:
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
