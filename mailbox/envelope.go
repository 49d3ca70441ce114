package mailbox

import (
	"context"
	"errors"

	"github.com/gotasklet/tasklet/scheduler"
)

// Envelope is a message that waits for room: a place in the line of senders. It belongs to a parked sender or, with Deliver,
// to something that nobody waits for (a timer, a watch), which keeps it. The zero Envelope is ready for use.
type Envelope[M any] struct {
	place  scheduler.Waiter // in ext.line or ext.queue; its Item is the envelope. Owned by who owns that
	msg    M
	ticket Ticket
	err    error        // what became of it: nil, the message is in the queue
	away   *away        // of a sender from elsewhere; else nil
	next   *Envelope[M] // in the free list

	// Decided is called when a message given to Deliver that had to wait is moved in, or refused. It may not use m. On home;
	// but if m is closed before the first Open, on the goroutine that closes. May be nil.
	Decided func()
}

// errUndecided is the err of an envelope that waits.
var errUndecided = errors.New("mailbox: not decided yet")

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

// wait parks t in the line of senders until its message has been moved in for it.
func (m *Mailbox[M]) wait(t *scheduler.Task, limit context.Context, v M, ticket Ticket) error {
	x := m.extra()
	e := x.envelope()
	e.msg, e.ticket, e.err = v, ticket, errUndecided
	x.stand(e)
	// A kill that is raised here takes the envelope out of the line, and it is left to the garbage collector.
	err := t.Park(scheduler.Wait{Kind: scheduler.InSend, On: &m.reader, Ctx: limit, In: &e.place})
	if err == nil {
		err = e.err
	}
	e.clear()
	e.next, x.free = x.free, e
	if err == errUndecided {
		return m.SendTask(t, limit, v, ticket, false) // woken by somebody else: stand in line again
	}
	return err
}

// stand puts e at the end of the line. On home.
func (x *ext[M]) stand(e *Envelope[M]) {
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

// decide takes e, with err as its fate, out of the line, and lets its sender go on if it has one. False: the sender has left
// already. On home.
func (e *Envelope[M]) decide(err error) bool {
	e.clear()
	e.err = err
	if e.away != nil {
		e.place.Leave()
		return e.away.decide()
	}
	e.place.Release()
	if e.Decided != nil {
		e.Decided()
	}
	return true
}

// refuse gives ErrClosed to everybody in l, and what is lost with it: the messages that nobody waits for.
func (m *Mailbox[M]) refuse(l *scheduler.Line) Loss {
	lost := Loss{Reason: ErrClosed}
	for !l.Empty() {
		e := l.First().Item.(*Envelope[M])
		if e.away == nil && e.place.Task() == nil {
			if lost.Count++; lost.Count == 1 {
				lost.Type = typeOf(&e.msg)
			}
		}
		e.decide(ErrClosed)
	}
	return lost
}

// Deliver puts v into m on behalf of nobody: it never parks. If there is no room, the message takes its place among the parked
// senders with e, which must not be in use, and is moved in when its turn comes; under Fail and DropNewest it is lost
// unless mustWait. ErrClosed, and the message is lost, if m takes no more. On home, or before the first Open.
func (m *Mailbox[M]) Deliver(e *Envelope[M], v M, mustWait bool) error {
	onFull := m.policy
	if mustWait && (onFull == Fail || onFull == DropNewest) {
		onFull = Block
	}
	err := m.deliver(e, v, onFull)
	if err != nil {
		m.report(Loss{Count: 1, Type: typeOf(&v), Reason: err})
	}
	return err
}

func (m *Mailbox[M]) deliver(e *Envelope[M], v M, onFull Policy) error {
	if m.home.Load() == nil {
		x, err := m.enter(v, nil, onFull)
		if x != nil {
			e.msg = v
			_, err = m.enqueue(x, e)
		}
		return err
	}
	wait, err := m.offer(v, nil, onFull)
	if wait {
		e.msg = v
		e.place.Item = e
		m.extra().stand(e)
	}
	return err
}

// Withdraw takes e, which was given to Deliver, out of the line, if it stands there. On home, or before the first Open.
func (m *Mailbox[M]) Withdraw(e *Envelope[M]) {
	if x := m.ext.Load(); x != nil {
		x.mu.Lock() // it may still be in ext.queue
		e.place.Leave()
		x.mu.Unlock()
	}
	e.clear()
}

// Waits reports whether e stands in a line. On home, or before the first Open.
func (e *Envelope[M]) Waits() bool { return e.place.Waits() }
