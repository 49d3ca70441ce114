package queue

import (
	"math"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// DefaultCap is the default capacity of a mailbox.
const DefaultCap = 1024

// MaxCap is the largest capacity.
const MaxCap = 1 << 30

// Policy determines what a send does if the mailbox is full.
type Policy uint8

const (
	// Block parks the sender until there is room. Senders are served first come, first served. It
	// is the default.
	Block Policy = iota
	// Fail returns ErrFull.
	Fail
	// DropNewest drops the message that is being sent. The send returns nil, and the loss is
	// counted and reported.
	DropNewest
	// DropOldest drops the oldest message in the mailbox to make room. The loss is counted and
	// reported.
	DropOldest
	// Unbounded accepts every message, and the mailbox grows until memory is exhausted. It is for
	// senders that can neither wait nor be refused.
	Unbounded
)

// String returns the name of the constant.
func (p Policy) String() string {
	switch p {
	case Block:
		return "Block"
	case Fail:
		return "Fail"
	case DropNewest:
		return "DropNewest"
	case DropOldest:
		return "DropOldest"
	case Unbounded:
		return "Unbounded"
	}
	return "Policy(?)"
}

// Config configures a mailbox. The zero value is ready to use.
type Config struct {
	Cap      int    // 1 to MaxCap; 0 means DefaultCap; must be 0 with Unbounded
	Overflow Policy // the default is Block
	// Losses, if it is not nil, is notified of messages that were accepted or dropped and will
	// never be read.
	Losses LossReporter
}

// LossReporter is notified of losses, on the goroutine that detects them. MessagesLost must not
// park.
type LossReporter interface{ MessagesLost(Loss) }

// A ReaderTeller is a LossReporter that knows the next reader of the mailbox, as far as any
// goroutine can know it. ReaderResource returns the resource that a sender on another scheduler of
// the same team waits on. The same task holds that resource always. ReaderResource returns nil if
// the reader is not known.
type ReaderTeller interface {
	LossReporter
	ReaderResource() *core.Resource
}

// A Sleeper is a LossReporter that knows how to get a reader for a mailbox that sleeps. Rouse is
// called on home. It must neither park nor use the mailbox.
type Sleeper interface {
	LossReporter
	Rouse()
}

// A MessageTaker is a LossReporter that may want the lost messages themselves. WantsMessages
// reports whether it does. It may be called while locks are held, and must not use a mailbox.
// MessageLost is then called for each lost message, before MessagesLost counts them, on the same
// goroutine. It must not park.
type MessageTaker interface {
	LossReporter
	WantsMessages() bool
	MessageLost(v any, reason error)
}

// LossFunc turns a function into a LossReporter.
type LossFunc func(Loss)

// MessagesLost calls f.
func (f LossFunc) MessagesLost(l Loss) { f(l) }

// Loss is a report about messages that will never be read.
type Loss struct {
	Count  int
	Type   reflect.Type // the type of the messages; if M is an interface, that of the first one
	Reason error        // ErrDropped or ErrClosed
}

// Queue is a bounded queue of messages of type M between tasks, with one reader. New makes a Queue,
// and Open sets its reader. A Queue must not be copied.
type Queue[M any] struct {
	// The order of the fields leaves no gaps, because every idle receiver has a Queue.

	// Set in Init, then read-only, as is policy.
	cap uint32 // math.MaxUint32 for Unbounded
	// state is atomic: written by any goroutine that closes m, and read by every send. A sender on
	// another goroutine must see it.
	state  atomic.Uint32
	losses LossReporter

	// home is the scheduler that owns the queue, or nil before the first Open. Atomic: written
	// once, and read by every send to recognize local senders.
	home atomic.Pointer[core.Scheduler]
	// ext is allocated by the first sender that needs it: one that finds no room, or a foreign one.
	ext atomic.Pointer[ext[M]]

	// Owned by home.
	reader core.Resource // its holder is the reader; nil between two readers
	queue  ring[M]
	// granted is the room promised to foreign senders: unspent credits and messages in transit.
	granted uint32
	need    uint32 // the reader must be woken when so many are queued; never if it does not wait
	peak    uint32 // the largest number that was ever queued
	calming bool   // a check for unused memory is due
	// taken is the number of messages in the reader's hand, at most 255: those taken since it last
	// asked for more.
	taken uint8
	// any says that the reader must be woken by any message, however many are queued, or that m
	// sleeps without a reader.
	any     bool
	policy  Policy
	handled uint64 // the number of messages read
}

const never = math.MaxUint32

// The states of a mailbox.
const (
	stateOpen   = iota
	stateClosed // no more sends; queued messages can still be read
	stateMoody  // open, but a local send asks first whether it must find m full; see PretendFull
)

// New returns a mailbox. If cfg is invalid it panics and names the field.
func New[M any](cfg Config) *Queue[M] {
	m := new(Queue[M])
	m.Init(cfg)
	return m
}

// Init is like New, for a mailbox that is a part of something larger.
func (m *Queue[M]) Init(cfg Config) {
	if err := cfg.check(); err != "" {
		misuse("%s", err)
	}
	m.cap, m.policy, m.losses = uint32(cfg.Cap), cfg.Overflow, cfg.Losses
	switch {
	case cfg.Overflow == Unbounded:
		m.cap = never
	case cfg.Cap == 0:
		m.cap = DefaultCap
	}
	m.need = never
	m.granted = m.firstCredits()
}

// firstCredits returns the room that is promised to foreign senders from the start, so that the
// first of them need not ask. Local senders take it back when they need it.
func (m *Queue[M]) firstCredits() uint32 {
	if m.policy == Unbounded {
		return 0
	}
	return max(1, m.cap/4)
}

func (c Config) check() string {
	switch {
	case c.Overflow > Unbounded:
		return "Config.Overflow is not a policy"
	case c.Cap < 0:
		return "Config.Cap is negative"
	case c.Cap > MaxCap:
		return "Config.Cap is above MaxCap"
	case c.Cap != 0 && c.Overflow == Unbounded:
		return "Config.Cap with Unbounded: an unbounded mailbox has no capacity"
	}
	return ""
}

// Open makes t the reader. A mailbox has one reader at a time, and all its readers are tasks of one
// scheduler. Open must be called on that scheduler.
func (m *Queue[M]) Open(t *core.Task) {
	if m.reader.Holder != nil {
		misuse("opened by %v while %v reads it", t, m.reader.Holder)
	}
	home := m.home.Load()
	switch home {
	case t.Scheduler():
	case nil:
		// A foreign sender holds the lock while it reads home. Either it sees the new home, or
		// collect below takes in what it did.
		m.home.Store(t.Scheduler())
	default:
		misuse("opened by %v on another scheduler than before", t)
	}
	m.reader.Holder = t
	if m.any { // it slept
		m.need, m.any = never, false
	}
	m.collect()
	if m.ext.Load() != nil {
		m.tellWaiters(t, home == nil)
	}
}

// Hold ends the reader but not the mailbox, which accepts messages up to its capacity for the next
// reader. It must be called on home.
func (m *Queue[M]) Hold() {
	m.reader.Holder, m.taken = nil, 0
	m.need = never
	m.Unstash()
}

// Sleep ends the reader, if there is one, and makes the next message or Close call the Sleeper of m
// once, which gets another reader. It does nothing, and returns false, if there is a message, or a
// sender waits, or m is closed. It must be called on home, or before the first use; home is then
// the scheduler of the readers to come.
func (m *Queue[M]) Sleep(home *core.Scheduler) bool {
	m.home.CompareAndSwap(nil, home)
	m.collect()
	if m.queue.n > 0 || m.Closed() {
		return false
	}
	m.reader.Holder, m.taken = nil, 0
	m.need, m.any = 1, true
	return true
}

// Close lets no more messages in. Queued messages are still read, and after them the reader's calls
// end. Parked senders get ErrClosed. Closing twice has no effect. Close may be called from any
// goroutine.
func (m *Queue[M]) Close() {
	if m.state.Swap(stateClosed) == stateClosed {
		return
	}
	if home := m.home.Load(); home != nil {
		home.Inject((*closing[M])(m))
		return
	}
	// m was not opened yet, so waiting senders are in ext.queue. If m is being opened now, Open
	// refuses them.
	if x := m.ext.Load(); x != nil {
		x.mu.Lock()
		lost, vs := m.refuse(nil, &x.queue)
		x.mu.Unlock()
		m.handOver(vs, ErrClosed)
		m.report(lost)
	}
}

// closing is the part of Close that home does.
type closing[M any] Queue[M]

func (c *closing[M]) Do() {
	m := (*Queue[M])(c)
	if !m.Closed() {
		return // m was opened again in the meantime
	}
	m.collect()
	m.wakeReader()
}

// collect calls takeIn if there may be foreign messages. It must be called on home.
func (m *Queue[M]) collect() {
	if m.ext.Load() != nil {
		m.takeIn()
	}
}

// wakeReader wakes the reader if it waits for messages. It must be called on home.
func (m *Queue[M]) wakeReader() {
	if m.need == never {
		return
	}
	m.need = never
	if t := m.reader.Holder; t != nil {
		t.Wake()
		return
	}
	m.any = false
	m.losses.(Sleeper).Rouse()
}

// Reopen lets messages in again after Close, CloseEmpty or Discard. It must be called on home.
func (m *Queue[M]) Reopen() {
	if m.state.CompareAndSwap(stateClosed, stateOpen) {
		if x := m.ext.Load(); x != nil {
			if x.pretend.full != nil {
				m.state.CompareAndSwap(stateOpen, stateMoody)
			}
			m.letIn(x)
		}
	}
}

// Closed reports whether m accepts no more messages. It may be called from any goroutine.
func (m *Queue[M]) Closed() bool { return m.state.Load() == stateClosed }

// Drained reports whether m is closed and empty, so that there will be nothing to read. It must be
// called on home.
func (m *Queue[M]) Drained() bool {
	if m.queue.n > 0 || !m.Closed() {
		return false
	}
	m.collect() // a message that was sent before the close may be in transit
	return m.queue.n == 0
}

// Discard ends the reader, if there is one, and does what CloseEmpty does.
func (m *Queue[M]) Discard() {
	m.Hold()
	m.CloseEmpty()
}

// CloseEmpty is like Close, for a mailbox that nobody will read any more. Messages that are queued
// or in transit are reported as lost. It must be called on home. If m was never opened, it may be
// called from any goroutine.
func (m *Queue[M]) CloseEmpty() {
	m.state.Store(stateClosed)
	m.collect()
	m.Settle(ErrClosed)
	lost := Loss{Count: int(m.queue.n), Reason: ErrClosed}
	if m.queue.n > 0 {
		lost.Type = typeOf(&m.queue.buf[m.queue.head])
	}
	taker := m.taker()
	for m.queue.n > 0 {
		v, ticket := m.queue.popTicket()
		if ticket != nil {
			ticket.Settled(ErrClosed)
		}
		if taker != nil {
			taker.MessageLost(v, ErrClosed)
		}
	}
	m.queue.clear()
	if x := m.ext.Load(); x != nil {
		x.stashed, x.lanes = 0, nil
	}
	m.report(lost)
	m.wakeReader()
}

func (m *Queue[M]) report(l Loss) {
	if l.Count > 0 && m.losses != nil {
		m.losses.MessagesLost(l)
	}
}

// taker returns the LossReporter of m if it wants the lost messages, and nil otherwise. So nothing
// is boxed if nobody wants it.
func (m *Queue[M]) taker() MessageTaker {
	if taker, ok := m.losses.(MessageTaker); ok && taker.WantsMessages() {
		return taker
	}
	return nil
}

// handOver hands over lost messages that were collected while a lock was held.
func (m *Queue[M]) handOver(vs []M, reason error) {
	if len(vs) == 0 {
		return
	}
	if taker := m.taker(); taker != nil {
		for _, v := range vs {
			taker.MessageLost(v, reason)
		}
	}
}

// typeOf returns the type of a message. If M is an interface, that is the type of its value.
func typeOf[M any](v *M) reflect.Type {
	if t := reflect.TypeFor[M](); t.Kind() != reflect.Interface {
		return t
	}
	return reflect.TypeOf(any(*v))
}

// Home returns the scheduler of m's readers, or nil before the first Open.
func (m *Queue[M]) Home() *core.Scheduler { return m.home.Load() }

// evicted returns the number of messages that home has dropped.
func (m *Queue[M]) evicted() uint64 {
	if x := m.ext.Load(); x != nil {
		return x.evicted
	}
	return 0
}

// revoked returns the number of messages that Revoke has taken back.
func (m *Queue[M]) revoked() uint64 {
	if x := m.ext.Load(); x != nil {
		return x.revoked
	}
	return 0
}

// Empty reports whether no message is queued. It must be called on home.
func (m *Queue[M]) Empty() bool { return m.queue.n == 0 }

// Cap returns the capacity, or 0 for Unbounded.
func (m *Queue[M]) Cap() int {
	if m.policy == Unbounded {
		return 0
	}
	return int(m.cap)
}

// Overflow returns the policy.
func (m *Queue[M]) Overflow() Policy { return m.policy }

// Len returns the number of queued messages, including those in transit. Messages of parked senders
// do not count. Len may be called from any goroutine. When it is not called on home, it may lag
// behind.
func (m *Queue[M]) Len() int {
	n := int(core.Peek(&m.queue.n))
	if x := m.ext.Load(); x != nil {
		x.mu.Lock()
		in := int(x.in.n)
		x.mu.Unlock()
		if in > 0 {
			n = min(n+in, int(min(m.cap, math.MaxInt32))) // the two were not counted at one moment
		}
	}
	return n
}

// Load returns the number of messages that the reader has to handle: those that are queued or in
// transit, those of senders and timers that wait in line for room, and those in hand, which the
// reader has taken since it last asked for more (at most 255 of a larger batch). It may be called
// from any goroutine, and may lag behind as Len does.
func (m *Queue[M]) Load() int {
	n := m.Len() + int(core.Peek(&m.taken))
	if x := m.ext.Load(); x != nil {
		n += int(x.waiting.Load())
	}
	return n
}

// Busy reports whether the reader has taken messages since it last asked for more. It may be called
// from any goroutine, and may lag behind as Len does.
func (m *Queue[M]) Busy() bool { return core.Peek(&m.taken) > 0 }

// Stats are counters for a log.
type Stats struct {
	Len, Cap, Peak   int
	Waiting          int // the senders and timers that wait in line for room
	Handled, Dropped uint64
	Closed           bool
	// FullFor is the time since a send first found no room, if there was none since then. It is 0
	// if the mailbox has room, or if no send has come since it is full. It may be too long by the
	// time for which the scheduler of the mailbox was busy before that send.
	FullFor time.Duration
}

// Stats returns the counters. It may be called from any goroutine, and may lag behind as Len does.
func (m *Queue[M]) Stats() Stats {
	var dropped uint64
	var waiting int32
	if x := m.ext.Load(); x != nil {
		waiting = x.waiting.Load()
		x.mu.Lock()
		dropped = x.dropped + core.Peek(&x.evicted)
		x.mu.Unlock()
	}
	s := Stats{
		Len: m.Len(), Cap: m.Cap(), Peak: int(max(core.Peek(&m.peak), core.Peek(&m.queue.n))),
		Waiting: int(waiting), Handled: core.Peek(&m.handled), Dropped: dropped, Closed: m.Closed(),
	}
	if x, home := m.ext.Load(), m.home.Load(); x != nil && home != nil && s.Cap > 0 && s.Len >= s.Cap {
		if at := x.fullAt.Load(); at != 0 {
			s.FullFor = max(1, time.Duration(home.Nanotime()-at))
		}
	}
	return s
}

// CountCaller adds n to the number of goroutines that wait for the answer to a message that they
// have sent to m. It may be called from any goroutine.
func (m *Queue[M]) CountCaller(n int32) { m.extra().callers.Add(n) }

// Callers returns that number. It may be called from any goroutine.
func (m *Queue[M]) Callers() int {
	if x := m.ext.Load(); x != nil {
		return int(x.callers.Load())
	}
	return 0
}

// Left returns at least the number of messages that are not in m any more: read, dropped or taken
// back. A message that was dropped when it came counts too. Left may be called from any goroutine,
// and may lag behind as Len does.
func (m *Queue[M]) Left() uint64 {
	n := core.Peek(&m.handled)
	if x := m.ext.Load(); x != nil {
		x.mu.Lock()
		n += x.dropped
		x.mu.Unlock()
		n += core.Peek(&x.evicted) + core.Peek(&x.revoked)
	}
	return n
}

// Reader returns the resource on which a task waits for m's reader to make room.
func (m *Queue[M]) Reader() *core.Resource { return &m.reader }
