package tree

import (
	"math"
	"slices"
	"time"

	"github.com/gotasklet/tasklet/actor"
)

// survey is one walk over a tree: of each place so much as is needed to decide whether it is shown.
type survey struct {
	now     time.Time
	nodes   []node // in pre-order
	stalled int
	live    int // tasklets
	total   int // restarts since the start of each supervisor
	dropped uint64
	// faults are the indexes of supervisors that have failed to describe their children, and how.
	faults map[int]string
	waited time.Duration // for supervisors that did not answer at once
}

// node is a place in the tree.
type node struct {
	task      *actor.Tasklet // nil for a child without one
	child     *Child         // what its supervisor knows of it; nil if it has none
	over      *overview      // of a supervisor
	window    time.Duration  // the period of its supervisor
	parent    int32          // its index; -1 at the top
	depth     int32
	rank      int32 // among its siblings
	children  int32
	state     State
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
	flagFault
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
		w.nodes = append(w.nodes, node{parent: -1, rank: 1, children: int32(len(ds)), state: Idle, collected: true})
		for i, d := range ds {
			w.add(d, nil, nil, top, 1, i)
		}
	}
	return w
}

// add adds t, which child describes if a supervisor knows it, and what is below.
func (w *survey) add(t *actor.Tasklet, child *Child, in *overview, parent, depth, rank int) {
	n := node{task: t, child: child, parent: int32(parent), depth: int32(depth), rank: int32(rank)}
	me := len(w.nodes)
	w.nodes = append(w.nodes, n)
	var below []place
	if t != nil {
		w.live++
		var fault string
		tasks := t.Children()
		n.over, fault = w.ask(t, len(tasks))
		if n.over != nil {
			below = n.over.places(tasks)
			fault = n.over.fault
		} else {
			below = make([]place, len(tasks))
			for i, c := range tasks {
				below[i].task = c
			}
		}
		if fault != "" {
			if w.faults == nil {
				w.faults = make(map[int]string)
			}
			w.faults[me] = fault
			n.flags |= flagFault
		}
	}
	n.children = int32(len(below))
	w.nodes = slices.Grow(w.nodes, len(below))
	if in != nil {
		n.window = in.Period
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
	child *Child
}

// places returns the places below a supervisor whose children in the tree are tasks, in the order
// of the children as it has described them. A child without a tasklet gets the one of its name that
// is in the tree and no other child's: it is being started.
func (o *overview) places(tasks []*actor.Tasklet) []place {
	others := o.others(tasks)
	ps := make([]place, 0, len(o.children)+len(others))
	for i := range o.children {
		c := &o.children[i]
		p := place{c.Tasklet, c}
		for j, other := range others {
			if p.task == nil && c.ID != "" && other.Name() == c.ID {
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

// others returns those of tasks that are no child's and have not ended: they are just being started
// or stopped. A tasklet that was given as that of two children is the first one's.
func (o *overview) others(tasks []*actor.Tasklet) (others []*actor.Tasklet) {
	inOrder, with := 0, 0
	for i := range o.children {
		if c := o.children[i].Tasklet; c != nil {
			with++
			if inOrder < len(tasks) && tasks[inOrder] == c {
				inOrder++
			}
		}
	}
	if inOrder == len(tasks) && with == inOrder { // the usual case
		return nil
	}
	known := make(map[*actor.Tasklet]bool, with)
	for i := range o.children {
		c := &o.children[i]
		if known[c.Tasklet] {
			c.Tasklet, o.fault = nil, "gave a tasklet twice"
		}
		if c.Tasklet != nil {
			known[c.Tasklet] = true
		}
	}
	for _, c := range tasks {
		if !known[c] && !c.HasFinished() {
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
	} else if last := n.child.Last.Tasklet; last != nil {
		g.Mailbox = last.Glance().Mailbox // held for the next one
	}
	n.state = stateOf(n, g)
	c := n.child
	recently := false
	if c != nil && !c.LastAt.IsZero() {
		recently = w.now.Sub(c.LastAt) <= max(restartedFor, n.window)
	}
	if recently && c.Restarts > 0 && n.state != Restarting {
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
	if n.state == Stalled {
		w.stalled++
	}
	if n.over != nil {
		w.total += min(n.over.Total, math.MaxInt-w.total)
	}
	n.noise = noiseOf(n, g, recently)
}

// stateOf gives the state in one word.
func stateOf(n *node, g actor.Glance) State {
	c := n.child
	if n.task == nil {
		if c.Restarting {
			return Restarting
		}
		return Stopped
	}
	if g.Stalled {
		return Stalled
	}
	switch g.State {
	case "finished":
		return Finished
	case "stopping":
		return Stopping
	}
	if c != nil && c.Tasklet == nil {
		return Starting
	}
	switch g.State {
	case "running":
		return Running
	case "ready":
		return Ready
	case "parked":
		switch g.Wait {
		case actor.InSleep:
			return Sleeping
		case actor.InReceive:
			return Idle
		case actor.InYield, actor.NotParked:
			return Ready
		}
		return Parked
	}
	if g.Until > 0 && g.Mailbox == nil {
		return Sleeping
	}
	return Idle
}

// noiseOf says how much a reader wants to see n: the higher the more; 0 for what is as it should
// be.
func noiseOf(n *node, g actor.Glance, recently bool) uint8 {
	switch {
	case n.state == Stalled:
		return 100
	case n.state == Restarting:
		return 90
	case n.flags&flagFull != 0:
		return 80
	case n.state == Starting && g.Wait != actor.NotParked && g.For >= longWait,
		(n.state == Stopping || g.Killed) && g.KilledFor >= longWait:
		return 75
	case n.flags&flagRestarted != 0:
		return 70
	case n.flags&flagFault != 0:
		return 65
	case n.flags&flagDropping != 0:
		return 60
	case n.state == Stopped && recently && n.child.Last.Kind.Failure():
		return 50
	case n.flags&flagKilled != 0 && g.KilledFor < restartedFor:
		return 45
	case n.state == Parked && g.For >= longWait:
		switch g.Wait {
		case actor.InSend, actor.InCall, actor.InMutex, actor.InStop:
			return 40
		}
		return 20 // may be as it should be: a main that joins its children
	}
	return 0
}
