package actor

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/stack"
)

// events is the one place through which all events of a system go. An event gets its number in the
// step that emits it. The teller, a goroutine that exists as long as there are events to deliver,
// delivers it to the two sinks: the log and Config.OnEvent. So a sink that panics, ends its
// goroutine or blocks affects no tasklet and no scheduler.
//
// An emitter that finds no teller at work starts one, and waits until its event is delivered. So
// the log has the event before the tasklet continues, and with one scheduler a sink never runs at
// the same time as a tasklet. An emitter that finds the teller at work leaves its event in the
// queue and continues. The queue holds at most queueShare events of each scheduler, and as many of
// all other goroutines together. The emitter of one more waits. So a flood is slowed down at its
// source, and nobody waits for more than its own share. An event that a sink itself emits never
// waits, but is dropped if maxOwn such events are in the queue. When the system ends, events that
// are not delivered within twice sinkPatience are dropped. The event "events_dropped" counts all
// that were dropped.
//
// A sink that panics or ends its goroutine is not called again. That is reported by one event, and
// for the log also by one line on standard error. A sink that does not return within sinkPatience
// is skipped until it returns: another goroutine becomes the teller and calls the other sink. That
// is reported by one event too, and the events that the sink has missed are counted when it
// returns.
//
// Rejected: delivery on the stack of the emitter, because a Goexit of a sink would end the
// scheduler, and an emitter that found nobody at work would write for all others. Rejected: a
// permanent goroutine, because it would have to be ended with the system, and emitters after that
// would need another one anyway.
type events struct {
	// Set in init, then read-only.
	sys    *System
	logger *zap.Logger // for the library's own entries
	core   zapcore.Core
	hook   func(EventRecord)
	pure   bool // core.Enabled calls no user code

	// The sinks. Atomic: written by the teller and by look, and read by every goroutine that asks
	// whether an event is wanted.
	log, on sink

	// observers get each event in the step that numbers it, with mu held. Atomic: read by every
	// goroutine that asks whether an event is wanted, and replaced under mu.
	observers atomic.Pointer[[]*observer]

	// busy is teller != nil, for goroutines that do not hold mu. An emitter must know before it
	// waits that it is not the teller itself.
	busy atomic.Bool

	// mu protects the following.
	mu     sync.Mutex
	seq    uint64
	teller *teller // owns limits; nil if there is nothing to deliver
	now    *telling
	queue  []*telling
	own    int // the number of events in now and queue that the sinks emitted
	lost   int // events that were dropped and are not reported yet
	// shares holds a token for each event in queue, by the number of the emitter's scheduler, or 0.
	shares map[uint32]chan struct{}
	waiter *telling    // the event whose emitter started the teller and waits
	wait   span        // of that wait
	watch  *time.Timer // calls look; nil until it is needed
	looks  bool        // watch is running

	limits limits
}

// teller is a goroutine that delivers events. It is replaced when events.teller is another one.
type teller struct {
	// Protected by events.mu.
	at   *sink // the sink that it calls or is about to call, or nil
	call span  // of that call
}

// span measures how long something takes, for look.
type span struct {
	begin time.Time
	seen  int // the number of times that look has seen it
}

// exceeds reports whether it takes longer than patience. Each call counts as one more look. Real
// time alone is not enough: while the whole process is stopped, or waits for a processor, it passes
// although nobody is slow.
func (s *span) exceeds(patience time.Duration) bool {
	s.seen++
	return s.seen >= samples && time.Since(s.begin) >= patience
}

// telling is an event to be delivered, or a job for the teller.
type telling struct {
	EventRecord
	job   func()        // done instead of an event; it may write to the log
	stage int           // the number of sinks called so far; owned by the teller
	share chan struct{} // holds a token for this event, or nil if it counts in no share
	own   bool          // emitted by a sink
	told  bool          // delivered; events.mu protects it
	over  chan struct{} // closed when its emitter may continue; nil if the emitter does not wait
}

const (
	// queueShare is the number of events of one scheduler that may wait for delivery.
	queueShare = 64
	// samples is the number of looks in the time that a sink may take.
	samples = 4
	// maxOwn is the number of events emitted by the sinks themselves that may wait for delivery.
	maxOwn = 1024
)

func (v *events) init(s *System, cfg Config) {
	v.sys, v.hook = s, cfg.OnEvent
	s.log, v.logger = s.loggers(cfg.Logger)
	v.core = v.logger.Core()
	v.pure = pureLevel(reflect.ValueOf(v.core))
	v.shares = make(map[uint32]chan struct{})
}

// wants reports whether a sink wants events of kind k. Budget: a few nanoseconds.
func (s *System) wants(k event.Kind) bool { return s.events.wants(k.Level()) }

