package actor

import (
	"fmt"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/internal/fields"
)

// events is the one place.
type events struct {
	// Set in init, then read-only.
	sys    *System
	logger *zap.Logger // for the library's own entries
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
	v.sys, v.hook = s, cfg.OnEvent
	v.told.L = &v.mu
	s.log, v.logger = s.loggers(cfg.Logger)
	v.core = v.logger.Core()
	v.limits = map[EventKind]*limit{EventDeadLetter: {}, EventOverflow: {}, EventStall: {}}
}

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

// call calls the hook.
func (v *events) call(e Event) {
	defer func() {
		if p := recover(); p != nil {
			v.off.Store(true)
			v.logger.Error("Config.OnEvent panicked and is not called any more",
				zap.String("event", "hook_panic"), zap.String("panic", fields.Value(fmt.Sprint(p))), zap.Stack("stack"))
		}
	}()
	v.hook(e)
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
