package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
)

// PoolSpec describes a pool: children that are all made by one function and have no order. The zero
// values are the defaults, but for Child.
type PoolSpec[A any] struct {
	Name string // of its tasklet; "" for one derived, "pool#n"
	// Child makes the specification of the child for one argument of Pool.Start, on the goroutine
	// of the caller. The ID need not be unique; it names the child's tasklet, "" for a derived
	// name. Shutdown counts for Pool.Stop only. Significant and Body rules are as for Spec.
	Child     func(A) Child
	Intensity int           // as in Spec, with NoRestart and Unlimited
	Period    time.Duration // as in Spec
	// Shutdown is how long all children together have to end when the pool is stopped; see
	// actor.Shutdown. 0: 5 s.
	Shutdown time.Duration
	Max      int // how many children there may be; 0: any number
}

// Pool is the handle of a pool: Erlang's simple_one_for_one as a type of its own. Its children are
// started one at a time, with an argument; a child that fails is restarted alone, from the same
// specification and so with the same argument, as its restart type says; one that ended and is not
// restarted is forgotten. Children have no order: when the pool ends, all are killed first, and
// then awaited, under one deadline. Methods may be called from any goroutine, as those of
// Supervisor.
type Pool[A any] struct {
	s     *Supervisor
	child func(A) Child
	b     actor.Body
}

// poolRules is what makes a supervisor the inside of a pool.
type poolRules struct{ max int }

// FullError is returned by Pool.Start when there are Max children. It is mailbox.ErrFull to
// errors.Is.
type FullError struct {
	Pool string // the path of the pool
	Max  int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("supervisor: pool %s is full: it has %d children", e.Pool, e.Max)
}

// Is makes errors.Is(e, mailbox.ErrFull) true.
func (e *FullError) Is(target error) bool { return target == mailbox.ErrFull }

// NewPool makes a pool that is not started yet: its Body is to be put into a Spec. It panics with
// the *SpecError if spec is wrong.
func NewPool[A any](spec PoolSpec[A]) *Pool[A] {
	p, err := newPool(spec)
	if err != nil {
		panic(err)
	}
	return p
}

// StartPool starts a pool under p, as Start does a supervisor. A *SpecError says what is wrong with
// spec.
func StartPool[A any](p actor.Spawner, spec PoolSpec[A]) (*Pool[A], error) {
	pool, err := newPool(spec)
	if err != nil {
		return nil, err
	}
	if err := pool.s.start(p, pool.b); err != nil {
		return nil, err
	}
	return pool, nil
}

func newPool[A any](spec PoolSpec[A]) (*Pool[A], error) {
	bad := func(field, rule string) (*Pool[A], error) {
		return nil, &SpecError{Field: "PoolSpec." + field, Rule: rule}
	}
	switch {
	case spec.Child == nil:
		return bad("Child", "is nil")
	case spec.Max < 0:
		return bad("Max", "is negative")
	case spec.Shutdown < Infinity:
		return bad("Shutdown", "is negative")
	}
	checked, err := Spec{Name: spec.Name, Intensity: spec.Intensity, Period: spec.Period}.checked()
	if err != nil {
		e := err.(*SpecError)
		return bad(e.Field[len("Spec."):], e.Rule)
	}
	s := newSupervisor(checked)
	s.pool = &poolRules{spec.Max}
	b := actor.Supervise(s.ref, actor.Family{Kind: "pool", StopTogether: cmp.Or(spec.Shutdown, defaultPoolShutdown)}, s.init)
	return &Pool[A]{s, spec.Child, b}, nil
}

// Body is the pool as a body: a child of a supervisor like any other. A pool that is restarted is
// empty.
func (p *Pool[A]) Body() actor.Body { return p.b }

// Tasklet is that of the pool; the newest, if it was restarted; nil before the start.
func (p *Pool[A]) Tasklet() *actor.Tasklet { return p.s.Tasklet() }

// Start starts a child for a. It returns when the child has started. Errors: *SpecError;
// *FullError; *StartError, and the child is forgotten. If ctx ends first, the start goes on. A
// child whose init returned actor.ErrStop is forgotten: the tasklet is nil.
func (p *Pool[A]) Start(ctx context.Context, a A) (*actor.Tasklet, error) {
	c := p.child(a)
	if err := c.checkRest(Never); err != nil {
		return nil, err
	}
	return actor.Call(ctx, p.s.ref, func(r actor.Reply[*actor.Tasklet]) request { return poolStartRequest{child: c, reply: r} })
}

// Stop stops the child whose tasklet is t, and returns when it has finished. ErrNotFound, also for
// one that is being restarted: it has another tasklet then.
func (p *Pool[A]) Stop(ctx context.Context, t *actor.Tasklet) error {
	_, err := actor.Call(ctx, p.s.ref, func(r actor.Reply[struct{}]) request { return poolStopRequest{task: t, reply: r} })
	return err
}

// Len is the number of children. It waits for nobody.
func (p *Pool[A]) Len() int {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.view.core == nil {
		return 0
	}
	return p.s.view.core.n
}

type (
	poolStartRequest struct {
		own.Mark
		child Child
		reply actor.Reply[*actor.Tasklet]
	}
	poolStopRequest struct {
		own.Mark
		task  *actor.Tasklet
		reply actor.Reply[struct{}]
	}
)

func (r poolStartRequest) do(c *core) error {
	if limit := c.s.pool.max; limit > 0 && c.n >= limit {
		return answer(c, r.reply, nil, &FullError{c.t.Path(), limit})
	}
	t, err := c.startNew(r.child)
	return answer(c, r.reply, t, err)
}

func (r poolStopRequest) do(c *core) error {
	ch := c.byTask[r.task]
	if ch == nil {
		return answer(c, r.reply, struct{}{}, ErrNotFound)
	}
	c.stop(ch)
	c.leaveStopped(ch)
	return answer(c, r.reply, struct{}{}, nil)
}
