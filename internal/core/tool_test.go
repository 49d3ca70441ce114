package core

import "context"

// mutex is a lock with a holder, as package scheduler has one, for tests of what the engine does
// with it.
type mutex struct {
	lock Resource
	line Line
}

func (m *mutex) Lock(ctx context.Context) error {
	t, limit := Caller(ctx, "Lock")
	for m.lock.Holder != nil {
		ok, err := t.Stand(&m.line, Wait{Kind: InMutex, On: &m.lock, Ctx: limit})
		if ok || err != nil {
			return err
		}
	}
	m.lock.Holder = t
	return nil
}

func (m *mutex) Unlock() {
	m.lock.Holder = nil
	if !m.line.Empty() {
		m.lock.Holder = m.line.First().Task()
		m.line.Hand()
	}
}

// handOver is a rendezvous: Give hands a value to the first task that waits in Receive.
type handOver struct {
	line Line
	v    int
}

func (h *handOver) Receive(ctx context.Context) (int, error) {
	t, limit := Caller(ctx, "Receive")
	t.Checkpoint()
	_, err := t.Stand(&h.line, Wait{Kind: InChan, Ctx: limit})
	return h.v, err
}

func (h *handOver) Give(v int) {
	h.v = v
	h.line.Hand()
}
