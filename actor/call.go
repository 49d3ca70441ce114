package actor

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Reply is the destination of the answer to one [Call]. It is a part of the request, and a small
// value that can be passed on. It is answered once, by any tasklet or goroutine. Only Call makes
// replies; the methods of the zero Reply panic.
type Reply[R any] struct {
	c   *cell[R]
	gen uint32
}

// cell is where a call waits for its reply. A tasklet keeps one cell and uses it for one call after
// the other. Ordinary goroutines get their cells from a pool. A reply that comes too late finds
// another generation.
//
// A compare-and-swap on state decides what ends the call: a reply, an error, or that the caller
// gives up. Only the winner writes v and err.
type cell[R any] struct {
	callBase
	v R // written by the winner before the caller is woken
}

// callBase is the part of a cell that does not depend on R. It is the queue.Ticket of the
// request.
type callBase struct {
	// state is the generation, multiplied by callGen, and the flags and the phase below. Because it
	// is one word, a call costs three locked instructions: the start, the decision and the
	// settling.
	state atomic.Uint64
	// delegate is the tasklet that the call was delegated to last. It is meaningful only with
	// callDelegated.
	delegate atomic.Pointer[Tasklet]

	// Set when it is made, then read-only.
	caller *Tasklet   // nil for an ordinary goroutine
	pool   *sync.Pool // the pool of the cell of an ordinary goroutine, or nil
	// self is the cell with its type, as it is put into pool. For a call on another node it is the
	// far.Answered, and otherwise nil.
	self any

	// done has room for one value. An ordinary goroutine makes it before it sets callBlocks. It
	// stays nil for a call on another node, whose callBlocks is set from the start.
	done chan struct{}

	err error // written by the winner before callOver

	parked bool // the caller is parked in wait; owned by its scheduler

	id far.Cell // the identity of the cell for package registry/cluster
}

// The phases of a call, and the flags.
const (
	callOpen  = iota // the call waits for its end
	callWon          // the winner is about to write the answer
	callOver         // the answer is written
	callLeft         // the caller has given up
	callPhase = 3
	// The callee has delegated, so the end of its handler does not end the call.
	callDelegated = 4
	callSettled   = 8 // the mailbox no longer uses the request, so the cell can be used again
	// An ordinary goroutine has taken the answer. The caller that sets the second of callTaken and
	// callSettled puts the cell back.
	callTaken = 16
	// An ordinary goroutine blocks on done or is about to. If this is set before callOver, the
	// winner must send to done.
	callBlocks = 32
	callGen    = 64
)

func (c *callBase) gen() uint32 { return uint32(c.state.Load() / callGen) }

// move takes call number gen from open to a phase and sets flags, and reports whether it was open.
func (c *callBase) move(gen uint32, phaseAndFlags uint64) bool {
	for {
		s := c.state.Load()
		if uint32(s/callGen) != gen || s&callPhase != callOpen {
			return false
		}
		if c.state.CompareAndSwap(s, s|phaseAndFlags) {
			return true
		}
	}
}

func (c *callBase) isOpen(gen uint32) bool {
	s := c.state.Load()
	return uint32(s/callGen) == gen && s&callPhase == callOpen
}

// answered is injected work that wakes the caller on its scheduler.
type answered callBase

// Do wakes the caller if it is parked for this call. If the answer comes from another goroutine,
// the caller may not be parked yet.
func (a *answered) Do() {
	if a.parked {
		a.caller.task.Wake()
	}
}

// written makes the result visible to the caller, after a move to callWon.
func (c *callBase) written() {
	s := c.state.Add(callOver - callWon)
	if c.caller != nil {
		c.caller.task.Scheduler().Inject((*answered)(c))
	} else if s&callBlocks != 0 {
		if c.done == nil {
			c.self.(far.Answered).Answered()
			return
		}
		c.done <- struct{}{}
	}
}

// Settled is called by the mailbox when the request has been handled or will never be.
func (c *callBase) Settled(err error) {
	s := c.state.Load()
	if s&callPhase == callOpen && s&callDelegated == 0 {
		if err == nil {
			err = ErrNoReply
		}
		c.fail(uint32(s/callGen), err)
	}
	c.giveBack(callSettled)
}

