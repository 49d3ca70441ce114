package mailbox

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/scheduler"
)

// Senders from elsewhere, that is from ordinary goroutines and from tasks of other schedulers, may not touch the queue. They
// leave their messages with ext, under a lock, and the scheduler at home moves them over. So that the capacity holds without
// counting together, room is promised in advance, as credits: the promised room is taken off what local senders may use
// (granted), and a sender from elsewhere spends a credit for each message. In every moment
//
//	queue.n + granted <= cap   and   granted = credits + in.n - over
//
// where in holds the messages on their way. (A message put back and the overdraft of DropOldest, see over, excepted.)
//
// Whoever finds no credit and is to wait puts an envelope in ext.queue and knocks; home moves it into the one line of senders,
// behind those that came before, and room goes to the line first. As long as anybody stands there, no credits are given out,
// so nobody overtakes.
//
// Tried and rejected: a common atomic count (every local send pays for it, and a sender that takes its count back makes another
// see "full" and park with nobody to wake it); giving the count back in batches (a local sender that is parked meanwhile is
// not woken); a second queue that the reader looks into (m2, sent because of m1, overtakes m1).
type ext[M any] struct {
	// Owned by home.
	line scheduler.Line // of senders that wait for room; an Item is an *Envelope[M]
	free *Envelope[M]
	used bool // somebody from elsewhere has sent: give out credits

	// mu protects the following.
	mu       sync.Mutex
	in       ring[M]      // messages on their way
	spare    ring[M]      // owned by home: the ring to fill next
	credits  uint32       // room promised and not yet spent
	over     uint32       // messages in in that were sent without a credit, under DropOldest
	early    bool         // not opened yet, and all of the capacity was promised
	knocked  bool         // home was told that there is something to be done
	queue    *Envelope[M] // waiting, not yet in the line; first come first
	queueEnd *Envelope[M]
	gone     bool   // home's scheduler has stopped
	dropped  uint64 // messages lost to the overflow policy here
}

// away is the part of an envelope that its sender, elsewhere, and home share.
type away[M any] struct {
	// phase goes from waiting to one of the others, once, by compare and swap: home lets the message in or refuses it, or the
	// sender leaves.
	phase atomic.Uint32
	done  chan struct{}     // for a goroutine: holds one, sent after phase
	wake  *scheduler.WakeUp // for a task
	box   *Mailbox[M]
	err   error // written before phase
}

const (
	phaseWaiting = iota
	phaseLetIn
	phaseRefused
	phaseLeft
)

// extra gives ext, and makes it if need be.
func (m *Mailbox[M]) extra() *ext[M] {
	if x := m.ext.Load(); x != nil {
		return x
	}
	m.ext.CompareAndSwap(nil, &ext[M]{credits: m.firstCredits()})
	return m.ext.Load()
}

func (x *ext[M]) envelope() *Envelope[M] {
	e := x.free
	if e == nil {
		e = new(Envelope[M])
		e.place.Item = e
		return e
	}
	x.free, e.next = e.next, nil
	return e
}

func (x *ext[M]) release(e *Envelope[M]) {
	var zero M
	e.msg, e.ticket, e.err, e.sent = zero, nil, nil, false
	e.next, x.free = x.free, e
}

// sendFromElsewhere is Send and TrySend for a goroutine (t is nil) or a task of another scheduler, or before the first Open.
func (m *Mailbox[M]) sendFromElsewhere(t *scheduler.Task, ctx context.Context, v M, ticket Ticket, try bool) error {
	x := m.extra()
	x.mu.Lock()
	if m.state.Load() != stateOpen || x.gone {
		x.mu.Unlock()
		return ErrClosed
	}
	home := m.home.Load()
	if home == nil && !x.early {
		// Nobody else has a claim on the room yet, and whoever opens m takes this lock.
		x.early = true
		x.credits, m.granted = m.cap, m.cap
	}
	switch {
	case m.policy == Unbounded:
	case x.credits > 0:
		x.credits--
	case m.policy == DropOldest:
		if x.over == m.cap {
			v, ticket := x.in.popTicket()
			x.over--
			x.dropped++
			defer m.drop(v, ticket) // after the unlock
		}
		x.over++
	case m.policy == DropNewest:
		x.dropped++
		x.mu.Unlock()
		m.drop(v, ticket)
		return nil
	case m.policy == Fail || try:
		x.mu.Unlock()
		return ErrFull
	default:
		return m.waitElsewhere(x, home, t, ctx, v, ticket)
	}
	x.in.push(v, ticket, m.cap)
	knock := x.knock(home)
	x.mu.Unlock()
	if knock && !home.Inject((*arrival[M])(m)) {
		return m.abandon(x, 1)
	}
	return nil
}

