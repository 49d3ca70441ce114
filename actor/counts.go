package actor

import (
	"sync/atomic"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/gauge"
)

// counts are the counters of a system that package actor/stats shows.
type counts struct {
	// System.mu protects their writers. Others read them with core.Peek.
	started uint64
	ended   [5]uint64 // by reason.Kind

	// Atomic: written by every goroutine that loses a message or emits an event.
	lost   [gauge.Losses]atomic.Uint64
	events [256]atomic.Uint64 // by event.Kind, whether a sink wants them or not
}

func init() {
	gauge.MeterOf = func(t any) *gauge.Meter {
		if r := t.(*Tasklet).rareOptions(); r != nil && r.meter != nil {
			return &r.meter.Meter
		}
		return nil
	}
	gauge.WaitsOf = func(t any) *gauge.Histogram {
		if r := t.(*Tasklet).rareOptions(); r != nil {
			return r.waited.Load()
		}
		return nil
	}
	gauge.LeftOf = func(t any) uint64 {
		if l := t.(*Tasklet).inst.lineage(); l != nil {
			return l.left()
		}
		return 0
	}
	gauge.Of = func(s any) gauge.Numbers { return s.(*System).numbers() }
}

// numbers returns the counters of s. It may be called from any goroutine.
func (s *System) numbers() gauge.Numbers {
	n := gauge.Numbers{Started: core.Peek(&s.counts.started), Up: s.Now().Sub(s.start)}
	for i := range n.Ended {
		n.Ended[i] = core.Peek(&s.counts.ended[i])
	}
	for i := range n.Lost {
		n.Lost[i] = s.counts.lost[i].Load()
	}
	for i := range n.Events {
		n.Events[i] = s.counts.events[i].Load()
	}
	s.mu.Lock()
	for _, h := range s.hosts {
		n.Schedulers = append(n.Schedulers, gauge.Scheduler{Tasklets: h.tasklets, Ready: h.sched.Ready(), Busy: -1})
	}
	s.mu.Unlock()
	if !s.measure {
		return n
	}
	n.Kinds = make(map[string]*gauge.Total)
	for i, h := range s.hosts {
		if s.real {
			n.Schedulers[i].Busy = max(0, n.Up-h.sched.Asleep())
		}
		h.addTotals(n.Kinds)
	}
	return n
}

// addTotals adds the sums of the kinds on h to sums.
func (h *host) addTotals(sums map[string]*gauge.Total) {
	h.totalsMu.Lock()
	defer h.totalsMu.Unlock()
	for kind, k := range h.totals {
		sum := sums[kind]
		if sum == nil {
			sum = new(gauge.Total)
			sums[kind] = sum
		}
		sum.Calls += core.Peek(&k.Calls)
		k.Times.AddTo(&sum.Times)
		k.Waits.AddTo(&sum.Waits)
	}
}
