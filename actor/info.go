package actor

import (
	"reflect"
	"time"

	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// Info is what a tree shows of a tasklet.
type Info struct {
	Name    string
	Path    string
	Kind    string         // receiver, interval, task ...; or the label "kind"
	State   string         // new, idle, ready, running, parked, stopping, finished
	Wait    scheduler.Kind // in which call it is parked
	On      string         // for whom, if that is a tasklet
	For     time.Duration  // how long it is idle or parked
	Killed  bool           // a kill was asked for and has not ended it yet
	Mailbox *mailbox.Stats // nil if it has none
	Labels  map[string]string
}

// Info tells what t does. On t's scheduler it is exact; from another goroutine it is what could be seen without stopping t, and
// may be a little old.
func (t *Tasklet) Info() Info {
	i := Info{Name: t.Name(), Path: t.Path(), Kind: t.kindName()}
	g := t.task.Glance()
	switch {
	case t.HasFinished():
		i.State = "finished"
	case t.marks.Load()&markOver != 0:
		i.State = "stopping"
	default:
		i.State = g.State.String()
	}
	if g.State == scheduler.Parked {
		i.Wait = g.Kind
	}
	if g.On != nil {
		i.On = taskletOf(g.On).Path()
	}
	i.For = max(0, time.Duration(t.task.Scheduler().Nanotime()-g.Since))
	pending, _ := t.task.Killed()
	i.Killed = pending
	if l := t.inst.line(); l != nil {
		st := l.stats()
		i.Mailbox = &st
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

// SetLabel puts a label on t, which is shown in trees; an empty value takes it off. The label "kind" replaces the body's kind.
func (t *Tasklet) SetLabel(key, value string) {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.labels {
		if x.labels[i].key == key {
			if value == "" {
				x.labels = append(x.labels[:i:i], x.labels[i+1:]...)
			} else {
				x.labels[i].value = value
			}
			return
		}
	}
	if value != "" {
		x.labels = append(x.labels, label{key, value})
	}
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

// MessageType is the type of the messages that t takes; nil if it takes none.
func (t *Tasklet) MessageType() reflect.Type { return messageType(t.inst) }
