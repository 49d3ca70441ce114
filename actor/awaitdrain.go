package actor

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// Drain ends t when it has done what was given to it, and then its children, and waits for that.
// Drain returns what [Tasklet.Join] returns if t ends in time, and nil for one that has finished
// before.
//
// The order is that of a stop: first the body, then the children, the newest first and one after
// the other, and then the deferred calls. What the end of a body waits for depends on the body:
//   - A receiver and a reader are closed, as by [Ref.Close]: they handle the messages that are
//     queued, and no others.
//   - The bodies that are called again and again end after the call that is being made, and a body
//     of Later is not called any more.
//   - A body of Go, and of New, ends by itself. [Tasklet.OnDrain] tells it that it should.
//   - A supervisor drains its children while it runs, and ends after them. Until then it restarts
//     those that fail and still have messages.
//
// If ctx ends first, Drain kills t with its subtree, does not wait for that, and returns a
// *[DrainError] that names what was not done, with ErrTimeout or the cause of ctx. A [Tasklet.Kill]
// during a drain ends the body only, and the children drain; a second one, when the body has ended,
// kills them too.
//
// A supervisor above t treats the end of t as any other. So a permanent child is started again; to
// drain a part of a tree, drain its supervisor.
//
// Drain parks a calling tasklet, and blocks a calling goroutine. It must not be called inside t or
// below it. Inside a tasklet, ctx must belong to it.
func (t *Tasklet) Drain(ctx context.Context) error {
	if ctx == nil {
		misuse("Drain with a nil context")
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

// Drain is a [System.Stop] without a loss: it drains the children of the root, the newest first and
// one after the other, as [Tasklet.Drain] does, and then the daemons. Meanwhile the root runs on,
// so that nothing in the body of main need know of it. After that Drain stops the system, and
// returns when all tasklets have finished.
//
// If ctx ends first, the system is stopped at once, in the way of Stop, in which each tasklet has
// its own time to end; see [Shutdown]. Drain then returns a *[DrainError] that names what was not
// done, with the cause of ctx. A call of Stop, with a limit of its own, ends a drain as well.
//
// Drain must not be called inside a tasklet of s.
func (s *System) Drain(ctx context.Context) error {
	if ctx == nil {
		misuse("Drain with a nil context")
	}
	if t, _ := core.From(ctx); t != nil {
		misuse("System.Drain from inside the tasklet %v: it would wait for itself", t)
	}
	err := s.drainBelow(ctx, s.root)
	if ctx.Err() == nil {
		err = joinErrors(err, s.drainBelow(ctx, s.daemons))
	}
	return joinErrors(err, s.Stop(context.Background()))
}

// drainBelow drains the children of top, which runs on.
func (s *System) drainBelow(ctx context.Context, top *Tasklet) (err error) {
	for {
		children := top.Children()
		if len(children) == 0 {
			return err
		}
		for i := len(children) - 1; i >= 0; i-- {
			c := children[i]
			c.beginDrain(nil)
			result := c.Join(ctx)
			if !c.HasFinished() {
				left := make(map[string]int)
				for _, c := range top.Children() {
					c.undrained(left)
				}
				return joinErrors(err, joinErrors(result, &DrainError{left}))
			}
			err = joinErrors(err, result)
		}
	}
}

// undrained adds what t and the tasklets below it still have to do to left: the paths of bodies
// that have not ended, with the number of messages that they have not handled. Left out are those
// that wait for work and have none.
func (t *Tasklet) undrained(left map[string]int) {
	for c := range t.Tree() {
		marks := c.marks.Load()
		if marks&(markFinished|markEnded) == 0 {
			l := c.inst.lineage()
			n := 0
			if l != nil {
				n = l.stats().Len
			}
			if n > 0 || l == nil && familyOf(c) == nil || c.InHand() != nil {
				left[c.Path()] = n
			}
		}
		for _, s := range c.slots() {
			if s.lineage == nil || s.Tasklet() != nil {
				continue
			}
			if n := s.lineage.stats().Len; n > 0 { // it waits for a restart
				left[s.path()] = n
			}
		}
	}
}

// Drain begins to drain the tasklet in the slot, as [Tasklet.Drain] does, and does not wait: its
// end is an end by itself, of which onEnd is told. If the slot is empty, Drain has no effect. It
// must be called on the scheduler of the parent, inside the parent or in onEnd.
func (s *Slot) Drain() {
	if t := s.Tasklet(); t != nil {
		t.beginDrain(s.parent.task.Scheduler())
	}
}
