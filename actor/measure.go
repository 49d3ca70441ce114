package actor

import (
	"github.com/gotasklet/tasklet/internal/gauge"
)

// This file measures handlers and mailboxes, if Config.Measure is set. A handler is wrapped when
// its tasklet starts, as by a hook, and a mailbox samples its messages itself. So a system that
// does not measure pays nothing.

// meter measures the handler of one tasklet. Owned by its scheduler.
type meter struct {
	gauge.Meter
	total *gauge.Total // that of its kind; nil until a call has been measured
}

// maxKinds is the number of kinds that have sums of their own. The rest share otherKind.
const maxKinds = 64

const otherKind = "other"

// newMeter returns the meter for t, which is about to start.
func (t *Tasklet) newMeter() *meter {
	m := &meter{}
	m.Init(t.sys.meters.Add(1), !t.sys.real)
	t.extra().set().meter = m
	return m
}

// MessageWaited implements queue.WaitReporter.
func (l *lineage[M]) MessageWaited(ns int64, weight uint64) {
	t := l.cur.Load()
	r := t.rareOptions()
	h := r.waited.Load()
	if h == nil {
		h = new(gauge.Histogram)
		r.waited.Store(h)
	}
	h.Add(ns, weight)
	switch {
	case r.meter == nil:
		t.host().total(t.kindName()).Waits.Add(ns, weight)
	case r.meter.total != nil:
		r.meter.total.Waits.Add(ns, weight)
	default: // the first call may set its kind; see end
	}
}

// begin returns the time at which a call begins.
func (m *meter) begin(t *Tasklet) int64 { return t.task.Scheduler().Nanotime() }

// end records a call that began at from.
func (m *meter) end(t *Tasklet, from int64) {
	d := t.task.Scheduler().Nanotime() - from
	if m.total == nil {
		m.total = t.host().total(t.kindName())
		if h := t.rareOptions().waited.Load(); h != nil {
			h.AddTo(&m.total.Waits)
		}
	}
	calls, weight := m.Done(d)
	m.total.Calls += calls
	m.total.Times.Add(d, weight)
}

// stopMeter adds the calls that were not measured to the sums, when t has ended. It must be called
// on the scheduler.
func (r *rareOptions) stopMeter() {
	if m := r.meter; m != nil && m.total != nil {
		m.total.Calls += m.Open()
	}
}

// total returns the sums of a kind. It must be called on the scheduler of h.
func (h *host) total(kind string) *gauge.Total {
	if k := h.totals[kind]; k != nil {
		return k
	}
	kind = h.sys.countedKind(kind)
	if k := h.totals[kind]; k != nil {
		return k
	}
	k := new(gauge.Total)
	h.totalsMu.Lock()
	defer h.totalsMu.Unlock()
	if h.totals == nil {
		h.totals = make(map[string]*gauge.Total)
	}
	h.totals[kind] = k
	return k
}

// countedKind returns kind, or otherKind if there are too many others.
func (s *System) countedKind(kind string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.kinds[kind]; known {
		return kind
	}
	if len(s.kinds) >= maxKinds {
		return otherKind
	}
	if s.kinds == nil {
		s.kinds = make(map[string]struct{})
	}
	s.kinds[kind] = struct{}{}
	return kind
}

// timed1 and timed2 return a function that calls f and measures some of the calls.
func timed1(m *meter, f func(*Tasklet) error) func(*Tasklet) error {
	g := timed2(m, func(t *Tasklet, _ struct{}) error { return f(t) })
	return func(t *Tasklet) error { return g(t, struct{}{}) }
}

func timed2[M any](m *meter, f func(*Tasklet, M) error) func(*Tasklet, M) error {
	return func(t *Tasklet, v M) error {
		if m.Left--; m.Left != 0 {
			return f(t, v)
		}
		return timeCall(m, t, f, v)
	}
}

// timeCall calls f and measures the call, also if f panics.
//
//go:noinline
func timeCall[M any](m *meter, t *Tasklet, f func(*Tasklet, M) error, v M) error {
	defer m.end(t, m.begin(t))
	return f(t, v)
}

func (h *handling[M]) timed(m *meter) instance { return &handling[M]{h.l, timed2(m, h.f)} }

func (i *initialized[M]) timed(m *meter) instance {
	if i.what != "" {
		return i // a supervisor
	}
	init := i.init0
	i.init0 = func(t *Tasklet) (func(*Tasklet, M) error, error) {
		f, err := init(t)
		if f != nil {
			f = timed2(m, f)
		}
		return f, err
	}
	return i
}

func (r *retrying[M]) timed(m *meter) instance {
	r.f = timed2(m, r.f)
	return r
}

func (r *retryingInit[M]) timed(m *meter) instance {
	r.i.timed(m)
	return r
}

func (b *batching[M]) timed(m *meter) instance {
	b.f = timed2(m, b.f)
	return b
}

func (e *every) timed(m *meter) instance {
	e.f = timed1(m, e.f)
	return e
}

func (r *atRate) timed(m *meter) instance {
	r.f = timed2(m, r.f)
	return r
}

func (l *loop) timed(m *meter) instance {
	l.f = timed1(m, l.f)
	return l
}
