package actor

import (
	"slices"

	"github.com/gotasklet/tasklet/internal/guard"
)

// This file is the seam for packages that hang things onto refs and systems: names, groups, views.

// OnEnd calls f when the line of r's tasklets has ended permanently: in the step in which an
// unsupervised tasklet finishes, before it counts as finished, or when a supervisor retires the
// ref. If the line has ended already, f is called at once, on the caller's goroutine; otherwise it
// is called while the scheduler waits for it. f must not block. A panic of f, or a runtime.Goexit,
// is reported as a failure and has no other effect. cancel removes f. OnEnd may be called from any
// goroutine.
func (r Ref[M]) OnEnd(f func()) (cancel func()) {
	mustFunc("OnEnd", f != nil)
	x := r.must("OnEnd").extra()
	x.mu.Lock()
	if r.l.over.Load() != lineLives {
		x.mu.Unlock()
		f()
		return func() {}
	}
	h := &entry[func()]{v: f}
	x.onEnd.add(h)
	x.mu.Unlock()
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.onEnd.remove(h)
	}
}

// ended calls the hooks of OnEnd, once, and then tells those in Ref.Join and who watch: they find
// the names free.
func (l *line[M]) ended() {
	if !l.over.CompareAndSwap(lineLives, lineEnds) {
		return
	}
	if x := l.more.Load(); x != nil { // who allocates it from now on sees over
		x.mu.Lock()
		hooks := x.onEnd.take()
		x.mu.Unlock()
		for f := range hooks {
			if fault := guard.Call(f); fault != nil {
				l.hookFailed(fault)
			}
		}
	}
	l.over.Store(lineOver)
	l.tellStopped()
}

// hookFailed reports a function of OnEnd that failed: nobody else is to be hurt by it.
func (l *line[M]) hookFailed(fault *guard.Fault) {
	t := l.last()
	var sys *System
	if t != nil {
		sys = t.sys
	} else if x := l.more.Load(); x != nil {
		sys = x.sys.Load()
	}
	if sys == nil {
		return // no system has used the ref yet: there is no log either
	}
	e := failureEvent(t, fault, l.message())
	if t == nil {
		e.Path = l.name()
	}
	sys.emit(e)
}

// SetLabel puts a label on the tasklets of r, the current one and those to come; see
// Tasklet.SetLabel. An empty value takes it off. From any goroutine.
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

// setLabel returns labels with one changed. An empty value removes it.
func setLabel(labels []label, key, value string) []label {
	i := slices.IndexFunc(labels, func(l label) bool { return l.key == key })
	switch {
	case i < 0 && value == "":
		return labels
	case i < 0:
		return append(labels, label{key, value})
	case value == "":
		return slices.Delete(labels, i, i+1)
	}
	labels[i].value = value
	return labels
}

// attach returns the value that is attached to s under key. If there is none, it attaches the value
// that create returns, which must not use s. It may be called from any goroutine.
func (s *System) attach(key any, create func() any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.attached[key]
	if !ok {
		if s.attached == nil {
			s.attached = make(map[any]any)
		}
		v = create()
		s.attached[key] = v
	}
	return v
}
