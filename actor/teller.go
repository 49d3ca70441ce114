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

// events is the one place through which all events of a system go. Each gets its number in the step
// that emits it, and is told to the two sinks, the log and Config.OnEvent, by the teller: a
// goroutine that lives as long as there is something to tell. So a sink that panics, ends its
// goroutine or blocks hits no tasklet and no scheduler.
//
// An emitter that finds no teller at work makes one, and waits until its event is told: the log has
// it before the tasklet goes on, and with one scheduler a sink never runs at the same time as a
// tasklet. An emitter that finds the teller at work leaves its event in the queue and goes on. Of
// each scheduler, and of all goroutines outside together, at most queueShare events are in the
// queue: the emitter of a further one waits. So a flood is held up at its source, and nobody waits
// for more than its own share. What a sink itself emits is never held up, but dropped when maxOwn
// of that are in the queue. When the system ends, what is not told within twice sinkPatience is
// dropped. What was dropped is counted in the event "events_dropped".
//
// A sink that panics or ends its goroutine is not called any more: one event, and for the log also
// one line on standard error. One that does not return within sinkPatience is passed over until it
// does: another goroutine becomes the teller, and tells the other sink. That is one event as well,
// and those that the sink has missed are counted when it is back.
//
// Rejected: telling on the emitter's stack, as before: a Goexit of a sink ended the scheduler, and
// the one that found nobody at work wrote for all others. A goroutine that is kept: it would have
// to be ended with the system, and emitters after that need another one all the same.
type events struct {
	// Set in init, then read-only.
	sys    *System
	logger *zap.Logger // for the library's own entries
	core   zapcore.Core
	hook   func(EventRecord)
	pure   bool // core.Enabled calls no code of the user's

	// The sinks: atomics, written by the teller and by look, read by everybody who asks whether
	// there is somebody to be told.
	log, on sink

	// busy is teller != nil for those who do not hold mu: an emitter that is about to wait must not
	// be the teller itself.
	busy atomic.Bool

	// mu protects the following.
	mu     sync.Mutex
	seq    uint64
	teller *teller // owns limits; nil: there is nothing to tell
	now    *telling
	queue  []*telling
	own    int // how many of now and queue were emitted by the sinks
	lost   int // dropped, and not yet reported
	// by the number of the emitter's scheduler, 0 for goroutines: a token for each in queue
	shares map[uint32]chan struct{}
	waiter *telling    // its emitter made the teller, and waits
	since  time.Time   // for so long
	watch  *time.Timer // calls look; nil: not made yet
	looks  bool        // it runs

	limits limits
}

// teller is a goroutine that tells events. It is the one until events.teller is another.
type teller struct {
	// Protected by events.mu.
	at    *sink     // that it has called, or is about to; nil: none
	since time.Time // when
}

// telling is an event on its way, or a job for the teller.
type telling struct {
	EventRecord
	job   func()        // instead of an event; it may write to the log
	stage int           // owned by the teller: how many sinks have been called
	share chan struct{} // holds a token for it; nil: it is of nobody's share
	own   bool          // emitted by a sink
	told  bool          // events.mu protects it
	over  chan struct{} // closed when its emitter may go on; nil: that does not wait
}

// sink is the log or OnEvent.
type sink struct {
	broken atomic.Bool  // it is not called any more
	away   atomic.Bool  // it was called, and has not returned in time
	missed atomic.Int64 // events
}

const (
	// queueShare is how many events of one scheduler wait to be told before it is held up.
	queueShare = 64
	// maxOwn is how many events that the sinks themselves emit wait to be told.
	maxOwn = 1024
)

// sinkPatience is how long a sink may take for one event before it is passed over, simPatience the
// same in a simulation, where the load of the machine should not decide what happens.
const (
	sinkPatience = time.Second
	simPatience  = 20 * time.Second
)

func (v *events) patience() time.Duration {
	if v.sys.sim != nil {
		return simPatience
	}
	return sinkPatience
}

func (v *events) init(s *System, cfg Config) {
	v.sys, v.hook = s, cfg.OnEvent
	s.log, v.logger = s.loggers(cfg.Logger)
	v.core = v.logger.Core()
	v.pure = pureLevel(reflect.ValueOf(v.core))
	v.shares = make(map[uint32]chan struct{})
}

