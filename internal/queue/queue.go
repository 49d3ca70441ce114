package queue

import (
	"math"
	"reflect"
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
)

// DefaultCap is the capacity of a mailbox that is not told otherwise.
const DefaultCap = 1024

// MaxCap is the largest capacity.
const MaxCap = 1 << 30

// Policy says what a send does that finds a mailbox full.
type Policy uint8

const (
	// Block parks the sender until there is room; senders are served first come first served. The
	// default.
	Block Policy = iota
	// Fail returns ErrFull.
	Fail
	// DropNewest drops the message that is being sent. The send reports no error; the loss is
	// counted and reported.
	DropNewest
	// DropOldest drops the oldest message of the mailbox to make room. The loss is counted and
	// reported.
	DropOldest
	// Unbounded takes every message: the mailbox grows until memory ends. For senders that can't
	// wait and can't be refused.
	Unbounded
)

// String gives the constant's name.
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

// Config is for New. The zero value works.
type Config struct {
	Cap      int    // 1 to MaxCap; 0: DefaultCap. Must be 0 with Unbounded
	Overflow Policy // Block
	// Losses is told of messages that were accepted, or dropped instead, and will never be read.
	// Nil: nobody is told.
	Losses LossReporter
}

// LossReporter is told of losses, on the goroutine that found out. MessagesLost may not park.
type LossReporter interface{ MessagesLost(Loss) }

// A ReaderTeller is a LossReporter that knows who is going to read the mailbox, as far as it can be
// told from any goroutine: the resource is what a sender on another scheduler of the same team
// waits on, and held by the same task for ever. Nil: nobody known.
type ReaderTeller interface {
	LossReporter
	ReaderResource() *core.Resource
}

// LossFunc makes a function a LossReporter.
type LossFunc func(Loss)

// MessagesLost calls f.
func (f LossFunc) MessagesLost(l Loss) { f(l) }

// Loss is a report about messages that will never be read.
type Loss struct {
	Count  int
	Type   reflect.Type // of the messages; if M is an interface, of the first of them
	Reason error        // ErrDropped, ErrClosed
}

// Queue is a bounded queue of messages of type M between tasks, with one reader. New makes one;
// Open gives it its reader. A Queue must not be copied.
type Queue[M any] struct {
	// The order of the fields leaves no gaps: an idle receiver has one of these.

	// Set in Init, then read-only; policy too.
	cap uint32 // math.MaxUint32 for Unbounded
	// state is written by whoever closes, and read by every send: a sender on another goroutine has
	// to see it.
	state  atomic.Uint32
	losses LossReporter

	// home is the scheduler that owns the queue: nil until the first Open. Written once, read by
	// every send to tell the local ones.
	home atomic.Pointer[core.Scheduler]
	// ext is allocated by the first that needs it: a sender that finds no room, or one from
	// outside.
	ext atomic.Pointer[ext[M]]

	// Owned by home.
	reader core.Resource // its holder is the reader; nil between two readers
	queue  ring[M]
	// room promised to senders from elsewhere: unspent credits and messages on their way
	granted uint32
	need    uint32 // the reader wants to be woken when so many are queued; never: it is not waiting
	peak    uint32 // the most that were ever queued
	calming bool   // a look at unused memory is due
	// messages in the reader's hand, as far as they fit: taken, and it has not asked for more
	taken uint8
	// the reader wants to be woken by any message that comes, however many are queued
	any     bool
	policy  Policy
	handled uint64 // messages read
}

const never = math.MaxUint32

// The states of a mailbox.
const (
	stateOpen   = iota
	stateClosed // no more sends; what is queued can still be read
	stateMoody  // open; a local send asks first whether it is to find m full. See PretendFull
)

// New makes a mailbox. It panics if cfg is invalid, naming the field.
func New[M any](cfg Config) *Queue[M] {
	m := new(Queue[M])
	m.Init(cfg)
	return m
}

// Init is New for a mailbox that is part of something larger.
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

// firstCredits is the room promised to the outside from the start, so that the first sender from
// there need not ask. Local senders take it back when they need it.
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

// Open makes t the reader. A mailbox has one reader at a time; all of them are tasks of one
// scheduler. On that scheduler.
func (m *Queue[M]) Open(t *core.Task) {
	if m.reader.Holder != nil {
		misuse("opened by %v while %v reads it", t, m.reader.Holder)
	}
	home := m.home.Load()
	switch home {
	case t.Scheduler():
	case nil:
		// A sender from elsewhere holds the lock while it looks at home: it sees the new one, or
		// what it did is taken in below.
		m.home.Store(t.Scheduler())
	default:
		misuse("opened by %v on another scheduler than before", t)
	}
	m.reader.Holder = t
	m.collect()
	if m.ext.Load() != nil {
		m.tellWaiters(t, home == nil)
	}
}

// Hold ends the reader but not the mailbox: it goes on to take messages up to its capacity, for the
// next reader. On home.
func (m *Queue[M]) Hold() {
	m.reader.Holder, m.taken = nil, 0
	m.need = never
}

// Close lets no more messages in; what is queued is still read, then the reader is told. Parked
// senders get ErrClosed. From any goroutine. Closing twice does nothing.
func (m *Queue[M]) Close() {
	if m.state.Swap(stateClosed) == stateClosed {
		return
	}
	if home := m.home.Load(); home != nil {
		home.Inject((*closing[M])(m))
		return
	}
	// Not opened yet, so whoever waits is in ext.queue. If m is being opened now, Open sends them
	// away.
	if x := m.ext.Load(); x != nil {
		x.mu.Lock()
		lost := m.refuse(nil, &x.queue)
		x.mu.Unlock()
		m.report(lost)
	}
}

