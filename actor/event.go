package actor

import (
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/mailbox"
)

// An Event tells of something that happened in a system. All of them go through one place, in order, one at a time; the log is
// one consumer, Config.OnEvent another.
type Event struct {
	Seq     uint64 // counts from 1, without gaps
	Time    time.Time
	Kind    EventKind
	Tasklet *Tasklet // whom it concerns; nil if nobody in the tree
	Path    string   // of the tasklet, as it was then
	Err     error
	Stack   []byte
	Message reflect.Type // of the message concerned; never its contents
	Count   int          // how many messages are concerned; 0 where that means nothing
	Soft    bool         // of a deadlock: somebody in it can time out
	Fields  []zap.Field  // what else is to be logged
}

// EventKind says what happened. Its String is the value of the key "event" in log entries, which is stable.
type EventKind uint8

const (
	EventSpawn         EventKind = iota + 1 // a tasklet was started
	EventExit                               // a tasklet has finished; Err is its result
	EventFailure                            // a message or round failed, and the tasklet goes on; or a deferred call panicked
	EventMessageLost                        // the message in hand at a failure will not be handled again
	EventDeadLetter                         // messages will never be read; fields count and reason
	EventOverflow                           // a mailbox dropped a message: it was full
	EventKill                               // somebody called Kill
	EventKillRecovered                      // a tasklet recovered its kill and goes on
	EventClose                              // a ref was closed
	EventDeadlock                           // tasklets wait for each other; field chain
	EventStall                              // a tasklet keeps its scheduler
	EventStallOver                          // and has given it up
	EventStopTimeout                        // a tasklet did not stop in its time and was detached
	EventLeak                               // a tasklet is left when its system has stopped
	EventReplyLate                          // a reply that nobody waits for any more
	EventCallTimeout                        // a call ended before its reply
	EventEscalate                           // the failure of a tasklet kills its parent
	EventTicksMissed                        // AtRate skipped calls; field missed
	EventSystemStart
	EventSystemStop
	// EventUser and all above are for other packages: see System.Emit and RegisterEvent.
	EventUser EventKind = 64
)

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
}

// RegisterEvent gives a kind of EventUser or above its name, which is also the text of its log entries, after the path, and its
// level. To be called before systems start, from init.
func RegisterEvent(k EventKind, name string, level zapcore.Level) EventKind {
	if k < EventUser || kinds[k].name != "" {
		misuse("RegisterEvent(%d, %q): the kind is reserved or taken", k, name)
	}
	kinds[k] = kindInfo{name, level}
	return k
}

// String is the name, in snake_case.
func (k EventKind) String() string {
	if n := kinds[k].name; n != "" {
		return n
	}
	return "unknown"
}

// level is the one at which e is logged.
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

// exitLevel: a panic is an error, another failure a warning. Who was killed by Kill is told of for information; who was stopped
// with its parent, or ended normally, for debugging.
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

// events is the one place.
type events struct {
	// Set in init, then read-only.
	sys    *System
	logger *zap.Logger // with the field system
	core   zapcore.Core

	hook func(Event)

	// off is set when the hook has panicked, and read by everybody who asks whether there is somebody to be told.
	off atomic.Bool

	// mu protects the following.
	mu      sync.Mutex
	seq     uint64
	telling bool      // somebody is at it, and owns limits
	queue   []Event   // what has come meanwhile: from other goroutines, from the hook itself, or by EmitLater
	told    sync.Cond // telling has become false

	limits map[EventKind]*limit
}

func (v *events) init(s *System, cfg Config) {
	logger := cfg.Logger
	if logger == nil {
		enc := zap.NewDevelopmentEncoderConfig()
		enc.CallerKey = ""
		logger = zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(os.Stderr), zap.WarnLevel))
	}
	v.sys, v.hook = s, cfg.OnEvent
	v.told.L = &v.mu
	v.logger = logger.WithOptions(zap.WithClock(logClock{s})).With(zap.String("system", s.name))
	v.core = v.logger.Core()
	v.limits = map[EventKind]*limit{EventDeadLetter: {}, EventOverflow: {}, EventStall: {}}
}

// logClock gives log entries the time of the system.
type logClock struct{ s *System }

