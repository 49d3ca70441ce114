package queue

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/gauge"
)

// ext is the part of a Queue that is needed by foreign senders and by senders that wait.
//
// Foreign senders, which are ordinary goroutines and tasks of other schedulers, may not touch the
// queue. They leave their messages in ext, under a lock, and the scheduler at home moves them over.
// To keep to the capacity without a common count, home promises room in advance, as credits. Local
// senders may not use the promised room (granted), and a foreign sender spends a credit for each
// message. At every moment
//
//	queue.n + granted <= cap   and   granted = credits + in.n - over
//
// where in has the messages in transit. A message that was put back is the only exception: it may
// be above the capacity.
//
// A foreign sender that finds no credit and has to wait puts an envelope into ext.queue and knocks.
// Home moves the envelope into the one line of senders, behind those that came before. Room goes to
// the line first. As long as the line is not empty there are no credits, so nobody overtakes.
// Otherwise, if there is room when home has done its work, home promises a part of it:
//
//	line not empty  =>  credits = 0 and queue.n + granted >= cap
//	room and nobody in ext.queue  =>  granted > 0
//
// Because of the second rule, a missing credit means that m is full, or that a message is in
// transit and home will check.
//
// Tried and rejected:
//
//   - A common atomic count. Every local send pays for it, and a sender that takes its count back
//     makes another one see "full" and park, with nobody to wake it.
//   - Giving the count back in batches. A local sender that has parked in the meantime is not
//     woken.
//   - A second queue that the reader checks. Message m2, sent because of m1, overtakes m1.
//   - Credits only after a foreign sender has asked. TrySend finds an empty mailbox full.
type ext[M any] struct {
	// Owned by home.
	line  core.Line // the senders that wait for room; an Item is an *Envelope[M]
	free  *Envelope[M]
	low   uint32  // letIn must be called when fewer messages are queued
	spare ring[M] // the next value of in
	// evicted is the number of messages that home dropped. It can be in ext, because ext is needed
	// to find out that there is no room.
	evicted uint64
	pretend pretence  // see PretendFull
	revoked uint64    // the number of messages that were taken out of the middle; see Revoke
	putBack bool      // a message was put back, so one may be above the capacity
	stashed uint32    // the number of messages at the front that the reader skips; see Stash
	lanes   *lanes[M] // nil until a call of TakeUrgent

	// waiting is the number of senders in line and in queue. Atomic: written by the owners of
	// these, and read by Load.
	waiting atomic.Int32

	// fullAt is the time, in ns on the clock of home, at which a send first found no room and since
	// when there was none; 0 if that has not happened. Atomic: set by every sender, by a foreign
	// one with mu held, and reset by home when there is room.
	fullAt atomic.Int64

	// mu protects the following. Before the first Open it protects the whole mailbox.
	mu      sync.Mutex
	in      ring[M]   // the messages in transit
	queue   core.Line // the foreign senders that wait for room and are not in line yet
	credits uint32    // room that is promised and not spent
	over    uint32    // messages of in that were sent without a credit, under DropOldest
	early   bool      // m was not opened yet, and all of its capacity was promised
	knocked bool      // home was notified that it has something to do
	dropped uint64    // the number of messages that foreign sends lost to the overflow policy
	// measured says that foreign chooses the messages whose time in the mailbox is measured. The
	// last one of them came at the time last. in has an aside then.
	measured bool
	foreign  gauge.Sampler
	last     int64 // ns

	_ [64]byte // so that callers is in another cache line than mu
	// callers is the number of goroutines that wait for the answer to a message; see CountCaller.
	// Atomic: written by these.
	callers atomic.Int32
}

// extra returns ext, and makes it if necessary.
func (m *Queue[M]) extra() *ext[M] {
	if x := m.ext.Load(); x != nil {
		return x
	}
	m.ext.CompareAndSwap(nil, &ext[M]{credits: m.firstCredits()})
	return m.ext.Load()
}

// sendFromElsewhere is Send and TrySend for a foreign sender, or before the first Open. t is the
// sending task, or nil for a goroutine.
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
	if err == nil { // another event has woken t
		return m.sendFromElsewhere(t, ctx, v, ticket, try)
	}
	return err
}

