package work

import (
	"slices"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/list"
	"github.com/gotasklet/tasklet/mailbox"
)

// group is the messages that are tried together: a batch, or a single message.
type group[M any] struct {
	ms     []M
	tries  int    // of this group
	past   int    // tries in a batch that was split
	err    error  // of the last try
	worker string // the path of the worker that made it
	// dead says that the tries are used up, and that the group waits for Spec.Dead to take it.
	dead   bool
	handed int // how often Spec.Dead has refused it

	// Set while the group waits for another try.
	due time.Time
	seq uint64 // the order of those that are due at the same time
}

// books are the messages of a queue, and where they are. Queue.mu protects them. Each method is one
// step, between two of which check finds no mistake. A message is in one of these places:
//
//	ready ──▶ a worker's hand ──▶ gone
//	              │    ▲
//	              ▼    │
//	            pause ─▶ due
type books[M any] struct {
	ready  ring[M]         // messages that were not tried yet
	due    ring[*group[M]] // groups whose pause is over, or that wait for no time; before ready
	pauses []*group[M]     // a heap, the first due first

	dueN, pauseN, handN int // the number of messages in due, in pauses and in hands

	waiters  list.List[*waiter[M]] // sends that wait for room, in order
	workers  []*worker[M]          // the present worker of each place, or nil
	idle     list.List[*worker[M]] // workers that wait for a bell, the longest first
	gatherer *worker[M]            // the worker whose batch waits for more messages, or nil

	seq      uint64
	draining bool // sends are refused until the next start
	over     bool // the queue has ended permanently
	armed    bool // the keeper knows, or was told, when the first pause ends

	accepted, handled, retries, setAside, lost, dropped uint64
}

// waiter is a send that waits for room.
type waiter[M any] struct {
	place list.Entry[*waiter[M]]
	m     M
	state sendState
	// reply wakes the sender. It is set when the keeper has the sender's call.
	reply    actor.Reply[struct{}]
	hasReply bool
}

type sendState uint8

const (
	sendWaits sendState = iota
	sendDone            // the message is in the queue
	sendRefused
)

// wakes are what must be woken after a step, when the mutex is free.
type wakes[M any] struct {
	bell    *worker[M] // the first of the workers
	bells   []*worker[M]
	replies []actor.Reply[struct{}]
}

func (k *wakes[M]) add(w *worker[M]) {
	switch {
	case w == nil:
	case k.bell == nil:
		k.bell = w
	default:
		k.bells = append(k.bells, w)
	}
}

// queued returns the number of messages that are in no worker's hands.
func (b *books[M]) queued() int { return b.ready.n + b.dueN + b.pauseN }

func (b *books[M]) total() int { return b.queued() + b.handN }

// accept puts m into the queue.
func (b *books[M]) accept(m M, batch int, k *wakes[M]) {
	b.accepted++
	b.ready.push(m)
	if b.gatherer == nil {
		k.add(b.wake())
	} else if b.ready.n >= batch {
		k.add(b.wakeGatherer())
	}
}

// wake returns the worker that has been idle for the longest time, which is then no longer idle.
func (b *books[M]) wake() *worker[M] {
	e := b.idle.First()
	if e == nil {
		return nil
	}
	b.idle.Remove(e)
	e.V.rung = true
	return e.V
}

// wakeAny is wake, or else wakeGatherer.
func (b *books[M]) wakeAny() *worker[M] {
	if w := b.wake(); w != nil {
		return w
	}
	return b.wakeGatherer()
}

func (b *books[M]) wakeGatherer() *worker[M] {
	w := b.gatherer
	if w == nil {
		return nil
	}
	b.gatherer = nil
	w.rung = true
	return w
}

// admit moves the messages of waiting sends into the room that there is.
func (b *books[M]) admit(limit, batch int, k *wakes[M]) {
	for e := b.waiters.First(); e != nil && b.queued() < limit; e = b.waiters.First() {
		b.waiters.Remove(e)
		b.accept(e.V.m, batch, k)
		b.answer(e.V, sendDone, k)
	}
}

