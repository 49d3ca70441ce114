package actor

import "github.com/gotasklet/tasklet/internal/list"

// This file lets other packages attach things to refs: functions that are called at their end, and
// labels.

// OnEnd calls f when the lineage of r's tasklets has ended permanently: in the step in which an
// unsupervised tasklet finishes, before it counts as finished, or when a supervisor retires the
// ref. If the lineage has ended already, f is called at once, on the caller's goroutine; otherwise
// it is called while the scheduler waits for it. f must not block. A panic of f, or a
// runtime.Goexit, is reported as a failure and has no other effect. cancel removes f. OnEnd may be
// called from any goroutine.
func (r Ref[M]) OnEnd(f func()) (cancel func()) {
	mustFunc("OnEnd", f != nil)
	x := r.must("OnEnd").extra()
	x.mu.Lock()
	if r.l.over.Load() != lineageLives {
		x.mu.Unlock()
		f()
		return func() {}
	}
	h := &list.Entry[func()]{V: f}
	x.onEnd.Add(h)
	x.mu.Unlock()
	r.l.rouse(x)
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.onEnd.Remove(h)
	}
}

// SetLabel puts a label on the tasklets of r, the current one and those to come; see
// Tasklet.SetLabel. An empty value removes the label. SetLabel may be called from any goroutine.
func (r Ref[M]) SetLabel(key, value string) {
	l := r.must("SetLabel")
	x := l.extra()
	x.mu.Lock()
	x.labels = setLabel(x.labels, key, value)
	x.mu.Unlock()
	if t := l.current(); t != nil {
		t.SetLabel(key, value)
	}
}
