package actor

import (
	"reflect"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/mailbox"
)

// Info is what a tree shows of a tasklet.
type Info struct {
	Glance
	Name   string
	Path   string
	Kind   string // receiver, interval, task ...; or the label "kind"
	On     string // the path of Glance.On; "" if there is none
	Labels map[string]string
}

// Glance is the part of Info that costs next to nothing, for those who look at a great many
// tasklets.
type Glance struct {
	State string    // new, idle, ready, running, parked, stopping, finished
	Wait  core.Kind // in which call it is parked
	On    *Tasklet  // for whom, if that is a tasklet
	// how long it is idle or parked; of one that keeps its scheduler for too long, how long it does
	For time.Duration
	// how long until its timer wakes it, or ends its wait; 0: no timer runs
	Until time.Duration
	// it keeps its scheduler for longer than Config.StallAfter: nothing else there can run
	Stalled   bool
	Killed    bool           // a kill was asked for and has not ended it yet
	KilledFor time.Duration  // how long ago the last kill was; 0: it was never killed
	Mailbox   *mailbox.Stats // nil if it has none
	Scheduler int            // on which it runs, as OnScheduler counts
}

// Info tells what t does. On t's scheduler it is exact; from another goroutine it is what could be
// seen without stopping t, and may be a little old. It waits for nobody: also not for a tasklet
// that keeps the scheduler.
func (t *Tasklet) Info() Info {
	i := Info{Glance: t.Glance(), Name: t.Name(), Path: t.Path(), Kind: t.kindName()}
	if i.Glance.On != nil {
		i.On = i.Glance.On.Path()
	}
	if x := t.ex.Load(); x != nil {
		x.mu.Lock()
		if len(x.labels) > 0 {
			i.Labels = make(map[string]string, len(x.labels))
			for _, l := range x.labels {
				i.Labels[l.key] = l.value
			}
		}
		x.mu.Unlock()
	}
	return i
}

// Glance is Info without what would have to be put together for it.
func (t *Tasklet) Glance() Glance {
	var i Glance
	s := t.task.Scheduler()
	i.Scheduler = hostOf(s).n
	g, now := t.task.Glance(), s.Nanotime()
	switch {
	case t.HasFinished():
		i.State = "finished"
	case t.marks.Load()&markOver != 0:
		i.State = "stopping"
	default:
		i.State = g.State.String()
	}
	if g.State == core.Parked {
		i.Wait = g.Kind
	}
	if g.On != nil {
		// under which g.On was made: from another goroutine nothing else lets its fields be seen
		t.sys.mu.Lock()
		i.On = taskletOf(g.On)
		t.sys.mu.Unlock()
	}
	i.For = max(0, time.Duration(now-g.Since))
	if g.Until != 0 {
		i.Until = max(1, time.Duration(g.Until-now))
	}
	if g.State == core.Running {
		if id, d := s.Stalled(); id == t.task.ID() && d > 0 {
			i.Stalled, i.For = true, d
		}
	}
	pending, _ := t.task.Killed()
	i.Killed = pending
	if x := t.ex.Load(); x != nil {
		if at := x.killedAt.Load(); at != 0 {
			i.KilledFor = max(1, time.Duration(now-at))
		}
	}
	if l := t.inst.line(); l != nil {
		st := l.stats()
		i.Mailbox = &st
	}
	return i
}

// SetLabel puts a label on t, which is shown in trees; an empty value takes it off. The label
// "kind" replaces the body's kind.
func (t *Tasklet) SetLabel(key, value string) {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.labels = setLabel(x.labels, key, value)
}

// label gives the value of one label.
func (t *Tasklet) label(key string) (string, bool) {
	x := t.ex.Load()
	if x == nil {
		return "", false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.labels {
		if l.key == key {
			return l.value, true
		}
	}
	return "", false
}

// InHand is, for a tasklet that failed or was killed while it handled a message, the type of that
// message, of the value if messages are of an interface type; else nil. On t's scheduler, when it
// has ended.
func (t *Tasklet) InHand() reflect.Type {
	if t.marks.Load()&markInHand == 0 {
		return nil
	}
	return typeInHand(t.inst)
}

// MessageType is the type of the messages that t takes; nil if it takes none.
func (t *Tasklet) MessageType() reflect.Type { return messageType(t.inst) }

// Kinds of wait, as in Info.Wait: scheduler.Kind, for those who build on this package only.
const (
	NotParked = core.NotParked
	InYield   = core.InYield
	InSleep   = core.InSleep
	InReceive = core.InReceive
	InSend    = core.InSend
	InJoin    = core.InJoin
	InCall    = core.InCall
	InStop    = core.InStop
	InAwait   = core.InAwait
	InMutex   = core.InMutex
)
