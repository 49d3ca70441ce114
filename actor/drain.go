package actor

import (
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/guard"
)

// This file ends tasklets without losing work. A drain is a stop that begins with a close instead
// of a kill. The body ends when it has done its work, and then the children are drained, the newest
// first and one after the other; see stopChildren.

// OnDrain registers f, which is called once when t begins to drain, to tell a body of Go that it
// should end. For example, f can close a listener, so that the body's Accept returns. If f is
// t.Kill, the body is killed, and the children are still drained. The functions are called on the
// scheduler of t, in the order of their registration, and must not block. If t drains already, f is
// called at once. OnDrain must be called inside t. It panics if f is nil.
func (t *Tasklet) OnDrain(f func()) {
	if f == nil {
		misuse("OnDrain of a nil function")
	}
	t.mustRun("OnDrain")
	x := t.extra()
	x.onDrain = append(x.onDrain, f)
	if t.marks.Load()&markDraining != 0 {
		t.callOnDrain()
	}
}

// beginDrain makes t drain. from is the scheduler that the caller runs on, or nil. beginDrain may
// be called from any goroutine.
func (t *Tasklet) beginDrain(from *core.Scheduler) {
	if t.marks.Or(markDraining)&(markDraining|markFinished) != 0 {
		return
	}
	if s := t.task.Scheduler(); s == from {
		t.drain()
	} else {
		s.Inject((*draining)(t))
	}
}

type draining Tasklet

func (d *draining) Do() { (*Tasklet)(d).drain() }

// drain tells the body to end. It must be called on the scheduler of t, and has no effect after the
// first call. Before the arrival, and before the init is done, it does nothing, and the start calls
// it again.
func (t *Tasklet) drain() {
	if t.phase != living || t.marks.Load()&markAway != 0 || t.marks.Or(markTold)&markTold != 0 {
		return
	}
	t.callOnDrain()
	if f := familyOf(t); f != nil && f.drain != nil {
		if fault := guard.Call(f.drain); fault != nil {
			t.sys.emit(failureEvent(t, fault, nil))
		}
		return
	}
	if l := t.inst.lineage(); l != nil {
		l.drain(t)
	} else if t.task.State() == core.Idle {
		t.task.Wake()
	}
}

func (t *Tasklet) callOnDrain() {
	x := t.ex.Load()
	if x == nil {
		return
	}
	fs := x.onDrain
	x.onDrain = nil
	for _, f := range fs {
		if fault := guard.Call(f); fault != nil {
			t.sys.emit(failureEvent(t, fault, nil))
		}
	}
}

// drain closes the ref.
func (l *lineage[M]) drain(t *Tasklet) {
	if !l.box.Closed() {
		l.box.Close()
		t.sys.emit(EventRecord{Kind: event.Close, Tasklet: t})
	}
}
