package supervisor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// A Supervisor is the handle of a running supervisor. Use [Start] or [Of] to get one. Its methods
// may be called from any goroutine; their context identifies the caller, as in actor.Call, and a
// calling tasklet parks. A supervisor does one thing after the other, so calls wait while it starts
// a child with an init, or stops one. If the supervisor has ended, they return a *actor.JoinError
// or mailbox.ErrClosed.
type Supervisor struct {
	// Set when it is made, then read-only.
	spec Spec
	ref  actor.Ref[request]
	pool *poolRules // nil if it is not a pool

	task atomic.Pointer[actor.Tasklet] // atomic: written at each start, read by any goroutine

	// mu protects what the tree in the log reads from any goroutine. The supervisor's tasklet
	// writes it.
	mu   sync.Mutex
	view view
}

// view is the part of a supervisor that any goroutine may read.
type view struct {
	// core is nil before the start and after the end. Other goroutines may read only its fields
	// that mu protects, as their comments say.
	core *core
}

// State is the state of a child, as its supervisor sees it.
type State uint8

const (
	Running State = iota
	Restarting
	Stopped // its specification is kept
)

// String returns the state in one word.
func (s State) String() string { return [...]string{"running", "restarting", "stopped"}[s] }

// ChildInfo describes a child in the result of Children.
type ChildInfo struct {
	ID      string
	State   State
	Tasklet *actor.Tasklet // nil unless the child is running
	Restart Restart
}

// handles maps the tasklets of a system's supervisors to their handles: *actor.Tasklet to
// *Supervisor. It is attached to the system, so that it disappears with it, whatever happens to the
// tasklets.
type handles struct{ sync.Map }

// extension keeps the handles of each system.
var extension = actor.NewExtension(func(*actor.System) *handles { return new(handles) })

func handlesOf(s *actor.System) *handles { return extension.Of(s) }

// Of returns the handle of the supervisor whose tasklet is t. It returns nil if t is not a
// supervisor, or has finished.
func Of(t *actor.Tasklet) *Supervisor {
	if s := handleOf(t); s != nil && s.pool == nil {
		return s
	}
	return nil
}

// handleOf is like Of, for supervisors and pools.
func handleOf(t *actor.Tasklet) *Supervisor {
	if t == nil {
		return nil
	}
	s, _ := handlesOf(t.System()).Load(t)
	if s == nil {
		return nil
	}
	return s.(*Supervisor)
}

// Start starts a supervisor under p, and its children one after the other. It returns when the last
// child has started. If a start fails, the children that were started are stopped in reverse order,
// and Start returns a *StartError. It returns a *SpecError if spec is invalid. Inside a tasklet, p
// must be that tasklet, which parks; an ordinary goroutine passes a *actor.System.
func Start(p actor.Spawner, spec Spec) (*Supervisor, error) {
	checked, err := spec.checked()
	if err != nil {
		return nil, err
	}
	s := newSupervisor(checked)
	if err := s.start(p, s.body()); err != nil {
		return nil, err
	}
	return s, nil
}

// start starts s as b under p and waits for its init.
func (s *Supervisor) start(p actor.Spawner, b actor.Body) error {
	var ctx context.Context = context.Background()
	if t, ok := p.(*actor.Tasklet); ok {
		ctx = t
	}
	return actor.StartTasklet(p, b).Started(ctx)
}

// Body returns a supervisor as a body, for a child of another supervisor. It panics with a
// *SpecError if spec is invalid.
func Body(spec Spec) actor.Body {
	checked, err := spec.checked()
	if err != nil {
		panic(err)
	}
	return newSupervisor(checked).body()
}

func newSupervisor(spec Spec) *Supervisor {
	// The mailbox is unbounded because the end of a child cannot wait for room. Each child has one
	// end, and each caller waits for its answer, so the queue is bounded by the number of children
	// and callers.
	opts := []actor.Option{actor.Overflow(mailbox.Unbounded)}
	if spec.Name != "" {
		opts = append(opts, actor.Name(spec.Name))
	}
	return &Supervisor{spec: spec, ref: actor.NewRef[request](opts...)}
}

// body returns the body of the tasklet. Its init starts the children, and then it handles one
// request after the other.
func (s *Supervisor) body() actor.Body {
	bodies := make([]actor.Body, len(s.spec.Children))
	for i, c := range s.spec.Children {
		bodies[i] = c.Body
	}
	return actor.Supervise(s.ref, actor.Family{Kind: "supervisor", Bodies: bodies, Drain: s.drain}, s.init)
}

