package actor

import (
	"errors"
	"fmt"

	"github.com/gotasklet/tasklet/internal/core"
)

// Check returns an error that lists the invariants of s that do not hold between two steps, or nil.
// It is meant for tests, which may call it after each step. In builds with the tag tasklet_check it
// is called between any two activations, and a violation ends the system. In other builds it is not
// called, and costs nothing.
//
// Check examines the tree and its links, the phase, state and mailbox of each tasklet, the
// scheduler, and what extensions have added. It changes nothing, and its time grows with the
// number of tasklets and timers. It must be called inside a tasklet of s. In a system with several
// schedulers it examines the first one and the tasklets there, and must be called there.
//
// The invariants of tasklets are:
//
//   - Parents and children agree, and the list of children agrees in both directions. A tasklet
//     that has finished, or was detached, is not in the tree.
//   - The context is done if and only if the body has ended or the kill is hard. A tasklet that
//     runs deferred calls has no children.
//   - A ref belongs to the tasklet whose body runs with it, and to none when that has ended. No
//     tasklet reads the ref of an empty slot, and it is not dead.
//   - An idle receiver will be woken by a message. A tasklet without a stack that waits for
//     children has some. No tasklet waits for the end of one that has finished.
func (s *System) Check() error {
	_, err := s.hosts[0].check()
	return err
}

// extraChecks are the functions of Extension.Check. Written by init functions, then read-only.
var extraChecks []func(*System) error

// check is Check for one scheduler, and also returns the number of tasklets examined. It must be
// called on that scheduler.
func (h *host) check() (size int, err error) {
	s := h.sys
	c := checker{s: s, h: h}
	for _, top := range []*Tasklet{s.root, s.daemons} {
		if !top.HasFinished() || len(top.Children()) > 0 {
			c.family(top, nil)
		}
	}
	c.problem(h.sched.Check(func(yield func(*core.Task, bool) bool) {
		for _, t := range c.all {
			if !yield(&t.task, t.phase <= living) {
				return
			}
		}
	}))
	if len(s.hosts) == 1 { // otherwise no goroutine owns all of their books at one moment
		for _, f := range extraChecks {
			c.problem(f(s))
		}
	}
	return len(c.all), errors.Join(c.problems...)
}

// checker is the state of one check.
type checker struct {
	s        *System
	h        *host
	all      []*Tasklet // the tasklets that were examined and have arrived
	problems []error
}

func (c *checker) problem(err error) {
	if err != nil {
		c.problems = append(c.problems, err)
	}
}

func (c *checker) bad(t *Tasklet, what string, args ...any) {
	if len(c.problems) < 10 { // one fault has many consequences
		c.problems = append(c.problems, fmt.Errorf("actor: %s: "+what, append([]any{t.Path()}, args...)...))
	}
}

func (c *checker) family(t, parent *Tasklet) {
	children := c.children(t)
	// Otherwise t has not arrived yet, or belongs to another scheduler.
	if t.marks.Load()&markAway == 0 && t.host() == c.h {
		c.all = append(c.all, t)
		c.tasklet(t, parent, len(children))
	}
	for _, child := range children {
		c.family(child, t)
	}
}

// children returns the children of t, and checks the links among them.
func (c *checker) children(t *Tasklet) (all []*Tasklet) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	var prev *Tasklet
	for x := t.first; x != nil; prev, x = x, x.next {
		s := x.slot()
		switch {
		case x.prev != prev, x.parent != t, !x.linked, !x.vacant() && (x.num == 0 || x.num > t.started):
			c.problems = append(c.problems, fmt.Errorf("actor: the links of child %d of number %d are wrong", x.num, t.num))
			return all
		case s != nil && (s.parent != t || x.vacant() != (s.hole == x) || x.vacant() == (s.task == x) || s.state == slotRetired):
			c.problems = append(c.problems, fmt.Errorf("actor: the slot %s and its place among the children disagree", s.word))
		case x.vacant() && s.lineage != nil && (s.lineage.isDead() || s.lineage.current() != nil):
			c.problems = append(c.problems, fmt.Errorf("actor: the ref of an empty slot of number %d is dead, or somebody reads it", t.num))
		}
		if !x.vacant() {
			all = append(all, x)
		}
	}
	if t.last != prev {
		c.problems = append(c.problems, fmt.Errorf("actor: the last child of number %d is not the last of its list", t.num))
	}
	return all
}

func (c *checker) tasklet(t, parent *Tasklet, children int) {
	marks, state := t.marks.Load(), t.task.State()
	if r := wrongMark(marks); r != nil {
		c.bad(t, "its marks are %s; %s is set when %s", markNames(marks), r.name, r.when)
	}
	switch {
	case t.parent != parent:
		c.bad(t, "its parent is %v", t.parent)
	case t.phase == finished || marks&markFinished != 0 || state == core.Finished:
		c.bad(t, "has finished and is in the tree")
	case t.phase >= stopping && marks&markOver == 0:
		c.bad(t, "its body has ended and its context has not")
	case t.phase < stopping && marks&markOver != 0 && marks&markHard == 0:
		// Marks, and not Killed, because another scheduler may be hardening the kill at this
		// moment.
		c.bad(t, "its context has ended in phase %d without a hard kill", t.phase)
	case t.phase >= deferring && children > 0:
		c.bad(t, "has children in phase %d", t.phase)
	case children > 0 && marks&markParent == 0:
		c.bad(t, "has children and is not marked so")
	case marks&markLeaked != 0:
		c.bad(t, "was given up and is in the tree")
	case state == core.Idle && (t.phase == starting || t.phase == deferring || t.phase == stopping && children == 0 && len(c.s.hosts) == 1):
		c.bad(t, "is idle in phase %d with %d children: nobody will call it", t.phase, children)
	}
	if kind, on, _ := t.task.Waits(); (kind == core.InJoin || kind == core.InStop) && on != nil && on.Holder != nil {
		c.joins(t, taskletOf(on.Holder))
	}
	if x := t.ex.Load(); x != nil {
		if !x.owned.Sound() {
			c.bad(t, "the links of what it owns are wrong")
		}
	}
	if l, ok := t.inst.lineage().(interface{ check(*Tasklet) error }); ok {
		if err := l.check(t); err != nil {
			c.bad(t, "%w", err)
		}
	}
}

// joins checks that t does not wait for the end of target if target has finished.
func (c *checker) joins(t, target *Tasklet) {
	if !target.HasFinished() || !t.near(target) { // the report of the end may be at the door
		return
	}
	for w := target.joiners.First(); w != nil; w = w.Next() {
		if w.Task() == &t.task {
			c.bad(t, "waits for the end of %s, which has finished", target.Path())
		}
	}
}

// awaitsOther reports whether something else than a message will wake t: the timer of a machine, or
// room on another node.
func (t *Tasklet) awaitsOther() bool {
	i, ok := t.inst.(interface{ awaitsOther() bool })
	return ok && i.awaitsOther()
}

// check examines the ref of t.
func (l *lineage[M]) check(t *Tasklet) error {
	_, waits := inner(t.inst).(interface{ waitsFirst() })
	switch {
	case t.phase < stopping && l.current() != t:
		return fmt.Errorf("its ref is %v's", l.current())
	case t.phase >= stopping && l.current() == t && !l.isDead():
		return errors.New("its body has ended and its ref has not")
	case t.phase == living && waits && t.task.State() == core.Idle && !l.box.Awaited() && !t.awaitsOther():
		return fmt.Errorf("is idle with %d messages, and no message will wake it", l.box.Len())
	}
	return l.box.Check()
}
