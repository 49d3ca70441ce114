package actor

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// Drain ends t when it has done its work, then ends its children in the same way, and waits for
// that. It returns what [Tasklet.Join] returns if t ends in time, and nil if t has finished before
// the call.
//
// The order is that of a stop: first the body, then the children, the newest first and one after
// the other, and then the deferred calls. When a body ends depends on the body:
//
//   - A receiver and a reader are closed, as by [Ref.Close]. They handle the queued messages and no
//     others.
//   - A body that is called repeatedly ends after the current call. A body of Later is not called
//     any more.
//   - A body of Go or New ends by itself. [Tasklet.OnDrain] can tell it that it should.
//   - A supervisor drains its children while it runs, and ends after them. Until then it restarts
//     children that fail and still have messages.
//
// If ctx ends first, Drain kills t with its subtree and does not wait for that. It returns a
// *[DrainError] that names the work that was not done, joined with ErrTimeout or the cause of ctx.
// The same happens, with a *[DeadlockError], if the wait would be a deadlock because t waits for
// the caller. Of several calls of Drain the one whose context ends first kills t. If the calling
// tasklet is killed while it waits, the drain continues without a limit.
//
// A [Tasklet.Kill] during a drain ends only the body, and the children still drain. A second one,
// when the body has ended, kills the children too.
//
// A supervisor above t treats the end of t like any other, so it starts a permanent child again. To
// drain a part of a tree, drain its supervisor.
//
// Drain parks a calling tasklet, and blocks a calling goroutine. It must not be called inside t or
// below it. Inside a tasklet, ctx must belong to it.
func (t *Tasklet) Drain(ctx context.Context) error {
	if ctx == nil {
		misuse("Drain with a nil context")
	}
	if _, none := t.inst.(nothing); none {
		misuse("Tasklet.Drain of the root of a system without main: use System.Drain")
	}
	var from *core.Scheduler
	if by, _ := core.From(ctx); by != nil {
		by.MustRun("Drain")
		for p := taskletOf(by); p != nil; p = p.parent {
			if p == t {
				misuse("Tasklet.Drain of %s from inside %s: it would wait for itself", t.Path(), taskletOf(by).Path())
			}
		}
		from = by.Scheduler()
	}
	if t.HasFinished() {
		return nil
	}
	t.beginDrain(from)
	err := t.Join(ctx)
	if t.HasFinished() {
		return err
	}
	left := make(map[string]int)
	t.undrained(left)
	t.marks.Or(markStopped)
	t.kill(nil)
	return joinErrors(err, &DrainError{left})
}

// Drain is like [System.Stop], but loses no work. It calls the functions that main has given to
// [Tasklet.OnDrain], and drains the children of the root, the newest first and one after the other,
// as [Tasklet.Drain] does. Meanwhile main runs on; it need not know of the drain, and may return.
// Then Drain stops the root, drains the daemons, and returns when all tasklets have finished. Its
// error has those of the children of the root that have failed.
//
// If ctx ends first, the system is stopped at once, as by Stop, where each tasklet has its own time
// to end; see [Shutdown]. Drain then returns a *[DrainError] that names the work that was not
// done, joined with the cause of ctx. A call of Stop, with a limit of its own, ends a drain too.
//
// Drain must not be called inside a tasklet of s.
func (s *System) Drain(ctx context.Context) error {
	if ctx == nil {
		misuse("Drain with a nil context")
	}
	if t, _ := core.From(ctx); t != nil {
		misuse("System.Drain from inside the tasklet %v: it would wait for itself", t)
	}
	s.root.beginDrain(nil)
	err := s.drainChildren(ctx)
	s.stopRoot()
	select {
	case <-s.done:
	case <-ctx.Done():
		left := make(map[string]int)
		for _, top := range s.tops() {
			for _, c := range top.Children() {
				c.undrained(left)
			}
		}
		select {
		case <-s.done: // at the last moment
		default:
			err = joinErrors(core.ContextError(ctx), joinErrors(&DrainError{left}, err))
		}
	}
	return joinErrors(err, s.Stop(context.Background()))
}

// drainChildren drains the children of the root until ctx ends.
func (s *System) drainChildren(ctx context.Context) (err error) {
	for children := s.root.Children(); len(children) > 0; children = s.root.Children() {
		for i := len(children) - 1; i >= 0; i-- {
			c := children[i]
			c.beginDrain(nil)
			result := c.Join(ctx)
			if !c.HasFinished() {
				return err
			}
			err = joinErrors(err, result)
		}
	}
	return err
}

// undrained adds the work that t and the tasklets below it still have to left: the paths of bodies
// that have not ended, with the number of messages that they have not handled. It leaves out bodies
// that wait for work and have none.
func (t *Tasklet) undrained(left map[string]int) {
	for c := range t.Tree() {
		marks := c.marks.Load()
		if marks&(markFinished|markEnded) == 0 {
			l := c.inst.lineage()
			n, works := 0, familyOf(c) == nil
			if l != nil {
				n, works = l.queued(), l.busy()
			}
			if n > 0 || works {
				left[c.Path()] += n // another tasklet may have the same path
			}
		}
		for _, s := range c.slots() {
			if s.lineage == nil || s.Tasklet() != nil {
				continue
			}
			if n := s.lineage.queued(); n > 0 { // it waits for a restart
				left[s.path()] += n
			}
		}
	}
}

// Drain makes the tasklet in the slot drain, as [Tasklet.Drain] does, and does not wait. The end of
// the tasklet is an end by itself, so onEnd is called. If the slot is empty, Drain has no effect.
// It must be called inside the parent, or in onEnd.
func (s *Slot) Drain() {
	if t := s.Tasklet(); t != nil {
		t.beginDrain(s.parent.task.Scheduler())
	}
}

// Queued returns the number of messages in the mailbox of the slot's ref. For a [Family] it
// includes those for the children, and leaves out requests to the library's own supervisors. A
// supervisor that drains asks it whether a child that has failed has work left. Queued never waits,
// and may be called from any goroutine.
func (s *Slot) Queued() (n int) {
	refsOf(s.body, func(l anyLineage) { n += l.queued() })
	return n
}
