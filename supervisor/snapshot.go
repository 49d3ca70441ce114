package supervisor

import (
	"reflect"
	"slices"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Row is what a tree shows of a tasklet, or of a child of a supervisor that has none because it
// is stopped or waits to be restarted.
type Row struct {
	Depth   int // below the tasklet that was asked for, which is at 0
	Name    string
	Path    string
	Kind    string            // supervisor, pool, receiver, interval ...
	State   RowState          // in one word
	Tasklet *actor.Tasklet    // nil if the child has none
	Wait    string            // of one that is parked: in which call, "send to"
	On      string            // and the path of whom it waits for, if that is a tasklet
	For     time.Duration     // how long it is idle, parked or stalled
	Until   time.Duration     // how long it will sleep, or wait before it is restarted
	Message reflect.Type      // of the messages that it takes; nil: none
	Mailbox *mailbox.Stats    // nil: none
	Killed  time.Duration     // how long ago it was killed; 0: it was not
	Labels  map[string]string // but kind and strategy

	Scheduler  int  // on which it runs, as actor.OnScheduler counts
	Schedulers int  // of the system
	elsewhere  bool // on another one than its parent

	// Of a child of a supervisor.
	Restarts int           // since the supervisor's start
	Last     error         // of the last end by itself, nil if that was no failure
	LastAgo  time.Duration // how long ago that was; 0: it has not ended by itself

	Supervisor *SupervisorRow // of a supervisor or a pool, else nil

	window time.Duration // of its supervisor
}

// SupervisorRow is what a tree shows of supervisors only.
type SupervisorRow struct {
	Strategy string // "" for a pool
	Up       time.Duration
	Children int           // with those that are stopped
	Restarts int           // within the last Period; 0 if Max is Unlimited
	Max      int           // allowed within Period; Unlimited: any number
	Period   time.Duration // of the window
	Total    int           // restarts since the start
}

// RowState is the state of a row in one word.
type RowState uint8

// The states, the loudest first.
const (
	RowStalled    RowState = iota // keeps its scheduler: nothing else there can run
	RowRestarting                 // ended; the supervisor will start it again
	RowStopping                   // its end is certain, but it has not ended yet
	RowStarting                   // its supervisor waits until it has started
	RowRunning                    // has control
	RowReady                      // waits for its turn
	RowParked                     // waits in a call, see Wait
	RowSleeping                   // waits for a time
	RowIdle                       // waits for messages, or for nothing
	RowStopped                    // a child that does not run; its specification is kept
	RowFinished                   // ended while the tree was looked at
	rowStates
)

var rowStateNames = [rowStates]string{
	"stalled", "restarting", "stopping", "starting", "running", "ready", "parked", "sleeping", "idle", "stopped", "finished",
}

// String gives the word.
func (s RowState) String() string { return rowStateNames[s] }

// Snapshot gives t and all below it, parents before children, children in order of start. It may be
// called from any goroutine, and waits for nobody, also not for a tasklet that keeps its scheduler:
// what it tells is what could be seen without stopping anybody, each row by itself.
func Snapshot(t *actor.Tasklet) []Row {
	w := look(t)
	rows := make([]Row, len(w.nodes))
	for i := range w.nodes {
		rows[i] = w.row(i)
	}
	return rows
}

// survey is one walk over a tree: of each place so much as is needed to decide whether it is shown.
type survey struct {
	now     time.Time
	nodes   []node // in pre-order
	stalled int
	live    int // tasklets
	total   int // restarts since the start of each supervisor
	dropped uint64
}

// node is a place in the tree.
type node struct {
	task      *actor.Tasklet // nil for a child without one
	child     *childView     // what its supervisor knows of it; nil if it has none
	over      *overview      // of a supervisor
	window    time.Duration  // the period of its supervisor
	parent    int32          // its index; -1 at the top
	depth     int32
	rank      int32 // among its siblings
	children  int32
	state     RowState
	flags     flags
	noise     uint8 // 0: quiet
	collected bool  // "(daemons)": no tasklet, only a line
}

// flags are what is remarkable besides the state.
type flags uint8

const (
	flagFull flags = 1 << iota
	flagDropping
	flagRestarted
	flagQueued // not empty
	flagKilled
)

// restartedFor is how long a child is shown as restarted at least.
const restartedFor = time.Minute

// longWait is from when on a wait is worth a look.
const longWait = time.Second

// look walks over t and all below it; for the root of a system over the daemons too.
func look(t *actor.Tasklet) *survey {
	w := &survey{}
	if t == nil {
		return w
	}
	w.now = t.System().Now()
	w.add(t, nil, nil, -1, 0, 0)
	if t != t.System().Root() {
		return w
	}
	if ds := t.System().Daemons(); len(ds) > 0 {
		top := len(w.nodes)
		w.nodes = append(w.nodes, node{parent: -1, rank: 1, children: int32(len(ds)), state: RowIdle, collected: true})
		for i, d := range ds {
			w.add(d, nil, nil, top, 1, i)
		}
	}
	return w
}

// add adds t, which child describes if a supervisor knows it, and what is below.
func (w *survey) add(t *actor.Tasklet, child *childView, in *overview, parent, depth, rank int) {
	n := node{task: t, child: child, parent: int32(parent), depth: int32(depth), rank: int32(rank)}
	me := len(w.nodes)
	w.nodes = append(w.nodes, n)
	var below []place
	if t != nil {
		w.live++
		n.over = overviewOf(t)
		below = places(t, n.over)
	}
	n.children = int32(len(below))
	w.nodes = slices.Grow(w.nodes, len(below))
	if in != nil {
		n.window = in.period
	}
	w.judge(&n)
	w.nodes[me] = n
	for i, b := range below {
		w.add(b.task, b.child, n.over, me, depth+1, i)
	}
}

// place is a child of a tasklet, or of a supervisor's list.
type place struct {
	task  *actor.Tasklet
	child *childView
}

// places gives the places below t: for a supervisor in the order of its children, with those that
// have no tasklet.
func places(t *actor.Tasklet, o *overview) []place {
	tasks := t.Children()
	ps := make([]place, 0, len(tasks))
	if o == nil {
		for _, c := range tasks {
			ps = append(ps, place{task: c})
		}
		return ps
	}
	others := o.others(tasks)
	for i := range o.children {
		c := &o.children[i]
		p := place{c.task, c}
		for j, other := range others {
			if p.task == nil && c.id != "" && other.Name() == c.id {
				p.task = other
				others = append(others[:j:j], others[j+1:]...)
				break
			}
		}
		ps = append(ps, p)
	}
	for _, c := range others {
		ps = append(ps, place{task: c})
	}
	return ps
}

// others gives those of tasks that are no child's: they are just being started or stopped.
func (o *overview) others(tasks []*actor.Tasklet) (others []*actor.Tasklet) {
	n := 0
	for i := range o.children {
		if c := o.children[i].task; c != nil && n < len(tasks) && tasks[n] == c {
			n++
		}
	}
	if n == len(tasks) { // the usual case
		return nil
	}
	known := make(map[*actor.Tasklet]bool, len(o.children))
	for i := range o.children {
		if c := o.children[i].task; c != nil {
			known[c] = true
		}
	}
	for _, c := range tasks {
		if !known[c] {
			others = append(others, c)
		}
	}
	return others
}

// judge finds the state of n, and how much noise it makes.
func (w *survey) judge(n *node) {
	var g actor.Glance
	if n.task != nil {
		g = n.task.Glance()
	} else if last := n.child.last.Tasklet; last != nil {
		g.Mailbox = last.Glance().Mailbox // held for the next one
	}
	n.state = stateOf(n, g)
	c := n.child
	recently := false
	if c != nil && !c.lastAt.IsZero() {
		recently = w.now.Sub(c.lastAt) <= max(restartedFor, n.window)
	}
	if recently && c.restarts > 0 && n.state != RowRestarting {
		n.flags |= flagRestarted
	}
	if m := g.Mailbox; m != nil && n.over == nil {
		if m.Len > 0 {
			n.flags |= flagQueued
		}
		if m.Cap > 0 && m.Len >= m.Cap {
			n.flags |= flagFull
		}
		if m.Dropped > 0 {
			n.flags |= flagDropping
			w.dropped += m.Dropped
		}
	}
	if g.KilledFor > 0 {
		n.flags |= flagKilled
	}
	if n.state == RowStalled {
		w.stalled++
	}
	if n.over != nil {
		w.total += n.over.total
	}
	n.noise = noiseOf(n, g, recently)
}

// stateOf gives the state in one word.
func stateOf(n *node, g actor.Glance) RowState {
	c := n.child
	if n.task == nil {
		if c.state == Restarting {
			return RowRestarting
		}
		return RowStopped
	}
	if g.Stalled {
		return RowStalled
	}
	switch g.State {
	case "finished":
		return RowFinished
	case "stopping":
		return RowStopping
	}
	if c != nil && c.task == nil {
		return RowStarting
	}
	switch g.State {
	case "running":
		return RowRunning
	case "ready":
		return RowReady
	case "parked":
		switch g.Wait {
		case actor.InSleep:
			return RowSleeping
		case actor.InReceive:
			return RowIdle
		case actor.InYield, actor.NotParked:
			return RowReady
		}
		return RowParked
	}
	if g.Until > 0 && g.Mailbox == nil {
		return RowSleeping
	}
	return RowIdle
}

// noiseOf says how much a reader wants to see n: the higher the more; 0 for what is as it should
// be.
func noiseOf(n *node, g actor.Glance, recently bool) uint8 {
	switch {
	case n.state == RowStalled:
		return 100
	case n.state == RowRestarting:
		return 90
	case n.flags&flagFull != 0:
		return 80
	case n.state == RowStarting && g.Wait != actor.NotParked && g.For >= longWait,
		(n.state == RowStopping || g.Killed) && g.KilledFor >= longWait:
		return 75
	case n.flags&flagRestarted != 0:
		return 70
	case n.flags&flagDropping != 0:
		return 60
	case n.state == RowStopped && recently && n.child.last.Kind.Failure():
		return 50
	case n.flags&flagKilled != 0 && g.KilledFor < restartedFor:
		return 45
	case n.state == RowParked && g.For >= longWait:
		switch g.Wait {
		case actor.InSend, actor.InCall, actor.InMutex, actor.InStop:
			return 40
		}
		return 20 // may be as it should be: a main that joins its children
	}
	return 0
}

// row makes the row of the i-th place.
func (w *survey) row(i int) Row {
	n := &w.nodes[i]
	r := Row{Depth: int(n.depth), State: n.state, Tasklet: n.task}
	if n.collected {
		r.Name, r.Path, r.Kind = "(daemons)", "/(daemons)", "daemons"
		return r
	}
	c := n.child
	var g actor.Glance
	if n.task != nil {
		info := n.task.Info()
		g = info.Glance
		n.state = stateOf(n, g) // what it is now
		r.State = n.state
		r.Name, r.Path, r.Kind, r.On, r.Labels = info.Name, info.Path, info.Kind, info.On, info.Labels
		delete(r.Labels, "kind")
		delete(r.Labels, "strategy")
		r.Message = n.task.MessageType()
		r.Scheduler, r.Schedulers = g.Scheduler, n.task.System().Schedulers()
		if n.parent >= 0 {
			if p := w.nodes[n.parent].task; p != nil {
				r.elsewhere = p.Task().Scheduler() != n.task.Task().Scheduler()
			}
		}
	} else {
		r.Name = c.id
		r.Path = w.path(int(n.parent)) + "/" + c.id
		if last := c.last.Tasklet; last != nil {
			info := last.Info()
			g.Mailbox, r.Kind = info.Mailbox, info.Kind
			if c.id == "" { // of a pool
				r.Name, r.Path = info.Name, info.Path
			}
			r.Message = last.MessageType()
		}
	}
	r.Mailbox, r.Killed = g.Mailbox, g.KilledFor
	r.For = g.For
	if r.State == RowParked || r.State == RowStarting && g.Wait != actor.NotParked {
		r.Wait = g.Wait.String()
	} else {
		r.On = ""
	}
	if r.State == RowSleeping {
		r.Until = g.Until
	}
	if c != nil {
		r.Restarts, r.window = c.restarts, n.window
		if !c.lastAt.IsZero() {
			r.Last, r.LastAgo = c.last.Err, max(1, w.now.Sub(c.lastAt))
		}
		if n.task == nil {
			r.For = r.LastAgo
		}
		if r.State == RowRestarting && !c.until.IsZero() {
			r.Until = max(1, c.until.Sub(w.now))
		}
	}
	if o := n.over; o != nil {
		r.Mailbox, r.Message = nil, nil // the supervisor's own business
		r.Supervisor = &SupervisorRow{
			Strategy: o.strategy, Up: w.now.Sub(o.since), Children: len(o.children),
			Restarts: o.restarts, Max: o.max, Period: o.period, Total: o.total,
		}
	}
	return r
}

// path of the i-th place, which has a tasklet.
func (w *survey) path(i int) string { return w.nodes[i].task.Path() }

// overview is a copy of what can be seen of a supervisor.
type overview struct {
	strategy string
	since    time.Time
	restarts int // in the window
	max      int
	period   time.Duration
	total    int
	children []childView
}

// childView is a copy of what can be seen of a child.
type childView struct {
	id       string // as it is in a path
	state    State
	task     *actor.Tasklet
	restarts int
	last     actor.Exit
	lastAt   time.Time
	until    time.Time
}

// overviewOf gives the overview of the supervisor that t is, nil if it is none.
func overviewOf(t *actor.Tasklet) *overview {
	if s := handleOf(t); s != nil {
		return s.overview(t.System().Now())
	}
	return nil
}

// overview gives what can be seen of s, from any goroutine; nil if it is not at work.
func (s *Supervisor) overview(now time.Time) *overview {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.view.core
	if c == nil {
		return nil
	}
	o := &overview{
		strategy: s.spec.Strategy.String(),
		since:    s.view.since,
		restarts: c.window.count(now),
		max:      c.window.intensity,
		period:   c.window.period,
		total:    c.restarts,
	}
	if s.pool != nil {
		o.strategy = ""
	}
	o.children = make([]childView, 0, c.n)
	for ch := c.first; ch != nil; ch = ch.next {
		o.children = append(o.children, childView{
			text.Line(c.name(ch)), ch.state, ch.task, ch.restarts, ch.last, ch.lastAt, ch.until,
		})
	}
	return o
}
