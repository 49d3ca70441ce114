package scheduler

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// WaitGroup counts pieces of unfinished work. Tasklets of one scheduler can wait until the counter
// is 0.
//
// The counter of the zero WaitGroup is 0, and it is ready to use. A WaitGroup may be reused any
// number of times. It belongs to one scheduler, and only the tasklets of that scheduler may call
// its methods. A WaitGroup must not be copied after first use.
type WaitGroup struct {
	home home

	// Owned by the scheduler.
	line core.Line
	n    int
}

// Add adds n, which may be negative, to the counter. When the counter becomes 0, Add wakes all
// waiting tasklets, in the order in which they began to wait. They return from Wait even if more is
// added before they run. Add panics if the counter would become negative. It never parks.
func (g *WaitGroup) Add(n int) {
	if n < -g.n {
		misuse("negative WaitGroup counter: %d%+d", g.n, n)
	}
	g.n += n
	if g.n == 0 {
		g.line.HandAll()
	}
}

// Done decrements the counter by one. It is the same as Add(-1).
func (g *WaitGroup) Done() { g.Add(-1) }

// Wait parks the calling tasklet until the counter is 0. It returns nil at once if it is 0 already.
// It returns [ErrTimeout] or the cause of ctx if ctx ends first. A kill is raised when Wait is
// called or while it is parked. ctx must belong to the running tasklet.
func (g *WaitGroup) Wait(ctx context.Context) error {
	t, limit := g.home.enter(ctx, "WaitGroup.Wait")
	for g.n > 0 {
		ok, err := t.Stand(&g.line, core.Wait{Kind: core.InWaitGroup, Ctx: limit})
		if ok || err != nil {
			return err
		}
	}
	return nil
}
