// Package event has the kinds of events that a system reports to its log and to Config.OnEvent. An
// actor.EventRecord has one of them in its field Kind.
package event

import (
	"fmt"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Kind is the kind of an event. Its String is the value of the key "event" in log entries, which is
// stable.
type Kind uint8

const (
	Spawn Kind = iota + 1 // a tasklet was started
	Exit                  // a tasklet has finished; Err is its result
	// Failure means that a message or round failed and the tasklet continues, or that a deferred
	// call panicked.
	Failure
	// MessageLost means that the message in hand at a failure will not be handled again.
	MessageLost
	DeadLetter    // messages will not be read; fields count and reason
	Overflow      // a full mailbox dropped a message
	Kill          // Kill was called
	KillRecovered // a tasklet recovered its kill and continues
	Close         // a ref was closed
	Deadlock      // tasklets wait for each other; field chain
	Stall         // a tasklet keeps its scheduler
	StallOver     // the stall is over
	StopTimeout   // a tasklet did not stop in time and was detached
	Leak          // a tasklet is left behind when its system has stopped
	ReplyLate     // an answer came too late for its call
	CallTimeout   // a call ended before its reply
	Escalate      // the failure of a tasklet kills its parent
	TicksMissed   // RateBody skipped calls; field missed
	SystemStart   // a system was started
	SystemStop    // a system has stopped
	// Crash means that a scheduler ends because a function outside of tasklets has panicked; field
	// scheduler.
	Crash
	HookPanic     // Config.OnEvent panicked, ended its goroutine or tried to park a tasklet
	HookStall     // Config.OnEvent does not return
	LogPanic      // Config.Logger panicked or ended its goroutine
	LogStall      // Config.Logger does not return
	EventsDropped // events were not delivered; field reason
	// NotRestarted means that a child of package supervisor has failed, and its supervisor does not
	// restart it because it ends, drains, or has stopped the child with its group.
	NotRestarted
)

// firstNew and all larger kinds are for New.
const firstNew = 64

type kindInfo struct {
	name  string
	level zapcore.Level
}

var kinds = [256]kindInfo{
	Spawn:         {"spawn", zap.DebugLevel},
	Exit:          {"exit", zap.WarnLevel}, // see exitLevel
	Failure:       {"failure", zap.WarnLevel},
	MessageLost:   {"message_lost", zap.WarnLevel}, // debug if the entry of the end has it
	DeadLetter:    {"dead_letter", zap.WarnLevel},
	Overflow:      {"overflow", zap.WarnLevel},
	Kill:          {"kill", zap.DebugLevel},
	KillRecovered: {"kill_recovered", zap.WarnLevel},
	Close:         {"close", zap.DebugLevel},
	Deadlock:      {"deadlock", zap.ErrorLevel}, // soft ones warn
	Stall:         {"stall", zap.ErrorLevel},
	StallOver:     {"stall_over", zap.WarnLevel},
	StopTimeout:   {"stop_timeout", zap.ErrorLevel},
	Leak:          {"leak", zap.ErrorLevel},
	ReplyLate:     {"reply_late", zap.WarnLevel},
	CallTimeout:   {"call_timeout", zap.WarnLevel},
	Escalate:      {"escalate", zap.ErrorLevel}, // debug if the end of the parent is handled
	TicksMissed:   {"ticks_missed", zap.WarnLevel},
	SystemStart:   {"system_start", zap.InfoLevel},
	SystemStop:    {"system_stop", zap.InfoLevel},
	Crash:         {"crash", zap.ErrorLevel},
	HookPanic:     {"hook_panic", zap.ErrorLevel},
	HookStall:     {"hook_stall", zap.ErrorLevel},
	LogPanic:      {"log_panic", zap.ErrorLevel},
	LogStall:      {"log_stall", zap.ErrorLevel},
	EventsDropped: {"events_dropped", zap.WarnLevel},
	NotRestarted:  {"not_restarted", zap.WarnLevel}, // see failureLevel
}

// String returns the name in snake case.
func (k Kind) String() string {
	if n := kinds[k].name; n != "" {
		return n
	}
	return "unknown"
}

// Level returns the level at which events of kind k are logged. An [Exit] and a [Failure] are
// logged at a level that depends on the error, and a [Deadlock] that can time out at warn.
func (k Kind) Level() zapcore.Level { return kinds[k].level }

// New adds a kind of event for a package that extends systems, see actor.Extension, and returns it.
// name is in snake case; it is also the text of the log entries, after the path. At level warn and
// above one entry a second is written for each path, and further events are counted.
//
// New must be called before systems start, from init or for a variable of the package. It panics if
// another kind has the name, or if there are too many kinds: 192.
func New(name string, level zapcore.Level) Kind {
	free := 0
	for k := len(kinds) - 1; k > 0; k-- {
		switch {
		case kinds[k].name == name:
			misuse("New(%q): another kind of event has the name", name)
		case kinds[k].name == "" && k >= firstNew:
			free = k
		}
	}
	if free == 0 {
		misuse("New(%q): there are too many kinds of events", name)
	}
	kinds[free] = kindInfo{name, level}
	return Kind(free)
}

func misuse(format string, args ...any) { panic("event: " + fmt.Sprintf(format, args...)) }
