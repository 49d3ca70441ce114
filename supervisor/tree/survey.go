package tree

import (
	"math"
	"slices"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// survey is one walk over a tree, with the facts about each place that are needed to decide whether
// it is shown.
type survey struct {
	now     time.Time
	sys     *actor.System
	above   string // the path of the place above the top; "" if there is none or it is not known
	nodes   []node // in pre-order
	stalled int
	live    int // the number of tasklets
	total   int // the restarts since the start of each supervisor
	dropped uint64
	// faults maps the indexes of supervisors that have failed to describe their children to the
	// failures.
	faults map[int]string
	waits  []wait        // the tasklets that wait for another one, in pre-order
	waited time.Duration // the time spent on supervisors that did not answer in time
	rates  *comparison   // nil if there is nothing to compare with
}

// node is a place in the tree.
type node struct {
	task      *actor.Tasklet // nil for a child without one
	child     *kid           // what is known besides the tasklet, or nil
	over      *overview      // not nil for a supervisor
	window    time.Duration  // the period of its supervisor
	parent    int32          // the index of its parent; -1 at the top
	depth     int32
	rank      int32 // the number among its siblings
	children  int32
	state     State
	flags     flags
	noise     uint8 // how much attention the place needs; 0 means quiet
	scheduler uint16
	collected bool // the line "(daemons)", which is not a tasklet
}

// flags are noteworthy facts besides the state.
type flags uint8

const (
	flagFull flags = 1 << iota
	flagDropping
	flagRestarted
	flagQueued // the mailbox is not empty
	flagKilled
	flagFault
)

// restartedFor is the minimal time for which a child is shown as restarted.
const restartedFor = time.Minute

// longWait is the duration after which a wait needs attention.
const longWait = time.Second

// look walks over t and all tasklets below it. If t is the root of a system it includes the
// daemons.
// With rates they are compared with the last look.
func look(t *actor.Tasklet, rates *Rates) *survey {
	w := &survey{}
	if t == nil {
		return w
	}
	w.sys = t.System()
	w.now = w.sys.Now()
	w.rates = rates.begin(w.now)
	defer rates.end(w.rates)
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

// add adds t and what is below it. child describes t if a supervisor knows it.
func (w *survey) add(t *actor.Tasklet, child *kid, in *overview, parent, depth, rank int) {
	n := node{task: t, child: child, parent: int32(parent), depth: int32(depth), rank: int32(rank)}
	me := len(w.nodes)
	w.nodes = append(w.nodes, n)
	var below []place
	if t != nil {
		w.live++
		var fault string
		below = places(t)
		if n.over, fault = w.ask(t, len(below)); n.over != nil {
			below = n.over.join(below)
			n.over.Supervision.Children = len(below)
			fault = n.over.fault
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
	w.judge(&n, me)
	w.nodes[me] = n
	for i, b := range below {
		w.add(b.task, b.child, n.over, me, depth+1, i)
	}
}

// place is a child of a tasklet: a slot, a child that its supervisor has described, or only a
// tasklet.
type place struct {
	task  *actor.Tasklet // nil for a child without one
	child *kid           // nil if nothing is known of it
}

// kid is what is known of a child besides its tasklet.
type kid struct {
	Child
	slot     *actor.Slot // nil if it is in no slot
	starting bool        // its supervisor waits until it has started
	ended    bool        // its supervisor has not yet decided what follows its end
}

// places returns the children of t, in order of start, as the system knows them: the slots,
// including empty ones, and the tasklets that are in no slot.
func places(t *actor.Tasklet) []place {
	var ps []place
	var slots []*actor.Slot // of each place; nil if t has no slots
	n := 0
	for slot, task := range t.Places() {
		if slot != nil && n == 0 {
			slots = make([]*actor.Slot, len(ps), max(4, cap(ps)))
		}
		if slot != nil {
			n++
		}
		ps = append(ps, place{task: task})
		if n > 0 {
			slots = append(slots, slot)
		}
	}
	kids := make([]kid, 0, n)
	for i, slot := range slots {
		if slot == nil {
			continue
		}
		g := slot.Glance()
		kids = append(kids, kid{
			slot: slot, starting: g.State == "starting", ended: g.State == "ended",
			Child: Child{
				Tasklet: g.Tasklet, Restarting: g.State == "restarting", Until: g.Until,
				Restarts: g.Restarts, Last: g.Last, LastAt: g.LastAt,
			},
		})
		ps[i] = place{g.Tasklet, &kids[len(kids)-1]}
	}
	return ps
}

// join adds the supervisor's descriptions of its children to the places of ps. The supervisor's
// order counts if none of the children is in a slot. A slot needs no description. A child without a
// tasklet gets the tasklet of its name that is in no slot and belongs to no other child, because
// that one is being started.
func (o *overview) join(ps []place) []place {
	if len(o.children) == 0 {
		return ps
	}
	inOrder, with := 0, 0
	for i := range o.children {
		if c := o.children[i].Tasklet; c != nil {
			with++
			if inOrder < len(ps) && ps[inOrder].task == c && ps[inOrder].child == nil {
				inOrder++
			}
		}
	}
	joined := make([]place, 0, max(len(ps), len(o.children)))
	if inOrder == len(ps) && with == inOrder { // the usual case
		for i := range o.children {
			k := &o.children[i]
			joined = append(joined, place{k.Tasklet, k})
		}
		return joined
	}
	at := make(map[*actor.Tasklet]*kid, with)
	for i := range o.children {
		k := &o.children[i]
		if k.Tasklet != nil && at[k.Tasklet] != nil { // it belongs to the first child that has it
			k.Tasklet, o.fault = nil, "gave a tasklet twice"
		}
		if k.Tasklet != nil {
			at[k.Tasklet] = k
		}
	}
	// The tasklets that belong to no child are being started or stopped.
	var others []*actor.Tasklet
	slots := make(map[string]bool)
	for _, p := range ps {
		switch {
		case p.child != nil:
			slots[p.child.slot.Info().Name] = true
			delete(at, p.task)
			joined = append(joined, p)
		case at[p.task] == nil && !p.task.HasFinished():
			others = append(others, p.task)
		}
	}
	for i := range o.children {
		k := &o.children[i]
		p := place{k.Tasklet, k}
		if k.Tasklet != nil && at[k.Tasklet] == nil || slots[k.ID] {
			continue
		}
		for j, other := range others {
			if p.task == nil && k.ID != "" && other.Name() == k.ID {
				p.task, k.starting = other, true
				others = append(others[:j:j], others[j+1:]...)
				break
			}
		}
		joined = append(joined, p)
	}
	for _, c := range others {
		joined = append(joined, place{task: c})
	}
	return joined
}

// judge sets the state of n, the place with the index me, its flags, and its noise.
func (w *survey) judge(n *node, me int) {
	var g actor.Glance
	if n.task != nil {
		g = n.task.Glance()
		n.scheduler = uint16(g.Scheduler)
		if g.On != nil {
			w.waits = append(w.waits, wait{int32(me), g.On})
		}
	} else {
		g.Mailbox = n.child.mailbox() // the mailbox that is held for the next tasklet
	}
	n.state = stateOf(n, g)
	if w.rates != nil && n.task != nil && n.over == nil {
		w.rates.add(n.task, g)
	}
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

// stateOf returns the state of n.
func stateOf(n *node, g actor.Glance) State {
	c := n.child
	if n.task == nil {
		switch {
		case c.Restarting:
			return Restarting
		case c.starting:
			return Starting
		case c.ended:
			return Finished
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
	if c != nil && c.starting {
		return Starting
	}
	switch g.State {
	case "running":
		return Running
	case "ready":
		return Ready
	case "parked":
		switch g.Wait {
		case "sleep":
			return Sleeping
		case "receive":
			return Idle
		case "yield", "":
			return Ready
		}
		return Parked
	}
	if g.Until > 0 && g.Mailbox == nil {
		return Sleeping
	}
	return Idle
}

// noiseOf returns how much attention n needs: the more the higher, and 0 if n is as it should be.
func noiseOf(n *node, g actor.Glance, recently bool) uint8 {
	switch {
	case n.state == Stalled:
		return 100
	case n.state == Restarting:
		return 90
	case n.flags&flagFull != 0:
		return 80
	case n.state == Starting && g.Wait != "" && g.For >= longWait,
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
		case "send to", "call to", "mutex held by", "stop of":
			return 40
		}
		return 20 // may be as it should be, as for a main that joins its children
	}
	return 0
}

// mailbox returns the numbers of the mailbox of a child without a tasklet, or nil if it has no
// mailbox or none is known.
func (k *kid) mailbox() *mailbox.Stats {
	switch {
	case k.slot != nil:
		return k.slot.Info().Mailbox
	case k.Last.Tasklet != nil:
		return k.Last.Tasklet.Glance().Mailbox
	}
	return nil
}