// closing is the part of Close that home does.
type closing[M any] Queue[M]

func (c *closing[M]) Do() {
	m := (*Queue[M])(c)
	if !m.Closed() {
		return // opened again meanwhile
	}
	m.collect()
	m.wakeReader()
}

// collect is takeIn if anybody has ever sent from elsewhere. On home.
func (m *Queue[M]) collect() {
	if m.ext.Load() != nil {
		m.takeIn()
	}
}

// wakeReader wakes the reader if it waits for messages. On home.
func (m *Queue[M]) wakeReader() {
	if m.need != never {
		m.need = never
		m.reader.Holder.Wake()
	}
}

// Reopen lets messages in again after Close, CloseEmpty or Discard. On home.
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

// Closed reports whether m takes no more messages. From any goroutine.
func (m *Queue[M]) Closed() bool { return m.state.Load() == stateClosed }

// Drained reports whether m is closed and empty: there will be nothing to read. On home.
func (m *Queue[M]) Drained() bool {
	if m.queue.n > 0 || !m.Closed() {
		return false
	}
	m.collect() // a message may be on its way that was sent before the close
	return m.queue.n == 0
}

// Discard is CloseEmpty and the end of the reader, if there is one.
func (m *Queue[M]) Discard() {
	m.Hold()
	m.CloseEmpty()
}

// CloseEmpty is Close for a mailbox that nobody will read any more: what is queued, or on its way,
// is reported as lost. On home; if m was never opened, from any goroutine.
func (m *Queue[M]) CloseEmpty() {
	m.state.Store(stateClosed)
	m.collect()
	m.Settle(ErrClosed)
	lost := Loss{Count: int(m.queue.n), Reason: ErrClosed}
	if m.queue.n > 0 {
		lost.Type = typeOf(&m.queue.buf[m.queue.head])
	}
	for m.queue.n > 0 {
		if _, ticket := m.queue.popTicket(); ticket != nil {
			ticket.Settled(ErrClosed)
		}
	}
	m.queue = ring[M]{}
	m.report(lost)
	m.wakeReader()
}

func (m *Queue[M]) report(l Loss) {
	if l.Count > 0 && m.losses != nil {
		m.losses.MessagesLost(l)
	}
}

// typeOf is the type of a message: the static one, or for an interface what is in it.
func typeOf[M any](v *M) reflect.Type {
	if t := reflect.TypeFor[M](); t.Kind() != reflect.Interface {
		return t
	}
	return reflect.TypeOf(any(*v))
}

// Home is the scheduler of m's readers; nil before the first Open.
func (m *Queue[M]) Home() *core.Scheduler { return m.home.Load() }

// evicted is the number of messages that home has dropped.
func (m *Queue[M]) evicted() uint64 {
	if x := m.ext.Load(); x != nil {
		return x.evicted
	}
	return 0
}

// revoked is the number of messages that Revoke has taken back.
func (m *Queue[M]) revoked() uint64 {
	if x := m.ext.Load(); x != nil {
		return x.revoked
	}
	return 0
}

// Cap is the capacity; 0 for Unbounded.
func (m *Queue[M]) Cap() int {
	if m.policy == Unbounded {
		return 0
	}
	return int(m.cap)
}

// Overflow is the policy.
func (m *Queue[M]) Overflow() Policy { return m.policy }

// Len is the number of queued messages, those on their way included; parked senders do not count.
// From any goroutine: from another than home's it may lag behind by what happens at the moment.
func (m *Queue[M]) Len() int {
	n := int(core.Peek(&m.queue.n))
	if x := m.ext.Load(); x != nil {
		x.mu.Lock()
		in := int(x.in.n)
		x.mu.Unlock()
		if in > 0 {
			n = min(n+in, int(min(m.cap, math.MaxInt32))) // they were not counted at one moment
		}
	}
	return n
}

// Load is how much there is to do for the reader: the messages that are queued or on their way,
// those of senders and timers that wait in line for room, and those in hand, which the reader has
// taken before it last asked for more (255 of a larger batch). From any goroutine, with the same
// reservation as Len.
func (m *Queue[M]) Load() int {
	n := m.Len() + int(core.Peek(&m.taken))
	if x := m.ext.Load(); x != nil {
		n += int(x.waiting.Load())
	}
	return n
}

// Stats are counters for a log.
type Stats struct {
	Len, Cap, Peak   int
	Handled, Dropped uint64
	Closed           bool
}

// Stats gives the counters; as Len it may be asked from any goroutine.
func (m *Queue[M]) Stats() Stats {
	var dropped uint64
	if x := m.ext.Load(); x != nil {
		x.mu.Lock()
		dropped = x.dropped + core.Peek(&x.evicted)
		x.mu.Unlock()
	}
	return Stats{
		Len: m.Len(), Cap: m.Cap(), Peak: int(max(core.Peek(&m.peak), core.Peek(&m.queue.n))),
		Handled: core.Peek(&m.handled), Dropped: dropped, Closed: m.Closed(),
	}
}

// Reader is what a task waits on that waits for m's reader to make room.
func (m *Queue[M]) Reader() *core.Resource { return &m.reader }
