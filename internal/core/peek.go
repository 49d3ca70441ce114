package core

// Peek reads a word that its owner writes without synchronization, from any goroutine. It is for
// counters that are shown in a log or returned by Len. For their writer an atomic store, which is a
// locked instruction of 7 ns, twice a message, would be too expensive.
//
// The Go memory model defines such a read: for a location no larger than a machine word it observes
// some value that was written there, possibly not the latest. It cannot be torn. The race detector
// cannot know that the read is intended, hence the directive. Peek must never be used to decide
// anything.
//
//go:norace
//go:noinline
func Peek[T uint | uint8 | uint32 | int64 | uint64 | Kind | State | *Resource | *Task](p *T) T {
	return *p
}

// View is the part of a task that any goroutine can see. Each field is read by itself, and not all
// of them at one moment.
type View struct {
	State State
	Kind  Kind
	On    *Task // the holder of the resource that it waits on, if it is parked
	Since int64 // ns on the clock: when it became idle or parked
	Until int64 // ns on the clock: when its timer wakes it or ends its wait; 0 if no timer runs
}

// Glance returns a View of t without stopping t. It may be called from any goroutine; see [Peek].
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