// wants reports whether anybody wants to know of events of kind k. Budget: a few nanoseconds.
func (s *System) wants(k event.Kind) bool { return s.events.wants(k.Level()) }

func (v *events) wants(level zapcore.Level) bool { return v.hooked() || v.logs(level) }

func (v *events) hooked() bool { return v.hook != nil && !v.on.broken.Load() }

// logs reports whether the log wants entries of a level.
func (v *events) logs(level zapcore.Level) bool {
	if v.pure {
		return v.core.Enabled(level) && !v.log.broken.Load()
	}
	return v.asks(level)
}

// asks is logs for a core whose Enabled is code of the user's. Apart because it allocates.
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

// pureLevel reports whether Enabled of the core calls nothing but code of zap and of the standard
// library.
func pureLevel(core reflect.Value) bool {
	for core.Kind() == reflect.Interface {
		core = core.Elem()
	}
	if !core.IsValid() {
		return true
	}
	switch core.Type().String() {
	case "zapcore.nopCore", "*slog.defaultHandler", "slog.Level", "*slog.LevelVar":
		return true
	case "zapcore.Level", "zap.AtomicLevel", "*zap.AtomicLevel":
		return true
	case "*zapcore.ioCore", "*observer.contextObserver":
		return pureLevel(core.Elem().FieldByName("LevelEnabler"))
	case "zapcore.multiCore":
		for i := range core.Len() {
			if !pureLevel(core.Index(i)) {
				return false
			}
		}
		return true
	case "actor.clockCore":
		return pureLevel(core.FieldByName("Core"))
	case "actor.slogCore":
		return pureLevel(core.FieldByName("h"))
	case "*slog.JSONHandler", "*slog.TextHandler":
		common := core.Elem().FieldByName("commonHandler")
		return common.IsValid() && pureLevel(common.Elem().FieldByName("opts").FieldByName("Level"))
	}
	return false
}

// Emit writes an event to the system's log and passes it to OnEvent. It fills in Seq, Time and an
// empty Path. The caller may have to wait as long as the log or OnEvent takes, up to a second. Emit
// may be called from any goroutine, also by OnEvent.
func (s *System) Emit(e EventRecord) { s.emit(e) }

func (s *System) emit(e EventRecord) {
	if s.events.wants(e.level()) {
		s.events.put(&telling{EventRecord: e})
	}
}

// emitLater gives e its place in the order of events, like Emit, but never waits. Use it while a
// lock is held that OnEvent might need, and call emitNow after the lock is released. It may be
// called from any goroutine.
func (s *System) emitLater(e EventRecord) {
	if v := &s.events; v.wants(e.level()) {
		e.fillPath()
		own := v.busy.Load() && tellers.On() // a sink emits it: see called
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

// place gives e its number. Under mu.
func (v *events) place(e *EventRecord) {
	v.seq++
	e.Seq, e.Time = v.seq, v.sys.Now()
}

// put has it told, and holds up the caller as the comment on events says.
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
	v.waiter, v.since = it, time.Now()
	v.begin()
	v.mu.Unlock()
	<-it.over
}

// token waits until the caller's scheduler, or the outside, has less than its share in the queue.
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

// begin makes a teller, in the place of the one that there may be. Under mu.
func (v *events) begin() {
	v.teller = new(teller)
	v.busy.Store(true)
	go v.tell(v.teller)
	switch {
	case v.looks:
	case v.watch == nil:
		v.looks = true
		v.watch = time.AfterFunc(v.patience()/2, v.look)
	default:
		v.looks = true
		v.watch.Reset(v.patience() / 2)
	}
}

// tell is the teller's goroutine.
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

// tellers are known by the only call of turn.
var tellers guard.Frame

// turn calls one sink, or does a job. False: there is nothing more to do, at least for this teller.
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

// take gives the event that is being told, or else the next; nil if there is none, which is the end
// of me, or if me was replaced.
func (v *events) take(me *teller) *telling {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.teller != me:
		return nil
	case v.now != nil:
	case len(v.queue) == 0: // cut has emptied it
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

// calls notes that me is about to call k, which wants it; false: k is not to be called.
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
	me.at, me.since = k, time.Now()
	return true
}

// called is the end of a turn for it.
func (v *events) called(me *teller, it *telling) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := me.at
	me.at = nil
	if v.teller != me { // k took so long that there is another one
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
		// before its emitter goes on, which would find the teller at work, and not wait for its
		// next event
		v.rest()
		return false
	}
	// With one scheduler the waiter goes on only when what the sinks have emitted is told as well:
	// they run while it waits.
	if w := v.waiter; w != nil && w.told && (v.own == 0 || len(v.sys.hosts) > 1) {
		v.release()
	}
	return true
}

