package queue

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
)

// Senders from elsewhere, that is from ordinary goroutines and from tasks of other schedulers, may
// not touch the queue. They leave their messages with ext, under a lock, and the scheduler at home
// moves them over. So that the capacity holds without counting together, room is promised in
// advance, as credits: the promised room is taken off what local senders may use (granted), and a
// sender from elsewhere spends a credit for each message. In every moment
//
//	queue.n + granted <= cap   and   granted = credits + in.n - over
//
// where in holds the messages on their way. A message put back is the one exception: it may be
// above the capacity.
//
// Whoever finds no credit and is to wait puts an envelope in ext.queue and knocks; home moves it
// into the one line of senders, behind those that came before, and room goes to the line first. As
// long as anybody stands there, no credits are out, so nobody overtakes. Otherwise, when home has
// done its part and there is room, some of it is promised:
//
//	line not empty  =>  credits = 0 and queue.n + granted >= cap
//	room and nobody in ext.queue  =>  granted > 0
//
// By the second, no credit means full, or that a message is on its way and home will look.
//
// Tried and rejected: a common atomic count (every local send pays for it, and a sender that takes
// its count back makes another see "full" and park with nobody to wake it); giving the count back
// in batches (a local sender that is parked meanwhile is not woken); a second queue that the reader
// looks into (m2, sent because of m1, overtakes m1); credits only after somebody from elsewhere has
// asked (TrySend finds an empty mailbox full).
type ext[M any] struct {
	// Owned by home.
	line  core.Line // of senders that wait for room; an Item is an *Envelope[M]
	free  *Envelope[M]
	low   uint32  // when the reader has left fewer, letIn has something to do
	spare ring[M] // what in becomes next
	// messages that home dropped: nothing is dropped before ext was needed to find out that there
	// is no room
	evicted uint64
	pretend pretence // see PretendFull
	revoked uint64   // messages that were taken out of the middle: see Revoke
	putBack bool     // a message was put back: there may be one above the capacity

	// waiting counts those in line and in queue; atomic: written by who owns those, read by Load.
	waiting atomic.Int32

	// mu protects the following. Before the first Open, all of the mailbox.
	mu      sync.Mutex
	in      ring[M]   // messages on their way
	queue   core.Line // of senders from elsewhere that wait for room and are not in line yet
	credits uint32    // room promised and not yet spent
	over    uint32    // how many messages of in were sent without a credit, under DropOldest
	early   bool      // not opened yet, and all of the capacity was promised
	knocked bool      // home was told that there is something to be done
	dropped uint64    // messages lost to the overflow policy here
}

// extra gives ext, and makes it if need be.
func (m *Queue[M]) extra() *ext[M] {
	if x := m.ext.Load(); x != nil {
		return x
	}
	m.ext.CompareAndSwap(nil, &ext[M]{credits: m.firstCredits()})
	return m.ext.Load()
}

// sendFromElsewhere is Send and TrySend for a goroutine (t is nil) or a task of another scheduler,
// or before the first Open.
func (m *Queue[M]) sendFromElsewhere(t *core.Task, ctx context.Context, v M, ticket Ticket, try bool) error {
	if m.enterQuickly(v, ticket) {
		return nil
	}
	x, err := m.enter(v, ticket, m.onFull(try))
	if x == nil {
		return err
	}
	e := &Envelope[M]{msg: v, ticket: ticket, away: &away{task: t}}
	if t == nil {
		e.away.done = make(chan struct{}, 1)
	}
	home, err := m.enqueue(x, e)
	if err != nil {
		return err
	}
	if t == nil {
		return m.waitOutside(ctx, e, home)
	}
	err = m.parkElsewhere(e, ctx, home)
	if !m.leave(e) {
		return e.err
	}
	if err == nil && home != nil && home.Gone().Err() != nil {
		return ErrClosed
	}
	if err == nil { // woken by somebody else
		return m.sendFromElsewhere(t, ctx, v, ticket, try)
	}
	return err
}

// waitOutside blocks a goroutine until e is decided, or the wait ends otherwise. home is nil before
// the first Open.
func (m *Queue[M]) waitOutside(ctx context.Context, e *Envelope[M], home *core.Scheduler) error {
	for {
		var err error
		select {
		case <-e.away.done:
			if e.away.phase.Load() == phaseDecided {
				return e.err
			}
			home = m.home.Load() // there is one now
			continue
		case <-ctx.Done():
			err = core.ContextError(ctx)
		case <-gone(home):
			err = ErrClosed
		}
		if !m.leave(e) {
			return e.err
		}
		return err
	}
}

// gone is closed when nobody needs to wait for home any more, which may be nil.
func gone(home *core.Scheduler) <-chan struct{} {
	if home == nil {
		return nil
	}
	return home.Gone().Done()
}

