package actor

import (
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor/event"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// limitWindow is the time in which one entry is written for each kind and path.
	limitWindow = time.Second
	// limitKeys is the number of kinds and paths that have windows of their own at a time.
	limitKeys = 1024
)

// limits keep floods out of the log. They apply to each kind and path of events. The first event is
// written at once, and a window of one second begins. Events that follow within the window are
// counted. When it is over, the last of them is written, with the number of the others, and another
// window begins. If nothing was held back, the window is forgotten instead. So an event that is
// held back is written at most a second later, and entries and suppressed events of a kind and path
// add up to all its events.
//
// Events at level warn and above, and exits, are limited. The others are for information, and rare,
// or for debugging.
//
// Memory is bounded. While limitKeys windows are open, events that would need another one share one
// window for their kind, whatever their paths. Its entries have the field "several_paths".
//
// With the real clock a timer ends the windows and the teller writes the entries, so no scheduler
// is needed for that. With a virtual clock it is done before the clock jumps, without a timer: a
// timer of the scheduler would make time advance, and an idle system would not be quiescent.
//
// The teller owns everything except due and timer. Rejected: a limit for each kind, under which the
// second target of a flood is never named.
type limits struct {
	open map[limitKey]*limit
	// queue has the windows in open in the order in which they began, which is that in which they
	// end.
	queue []*limit
	ended bool // the system has stopped, and nothing is held back any more

	// due is the end of the first window that holds something back, in ns since 1970, or 0 if none
	// does. Atomic: written by the teller; read before a virtual clock jumps, to see whether an
	// entry must be written.
	due atomic.Int64

	// timer is a timer of the real clock, or nil until it is needed. Set by the teller. It runs as
	// long as something is held back.
	timer *time.Timer
}

type limitKey struct {
	kind event.Kind
	path string
	rest bool // for all paths that have no window of their own
}

// limit is one window.
type limit struct {
	key   limitKey
	until time.Time
	held  uint64 // the number of events that were not written, including last
	count int    // the number of messages that they concern
	last  EventRecord
}

// limited reports whether events like e are limited.
func (e *EventRecord) limited(level zapcore.Level) bool {
	return level >= zap.WarnLevel || e.Kind == event.Exit && level == zap.InfoLevel
}

// write logs e, or counts it.
func (v *events) write(e *EventRecord, level zapcore.Level) {
	ls := &v.limits
	if ls.ended || !e.limited(level) {
		v.entry(e, level, nil)
		return
	}
	v.endWindows(e.Time)
	key := limitKey{kind: e.Kind, path: e.Path}
	l := ls.open[key]
	if l == nil && len(ls.open) >= limitKeys {
		key = limitKey{kind: e.Kind, rest: true}
		l = ls.open[key]
	}
	if l == nil {
		if ls.open == nil {
			ls.open = make(map[limitKey]*limit)
		}
		l = &limit{key: key}
		ls.open[key] = l
		l.begin(ls, e.Time)
		v.entry(e, level, nil)
		return
	}
	l.held++
	l.count += e.Count
	l.last = *e
	if l.held == 1 {
		v.arm()
	}
}

// begin opens a window.
func (l *limit) begin(ls *limits, at time.Time) {
	l.until, l.held, l.count, l.last = at.Add(limitWindow), 0, 0, EventRecord{}
	ls.queue = append(ls.queue, l)
}

// endWindows ends the windows that are over at the time now. It must be called on the teller.
func (v *events) endWindows(now time.Time) {
	ls := &v.limits
	n := 0
	for n < len(ls.queue) && !ls.queue[n].until.After(now) {
		n++
	}
	if n == 0 {
		return
	}
	over := ls.queue[:n:n]
	ls.queue = ls.queue[n:]
	for _, l := range over {
		if l.held == 0 {
			delete(ls.open, l.key)
			continue
		}
		at := l.until
		if v.sys.real {
			at = now // keeps entries in the order of their times if the timer was late
		}
		v.tellHeld(l, at)
		l.begin(ls, now)
	}
	v.arm()
}

// tellHeld writes what l holds back: the last event, with the number of the others.
func (v *events) tellHeld(l *limit, at time.Time) {
	e := l.last
	e.Time = at
	var more []zap.Field
	if n := l.held - 1; n > 0 {
		more = append(more, zap.Uint64("suppressed", n))
		if messages := l.count - e.Count; messages > 0 {
			more = append(more, zap.Int("suppressed_messages", messages))
		}
		if l.key.rest {
			more = append(more, zap.Bool("several_paths", true))
		}
	}
	v.entry(&e, e.level(), more)
}

// arm sets due and the timer to the end of the first window that holds something back. It must be
// called on the teller.
func (v *events) arm() {
	ls := &v.limits
	due := int64(0)
	for _, l := range ls.queue {
		if l.held > 0 {
			due = l.until.UnixNano()
			break
		}
	}
	if ls.due.Swap(due) == due || !v.sys.real {
		return
	}
	switch wait := time.Until(time.Unix(0, due)); {
	case due == 0:
		if ls.timer != nil {
			ls.timer.Stop()
		}
	case ls.timer == nil:
		ls.timer = time.AfterFunc(wait, v.windowsOver)
	default:
		ls.timer.Reset(wait)
	}
}

// windowsOver is the function of the timer.
func (v *events) windowsOver() {
	v.later(func() {
		v.limits.due.Store(0) // makes arm start the timer again
		v.endWindows(v.sys.Now())
		v.arm()
	})
}

// beforeJump is called when a virtual clock is about to jump to a time. The entries that it writes
// have the times at which their windows end.
func (v *events) beforeJump(to time.Time) {
	if due := v.limits.due.Load(); due != 0 && due <= to.UnixNano() {
		v.put(&telling{job: func() { v.endWindows(to) }})
	}
}

// endLimits writes everything that is held back, and lets nothing be held back from then on. It
// must be called on the teller, when the system has stopped.
func (v *events) endLimits() {
	ls := &v.limits
	now := v.sys.Now()
	for _, l := range ls.queue {
		if l.held > 0 {
			v.tellHeld(l, now)
		}
	}
	ls.open, ls.queue, ls.ended = nil, nil, true
	v.arm()
}
