package scheduler

import (
	"context"
	"fmt"

	"github.com/gotasklet/tasklet/internal/core"
)

// What the blocking tools for tasks have in common: Chan, Mutex, Semaphore, Event, WaitGroup.
//
// A blocking call looks whether it may go on; if not, it stands in a line and parks. Whoever makes
// it possible hands the thing over (the value, the lock, the units) to the first in line, in one
// step with waking it, so nobody can overtake and the one that wakes up owns what it waited for,
// whatever else comes before it runs. A task that was woken without a hand-over (by Task.Wake, from
// somewhere else) starts again at the top.

// home is the one scheduler whose tasks use a tool: that of the first that blocks. Everything in a
// tool is owned by it.
type home struct {
	_ noCopy
	s *core.Scheduler
}

// enter begins a call that can park: it finds the running task, and raises a kill that is pending.
func (h *home) enter(ctx context.Context, op string) (t *core.Task, limit context.Context) {
	t, limit = core.Caller(ctx, op)
	h.check(t, op)
	t.Checkpoint()
	return t, limit
}

func (h *home) check(t *core.Task, op string) {
	if h.s == t.Scheduler() {
		return
	}
	if h.s != nil {
		misuse("%s by %s of another scheduler: what tasks wait for with each other belongs to one scheduler", op, t)
	}
	h.s = t.Scheduler()
}

// place is a place in line with a value: what a sender brings, what a receiver gets, how many units
// of a semaphore.
type place[T any] struct {
	core.Waiter // its Item is the place
	v           T
	done        bool      // handed over
	next        *place[T] // in places
}

// hand ends the wait: what was waited for has happened.
func (p *place[T]) hand() {
	p.done = true
	p.Release()
}

// places keeps free ones, so that waiting allocates nothing after the first times.
type places[T any] struct {
	free *place[T]
	n    int
}

// maxPlaces is how many free places a tool keeps: the others of a crowd that once stood there are
// given back.
const maxPlaces = 256

func (ps *places[T]) get(v T) *place[T] {
	p := ps.free
	if p == nil {
		p = &place[T]{}
		p.Item = p
	} else {
		ps.free, p.next = p.next, nil
		ps.n--
	}
	p.v = v
	return p
}

// put gives back a place, and what it was used for. Not to be called when a kill is raised: the
// place is dropped then.
func (ps *places[T]) put(p *place[T]) (v T, done bool) {
	v, p.v = p.v, v
	done, p.done = p.done, false
	if ps.n < maxPlaces {
		p.next, ps.free = ps.free, p
		ps.n++
	}
	return v, done
}

// noCopy lets go vet find copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// misuse panics at the caller with the rule that the caller broke.
func misuse(format string, args ...any) {
	panic("scheduler: " + fmt.Sprintf(format, args...))
}
