package supervisor

import (
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// describer describes a supervisor or a pool to the tree. Its children are in slots, which the tree
// finds by itself.
type describer struct {
	own.Mark // Describe neither fails nor blocks
	c        *core
}

// Describe implements tree.Supervisor.
func (d describer) Describe(func(tree.Child)) tree.Supervision {
	c := d.c
	now := c.now()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o := tree.Supervision{
		Restarts: c.window.count(now), Max: c.window.intensity, Period: c.window.period, Total: c.restarts,
	}
	if c.s.pool == nil {
		o.Strategy = c.s.spec.Strategy.String()
	}
	return o
}
