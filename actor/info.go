package actor

import (
	"reflect"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/mailbox"
	"go.uber.org/zap"
)

// Info is the state of a tasklet, as a tree shows it.
type Info struct {
	Glance
	Name   string
	Path   string
	Kind   string // such as receiver, interval or task; or the label "kind"
	On     string // the path of Glance.On, or ""
	Labels map[string]string
	// Message is the type of the messages that it takes; nil if it takes none.
	Message reflect.Type
}

// Glance is the part of Info that costs almost nothing, for programs that examine very many
// tasklets.
type Glance struct {
	State string // new, idle, ready, running, parked, stopping, finished
	// Wait is the call in which it is parked, as trees show it: yield, sleep, receive, send to,
	// join, call to, stop of, await, chan, mutex held by, semaphore, event, wait group or i/o. It
	// is empty if the tasklet is not parked.
	Wait string
	On   *Tasklet // the tasklet that it waits for, or nil
	// For is how long it has been idle or parked, or how long it has kept its scheduler if Stalled.
	For time.Duration
	// Until is the time until its timer wakes it or ends its wait; 0 if no timer runs.
	Until time.Duration
	// Stalled says that it has kept its scheduler for longer than Config.StallAfter.
	Stalled   bool
	Killed    bool           // it was killed, and has not ended yet
	KilledFor time.Duration  // the time since the last kill; 0 if it was never killed
	Mailbox   *mailbox.Stats // nil if it has no mailbox
	// Callers and Joiners are the numbers of ordinary goroutines that wait for it: in a Call to its
	// ref, for the answer, and in Tasklet.Join or Ref.Join, for its end. A Call or Join by a
	// tasklet is the Wait of that one.
	Callers, Joiners int
	Scheduler        int // the number of its scheduler, as for OnScheduler
}

// Info returns the state of t. On t's scheduler it is exact. When called from another goroutine it
// is obtained without stopping t, and may be a little old. It never waits, not even for a tasklet
// that keeps its scheduler.
func (t *Tasklet) Info() Info {
	i := Info{Glance: t.Glance(), Name: t.Name(), Path: t.Path(), Kind: t.kindName(), Message: messageType(t.inst)}
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
		var more func(add func(key, value string))
		if x.followers != nil {
			more = x.followers.labels
		}
		x.mu.Unlock()
		if more != nil {
			more(i.addLabel)
		}
	}
	if l, ok := inner(t.inst).(withLabels); ok {
		l.addLabels(i.addLabel)
	}
	return i
}

// addLabel adds a label, unless one with the key was set.
func (i *Info) addLabel(key, value string) {
	if _, set := i.Labels[key]; set {
		return
	}
	if i.Labels == nil {
		i.Labels = make(map[string]string)
	}
	i.Labels[key] = value
}

// Glance returns the part of Info that needs no allocation.
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
		i.Wait = g.Kind.String()
	}
	if g.On != nil {
		// g.On was made under mu. From another goroutine nothing else makes its fields visible.
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
		i.Joiners = int(x.joining.Load())
	}
	if l := t.inst.lineage(); l != nil {
		callers, joiners := l.outside()
		i.Callers, i.Joiners = callers, i.Joiners+joiners
		st := l.stats()
		i.Mailbox = &st
	}
	return i
}

// Log returns the system's logger with the ID and the path of t.
func (t *Tasklet) Log() *zap.Logger {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.logger == nil {
		x.logger = t.sys.log.With(t.fields()...)
	}
	return x.logger
}

// fields returns the fields of t.Log.
func (t *Tasklet) fields() []zap.Field {
	return []zap.Field{zap.Stringer("tasklet", t.ID()), zap.String("path", fields.Name(t.Path()))}
}
