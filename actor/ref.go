package actor

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/list"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Ref is the address of a tasklet that takes messages of type M. It is a small value that can be
// compared, copied and sent. It stays valid when the tasklet is restarted: the new tasklet reads
// the same mailbox, in the same order. Methods may be called from any goroutine. The zero Ref is no
// address. Its methods panic, except IsZero and String.
type Ref[M any] struct{ l *lineage[M] }

// lineage is what a ref points to: a mailbox and the tasklets that read it, one after the other.
type lineage[M any] struct {
	box queue.Queue[M]

	// cur is the tasklet that was started last. Atomic: written by the goroutine that starts it,
	// and read by any, through current if a tasklet that has ended does not count. It is kept when
	// the tasklet ends. So the end costs nothing here, which matters if a million tasklets end at
	// once.
	cur atomic.Pointer[Tasklet]
	// more has the data that most refs never need. It is allocated on first use.
	more atomic.Pointer[lineageExtra]

	// Atomic: dead and over are written by the scheduler, and read by any goroutine. They are not
	// in more, so that a lineage without more need not allocate it at its end.
	dead atomic.Bool   // no tasklet will read the lineage any more
	over atomic.Uint32 // the last tasklet has finished too; see OnEnd
}

// Values of lineage.over.
const (
	lineageLives = iota
	lineageEnds  // the functions of OnEnd are being called, and new ones are called at once
	lineageOver  // all of them were called
)

// lineageExtra is the part of a lineage that most lineages never need.
type lineageExtra struct {
	// joining is the number of goroutines in Ref.Join. Atomic: written by these.
	joining atomic.Int32

	name string                 // set in NewRef, then read-only
	sys  atomic.Pointer[System] // the first whose tasklet used it before its start

	mu      sync.Mutex    // protects the following, except the fields that the scheduler owns
	change  chan struct{} // closed when goroutines that wait for the lineage must look again
	bells   bells         // of tasklets in Ref.Join
	onEnd   list.List[func()]
	labels  []label  // of all its tasklets
	posted  []func() // to be called on the scheduler; see post
	gaveUp  bool     // see giveUp
	counted int      // messages that giveUp has reported and that are still queued

	// stopped says that no restart is to come until the next start. Set by Slot.Close after the
	// tasklet ended by itself.
	stopped  bool
	stops    uint32            // how often stopped was set, plus 1 for the permanent end
	last     *Tasklet          // the last tasklet at that time, or nil
	watchers list.List[*watch] // watches of the ref, notified at that time

	// work is the function given to own.Work, or nil. Set before the first start, then read-only.
	work func() int
	// proxy stands for the tasklet of a ref on another node, or is nil. Set before the first use,
	// then read-only.
	proxy far.Proxy

	lives        list.List[*lifeWatch] // those who follow all incarnations
	livesWatched atomic.Bool           // there was one; set before a tasklet is looked for

	// Owned by the scheduler.
	reopen bool // the next start opens the mailbox again

	// For Retry. Owned by the scheduler.
	tries   int    // how often the message at the head was put back
	dropped uint64 // the number of messages dropped by then
}

func (l *lineage[M]) extra() *lineageExtra {
	if x := l.more.Load(); x != nil {
		return x
	}
	l.more.CompareAndSwap(nil, new(lineageExtra))
	return l.more.Load()
}

// anyLineage is a lineage without its type parameter.
type anyLineage interface {
	claim(t *Tasklet, h *host)
	reserve(s *Slot) error
	began(t *Tasklet)
	open(t *Tasklet)
	home() *host
	idle() bool
	waits() bool
	stopWait()
	reader() *core.Resource
	waitedOn(by *Tasklet) *core.Resource
	bodyEnded(t *Tasklet, err error)
	drain(t *Tasklet)
	abandon(t *Tasklet)
	giveUp()
	settle(t *Tasklet, err error)
	revoke(ticket queue.Ticket)
	close(over bool)
	retire()
	isDead() bool
	message() reflect.Type
	stats() mailbox.Stats
	overflow() mailbox.Policy
	queued() int
	busy() bool
	left() uint64
	countCaller(n int32)
	outside() (callers, joiners int)
	name() string
	identity() any
	current() *Tasklet
	last() *Tasklet
	change() <-chan struct{}
	scheduler() *core.Scheduler
	path() string
	ended()
	pretendFull(full func() bool)
}