// giveBack sets flag, and puts the cell of an ordinary goroutine back into its pool if nobody else
// uses it any more.
func (c *callBase) giveBack(flag uint64) {
	const both = callSettled | callTaken
	if s := c.state.Or(flag) | flag; c.pool == nil || s&both != both {
		return
	} else if s&callDelegated != 0 {
		c.delegate.Store(nil)
	}
	c.pool.Put(c.self)
}

// ReadBy is called by the mailbox, which has the request queued, when it gets a new reader.
func (c *callBase) ReadBy(t *core.Task) {
	s := c.state.Load()
	if c.caller == nil || s&callPhase != callOpen {
		return
	}
	r := &redirect{delegation{c, uint32(s / callGen)}, t.Resource()}
	if at := c.caller.task.Scheduler(); at == t.Scheduler() {
		r.Do()
	} else {
		at.Inject(r)
	}
}

// fail ends call number gen with err, if it is open.
func (c *callBase) fail(gen uint32, err error) {
	if c.move(gen, callWon) {
		c.err = err
		c.written()
	}
}

// delegation is a call that a tasklet must answer.
type delegation struct {
	c   *callBase
	gen uint32
}

// fail ends the call because t has finished with err, or was given up.
func (d delegation) fail(t *Tasklet, err error) {
	if d.c.delegate.Load() != t {
		return // delegated to another tasklet
	}
	if err == nil {
		err = ErrNoReply
	}
	d.c.fail(d.gen, &JoinError{t, err})
}

// Call sends a request to to, and waits for the answer. msg makes the request from the [Reply] that
// it must carry. Call returns the value of the answer, or the error given to Reply.Fail. It parks a
// calling tasklet, and blocks a calling goroutine.
//
// If no answer can come, Call returns an error at once: ErrNoReply if the request was handled
// without an answer, the handler's error if it failed, a *JoinError if the tasklet that had taken
// the request has ended, mailbox.ErrDropped, or mailbox.ErrClosed. It returns ErrTimeout or the
// cause of ctx if ctx ends first, a *DeadlockError if the callee waits for the caller, and the
// errors of Ref.Send. An error that reports the end of the callee does not count as the end of a
// caller that returns it; see [KindOf]. If ctx has ended before the call, or a deadlock is
// detected, nothing was sent. A deadlock over several schedulers is detected after the request has
// been sent, which is then taken back.
//
// Inside a tasklet, ctx must belong to it. If the caller gives up while its request is in the
// mailbox, the request stays there; a handler can check [Reply.Awaited] before it does the work.
// The calls of a tasklet after the first allocate nothing.
func Call[M, R any](ctx context.Context, to Ref[M], msg func(Reply[R]) M) (R, error) {
	mustFunc("Call", msg != nil)
	l := to.must("Call")
	if ctx == nil {
		misuse("Call with a nil context")
	}
	by, limit := callerOf(ctx)
	if limit != nil { // before the request is sent, because nobody would wait for its reply
		if err := core.ContextError(limit); err != nil {
			var zero R
			return zero, err
		}
	}
	var c *cell[R]
	if by == nil {
		c = pooledCell[R](l.system())
	} else {
		by.mustRun("Call")
		if limit == nil && l.box.Home() == by.task.Scheduler() {
			if err := by.task.MayWait(core.Wait{Kind: core.InCall, On: l.reader()}); err != nil {
				var zero R
				return zero, err
			}
		}
		l.use(by.sys)
		c = freeCell[R](by)
	}
	gen := c.gen() + 1
	c.err = nil
	c.state.Store(uint64(gen) * callGen) // open
	m := msg(Reply[R]{c, gen})
	var err error
	if by == nil {
		err = l.box.SendOutside(ctx, m, &c.callBase)
	} else {
		err = l.box.SendTask(&by.task, limit, m, &c.callBase, false)
	}
	if err != nil {
		if c.leave(gen); by == nil {
			if _, kept := ctx.(own.KeepCell); !kept || err != mailbox.ErrClosed {
				c.giveBack(callTaken)
			}
		} else {
			c.free(by)
		}
		c.giveBack(callSettled) // the mailbox does not know the request
		var zero R
		return zero, err
	}
	if by == nil {
		return c.waitOutside(ctx, gen, l)
	}
	if l.box.Home() != by.task.Scheduler() {
		defer whenGone(&by.task, l.scheduler(), (*answered)(&c.callBase))()
	}
	return c.wait(by, limit, gen, l)
}

