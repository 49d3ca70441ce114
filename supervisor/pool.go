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
// values of all fields but Child are the defaults.
type PoolSpec[A any] struct {
	Name string // of its tasklet; if "", it is derived: "pool#n"
	// Child returns the specification of the child for one argument of Pool.Start. It is called on
	// the goroutine of the caller. The ID need not be unique; it is the name of the child's
	// tasklet, or "" for a derived name. Shutdown applies to Pool.Stop only. The rules for
	// Significant and Body are those of Spec.
	Child     func(A) Child
	Intensity int           // as in Spec, with NoRestart and Unlimited
	Period    time.Duration // as in Spec
	// Shutdown is the time that all children together have to end when the pool is stopped; see
	// actor.Shutdown. 0 means 5 s.
	Shutdown time.Duration
	Max      int // the largest number of children; 0 means no limit
}

// Pool is the handle of a pool, which corresponds to Erlang's simple_one_for_one. Its children are
// started one at a time, with an argument. A child that fails is restarted alone, from the same
// specification and so with the same argument, as its restart type says. A child that ended and is
// not restarted is removed. Children have no order: when the pool ends, all of them are killed, and
// then awaited under one deadline. Use [StartPool] or [NewPool] to make a Pool. Its methods may be
// called from any goroutine, like those of [Supervisor].
type Pool[A any] struct {
	s     *Supervisor
	child func(A) Child
	b     actor.Body
}

// poolRules are the rules of a supervisor that implements a pool.
type poolRules struct{ max int }

// fullError is returned by Pool.Start when the pool has Max children.
type fullError struct {
	pool string // its path
	max  int
}

func (e *fullError) Error() string {
	return fmt.Sprintf("supervisor: pool %s is full: it has %d children", e.pool, e.max)
}

// Is makes errors.Is(e, mailbox.ErrFull) true.
func (e *fullError) Is(target error) bool { return target == mailbox.ErrFull }

// NewPool returns a pool that is not started yet. Its Body is put into a Spec. NewPool panics with
// a *SpecError if spec is invalid.
func NewPool[A any](spec PoolSpec[A]) *Pool[A] {
	p, err := newPool(spec)
	if err != nil {
		panic(err)
	}
	return p
}

// StartPool starts a pool under p, as [Start] starts a supervisor. It returns a *SpecError if spec
// is invalid.
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
	case spec.Shutdown < actor.Infinity:
		return bad("Shutdown", "is negative")
	}
	checked, err := Spec{Name: spec.Name, Intensity: spec.Intensity, Period: spec.Period}.checked()
	if err != nil {
		e := err.(*SpecError)
		return bad(e.Field[len("Spec."):], e.Rule)
	}
	s := newSupervisor(checked)
	s.pool = &poolRules{spec.Max}
	b := actor.Supervise(s.ref, actor.Family{Kind: "pool", StopTogether: cmp.Or(spec.Shutdown, defaultPoolShutdown), Drain: s.drain}, s.init)
	return &Pool[A]{s, spec.Child, b}, nil
}

// Body returns the pool as a body, for a child of a supervisor. A pool that is restarted is empty.
func (p *Pool[A]) Body() actor.Body { return p.b }

// Tasklet returns the tasklet of the pool: the newest, if the pool was restarted, and nil before
// the start.
func (p *Pool[A]) Tasklet() *actor.Tasklet { return p.s.Tasklet() }

// Start starts a child for a, and returns its tasklet when the child has started. It returns a
// *SpecError if the specification is invalid, an error that is mailbox.ErrFull to errors.Is if the
// pool is full, and a *StartError if the child fails to start, which is then removed. If ctx ends
// first, Start returns its error, and the start continues. If the child's init returns
// actor.ErrStop, the child is removed and the tasklet is nil. Start parks a calling tasklet.
func (p *Pool[A]) Start(ctx context.Context, a A) (*actor.Tasklet, error) {
	c := p.child(a)
	if err := c.checkRest(Never); err != nil {
		return nil, err
	}
	return actor.Call(ctx, p.s.ref, func(r actor.Reply[*actor.Tasklet]) request { return poolStartRequest{child: c, reply: r} })
}

// Stop stops the child whose tasklet is t, and returns when it has finished. It returns ErrNotFound
// if t is not the tasklet of a child, also while a child is being restarted, which then has another
// tasklet. Stop parks a calling tasklet.
func (p *Pool[A]) Stop(ctx context.Context, t *actor.Tasklet) error {
	_, err := actor.Call(ctx, p.s.ref, func(r actor.Reply[struct{}]) request { return poolStopRequest{task: t, reply: r} })
	return err
}

// Drain ends the pool when its children have done their work, and waits for that; see
// [Supervisor.Drain]. The children of a pool are drained at the same time.
func (p *Pool[A]) Drain(ctx context.Context) error { return p.s.Drain(ctx) }

// Len returns the number of children. It never waits.
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
	if err := c.mayStart(); err != nil {
		return answer(c, r.reply, nil, err)
	}
	if limit := c.s.pool.max; limit > 0 && c.n >= limit {
		return answer(c, r.reply, nil, &fullError{c.t.Path(), limit})
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