// NewRef makes a ref before its tasklet. The ref can be passed on, and takes messages up to its
// capacity. The options are Name, MailboxLen and Overflow.
func NewRef[M any](opts ...Option) Ref[M] {
	for i := range opts {
		if opts[i].set&(optName|boxOptions) == 0 {
			misuse("NewRef can't use the option %s", optionNames[opts[i].set])
		}
	}
	return newRef[M]("NewRef", opts)
}

func newRef[M any](op string, opts []Option) Ref[M] {
	l := &lineage[M]{}
	l.init(op, opts)
	return Ref[M]{l}
}

func (l *lineage[M]) init(op string, opts []Option) {
	cfg := queue.Config{Losses: l}
	if len(opts) > 0 {
		cfg = boxConfig(op, opts)
		cfg.Losses = l
		for i := range opts {
			if opts[i].set == optName {
				l.extra().name = opts[i].name
			}
		}
	}
	l.box.Init(cfg)
}

// use makes s the system of l if it has none yet, because a mailbox that was never opened has no
// home.
func (l *lineage[M]) use(s *System) {
	if l.box.Home() == nil {
		l.extra().sys.CompareAndSwap(nil, s)
	}
}

// usedBy calls use with the system of the tasklet that ctx belongs to, if there is one.
func (l *lineage[M]) usedBy(ctx context.Context) {
	if l.box.Home() == nil && ctx != nil {
		if t := Current(ctx); t != nil {
			l.use(t.sys)
		}
	}
}

// system returns the first system that used l, or nil.
func (l *lineage[M]) system() *System {
	if home := l.box.Home(); home != nil {
		return hostOf(home).sys
	}
	if x := l.more.Load(); x != nil {
		return x.sys.Load()
	}
	return nil
}

// must returns the lineage of r, and panics if r is the zero Ref.
func (r Ref[M]) must(op string) *lineage[M] {
	if r.l == nil {
		misuse("%s with a zero Ref", op)
	}
	return r.l
}

// IsZero reports whether r is the zero Ref.
func (r Ref[M]) IsZero() bool { return r.l == nil }

// Send sends m. While the mailbox is full it parks the calling tasklet, or blocks the calling
// goroutine, as long as ctx allows; waiting senders are served first come, first served. Another
// overflow policy changes that, see [Overflow].
//
// Send returns mailbox.ErrClosed if the ref is closed or dead, mailbox.ErrFull under mailbox.Fail,
// ErrTimeout or the cause of ctx if ctx ends first, and a *DeadlockError, at once, if the wait
// could never end. If the error is not nil, m was not sent. Inside a tasklet, ctx must belong to
// it.
func (r Ref[M]) Send(ctx context.Context, m M) error {
	if t, ok := ctx.(*Tasklet); ok {
		// The common case, without a call through an interface.
		if !t.task.IsRunning() {
			t.mustRun("Send")
		}
		if r.l != nil && r.l.box.Put(&t.task, m) {
			return nil
		}
		l := r.must("Send")
		l.use(t.sys)
		return l.box.SendTask(&t.task, nil, m, nil, false)
	}
	l := r.must("Send")
	l.usedBy(ctx)
	return l.box.Send(ctx, m)
}

// TrySend is like Send, but never waits: it returns mailbox.ErrFull where Send would wait.
func (r Ref[M]) TrySend(ctx context.Context, m M) error {
	l := r.must("TrySend")
	l.usedBy(ctx)
	return l.box.TrySend(ctx, m)
}

// Close lets no more messages in. The tasklet handles the queued messages, and then ends with nil.
// Closing a closed ref has no effect. Close never parks.
//
// The close of a ref to another node goes there, after the messages that this node has sent to the
// ref.
func (r Ref[M]) Close() {
	l := r.must("Close")
	if p := l.elsewhere(); p != nil {
		p.Close()
		return
	}
	if l.box.Closed() {
		return
	}
	l.box.Close()
	if t := l.last(); t != nil {
		t.sys.emit(EventRecord{Kind: event.Close, Tasklet: t})
	}
}

// Kill kills the current tasklet; see [Tasklet.Kill]. It has no effect if there is none. The kill
// of a ref to another node goes there.
func (r Ref[M]) Kill() {
	l := r.must("Kill")
	if p := l.elsewhere(); p != nil {
		p.Kill("", nil)
	} else if t := l.current(); t != nil {
		t.Kill()
	}
}

