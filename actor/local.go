package actor

import "context"

// A Local is a variable with a value for each tasklet. A tasklet that has not set a value sees that
// of its parent. Use [NewLocal] to make one, usually as a package-level variable.
type Local[T any] struct{ def func() T }

// NewLocal returns a Local. def returns the value outside of tasklets, and for a tasklet if neither
// it nor any tasklet above it has set one. If def is nil, that is the zero value.
func NewLocal[T any](def func() T) *Local[T] { return &Local[T]{def} }

// Get returns the value of the tasklet that ctx belongs to. It must be called inside that tasklet,
// or outside of tasklets.
func (l *Local[T]) Get(ctx context.Context) T {
	for t := Current(ctx); t != nil; t = t.parent {
		if x := t.ex.Load(); x != nil {
			x.mu.Lock() // the parent may run on another scheduler
			v, ok := x.locals[l]
			x.mu.Unlock()
			if ok {
				value, _ := v.(T) // the zero value too, if it is a nil interface
				return value
			}
		}
	}
	if l.def != nil {
		return l.def()
	}
	var zero T
	return zero
}

// Set sets the value of t, until its end. It must be called inside t.
func (l *Local[T]) Set(t *Tasklet, v T) {
	t.mustRun("Local.Set")
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.locals == nil {
		x.locals = make(map[any]any)
	}
	x.locals[l] = v
}

// Clear removes the value of t, so that t sees its parent's value again. It must be called inside
// t.
func (l *Local[T]) Clear(t *Tasklet) {
	t.mustRun("Local.Clear")
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.locals, l)
}
