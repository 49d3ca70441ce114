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

// A Supervisor is the handle of a running supervisor. Its methods may be called from any goroutine;
// their context says who calls, as in actor.Call. A supervisor does one thing after the other:
// while it starts a child with an init, or stops one, calls wait. On a supervisor that has ended
// they return a *actor.JoinError or mailbox.ErrClosed.
type Supervisor struct {
	// Set when it is made, then read-only.
	spec Spec
	ref  actor.Ref[request]
	pool *poolRules // nil if it is none

	task atomic.Pointer[actor.Tasklet] // set at each start, read by everybody

	// mu protects what the tree in the log reads from any goroutine; the supervisor's tasklet
	// writes it.
	mu   sync.Mutex
	view view
}

// view is what can be seen of a supervisor from any goroutine.
type view struct {
	// nil before the start and after the end; of it, what its comments say that mu protects
	core *core
}

// State is what a child is doing, to its supervisor.
type State uint8

const (
	Running State = iota
	Restarting
	Stopped // its specification is kept
)

// String gives the state in one word.
func (s State) String() string { return [...]string{"running", "restarting", "stopped"}[s] }

// ChildInfo is a row of Children.
type ChildInfo struct {
	ID      string
	State   State
	Tasklet *actor.Tasklet // nil unless it is running
	Restart Restart
}

// handles finds the handles of a system's supervisors by their tasklets: *actor.Tasklet ->
// *Supervisor. It is attached to the system, so that it goes with it, whatever becomes of the
// tasklets.
type handles struct{ sync.Map }

type handlesKey struct{}

func handlesOf(s *actor.System) *handles {
	return s.Attach(handlesKey{}, func() any { return new(handles) }).(*handles)
}

// Of gives the handle of the supervisor that t is; nil if it is none, or has finished.
func Of(t *actor.Tasklet) *Supervisor {
	if s := handleOf(t); s != nil && s.pool == nil {
		return s
	}
	return nil
}

// handleOf is Of for pools too.
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
// child has started; a failing start undoes what was done before, in reverse order, and is returned
// as a *StartError. A *SpecError says what is wrong with spec. From inside a tasklet, p is that
// tasklet; from an ordinary goroutine p is a *actor.System.
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
	_, err := actor.StartChild(ctx, p, b)
	return err
}

// Body is a supervisor as a body: a child of another supervisor like any other. It panics with the
// *SpecError if spec is wrong.
func Body(spec Spec) actor.Body {
	checked, err := spec.checked()
	if err != nil {
		panic(err)
	}
	return newSupervisor(checked).body()
}

func newSupervisor(spec Spec) *Supervisor {
	// Unbounded, because the end of a child can't wait for room. Each child has one end, and each
	// caller waits for its answer, so what is queued is bounded by the number of children and
	// callers.
	opts := []actor.Option{actor.Overflow(mailbox.Unbounded)}
	if spec.Name != "" {
		opts = append(opts, actor.Name(spec.Name))
	}
	return &Supervisor{spec: spec, ref: actor.NewRef[request](opts...)}
}

// body is the tasklet's: init starts the children, and then requests are handled one after the
// other.
func (s *Supervisor) body() actor.Body {
	bodies := make([]actor.Body, len(s.spec.Children))
	for i, c := range s.spec.Children {
		bodies[i] = c.Body
	}
	return actor.Supervise(s.ref, actor.Family{Kind: "supervisor", Bodies: bodies}, s.init)
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
			// deleted, or temporary and ended, under an earlier incarnation of the supervisor
			continue
		case err != nil:
			return nil, &StartError{spec.ID, err}
		}
		if _, err := c.start(ch); err != nil {
			// those that were started are stopped as the children of one that ends
			return nil, &StartError{spec.ID, err}
		}
		c.unwanted(ch)
	}
	if s.spec.LogEvery > 0 {
		c.logEvery(s.spec.LogEvery)
	}
	return func(_ *actor.Tasklet, r request) error { return r.do(c) }, nil
}

// Tasklet is that of the supervisor; the newest, if it was restarted.
func (s *Supervisor) Tasklet() *actor.Tasklet { return s.task.Load() }

// StartChild adds a child and starts it. It returns when the child has started. Errors: *SpecError;
// ErrAlreadyStarted or ErrAlreadyPresent if there is a child with this ID; *StartError, and the
// child is not kept. If ctx ends first, the start goes on. A child whose init returned
// actor.ErrStop is kept, but not running: the tasklet is nil.
func (s *Supervisor) StartChild(ctx context.Context, c Child) (*actor.Tasklet, error) {
	if err := c.check(s.spec.AutoShutdown); err != nil {
		return nil, err
	}
	return actor.Call(ctx, s.ref, func(r actor.Reply[*actor.Tasklet]) request { return startRequest{child: c, reply: r} })
}

// StopChild stops a child, and returns when it has finished: OTP's terminate_child. Its
// specification is kept, unless it is Temporary. A restart that waits for its backoff is cancelled.
// ErrNotFound.
func (s *Supervisor) StopChild(ctx context.Context, id string) error {
	_, err := actor.Call(ctx, s.ref, func(r actor.Reply[struct{}]) request { return stopRequest{id: id, reply: r} })
	return err
}

// RestartChild starts a child that is stopped. ErrNotFound, ErrRunning, ErrRestarting, *StartError.
func (s *Supervisor) RestartChild(ctx context.Context, id string) (*actor.Tasklet, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[*actor.Tasklet]) request { return restartRequest{id: id, reply: r} })
}

// DeleteChild forgets a child that is stopped; its ref ends for good. ErrNotFound, ErrRunning,
// ErrRestarting.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	_, err := actor.Call(ctx, s.ref, func(r actor.Reply[struct{}]) request { return deleteRequest{id: id, reply: r} })
	return err
}

// Children gives the children in order of start: OTP's which_children.
func (s *Supervisor) Children(ctx context.Context) ([]ChildInfo, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[[]ChildInfo]) request { return childrenRequest{reply: r} })
}

// Count counts the children by state: OTP's count_children.
func (s *Supervisor) Count(ctx context.Context) (Counts, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[Counts]) request { return countRequest{reply: r} })
}

// Counts are the numbers of children.
type Counts struct{ Specs, Running, Restarting, Stopped int }
