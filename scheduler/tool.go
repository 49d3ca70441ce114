package scheduler

import (
	"context"
	"fmt"

	"github.com/gotasklet/tasklet/internal/core"
)

// This file has what Chan, Mutex, Semaphore, Event and WaitGroup have in common.
//
// A blocking call proceeds if it can; otherwise it joins a line and parks. The task that makes
// progress possible hands over the value, the lock or the units to the first in line, in one step
// with waking it. So no other task can overtake, and the woken task owns what it waited for,
// whatever happens before it runs. A task that is woken without a hand-over (by Task.Wake) starts
// again at the top.

// home is the scheduler that a tool belongs to: that of the first task that makes a blocking call.
// The scheduler owns everything in the tool.
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
		misuse("%s by %s of another scheduler: a Chan, Mutex, Semaphore, Event or WaitGroup belongs to one scheduler", op, t)
	}
	h.s = t.Scheduler()
}

// place is a place in a line with a value: the value to send or to receive, or a number of units of
// a semaphore.
type place[T any] struct {
	core.Waiter // its Item is the place
	v           T
	done        bool      // handed over
	next        *place[T] // in places
}

// hand marks the place as served and ends the wait.
func (p *place[T]) hand() {
	p.done = true
	p.Release()
}

// places keeps free places for reuse, so that waiting does not allocate in the long run.
type places[T any] struct {
	free *place[T]
	n    int
}

// maxPlaces is the number of free places that a tool keeps. More of them, left by a crowd, are left
// to the garbage collector.
const maxPlaces = 256

func (ps *places[T]) get(v T) *place[T] {
	p := ps.free
	if p == nil {
		p = &place[T]{}
		p.SetItem(p)
	} else {
		ps.free, p.next = p.next, nil
		ps.n--
	}
	p.v = v
	return p
}

// put takes back a place and returns what it held. It must not be called when a kill is raised: the
// place may still be in use, and is dropped.
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

// misuse panics with the rule that the caller broke.
func misuse(format string, args ...any) {
	panic("scheduler: " + fmt.Sprintf(format, args...))
}
