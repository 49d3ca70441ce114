package actor

import "github.com/gotasklet/tasklet/actor/event"

// An Extension is for packages that add something to systems, such as a registry of names. It keeps
// one value of type S for each system, has kinds of events, and takes part in [System.Check]. Make
// it with [NewExtension], as a variable of the package.
type Extension[S any] struct {
	create func(*System) S
}

// NewExtension returns an extension that keeps for each system what create returns. create is
// called when the value is first asked for. It may keep the system, but must not call its methods.
func NewExtension[S any](create func(*System) S) *Extension[S] {
	mustFunc("NewExtension", create != nil)
	return &Extension[S]{create}
}

// Of returns the value for s. It may be called from any goroutine.
func (x *Extension[S]) Of(s *System) S {
	return s.attach(x, func() any { return x.create(s) }).(S)
}

// Check adds f to the checks of [System.Check] in every system. f must neither change anything nor
// block. Check must be called from init, before systems start.
func (x *Extension[S]) Check(f func(*System, S) error) {
	mustFunc("Extension.Check", f != nil)
	extraChecks = append(extraChecks, func(s *System) error { return f(s, x.Of(s)) })
}

// Wants reports whether the log or OnEvent of s takes events of kind k. If not, a program can avoid
// the cost of making one, and calls Skip instead. Wants may be called from any goroutine.
func (x *Extension[S]) Wants(s *System, k event.Kind) bool { return s.wants(k) }

// Skip counts an event of kind k that was not made because Wants has returned false, so that
// package actor/stats knows of it. It may be called from any goroutine.
func (x *Extension[S]) Skip(s *System, k event.Kind) { s.counts.events[k].Add(1) }

// Emit gives e its place in the order of events, like System.Emit, but never waits, so that the
// caller may hold a lock that OnEvent needs. The caller must call tell after it has released the
// lock. tell delivers the event, and waits for that as System.Emit does. Emit may be called from
// any goroutine.
func (x *Extension[S]) Emit(s *System, e EventRecord) (tell func()) {
	s.emitLater(e)
	return s.emitNow
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
