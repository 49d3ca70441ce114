package queue

import "github.com/gotasklet/tasklet/internal/gauge"

// A WaitReporter is notified of the time that messages have waited in a mailbox.
type WaitReporter interface {
	// MessageWaited is called on home when the reader takes a message that has waited for ns, and
	// that counts weight times. It must not park.
	MessageWaited(ns int64, weight uint64)
}

// waits samples the time between the arrival of a message in the mailbox and the moment at which
// the reader takes it. Owned by home, once it is published.
type waits struct {
	to    WaitReporter
	local gauge.Sampler // for messages that home puts in
	last  int64         // the time of the last stamp by local
}

// mostWaits is the largest size of a block of messages of which one is measured. It is larger than
// for handlers, because a message that is measured needs two looks at the clock.
const mostWaits = 256

// MeasureWaits makes m report how long its messages wait from now on, from the moment at which they
// are in the mailbox: the wait of a sender for room does not count. A part of the messages is
// measured, as [gauge.Sampler] chooses, or all of them if exact is true. Messages that are dropped
// or taken back are not reported. seed is any number. It must be called on home, after Open. Only
// the first call has an effect.
func (m *Queue[M]) MeasureWaits(to WaitReporter, seed uint32, exact bool) {
	if k := m.queue.aside; k != nil && k.waits != nil {
		return
	}
	most := uint32(mostWaits)
	if exact {
		most = 1
	}
	w := &waits{to: to}
	w.local.Init(seed, most)
	if m.queue.aside == nil {
		m.queue.aside = newAside()
	}
	m.queue.aside.waits = w
	x := m.extra()
	x.mu.Lock()
	x.foreign.Init(seed+1, most)
	x.measured = true
	if x.in.aside == nil {
		x.in.aside = newAside()
	}
	x.mu.Unlock()
}

// sample counts the last message, which home has put in, and gives it a stamp if it is to be
// measured.
func (m *Queue[M]) sample(k *aside) {
	w := k.waits
	if w.local.Left--; w.local.Left > 0 {
		return
	}
	at, weight := draw(&w.local, &w.last, m.home.Load().Nanotime())
	k.add(m.queue.n-1, at, weight)
}

// sampleForeign does the same for the last message in transit. mu must be held.
func (m *Queue[M]) sampleForeign(x *ext[M]) {
	if x.foreign.Left--; x.foreign.Left > 0 {
		return
	}
	at, weight := draw(&x.foreign, &x.last, m.home.Load().Nanotime())
	x.in.aside.add(x.in.n-1, at, weight)
}

// draw chooses the next message that is measured. It returns the time of the present one, and how
// often that counts.
func draw(s *gauge.Sampler, last *int64, now int64) (at int64, weight uint64) {
	apart := now - *last
	*last = now
	_, weight = s.Next(apart / max(1, s.Step()))
	return now, weight
}

// waited reports the wait of a message that the reader takes.
func (m *Queue[M]) waited(s stamp) {
	if s.weight > 0 {
		m.queue.aside.waits.to.MessageWaited(m.home.Load().Nanotime()-s.at, s.weight)
	}
}