// takes reports whether anybody wants e. Observers want all messages that are lost, also those that
// the log has in the entry of an end.
func (v *events) takes(e *EventRecord) bool {
	return v.wants(e.level()) || e.Kind == event.MessageLost && v.observers.Load() != nil
}

func (v *events) wants(level zapcore.Level) bool {
	return v.hooked() || v.logs(level) || level >= zapcore.InfoLevel && v.observers.Load() != nil
}

func (v *events) hooked() bool { return v.hook != nil && !v.on.broken.Load() }

// logs reports whether the log wants entries of a level.
func (v *events) logs(level zapcore.Level) bool {
	if v.pure {
		return v.core.Enabled(level) && !v.log.broken.Load()
	}
	return v.asks(level)
}

// asks is logs for a core whose Enabled is user code. It is a separate function because it
// allocates.
func (v *events) asks(level zapcore.Level) (yes bool) {
	if v.log.broken.Load() {
		return false
	}
	if fault := guard.Call(func() { yes = v.core.Enabled(level) }); fault != nil {
		v.breaks(&v.log, fault)
		return false
	}
	return yes
}

// Emit writes an event to the system's log and passes it to OnEvent. It fills in Seq, Time and an
// empty Path. The caller may have to wait as long as the log or OnEvent takes, up to a second. Emit
// may be called from any goroutine, also by OnEvent.
func (s *System) Emit(e EventRecord) { s.emit(e) }

func (s *System) emit(e EventRecord) {
	s.counts.events[e.Kind].Add(1)
	if s.events.takes(&e) {
		s.events.put(&telling{EventRecord: e})
	}
}

// emitLater gives e its place in the order of events, like Emit, but never waits. Use it while a
// lock is held that OnEvent might need, and call emitNow after the lock is released. It may be
// called from any goroutine.
func (s *System) emitLater(e EventRecord) {
	s.counts.events[e.Kind].Add(1)
	if v := &s.events; v.wants(e.level()) {
		e.fillPath()
		own := v.busy.Load() && tellers.On() // a sink emits it; see called
		v.mu.Lock()
		defer v.mu.Unlock()
		if own && v.own >= maxOwn {
			v.lost++
			return
		}
		v.place(&e)
		v.queue = append(v.queue, &telling{EventRecord: e, own: own})
		if own {
			v.own++
		}
	}
}

// emitNow delivers the events of emitLater, and waits for that as Emit does.
func (s *System) emitNow() {
	v := &s.events
	v.mu.Lock()
	left := len(v.queue) > 0
	v.mu.Unlock()
	if left {
		v.put(&telling{job: func() {}})
	}
}

func (e *EventRecord) fillPath() {
	if e.Path == "" && e.Tasklet != nil {
		e.Path = e.Tasklet.Path()
	}
}

// place numbers e. mu must be held.
func (v *events) place(e *EventRecord) {
	v.seq++
	e.Seq, e.Time = v.seq, v.sys.Now()
	if all := v.observers.Load(); all != nil {
		tellObservers(*all, *e)
	}
}

// put queues it for delivery, and makes the caller wait as the comment on events says.
func (v *events) put(it *telling) {
	it.fillPath()
	if v.busy.Load() {
		if tellers.On() {
			it.own = true
		} else {
			it.share = v.token()
		}
	}
	v.mu.Lock()
	if it.own && v.own >= maxOwn {
		v.lost++
		v.mu.Unlock()
		return
	}
	if it.job == nil {
		v.place(&it.EventRecord)
	}
	v.queue = append(v.queue, it)
	if it.own {
		v.own++
	}
	if v.teller != nil {
		v.mu.Unlock()
		return
	}
	it.over = make(chan struct{})
	v.waiter, v.wait = it, span{begin: time.Now()}
	v.begin()
	v.mu.Unlock()
	<-it.over
}

// token returns when fewer than queueShare events of the caller's scheduler, or of the outside, are
// in the queue. It puts a token for one more into the share that it returns.
func (v *events) token() (share chan struct{}) {
	from := guard.Scheduler()
	v.mu.Lock()
	if share = v.shares[from]; share == nil {
		share = make(chan struct{}, queueShare)
		v.shares[from] = share
	}
	v.mu.Unlock()
	share <- struct{}{}
	return share
}

// begin starts a teller, which replaces the current one, if any. mu must be held.
func (v *events) begin() {
	v.teller = new(teller)
	v.busy.Store(true)
	go v.tell(v.teller)
	switch {
	case v.looks:
	case v.watch == nil:
		v.looks = true
		v.watch = time.AfterFunc(v.patience()/samples, v.look)
	default:
		v.looks = true
		v.watch.Reset(v.patience() / samples)
	}
}

