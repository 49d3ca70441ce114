package actor_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
)

// A tasklet sees its own value, else its parent's, else the default; as it is now, not as it was at
// the start.
func TestLocalInherits(t *testing.T) {
	made := 0
	local := actor.NewLocal(func() string { made++; return "default" })
	other := actor.NewLocal[string](nil)
	require.Equal(t, "default", local.Get(context.Background()), "outside of tasklets")
	run(t, func(t0 *actor.Tasklet) error {
		require.Equal(t, "default", local.Get(t0))
		local.Set(t0, "main")
		require.Equal(t, 2, made)
		require.Equal(t, "", other.Get(t0), "another one has another value")
		child := actor.Go(t0, func(c *actor.Tasklet) error {
			seen := []string{local.Get(c)}
			actor.Go(c, func(g *actor.Tasklet) error { seen = append(seen, local.Get(g)); return nil })
			c.Yield()
			local.Set(c, "child")
			g := actor.Go(c, func(g *actor.Tasklet) error {
				ctx, cancel := actor.WithTimeout(g, time.Hour)
				defer cancel()
				seen = append(seen, local.Get(context.WithValue(ctx, runKey{}, 1)))
				return nil
			})
			if err := g.Join(c); err != nil {
				return err
			}
			local.Clear(c)
			local.Clear(c)
			seen = append(seen, local.Get(c))
			require.Equal(t, []string{"main", "changed", "child", "changed"}, seen)
			return nil
		})
		daemon := actor.Go(t0, func(d *actor.Tasklet) error {
			require.Equal(t, "default", local.Get(d), "a daemon is not its creator's child")
			return nil
		}, actor.Daemon())
		t0.Yield()
		local.Set(t0, "changed")
		require.NoError(t, child.Join(t0))
		require.NoError(t, daemon.Join(t0))
		require.Equal(t, "changed", local.Get(t0))
		_, err := actor.Await(t0, func(ctx context.Context) (int, error) {
			require.Equal(t, "default", local.Get(ctx))
			return 0, nil
		})
		return err
	})
}

// The zero value is a value too, nil in an interface as well.
func TestLocalZeroValue(t *testing.T) {
	err := actor.NewLocal(func() error { return errTest })
	n := actor.NewLocal(func() int { return 1 })
	run(t, func(t0 *actor.Tasklet) error {
		require.Equal(t, errTest, err.Get(t0))
		err.Set(t0, nil)
		require.NoError(t, err.Get(t0))
		err.Clear(t0)
		require.Equal(t, errTest, err.Get(t0))
		n.Set(t0, 0)
		require.Zero(t, n.Get(t0))
		return nil
	})
}

// Rule 21: values are dropped after the deferred calls.
func TestRule21LocalsUntilTheEnd(t *testing.T) {
	local := actor.NewLocal(func() int { return 0 })
	run(t, func(t0 *actor.Tasklet) error {
		seen := -1
		c := actor.Go(t0, func(c *actor.Tasklet) error {
			local.Set(c, 5)
			c.Defer(func() { seen = local.Get(c) })
			return nil
		})
		require.NoError(t, c.Join(t0))
		require.Equal(t, 5, seen)
		return nil
	})
}
