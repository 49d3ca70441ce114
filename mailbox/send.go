package mailbox

import (
	"context"

	"github.com/gotasklet/tasklet/scheduler"
)

// Send puts v into m. Under Block it parks the calling task, or blocks the calling goroutine, while m is full: until there is
// room, first come first served, or ctx is done. It returns ErrClosed if m takes no more messages, ErrFull under Fail,
// ErrTimeout or the cause of ctx when ctx ended the wait, and a *scheduler.DeadlockError if the wait could never end. With an
// error, v was not sent. Under DropNewest, DropOldest and Unbounded it never waits.
//
// ctx says who calls: a context that belongs to a task may be used only inside that task; any other is an ordinary
// goroutine's. From any goroutine.
func (m *Mailbox[M]) Send(ctx context.Context, v M) error { return m.send(ctx, v, nil, false) }

// TrySend is Send that never waits: it returns ErrFull where Send would.
//
// For a sender from elsewhere, room that the reader made since it last gave up control may not count yet.
func (m *Mailbox[M]) TrySend(ctx context.Context, v M) error { return m.send(ctx, v, nil, true) }

// SendTicket is Send for a message whose sender wants to know what becomes of it.
func (m *Mailbox[M]) SendTicket(ctx context.Context, v M, ticket Ticket) error {
	return m.send(ctx, v, ticket, false)
}

func (m *Mailbox[M]) send(ctx context.Context, v M, ticket Ticket, try bool) error {
	if ctx == nil {
		misuse("send with a nil context")
	}
	t, limit := scheduler.From(ctx)
	if t != nil {
		t.MustRun("a send")
		return m.SendTask(t, limit, v, ticket, try)
	}
	return m.sendFromElsewhere(nil, ctx, v, ticket, try)
}

// Put is the fast path of a send by t, the running task: it reports whether v is in. If not, SendTask knows why.
//
// Budget with the reader's side: 15 ns a message, no allocation, no locked instruction.
func (m *Mailbox[M]) Put(t *scheduler.Task, v M) bool {
	if m.home.Load() != t.Scheduler() || m.state.Load() != stateOpen || m.queue.n+m.granted >= m.cap {
		return false
	}
	m.put(v, nil)
	return true
}

// SendTask is Send, or TrySend, for the running task t; limit is nil or a context that can end the wait.
func (m *Mailbox[M]) SendTask(t *scheduler.Task, limit context.Context, v M, ticket Ticket, try bool) error {
	if m.home.Load() != t.Scheduler() {
		return m.sendFromElsewhere(t, limit, v, ticket, try)
	}
	if m.state.Load() != stateOpen {
		return ErrClosed
	}
	if m.queue.n+m.granted < m.cap || m.reclaim() {
		m.put(v, ticket)
		return nil
	}
	switch m.policy {
	case DropNewest:
		m.dropped++
		m.drop(v, ticket)
		return nil
	case DropOldest:
		m.dropOldest()
		m.put(v, ticket)
		return nil
	case Fail:
		return ErrFull
	}
	if try {
		return ErrFull
	}
	return m.wait(t, limit, v, ticket)
}

// put appends v to the queue, which has room, and wakes a reader that waits for so many. On home.
func (m *Mailbox[M]) put(v M, ticket Ticket) {
	m.queue.push(v, ticket, m.cap)
	if m.queue.n >= m.need {
		m.need = never
		m.reader.Holder.Wake()
	}
}

// PutBack makes v, which the reader took last, the next message to be read, over the capacity if need be: it is to be handled
// once more. On home.
func (m *Mailbox[M]) PutBack(v M) {
	var ticket Ticket
	if k := m.queue.tickets; k != nil && len(k.taken) > 0 {
		last := len(k.taken) - 1
		ticket, k.taken = k.taken[last], k.taken[:last]
	}
	m.queue.pushFront(v, ticket, m.cap)
	if m.queue.n >= m.need {
		m.wakeReader()
	}
}

// drop reports a message that the overflow policy does away with. On the goroutine of the sender.
func (m *Mailbox[M]) drop(v M, ticket Ticket) {
	if ticket != nil {
		ticket.Settled(ErrDropped)
	}
	m.report(Loss{Count: 1, Type: typeOf(&v), Reason: ErrDropped})
}

// dropOldest makes room for one. On home; the queue is not empty, for its capacity is at least 1 and local senders have taken
// back what was promised to others.
func (m *Mailbox[M]) dropOldest() {
	if m.queue.n == 0 {
		return
	}
	v, ticket := m.queue.popTicket()
	m.dropped++
	m.drop(v, ticket)
}

// Envelope is a message that waits for room: a place in the line of senders. It belongs to a parked sender or, with Deliver,
// to something that nobody waits for (a timer, a watch), which keeps it. The zero Envelope is ready for use.
type Envelope[M any] struct {
	place  scheduler.Waiter // in ext.line; its Item is the envelope. Owned by home
	msg    M
	ticket Ticket
	err    error        // why the message was refused, when it does not wait any more
	sent   bool         // the message is in the queue
	away   *away[M]     // of a sender from elsewhere; nil for a local one
	next   *Envelope[M] // in the free list, or in ext.queue
}

// wait parks t in the line of senders until its message has been moved in for it.
func (m *Mailbox[M]) wait(t *scheduler.Task, limit context.Context, v M, ticket Ticket) error {
	x := m.extra()
	e := x.envelope()
	e.msg, e.ticket = v, ticket
	x.line.Add(&e.place)
	// A kill that is raised here takes the envelope out of the line, and it is left to the garbage collector.
	err := t.Park(scheduler.Wait{Kind: scheduler.InSend, On: &m.reader, Ctx: limit, In: &e.place})
	if e.sent {
		err = nil // whatever else came meanwhile
	} else if e.err != nil {
		err = e.err
	}
	x.release(e)
	return err
}

// Deliver puts v into m on behalf of nobody: it never parks. If there is no room, the message takes its place among the parked
// senders with e, which must not be in use, and is moved in when its turn comes; under Fail and DropNewest it is lost
// unless mustWait. ErrClosed, and the message is lost, if m takes no more. On home, or before the first Open.
func (m *Mailbox[M]) Deliver(e *Envelope[M], v M, mustWait bool) error {
	if m.state.Load() != stateOpen {
		m.report(Loss{Count: 1, Type: typeOf(&v), Reason: ErrClosed})
		return ErrClosed
	}
	if m.home.Load() == nil {
		return m.deliverEarly(e, v)
	}
	switch {
	case m.queue.n+m.granted < m.cap || m.reclaim():
		m.put(v, nil)
	case m.policy == DropOldest:
		m.dropOldest()
		m.put(v, nil)
	case m.policy == Block || mustWait:
		e.place.Item = e
		e.msg, e.sent, e.err = v, false, nil
		m.extra().line.Add(&e.place)
	case m.policy == Fail:
		m.report(Loss{Count: 1, Type: typeOf(&v), Reason: ErrFull})
		return ErrFull
	default:
		m.dropped++
		m.drop(v, nil)
	}
	return nil
}

// Withdraw takes e, which was given to Deliver, out of the line, if it stands there. On home.
func (m *Mailbox[M]) Withdraw(e *Envelope[M]) {
	if x := m.ext.Load(); x != nil && !e.place.Waits() {
		x.unqueue(e)
	}
	e.place.Leave()
	var zero M
	e.msg = zero
}

// Waits reports whether e stands in a line.
func (e *Envelope[M]) Waits() bool { return e.place.Waits() }