// rest is the end of the teller: there is nothing to tell. Under mu.
func (v *events) rest() {
	v.queue, v.teller = nil, nil
	v.busy.Store(false)
	v.release()
}

// release lets the one go on whose event made the teller. Under mu.
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
		case guard.Refusal: // it wanted to park a tasklet, and has not
			v.problem(EventRecord{Kind: event.HookPanic, Err: core.NewPanicError(r)})
		default:
			panic(r)
		}
	}()
	guard.RunAsOnEvent(func() { v.hook(e) })
}

// died is called when a teller's goroutine ends because of what a sink did: by a panic with value
// r, or by runtime.Goexit.
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
		v.begin() // it goes on with what was being told
	}
}

// breaks: k is not called any more.
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

// stderr is where a logger that does not work is reported.
var stderr io.Writer = os.Stderr

// problem reports e, a sink's fault, to the other sink; that of the log to standard error too.
func (v *events) problem(e EventRecord) {
	if e.Kind == event.LogPanic || e.Kind == event.LogStall {
		text := "tasklet: system " + v.sys.name + ": " + message(&e)
		if e.Err != nil {
			text += ": " + guard.Text(e.Err)
		}
		go fmt.Fprintln(stderr, text) // it may be what blocks
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.add(e)
}

// dropped reports n events that were not told. Under mu.
func (v *events) dropped(n int, why string) {
	v.add(EventRecord{Kind: event.EventsDropped, Count: n, Fields: []zap.Field{zap.String("reason", why)}})
}

// add emits e, which is about the sinks, without waiting for anything. Under mu.
func (v *events) add(e EventRecord) {
	e.Tasklet, e.Path = v.sys.root, "/"+v.sys.name
	v.place(&e)
	v.queue = append(v.queue, &telling{EventRecord: e, own: true})
	v.own++
	if v.teller == nil {
		v.begin()
	}
}

// look looks after the teller from time to time, as long as there is one.
func (v *events) look() {
	v.mu.Lock()
	t := v.teller
	if t == nil {
		v.looks = false
		v.mu.Unlock()
		return
	}
	patience := v.patience()
	if v.waiter != nil && time.Since(v.since) >= patience {
		v.release()
	}
	k := t.at
	stuck := k != nil && time.Since(t.since) >= patience
	if stuck {
		k.away.Store(true)
		v.begin()
	}
	v.watch.Reset(patience / 2)
	v.mu.Unlock()
	switch {
	case !stuck:
	case k == &v.log:
		v.problem(EventRecord{Kind: event.LogStall, Fields: []zap.Field{zap.Duration("for", patience)}})
	default:
		v.problem(EventRecord{Kind: event.HookStall, Fields: []zap.Field{zap.Duration("for", patience)}})
	}
}

// do has job done by the teller, after all that is in the queue, and waits. If that takes twice as
// long as a sink may take for one event, the queue is dropped. The job is not done while the log
// does not work.
func (v *events) do(job func()) {
	it := &telling{job: job, over: make(chan struct{})}
	v.mu.Lock()
	v.queue = append(v.queue, it)
	if v.teller == nil {
		v.begin()
	}
	v.mu.Unlock()
	limit := time.NewTimer(2 * v.patience()) // longer than it takes to see that a sink blocks
	defer limit.Stop()
	select {
	case <-it.over:
	case <-limit.C:
		v.cut()
		<-it.over
	}
}

// later has job done by the teller, after all that is in the queue, and does not wait. The job is
// not done while the log does not work. From any goroutine.
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

// flush writes what the limits held back, when the system has stopped, after all that is being
// told.
func (v *events) flush() {
	v.do(v.endLimits)
	// A sink that failed amid these is reported behind them.
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
