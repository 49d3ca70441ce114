package netio

import (
	"context"
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
)

// home is what all connections of one scheduler share: helpers, and on Linux a poller.
type home struct {
	s *core.Scheduler // set in homeOf, then read-only

	// Owned by the scheduler.
	idle   []*helper
	poller *poller // nil until a task waits

	running sync.WaitGroup // the helpers' goroutines and the poller's
}

// homes has one for each scheduler on which there are connections, until its Run ends.
var homes struct {
	mu sync.Mutex
	of map[*core.Scheduler]*home
}

// homeOf gives the home on the scheduler of the running task, to whom ctx belongs.
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

// Do is called when the scheduler's Run ends: by then no task is left, so every helper is idle.
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

// caller is the running task of the scheduler if it is the one that calls; nil: an ordinary
// goroutine. Others panic.
func (h *home) caller(op op) *core.Task {
	t, inside := h.s.Here()
	if t == nil && inside {
		misuse("%s has to wait, on another scheduler than the connection's or in injected work: see Wrap", op)
	}
	return t
}

// helper is a goroutine that makes a call for a task when that would block. It serves one job after
// the other, and is kept for the next one: as many are made as jobs wait at one time.
type helper struct{ jobs chan job }

// job is a call for a helper.
type job interface {
	run()               // makes the call, on the helper's goroutine
	Do()                // afterwards, on the scheduler; not called if that has ended
	servedBy(w *helper) // before run, on the scheduler
}

// maxIdle is how many helpers without a job a scheduler keeps.
const maxIdle = 64

// hand gives j to a helper. On the scheduler.
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

// keep takes back a helper whose job is done. On the scheduler.
func (h *home) keep(w *helper) {
	if len(h.idle) == maxIdle {
		close(w.jobs)
		return
	}
	h.idle = append(h.idle, w)
}