// knock reports whether home must be told; mu held.
func (x *ext[M]) knock(home *scheduler.Scheduler) bool {
	if home == nil || x.knocked {
		return false
	}
	x.knocked = true
	return true
}

// waitElsewhere waits for room; mu is held on entry.
func (m *Mailbox[M]) waitElsewhere(x *ext[M], home *scheduler.Scheduler, t *scheduler.Task, ctx context.Context, v M, ticket Ticket) error {
	e := &Envelope[M]{msg: v, ticket: ticket}
	e.place.Item = e
	e.away = &away[M]{box: m}
	if t == nil {
		e.away.done = make(chan struct{}, 1)
	} else {
		wake := t.NextWait()
		e.away.wake = &wake
	}
	if x.queueEnd == nil {
		x.queue = e
	} else {
		x.queueEnd.next = e
	}
	x.queueEnd = e
	knock := x.knock(home)
	x.mu.Unlock()
	if knock && !home.Inject((*arrival[M])(m)) {
		return m.abandon(x, 0)
	}
	if t != nil {
		return m.parkElsewhere(e, t, ctx)
	}
	select {
	case <-e.away.done:
	case <-ctx.Done():
		if m.leaveElsewhere(e) {
			return scheduler.ContextError(ctx)
		}
	}
	return e.away.err
}

// parkElsewhere parks a task that is not at home.
func (m *Mailbox[M]) parkElsewhere(e *Envelope[M], t *scheduler.Task, limit context.Context) error {
	defer func() {
		if e.away.phase.Load() == phaseWaiting {
			m.leaveElsewhere(e) // a kill is being raised
		}
	}()
	err := t.Park(scheduler.Wait{Kind: scheduler.InSend, Ctx: limit})
	if err != nil && m.leaveElsewhere(e) {
		return err
	}
	return e.away.err
}

// leaveElsewhere takes e back; false: too late, it was decided already.
func (m *Mailbox[M]) leaveElsewhere(e *Envelope[M]) bool {
	if !e.away.phase.CompareAndSwap(phaseWaiting, phaseLeft) {
		return false
	}
	// Home takes the envelope out of its line, or there would be no bound on those that time out one after the other.
	if home := m.home.Load(); home == nil || !home.Inject((*departure[M])(e)) {
		m.ext.Load().unqueue(e)
	}
	return true
}

// departure is the part of leaving that home does.
type departure[M any] Envelope[M]

func (d *departure[M]) Do() {
	e := (*Envelope[M])(d)
	if e.place.Waits() {
		e.place.Leave()
		return
	}
	e.away.box.ext.Load().unqueue(e)
}

// unqueue takes e out of x.queue.
func (x *ext[M]) unqueue(e *Envelope[M]) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var before *Envelope[M]
	for q := x.queue; q != nil; before, q = q, q.next {
		if q != e {
			continue
		}
		if before == nil {
			x.queue = e.next
		} else {
			before.next = e.next
		}
		if x.queueEnd == e {
			x.queueEnd = before
		}
		return
	}
}

// decide ends the wait of an envelope from elsewhere; false: its sender has left.
func (a *away[M]) decide(phase uint32, err error) bool {
	a.err = err
	if !a.phase.CompareAndSwap(phaseWaiting, phase) {
		return false
	}
	if a.wake != nil {
		a.wake.Send()
	} else {
		a.done <- struct{}{}
	}
	return true
}

// arrival is what home does when somebody has knocked.
type arrival[M any] Mailbox[M]

func (a *arrival[M]) Do() { (*Mailbox[M])(a).takeIn() }

