package actor

import (
	"reflect"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
)

// An Event describes something that happened in a system. All events go through one place, in
// order, one at a time. The log and Config.OnEvent are its consumers.
type Event struct {
	Seq     uint64 // counts from 1, without gaps
	Time    time.Time
	Kind    event.Kind
	Tasklet *Tasklet // the tasklet concerned; nil if there is none
	Path    string   // the path of the tasklet at that time
	Err     error
	Stack   *Stack       // nil if there is none
	Message reflect.Type // the type of the message concerned; never its contents
	Count   int          // the number of messages concerned; 0 if that has no meaning
	Soft    bool         // for a deadlock: a wait in it can time out
	Fields  []zap.Field  // further fields of the log entry

	stopped bool // Err is ErrKilled because of a stop, not because of a call of Kill
}

// level returns the level at which e is logged.
func (e *Event) level() zapcore.Level {
	switch e.Kind {
	case event.Exit:
		return exitLevel(e.Tasklet, KindOf(e.Err))
	case event.Failure:
		if KindOf(e.Err) == ExitPanic {
			return zap.ErrorLevel
		}
	case event.Deadlock:
		if e.Soft {
			return zap.WarnLevel
		}
	}
	return e.Kind.Level()
}

// exitLevel returns the level for the end of t: error for a panic, warn for another failure, info
// if t was killed by Kill, and debug if it was stopped with its parent or ended normally.
func exitLevel(t *Tasklet, k ExitKind) zapcore.Level {
	switch {
	case k == ExitPanic:
		return zap.ErrorLevel
	case k == ExitError:
		return zap.WarnLevel
	case k == ExitKilled && t.marks.Load()&markStopped == 0:
		return zap.InfoLevel
	}
	return zap.DebugLevel
}

// wasStopped reports whether t, whose result is err, ended because its parent or its system stopped
// it.
func (t *Tasklet) wasStopped(err error) bool {
	return err == ErrKilled && t.marks.Load()&(markStopped|markSystem) != 0
}

var anyType = reflect.TypeFor[any]()

func exitEvent(t *Tasklet, exit Exit) Event {
	e := Event{Kind: event.Exit, Tasklet: t, Path: exit.Path, Err: exit.Err, Message: messageType(t.inst), stopped: t.wasStopped(exit.Err)}
	if h := t.InHand(); h != nil {
		e.Message = h
	} else if e.Message == anyType {
		e.Message = nil // it says nothing
	}
	if p, ok := exit.Err.(*PanicError); ok {
		e.Stack = p.Stack
	}
	return e
}

// reportFailure reports a message or round that failed, after which t continues.
func (t *Tasklet) reportFailure(err error) {
	if l := t.inst.line(); l != nil {
		l.settle(t, err)
	}
	e := Event{Kind: event.Failure, Tasklet: t, Err: err, Message: typeInHand(t.inst)}
	if p, ok := err.(*PanicError); ok {
		e.Stack = p.Stack
	}
	if b, ok := as[interface{ inHand() int }](t.inst); ok && !t.isIdle() {
		e.Count = b.inHand()
	}
	t.sys.emit(e)
}

// deadLetters reports messages of l that will not be read.
func (s *System) deadLetters(l refLine, t *Tasklet, loss queue.Loss) {
	path := l.name()
	if t != nil {
		path = t.Path()
	}
	reason := "closed"
	if loss.Reason == mailbox.ErrDropped {
		reason = "dropped"
		s.emit(Event{Kind: event.Overflow, Tasklet: t, Path: path, Message: loss.Type, Count: loss.Count})
	} else if loss.Reason == mailbox.ErrFull {
		reason = "full"
	}
	s.emit(Event{
		Kind: event.DeadLetter, Tasklet: t, Path: path, Err: loss.Reason, Message: loss.Type, Count: loss.Count,
		Fields: []zap.Field{zap.String("target", path), zap.String("reason", reason)},
	})
}
