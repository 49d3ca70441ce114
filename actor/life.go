package actor

import (
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/guard"
)

// phase is a stage in the life of a tasklet. It only grows. All transitions are in this file and in
// stop.go:
//
//	starting ── init done ──▶ living ── body ended ──▶ stopping ── no child left ──▶ deferring ──▶ finished
//	    └────────── init failed ────────────────────────▲
//
// The scheduler calls a tasklet whenever it is ready, and the tasklet does the work of its phase. A
// body that parks in the middle keeps the call open. In all other waits, for messages, for a time
// or for the end of a child, the tasklet owns no stack.
type phase uint8

const (
	starting  phase = iota // the OnStart functions and the body's init run
	living                 // the body runs
	stopping               // the children are stopped, newest first
	deferring              // the deferred calls run
	finished               // everything is done; it is never called again
)

// live begins the life of the body with its first step, or takes a kill that is pending.
func (t *Tasklet) live() {
	done, err := true, error(nil)
	if pending, _ := t.task.Killed(); pending {
		// At the start of a step there is no stack to unwind.
		t.takeKill()
		err = ErrKilled
	} else if err = t.begin(); err == nil {
		t.phase = living
		t.hasStarted()
		if t.drained() { // since before the start
			t.drain()
		}
		done, err = t.inst.step(t)
	} else {
		t.startFailed(err)
	}
	t.task.MustBeUnlocked()
	if done {
		t.bodyEnded(err)
	} else {
		t.wakeIfKilled()
	}
}

// wakeIfKilled is called after a step. A kill may have come after the waiting body was woken, and
// then nothing else wakes t.
func (t *Tasklet) wakeIfKilled() {
	if pending, _ := t.task.Killed(); pending {
		t.task.Wake()
	}
}

// Catches reports whether a panic that leaves Run comes from the body or from what precedes it. In
// later phases it can only be a fault of the library, because user code is called with a guard of
// its own.
func (r *runner) Catches() bool { return r.phase <= living }

// Caught begins the end of a tasklet whose step did not return, or makes it resume.
func (r *runner) Caught(v any) (goesOn bool) {
	t := (*Tasklet)(r)
	t.task.Unlock()
	return t.caught(v)
}

// begin runs the OnStart functions and the body's init.
func (t *Tasklet) begin() error {
	if r := t.rareOptions(); r != nil {
		for _, f := range r.onStart {
			if err := f(t); err != nil {
				return err
			}
		}
	}
	if i, ok := inner(t.inst).(initer); ok {
		return i.init(t)
	}
	return nil
}

// caught handles a step that did not return. v is the value of the panic, or nil after
// runtime.Goexit. It reports whether the activation is over; otherwise the activation continues
// with the end of t.
func (t *Tasklet) caught(v any) (over bool) {
	var err error
	switch e := v.(type) {
	case nil:
		// The goroutine ends after the deferred calls of its stack. The rest is done on another
		// one.
		t.lose(ErrGoexit)
		t.bodyEnded(ErrGoexit)
		return true
	case *Killed:
		err = ErrKilled
		if e.Tasklet != t {
			err = t.panicked(v)
		}
	default:
		err = t.panicked(v)
	}
	if err != ErrKilled && t.phase == living && t.resumes() {
		t.reportFailure(err)
		t.task.Wake()
		return true
	}
	t.lose(err)
	t.bodyEnded(err)
	return false
}

// bodyEnded makes the end of t certain. The order of what follows is rule 21 of docs/semantics.md.
func (t *Tasklet) bodyEnded(err error) {
	if err == ErrKilled {
		t.marks.Or(markKilled)
		if x := t.ex.Load(); x != nil {
			x.mu.Lock()
			if x.cause != nil {
				err = x.cause
				x.result = err
			}
			x.mu.Unlock()
		}
	} else if KindOf(err) != reason.Normal {
		t.extra().result = err
	}
	t.phase = stopping
	t.task.TakeKill() // also if the body did not notice it, as the deferred calls may block
	if parent := t.marks.Load()&markParent != 0; parent || t.ex.Load() != nil {
		ended := uint32(markOver | markEnded)
		if !parent {
			ended |= markChildless
		}
		if t.marks.Or(ended)&markOver == 0 {
			t.closeDone()
		}
	} // otherwise nobody can see t before finish, which sets the mark too
	if l := t.inst.lineage(); l != nil {
		l.bodyEnded(t, err)
	}
}

// runDeferred runs the deferred calls, last in first out, and then finishes t.
func (t *Tasklet) runDeferred() {
	if x := t.ex.Load(); x != nil {
		for n := len(x.deferred); n > 0; n = len(x.deferred) {
			f := x.deferred[n-1]
			x.deferred = x.deferred[:n-1]
			if !t.callDeferred(f) {
				return
			}
		}
	}
	t.finish()
}