// tell is the function of the teller's goroutine.
func (v *events) tell(me *teller) {
	returned := false
	defer func() {
		if !returned {
			v.died(me, recover())
		}
	}()
	for v.turn(me) {
	}
	returned = true
}

// tellers detects whether the caller runs inside turn, that is, on a teller.
var tellers guard.Frame

// turn calls one sink, or does a job. It returns false if there is nothing more to do for this
// teller.
//
//go:noinline
func (v *events) turn(me *teller) bool {
	tellers.Enter()
	it := v.take(me)
	if it == nil {
		return false
	}
	it.stage++
	switch {
	case it.job != nil:
		if v.calls(me, &v.log, false) {
			it.job()
		}
	case it.stage == 1:
		level := it.level()
		if v.calls(me, &v.log, !v.pure || v.core.Enabled(level)) && v.logs(level) {
			v.write(&it.EventRecord, level)
		}
	case it.stage == 2 && v.hook != nil && v.calls(me, &v.on, true):
		v.callHook(it.EventRecord)
	}
	return v.called(me, it)
}

// take returns the event that is being delivered, or else the next one. It returns nil if there is
// none, in which case the teller ends, or if me was replaced.
func (v *events) take(me *teller) *telling {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.teller != me:
		return nil
	case v.now != nil:
	case len(v.queue) == 0: // cut has emptied the queue
		v.rest()
		return nil
	default:
		v.now = v.queue[0]
		v.queue[0] = nil
		v.queue = v.queue[1:]
		if v.now.share != nil {
			<-v.now.share
		}
	}
	return v.now
}

// calls records that me is about to call k. It returns false if k must not be called. wants says
// that k wants the event, which then counts as missed.
func (v *events) calls(me *teller, k *sink, wants bool) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case k.broken.Load():
		return false
	case k.away.Load():
		if wants {
			k.missed.Add(1)
		}
		return false
	}
	me.at, me.call = k, span{begin: time.Now()}
	return true
}

// called ends a turn. It reports whether me has more to do.
func (v *events) called(me *teller, it *telling) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := me.at
	me.at = nil
	if v.teller != me { // k took so long that me was replaced
		if k != nil && k.away.Swap(false) {
			if n := k.missed.Swap(0); n > 0 {
				v.dropped(int(n), v.nameOf(k)+" did not return")
			}
		}
		return false
	}
	if it.job == nil && it.stage < 2 {
		return true
	}
	v.now = nil
	it.told = true
	if it.own {
		v.own--
	}
	if n := v.lost; n > 0 && v.own < maxOwn/2 {
		v.lost = 0
		v.dropped(n, "the log and Config.OnEvent are too slow")
	}
	if it.over != nil && it != v.waiter {
		close(it.over)
	}
	if len(v.queue) == 0 {
		// This comes before the emitter continues. Otherwise the emitter would find the teller at
		// work and not wait for its next event.
		v.rest()
		return false
	}
	// With one scheduler the waiter continues only when the events that the sinks emitted are
	// delivered too, because sinks run only while it waits.
	if w := v.waiter; w != nil && w.told && (v.own == 0 || len(v.sys.hosts) > 1) {
		v.release()
	}
	return true
}

// rest ends the teller, because there is nothing to deliver. mu must be held.
func (v *events) rest() {
	v.queue, v.teller = nil, nil
	v.busy.Store(false)
	v.release()
}

// release lets the emitter that started the teller continue. mu must be held.
func (v *events) release() {
	if v.waiter != nil {
		close(v.waiter.over)
		v.waiter = nil
	}
}

// callHook calls OnEvent.
func (v *events) callHook(e EventRecord) {
	guard.Begin()
	defer guard.End()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case guard.Refusal: // OnEvent tried to park a tasklet, and was refused
			v.problem(EventRecord{Kind: event.HookPanic, Err: core.NewPanicError(r)})
		default:
			panic(r)
		}
	}()
	guard.RunAsOnEvent(func() { v.hook(e) })
}