// enterQuickly is enter in the middle of a stream, when there is a credit and home has been told
// already; false: nothing was done.
//
// Budget: 15 ns, most of it the lock.
func (m *Queue[M]) enterQuickly(v M, ticket Ticket) bool {
	x := m.ext.Load()
	if x == nil {
		return false
	}
	x.mu.Lock()
	q := &x.in
	if !x.knocked || x.credits == 0 || m.state.Load() != stateOpen || q.n == uint32(len(q.buf)) || ticket != nil && q.tickets == nil {
		x.mu.Unlock()
		return false
	}
	x.credits--
	i := q.index(q.n)
	q.buf[i] = v
	if q.tickets != nil {
		q.tickets.slots[i] = ticket
	}
	q.n++
	x.mu.Unlock()
	return true
}

// enter puts v on its way. If there is no credit, onFull says what is to be done; for Block,
// nothing was done, and mu of the ext that it gives is held.
func (m *Queue[M]) enter(v M, ticket Ticket, onFull Policy) (wait *ext[M], err error) {
	x := m.extra()
	x.mu.Lock()
	home := m.home.Load()
	switch {
	case m.Closed():
		x.mu.Unlock()
		return nil, ErrClosed
	case home == nil && !x.early && m.policy != Unbounded:
		// Nobody else has a claim on the room yet, and whoever opens m takes this lock.
		x.early = true
		x.credits, m.granted = m.cap, m.cap
	}
	if x.credits == 0 {
		switch onFull {
		case Block:
			return x, nil
		case Fail:
			x.mu.Unlock()
			return nil, ErrFull
		case DropNewest:
			x.dropped++
			x.mu.Unlock()
			m.drop(v, ticket)
			return nil, nil
		}
	}
	if !m.knock(x, home) {
		x.mu.Unlock()
		return nil, ErrClosed
	}
	switch {
	case m.policy == Unbounded:
	case x.credits > 0:
		x.credits--
	case x.in.n < m.cap:
		x.over++
	default:
		// As many as m can hold are on their way, so the oldest of them, and what is older, give
		// way.
		x.dropped++
		old, oldTicket := x.in.popTicket()
		x.in.push(v, ticket)
		x.mu.Unlock()
		m.drop(old, oldTicket)
		return nil, nil
	}
	x.in.push(v, ticket)
	x.mu.Unlock()
	return nil, nil
}

// enqueue lets e wait for room; mu is held on entry. It gives home, or why e can't wait.
func (m *Queue[M]) enqueue(x *ext[M], e *Envelope[M]) (*core.Scheduler, error) {
	defer x.mu.Unlock()
	home := m.home.Load()
	if !m.knock(x, home) {
		return nil, ErrClosed
	}
	e.place.Item = e
	x.queue.Add(&e.place)
	x.count(e)
	return home, nil
}

// knock sees to it that home will look; false: home's scheduler has stopped, so m is closed. Before
// the first Open there is nobody to be told: Open looks. mu held.
func (m *Queue[M]) knock(x *ext[M], home *core.Scheduler) bool {
	if home == nil || x.knocked {
		return true
	}
	x.knocked = home.Inject((*arrival[M])(m))
	if !x.knocked {
		m.state.Store(stateClosed)
	}
	return x.knocked
}

// parkElsewhere parks a task that is not at home. A virtual clock stands still while home, a
// scheduler with another, works.
func (m *Queue[M]) parkElsewhere(e *Envelope[M], limit context.Context, home *core.Scheduler) error {
	t := e.away.task
	w := core.Wait{Kind: core.InSend, Ctx: limit}
	if s := t.Scheduler(); home != nil && !s.Kin(home) {
		s.AwaitOutside(1)
		defer s.AwaitOutside(-1)
		defer context.AfterFunc(home.Gone(), func() { s.Inject(e.away) })()
	} else if r, ok := m.losses.(ReaderTeller); ok {
		w.On = r.ReaderResource()
	}
	e.away.parked = true
	defer func() {
		if e.away.parked {
			e.away.parked = false
			m.leave(e) // a kill is being raised: it was there from the begin, or the scheduler ends
		}
	}()
	t.Checkpoint() // a kill from before: nobody would interrupt the wait for it
	e.away.place.Item = &killed[M]{m, e}
	w.In = &e.away.place
	err := t.Park(w)
	e.away.parked = false
	if e.away.phase.Load() == phaseLeft {
		t.Checkpoint() // raises the kill
	}
	return err
}

// killed is asked by a kill of a sender elsewhere: if home has moved the message in, that came
// first, and the wait is over any moment; else the message is taken back.
type killed[M any] struct {
	m *Queue[M]
	e *Envelope[M]
}

// Interrupt is called on the scheduler of the sender.
func (k *killed[M]) Interrupt() {
	if a := k.e.away; (k.m.leave(k.e) || a.phase.Load() == phaseLeft) && a.task.State() == core.Parked {
		a.task.Wake()
	}
}

// leave takes e back; false: too late, it was decided already.
func (m *Queue[M]) leave(e *Envelope[M]) bool {
	if !e.away.phase.CompareAndSwap(phaseWaiting, phaseLeft) {
		return false
	}
	// Home takes the envelope out of its line, or there would be no bound on those that time out
	// one after the other.
	x := m.ext.Load()
	x.mu.Lock()
	home := m.home.Load()
	if home == nil {
		e.place.Leave()
		e.uncount()
	}
	x.mu.Unlock()
	if home != nil {
		home.Inject(&departure[M]{m, e})
	}
	return true
}