// KillCause kills the current tasklet, with a cause and a sender; see [Tasklet.KillCause]. It has
// no effect if there is none. To another node the text of the cause is sent.
func (r Ref[M]) KillCause(ctx context.Context, cause error) {
	l := r.must("KillCause")
	if p := l.elsewhere(); p != nil {
		by := ""
		if t := Current(ctx); t != nil {
			by = t.Path()
		}
		p.Kill(by, cause)
	} else if t := l.current(); t != nil {
		t.KillCause(ctx, cause)
	}
}

// Tasklet returns the current tasklet. It is nil before the start, and between two incarnations.
// For a ref to another node it is the tasklet that passes the messages on, and nil while the ref is
// not in use here.
func (r Ref[M]) Tasklet() *Tasklet { return r.must("Tasklet").current() }

// Name returns the ref's own name, or else that of its tasklet, or "".
func (r Ref[M]) Name() string {
	l := r.must("Name")
	if n := l.name(); n != "" {
		return n
	}
	if t := l.last(); t != nil {
		return t.Name()
	}
	return ""
}

// String returns the path of the current tasklet. Between two incarnations it is the path of the
// last one, and before the first the name.
func (r Ref[M]) String() string {
	if r.l == nil {
		return "(zero ref)"
	}
	return r.l.path()
}

func (l *lineage[M]) path() string {
	if t := l.last(); t != nil {
		return t.Path()
	}
	return l.name()
}

// Len returns the number of queued messages, not counting those of parked senders. When called from
// another scheduler or from a goroutine, it may lag behind.
func (r Ref[M]) Len() int { return r.must("Len").box.Len() }

// Load returns the number of messages that r's tasklet has to handle: those that are queued, those
// of senders and timers that wait for room, and the one in hand. When called from another scheduler
// or from a goroutine, it may lag behind.
func (r Ref[M]) Load() int { return r.must("Load").box.Load() }

// Cap returns the capacity of the mailbox, or 0 if it is unbounded.
func (r Ref[M]) Cap() int { return r.must("Cap").box.Cap() }

// IsClosed reports whether r accepts no messages: it was closed, its supervisor keeps its tasklet
// stopped, or it is dead. A ref that is closed but not dead may be opened again.
func (r Ref[M]) IsClosed() bool { return r.must("IsClosed").box.Closed() }

// IsDead reports whether the lineage of r's tasklets has ended permanently. Every send then returns
// mailbox.ErrClosed.
func (r Ref[M]) IsDead() bool { return r.must("IsDead").isDead() }

// lastForGood returns the tasklet after which none starts by itself, or nil if there never was one.
// It returns false if one may still start. x.mu must be held.
func (l *lineage[M]) lastForGood(x *lineageExtra) (t *Tasklet, known bool) {
	if t = l.last(); t != nil && !t.supervised && x.proxy == nil { // cur is kept when it ends
		return t, true
	}
	if l.over.Load() == lineageOver {
		return l.last(), true
	}
	return x.last, x.stopped
}

// change returns a channel that is closed when goroutines that wait for l must check again, because
// another tasklet reads it or it is over.
func (l *lineage[M]) change() <-chan struct{} {
	return l.changeUnless(func() bool { return l.over.Load() == lineageOver })
}

// changeUnless is like change, but its channel is already closed if over, called under
// lineageExtra.mu, returns true.
func (l *lineage[M]) changeUnless(over func() bool) <-chan struct{} {
	x := l.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case over():
		return closed
	case x.change == nil:
		x.change = make(chan struct{})
	}
	return x.change
}

// gone returns a channel that is closed when the scheduler of l has ended or was given up. It
// returns nil before the first tasklet.
func (l *lineage[M]) gone() <-chan struct{} {
	if s := l.scheduler(); s != nil {
		return s.Gone().Done()
	}
	return nil
}

// elsewhere returns what stands for the tasklet of a ref on another node, or nil.
func (l *lineage[M]) elsewhere() far.Proxy {
	if x := l.more.Load(); x != nil {
		return x.proxy
	}
	return nil
}

