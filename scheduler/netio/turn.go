package netio

import (
	"slices"
	"sync"

	"github.com/gotasklet/tasklet/scheduler"
)

// turn lets the calls in one direction of a connection be made one after the other, first come first served, whoever makes them: a
// task parks until it is its turn, an ordinary goroutine blocks.
type turn struct {
	// mu protects the following.
	mu    sync.Mutex
	taken bool
	line  []*waiting
}

// waiting is a place in the line.
type waiting struct {
	granted chan struct{}   // closed when it is its turn
	t       *scheduler.Task // nil: an ordinary goroutine
	parked  bool            // owned by t's scheduler
}

// take waits for the turn. It raises a kill as Task.Park does, and the turn is then not taken.
func (u *turn) take(h *home, op op) {
	u.mu.Lock()
	if !u.taken {
		u.taken = true
		u.mu.Unlock()
		return
	}
	u.mu.Unlock()
	w := &waiting{granted: make(chan struct{}), t: h.caller(op)}
	u.mu.Lock()
	if !u.taken {
		u.taken = true
		u.mu.Unlock()
		return
	}
	u.line = append(u.line, w)
	u.mu.Unlock()
	if w.t == nil {
		<-w.granted
		return
	}
	killed := true
	defer func() {
		w.parked = false
		if killed {
			u.leave(w)
		}
	}()
	w.parked = true
	for !w.isGranted() {
		_ = w.t.Park(scheduler.Wait{Kind: scheduler.InIO})
	}
	killed = false
}

// Do wakes the task that waits.
func (w *waiting) Do() {
	if w.parked {
		w.t.Wake()
	}
}

func (w *waiting) isGranted() bool {
	select {
	case <-w.granted:
		return true
	default:
		return false
	}
}

// give ends the turn: the next in line has it.
func (u *turn) give() {
	u.mu.Lock()
	if len(u.line) == 0 {
		u.taken = false
		u.mu.Unlock()
		return
	}
	w := u.line[0]
	u.line = slices.Delete(u.line, 0, 1)
	u.mu.Unlock()
	close(w.granted)
	if w.t != nil {
		w.t.Scheduler().Inject(w) // or its scheduler has ended: then its task leaves, or has left
	}
}

// leave takes w out of the line. If it was its turn already, that is passed on.
func (u *turn) leave(w *waiting) {
	u.mu.Lock()
	i := slices.Index(u.line, w)
	if i >= 0 {
		u.line = slices.Delete(u.line, i, i+1)
	}
	u.mu.Unlock()
	if i < 0 {
		u.give()
	}
}
