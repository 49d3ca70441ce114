package scheduler

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// Event is something that has happened or not: set, until it is cleared. Any number of tasks of one
// scheduler may wait for it.
//
// The zero Event is not set. An Event belongs to one scheduler: its methods are called from that
// one's tasks or from what was injected there. It must not be copied.
type Event struct {
	home home

	// Owned by the scheduler.
	line core.Line
	set  bool
}

// Set sets e and lets all who wait go on, in order; a Clear before they run does not hold them up.
// Setting twice does nothing. It never parks.
func (e *Event) Set() {
	e.set = true
	e.line.HandAll()
}

// Clear makes e not set: who waits from now on parks until the next Set. It never parks.
func (e *Event) Clear() { e.set = false }

// IsSet reports whether e is set.
func (e *Event) IsSet() bool { return e.set }

// Wait waits until e is set. It parks if that is not so yet. It returns [ErrTimeout] or the cause
// of ctx if ctx ends first. A kill is raised at the entry or while parked. ctx must belong to the
// running task.
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