// takeIn moves what came from elsewhere into the queue and into the line, and gives out new credits. On home.
func (m *Mailbox[M]) takeIn() {
	x := m.ext.Load()
	x.mu.Lock()
	in := x.in
	x.in = x.spare
	over := x.over
	x.over, x.knocked = 0, false
	waiting := x.takeWaiting()
	x.mu.Unlock()

	if in.n > 0 || waiting != nil {
		x.used = true
	}
	if m.policy != Unbounded {
		m.granted -= in.n - over
	}
	for in.n > 0 {
		v, ticket := in.popTicket()
		if over > 0 && m.queue.n+m.granted >= m.cap {
			m.dropOldest()
		}
		m.put(v, ticket)
	}
	x.spare = in
	for e := waiting; e != nil; {
		next := e.next
		e.next = nil
		x.line.Add(&e.place)
		e = next
	}
	m.letIn(x)
}

// letIn gives free room to those in the line and, if nobody stands there, to the outside as credits. On home.
func (m *Mailbox[M]) letIn(x *ext[M]) {
	for !x.line.Empty() {
		if m.queue.n+m.granted >= m.cap && !m.reclaim() {
			return
		}
		e := x.line.First().Item.(*Envelope[M])
		if e.away != nil && !e.away.decide(phaseLetIn, nil) {
			e.place.Leave()
			continue
		}
		e.sent = true
		e.place.Release()
		m.put(e.msg, e.ticket)
		var zero M
		e.msg, e.ticket = zero, nil
	}
	if !x.used || m.policy == Unbounded || m.queue.n+m.granted >= m.cap {
		return
	}
	// Half, so that local senders need not take it back each time.
	room := max(1, (m.cap-m.queue.n-m.granted)/2)
	x.mu.Lock()
	if x.queue == nil {
		x.credits += room
		m.granted += room
	}
	x.mu.Unlock()
}

// reclaim takes back the room promised to the outside and not yet used; it reports whether there is room now. On home.
func (m *Mailbox[M]) reclaim() bool {
	if m.granted == 0 {
		return false
	}
	x := m.extra()
	x.mu.Lock()
	m.granted -= x.credits
	x.credits = 0
	x.mu.Unlock()
	return m.queue.n+m.granted < m.cap
}

// takeWaiting empties the queue of envelopes; mu held.
func (x *ext[M]) takeWaiting() *Envelope[M] {
	first := x.queue
	x.queue, x.queueEnd = nil, nil
	return first
}

// refuseAll gives ErrClosed to everybody in the line. On home.
func (m *Mailbox[M]) refuseAll(x *ext[M]) {
	for !x.line.Empty() {
		e := x.line.First().Item.(*Envelope[M])
		e.err = ErrClosed
		local := e.place.Task() != nil
		e.place.Release()
		if !local {
			m.refuse(e)
		}
	}
}

// refuse gives ErrClosed to the sender of an envelope that is in no line; if it has none, the message is lost.
func (m *Mailbox[M]) refuse(e *Envelope[M]) {
	if e.away != nil {
		e.away.decide(phaseRefused, ErrClosed)
		return
	}
	m.report(Loss{Count: 1, Type: typeOf(&e.msg), Reason: ErrClosed})
}

// refuseWaiting is refuse for a chain.
func (m *Mailbox[M]) refuseWaiting(e *Envelope[M]) {
	for e != nil {
		next := e.next
		e.next = nil
		m.refuse(e)
		e = next
	}
}

// abandon is called by a sender when home's scheduler has stopped: nobody will read m any more.
func (m *Mailbox[M]) abandon(x *ext[M], own int) error {
	x.mu.Lock()
	x.gone = true
	in := x.in
	x.in = ring[M]{}
	waiting := x.takeWaiting()
	x.mu.Unlock()
	if n := int(in.n) - own; n > 0 {
		m.report(Loss{Count: n, Type: typeOf(&in.buf[in.head]), Reason: ErrClosed})
	}
	m.refuseWaiting(waiting)
	return ErrClosed
}

// deliverEarly is Deliver before the first Open.
func (m *Mailbox[M]) deliverEarly(e *Envelope[M], v M) error {
	err := m.sendFromElsewhere(nil, nil, v, nil, true)
	if err != ErrFull {
		return err
	}
	x := m.ext.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	e.place.Item = e
	e.msg, e.sent, e.err = v, false, nil
	if x.queueEnd == nil {
		x.queue = e
	} else {
		x.queueEnd.next = e
	}
	x.queueEnd = e
	return nil
}
