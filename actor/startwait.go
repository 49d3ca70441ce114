package actor

import (
	"context"
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
)

// announce tells the one that waits for the start of t how it went.
func (t *Tasklet) announce(err error) {
	if x := t.ex.Load(); x != nil && x.start != nil && x.start.settle(err) {
		x.start.tell(t.task.Scheduler())
	}
}

// startWait is where StartChild waits.
type startWait struct {
	// state is written by the scheduler, or the starter, whoever is first: what the start came to,
	// or that nobody waits for it.
	state atomic.Uint32
	err   error         // written before state
	bell  core.Bell     // for a tasklet
	done  chan struct{} // for an ordinary goroutine; else nil
}

const (
	startWaits   = iota
	startSettled // it is known; if the start failed, what is left is being undone
	startTold
	startLeft // nobody waits any more
)

func (w *startWait) decide(state uint32) bool { return w.state.CompareAndSwap(startWaits, state) }

// settle is the first half of the announcement; false: nobody waits, or it was made.
func (w *startWait) settle(err error) bool {
	if w.state.Load() != startWaits {
		return false
	}
	if w.err == nil {
		w.err = err
	}
	return w.decide(startSettled)
}

// tell is the second half. on is the scheduler of the tasklet that was started.
func (w *startWait) tell(on *core.Scheduler) {
	w.state.Store(startTold)
	if w.done != nil {
		close(w.done)
	} else {
		w.bell.Ring(on)
	}
}

// failed reports whether the waiter was told that the start has failed.
func (w *startWait) failed() bool { return w.state.Load() == startTold && w.err != nil }

// waitStart parks by until the start of t has come to its end, or limit has.
func (t *Tasklet) waitStart(by *core.Task, limit context.Context, w *startWait) error {
	defer w.decide(startLeft) // a kill may end the wait too
	wait := core.Wait{Kind: core.InJoin, On: t.task.Resource(), Ctx: limit}
	for w.state.Load() != startTold {
		if err := w.bell.Park(wait); err != nil {
			if w.decide(startLeft) {
				return err
			}
			wait.On, wait.Ctx = nil, nil // too late: it is told in a moment
		}
	}
	return fromOther(w.err)
}

// awaitStart waits, on a goroutine, until the start of t has come to its end.
func (t *Tasklet) awaitStart(ctx context.Context, w *startWait) error {
	var err error
	select {
	case <-w.done:
		return fromOther(w.err)
	case <-ctx.Done():
		err = core.ContextError(ctx)
	case <-t.gone():
		err = ErrStopped
	}
	if w.decide(startLeft) {
		return err
	}
	select {
	case <-w.done: // it is about to be told
	case <-t.gone():
	}
	return fromOther(w.err)
}
