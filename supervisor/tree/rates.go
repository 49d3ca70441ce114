package tree

import (
	"sync"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/gauge"
)

// Rates compares a look at a tree with the one before, so that rows have rates and the age of the
// oldest message. It is for looks at the same tasklet, one after the other; the looks of several
// observers need a Rates each. The first look has no rates. The zero Rates is ready to use. It must
// not be copied after its first use. Its methods may be called from any goroutine.
//
// It keeps a few numbers of each tasklet that the last look has seen, of 10,000 tasklets at most.
// More of them have no rates.
type Rates struct {
	mu   sync.Mutex
	last looked // the counters of the last look; mu protects it
}

// maxLooked is the number of tasklets whose counters are kept.
const maxLooked = 10_000

// looked are the counters of one look. Once the look is over, it is read-only.
type looked struct {
	at    time.Time
	tasks map[*actor.Tasklet]*counters
}

// counters are numbers of a tasklet at the time of a look, and what follows from those of the last
// look.
type counters struct {
	handled uint64
	busy    time.Duration // in calls of the handler
	// mark is the number of messages that had come by markAt. As long as fewer have left, the
	// oldest message was there then.
	mark   uint64
	markAt time.Time

	known  bool // there was a look before
	rate   float64
	share  float64
	oldest time.Duration
}

// Snapshot is like the function [Snapshot], for rows with rates.
func (r *Rates) Snapshot(t *actor.Tasklet) []Row { return snapshot(look(t, r)) }

// WithRates makes [Write] and [Log] show rates since the last look with r. It panics if r is nil.
func WithRates(r *Rates) Option {
	if r == nil {
		panic("tree: WithRates with a nil *Rates")
	}
	return func(l *layout) { l.rates = r }
}

// comparison is a look that is being compared with the one before.
type comparison struct {
	last, now looked
	over      time.Duration // the time between them; 0 if there was none before
}

// begin returns a comparison with the last look of r, or nil if r is nil.
func (r *Rates) begin(now time.Time) *comparison {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := &comparison{last: r.last, now: looked{now, make(map[*actor.Tasklet]*counters, len(r.last.tasks))}}
	if c.last.tasks != nil {
		c.over = max(0, now.Sub(c.last.at))
	}
	return c
}

// end makes c the last look. Of two looks at the same moment, the first one counts.
func (r *Rates) end(c *comparison) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last.tasks == nil || c.now.at.After(r.last.at) {
		r.last = c.now
	}
}

// add compares t with the last look.
func (c *comparison) add(t *actor.Tasklet, g actor.Glance) {
	m := gauge.MeterOf(t)
	if g.Mailbox == nil && m == nil || len(c.now.tasks) >= maxLooked {
		return
	}
	n := &counters{}
	c.now.tasks[t] = n
	last := c.last.tasks[t]
	n.known = last != nil && c.over > 0
	if m != nil {
		n.busy = m.Sum()
		if n.known {
			n.share = min(1, max(0, n.busy-last.busy).Seconds()/c.over.Seconds())
		}
	}
	if g.Mailbox == nil {
		return
	}
	n.handled = g.Mailbox.Handled
	if n.known && n.handled >= last.handled {
		n.rate = float64(n.handled-last.handled) / c.over.Seconds()
	}
	if g.Mailbox.Len == 0 {
		return
	}
	left := gauge.LeftOf(t)
	if last != nil && last.mark > left {
		n.mark, n.markAt = last.mark, last.markAt
		n.oldest = max(0, c.now.at.Sub(n.markAt))
		return
	}
	// The time is read last, so that no message of the mark came after it.
	n.mark = left + uint64(g.Mailbox.Len)
	n.markAt = t.System().Now()
}

// fill sets the numbers of r that come from the comparison.
func (c *comparison) fill(r *Row) {
	n := c.now.tasks[r.Tasklet]
	if n == nil {
		return
	}
	r.Oldest = n.oldest
	if n.known {
		r.Over, r.Rate, r.Busy = c.over, n.rate, n.share
	}
}
