package scheduler

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// WaitGroup is a counter whose coming to 0 tasks of one scheduler can wait for: of pieces of work
// that are not finished.
//
// The zero WaitGroup has counted to 0. It may be used again any number of times. A WaitGroup
// belongs to one scheduler: its methods are called from that one's tasks or from what was injected
// there. It must not be copied.
type WaitGroup struct {
	home home

	// Owned by the scheduler.
	line core.Line
	n    int
}

// Add adds n, which may be negative, to the counter. When it comes to 0, all who wait go on, in
// order; adding more before they run does not hold them up. It panics if the counter would become
// negative. It never parks.
func (g *WaitGroup) Add(n int) {
	if n < -g.n {
		misuse("the counter of a WaitGroup would become negative: %d%+d", g.n, n)
	}
	g.n += n
	if g.n == 0 {
		g.line.HandAll()
	}
}

// Done is Add(-1).
func (g *WaitGroup) Done() { g.Add(-1) }

// Wait waits until the counter is 0. It parks if that is not so yet. It returns [ErrTimeout] or the
// cause of ctx if ctx ends first. A kill is raised at the entry or while parked. ctx must belong to
// the running task.
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