// rouse gets a tasklet for a ref to another node, so that the end there is noticed here. x is l's,
// and may be nil.
func (l *lineage[M]) rouse(x *lineageExtra) {
	if x != nil && x.proxy != nil && !l.dead.Load() {
		x.proxy.Rouse(l)
	}
}

// scheduler returns the scheduler on which the mailbox is read, or will be read when the first
// tasklet has arrived there. It returns nil before the start of the first tasklet.
func (l *lineage[M]) scheduler() *core.Scheduler {
	if home := l.box.Home(); home != nil {
		return home
	}
	if t := l.last(); t != nil {
		return t.task.Scheduler()
	}
	return nil
}

func (l *lineage[M]) name() string {
	if x := l.more.Load(); x != nil {
		return x.name
	}
	return ""
}

// last returns the latest tasklet of the lineage, or nil before the first. A tasklet that is not
// yet in the tree does not count, because only its start may touch it.
func (l *lineage[M]) last() *Tasklet {
	if t := l.cur.Load(); t != nil && t.marks.Load()&markPlaced != 0 {
		return t
	}
	return nil
}

// current returns the tasklet that reads the lineage, or nil before the first and between two. An
// unsupervised tasklet remains current after its end.
func (l *lineage[M]) current() *Tasklet {
	if t := l.last(); t != nil && !t.left() {
		return t
	}
	return nil
}

// home returns the host on which the mailbox is read, or nil before the first tasklet.
func (l *lineage[M]) home() *host {
	if s := l.box.Home(); s != nil {
		return hostOf(s)
	}
	return nil
}

// ReaderResource implements queue.ReaderTeller.
func (l *lineage[M]) ReaderResource() *core.Resource {
	if t := l.current(); t != nil {
		return t.task.Resource()
	}
	return nil
}

func (l *lineage[M]) idle() bool { return l.box.Await(1) }

func (l *lineage[M]) reader() *core.Resource { return l.box.Reader() }

// waitedOn returns the resource that by waits on if it waits for the reader. The mailbox's own
// resource may be used only on its scheduler.
func (l *lineage[M]) waitedOn(by *Tasklet) *core.Resource {
	if l.box.Home() == by.task.Scheduler() {
		return l.reader()
	}
	return l.ReaderResource()
}

func (l *lineage[M]) settle(t *Tasklet, err error) { l.box.SettleBy(&t.task, err) }

func (l *lineage[M]) revoke(ticket queue.Ticket) { l.box.Revoke(ticket) }

// tellJoiners makes the callers of Ref.Join check again.
func (l *lineage[M]) tellJoiners() {
	x := l.more.Load()
	if x == nil {
		return
	}
	x.mu.Lock()
	if x.change != nil {
		close(x.change)
		x.change = nil
	}
	rings := x.bells.Take()
	x.mu.Unlock()
	for b := range rings {
		b.Ring(nil)
	}
}

// far reports whether the scheduler of the lineage may be another one than the caller's.
func (l *lineage[M]) far() bool {
	home := l.home()
	return home != nil && len(home.sys.hosts) > 1
}

func (l *lineage[M]) isDead() bool          { return l.dead.Load() }
func (l *lineage[M]) message() reflect.Type { return reflect.TypeFor[M]() }
func (l *lineage[M]) stats() mailbox.Stats  { return l.box.Stats() }

func (l *lineage[M]) left() uint64 { return l.box.Left() }

func (l *lineage[M]) countCaller(n int32) { l.box.CountCaller(n) }

// outside returns the numbers of goroutines that wait in a Call and in Ref.Join.
func (l *lineage[M]) outside() (callers, joiners int) {
	if x := l.more.Load(); x != nil {
		joiners = int(x.joining.Load())
	}
	return l.box.Callers(), joiners
}

func (l *lineage[M]) overflow() mailbox.Policy { return l.box.Overflow() }

// queued returns the number of messages of users that are queued for l. Those of the library are
// not counted, but what they stand for is; see own.Work.
func (l *lineage[M]) queued() int {
	switch x := l.more.Load(); {
	case !own.Is(l.message()):
		return l.stats().Len
	case x != nil && x.work != nil:
		return x.work()
	}
	return 0
}

// busy reports whether the reader has messages of users in hand.
func (l *lineage[M]) busy() bool { return !own.Is(l.message()) && l.box.Busy() }

func (l *lineage[M]) identity() any { return l }
