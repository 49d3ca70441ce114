package actor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// Check finds what was broken on purpose: each fault is made in a system that is well, found, and
// undone. Inside the package, because nothing that is exported can break these.
func TestCheckFindsFaults(t *testing.T) {
	cfg := Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	require.NoError(t, Run(context.Background(), cfg, func(t0 *Tasklet) error {
		ref := Receiver(t0, func(*Tasklet, int) error { return nil })
		r, l := ref.Tasklet(), ref.l
		parent := Go(t0, func(p *Tasklet) error {
			Go(p, func(c *Tasklet) error { defer c.Sleep(time.Hour); c.Sleep(time.Minute); return nil }, Shutdown(Infinity))
			p.Yield()
			return nil
		})
		joiner := Go(t0, func(j *Tasklet) error { return parent.Join(j) })
		timer := SendAfter(t0, time.Hour, ref, 1)
		t0.Sleep(time.Second)
		s := t0.sys
		require.NoError(t, s.Check())
		require.Equal(t, stopping, parent.phase)
		child := parent.first
		require.Equal(t, core.Parked, child.task.State())
		owns, entry := &t0.ex.Load().owned, owned{}
		for _, f := range []struct {
			name, want string
			do, undo   func()
		}{
			{"a link", "the links of child", func() { parent.prev = nil }, func() { parent.prev = r }},
			{"the last child", "the last child", func() { t0.last = parent }, func() { t0.last = joiner }},
			{"a wake-up of a parent that waits", "nobody will call it", func() { parent.first, parent.last = nil, nil },
				func() { parent.first, parent.last = child, child }},
			{"children too late", "children in phase", func() { parent.phase = deferring }, func() { parent.phase = stopping }},
			{"finished, in the tree", "has finished and is in the tree", func() { r.marks.Or(markFinished) }, func() { r.marks.And(^uint32(markFinished)) }},
			{"the context of one that lives", "without a hard kill", func() { r.marks.Or(markOver) }, func() { r.marks.And(^uint32(markOver)) }},
			{"the context of one that ended", "its context has not", func() { parent.marks.And(^uint32(markOver)) }, func() { parent.marks.Or(markOver) }},
			{"given up", "given up", func() { r.marks.Or(markLeaked) }, func() { r.marks.And(^uint32(markLeaked)) }},
			{"a join of one that has finished", "waits for the end of", func() { parent.marks.Or(markFinished) }, func() { parent.marks.And(^uint32(markFinished)) }},
			{"a receiver that nothing wakes", "no message will wake it", func() { l.box.StopAwait() }, func() { l.box.Await(1) }},
			{"a ref of another", "its ref is", func() { l.cur.Store(parent) }, func() { l.cur.Store(r) }},
			{"a timer without an owner", "the owner of a timer", func() { owns.Remove(timer.own) }, func() { owns.Add(timer.own) }},
			{"what it owns", "what it owns", func() { entry, *timer.own = *timer.own, owned{V: timer.own.V} }, func() { *timer.own = entry }},
		} {
			f.do()
			err := s.Check()
			f.undo()
			require.ErrorContains(t, err, f.want, f.name)
			require.NoError(t, s.Check(), f.name)
		}
		return nil
	}))
}

// Packages above add their own.
func TestExtensionCheck(t *testing.T) {
	defer func(checks []func(*System) error) { extraChecks = checks }(extraChecks)
	broken, asked := errors.New("broken"), 0
	on := false // with the tag tasklet_check each step asks, and would end the system
	x := NewExtension(func(*System) *int { return new(int) })
	x.Check(func(_ *System, n *int) error {
		if !on {
			return nil
		}
		*n++
		return broken
	})
	err := Run(context.Background(), Config{Logger: zap.NewNop()}, func(t *Tasklet) error {
		on = true
		err := t.System().Check()
		on = false
		asked = *x.Of(t.System())
		return err
	})
	require.ErrorIs(t, err, broken)
	require.Equal(t, 1, strings.Count(err.Error(), "broken"))
	require.Equal(t, 1, asked, "with the value of this system")
}
