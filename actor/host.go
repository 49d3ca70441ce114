package actor

import (
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// host is one scheduler of a system, with what the system keeps for it. It is the scheduler's
// owner. Tasklets of one host share memory; from one host to another there are messages, and what
// goes through the door: see elsewhere.go.
type host struct {
	// Set in newSystem, then read-only.
	sys   *System
	n     int // as OnScheduler counts
	sched *core.Scheduler
	done  chan struct{} // closed when the scheduler's goroutine has ended

	tasklets int      // that are in the tree and run here; System.mu protects
	hog      *Tasklet // of the last stall; owned by the watchdog's goroutine
	// with a seed: those under way, in order of their start; owned by the scheduler
	awaits []*await
}

// hostOf gives the host whose scheduler is s.
func hostOf(s *core.Scheduler) *host { return s.Owner().(*host) }

// host is where t runs.
func (t *Tasklet) host() *host { return hostOf(t.task.Scheduler()) }

// run is the host's goroutine: a tasklet that holds the scheduler for ever can't hold the caller of
// Run.
func (h *host) run() {
	defer close(h.done)
	if err := h.sched.Run(); err != nil {
		h.sys.addFatal(err)
	}
}

// over reports whether nothing is left to do on h: it has ended, or waits for the other schedulers
// to come to their end too.
func (h *host) over() bool { return h.sched.Unwound() || h.ended() }

// ended reports whether the scheduler's goroutine has.
func (h *host) ended() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// load is what Spread goes by: the tasklets of the host, and once more those that are ready. Under
// System.mu.
func (h *host) load() int { return h.tasklets + h.sched.Ready() }

// place gives the host for a new tasklet under parent: the one that OnScheduler says; else the one
// that its ref belongs to, as it was read there before; else the least loaded one with Spread, or
// its parent's.
func (s *System) place(op string, parent *Tasklet, l anyLineage, on placement) *host {
	switch {
	case int(on) > len(s.hosts):
		misuse("%s with OnScheduler(%d): the system has %d, counted from 0", op, on-1, len(s.hosts))
	case on > 0:
		return s.hosts[on-1]
	case len(s.hosts) == 1:
		return s.hosts[0]
	}
	if l != nil {
		if home := l.home(); home != nil && home.sys == s {
			return home
		}
	}
	if on == spread {
		return s.leastLoaded()
	}
	return parent.host()
}

// placement is what a start says about the host: its number and 1; 0: nothing.
type placement int

const spread placement = -1

func (s *System) leastLoaded() *host {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := s.hosts[0]
	for _, h := range s.hosts[1:] {
		if h.load() < least.load() {
			least = h
		}
	}
	return least
}

// stuck is how long the host has been held by one tasklet, as far as looks from time to time can
// tell.
type stuck struct {
	word  uint64
	since time.Time
}

// look looks again, and reports whether it was the same tasklet for at least d.
func (k *stuck) look(h *host, now time.Time, d time.Duration) bool {
	_, word := h.sched.Busy()
	if word == 0 || word != k.word {
		k.word, k.since = word, now
		return false
	}
	return now.Sub(k.since) >= d
}