// died is called when a teller's goroutine ends because of a sink: by a panic with value r, or by
// runtime.Goexit if r is nil.
func (v *events) died(me *teller, r any) {
	fault := &guard.Fault{Value: r, Goexit: r == nil}
	if r != nil {
		fault.Stack = stack.Here()
	}
	v.mu.Lock()
	k := me.at
	me.at = nil
	v.mu.Unlock()
	if k != nil {
		v.breaks(k, fault)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.teller == me {
		v.begin() // it continues with the event that was being delivered
	}
}

// breaks makes k a sink that is not called again, and reports that.
func (v *events) breaks(k *sink, fault *guard.Fault) {
	k.away.Store(false)
	if k.broken.Swap(true) {
		return
	}
	e := EventRecord{Kind: event.HookPanic}
	if k == &v.log {
		e.Kind = event.LogPanic
	}
	if !fault.Goexit {
		e.Err, e.Stack = &PanicError{Value: fault.Value, Stack: fault.Stack}, fault.Stack
	}
	v.problem(e)
}

func (v *events) nameOf(k *sink) string {
	if k == &v.log {
		return "Config.Logger"
	}
	return "Config.OnEvent"
}

// stderr is where a logger that fails is reported.
var stderr io.Writer = os.Stderr

// problem reports e, a sink's fault, to the other sink, and a fault of the log to standard error
// too.
func (v *events) problem(e EventRecord) {
	if e.Kind == event.LogPanic || e.Kind == event.LogStall {
		text := "tasklet: system " + v.sys.name + ": " + message(&e)
		if e.Err != nil {
			text += ": " + guard.Text(e.Err)
		}
		go fmt.Fprintln(stderr, text) // standard error may be what blocks
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.add(e)
}

// dropped reports n events that were not delivered. mu must be held.
func (v *events) dropped(n int, why string) {
	v.add(EventRecord{Kind: event.EventsDropped, Count: n, Fields: []zap.Field{zap.String("reason", why)}})
}

// add emits e, which is about the sinks, without waiting. mu must be held.
func (v *events) add(e EventRecord) {
	e.Tasklet, e.Path = v.sys.root, "/"+v.sys.name
	v.sys.counts.events[e.Kind].Add(1)
	v.place(&e)
	v.queue = append(v.queue, &telling{EventRecord: e, own: true})
	v.own++
	if v.teller == nil {
		v.begin()
	}
}

// look checks at intervals, as long as there is a teller, whether a sink has not returned in time.
func (v *events) look() {
	v.mu.Lock()
	t := v.teller
	if t == nil {
		v.looks = false
		v.mu.Unlock()
		return
	}
	patience := v.patience()
	if v.waiter != nil && v.wait.exceeds(patience) {
		v.release()
	}
	k := t.at
	stuck := k != nil && t.call.exceeds(patience)
	if stuck {
		k.away.Store(true)
		v.begin()
	}
	v.watch.Reset(patience / samples)
	v.mu.Unlock()
	switch {
	case !stuck:
	case k == &v.log:
		v.problem(EventRecord{Kind: event.LogStall, Fields: []zap.Field{zap.Duration("for", patience)}})
	default:
		v.problem(EventRecord{Kind: event.HookStall, Fields: []zap.Field{zap.Duration("for", patience)}})
	}
}

// do makes the teller do job, after everything that is in the queue, and waits for it. If that
// takes twice as long as a sink may take for one event, the queue is dropped. The job is not done
// while the log is broken or has not returned.
func (v *events) do(job func()) {
	it := &telling{job: job, over: make(chan struct{})}
	v.mu.Lock()
	v.queue = append(v.queue, it)
	if v.teller == nil {
		v.begin()
	}
	v.mu.Unlock()
	// The limit is longer than it takes to detect that a sink blocks. It is counted in short waits,
	// as in exceeds.
	period := v.patience() / samples
	timer := time.NewTimer(period)
	defer timer.Stop()
	for range 2 * samples {
		select {
		case <-it.over:
			return
		case <-timer.C:
			timer.Reset(period)
		}
	}
	v.cut()
	<-it.over
}

// later makes the teller do job, after everything that is in the queue, and does not wait. The job
// is not done while the log is broken or has not returned. It may be called from any goroutine.
func (v *events) later(job func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.queue = append(v.queue, &telling{job: job})
	if v.teller == nil {
		v.begin()
	}
}

// cut drops the events in the queue.
func (v *events) cut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	var rest []*telling
	n := 0
	for _, it := range v.queue {
		switch {
		case it.job != nil || it.over != nil:
			rest = append(rest, it)
			continue
		case it.share != nil:
			<-it.share
		case it.own:
			v.own--
		}
		n++
	}
	v.queue = rest
	if n > 0 {
		v.queue = nil
		v.dropped(n, "the system has ended, and the log or Config.OnEvent is too slow")
		v.queue = append(v.queue, rest...)
	}
}

// flush writes what the limits hold back, after everything that is being delivered. It is called
// when the system has stopped.
func (v *events) flush() {
	v.do(v.endLimits)
	// This also delivers the report of a sink that fails during the flush.
	for range 4 {
		v.mu.Lock()
		left := v.teller != nil
		v.mu.Unlock()
		if left {
			v.do(func() {})
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.watch != nil && v.teller == nil {
		v.looks = !v.watch.Stop() && v.looks
	}
}
