package scheduler

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// Event is a flag that tasklets wait for. It is set or not, and any number of tasklets of one
// scheduler may wait until it is set.
//
// The zero Event is not set, and ready to use. An Event belongs to one scheduler, and only the
// tasklets of that scheduler may call its methods. An Event must not be copied after first use.
type Event struct {
	home home

	// Owned by the scheduler.
	line core.Line
	set  bool
}

// Set sets e and wakes all waiting tasklets, in the order in which they began to wait. They return
// from Wait even if Clear is called before they run. Setting an Event that is set has no effect.
// Set never parks.
func (e *Event) Set() {
	e.set = true
	e.line.HandAll()
}

// Clear resets e, so that later calls of Wait park until the next Set. It never parks.
func (e *Event) Clear() { e.set = false }

// IsSet reports whether e is set.
func (e *Event) IsSet() bool { return e.set }

// Wait parks the calling tasklet until e is set. It returns nil at once if e is set already. It
// returns [ErrTimeout] or the cause of ctx if ctx ends first. A kill is raised when Wait is called
// or while it is parked. ctx must belong to the running tasklet.
func (e *Event) Wait(ctx context.Context) error {
	t, limit := e.home.enter(ctx, "Event.Wait")
	for !e.set {
		ok, err := t.Stand(&e.line, core.Wait{Kind: core.InEvent, Ctx: limit})
		if ok || err != nil {
			return err
		}
	}
	return nil
}
