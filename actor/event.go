package actor

import (
	"reflect"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
)

// An Event describes something that happened in a system. All events go through one place, in
// order, one at a time. The log and Config.OnEvent are its consumers.
type Event struct {
	Seq     uint64 // counts from 1, without gaps
	Time    time.Time
	Kind    EventKind
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

// EventKind is the kind of an event. Its String is the value of the key "event" in log entries,
// which is stable.
type EventKind uint8

const (
	EventSpawn EventKind = iota + 1 // a tasklet was started
	EventExit                       // a tasklet has finished; Err is its result
	// a message or round failed and the tasklet continues, or a deferred call panicked
	EventFailure
	// the message in hand at a failure will not be handled again
	EventMessageLost
	EventDeadLetter    // messages will not be read; fields count and reason
	EventOverflow      // a full mailbox dropped a message
	EventKill          // Kill was called
	EventKillRecovered // a tasklet recovered its kill and continues
	EventClose         // a ref was closed
	EventDeadlock      // tasklets wait for each other; field chain
	EventStall         // a tasklet keeps its scheduler
	EventStallOver     // the stall is over
	EventStopTimeout   // a tasklet did not stop in time and was detached
	EventLeak          // a tasklet is left behind when its system has stopped
	EventReplyLate     // an answer came too late for its call
	EventCallTimeout   // a call ended before its reply
	EventEscalate      // the failure of a tasklet kills its parent
	EventTicksMissed   // AtRate skipped calls; field missed
	EventSystemStart
	EventSystemStop
	// a scheduler ends because a function outside of tasklets has panicked; field scheduler
	EventCrash
	EventHookPanic     // Config.OnEvent panicked, ended its goroutine or tried to park a tasklet
	EventHookStall     // Config.OnEvent does not return
	EventLogPanic      // Config.Logger panicked or ended its goroutine
	EventLogStall      // Config.Logger does not return
	EventEventsDropped // events were not delivered; field reason
)

// firstUserKind and all larger kinds are for extensions.
const firstUserKind EventKind = 64

type kindInfo struct {
	name  string
	level zapcore.Level
}

var kinds = [256]kindInfo{
	EventSpawn:         {"spawn", zap.DebugLevel},
	EventExit:          {"exit", zap.WarnLevel}, // see exitLevel
	EventFailure:       {"failure", zap.WarnLevel},
	EventMessageLost:   {"message_lost", zap.WarnLevel},
	EventDeadLetter:    {"dead_letter", zap.WarnLevel},
	EventOverflow:      {"overflow", zap.WarnLevel},
	EventKill:          {"kill", zap.DebugLevel},
	EventKillRecovered: {"kill_recovered", zap.WarnLevel},
	EventClose:         {"close", zap.DebugLevel},
	EventDeadlock:      {"deadlock", zap.ErrorLevel}, // soft ones warn
	EventStall:         {"stall", zap.ErrorLevel},
	EventStallOver:     {"stall_over", zap.WarnLevel},
	EventStopTimeout:   {"stop_timeout", zap.ErrorLevel},
	EventLeak:          {"leak", zap.ErrorLevel},
	EventReplyLate:     {"reply_late", zap.WarnLevel},
	EventCallTimeout:   {"call_timeout", zap.WarnLevel},
	EventEscalate:      {"escalate", zap.ErrorLevel},
	EventTicksMissed:   {"ticks_missed", zap.WarnLevel},
	EventSystemStart:   {"system_start", zap.InfoLevel},
	EventSystemStop:    {"system_stop", zap.InfoLevel},
	EventCrash:         {"crash", zap.ErrorLevel},
	EventHookPanic:     {"hook_panic", zap.ErrorLevel},
	EventHookStall:     {"hook_stall", zap.ErrorLevel},
	EventLogPanic:      {"log_panic", zap.ErrorLevel},
	EventLogStall:      {"log_stall", zap.ErrorLevel},
	EventEventsDropped: {"events_dropped", zap.WarnLevel},
}

// String returns the name in snake case.
func (k EventKind) String() string {
	if n := kinds[k].name; n != "" {
		return n
	}
	return "unknown"
}

// level returns the level at which e is logged.
func (e *Event) level() zapcore.Level {
	switch e.Kind {
	case EventExit:
		return exitLevel(e.Tasklet, KindOf(e.Err))
	case EventFailure:
		if KindOf(e.Err) == ExitPanic {
			return zap.ErrorLevel
		}
	case EventDeadlock:
		if e.Soft {
			return zap.WarnLevel
		}
	}
	return kinds[e.Kind].level
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
	e := Event{Kind: EventExit, Tasklet: t, Path: exit.Path, Err: exit.Err, Message: messageType(t.inst), stopped: t.wasStopped(exit.Err)}
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
	e := Event{Kind: EventFailure, Tasklet: t, Err: err, Message: typeInHand(t.inst)}
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
		s.emit(Event{Kind: EventOverflow, Tasklet: t, Path: path, Message: loss.Type, Count: loss.Count})
	} else if loss.Reason == mailbox.ErrFull {
		reason = "full"
	}
	s.emit(Event{
		Kind: EventDeadLetter, Tasklet: t, Path: path, Err: loss.Reason, Message: loss.Type, Count: loss.Count,
		Fields: []zap.Field{zap.String("target", path), zap.String("reason", reason)},
	})
}
