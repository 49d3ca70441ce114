package actor

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// WaitDead is what Ref.Join does when it has found no tasklet that it could join.
func WaitDead[M any](r Ref[M], ctx context.Context) error {
	return r.l.waitStopped(ctx, r.l.extra().stops)
}

// Finished reports whether r is dead and its last tasklet has finished.
func Finished[M any](r Ref[M]) bool {
	t := r.l.last()
	return r.l.isDead() && (t == nil || t.HasFinished())
}

// Owned is how many timers, watches and pipes t has.
func Owned(t *Tasklet) (n int) { return t.extra().owned.Len() }

// Watchers is how many watches and links t knows of.
func Watchers(t *Tasklet) int {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.followed().watchers.Len()
}

// IsLinked reports whether t is among its parent's children.
func IsLinked(t *Tasklet) bool {
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	return t.linked
}

// Bells is how many wait on other schedulers for the end of t.
func Bells(t *Tasklet) int {
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.followed().bells.Len()
}

// WrongMarks says which rule the marks of t break; "" for none.
func WrongMarks(t *Tasklet) string {
	marks := t.marks.Load()
	if r := wrongMark(marks); r != nil {
		return r.name + " with " + markNames(marks)
	}
	return ""
}

// StopChild is what Slot.Stop does to the tasklet in the slot, for any child and any time.
func StopChild(ctx context.Context, c *Tasklet, d time.Duration) error {
	by, limit := core.Caller(ctx, "StopChild")
	if d == 0 {
		d = c.shutdown()
	}
	return c.stopBy(by, limit, d)
}

// EachChild is the walk below Children and Places.
func EachChild(t *Tasklet, visit func(s *Slot, c *Tasklet)) { t.eachChild(visit) }

// Walks is the number of walks over children that are under way.
func Walks(s *System) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := s.walks; w != nil; w = w.other {
		n++
	}
	return n
}

// IsDraining reports whether t was asked to drain.
func IsDraining(t *Tasklet) bool { return t.drained() }

// Pooled is the name of a tasklet in its profiler labels.
func Pooled(name string) string { return pooled(name) }

// The bounds of profiler labels.
const (
	MaxLabelNames = maxLabelNames
	MaxLabelSets  = maxLabelSets
	MaxLabelPath  = maxLabelPath
)

// AgeCalls makes the calls of the log and of OnEvent that are under way look as if they had begun d
// earlier, as after a stop of the whole process.
func AgeCalls(s *System, d time.Duration) {
	v := &s.events
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wait.begin = v.wait.begin.Add(-d)
	if v.teller != nil {
		v.teller.call.begin = v.teller.call.begin.Add(-d)
	}
}
