package actor

import (
	"reflect"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/gauge"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
	"go.uber.org/zap"
)

func exitEvent(t *Tasklet, exit Exit) EventRecord {
	e := EventRecord{Kind: event.Exit, Tasklet: t, Path: exit.Path, Err: exit.Err, Message: messageType(t.inst), stopped: t.wasStopped(exit.Err)}
	if h := t.InHand(); h != nil {
		e.Message = h
	} else if e.Message == anyType {
		e.Message = nil // the type of an interface says nothing
	}
	if p, ok := exit.Err.(*PanicError); ok {
		e.Stack = p.Stack
	}
	if n := t.lostInHand(); n > 0 && exit.Kind != reason.Killed { // else message_lost has it
		e.Fields = []zap.Field{zap.Int("messages_lost", n)}
	}
	e.Fields = append(e.Fields, t.stateFields()...)
	return e
}

// lostInHand returns the number of messages that t had in hand and lost when it ended.
func (t *Tasklet) lostInHand() int {
	if t.marks.Load()&markLostHand == 0 {
		return 0
	}
	h, _ := inner(t.inst).(interface{ inHand() int })
	return h.inHand()
}

// leaveReport decides that the supervisor of t, which has ended by itself, reports the end, so that
// it is one entry in the log. System.mu must be held, and t must be in the tree.
func (t *Tasklet) leaveReport(k reason.Kind) {
	s := t.slot()
	if s == nil || s.reports == own.NoEnds || s.reports == own.FailedEnds && !k.Failure() ||
		s.state != slotRunning && s.state != slotStarting || t.parent.marks.Load()&markEnded != 0 {
		return
	}
	t.marks.Or(markQuiet)
}

// notRestarted reports an end that the supervisor of the tasklet should have reported, and did not
// because it does not restart the tasklet.
func notRestarted(exit Exit) {
	t := exit.Tasklet
	if t == nil || t.marks.Load()&markQuiet == 0 {
		return
	}
	e := exitEvent(t, exit)
	e.Kind = event.NotRestarted
	t.sys.emit(e)
}

func init() {
	own.Report = func(slot any, ends own.Ends) { slot.(*Slot).reports = ends }
	own.Reported = func(t any) (must bool, lost int) {
		task := t.(*Tasklet)
		return task.marks.Load()&markQuiet != 0, task.lostInHand()
	}
	own.NotRestarted = func(e any) { notRestarted(e.(Exit)) }
}

// reportFailure reports a message or round that failed, after which t continues.
func (t *Tasklet) reportFailure(err error) {
	if l := t.inst.lineage(); l != nil {
		l.settle(t, err)
	}
	e := EventRecord{Kind: event.Failure, Tasklet: t, Err: err, Message: typeInHand(t.inst)}
	if p, ok := err.(*PanicError); ok {
		e.Stack = p.Stack
	}
	if b, ok := inner(t.inst).(interface{ inHand() int }); ok && !t.isIdle() {
		e.Count = b.inHand()
	}
	e.Fields = t.stateFields()
	t.dropHand()
	t.sys.emit(e)
}

// deadLetters reports messages of l that will not be read.
func (s *System) deadLetters(l anyLineage, t *Tasklet, loss queue.Loss) {
	path := l.name()
	if t != nil {
		path = t.Path()
	}
	why, count := "closed", gauge.LostClosed
	if loss.Reason == mailbox.ErrDropped {
		why, count = "dropped", gauge.LostDropped
		s.emit(EventRecord{Kind: event.Overflow, Tasklet: t, Path: path, Message: loss.Type, Count: loss.Count})
	} else if loss.Reason == mailbox.ErrFull {
		why, count = "full", gauge.LostFull
	}
	s.counts.lost[count].Add(uint64(loss.Count))
	s.emit(EventRecord{
		Kind: event.DeadLetter, Tasklet: t, Path: path, Err: loss.Reason, Message: loss.Type, Count: loss.Count,
		Fields: []zap.Field{zap.String("target", path), zap.String("reason", why)},
	})
}

// wasStopped reports whether t, whose result is err, ended because its parent or its system stopped
// it.
func (t *Tasklet) wasStopped(err error) bool {
	return err == ErrKilled && t.marks.Load()&(markStopped|markSystem) != 0
}

// failureEvent returns the event for user code that failed on behalf of t, but not inside t.
func failureEvent(t *Tasklet, fault *guard.Fault, message reflect.Type) EventRecord {
	e := EventRecord{Kind: event.Failure, Tasklet: t, Err: ErrGoexit, Message: message}
	if !fault.Goexit {
		e.Err, e.Stack = &PanicError{Value: fault.Value, Stack: fault.Stack}, fault.Stack
	}
	return e
}

// born reports that t has begun to exist. It must be called on the scheduler.
func (t *Tasklet) born() {
	if t.sys.wants(event.Spawn) {
		t.sys.emit(EventRecord{Kind: event.Spawn, Tasklet: t})
	}
}

// InHand returns the type of the message that t handled when it failed or was killed; for messages
// of an interface type it is that of the value. It returns nil if there was none. It must be called
// on t's scheduler, after the end of t.
func (t *Tasklet) InHand() reflect.Type {
	if t.marks.Load()&markInHand == 0 {
		return nil
	}
	return typeInHand(t.inst)
}

// typeInHand returns the type of the message that i handles or has handled last. i must be an
// instance that has a message in hand.
func typeInHand(i instance) reflect.Type {
	if e, ok := i.(emptyHanded); ok && e.handsEmpty() {
		return nil
	}
	if h, ok := inner(i).(interface{ typeInHand() reflect.Type }); ok {
		if t := h.typeInHand(); t != nil {
			return t
		}
	}
	return messageType(i)
}

// messageType returns the type of the messages of an instance, or nil if it has none.
func messageType(i instance) reflect.Type {
	if l := i.lineage(); l != nil {
		return l.message()
	}
	return nil
}

func (s *System) wantsExit(t *Tasklet, k reason.Kind) bool { return s.events.wants(exitLevel(t, k)) }

// deadlock reports that t is about to close a cycle of waits.
func (s *System) deadlock(t *core.Task, e *DeadlockError, soft bool) {
	s.emit(EventRecord{
		Kind: event.Deadlock, Tasklet: taskletOf(t), Err: e, Soft: soft,
		Fields: []zap.Field{zap.String("chain", e.String()), zap.Bool("soft", soft)},
	})
}

// emptyHanded is an instance that can be called without a message. handsEmpty reports whether the
// last call was so.
type emptyHanded interface{ handsEmpty() bool }

// isIdle reports whether t has no message in hand because the function of IdleAfter is called, or
// one that a machine calls without a message.
func (t *Tasklet) isIdle() bool {
	e, ok := t.inst.(emptyHanded)
	return ok && e.handsEmpty()
}