// departure is the part of leaving that home does.
type departure[M any] struct {
	m *Queue[M]
	e *Envelope[M]
}

func (d *departure[M]) Do() {
	x := d.m.ext.Load()
	x.mu.Lock() // it may still be in ext.queue
	d.e.place.Leave()
	d.e.uncount()
	x.mu.Unlock()
	d.e.clear()
}

// arrival is what home does when somebody has knocked.
type arrival[M any] Queue[M]

func (a *arrival[M]) Do() { (*Queue[M])(a).takeIn() }

// takeIn moves what came from elsewhere into the queue and into the line, and gives out new
// credits. On home.
func (m *Queue[M]) takeIn() {
	x := m.ext.Load()
	x.mu.Lock()
	in, over := x.in, x.over
	x.in, x.spare = x.spare, ring[M]{}
	x.over, x.knocked = 0, false
	if over > 0 {
		m.granted -= x.credits
		x.credits = 0
	}
	for !x.queue.Empty() {
		w := x.queue.First()
		w.Leave()
		x.line.Add(w)
	}
	x.mu.Unlock()

	if m.policy != Unbounded {
		m.granted -= in.n - over
	}
	if over == 0 && m.queue.n == 0 && in.n > 0 {
		m.queue.swap(&in)
		m.arrived()
	}
	for in.n > 0 {
		if over > 0 && m.full() {
			m.dropOldest() // there is one: nothing is promised now
		}
		v, ticket := in.popTicket()
		m.put(v, ticket)
	}
	x.spare = in
	m.endPretence(x)
	m.letIn(x)
}

// letIn gives free room to those in the line and, if nobody stands there, to the outside as
// credits; or sends everybody away if m is closed. On home.
func (m *Queue[M]) letIn(x *ext[M]) {
	x.low = never
	if m.Closed() {
		m.report(m.refuse(m.home.Load(), &x.line))
		return
	}
	for !x.line.Empty() {
		if m.full() {
			return
		}
		e := x.line.First().Item.(*Envelope[M])
		if v, ticket := e.msg, e.ticket; e.decide(m.home.Load(), nil) {
			m.put(v, ticket)
		}
	}
	if m.policy == Unbounded {
		x.low = 0
		return
	}
	if !m.full() {
		m.promise(x)
	}
	m.lower(x)
}

// promise gives credits to the outside, so that half of the room is promised: neither side has to
// ask each time. On home.
func (m *Queue[M]) promise(x *ext[M]) {
	share := max(1, (m.cap-m.queue.n)/2)
	if share <= m.granted {
		return
	}
	more := share - m.granted
	x.mu.Lock()
	if x.queue.Empty() {
		x.credits += more
		m.granted += more
	}
	x.mu.Unlock()
}

// lower sets low for an empty line: letIn is to be called when less than an eighth of the room is
// promised. On home.
func (m *Queue[M]) lower(x *ext[M]) {
	x.low = 0
	if m.granted <= m.cap/8 {
		x.low = m.cap - 8*m.granted
	}
}

// reclaim is called when m is full, and takes room back that was promised to the outside and not
// yet used. It reports whether there is room now. On home.
func (m *Queue[M]) reclaim() bool {
	if m.granted == 0 {
		return false
	}
	x := m.extra()
	x.mu.Lock()
	// Not all, or the outside would find m full when it isn't.
	k := min(x.credits, max(m.queue.n+m.granted-m.cap+1, (x.credits+1)/2))
	x.credits -= k
	m.granted -= k
	x.mu.Unlock()
	if k > 0 {
		m.lower(x)
	}
	return !m.full()
}

// away is the part of an envelope that its sender, elsewhere, and home share.
type away struct {
	// phase goes from waiting to one of the others, once, by compare and swap: home decides, or the
	// sender leaves.
	phase atomic.Uint32
	done  chan struct{} // for a goroutine: holds one, which says that it is worth a look; see ring
	task  *core.Task    // the sender, if it is a task; with neither, nobody waits: see Deliver

	// Owned by task's scheduler.
	// it is parked for this; else the wake-up comes late and would end another wait
	parked bool
	place  core.Waiter // in no line; for a kill, see killed
}

const (
	phaseWaiting = iota
	phaseDecided
	phaseLeft
)

// decide ends the wait of a sender elsewhere; false: it has left.
func (a *away) decide() bool {
	if !a.phase.CompareAndSwap(phaseWaiting, phaseDecided) {
		return false
	}
	switch {
	case a.task != nil:
		a.task.Scheduler().Inject(a)
	case a.done != nil:
		a.ring()
	}
	return true
}

// ring lets a goroutine look again: its wait is decided, or the mailbox has a home now.
func (a *away) ring() {
	select {
	case a.done <- struct{}{}:
	default: // it is about to look anyway
	}
}

// Do wakes the sender. On its scheduler.
func (a *away) Do() {
	if a.parked {
		a.task.Wake()
	}
}
