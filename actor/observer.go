package actor

import "slices"

// observer is a function of package supervisor/inspector.
type observer struct{ f func(record any, level int8) }

// tellObservers is a separate function so that e is on the heap only if there are observers.
//
//go:noinline
func tellObservers(all []*observer, e EventRecord) {
	level := int8(e.level())
	for _, o := range all {
		o.f(&e, level)
	}
}

// observe calls f with each event from now on; see vitals.Observe.
func (v *events) observe(f func(record any, level int8)) (cancel func()) {
	o := &observer{f}
	v.setObservers(func(all []*observer) []*observer { return append(all, o) })
	return func() {
		v.setObservers(func(all []*observer) []*observer {
			return slices.DeleteFunc(all, func(other *observer) bool { return other == o })
		})
	}
}

func (v *events) setObservers(change func([]*observer) []*observer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []*observer
	if p := v.observers.Load(); p != nil {
		all = slices.Clone(*p)
	}
	if all = change(all); len(all) == 0 {
		v.observers.Store(nil)
	} else {
		v.observers.Store(&all)
	}
}