func (c logClock) Now() time.Time                         { return c.s.Now() }
func (c logClock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

// wants reports whether anybody wants to know of events of kind k. Budget: a few nanoseconds.
func (s *System) wants(k EventKind) bool { return s.events.wants(kinds[k].level) }

// Wants reports whether anybody would see an event of kind k: if not, what is expensive about it need not be made. From any
// goroutine.
func (s *System) Wants(k EventKind) bool { return s.wants(k) }

func (s *System) wantsExit(t *Tasklet, k ExitKind) bool { return s.events.wants(exitLevel(t, k)) }

func (v *events) wants(level zapcore.Level) bool { return v.hooked() || v.core.Enabled(level) }

func (v *events) hooked() bool { return v.hook != nil && !v.off.Load() }

// Emit puts an event into the system's log and gives it to OnEvent; Seq, Time and an empty Path are filled in. From any goroutine.
func (s *System) Emit(e Event) { s.emit(e) }

func (s *System) emit(e Event) {
	if s.events.wants(e.level()) {
		s.events.put(e)
	}
}

// EmitLater gives e its place in the order of events, as Emit does, but leaves it to the next Emit or EmitNow to tell it: for those
// who hold a lock that OnEvent might want. From any goroutine.
func (s *System) EmitLater(e Event) {
	if v := &s.events; v.wants(e.level()) {
		e.fillPath()
		v.mu.Lock()
		v.place(&e)
		v.queue = append(v.queue, e)
		v.mu.Unlock()
	}
}

// EmitNow tells what EmitLater has left.
func (s *System) EmitNow() {
	v := &s.events
	v.mu.Lock()
	if v.telling || len(v.queue) == 0 {
		v.mu.Unlock()
		return
	}
	v.telling = true
	v.mu.Unlock()
	v.tell(v.next())
}

func (e *Event) fillPath() {
	if e.Path == "" && e.Tasklet != nil {
		e.Path = e.Tasklet.Path()
	}
}

// place gives e its number. Under mu.
func (v *events) place(e *Event) {
	v.seq++
	e.Seq, e.Time = v.seq, v.sys.Now()
}

// put is apart because it allocates.
func (v *events) put(e Event) {
	e.fillPath()
	v.mu.Lock()
	v.place(&e)
	if v.telling || len(v.queue) > 0 {
		v.queue = append(v.queue, e)
		v.mu.Unlock()
		v.sys.EmitNow()
		return
	}
	v.telling = true
	v.mu.Unlock()
	v.tell(&e)
}

// tell gives e, and what comes meanwhile, to the log and to the hook, without a lock: the hook may kill somebody, which is
// another event. After telling was set.
func (v *events) tell(e *Event) {
	over := false
	defer func() {
		if !over { // the logger panicked: that is not for us to hide, but others must be told again
			v.mu.Lock()
			v.telling = false
			v.mu.Unlock()
		}
	}()
	for ; e != nil; e = v.next() {
		if level := e.level(); v.core.Enabled(level) {
			v.write(e, level)
		}
		if v.hooked() {
			v.call(*e)
		}
	}
	over = true
}

// next gives what has come meanwhile; nil, and telling is over, if nothing has.
func (v *events) next() *Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) == 0 {
		v.queue = nil
		v.telling = false
		v.told.Broadcast()
		return nil
	}
	e := v.queue[0]
	v.queue = v.queue[1:]
	return &e
}

func (s *System) emitExit(t *Tasklet, exit Exit) {
	if s.wantsExit(t, exit.Kind) {
		s.emit(exitEvent(t, exit))
	}
}

func exitEvent(t *Tasklet, exit Exit) Event {
	e := Event{Kind: EventExit, Tasklet: t, Path: exit.Path, Err: exit.Err, Message: messageType(t.inst)}
	if p, ok := exit.Err.(*PanicError); ok {
		e.Stack = p.Stack
	}
	return e
}

