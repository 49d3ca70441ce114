package otelactor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/vitals"
)

// ScopeName is the name of the meter.
const ScopeName = "github.com/gotasklet/tasklet/actor/otelactor"

const (
	// maxSystems is the number of systems of a Metrics.
	maxSystems = 8
	// maxKinds is the number of kinds of tasklets over all systems that have numbers of their own.
	// With one for "other" in each system, and the values of le, no instrument has more than 1,999
	// attribute sets. With one more, the SDK throws numbers together.
	maxKinds = 68
	// maxEach is the number of schedulers, and of kinds of events, that have numbers of their own
	// in each system.
	maxEach = 200
)

// other is the name of the rest.
const other = "other"

// Errors of [Metrics.Add] and [NewMetrics].
var (
	// ErrSystemName is the error for a second system with the name of one that is there and has not
	// stopped. Their numbers could not be told apart. Give them different names in actor.Config.
	ErrSystemName = errors.New("otelactor: there is a system with this name")
	// ErrTooMany is the error for more than 8 systems.
	ErrTooMany = errors.New("otelactor: too many systems")
	// ErrClosed is the error for a Metrics that was closed.
	ErrClosed = errors.New("otelactor: the Metrics is closed")
	// ErrInUse is the error for a second Metrics of one meter provider: one Metrics takes many
	// systems, and two would report the same instruments twice.
	ErrInUse = errors.New("otelactor: the meter provider has a Metrics that is not closed")
)

// Metrics reports the numbers of systems to OpenTelemetry. Its methods may be called from any
// goroutine. Use [NewMetrics] to make one.
type Metrics struct {
	// Set when it is made, then read-only.
	meter        metric.Meter
	in           made
	registration metric.Registration

	// mu protects the following, and the fields of sources that say so. It is held for a few
	// instructions.
	mu      sync.Mutex
	sources []*source // not changed in place
	free    int       // the number of kinds that may still be taken
	closed  bool
}

// inUse has the meters that have a Metrics.
var inUse sync.Map // of metric.Meter to struct{}

// NewMetrics returns a Metrics that reports to p. One Metrics is enough for a program; add its
// systems with [Metrics.Add]. The error is ErrInUse, or that of the provider. NewMetrics panics if
// p is nil.
func NewMetrics(p metric.MeterProvider) (*Metrics, error) {
	if p == nil {
		misuse("NewMetrics with a nil MeterProvider")
	}
	m := &Metrics{meter: p.Meter(ScopeName), free: maxKinds}
	if m.known() {
		if _, loaded := inUse.LoadOrStore(m.meter, struct{}{}); loaded {
			return nil, ErrInUse
		}
	}
	var err error
	if m.in, err = makeInstruments(m.meter); err == nil {
		m.registration, err = m.meter.RegisterCallback(m.collect, m.in.all...)
	}
	if err != nil {
		m.forget()
		return nil, fmt.Errorf("otelactor: %w", err)
	}
	return m, nil
}

// known reports whether the meter can be told from others. That of a provider that does nothing
// cannot.
func (m *Metrics) known() bool {
	t := reflect.TypeOf(m.meter)
	return t != nil && t.Kind() == reflect.Pointer && t.Elem().Size() > 0
}

func (m *Metrics) forget() {
	if m.known() {
		inUse.Delete(m.meter)
	}
}

// Add adds s. Its numbers are reported from the next collection on, until [Metrics.Remove], also
// when s has stopped, so that a last export has the final numbers. A system that has stopped makes
// room for another one of the same name. The error is ErrSystemName, ErrTooMany or ErrClosed. Add
// panics if s is nil.
func (m *Metrics) Add(s *actor.System) error {
	if s == nil {
		misuse("Add with a nil *System")
	}
	n := newSource(m, s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	for _, have := range m.sources {
		switch {
		case have.name != n.name:
		case have.sys != s && stopped(have.sys):
			m.take(have)
		default:
			return fmt.Errorf("%w: %s", ErrSystemName, n.name)
		}
	}
	if len(m.sources) == maxSystems {
		return ErrTooMany
	}
	m.sources = append(slices.Clip(m.sources), n)
	return nil
}

// Remove takes s out. A collection that is being made may still have its numbers. It does nothing
// if s is not there.
func (m *Metrics) Remove(s *actor.System) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, have := range m.sources {
		if have.sys == s {
			m.take(have)
			return
		}
	}
}

// take takes a source out. mu must be held.
func (m *Metrics) take(s *source) {
	m.sources = slices.DeleteFunc(slices.Clone(m.sources), func(have *source) bool { return have == s })
	m.free += s.taken
	s.gone = true
}

// Close ends the reports of all systems, and makes room for another Metrics of the same provider.
// It waits for a collection that is being made, so it must not be called inside of one. Further
// calls do nothing.
func (m *Metrics) Close() error {
	m.mu.Lock()
	closed := m.closed
	m.closed, m.sources = true, nil
	m.mu.Unlock()
	if closed {
		return nil
	}
	err := m.registration.Unregister()
	m.forget()
	return err
}

// collect is the callback. Readers call it at the same time. It returns nil in any case, because
// for an error of one callback a periodic reader throws everything away that it has collected.
func (m *Metrics) collect(_ context.Context, o metric.Observer) error {
	m.mu.Lock()
	sources := m.sources
	m.mu.Unlock()
	for _, s := range sources {
		s.observe(o)
	}
	return nil
}

// observe observes the numbers of a system. A panic is reported, and does not reach the SDK, which
// would let it end the program.
func (s *source) observe(o metric.Observer) {
	defer func() {
		if v := recover(); v != nil {
			report(fmt.Errorf("otelactor: reading system %s panicked: %v\n%s", s.name, v, debug.Stack()))
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read()
	s.tell(o)
}

// report passes err to OpenTelemetry's handler of errors, which the program may have set.
func report(err error) {
	defer func() { _ = recover() }()
	otel.Handle(err)
}

// stopped reports whether the schedulers of s have ended.
func stopped(s *actor.System) bool { return vitals.PhaseOf(s) == vitals.Stopped }

func misuse(text string) { panic("otelactor: " + text) }
