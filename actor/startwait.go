package actor

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
)

// announce tells the tasklet that waits for the start of t how the start went.
func (t *Tasklet) announce(err error) {
	if x := t.ex.Load(); x != nil && x.start != nil && x.start.settle(err) {
		x.start.tell(t.task.Scheduler())
	}
}

// Started waits until t has started, that is, until its OnStart functions and its init are done. A
// body without an init and without OnStart has started when it exists. If an OnStart function or
// the init fails, Started returns its error when t has finished. That includes ErrStop of an init
// whose tasklet is not wanted. errors.Is and errors.As examine the error, but it counts as that of
// another tasklet, so that a caller that returns it has failed; see [KindOf].
//
// If ctx ends first, Started returns ErrTimeout or the cause of ctx, and the start continues.
// Started may be called from any goroutine. Inside a tasklet, ctx must belong to it, and the wait
// counts as one for the end of t; see [Tasklet.Join].
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

// awaitStarted waits until over, which is called under extra.mu, returns true, or until limit ends.
// by is nil on an ordinary goroutine.
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
			return t.leftBehind() // its system has ended
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

// takeStarters returns the bells of the tasklets in Started, to be rung. extra.mu must be held.
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

// startFailed records the error of an OnStart function or of the init.
func (t *Tasklet) startFailed(err error) {
	x := t.extra()
	x.startErr = err
	if x.start != nil {
		x.start.err = err
	}
}

// startWait is the place where Slot.Start waits.
type startWait struct {
	// path is the path of the tasklet, if it is known from an earlier one in the slot, or "". Set
	// in Slot.Start, then read-only.
	path string
	// state says how the start went, or that nobody waits for it. It is written once, by the
	// scheduler or the starter.
	state atomic.Uint32
	err   error // written before state
	bell  core.Bell
}

const (
	startWaits   = iota
	startSettled // the outcome is known; after a failure, the end of the tasklet is still to come
	startTold
	startLeft // nobody waits any more
)

func (w *startWait) decide(state uint32) bool { return w.state.CompareAndSwap(startWaits, state) }

// settle is the first half of the announcement. It returns false if nobody waits, or if it was made
// already.
func (w *startWait) settle(err error) bool {
	if w.state.Load() != startWaits {
		return false
	}
	if w.err == nil {
		w.err = err
	}
	return w.decide(startSettled)
}

// tell is the second half of the announcement. on is the scheduler of the tasklet that was started.
func (w *startWait) tell(on *core.Scheduler) {
	w.state.Store(startTold)
	w.bell.Ring(on)
}

// failed reports whether the waiter was told that the start has failed.
func (w *startWait) failed() bool { return w.state.Load() == startTold && w.err != nil }

// waitStart parks by until the outcome of the start of t is announced, or limit ends.
func (t *Tasklet) waitStart(by *core.Task, limit context.Context, w *startWait) error {
	defer w.decide(startLeft) // a kill may also end the wait
	wait := core.Wait{Kind: core.InJoin, On: t.task.Resource(), Ctx: limit}
	for w.state.Load() != startTold {
		if err := w.bell.Park(wait); err != nil {
			if w.decide(startLeft) {
				return err
			}
			wait.On, wait.Ctx = nil, nil // too late: the outcome is about to be announced
		}
	}
	return fromOther(w.err)
}
