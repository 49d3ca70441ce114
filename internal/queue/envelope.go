package queue

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
)

// Envelope is a message that waits for room: a place in the line of senders. It belongs to a parked
// sender. With Deliver it belongs to its owner, such as a timer or a watch, and nobody waits for
// it. The zero Envelope is ready to use.
type Envelope[M any] struct {
	place  core.Waiter // in ext.line or ext.queue, whose owner owns it; its Item is the envelope
	msg    M
	ticket Ticket
	err    error         // the outcome; nil if the message is in the queue
	away   *away         // not nil for a foreign sender
	next   *Envelope[M]  // in the free list
	count  *atomic.Int32 // the counter in which e is counted as waiting, or nil; owned as place is

	// Decided, if it is not nil, is called when a message that was given to Deliver and had to wait
	// is moved in or refused. It is not called if the message was withdrawn. It must not use m. It
	// is called on home, which is its argument. If m is closed before the first Open, it is called
	// on the goroutine that closes m, with nil.
	Decided func(on *core.Scheduler)
}

// errUndecided is the err of an envelope that waits.
var errUndecided = errors.New("mailbox: not decided yet")

func (x *ext[M]) envelope() *Envelope[M] {
	e := x.free
	if e == nil {
		e = new(Envelope[M])
		e.place.SetItem(e)
		return e
	}
	x.free, e.next = e.next, nil
	return e
}

// count counts e as waiting until uncount.
func (x *ext[M]) count(e *Envelope[M]) {
	e.count = &x.waiting
	x.waiting.Add(1)
}

func (e *Envelope[M]) uncount() {
	if e.count != nil {
		e.count.Add(-1)
		e.count = nil
	}
}

// wait parks t in the line of senders until its message has been moved in.
func (m *Queue[M]) wait(t *core.Task, limit context.Context, v M, ticket Ticket) error {
	x := m.extra()
	e := x.envelope()
	e.msg, e.ticket, e.err = v, ticket, errUndecided
	x.stand(e)
	raised := true
	defer func() {
		if raised {
			e.uncount()
		}
	}()
	// A kill that is raised here takes the envelope out of the line. The envelope is then left to
	// the garbage collector.
	err := t.Park(core.Wait{Kind: core.InSend, On: &m.reader, Ctx: limit, In: &e.place})
	raised = false
	if err == nil {
		err = e.err
	}
	e.clear()
	e.uncount()
	e.next, x.free = x.free, e
	if err == errUndecided {
		return m.SendTask(t, limit, v, ticket, false) // t was woken by another event
	}
	return err
}

// stand puts e at the end of the line. It must be called on home.
func (x *ext[M]) stand(e *Envelope[M]) {
	x.count(e)
	if x.pretend.stand(&e.place) {
		return
	}
	x.line.Add(&e.place)
	x.low = never
}

func (e *Envelope[M]) clear() {
	var zero M
	e.msg, e.ticket = zero, nil
}

// decide takes e out of the line, with err as its outcome, and lets its sender, if there is one,
// continue. It returns false if the sender has left already. It must be called on home, which is
// on.
func (e *Envelope[M]) decide(on *core.Scheduler, err error) bool {
	e.clear()
	e.uncount()
	e.err = err
	if e.away != nil {
		e.place.Leave()
		if !e.away.decide() {
			return false
		}
	} else {
		e.place.Release()
	}
	if e.Decided != nil {
		e.Decided(on)
	}
	return true
}

// refuse decides all envelopes in l with ErrClosed. It returns the loss, which is the messages for
// which nobody waits, and these messages if somebody wants them. A lock may be held.
func (m *Queue[M]) refuse(on *core.Scheduler, l *core.Line) (lost Loss, vs []M) {
	lost.Reason = ErrClosed
	for !l.Empty() {
		e := l.First().Item().(*Envelope[M])
		alone, v := e.alone() && e.ticket == nil, e.msg
		if e.decide(on, ErrClosed) && alone {
			if lost.Count++; lost.Count == 1 {
				lost.Type = typeOf(&v)
			}
			if m.taker() != nil {
				vs = append(vs, v)
			}
		}
	}
	return lost, vs
}