// callDeferred calls f and reports whether the goroutine continues. If the goroutine ends by
// runtime.Goexit, even with a panic in its deferred calls, callDeferred does not return, and the
// scheduler calls t again.
func (t *Tasklet) callDeferred(f func()) (goesOn bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		t.task.Unlock()
		switch v.(type) {
		case nil: // runtime.Goexit: the remaining calls run on another goroutine
			t.deferredFailed(ErrGoexit, nil)
		case *Killed:
			goesOn = true
		default:
			goesOn = true
			err := core.NewPanicError(v)
			t.deferredFailed(err, err.Stack)
		}
	}()
	f()
	t.task.MustBeUnlocked()
	returned = true
	return true
}

func (t *Tasklet) deferredFailed(err error, stack *Stack) {
	if t.result() == nil {
		t.extra().result = err
		stack = nil // the event exit has it
	}
	t.sys.emit(EventRecord{Kind: event.Failure, Tasklet: t, Err: err, Stack: stack})
}

// finish is the last step. No other goroutine sees t in the middle of it.
func (t *Tasklet) finish() {
	x := t.ex.Load()
	err := t.result()
	if x != nil {
		x.owned.releaseAll()
		x.cell = nil
		if x.rare != nil {
			x.rare.stopMeter()
		}
	}
	t.phase = finished
	t.task.Finish()
	exit := Exit{Tasklet: t, Kind: KindOf(err), Err: err}
	failedStart := x != nil && x.start != nil && x.start.settle(err)
	near := t.parent == nil || t.near(t.parent)
	supervised := x != nil && x.slot != nil && (!near || t.parent.phase < stopping)
	switch {
	case x != nil && x.start != nil && x.start.path != "":
		exit.Path = x.start.path
	case supervised || t.sys.wantsExit(t, exit.Kind):
		exit.Path = t.Path() // only if needed: it is long where the tree is deep
	}
	if t.marks.Load()&markParent != 0 {
		t.endSlots()
	}
	if l := t.inst.lineage(); l != nil && !t.supervised && !t.left() {
		l.ended()
	}
	if t.marks.Load()&markAway != 0 {
		t.born() // it was stopped before it arrived
	}
	told := failedStart && x.slot != nil || t == t.sys.daemons || // or nobody must be notified
		t.marks.Load()&markReported != 0 // or it counts as left behind
	if t.sys.leave(t, exit, !told)&markOver == 0 {
		t.closeDone()
	}
	x = t.ex.Load() // a joiner on another goroutine may just have made it
	t.joiners.ReleaseAll()
	if x != nil {
		t.tellEnd(x, exit, t.task.Scheduler())
		switch {
		case failedStart:
			x.start.tell(t.task.Scheduler())
		case !supervised:
			notRestarted(exit)
		case near:
			t.tellSupervisor(exit)
		default:
			e := childEnd(exit)
			t.parent.task.Scheduler().Inject(&e)
		}
	}
	if t.onFailure == Escalate && exit.Kind.Failure() && t.parent != nil && t.marks.Load()&markStopped == 0 &&
		!t.parent.drainsChildren() {
		t.sys.emit(EventRecord{Kind: event.Escalate, Tasklet: t, Path: exit.Path, Err: err})
		t.parent.kill(&ChildError{t, err})
	}
	t.childChanged()
	t.sys.finished(t)
}

// tellEnd notifies those who wait for the end of t on other goroutines, watch it, or wait for an
// answer from it. markFinished must be set. from is the scheduler that the caller runs on, or nil
// if the caller may be on any goroutine.
func (t *Tasklet) tellEnd(x *extra, exit Exit, from *core.Scheduler) {
	x.mu.Lock()
	if x.fin != nil {
		close(x.fin)
		x.fin = nil
	}
	x.locals = nil
	f := x.followers
	if f == nil {
		x.mu.Unlock()
		return
	}
	delegate, watched := f.delegate, !f.watchers.Empty()
	f.delegate = nil
	bells, watchers := f.bells.Take(), f.watchers.Take()
	starters := f.takeStarters()
	x.mu.Unlock()
	for b := range starters {
		b.Ring(from)
	}
	if watched && exit.Path == "" {
		exit.Path = t.Path()
	}
	for _, d := range delegate {
		d.fail(t, exit.Err)
	}
	for b := range bells {
		b.Ring(from)
	}
	for w := range watchers {
		w.end(exit, from)
	}
}

// tellSupervisor reports the end to the slot that t was in. It must be called on the scheduler of
// t's parent. A supervisor that fails here has lost count of its children. That is a crash, like
// any panic between two activations, and so is a runtime.Goexit. The guard costs as much as the
// rest of an end, so the function of the library's own supervisors, which cannot fail, is called
// without.
func (t *Tasklet) tellSupervisor(exit Exit) {
	slot := t.ex.Load().slot
	if slot.direct {
		slot.ended(exit)
		return
	}
	switch fault := guard.Call(func() { slot.ended(exit) }); {
	case fault == nil:
	case fault.Goexit:
		panic("actor: the function given to NewSlot called runtime.Goexit")
	default:
		panic(&PanicError{Value: fault.Value, Stack: fault.Stack})
	}
}

// childEnd is injected work that reports the end of a tasklet in a slot to its parent on another
// scheduler.
type childEnd Exit

func (e *childEnd) Do() {
	if t := e.Tasklet; t.parent.phase < stopping {
		t.tellSupervisor(Exit(*e))
	} else {
		notRestarted(Exit(*e))
	}
}
