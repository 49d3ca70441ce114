package supervisor

import (
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// describer describes the children of a supervisor, or of a pool, to the tree.
type describer struct {
	own.Mark // it neither fails nor blocks
	c        *core
}

// Describe implements tree.Supervisor.
func (d describer) Describe(add func(tree.Child)) tree.Supervision {
	c := d.c
	now := c.now()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for ch := c.first; ch != nil; ch = ch.next {
		add(tree.Child{
			ID: c.name(ch), Tasklet: ch.task, Restarting: ch.state == Restarting, Until: ch.until,
			Restarts: ch.restarts, Last: ch.last, LastAt: ch.lastAt,
		})
	}
	o := tree.Supervision{
		Restarts: c.window.count(now), Max: c.window.intensity, Period: c.window.period, Total: c.restarts,
	}
	if c.s.pool == nil {
		o.Strategy = c.s.spec.Strategy.String()
	}
	return o
}
