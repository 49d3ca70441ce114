package queue

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
)

// Envelope is a message that waits for room: a place in the line of senders. It belongs to a parked
// sender or, with Deliver, to something that nobody waits for (a timer, a watch), which keeps it.
// The zero Envelope is ready for use.
type Envelope[M any] struct {
	place  core.Waiter // in ext.line or ext.queue; its Item is the envelope. Owned by who owns that
	msg    M
	ticket Ticket
	err    error         // what became of it: nil, the message is in the queue
	away   *away         // of a sender from elsewhere; else nil
	next   *Envelope[M]  // in the free list
	count  *atomic.Int32 // that counts it as one that waits; nil: none. Owned by who owns place

	// Decided is called when a message given to Deliver that had to wait is moved in, or refused,
	// unless it was withdrawn before. It may not use m. It is called on home, which it is given;
	// but if m is closed before the first Open, on the goroutine that closes, and is given nil. May
	// be nil.
	Decided func(on *core.Scheduler)
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

// count counts e among those that wait, until uncount.
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

// wait parks t in the line of senders until its message has been moved in for it.
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
	// A kill that is raised here takes the envelope out of the line, and it is left to the garbage
	// collector.
	err := t.Park(core.Wait{Kind: core.InSend, On: &m.reader, Ctx: limit, In: &e.place})
	raised = false
	if err == nil {
		err = e.err
	}
	e.clear()
	e.uncount()
	e.next, x.free = x.free, e
	if err == errUndecided {
		return m.SendTask(t, limit, v, ticket, false) // woken by somebody else: stand in line again
	}
	return err
}

// stand puts e at the end of the line. On home.
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

// decide takes e, with err as its fate, out of the line, and lets its sender go on if it has one.
// False: the sender has left already. On home, which is given as on.
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

// refuse gives ErrClosed to everybody in l, and what is lost with it: the messages that nobody
// waits for.
func (m *Queue[M]) refuse(on *core.Scheduler, l *core.Line) Loss {
	lost := Loss{Reason: ErrClosed}
	for !l.Empty() {
		e := l.First().Item.(*Envelope[M])
		alone, t := e.alone(), typeOf(&e.msg)
		if e.decide(on, ErrClosed) && alone {
			if lost.Count++; lost.Count == 1 {
				lost.Type = t
			}
		}
	}
	return lost
}

// alone reports whether nobody waits for e.
func (e *Envelope[M]) alone() bool {
	if e.away != nil {
		return e.away.task == nil && e.away.done == nil
	}
	return e.place.Task() == nil
}

// Deliver puts v into m on behalf of nobody: it never parks. If there is no room, the message takes
// its place among the parked senders with e, which must not be in use, and is moved in when its
// turn comes; under Fail and DropNewest it is lost unless mustWait. It reports whether the message
// waits: then Decided will be called. A message that is lost is reported.
//
// on is the scheduler that the caller runs on: one and the same for all uses of e. If it is not
// home, that the message waits may be over by the time Deliver returns.
func (m *Queue[M]) Deliver(on *core.Scheduler, e *Envelope[M], v M, mustWait bool) (waits bool) {
	onFull := m.policy
	if mustWait && (onFull == Fail || onFull == DropNewest) {
		onFull = Block
	}
	var err error
	if m.home.Load() == on {
		waits, err = m.offer(v, nil, onFull)
		if waits {
			e.msg, e.away, e.place.Item = v, nil, e
			m.extra().stand(e)
		}
	} else {
		var x *ext[M]
		if x, err = m.enter(v, nil, onFull); x != nil {
			e.msg, e.away = v, &away{}
			_, err = m.enqueue(x, e)
			waits = err == nil
		}
	}
	if err != nil {
		m.report(Loss{Count: 1, Type: typeOf(&v), Reason: err})
	}
	return waits
}

// Withdraw takes e, which was given to Deliver on the same scheduler, out of the line, if it stands
// there; false: too late, it was decided already, as Decided will tell. If it went to another
// scheduler, e can't be used again.
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

// tellWaiters tells those elsewhere who wait for the reader that it is t now: for the search for
// deadlocks. If it is the first reader, goroutines are told that there is a scheduler now whose end
// would end their wait. On home.
func (m *Queue[M]) tellWaiters(t *core.Task, first bool) {
	on := t.Resource()
	for w := m.ext.Load().line.First(); w != nil; w = w.Next() {
		if a := w.Item.(*Envelope[M]).away; first && a != nil && a.done != nil {
			a.ring()
		}
		if a := w.Item.(*Envelope[M]).away; a != nil && a.task != nil && a.task.Scheduler().Kin(t.Scheduler()) {
			a.task.Scheduler().InjectFunc(func() {
				if a.parked {
					a.task.Redirect(on)
				}
			})
		}
	}
	if m.queue.tickets == nil {
		return
	}
	for i := range m.queue.n {
		if w, ok := m.queue.tickets.slots[m.queue.index(i)].(ReaderWaiter); ok {
			w.ReadBy(t)
		}
	}
}

// Waits reports whether e stands in a line. On home, or before the first Open.
func (e *Envelope[M]) Waits() bool { return e.place.Waits() }
