package netio

import (
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
)

// turn serializes the calls in one direction of a connection, first come, first served. A task
// parks until it has the turn; an ordinary goroutine blocks.
type turn struct {
	// mu protects the following.
	mu    sync.Mutex
	taken bool
	line  core.Line // the waiting callers; the Item of each place is a *waiting
}

// waiting is a place in the line.
type waiting struct {
	place   core.Waiter   // in the line; turn.mu protects it
	granted chan struct{} // closed when the caller gets the turn
	t       *core.Task    // nil for an ordinary goroutine
	parked  bool          // owned by t's scheduler
}

// take waits for the turn and takes it. If it raises a kill, as Task.Park does, the turn was not
// taken.
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
	w.place.SetItem(w)
	u.line.Add(&w.place)
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
		_ = w.t.Park(core.Wait{Kind: core.InIO})
	}
	killed = false
}

// Do wakes the waiting task. It runs on the scheduler.
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

// give passes the turn to the next caller in line.
func (u *turn) give() {
	u.mu.Lock()
	if u.line.Empty() {
		u.taken = false
		u.mu.Unlock()
		return
	}
	w := u.line.First().Item().(*waiting)
	w.place.Leave()
	u.mu.Unlock()
	close(w.granted)
	if w.t != nil {
		w.t.Scheduler().Inject(w) // fails if the scheduler has ended; its task then leaves the line
	}
}

// leave takes w out of the line. If w had the turn already, leave passes it on.
func (u *turn) leave(w *waiting) {
	u.mu.Lock()
	waits := w.place.Waits()
	w.place.Leave()
	u.mu.Unlock()
	if !waits {
		u.give()
	}
}
