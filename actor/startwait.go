package actor

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
)

// announce tells the one that waits for the start of t how it went.
func (t *Tasklet) announce(err error) {
	if x := t.ex.Load(); x != nil && x.start != nil && x.start.settle(err) {
		x.start.tell(t.task.Scheduler())
	}
}

// Started waits until t has started: its OnStart functions and its init are done. If one of them
// fails, Started returns its error when t has finished: the same to errors.Is and errors.As, also
// ErrStop of an init that is not wanted; but an error of another tasklet to KindOf, so that a
// caller that returns it has failed. A body without an init, and without OnStart, has started when
// it exists. If ctx ends first, the error is that of ctx, and the start goes on. From any
// goroutine; from inside a tasklet, ctx must be its own, and the wait is one for the end of t: see
// Join.
func (t *Tasklet) Started(ctx context.Context) error {
	if ctx == nil {
		misuse("Started with a nil context")
	}
	over := func() bool { return t.marks.Load()&(markStarted|markFinished) != 0 }
	by, limit := core.From(ctx)
	if by != nil {
		by.MustRun("Started")
	}
	if t.startsSlowly() && !over() {
		if err := t.awaitStarted(by, limit, over); err != nil {
			return err
		}
	}
	switch {
	case t.marks.Load()&markFinished == 0 || t.marks.Load()&markStarted != 0:
		return nil
	case t.startsSlowly() || t.result() == ErrStopped:
		if err := t.extra().startErr; err != nil {
			return fromOther(err)
		}
		return fromOther(t.result())
	}
	return nil
}

// startsSlowly reports whether t has anything to do before it has started.
func (t *Tasklet) startsSlowly() bool {
	if _, ok := t.inst.(initer); ok {
		return true
	}
	r := t.rareOptions()
	return r != nil && r.onStart != nil
}

// awaitStarted waits until over, which is asked under extra.mu, or until limit ends. by is nil on
// an ordinary goroutine.
func (t *Tasklet) awaitStarted(by *core.Task, limit context.Context, over func() bool) error {
	x := t.extra()
	f := x.follow()
	if by != nil {
		b := &bell{V: by.NewBell()}
		if !f.starters.hang(b, &x.mu, over) {
			return nil
		}
		defer f.starters.takeDown(b, &x.mu) // a kill may be raised
		defer whenGone(by, t.task.Scheduler(), b.V)()
		if err := b.V.Park(core.Wait{Kind: core.InJoin, On: t.task.Resource(), Ctx: limit}); err != nil && !over() {
			return err
		}
		if !over() {
			return t.leftBehind() // its system has gone
		}
		return nil
	}
	x.mu.Lock()
	if over() {
		x.mu.Unlock()
		return nil
	}
	if f.began == nil {
		f.began = make(chan struct{})
	}
	began := f.began
	x.mu.Unlock()
	select {
	case <-began:
		return nil
	case <-t.gone():
		if over() {
			return nil
		}
		return t.leftBehind()
	case <-limit.Done():
		if over() {
			return nil
		}
		return core.ContextError(limit)
	}
}

// takeStarters gives those in Started, to be rung. Under extra.mu.
func (f *followers) takeStarters() iter.Seq[*core.Bell] {
	if f.began != nil {
		close(f.began)
		f.began = nil
	}
	return f.starters.Take()
}

// hasStarted is called when the OnStart functions and the init of t are done.
func (t *Tasklet) hasStarted() {
	t.marks.Or(markStarted)
	if x := t.ex.Load(); x != nil {
		x.mu.Lock()
		starters := func(func(*core.Bell) bool) {}
		if x.followers != nil {
			starters = x.followers.takeStarters()
		}
		x.mu.Unlock()
		for b := range starters {
			b.Ring(t.task.Scheduler())
		}
	}
	t.announce(nil)
}

// startFailed keeps the error of an OnStart function or of the init.
func (t *Tasklet) startFailed(err error) {
	x := t.extra()
	x.startErr = err
	if x.start != nil {
		x.start.err = err
	}
}

// startWait is where Slot.Start waits.
type startWait struct {
	// state is written by the scheduler, or the starter, whoever is first: what the start came to,
	// or that nobody waits for it.
	state atomic.Uint32
	err   error // written before state
	bell  core.Bell
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
	w.bell.Ring(on)
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
