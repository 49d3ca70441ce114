package supervisor

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/list"
	"github.com/gotasklet/tasklet/scheduler"
)

// outside is a place in no list.
func outside(ch *child) list.Entry[*child] { return list.Entry[*child]{V: ch} }

// Check finds what was broken on purpose: each fault is made in a supervisor that is well, found,
// and undone.
func TestCheckFindsFaults(t *testing.T) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		child := func(id string) Child {
			ref := actor.NewRef[error](actor.Name(id))
			return Child{ID: id, Restart: Transient, Significant: true, Body: actor.ReceiverBody(ref, func(_ *actor.Tasklet, err error) error { return err })}
		}
		s, err := Start(t0, Spec{
			AutoShutdown: AllSignificant, Backoff: Backoff{Min: time.Hour}, Children: []Child{child("a"), child("b"), child("c"), child("d")},
		})
		require.NoError(t, err)
		c := s.view.core
		first, last := c.children.First(), c.children.Last()
		a, b, w, d := first.V, first.Next().V, last.Prev().V, last.V
		c.children.Remove(&d.place)
		withoutD := c.children
		c.children.Add(&d.place)
		whole, place := c.children, b.place
		require.NoError(t, s.StopChild(t0, "d"))
		t0.Sleep(time.Second)
		require.NoError(t, t0.System().Check())
		for _, f := range []struct {
			name, want string
			do, undo   func()
		}{
			{"a link", "links of the children", func() { b.place = outside(b) }, func() { b.place = place }},
			{"the last", "links of the children", func() { c.children = withoutD }, func() { c.children = whole }},
			{"a child by its ID", "byID of a", func() { c.byID["a"] = b }, func() { c.byID["a"] = a }},
			{"running without a tasklet", "with tasklet", func() { d.state = Running }, func() { d.state = Stopped }},
			{"restarting, and nothing is due", "with again", func() { d.state = Restarting }, func() { d.state = Stopped }},
			{"another's slot", "in its slot", func() { a.slot, b.slot = b.slot, a.slot }, func() { a.slot, b.slot = b.slot, a.slot }},
			{"the order of the slots", "another order", func() {
				w.slot, d.slot = d.slot, w.slot
				w.task, d.task = d.task, w.task
				w.state, d.state = d.state, w.state
				w.run, d.run = d.run, w.run
			},
				func() {
					w.slot, d.slot = d.slot, w.slot
					w.task, d.task = d.task, w.task
					w.state, d.state = d.state, w.state
					w.run, d.run = d.run, w.run
				}},
			{"significant children", "significant, counted", func() { c.significant-- }, func() { c.significant++ }},
			{"held children", "held, counted", func() { c.held++ }, func() { c.held-- }},
			{"held, and running", "is held and", func() { a.held = true }, func() { a.held = false }},
			{"the number of children", "children, n", func() { c.n++ }, func() { c.n-- }},
			{"a backoff without a timer", "without a timer", func() { d.until = time.Now() }, func() { d.until = time.Time{} }},
		} {
			f.do()
			err := t0.System().Check()
			f.undo()
			require.ErrorContains(t, err, f.want, f.name)
			require.NoError(t, t0.System().Check(), f.name)
		}
		return nil
	}))
}
