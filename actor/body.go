package actor

import (
	"math"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Body describes what a tasklet does. The functions of this package make bodies, which can be
// started as a tasklet or put into a child specification. A body may be started any number of
// times, but one that reads a ref only when its last tasklet has ended.
type Body interface {
	// instance returns a new instance of the body for one tasklet.
	instance() instance
	// allows returns the options that the body can use.
	allows() optionSet
}

// A Family configures the tasklets of a body as supervisors; see [Supervise].
type Family struct {
	// Kind is the kind of the supervisors in trees and logs, and a part of derived names, such as
	// "supervisor#2".
	Kind string
	// Bodies are the bodies of the children that each supervisor starts in slots. Their refs share
	// the fate of the supervisor's own: they are held with it from one life to the next, and are
	// closed or end permanently with it, also if they were never started.
	Bodies []Body
	// StopTogether, if it is not 0, is the time that all children together have to end, as in
	// [Shutdown], when the tasklet ends: all of them are killed and then awaited, and their own
	// times do not count. If it is 0 they are stopped one after the other. In a drain they are
	// drained at the same time, without a limit.
	StopTogether time.Duration
	// Options are the options of each start, which come before those given there. The defaults are
	// that a failure ends the tasklet, and that the time to stop its children is not limited:
	// OnFailure(End), Shutdown(Infinity).
	Options []Option
	// Drain, if it is not nil, is called when the tasklet must drain; see [Tasklet.Drain]. Usually
	// it sends a message to the tasklet. The tasklet then drains the slots, the newest first (see
	// [Slot.Drain]), restarts children that fail and still have messages, and finally ends. Drain
	// is called on the tasklet's scheduler, once for each start, and must not block. If it is nil,
	// the ref of the tasklet is closed, and its children are drained without restarts.
	Drain func()
}

// Supervise returns the body of a supervisor. It is [ReceiverInitBody] for a tasklet whose init
// makes slots for its children; see [NewSlot]. If the tasklet ends with a message in hand, that is
// not reported as a loss, because its messages are requests to the supervisor. Use Supervise for a
// supervisor that is the child of another one, so that the refs of its children share the fate of
// its own.
func Supervise[M any](ref Ref[M], f Family, init func(*Tasklet) (func(*Tasklet, M) error, error)) Body {
	mustFunc("Supervise", init != nil)
	l := ref.must("Supervise")
	fam := &family{
		kind: checkName("Supervise", f.Kind), bodies: slices.Clone(f.Bodies), lineages: make(map[anyLineage]bool, len(f.Bodies)),
		opts:  append([]Option{OnFailure(End), Shutdown(Infinity)}, f.Options...),
		drain: f.Drain,
	}
	if f.StopTogether != 0 {
		fam.opts = append(fam.opts, stopTogether(f.StopTogether))
	}
	for _, b := range f.Bodies {
		if b == nil {
			misuse("Supervise with a nil Body")
		}
		if l := b.instance().lineage(); l != nil {
			fam.lineages[l] = true
		}
	}
	return &handlingInit[M]{l: l, f: init, family: fam}
}

// family is a Family whose supervisors can be started. Read-only.
type family struct {
	kind     string
	bodies   []Body
	lineages map[anyLineage]bool // the lineages of their refs
	opts     []Option
	drain    func() // may be nil
}

// familyOf returns the family of t, or nil if t is not a supervisor that has one.
func familyOf(t *Tasklet) *family {
	if i, ok := inner(t.inst).(interface{ familyOf() *family }); ok {
		return i.familyOf()
	}
	return nil
}

// refsOf calls f for the lineage of b, and for those of its family.
func refsOf(b Body, f func(anyLineage)) {
	l := b.instance().lineage()
	if h, ok := b.(interface{ familyOf() *family }); ok && h.familyOf() != nil {
		for _, in := range h.familyOf().bodies {
			refsOf(in, f)
		}
		if t := l.last(); t != nil && !t.HasFinished() { // the supervisor was given up
			for _, s := range t.slots() {
				refsOf(s.body, f)
			}
		}
	}
	if l != nil {
		f(l)
	}
}

// instance is the body of one tasklet, with its state.
type instance interface {
	// step is called on each activation. It works until it has nothing to do, arranges to be woken,
	// and returns. done says that the body has ended, with err as its result.
	step(t *Tasklet) (done bool, err error)
	// lineage returns the lineage of the ref that the body reads, or nil.
	lineage() anyLineage
	// source returns the function from which the name of a tasklet is derived.
	source() any
	// kind returns the word for the body in trees and logs.
	kind() string
}

// initer is an instance with work that must be done before it counts as started.
type initer interface{ init(t *Tasklet) error }

// stepMessages is the number of messages that are handled, or of children that are stopped, before
// other tasks run.
const stepMessages = 64

// GoBody returns a body that calls f once. The error that f returns is the result.
func GoBody(f func(*Tasklet) error) Body {
	mustFunc("GoBody", f != nil)
	return function(f)
}

// function is a body. It has no state, so it is its own instance.
type function func(*Tasklet) error

func (f function) instance() instance            { return f }
func (f function) allows() optionSet             { return anyBody }
func (f function) step(t *Tasklet) (bool, error) { return true, f(t) }
func (f function) lineage() anyLineage           { return nil }
func (f function) source() any                   { return (func(*Tasklet) error)(f) }
func (f function) kind() string                  { return "task" }

// SpawnBody returns a body that calls f once, with the mailbox of ref, of which it is the reader.
func SpawnBody[M any](ref Ref[M], f func(*Tasklet, *mailbox.Mailbox[M]) error) Body {
	mustFunc("SpawnBody", f != nil)
	return &reading[M]{ref.must("SpawnBody"), f}
}

type reading[M any] struct {
	l *lineage[M]
	f func(*Tasklet, *mailbox.Mailbox[M]) error
}

func (r *reading[M]) instance() instance { return r }
func (r *reading[M]) allows() optionSet  { return anyBody | refOptions }
func (r *reading[M]) step(t *Tasklet) (bool, error) {
	return true, r.f(t, (*mailbox.Mailbox[M])(&r.l.box))
}
func (r *reading[M]) lineage() anyLineage { return r.l }
func (r *reading[M]) source() any         { return r.f }
func (r *reading[M]) kind() string        { return "reader" }

// A Handler handles one message, inside the tasklet t that took it from its mailbox. [OnFailure]
// says what an error or a panic means.
type Handler[M any] = func(t *Tasklet, m M) error

// ReceiverBody returns a body that calls f for each message of ref, one after the other. It ends
// when ref is closed and all messages are handled, or when f returns ErrStop or ErrShutdown.
// [OnFailure] says what another error, or a panic of f, means.
func ReceiverBody[M any](ref Ref[M], f func(*Tasklet, M) error) Body {
	mustFunc("ReceiverBody", f != nil)
	return &handling[M]{ref.must("ReceiverBody"), f}
}

type handling[M any] struct {
	l *lineage[M]
	f func(*Tasklet, M) error
}

func (h *handling[M]) instance() instance { return h.typed() }
func (h *handling[M]) allows() optionSet {
	return anyBody | refOptions | repeatOptions | messageOptions
}
func (h *handling[M]) waitsFirst()         {}
func (h *handling[M]) inHand() int         { return 1 }
func (h *handling[M]) lineage() anyLineage { return h.l }
func (h *handling[M]) source() any         { return h.f }
func (h *handling[M]) kind() string        { return "receiver" }

// step handles the messages that are there.
//
// Budget: a send and its handling, one way, cost 15 ns and no allocation.
func (h *handling[M]) step(t *Tasklet) (bool, error) {
	box, f := &h.l.box, h.f
	if t.sys.letters.Load() != nil {
		f = keeping(t, f)
	}
	for range stepMessages {
		if pending, _ := t.task.Killed(); pending {
			t.takeKill()
			return true, ErrKilled
		}
		m, ok := box.Take()
		if !ok {
			if box.Await(1) {
				return false, nil
			}
			if box.Drained() {
				return true, nil
			}
			continue
		}
		err := f(t, m)
		if err != nil {
			done, result := t.failed(err)
			if done {
				return true, result
			}
		}
		box.SettleBy(&t.task, err)
	}
	t.task.Wake()
	return false, nil
}

// ReceiverInitBody returns a body like [ReceiverBody], with state that is made anew at each start:
// init makes the state and returns the handler that uses it. The tasklet has started when init has
// returned, and handles no message before. init may park. If init returns an error, the start has
// failed; with ErrStop it says that the tasklet is not wanted.
func ReceiverInitBody[M any](ref Ref[M], init func(*Tasklet) (Handler[M], error)) Body {
	mustFunc("ReceiverInitBody", init != nil)
	return &handlingInit[M]{l: ref.must("ReceiverInitBody"), f: init}
}

type handlingInit[M any] struct {
	l      *lineage[M]
	f      func(*Tasklet) (Handler[M], error)
	family *family // of a supervisor; otherwise nil
}

func (h *handlingInit[M]) familyOf() *family { return h.family }
func (h *handlingInit[M]) allows() optionSet {
	if h.family != nil {
		return anyBody | refOptions | optResume | optRetry | optIdle
	}
	return anyBody | refOptions | repeatOptions | messageOptions
}
func (h *handlingInit[M]) instance() instance {
	i := &initialized[M]{handling: handling[M]{l: h.l}, init0: h.f, family: h.family}
	if h.family != nil {
		i.what = h.family.kind
	}
	return i
}

type initialized[M any] struct {
	handling[M]
	init0 func(*Tasklet) (Handler[M], error)
	hand  reflect.Type // as in typedHandling
	// what is the kind of a supervisor, or "". A supervisor that ends during a request loses no
	// message.
	what   string
	family *family // of a supervisor that has one; otherwise nil
}

func (i *initialized[M]) familyOf() *family { return i.family }

func (i *initialized[M]) source() any {
	if i.what != "" {
		return i.what
	}
	return i.init0
}

func (i *initialized[M]) kind() string {
	if i.what != "" {
		return i.what
	}
	return i.handling.kind()
}

func (i *initialized[M]) inHand() int {
	if i.what != "" {
		return 0
	}
	return 1
}

func (i *initialized[M]) init(t *Tasklet) error {
	f, err := i.init0(t)
	if err == nil && f == nil {
		misuse("init of %s returned no handler", t.Path())
	}
	i.f = f
	if f != nil && isInterface[M]() {
		i.f = func(t *Tasklet, m M) error {
			i.hand = reflect.TypeOf(m)
			return f(t, m)
		}
	}
	return err
}

// BatchReceiverBody returns a body that calls f for batches of at most max messages, or the
// capacity if that is smaller. After the first message of a batch it waits at most wait for more. A
// wait of 0 takes the messages that are there; a negative wait has no limit. The slice is valid
// until f returns. A batch that fails is reported with its count. BatchReceiverBody panics if max
// is not positive.
func BatchReceiverBody[M any](ref Ref[M], max int, wait time.Duration, f func(*Tasklet, []M) error) Body {
	mustFunc("BatchReceiverBody", f != nil)
	if max <= 0 {
		misuse("BatchReceiverBody with max %d: it must be positive", max)
	}
	return &batches[M]{ref.must("BatchReceiverBody"), f, max, wait}
}

type batches[M any] struct {
	l    *lineage[M]
	f    func(*Tasklet, []M) error
	max  int
	wait time.Duration
}

func (b *batches[M]) allows() optionSet  { return anyBody | refOptions | repeatOptions }
func (b *batches[M]) instance() instance { return &batching[M]{batches: *b} }

type batching[M any] struct {
	batches[M]
	buf  []M
	till int64 // ns on the clock: when the batch that is being collected is due; 0 if there is none
}

func (b *batching[M]) waitsFirst()         {}
func (b *batching[M]) lineage() anyLineage { return b.l }
func (b *batching[M]) source() any         { return b.f }
func (b *batching[M]) kind() string        { return "batch receiver" }
func (b *batching[M]) inHand() int         { return len(b.buf) }

func (b *batching[M]) step(t *Tasklet) (bool, error) {
	box := &b.l.box
	box.StopAwait()
	b.buf = b.buf[:0]
	n, need := box.Len(), box.BatchSize(b.max)
	switch {
	case n == 0:
		if box.Await(1) {
			return false, nil
		}
		if box.Drained() {
			return true, nil
		}
	case b.wait != 0 && n < need && !box.Closed():
		now := t.task.Scheduler().Nanotime()
		if b.wait > 0 && b.till == 0 {
			b.till = t.task.Scheduler().After(b.wait)
		}
		if (b.wait < 0 || now < b.till) && box.Await(need) {
			if b.wait > 0 {
				t.task.WakeAt(b.till)
			}
			return false, nil
		}
	}
	b.till = 0
	t.task.WakeStop()
	if b.buf = box.TakeBatch(b.buf, need); len(b.buf) > 0 {
		err := b.f(t, b.buf)
		if err != nil {
			if done, result := t.failed(err); done {
				return true, result
			}
		}
		box.SettleBy(&t.task, err)
		clear(b.buf)
		b.buf = b.buf[:0]
	}
	t.task.Wake()
	return false, nil
}

// IntervalBody returns a body that calls f repeatedly, each time d after f has returned. The first
// call comes after d, or at once with the option [Immediate]. IntervalBody panics if d is not
// positive.
func IntervalBody(d time.Duration, f func(*Tasklet) error) Body {
	mustFunc("IntervalBody", f != nil)
	if d <= 0 {
		misuse("IntervalBody with %v: the time must be positive", d)
	}
	return &every{d: d, f: f}
}

type every struct {
	d         time.Duration
	f         func(*Tasklet) error
	at        int64 // ns on the clock: when the next call is due; 0 if not yet known
	immediate bool
}

func (e *every) allows() optionSet   { return anyBody | repeatOptions | optImmediate }
func (e *every) instance() instance  { c := *e; return &c }
func (e *every) callImmediately()    { e.immediate = true }
func (e *every) lineage() anyLineage { return nil }
func (e *every) source() any         { return e.f }
func (e *every) kind() string        { return "interval" }
func (e *every) step(t *Tasklet) (bool, error) {
	s := t.task.Scheduler()
	if t.drained() {
		return true, nil
	}
	if e.at == 0 && !e.immediate {
		e.at = s.After(e.d)
	}
	if e.at > s.Nanotime() {
		t.task.WakeAt(e.at)
		return false, nil
	}
	e.at, e.immediate = 0, false // before the call, because f may panic
	if err := e.f(t); err != nil {
		if done, result := t.failed(err); done {
			return true, result
		}
	}
	e.at = s.After(e.d)
	t.task.WakeAt(e.at)
	return t.drained(), nil
}

// RateBody returns a body that calls f hz times a second. The k-th call is due at k/hz after the
// start, so errors do not add up. A late call is made at once, and calls that were missed by then
// are skipped and counted (event ticks_missed). With the option [Immediate] there is also a call at
// the start. If the rate is so low that the first call would come after more than 292 years, there
// is none. RateBody panics if hz is not positive, or is infinite or NaN.
func RateBody(hz float64, f func(*Tasklet, time.Time) error) Body {
	mustFunc("RateBody", f != nil)
	if !(hz > 0) || math.IsInf(hz, 0) {
		misuse("RateBody with %v calls a second: the rate must be positive and finite", hz)
	}
	return &atRate{hz: hz, f: f}
}

type atRate struct {
	hz        float64
	f         func(*Tasklet, time.Time) error
	start     int64 // ns on the clock
	k         int64 // the number of the next call
	at        int64 // ns on the clock: when that call is due; 0 if not started
	immediate bool
}

func (r *atRate) allows() optionSet   { return anyBody | repeatOptions | optImmediate }
func (r *atRate) instance() instance  { c := *r; return &c }
func (r *atRate) callImmediately()    { r.immediate = true }
func (r *atRate) lineage() anyLineage { return nil }
func (r *atRate) source() any         { return r.f }
func (r *atRate) kind() string        { return "rate" }

// mostCalls is a number of calls that is never reached.
const mostCalls = 1 << 62

// due returns the time of call k in ns on the clock, or math.MaxInt64 for never.
func (r *atRate) due() int64 {
	after := float64(r.k) * 1e9 / r.hz
	if after >= math.MaxInt64 {
		return math.MaxInt64
	}
	return until(r.start, int64(after))
}

// calls returns the number of calls that were due by now, without the one at the start.
func (r *atRate) calls(now int64) int64 {
	return int64(min(float64(now-r.start)*r.hz/1e9, mostCalls))
}

func (r *atRate) step(t *Tasklet) (bool, error) {
	s := t.task.Scheduler()
	if t.drained() {
		return true, nil
	}
	now := s.Nanotime()
	if r.at == 0 {
		r.start, r.at = now, max(now, 1)
		if !r.immediate {
			r.k = 1
			r.at = max(r.due(), now+1)
		}
	}
	if now < r.at {
		t.task.WakeAt(r.at)
		return false, nil
	}
	if last := r.calls(now); last > r.k {
		t.sys.emit(EventRecord{Kind: event.TicksMissed, Tasklet: t, Fields: []zap.Field{zap.Int64("missed", last-r.k)}})
		r.k = last
	}
	r.k++
	// A rate may ask for several calls in a nanosecond. One is enough, because otherwise a virtual
	// clock could not advance.
	r.at = max(r.due(), now+1)
	if err := r.f(t, s.Now()); err != nil {
		if done, result := t.failed(err); done {
			return true, result
		}
	}
	if r.at > s.Nanotime() {
		t.task.WakeAt(r.at)
	} else {
		t.task.Wake() // a timer would not fire before the next tick
	}
	return t.drained(), nil
}

// LaterBody returns a body that calls f once, d after its start.
func LaterBody(d time.Duration, f func(*Tasklet) error) Body {
	mustFunc("LaterBody", f != nil)
	return &later{d: d, f: f}
}

// LoopBody returns a body that calls f repeatedly, and yields after each call. After a failure it
// waits for a second, if [OnFailure] lets it continue.
func LoopBody(f func(*Tasklet) error) Body {
	mustFunc("LoopBody", f != nil)
	return &loop{f: f}
}

// later is the body of Later. It is its own instance until it is started.
type later struct {
	d  time.Duration
	f  func(*Tasklet) error
	at int64
}

func (l *later) allows() optionSet   { return anyBody }
func (l *later) instance() instance  { c := *l; return &c }
func (l *later) lineage() anyLineage { return nil }
func (l *later) source() any         { return l.f }
func (l *later) kind() string        { return "later" }
func (l *later) step(t *Tasklet) (bool, error) {
	s := t.task.Scheduler()
	if t.drained() {
		return true, nil
	}
	if l.at == 0 {
		l.at = s.After(max(l.d, 0))
	}
	if l.d > 0 && s.Nanotime() < l.at {
		t.task.WakeAt(l.at)
		return false, nil
	}
	return true, l.f(t)
}

// loop is the body of Loop.
type loop struct {
	f      func(*Tasklet) error
	failed bool
	at     int64 // when to continue after a failure
}

// loopPause is the time that a loop waits after a failure, so that it does not spin.
const loopPause = time.Second

func (l *loop) allows() optionSet   { return anyBody | repeatOptions }
func (l *loop) instance() instance  { c := *l; return &c }
func (l *loop) lineage() anyLineage { return nil }
func (l *loop) source() any         { return l.f }
func (l *loop) kind() string        { return "loop" }
func (l *loop) step(t *Tasklet) (bool, error) {
	s := t.task.Scheduler()
	if t.drained() {
		return true, nil
	}
	if l.failed {
		l.failed = false
		l.at = s.After(loopPause)
	}
	if s.Nanotime() < l.at {
		t.task.WakeAt(l.at)
		return false, nil
	}
	l.failed = true // reset when f has returned, because it may panic
	err := l.f(t)
	if err != nil {
		if done, result := t.failed(err); done {
			return true, result
		}
	} else {
		l.failed = false
	}
	t.task.Wake()
	return false, nil
}

// nothing is the body of a root without a function, and of the node of the daemons.
type nothing string

func (nothing) step(*Tasklet) (bool, error) { return false, nil }
func (nothing) lineage() anyLineage         { return nil }
func (nothing) source() any                 { return nil }
func (n nothing) kind() string              { return string(n) }

// until returns the time d after now, all in ns. It returns math.MaxInt64, which stands for never,
// if the sum would overflow.
func until(now, d int64) int64 {
	if d > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + d
}
