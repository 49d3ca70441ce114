package actor

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// Simulation makes the choices that are otherwise left to chance in a system, and injects faults.
// Package actortest uses it; other programs need not. Each function may be nil. All but Lost and
// Goroutine are called on the scheduler, where they may kill but must not block. They should draw
// from a seed, so that the run can be repeated.
//
// A system without a Simulation pays nothing: the functions are installed when the system, a
// tasklet or a mailbox begins.
type Simulation struct {
	// Order and Settled are those of core.Hooks.
	Order   func(n int) int
	Settled func()
	// Late returns the delay of the timers that are due next, on a virtual clock, or 0.
	Late func() time.Duration
	// Panic is called before each message, batch or round of t is handled. If it returns a value,
	// the handler panics with it instead of being called.
	Panic func(t *Tasklet) any
	// Full is called at each local send to a bounded mailbox that t reads, and reports whether the
	// send must find the mailbox full.
	Full func(t *Tasklet) bool
	// Lost is called at each Await and Pipe of t, and reports whether the result of its function
	// must be lost, so that the wait ends only by a kill.
	Lost func(t *Tasklet) bool
	// CheckThreads is that of core.Config.
	CheckThreads bool
	// Goroutine is called first on each goroutine of the system on which user code runs: those that
	// tasklets share, and those of Await and Pipe.
	Goroutine func()
}

// hooks adds the functions for the scheduler.
func (m *Simulation) hooks(h *core.Hooks) {
	if m != nil {
		h.Order, h.Settled, h.Late, h.Worker = m.Order, m.Settled, m.Late, m.Goroutine
	}
}

// onGoroutine is called on a goroutine of the system that its schedulers do not know.
func (m *Simulation) onGoroutine() {
	if m != nil && m.Goroutine != nil {
		m.Goroutine()
	}
}

// begin is called before t goes into the tree.
func (m *Simulation) begin(t *Tasklet) {
	if m.Panic == nil {
		return
	}
	if i, ok := t.inst.(wrapped); ok {
		t.keepSource()
		t.inst = i.wrap(func(ctx context.Context, _ any, next func(context.Context) error) error {
			if v := m.Panic(t); v != nil {
				panic(v)
			}
			return next(ctx)
		})
	}
}

// opened is called when t has begun to read l. It must be called on the scheduler.
func (m *Simulation) opened(t *Tasklet, l anyLineage) {
	if m.Full != nil {
		l.pretendFull(func() bool { return m.Full(t) })
	}
}

func (l *lineage[M]) pretendFull(full func() bool) { l.box.PretendFull(full) }
