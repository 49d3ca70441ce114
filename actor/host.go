package actor

import (
	"sync"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/gauge"
)

// host is one scheduler of a system, with the data that the system keeps for it. It is the
// scheduler's owner. Tasklets of one host share memory. Tasklets of different hosts exchange
// messages, and work that goes through the door.
type host struct {
	// Set in newSystem, then read-only.
	sys   *System
	n     int // the number, as for OnScheduler
	sched *core.Scheduler
	done  chan struct{} // closed when the scheduler's goroutine has ended

	tasklets int      // the number of tasklets in the tree that run here; System.mu protects
	hog      *Tasklet // the tasklet of the last stall; owned by the watchdog's goroutine
	// awaits has, if there is a seed, the Awaits that have not ended, in order of their start.
	// Owned by the scheduler.
	awaits []*await
	// stacks limits the stacks of panics; see panicked. Owned by the scheduler.
	stacks map[panicSite]*stackCount

	totalsMu sync.Mutex // held while totals is changed, and by those who read it elsewhere
	// totals has the sums of the kinds of its tasklets. Owned by the scheduler.
	totals map[string]*gauge.Total
}

// hostOf returns the host whose scheduler is s.
func hostOf(s *core.Scheduler) *host { return s.Owner().(*host) }

// host returns the host on which t runs.
func (t *Tasklet) host() *host { return hostOf(t.task.Scheduler()) }

// run is the function of the host's goroutine. The host has its own, so that a tasklet that never
// gives up its scheduler cannot block the caller of Run.
func (h *host) run() {
	defer close(h.done)
	if err := h.sched.Run(); err != nil {
		h.sys.addFatal(err)
	}
}

// over reports whether nothing is left to do on h: it has ended, or waits for the other schedulers
// to get that far.
func (h *host) over() bool { return h.sched.Unwound() || h.ended() }

// ended reports whether the scheduler's goroutine has ended.
func (h *host) ended() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// load returns what Spread compares: the number of tasklets of the host, with the ready ones
// counted twice. System.mu must be held.
func (h *host) load() int { return h.tasklets + h.sched.Ready() }

// place returns the host for a new tasklet under parent. It is the one that OnScheduler names,
// otherwise the one on which the tasklet's ref was read before, otherwise the least loaded one if
// Spread was given, and otherwise the host of the parent.
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

// placement is what a start says about the host: the number of the host plus 1, or 0 for nothing.
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

// stuck measures for how long one tasklet has held a host, as far as checks at intervals can show
// that.
type stuck struct {
	word  uint64
	since time.Time
	seen  int // the number of checks since then
}

// stuckLooks is the number of checks in the time that a tasklet may hold a host. Real time alone is
// not enough: it also passes while the whole process is stopped.
const stuckLooks = 8

// look checks again, and reports whether the same tasklet has held h for at least d.
func (k *stuck) look(h *host, now time.Time, d time.Duration) bool {
	_, word := h.sched.Busy()
	if word == 0 || word != k.word {
		*k = stuck{word: word, since: now}
		return false
	}
	k.seen++
	return k.seen >= stuckLooks && now.Sub(k.since) >= d
}
