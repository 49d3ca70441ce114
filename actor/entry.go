package actor

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// entry writes the entry of e. more are fields in front of those of e. This is the only place where
// values that may come from a user's input are escaped for the log.
func (v *events) entry(e *EventRecord, level zapcore.Level, more []zap.Field) {
	ce := v.logger.Check(level, message(e))
	if ce == nil {
		return
	}
	if !e.Time.IsZero() {
		ce.Time = e.Time // not the time at which the entry is written
	}
	fs := append(more, zap.String("event", e.Kind.String()))
	if t := e.Tasklet; t != nil {
		fs = append(fs, zap.Stringer("tasklet", t.ID()), zap.String("path", fields.Name(e.Path)), zap.String("kind", t.kindName()))
	}
	if e.Tasklet == nil && e.Path != "" {
		// e has the name of a ref that nobody reads yet.
		fs = append(fs, zap.String("path", fields.Name(e.Path)))
	}
	if e.Message != nil {
		fs = append(fs, zap.String("message", fields.Name(e.Message.String())))
	}
	if e.Count > 0 {
		fs = append(fs, zap.Int("count", e.Count))
	}
	if e.stopped {
		fs = append(fs, zap.String("reason", "stopped")) // a stop is not an error
	} else if k := e.killed(); k != nil && (e.Kind == event.Kill || e.Kind == event.Exit) {
		if e.Kind == event.Exit {
			fs = append(fs, zap.NamedError("error", ErrKilled))
		}
		if k.By != "" {
			fs = append(fs, zap.String("by", fields.Name(k.By)))
		}
		if k.Cause != nil {
			fs = append(fs, zap.NamedError("cause", fields.Error(k.Cause)))
		}
	} else if e.Err != nil {
		fs = append(fs, zap.NamedError("error", fields.Error(e.Err)))
	}
	for _, f := range e.Fields {
		fs = append(fs, fields.Clean(f))
	}
	if e.Stack != nil {
		fs = append(fs, fields.Stack("stack", e.Stack))
	}
	ce.Write(fs...)
}

// message returns the text of an entry: a sentence that can be understood without the fields.
func message(e *EventRecord) string {
	who := ""
	if e.Path != "" {
		who = text.Word(fields.Name(e.Path))
	}
	switch e.Kind {
	case event.Exit:
		switch KindOf(e.Err) {
		case reason.Normal:
			return who + " ended"
		case reason.Shutdown:
			return who + " shut down"
		}
		// The error may report the kill or panic of another tasklet, as the error of a Join does.
		if e.stopped {
			return who + " was stopped"
		} else if e.Err == ErrKilled || e.killed() != nil {
			return who + " was killed"
		} else if _, own := e.Err.(*PanicError); own {
			return who + " panicked"
		}
		return who + " failed"
	case event.Spawn:
		return who + " started"
	case event.Failure:
		return who + " failed and continues"
	case event.MessageLost:
		return who + " lost the message in hand"
	case event.DeadLetter:
		return "messages to " + who + " will not be read"
	case event.Overflow:
		return who + " drops messages: its mailbox is full"
	case event.Kill:
		return who + " is being killed"
	case event.KillRecovered:
		return who + " recovered its kill and continues"
	case event.Close:
		return who + " is closed"
	case event.Deadlock:
		if e.Soft {
			return "possible deadlock"
		}
		return "deadlock"
	case event.Stall:
		return who + " keeps its scheduler: nothing else can run"
	case event.StallOver:
		return who + " no longer keeps its scheduler"
	case event.StopTimeout:
		return who + " did not stop in time and is left behind"
	case event.Leak:
		return who + " is left behind"
	case event.ReplyLate:
		if who == "" {
			return "an answer from outside came too late"
		}
		return "an answer of " + who + " came too late"
	case event.CallTimeout:
		return "call of " + who + " got no reply in time"
	case event.Escalate:
		return "failure of " + who + " kills its parent"
	case event.TicksMissed:
		return who + " skipped calls"
	case event.SystemStart:
		return "system started"
	case event.SystemStop:
		return "system stopped"
	case event.Crash:
		return "a scheduler has crashed, and the system ends"
	case event.HookPanic, event.LogPanic, event.HookStall, event.LogStall:
		return sinkMessage(e)
	case event.EventsDropped:
		return "events were not delivered"
	case event.NotRestarted:
		return who + " failed and is not restarted"
	}
	if who == "" {
		return e.Kind.String()
	}
	return who + ": " + e.Kind.String()
}

// sinkMessage is like message, for events about the sinks.
func sinkMessage(e *EventRecord) string {
	who := "Config.OnEvent"
	if e.Kind == event.LogPanic || e.Kind == event.LogStall {
		who = "Config.Logger"
	}
	if e.Kind == event.HookStall || e.Kind == event.LogStall {
		return who + " does not return and is skipped until it does"
	}
	p, _ := e.Err.(*PanicError)
	if p == nil {
		return who + " called runtime.Goexit and is not called any more"
	}
	if _, refused := p.Value.(guard.Refusal); refused {
		return who + " tried to park a tasklet, which is not allowed"
	}
	return who + " panicked and is not called any more"
}
