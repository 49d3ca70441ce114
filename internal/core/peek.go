package core

// Peek reads a word that its owner writes without synchronization, from any goroutine: for counters
// shown in a log or asked for by Len, on whose writer an atomic store (a locked instruction, 7 ns,
// twice a message) would be too dear.
//
// The Go memory model gives such a read a meaning: for a location no larger than a machine word it
// observes some value that was written there, perhaps not the latest; it can't be torn. The race
// detector can't know that it is meant, hence the directive. Never to be used to decide anything.
//
//go:norace
//go:noinline
func Peek[T uint | uint8 | uint32 | int64 | uint64 | Kind | State | *Resource | *Task](p *T) T {
	return *p
}

// View is what can be seen of a task from any goroutine; each field by itself, not all at one
// moment.
type View struct {
	State State
	Kind  Kind
	On    *Task // the holder of what it waits on, if it is parked
	Since int64 // ns on the clock: since when it is idle or parked
	Until int64 // ns on the clock: when its timer wakes it, or ends its wait; 0: no timer runs
}

// Glance looks at t without stopping it, from any goroutine; see [Peek].
func (t *Task) Glance() View {
	v := View{State: Peek(&t.state), Kind: Peek(&t.kind), Since: Peek(&t.since)}
	if on := Peek(&t.waitsOn); on != nil && v.State == Parked {
		v.On = Peek(&on.Holder)
	}
	if when := Peek(&t.timer.V.when); when != 0 {
		v.Until = t.s.origin + when*tickNS
	}
	return v
}
