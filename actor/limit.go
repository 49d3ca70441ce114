package actor

import (
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor/event"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// limitWindow is the time in which one entry of a kind about one path is written.
	limitWindow = time.Second
	// limitKeys is how many kinds and paths have windows of their own at a time.
	limitKeys = 1024
)

// limits keep floods out of the log. They go by the kind and the path of events: the first is
// written at once, those that follow within a second are counted, and when that second is over the
// last of them is written, with the number of the others. So what is held back is written a second
// later at most, and the events of each kind and path are its entries and what these say was
// suppressed, together. If something was held back another second begins, else the window is
// forgotten.
//
// Limited are events at level warn and above, and exits. Others are for information, and rare, or
// for debugging.
//
// Memory is bounded: while limitKeys windows are open, what would need another one goes into one
// window for its kind, whatever its path; its entries say so by the field "several_paths".
//
// With the real clock a timer sees to the end of the windows, and the teller writes: no scheduler
// has to do anything for it. With a virtual clock it is done before time goes on, without a timer:
// that would let time go on by itself, and keep a system from being quiescent.
//
// All but due and timer is owned by the teller. Rejected: a limit for each kind, under which the
// second target of a flood is never named.
type limits struct {
	open map[limitKey]*limit
	// those of open in the order in which their windows end, which is that of their begin
	queue []*limit
	ended bool // the system has stopped: nothing is held back any more

	// due is when the first window ends that holds something back, in ns since 1970; 0: none does.
	// Atomic: written by the teller, read before a virtual clock jumps, to see whether there is
	// something to be written.
	due atomic.Int64

	// of the real clock; nil: not made yet. Set by the teller; it runs as long as something is held
	// back
	timer *time.Timer
}

type limitKey struct {
	kind event.Kind
	path string
	rest bool // it is for all paths that have no window of their own
}

// limit is one window.
type limit struct {
	key   limitKey
	until time.Time
	held  uint64 // events that were not written; one of them is last
	count int    // of messages that they are about
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

// endWindows ends the windows that are over at a time. On the teller.
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
			at = now // entries are in the order of their times, also if the timer was late
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

// arm sees to the end of the first window that holds something back. On the teller.
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

// windowsOver is called by the timer.
func (v *events) windowsOver() {
	v.later(func() {
		v.limits.due.Store(0) // so that the timer is started anew
		v.endWindows(v.sys.Now())
		v.arm()
	})
}

// beforeJump is called when a virtual clock is about to go on to a time.
// What it writes has the time at which its window ends.
func (v *events) beforeJump(to time.Time) {
	if due := v.limits.due.Load(); due != 0 && due <= to.UnixNano() {
		v.put(&telling{job: func() { v.endWindows(to) }})
	}
}

// endLimits writes all that is held back, and lets nothing be held back from then on. On the
// teller, when the system has stopped.
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