// waitOutside blocks a goroutine until e is decided or the wait ends in another way. home is nil
// before the first Open.
func (m *Queue[M]) waitOutside(ctx context.Context, e *Envelope[M], home *core.Scheduler) error {
	for {
		var err error
		select {
		case <-e.away.done:
			if e.away.phase.Load() == phaseDecided {
				return e.err
			}
			home = m.home.Load() // m has a home now
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

// gone returns a channel that is closed when home has ended or was given up, or nil if home is nil.
func gone(home *core.Scheduler) <-chan struct{} {
	if home == nil {
		return nil
	}
	return home.Gone().Done()
}

// enterQuickly is enter in the middle of a stream, when there is a credit and home is already
// notified. It returns false if it has done nothing.
//
// Budget: 15 ns, most of it for the lock.
func (m *Queue[M]) enterQuickly(v M, ticket Ticket) bool {
	x := m.ext.Load()
	if x == nil {
		return false
	}
	x.mu.Lock()
	q := &x.in
	if !x.knocked || x.credits == 0 || m.state.Load() != stateOpen || q.n == uint32(len(q.buf)) || ticket != nil && !q.ticketed() {
		x.mu.Unlock()
		return false
	}
	x.credits--
	i := q.index(q.n)
	q.buf[i] = v
	q.n++
	if k := q.aside; k != nil {
		if k.slots != nil {
			k.slots[i] = ticket
		}
		if x.measured {
			m.sampleForeign(x)
		}
	}
	x.mu.Unlock()
	return true
}

// enter puts v in transit. If there is no credit, onFull determines what it does. For Block it does
// nothing, and returns the ext with its mu locked.
func (m *Queue[M]) enter(v M, ticket Ticket, onFull Policy) (wait *ext[M], err error) {
	x := m.extra()
	x.mu.Lock()
	home := m.home.Load()
	switch {
	case m.Closed():
		x.mu.Unlock()
		return nil, ErrClosed
	case home == nil && !x.early && m.policy != Unbounded:
		// No other sender has a claim to the room yet, and an Open has to take this lock.
		x.early = true
		x.credits, m.granted = m.cap, m.cap
	}
	if x.credits == 0 && onFull != Unbounded {
		x.foundFull(home)
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
		// As many messages as m can hold are in transit, so the oldest of them, and everything
		// older, must go.
		x.dropped++
		old, oldTicket := x.in.popTicket()
		m.transit(x, v, ticket)
		x.mu.Unlock()
		m.drop(old, oldTicket)
		return nil, nil
	}
	m.transit(x, v, ticket)
	x.mu.Unlock()
	return nil, nil
}

// transit puts v in transit. mu must be held.
func (m *Queue[M]) transit(x *ext[M], v M, ticket Ticket) {
	x.in.push(v, ticket)
	if x.measured {
		m.sampleForeign(x)
	}
}

// enqueue makes e wait for room. mu must be held, and is unlocked. It returns home, or the reason
// why e cannot wait.
func (m *Queue[M]) enqueue(x *ext[M], e *Envelope[M]) (*core.Scheduler, error) {
	defer x.mu.Unlock()
	home := m.home.Load()
	if !m.knock(x, home) {
		return nil, ErrClosed
	}
	e.place.SetItem(e)
	x.queue.Add(&e.place)
	x.count(e)
	return home, nil
}

// knock ensures that home will check. It returns false if home's scheduler has stopped, and so m is
// closed. Before the first Open nobody needs to be notified, because Open checks. mu must be held.
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

// parkElsewhere parks a task that is not at home. If home is a scheduler of another system, a
// virtual clock of the task stands still during the wait.
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
			m.leave(e) // a kill is raised: it was there from the start, or the scheduler ends
		}
	}()
	t.Checkpoint() // takes an earlier kill, which would not interrupt the wait
	e.away.place.SetItem(&killed[M]{m, e})
	w.In = &e.away.place
	err := t.Park(w)
	e.away.parked = false
	if e.away.phase.Load() == phaseLeft {
		t.Checkpoint() // raises the kill
	}
	return err
}

// killed is called by the kill of a foreign sender. If home has moved the message in, that came
// first, and the wait ends soon. Otherwise killed takes the message back.
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