func init() {
	own.Work = func(ref any, n func() int) { ref.(interface{ work(func() int) }).work(n) }
	own.MustSend = func(ctx context.Context) {
		if ctx == nil {
			misuse("a send with a nil context")
		}
		if t := core.TaskOf(ctx); t != nil {
			t.MustRun("a send")
		}
	}
	own.Ended = func(ctx context.Context) error {
		if _, limit := callerOf(ctx); limit != nil {
			return core.ContextError(limit)
		}
		return nil
	}
	own.Refused = func(reply any) bool {
		r, ok := reply.(interface{ refused() bool })
		return ok && r.refused()
	}
}

// work implements own.Work.
func (r Ref[M]) work(n func() int) { r.must("Work").extra().work = n }

// refused implements own.Refused. A call that was answered is over, and its cell may be used for
// another one.
func (r Reply[R]) refused() bool {
	if r.c == nil {
		return false
	}
	s := r.c.state.Load()
	return uint32(s/callGen) == r.gen && s&callPhase == callLeft
}

// freeCell returns the cell that t keeps, if it has the right type and the mailbox has settled it.
// Otherwise it returns a new one.
func freeCell[R any](t *Tasklet) *cell[R] {
	x := t.extra()
	if c, ok := x.cell.(*cell[R]); ok && c.state.Load()&callSettled != 0 {
		x.cell = nil
		return c
	}
	c := &cell[R]{}
	c.caller = t
	return c
}

// free keeps c for the next call of t, which can use it when the mailbox has settled it too.
func (c *cell[R]) free(t *Tasklet) { t.extra().cell = c }

// pooledCell returns a cell for a call to s by an ordinary goroutine. s is nil if it is not known.
// The cell goes back to the pool when the caller has taken the answer and the mailbox has settled
// the request. If the caller has given up it never goes back, because an answer may still come.
//
// The pools belong to the system and not to the program, because the channel of a cell that was
// made in a bubble of testing/synctest may not be used outside of the bubble.
func pooledCell[R any](s *System) *cell[R] {
	if s == nil {
		return &cell[R]{}
	}
	key := reflect.TypeFor[R]()
	pool, ok := s.cells.Load(key)
	if !ok {
		pool, _ = s.cells.LoadOrStore(key, new(sync.Pool))
	}
	p := pool.(*sync.Pool)
	if c, ok := p.Get().(*cell[R]); ok {
		return c
	}
	c := &cell[R]{}
	c.pool, c.self = p, c
	return c
}

// leave gives the call up. It returns false if the call has ended already.
func (c *callBase) leave(gen uint32) bool {
	if !c.move(gen, callLeft) {
		return false
	}
	if c.state.Load()&callDelegated != 0 {
		if x := c.delegate.Load().ex.Load(); x != nil {
			x.mu.Lock()
			var left func(far.Call)
			if f := x.followers; f != nil {
				left = f.left
			}
			x.mu.Unlock()
			if left != nil {
				left(far.Call{Cell: &c.id, Gen: gen})
			}
		}
	}
	return true
}

// wait parks the caller until call number gen, the cell's current one, is over.
func (c *cell[R]) wait(by *Tasklet, limit context.Context, gen uint32, l anyLineage) (v R, err error) {
	defer func() {
		if c.parked { // a kill is being raised
			c.parked = false
			c.leave(gen)
		}
	}()
	woken := false
	for on := l.waitedOn(by); c.state.Load()&callPhase != callOver; {
		if woken && c.isGone(l) && c.leave(gen) {
			return v, c.leftBehind(l)
		}
		if c.state.Load()&(callPhase|callDelegated) != callOpen {
			on = nil // the callee has delegated, or has answered
		}
		c.parked = true
		err := by.task.Park(core.Wait{Kind: core.InCall, On: on, Ctx: limit})
		c.parked = false
		if woken = err == nil; woken {
			continue
		}
		if !c.leave(gen) {
			limit = nil // the answer is there or is being written
			continue
		}
		if _, ring := err.(*DeadlockError); ring {
			// Otherwise the request would be handled later for no caller, and might close the next
			// cycle.
			l.revoke(&c.callBase)
		}
		if errors.Is(err, ErrTimeout) {
			by.sys.emit(EventRecord{
				Kind: event.CallTimeout, Tasklet: by, Err: err, Message: l.message(),
				Fields: []zap.Field{zap.String("target", l.path())},
			})
		}
		return v, err // the cell is not used again, because the request may still be in transit
	}
	v, err = c.v, c.err
	var zero R
	c.v, c.err = zero, nil
	c.free(by)
	return v, fromOther(err)
}

