package actor

import (
	"fmt"
	"reflect"
	"time"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/gauge"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/stack"
)

// maxStacks is the number of stacks that a host takes within a second for panics of one panicSite.
// One costs a quarter of a restart, and in a flood nobody reads them.
const maxStacks = 100

// stackNotTaken is the stack of the other panics.
var stackNotTaken = stack.Text([]byte(fmt.Sprintf(
	"stack not taken: %d others were taken within a second, for panics of the same function with values of the same type", maxStacks)))

// A panicSite identifies panics that probably have the same cause. A program has few of them,
// because both parts come from its code.
type panicSite struct {
	body  uintptr      // the code of the function of the tasklet, or 0
	value reflect.Type // the type of the panic's value
}

// stackCount counts the stacks that were taken for a panicSite.
type stackCount struct {
	since int64 // the time of the first, in ns on the clock
	n     int
}

// panicked returns the error for a panic of t that was just recovered. It must be called in a
// deferred call. Its decision depends only on the clock of the scheduler and on what ran there.
func (t *Tasklet) panicked(v any) *PanicError {
	site := panicSite{value: reflect.TypeOf(v)}
	if f := reflect.ValueOf(t.source()); f.Kind() == reflect.Func {
		site.body = f.Pointer()
	}
	h := t.host()
	c := h.stacks[site]
	if c == nil {
		if h.stacks == nil {
			h.stacks = make(map[panicSite]*stackCount)
		}
		c = &stackCount{}
		h.stacks[site] = c
	}
	if now := h.sched.Nanotime(); c.n == 0 || now-c.since >= int64(time.Second) {
		c.since, c.n = now, 0
	}
	if c.n == maxStacks {
		return &PanicError{Value: v, Stack: stackNotTaken}
	}
	c.n++
	return &PanicError{Value: v, Stack: stack.Here()}
}

// failed is called by a body when a message or round returned an error. done says that the tasklet
// ends with result.
func (t *Tasklet) failed(err error) (done bool, result error) {
	switch {
	case !KindOf(err).Failure():
		return true, err
	case t.resumes():
		t.reportFailure(err)
		return false, nil
	}
	t.lose(err)
	return true, err
}

func (t *Tasklet) takeKill() {
	t.task.TakeKill()
}

// lose is called when t ends because it failed on a message, or was killed while it handled one.
// The next incarnation handles that message again, or it is reported as lost.
func (t *Tasklet) lose(err error) {
	h, ok := inner(t.inst).(interface{ inHand() int })
	if !ok || t.isIdle() || t.phase != living {
		return
	}
	n := h.inHand()
	if n == 0 {
		return
	}
	t.marks.Or(markInHand)
	if r, ok := inner(t.inst).(retrier); ok && t.supervised && r.putBack() {
		return
	}
	if l := t.inst.lineage(); l != nil && own.Is(l.message()) {
		return // the user has lost nothing
	}
	t.marks.Or(markLostHand)
	t.handOverInHand(err)
	t.sys.counts.lost[gauge.LostInHand].Add(uint64(n))
	t.sys.emit(EventRecord{
		Kind: event.MessageLost, Tasklet: t, Err: err, Message: typeInHand(t.inst), Count: n, stopped: t.wasStopped(err),
		Fields: t.stateFields(),
	})
	t.sys.lettersOver()
}

// resumes reports whether t continues after a failed message or round.
func (t *Tasklet) resumes() bool { return t.onFailure == Resume }

// recovered is called when t has recovered its kill and continues.
func (t *Tasklet) recovered() {
	_, hard := t.task.Killed()
	if x := t.ex.Load(); x != nil && !hard { // a hard kill is raised again
		x.mu.Lock()
		if x.cause == x.raised { // otherwise it is that of a new kill
			x.cause = nil
		}
		x.raised = nil
		x.mu.Unlock()
	}
	if hard {
		t.markHard() // it is not yet marked if the scheduler, which ends, has made the kill hard
		if t.marks.Or(markStubborn)&markStubborn != 0 {
			return // a hard kill is raised repeatedly, but reported once
		}
	}
	t.sys.emit(EventRecord{Kind: event.KillRecovered, Tasklet: t})
}
