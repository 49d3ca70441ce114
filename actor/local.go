package actor

import "context"

// A Local is a variable of which each tasklet has its own value. A tasklet that has set none sees
// its parent's. Make one with NewLocal, as a package-level variable.
type Local[T any] struct{ def func() T }

// NewLocal makes a Local. def gives the value where no tasklet up the tree has set one, and outside
// of tasklets; nil: the zero value.
func NewLocal[T any](def func() T) *Local[T] { return &Local[T]{def} }

// Get gives the value of the tasklet that ctx belongs to. Only from inside it, or outside of
// tasklets.
func (l *Local[T]) Get(ctx context.Context) T {
	for t := Current(ctx); t != nil; t = t.parent {
		if x := t.ex.Load(); x != nil {
			x.mu.Lock() // the parent may run on another scheduler
			v, ok := x.locals[l]
			x.mu.Unlock()
			if ok {
				value, _ := v.(T) // the zero value too, where it is a nil interface
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

// Set sets the value of t, until its end. Only from inside t.
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

// Clear lets t see its parent's value again. Only from inside t.
func (l *Local[T]) Clear(t *Tasklet) {
	t.mustRun("Local.Clear")
	x := t.extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.locals, l)
}