// waitOutside blocks an ordinary goroutine until call number gen, the cell's current one, is over.
//
// It first yields once to other goroutines. Often the answer is there after that, and neither side
// has to block or to wake the other. Only a caller that is about to block sets callBlocks, and is
// woken through done.
func (c *cell[R]) waitOutside(ctx context.Context, gen uint32, l anyLineage) (v R, err error) {
	if c.state.Load()&callPhase != callOver {
		runtime.Gosched()
	}
	if c.state.Load()&callPhase == callOver {
		return c.takeOutside()
	}
	if c.done == nil {
		c.done = make(chan struct{}, 1)
	}
	if c.state.Or(callBlocks)&callPhase == callOver {
		return c.takeOutside()
	}
	l.countCaller(1) // only now, because a call that need not block would pay for it
	defer l.countCaller(-1)
	for {
		home := c.answerer(l)
		var gone, change <-chan struct{}
		if home != nil {
			gone = home.Gone().Done()
		} else {
			change = l.change() // closed by the first tasklet of the lineage
		}
		select {
		case <-c.done:
			return c.takeOutside()
		case <-ctx.Done():
			err = core.ContextError(ctx)
		case <-change:
			continue
		case <-gone:
			if c.answerer(l) != home {
				continue
			}
			err = c.leftBehind(l)
		}
		if c.leave(gen) {
			return v, err
		}
		<-c.done
		return c.takeOutside()
	}
}

// takeOutside returns the answer to an ordinary goroutine. The phase must be callOver.
func (c *cell[R]) takeOutside() (v R, err error) {
	v, err = c.v, c.err
	var zero R
	c.v, c.err = zero, nil
	c.giveBack(callTaken)
	return v, fromOther(err)
}

// isGone reports whether the answerer's system has ended or was given up, so that no answer can
// come.
func (c *callBase) isGone(l anyLineage) bool {
	s := c.answerer(l)
	return s != nil && s.Gone().Err() != nil
}

// leftBehind returns the error of a call whose answerer was left behind when its system ended.
func (c *callBase) leftBehind(l anyLineage) error {
	if c.state.Load()&callDelegated != 0 {
		return c.delegate.Load().leftBehind()
	}
	return l.last().leftBehind()
}

// answerer returns the scheduler of the tasklet that must answer, or nil if the ref of the callee
// was never read.
func (c *callBase) answerer(l anyLineage) *core.Scheduler {
	if c.state.Load()&callDelegated != 0 {
		return c.delegate.Load().task.Scheduler()
	}
	return l.scheduler()
}

// Send answers with v. It returns ErrNotAwaited if there was an answer already, or if the caller no
// longer waits. It never parks. ctx identifies the caller of Send: a tasklet passes itself.
func (r Reply[R]) Send(ctx context.Context, v R) error {
	return r.end(ctx, v, nil)
}

// Fail answers with an error, which the Call returns unchanged. ErrStop, ErrShutdown, ErrKilled and
// a *PanicError, also if they are wrapped, get a wrapper, because otherwise they would count as the
// caller's own end if the caller returned them. In all other respects Fail is like [Reply.Send]. It
// panics if err is nil.
func (r Reply[R]) Fail(ctx context.Context, err error) error {
	if err == nil {
		misuse("Reply.Fail with a nil error")
	}
	var zero R
	return r.end(ctx, zero, err)
}