// leave takes e back. It returns false if e was decided already.
func (m *Queue[M]) leave(e *Envelope[M]) bool {
	if !e.away.phase.CompareAndSwap(phaseWaiting, phaseLeft) {
		return false
	}
	// Home takes the envelope out of its line. Otherwise senders that time out one after the other
	// would make the line grow without limit.
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

// departure is the part of leave that home does.
type departure[M any] struct {
	m *Queue[M]
	e *Envelope[M]
}

func (d *departure[M]) Do() {
	x := d.m.ext.Load()
	x.mu.Lock() // e may still be in ext.queue
	d.e.place.Leave()
	d.e.uncount()
	x.mu.Unlock()
	d.e.clear()
}

// arrival is the work that home does after a knock.
type arrival[M any] Queue[M]

func (a *arrival[M]) Do() { (*Queue[M])(a).takeIn() }

// takeIn moves everything foreign into the queue and the line, and gives out new credits. It must
// be called on home.
func (m *Queue[M]) takeIn() {
	x := m.ext.Load()
	x.mu.Lock()
	in, over := x.in, x.over
	x.in, x.spare = x.spare, ring[M]{}
	x.over, x.knocked = 0, false
	if x.measured && x.in.aside == nil {
		x.in.aside = newAside()
	}
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
			m.dropOldest() // there is one, because no room is promised now
		}
		v, ticket, s := in.popAll()
		m.queue.push(v, ticket)
		if s.weight > 0 {
			m.queue.aside.add(m.queue.n-1, s.at, s.weight)
		}
		m.arrived()
	}
	x.spare = in
	m.endPretence(x)
	m.letIn(x)
}

// letIn gives free room to the line and, if the line is empty, to foreign senders as credits. If m
// is closed it refuses all senders in the line. It must be called on home.
func (m *Queue[M]) letIn(x *ext[M]) {
	x.low = never
	if m.Closed() {
		lost, vs := m.refuse(m.home.Load(), &x.line)
		m.handOver(vs, ErrClosed)
		m.report(lost)
		return
	}
	for !x.line.Empty() {
		if m.full() {
			return
		}
		e := x.line.First().Item().(*Envelope[M])
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
	if m.queue.n < m.cap && x.fullAt.Load() != 0 {
		x.fullAt.Store(0)
	}
	m.lower(x)
}

// foundFull records that a foreign send has found no room. home is nil before the first Open. letIn
// is called when there is room again: no credit is left, so low is at least cap, or a message is in
// transit and home will check.
func (x *ext[M]) foundFull(home *core.Scheduler) {
	if home != nil && x.fullAt.Load() == 0 {
		x.fullAt.CompareAndSwap(0, max(1, home.Nanotime()))
	}
}

// promise gives credits to foreign senders, so that half of the room is promised and neither side
// has to ask each time. It must be called on home.
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

// lower sets low when the line is empty: letIn must be called when there is room and nothing is
// promised, or when less than an eighth of the room is promised and a sixteenth of the capacity is
// free. With less room, a stream of local messages would soon take the promise back. It must be
// called on home.
func (m *Queue[M]) lower(x *ext[M]) {
	switch {
	case m.granted == 0:
		x.low = m.cap
	case m.granted <= m.cap/8:
		x.low = m.cap - max(8*m.granted, m.cap/16)
	default:
		x.low = 0
	}
}

// reclaim is called when m is full. It takes back room that is promised and not used, and reports
// whether there is room now. It must be called on home.
func (m *Queue[M]) reclaim() bool {
	if m.granted == 0 {
		return false
	}
	x := m.extra()
	x.mu.Lock()
	// It does not take all credits, because foreign senders would find m full when it is not.
	k := min(x.credits, max(m.queue.n+m.granted-m.cap+1, (x.credits+1)/2))
	x.credits -= k
	m.granted -= k
	x.mu.Unlock()
	if k > 0 {
		m.lower(x)
	}
	return !m.full()
}

// away is the part of an envelope that home shares with a foreign sender.
type away struct {
	// phase changes once, from waiting to one of the others, by compare-and-swap: home decides, or
	// the sender leaves.
	phase atomic.Uint32
	done  chan struct{} // for a goroutine: a value in it makes the goroutine check; see ring
	task  *core.Task    // the sender if it is a task; if done is nil too, nobody waits, see Deliver

	// Owned by task's scheduler.
	// parked says that the task is parked for e. Otherwise the wake-up is late and would end
	// another wait.
	parked bool
	place  core.Waiter // in no line; for a kill, see killed
}

const (
	phaseWaiting = iota
	phaseDecided
	phaseLeft
)

// decide ends the wait of a foreign sender. It returns false if the sender has left.
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

// ring makes a goroutine check again: its wait is decided, or the mailbox has a home now.
func (a *away) ring() {
	select {
	case a.done <- struct{}{}:
	default: // it is about to check anyway
	}
}

// Do wakes the sender, on its scheduler.
func (a *away) Do() {
	if a.parked {
		a.task.Wake()
	}
}