// alone reports whether nobody waits for e.
func (e *Envelope[M]) alone() bool {
	if e.away != nil {
		return e.away.task == nil && e.away.done == nil
	}
	return e.place.Task() == nil
}

// Deliver puts v into m for a sender that does not wait, and never parks. If there is no room, the
// message takes a place among the parked senders, with e, which must not be in use. It is moved in
// when its turn comes. Under Fail and DropNewest the message is lost instead, unless mustWait is
// true. Deliver reports whether the message waits, so that Decided will be called. A lost message
// is reported.
//
// on is the scheduler that the caller runs on. It must be the same for all uses of e. If it is not
// home, the wait of the message may be over when Deliver returns.
func (m *Queue[M]) Deliver(on *core.Scheduler, e *Envelope[M], v M, mustWait bool) (waits bool) {
	onFull := m.policy
	if mustWait && (onFull == Fail || onFull == DropNewest) {
		onFull = Block
	}
	waits, err := m.deliver(on, e, v, nil, onFull)
	if err != nil {
		m.lose(v, err)
	}
	return waits
}

// DeliverTicket is like Deliver, for a message whose sender needs to know its outcome. A message
// that is not accepted is not reported: it is for the caller to do that. A message with a ticket
// that is refused while it waits is not reported either, and its ticket is not settled: Decided is
// told, and Refused returns the reason.
func (m *Queue[M]) DeliverTicket(on *core.Scheduler, e *Envelope[M], v M, ticket Ticket) (waits bool, err error) {
	return m.deliver(on, e, v, ticket, m.policy)
}

func (m *Queue[M]) deliver(on *core.Scheduler, e *Envelope[M], v M, ticket Ticket, onFull Policy) (waits bool, err error) {
	if m.home.Load() == on {
		if waits, err = m.offer(v, ticket, onFull); waits {
			e.msg, e.ticket, e.away = v, ticket, nil
			e.place.SetItem(e)
			m.extra().stand(e)
		}
		return waits, err
	}
	x, err := m.enter(v, ticket, onFull)
	if x != nil {
		e.msg, e.ticket, e.away = v, ticket, &away{}
		_, err = m.enqueue(x, e)
		waits = err == nil
	}
	return waits, err
}

// Refused returns why a message that waited was not moved in, or nil. It may be called by Decided.
func (e *Envelope[M]) Refused() error { return e.err }

// Withdraw takes e, which was given to Deliver on the same scheduler, out of the line. It returns
// false if e was decided already, which Decided reports. If e was sent to another scheduler, it
// cannot be used again.
func (m *Queue[M]) Withdraw(on *core.Scheduler, e *Envelope[M]) (inTime bool) {
	switch {
	case e.away == nil:
		e.place.Leave()
		e.uncount()
		e.clear()
		return true
	case m.home.Load() != on:
		return m.leave(e)
	case e.away.phase.CompareAndSwap(phaseWaiting, phaseLeft):
		(&departure[M]{m, e}).Do()
		return true
	}
	return false
}

// tellWaiters is for the search for deadlocks. It records, for waiting foreign tasks, that the
// reader is t now. If t is the first reader, it makes waiting goroutines check, because m now has a
// scheduler whose end would end their waits. It must be called on home.
func (m *Queue[M]) tellWaiters(t *core.Task, first bool) {
	on := t.Resource()
	for w := m.ext.Load().line.First(); w != nil; w = w.Next() {
		if a := w.Item().(*Envelope[M]).away; first && a != nil && a.done != nil {
			a.ring()
		}
		if a := w.Item().(*Envelope[M]).away; a != nil && a.task != nil && a.task.Scheduler().Kin(t.Scheduler()) {
			a.task.Scheduler().InjectFunc(func() {
				if a.parked {
					a.task.Redirect(on)
				}
			})
		}
	}
	if !m.queue.ticketed() {
		return
	}
	for i := range m.queue.n {
		if w, ok := m.queue.aside.slots[m.queue.index(i)].(ReaderWaiter); ok {
			w.ReadBy(t)
		}
	}
}

// Waits reports whether e is in a line. It must be called on home, or before the first Open.
func (e *Envelope[M]) Waits() bool { return e.place.Waits() }