func (r Reply[R]) end(ctx context.Context, v R, err error) error {
	if r.c == nil {
		misuse("answer to a zero Reply")
	}
	if ctx == nil {
		misuse("answer with a nil context")
	}
	by, _ := callerOf(ctx)
	c := r.c.caller
	if c != nil && by != nil && by.task.Scheduler() == c.task.Scheduler() && by.task.IsRunning() {
		// No other goroutine looks at the cell before the caller has control.
		if r.c.move(r.gen, callOver) {
			r.c.v, r.c.err = v, err
			(*answered)(&r.c.callBase).Do()
			return nil
		}
	} else if r.c.move(r.gen, callWon) {
		r.c.v, r.c.err = v, err
		r.c.written()
		return nil
	}
	e := EventRecord{Kind: event.ReplyLate, Tasklet: by, Err: ErrNotAwaited}
	if c != nil {
		e.Fields = append(e.Fields, zap.Stringer("caller", c))
	}
	switch {
	case by != nil:
		by.sys.emit(e)
	case c != nil:
		c.sys.emit(e)
	}
	return ErrNotAwaited
}

// Awaited reports whether the caller still waits for the reply: there was no answer, and the caller
// has not given up.
func (r Reply[R]) Awaited() bool {
	if r.c == nil {
		misuse("Awaited of a zero Reply")
	}
	s := r.c.state.Load()
	return uint32(s/callGen) == r.gen && s&callPhase == callOpen
}

// Delegate declares that to will answer later, so that the call does not end when the handler
// returns. to may be the tasklet that calls Delegate. If to ends without an answer, the Call
// returns a *JoinError. Delegate must be called inside the tasklet that has the request in hand. It
// panics if to is nil.
func (r Reply[R]) Delegate(to *Tasklet) {
	if r.c == nil {
		misuse("Delegate of a zero Reply")
	}
	if to == nil {
		misuse("Delegate to a nil *Tasklet")
	}
	if !r.c.isOpen(r.gen) {
		return
	}
	r.c.delegate.Store(to)
	if !r.c.move(r.gen, callOpen|callDelegated) {
		return // the call has ended in the meantime
	}
	d := delegation{&r.c.callBase, r.gen}
	if over, err := d.enter(to); over {
		d.fail(to, err)
		return
	}
	switch c := r.c.caller; {
	case c == nil:
	case c.sys == to.sys && len(c.sys.hosts) == 1:
		c.task.Redirect(nil)
	default:
		c.task.Scheduler().Inject(&redirect{d, nil})
	}
}

// enter adds d to the duties of to. If to has finished or was given up, it returns true and the
// result.
func (d delegation) enter(to *Tasklet) (over bool, err error) {
	x := to.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	switch marks := to.marks.Load(); {
	case marks&markFinished != 0:
		return true, to.result()
	case marks&markLeaked != 0:
		return true, ErrKilled
	}
	f := x.followed()
	if len(f.delegate) == cap(f.delegate) {
		// If there is no room, the calls that are over are removed first. Then there is room for as
		// many calls again, so the cost of one does not depend on their number.
		f.delegate = slices.DeleteFunc(f.delegate, func(d delegation) bool { return !d.c.isOpen(d.gen) })
		f.delegate = slices.Grow(f.delegate, len(f.delegate)+1)
	}
	f.delegate = append(f.delegate, d)
	return false, nil
}

// redirect is injected work that records, on the scheduler of the caller, that the caller waits for
// on. If on is nil it waits for no particular tasklet.
type redirect struct {
	d  delegation
	on *core.Resource
}

func (r *redirect) Do() {
	c := r.d.c
	if !c.parked || !c.isOpen(r.d.gen) || r.on != nil && c.state.Load()&callDelegated != 0 {
		return
	}
	c.caller.task.Redirect(r.on)
}

// failDelegated ends the calls that were delegated to t. It may be called from any goroutine.
func (t *Tasklet) failDelegated() {
	if x := t.ex.Load(); x != nil {
		x.mu.Lock()
		var delegate []delegation
		if f := x.followers; f != nil {
			delegate, f.delegate = f.delegate, nil
		}
		x.mu.Unlock()
		for _, d := range delegate {
			d.fail(t, ErrKilled)
		}
	}
}
