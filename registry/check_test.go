package registry

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// Check finds what was broken on purpose: each fault is made in a registry that is well, found, and
// undone.
func TestCheckFindsFaults(t *testing.T) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		s := t0.System()
		r := Of(s)
		a := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
		b := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
		require.NoError(t, Register(r, "a", a))
		g, err := NewGroup[int](r, "g")
		require.NoError(t, err)
		require.NoError(t, g.Join(a))
		require.NoError(t, g.Join(b))
		require.NoError(t, s.Check())
		h := r.held[a]
		for _, f := range []struct {
			name, want string
			do, undo   func()
		}{
			{"a name not noted", "is noted with", func() { h.names.remove("a") }, func() { h.names.add("a") }},
			{"a name too many", "is noted with", func() { h.names.add("x") }, func() { h.names.remove("x") }},
			{"a holder of nothing", "is noted with nothing", func() { r.held[1] = &holder{} }, func() { delete(r.held, 1) }},
			{"nobody's name", "are noted", func() { delete(r.held, a) }, func() { r.held[a] = h }},
			{"one who waits for a name that is there", "which is there", func() { r.wanted["a"] = &waiters{} }, func() { delete(r.wanted, "a") }},
			{"the number of those who left", "that have left", func() { g.left++ }, func() { g.left-- }},
			{"the order of members", "comes after", func() { g.members[1].id = 0 }, func() { g.members[1].id = 2 }},
			{"an old list", "the list has", func() { g.now.Store(&list[int]{}) }, func() { g.now.Store(nil) }},
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

// A name that is given up takes its watch on the end of the ref with it: else a ref that gets and
// loses names all its life would remember each.
func TestUnregisterLeavesNothing(t *testing.T) {
	cfg := actor.Config{Logger: zap.NewNop()}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		r := Of(t0.System())
		ref := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		for range 50_000 {
			require.NoError(t, Register(r, "a", ref))
			r.Unregister("a")
		}
		require.Less(t, heap(), before+1<<20)
		runtime.KeepAlive(ref)
		return nil
	}))
}
