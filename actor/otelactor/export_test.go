package otelactor

import "github.com/gotasklet/tasklet/actor"

const (
	MaxSystems = maxSystems
	MaxKinds   = maxKinds
	MaxEach    = maxEach
	MaxSets    = 2000 // the limit of the SDK
)

// Instrument is what docs/metrics.md has of an instrument.
type Instrument struct {
	Name, Unit, Form string
	Attributes       []string
}

// Instruments returns all instruments.
func Instruments() (all []Instrument) {
	for _, in := range instruments {
		form := [...]string{counter: "counter", upDown: "up-down counter", gauge: "gauge"}[in.form]
		all = append(all, Instrument{in.name, in.unit, form, in.attributes})
	}
	return all
}

// BeforeTell makes each collection of the numbers of s call f.
func (m *Metrics) BeforeTell(s *actor.System, f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.sources {
		if x.sys == s {
			x.mu.Lock()
			x.beforeTell = f
			x.mu.Unlock()
		}
	}
}

// Free returns the number of kinds that may still be taken.
func (m *Metrics) Free() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.free
}