func (s *Supervisor) init(t *actor.Tasklet) (func(*actor.Tasklet, request) error, error) {
	c := &core{
		s: s, t: t,
		byID:   make(map[string]*child, len(s.spec.Children)),
		window: window{intensity: s.spec.Intensity, period: s.spec.Period},
	}
	s.task.Store(t)
	s.mu.Lock()
	s.view.core = c
	s.mu.Unlock()
	handlesOf(t.System()).Store(t, s)
	if s.pool != nil {
		c.byTask = make(map[*actor.Tasklet]*child)
	} else {
		t.SetLabel("strategy", s.spec.Strategy.String())
	}
	t.Defer(c.ended)
	tree.Register(t, describer{c: c})
	for _, spec := range s.spec.Children {
		ch, err := c.add(spec)
		switch {
		case errors.Is(err, actor.ErrRefDead):
			// It was deleted, or is temporary and has ended, in an earlier incarnation of the
			// supervisor.
			continue
		case err != nil:
			return nil, &StartError{spec.ID, err}
		}
		if _, err := c.start(ch); err != nil {
			// The children that were started are stopped as the supervisor ends.
			return nil, &StartError{spec.ID, err}
		}
		c.unwanted(ch)
	}
	if s.spec.LogEvery > 0 {
		c.logEvery(s.spec.LogEvery)
	}
	return func(_ *actor.Tasklet, r request) error { return c.handle(r) }, nil
}

// Tasklet returns the tasklet of the supervisor: the newest, if the supervisor was restarted.
func (s *Supervisor) Tasklet() *actor.Tasklet { return s.task.Load() }

// StartChild adds a child, starts it, and returns its tasklet when it has started. It returns a
// *SpecError if c is invalid, ErrAlreadyStarted or ErrAlreadyPresent if there is a child with this
// ID, and a *StartError if the child fails to start, which is then not kept. If ctx ends first,
// StartChild returns its error, and the start continues. If the child's init returns actor.ErrStop,
// the child is kept, but does not run, and the tasklet is nil.
func (s *Supervisor) StartChild(ctx context.Context, c Child) (*actor.Tasklet, error) {
	if err := c.check(s.spec.AutoShutdown); err != nil {
		return nil, err
	}
	return actor.Call(ctx, s.ref, func(r actor.Reply[*actor.Tasklet]) request { return startRequest{child: c, reply: r} })
}

// StopChild stops a child, and returns when it has finished. It is OTP's terminate_child. The
// specification is kept, unless the child is Temporary. A restart that waits for its backoff is
// cancelled. StopChild returns ErrNotFound if there is no such child.
func (s *Supervisor) StopChild(ctx context.Context, id string) error {
	_, err := actor.Call(ctx, s.ref, func(r actor.Reply[struct{}]) request { return stopRequest{id: id, reply: r} })
	return err
}

// RestartChild starts a child that is stopped, and returns its tasklet. It returns ErrNotFound,
// ErrRunning or ErrRestarting if there is no such child, or it is in another state, and a
// *StartError if it fails to start.
func (s *Supervisor) RestartChild(ctx context.Context, id string) (*actor.Tasklet, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[*actor.Tasklet]) request { return restartRequest{id: id, reply: r} })
}

// DeleteChild removes a child that is stopped; its ref ends permanently. It returns ErrNotFound,
// ErrRunning or ErrRestarting if there is no such child, or it is in another state.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	_, err := actor.Call(ctx, s.ref, func(r actor.Reply[struct{}]) request { return deleteRequest{id: id, reply: r} })
	return err
}

// Children returns the children in order of start. It is OTP's which_children.
func (s *Supervisor) Children(ctx context.Context) ([]ChildInfo, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[[]ChildInfo]) request { return childrenRequest{reply: r} })
}

// Count returns how many children are in each state; a state that none is in is not in the map. It
// is OTP's count_children.
func (s *Supervisor) Count(ctx context.Context) (map[State]int, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[map[State]int]) request { return countRequest{reply: r} })
}

// Drain ends the supervisor when its children have done their work, and waits for that. See
// actor.Tasklet.Drain for the meaning for each kind of child, and for the errors of Drain. The
// children are drained one after the other, the newest first. A child that fails and still has
// messages is restarted as usual, with those children of its group that are not drained yet. No
// other child is restarted. During the drain, calls that would start a child return
// mailbox.ErrClosed. The supervisor ends with actor.ErrShutdown.
//
// Drain applies to the present tasklet of the supervisor. A supervisor above it treats its end like
// any other, and may start it again; while it waits for a restart, Drain returns nil. Drain panics
// if the supervisor, or the pool, was never started.
func (s *Supervisor) Drain(ctx context.Context) error {
	t := s.Tasklet()
	if t == nil {
		panic("supervisor: Drain of a pool that was not started")
	}
	return t.Drain(ctx)
}
