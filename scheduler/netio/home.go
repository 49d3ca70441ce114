package netio

import (
	"context"
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
)

// home holds what all connections of one scheduler share: helpers, and on Linux a poller.
type home struct {
	s *core.Scheduler // set in homeOf, then read-only

	// Owned by the scheduler.
	idle   []*helper
	poller *poller // nil until a task waits

	running sync.WaitGroup // the helpers' goroutines and the poller's
}

// homes holds the home of each scheduler that has connections, until the scheduler's Run ends.
var homes struct {
	mu sync.Mutex
	of map[*core.Scheduler]*home
}

// homeOf returns the home of the running task's scheduler, and that task. ctx must belong to it.
func homeOf(ctx context.Context, op string) (h *home, t *core.Task, limit context.Context) {
	t, limit = core.Caller(ctx, op)
	s := t.Scheduler()
	homes.mu.Lock()
	defer homes.mu.Unlock()
	h = homes.of[s]
	if h == nil {
		h = &home{s: s}
		if homes.of == nil {
			homes.of = make(map[*core.Scheduler]*home)
		}
		homes.of[s] = h
		s.WhenOver(h)
	}
	return h, t, limit
}

// Do is called when the scheduler's Run ends. No task is left then, so every helper is idle.
func (h *home) Do() {
	homes.mu.Lock()
	delete(homes.of, h.s)
	homes.mu.Unlock()
	for _, w := range h.idle {
		close(w.jobs)
	}
	h.idle = nil
	h.poller.close()
	h.running.Wait()
}

// caller returns the task that makes the call, or nil if an ordinary goroutine does. It panics if
// the caller is a task of another scheduler, or injected work.
func (h *home) caller(op op) *core.Task {
	t, inside := h.s.Here()
	if t == nil && inside {
		misuse("%s has to wait, on another scheduler than the connection's or in injected work: see Wrap", op)
	}
	return t
}

// helper is a goroutine that makes calls that would block for tasks. It serves one job after the
// other. A new one is started only when all others are busy.
type helper struct{ jobs chan job }

// job is a call for a helper.
type job interface {
	run()               // makes the call, on the helper's goroutine
	Do()                // ends the wait, on the scheduler; not called if the scheduler has ended
	servedBy(w *helper) // called before run, on the scheduler
}

// maxIdle is the number of idle helpers that a scheduler keeps.
const maxIdle = 64

// hand passes j to a helper. It must be called on the scheduler.
func (h *home) hand(j job) {
	if n := len(h.idle); n > 0 {
		w := h.idle[n-1]
		h.idle[n-1] = nil
		h.idle = h.idle[:n-1]
		j.servedBy(w)
		w.jobs <- j
		return
	}
	w := &helper{jobs: make(chan job, 1)}
	j.servedBy(w)
	w.jobs <- j
	h.running.Go(func() {
		for j := range w.jobs {
			j.run()
			if !h.s.Inject(j) {
				return
			}
		}
	})
}

// keep takes back a helper whose job is done. It must be called on the scheduler.
func (h *home) keep(w *helper) {
	if len(h.idle) == maxIdle {
		close(w.jobs)
		return
	}
	h.idle = append(h.idle, w)
}
