package actor

import (
	"reflect"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/own"
)

// An EventRecord describes something that happened in a system. All events go through one place, in
// order, one at a time. The log and Config.OnEvent are its consumers.
type EventRecord struct {
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

// killed returns Err if it is the kill of e.Tasklet with a cause or a sender, and otherwise nil.
func (e *EventRecord) killed() *Killed {
	if k, ok := e.Err.(*Killed); ok && k != nil && k.Tasklet == e.Tasklet {
		return k
	}
	return nil
}

// level returns the level at which e is logged.
func (e *EventRecord) level() zapcore.Level {
	switch e.Kind {
	case event.Exit:
		return exitLevel(e.Tasklet, KindOf(e.Err))
	case event.NotRestarted:
		return failureLevel(e.Tasklet, KindOf(e.Err))
	case event.MessageLost:
		if k := KindOf(e.Err); k == reason.Error || k == reason.Panic {
			return zap.DebugLevel // the entry of the end has the number and the type
		}
	case event.Failure:
		if KindOf(e.Err) == reason.Panic {
			return zap.ErrorLevel
		}
	case event.Escalate:
		return escalateLevel(e.Tasklet)
	case event.Deadlock:
		if e.Soft {
			return zap.WarnLevel
		}
	}
	level := e.Kind.Level()
	if level == zap.WarnLevel && KindOf(e.Err) == reason.Panic {
		return zap.ErrorLevel // such as the restart after a panic
	}
	return level
}

// exitLevel returns the level for the end of t: debug if its supervisor reports it, or if it stands
// for a tasklet on another node, whose log has the end. A node that is lost is one entry of its
// own, and there may be thousands of tasklets that stand for those there.
func exitLevel(t *Tasklet, k reason.Kind) zapcore.Level {
	if t.marks.Load()&markQuiet != 0 || (k == reason.Error || k == reason.Killed) && mirrors(t.inst) {
		return zap.DebugLevel
	}
	return failureLevel(t, k)
}

// mirror is the body of a tasklet that ends because one on another node does.
type mirror interface{ proxy() far.Proxy }

// mirrors reports whether i is a mirror.
func mirrors(i instance) bool {
	_, ok := inner(i).(mirror)
	return ok
}

// failureLevel returns the level for the end of t: error for a panic, warn for another failure,
// info if t was killed by Kill, and debug if it was stopped with its parent or ended normally.
func failureLevel(t *Tasklet, k reason.Kind) zapcore.Level {
	switch {
	case k == reason.Panic:
		return zap.ErrorLevel
	case k == reason.Error:
		return zap.WarnLevel
	case k == reason.Killed && t.marks.Load()&markStopped == 0:
		return zap.InfoLevel
	}
	return zap.DebugLevel
}

// escalateLevel returns the level for the event that the failure of t kills its parent. It is error
// if no supervisor restarts the parent and the parent does not escalate in turn, so that each chain
// of escalations that nobody handles has one entry at error. Otherwise it is debug, because the end
// of the parent names t.
func escalateLevel(t *Tasklet) zapcore.Level {
	p := t.parent
	var s *Slot
	if p.supervised {
		s = p.ex.Load().slot
	}
	if p.onFailure == Escalate && p.parent != nil || s != nil && s.reports != own.NoEnds {
		return zap.DebugLevel
	}
	return zap.ErrorLevel
}

var anyType = reflect.TypeFor[any]()
