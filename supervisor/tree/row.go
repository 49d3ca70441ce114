package tree

import (
	"reflect"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/stats"
	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Row describes a tasklet, or a child of a supervisor without a tasklet, because it is stopped or
// waits for its restart.
type Row struct {
	Depth   int // below the tasklet on top, whose depth is 0
	Name    string
	Path    string
	Kind    string            // such as supervisor, pool, receiver or interval
	State   State             // in one word
	Tasklet *actor.Tasklet    // nil if the child has none
	Wait    string            // the call in which it is parked, such as "send to"
	On      string            // the path of the tasklet that it waits for, or ""
	For     time.Duration     // how long it has been idle, parked or stalled
	Until   time.Duration     // how long it will sleep, or wait before it is restarted
	Message reflect.Type      // the type of its messages; nil if it takes none
	Mailbox *mailbox.Stats    // nil if it has none
	Killed  time.Duration     // the time since it was killed; 0 if it was not
	Labels  map[string]string // the labels except kind and strategy
	// Callers and Joiners are the numbers of ordinary goroutines that wait for it, in a Call or a
	// Join; see actor.Glance. Those that wait to send are in Mailbox.Waiting.
	Callers, Joiners int
	// Timing has the times of the handler and of the mailbox, or is nil if they are not measured;
	// see package actor/stats.
	Timing *stats.Timing

	// The following are known from the second look with a [Rates] on.

	// Over is the time since the last look, which Rate and Busy are about. It is 0 if there was
	// none at this tasklet.
	Over time.Duration
	Rate float64 // messages that it has handled, per second
	// Busy is the part of the time in which its handler was being called, from 0 to 1, waits inside
	// the handler included. A call counts when it returns. It is 0 if Timing is nil.
	Busy float64
	// Oldest is a time that its oldest message has at least been in the mailbox; 0 if nothing is
	// known.
	Oldest time.Duration

	Scheduler  int  // the number of its scheduler, as for actor.OnScheduler
	Schedulers int  // the number of schedulers of the system
	elsewhere  bool // it runs on another scheduler than its parent

	// For a child of a supervisor.
	Restarts int           // since the supervisor's start
	Last     error         // the error of the last end by itself; nil if that was no failure
	LastAgo  time.Duration // the time since that end; 0 if it has not ended by itself

	Supervision *Supervision // of a supervisor or a pool, or nil
	// Fault describes the failure of the Describe method of a [Supervisor]: "panicked: boom", "has
	// not returned in 100ms". It is "" if there was none.
	Fault string

	window time.Duration // the period of its supervisor
}

// State is the state of a row in one word.
type State uint8

// The states, the loudest first.
const (
	Stalled    State = iota // keeps its scheduler: no other tasklet there can run
	Restarting              // ended; the supervisor will start it again
	Stopping                // its end is certain, but it has not ended yet
	Starting                // its supervisor waits until it has started
	Running                 // has control
	Ready                   // waits for its turn
	Parked                  // waits in a call; see Wait
	Sleeping                // waits for a time
	Idle                    // waits for messages, or has nothing to do
	Stopped                 // a child that does not run; its specification is kept
	Finished                // ended while the tree was examined
	states
)

var stateNames = [states]string{
	"stalled", "restarting", "stopping", "starting", "running", "ready", "parked", "sleeping", "idle", "stopped", "finished",
}

// String returns the word: "stalled".
func (s State) String() string {
	if s >= states {
		return "state(?)"
	}
	return stateNames[s]
}

// Snapshot returns the rows of t and of everything below it, parents before children, children in
// order of start; below the root of a system the daemons too. For a nil t it returns none. It may
// be called from any goroutine and waits for no tasklet, not even for one that holds its scheduler.
// Each row is what could be seen at one moment without stopping anything; two rows may be of
// different moments.
func Snapshot(t *actor.Tasklet) []Row { return snapshot(look(t, nil)) }

func snapshot(w *survey) []Row {
	rows := make([]Row, len(w.nodes))
	for i := range w.nodes {
		rows[i] = w.row(i)
	}
	return rows
}

// row returns the row of the i-th place. It does not change w, which goroutines may share.
func (w *survey) row(i int) Row {
	place := w.nodes[i]
	n := &place
	r := Row{Depth: int(n.depth), State: n.state, Tasklet: n.task, Fault: w.faults[i]}
	if n.collected {
		r.Name, r.Path, r.Kind = "(daemons)", "/(daemons)", "daemons"
		return r
	}
	c := n.child
	var g actor.Glance
	if n.task != nil {
		info := n.task.Info()
		g = info.Glance
		n.state = stateOf(n, g) // its state may have changed since the walk
		r.State = n.state
		r.Name, r.Path, r.Kind, r.On, r.Labels = info.Name, info.Path, info.Kind, info.On, info.Labels
		delete(r.Labels, "kind")
		delete(r.Labels, "strategy")
		r.Message = info.Message
		if timing, ok := stats.Of(n.task); ok && n.over == nil {
			r.Timing = &timing
		}
		if w.rates != nil {
			w.rates.fill(&r)
		}
		r.Scheduler, r.Schedulers = g.Scheduler, n.task.System().Schedulers()
		if n.parent >= 0 {
			if p := w.nodes[n.parent].task; p != nil {
				r.elsewhere = p.Glance().Scheduler != g.Scheduler
			}
		}
	} else {
		r.Name, r.Kind = c.ID, n.kind()
		r.Path = w.path(int(n.parent)) + "/" + c.ID
		if last := c.Last.Tasklet; last != nil {
			info := last.Info()
			g.Mailbox = info.Mailbox
			if c.ID == "" {
				r.Name, r.Path = info.Name, info.Path
			}
			r.Message = info.Message
		}
		if c.slot != nil {
			info := c.slot.Info()
			r.Name, r.Path, r.Message, g.Mailbox = info.Name, info.Path, info.Message, info.Mailbox
		}
		if r.Name == "" {
			r.Name = "(unnamed)"
		}
	}
	r.Mailbox, r.Killed = g.Mailbox, g.KilledFor
	r.Callers, r.Joiners = g.Callers, g.Joiners
	r.For = g.For
	if r.State == Parked || r.State == Starting && g.Wait != "" {
		r.Wait = g.Wait
	} else {
		r.On = ""
	}
	if r.State == Sleeping {
		r.Until = g.Until
	}
	if c != nil {
		r.Restarts, r.window = c.Restarts, n.window
		if !c.LastAt.IsZero() {
			r.Last, r.LastAgo = c.Last.Err, max(1, w.now.Sub(c.LastAt))
		}
		if n.task == nil {
			r.For = r.LastAgo
		}
		if r.State == Restarting && !c.Until.IsZero() {
			r.Until = max(1, c.Until.Sub(w.now))
		}
	}
	if o := n.over; o != nil {
		r.Mailbox, r.Message = nil, nil // requests to the supervisor, which are not shown
		s := o.Supervision
		r.Supervision = &s
	}
	return r
}

// kind returns the kind of n.
func (n *node) kind() (kind string) {
	switch {
	case n.collected:
		return "daemons"
	case n.task != nil:
		return vitals.KindOf(n.task)
	}
	if last := n.child.Last.Tasklet; last != nil {
		kind = vitals.KindOf(last)
	}
	if kind == "" && n.child.slot != nil {
		kind = n.child.slot.Info().Kind
	}
	return kind
}

// path returns the path of the i-th place, which must have a tasklet; for -1 that of the place
// above the top.
func (w *survey) path(i int) string {
	if i < 0 {
		return w.above
	}
	return w.nodes[i].task.Path()
}