func (b *books[M]) answer(w *waiter[M], state sendState, k *wakes[M]) {
	var zero M
	w.m, w.state = zero, state
	if w.hasReply {
		k.replies = append(k.replies, w.reply)
	}
}

// refuse ends all waiting sends.
func (b *books[M]) refuse(k *wakes[M]) {
	for e := b.waiters.First(); e != nil; e = b.waiters.First() {
		b.waiters.Remove(e)
		b.answer(e.V, sendRefused, k)
	}
}

// drop makes room for a message by the policy, and reports whether there is room now.
func (b *books[M]) drop(p mailbox.Policy) bool {
	b.dropped++
	if p == mailbox.DropNewest || b.ready.n == 0 {
		return false
	}
	b.ready.pop()
	b.accepted-- // it counts as dropped
	return true
}

// done records that what w has in hand was handled.
func (b *books[M]) done(w *worker[M]) {
	n := len(w.hand.ms)
	b.handN -= n
	b.handled += uint64(n)
	w.drop()
}

// leaves takes what w has in hand out of it.
func (b *books[M]) leaves(w *worker[M]) *group[M] {
	g := w.hand
	if g == &w.fresh {
		g = &group[M]{ms: slices.Clone(g.ms)}
	}
	b.handN -= len(g.ms)
	w.drop()
	return g
}

// pause makes g wait until due.
func (b *books[M]) pause(g *group[M], due time.Time) {
	b.seq++
	g.due, g.seq = due, b.seq
	b.pauseN += len(g.ms)
	b.pauses = append(b.pauses, g)
	for i := len(b.pauses) - 1; i > 0; {
		up := (i - 1) / 2
		if !b.pauses[i].before(b.pauses[up]) {
			return
		}
		b.pauses[i], b.pauses[up] = b.pauses[up], b.pauses[i]
		i = up
	}
}

func (g *group[M]) before(o *group[M]) bool {
	if g.due.Equal(o.due) {
		return g.seq < o.seq
	}
	return g.due.Before(o.due)
}

// resume moves the groups whose pauses are over at now to due.
func (b *books[M]) resume(now time.Time, k *wakes[M]) {
	for len(b.pauses) > 0 && !b.pauses[0].due.After(now) {
		g := b.pauses[0]
		last := len(b.pauses) - 1
		b.pauses[0], b.pauses[last] = b.pauses[last], nil
		b.pauses = b.pauses[:last]
		for i := 0; ; {
			least := i
			for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
				if b.pauses[c].before(b.pauses[least]) {
					least = c
				}
			}
			if least == i {
				break
			}
			b.pauses[i], b.pauses[least] = b.pauses[least], b.pauses[i]
			i = least
		}
		b.pauseN -= len(g.ms)
		b.ripe(g, k)
	}
}

// ripe makes g the last of those that are due.
func (b *books[M]) ripe(g *group[M], k *wakes[M]) {
	b.due.push(g)
	b.dueN += len(g.ms)
	k.add(b.wakeAny())
}

// stand takes w out of the lines in which it waits. If there is work that it was woken for, another
// worker gets it.
func (b *books[M]) stand(w *worker[M], k *wakes[M]) {
	if w.place.In() {
		b.idle.Remove(&w.place)
	}
	if b.gatherer == w {
		b.gatherer = nil
	}
	if b.ready.n+b.due.n > 0 {
		k.add(b.wakeAny())
	}
}

// clear removes everything that is queued, and returns the number of messages.
func (b *books[M]) clear() int {
	n := b.queued()
	b.ready, b.due, b.pauses, b.dueN, b.pauseN = ring[M]{}, ring[*group[M]]{}, nil, 0, 0
	b.lost += uint64(n)
	return n
}