// call calls the hook.
func (v *events) call(e Event) {
	defer func() {
		if p := recover(); p != nil {
			v.off.Store(true)
			v.logger.Error("Config.OnEvent panicked and is not called any more",
				zap.String("event", "hook_panic"), zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	v.hook(e)
}

// limitWindow is the time in which one entry of a kind that can come in floods is written.
const limitWindow = time.Second

// limit keeps a flood of one kind of event out of the log: the first is written at once, those that follow within the window are
// counted, and the next one written says how many there were.
type limit struct {
	until      time.Time
	suppressed uint64 // entries
	messages   int    // that they were about
	last       Event
}

// held gives the fields that tell of what was suppressed, but for n entries about that many messages, and forgets it.
func (l *limit) held(n uint64, messages int) []zap.Field {
	n, messages = l.suppressed-n, l.messages-messages
	l.suppressed, l.messages = 0, 0
	if n == 0 {
		return nil
	}
	fields := []zap.Field{zap.Uint64("suppressed", n)}
	if messages > 0 {
		fields = append(fields, zap.Int("suppressed_messages", messages))
	}
	return fields
}

// write logs e.
func (v *events) write(e *Event, level zapcore.Level) {
	var fields []zap.Field
	if l := v.limits[e.Kind]; l != nil {
		if e.Time.Before(l.until) {
			l.suppressed++
			l.messages += e.Count
			l.last = *e
			return
		}
		l.until = e.Time.Add(limitWindow)
		fields = l.held(0, 0)
	}
	v.entry(e, level, fields)
}

func (v *events) entry(e *Event, level zapcore.Level, fields []zap.Field) {
	ce := v.logger.Check(level, message(e))
	if ce == nil {
		return
	}
	fields = append(fields, zap.String("event", e.Kind.String()))
	if t := e.Tasklet; t != nil {
		fields = append(fields, zap.Stringer("tasklet", t.ID()), zap.String("path", e.Path), zap.String("kind", t.kindName()))
	}
	if e.Tasklet == nil && e.Path != "" {
		fields = append(fields, zap.String("path", e.Path)) // the name of a ref that nobody reads yet
	}
	if e.Message != nil {
		fields = append(fields, zap.Stringer("message", e.Message))
	}
	if e.Count > 0 {
		fields = append(fields, zap.Int("count", e.Count))
	}
	if e.Err != nil {
		fields = append(fields, zap.Error(e.Err))
	}
	fields = append(fields, e.Fields...)
	if e.Stack != nil {
		fields = append(fields, zap.ByteString("stack", e.Stack))
	}
	ce.Write(fields...)
}

// flush writes what the limits held back, when the system has stopped, after all that is being told.
func (v *events) flush() {
	v.mu.Lock()
	for v.telling {
		v.told.Wait()
	}
	v.telling = true
	v.mu.Unlock()
	for _, k := range []EventKind{EventDeadLetter, EventOverflow, EventStall} {
		if l := v.limits[k]; l.suppressed > 0 {
			v.entry(&l.last, l.last.level(), l.held(1, l.last.Count)) // the last is written, and tells of the others
		}
	}
	if e := v.next(); e != nil {
		v.tell(e)
	}
}

// message is the text of an entry: a sentence that needs no field to be understood.
func message(e *Event) string {
	who := e.Path
	switch e.Kind {
	case EventExit:
		switch KindOf(e.Err) {
		case ExitNormal:
			return who + " ended"
		case ExitShutdown:
			return who + " shut down"
		}
		// What it returned may tell of the kill or panic of another, as the error of a Join does.
		if e.Err == ErrKilled {
			return who + " was killed"
		} else if _, own := e.Err.(*PanicError); own {
			return who + " panicked"
		}
		return who + " failed"
	case EventSpawn:
		return who + " started"
	case EventFailure:
		return who + " failed and goes on"
	case EventMessageLost:
		return who + " lost the message in hand"
	case EventDeadLetter:
		return "messages to " + who + " will not be read"
	case EventOverflow:
		return who + " drops messages: its mailbox is full"
	case EventKill:
		return who + " is being killed"
	case EventKillRecovered:
		return who + " recovered its kill and goes on"
	case EventClose:
		return who + " is closed"
	case EventDeadlock:
		if e.Soft {
			return "possible deadlock"
		}
		return "deadlock"
	case EventStall:
		return who + " keeps its scheduler: nothing else can run"
	case EventStallOver:
		return who + " gave up its scheduler again"
	case EventStopTimeout:
		return who + " did not stop in its time and is left behind"
	case EventLeak:
		return who + " is left behind"
	case EventReplyLate:
		if who == "" {
			return "nobody waits for a reply from outside"
		}
		return "nobody waits for the reply of " + who
	case EventCallTimeout:
		return "call of " + who + " got no reply in time"
	case EventEscalate:
		return "failure of " + who + " kills its parent"
	case EventTicksMissed:
		return who + " missed calls"
	case EventSystemStart:
		return "system started"
	case EventSystemStop:
		return "system stopped"
	}
	if who == "" {
		return e.Kind.String()
	}
	return who + ": " + e.Kind.String()
}

// kindName is the kind of t for trees and logs: a label if there is one, else that of its body.
func (t *Tasklet) kindName() string {
	if v, ok := t.label("kind"); ok {
		return v
	}
	if t == t.sys.root {
		if _, ok := t.inst.(function); ok {
			return "main"
		}
	}
	return t.inst.kind()
}

// fields are those of t.Log.
func (t *Tasklet) fields() []zap.Field {
	return []zap.Field{zap.Stringer("tasklet", t.ID()), zap.String("path", t.Path())}
}

// reportFailure tells of a message or round that failed, after which t goes on.
func (t *Tasklet) reportFailure(err error) {
	if l := t.inst.line(); l != nil {
		l.settle(t, err)
	}
	e := Event{Kind: EventFailure, Tasklet: t, Err: err, Message: messageType(t.inst)}
	if p, ok := err.(*PanicError); ok {
		e.Stack = p.Stack
	}
	if b, ok := t.inst.(interface{ inHand() int }); ok {
		e.Count = b.inHand()
	}
	t.sys.emit(e)
}

// deadLetters reports messages of l that will not be read.
func (s *System) deadLetters(l refLine, t *Tasklet, loss mailbox.Loss) {
	path := l.name()
	if t != nil {
		path = t.Path()
	}
	reason := "closed"
	if loss.Reason == mailbox.ErrDropped {
		reason = "dropped"
		s.emit(Event{Kind: EventOverflow, Tasklet: t, Path: path, Message: loss.Type})
	} else if loss.Reason == mailbox.ErrFull {
		reason = "full"
	}
	s.emit(Event{
		Kind: EventDeadLetter, Tasklet: t, Path: path, Err: loss.Reason, Message: loss.Type, Count: loss.Count,
		Fields: []zap.Field{zap.String("target", path), zap.String("reason", reason)},
	})
}
