package supervisor

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// A request is a message to a supervisor. The mailbox is the only way in, so only the supervisor's
// tasklet uses its core.
type request interface {
	own.Message
	do(c *core) error
}

type (
	startRequest struct {
		own.Mark
		child Child
		reply actor.Reply[*actor.Tasklet]
	}
	stopRequest struct {
		own.Mark
		id    string
		reply actor.Reply[struct{}]
	}
	restartRequest struct {
		own.Mark
		id    string
		reply actor.Reply[*actor.Tasklet]
	}
	deleteRequest struct {
		own.Mark
		id    string
		reply actor.Reply[struct{}]
	}
	childrenRequest struct {
		own.Mark
		reply actor.Reply[[]ChildInfo]
	}
	countRequest struct {
		own.Mark
		reply actor.Reply[map[State]int]
	}
	// logRequest says that it is time to log the tree. core is the one that has requested it; the
	// request of an earlier one is stale.
	logRequest struct {
		own.Mark
		c *core
	}
)

// run is one incarnation of a child, and the request that reports its end.
type run struct {
	own.Mark
	c       *core
	ch      *child
	exit    actor.Exit
	endedAt time.Time // the time of an end by itself; not set without a backoff
}

// again is the request to continue a restart that waited for its backoff, or whose start failed. It
// goes through the supervisor's own queue, so that a stop or a call can come in between.
type again struct {
	own.Mark
	c       *core
	ch      *child
	counted bool // the restart was counted before it was delayed
}

func (r startRequest) do(c *core) error {
	if ch := c.byID[r.child.ID]; ch != nil {
		err := ErrAlreadyStarted
		if ch.state == Stopped {
			err = ErrAlreadyPresent
		}
		return answer(c, r.reply, nil, err)
	}
	if err := c.mayStart(); err != nil {
		return answer(c, r.reply, nil, err)
	}
	t, err := c.startNew(r.child)
	return answer(c, r.reply, t, err)
}

func (r stopRequest) do(c *core) error {
	ch := c.byID[r.id]
	if ch == nil {
		return answer(c, r.reply, struct{}{}, ErrNotFound)
	}
	if ch.state == Restarting {
		c.closeHeld()
	}
	c.stop(ch)
	c.leaveStopped(ch)
	return answer(c, r.reply, struct{}{}, nil)
}

func (r restartRequest) do(c *core) error {
	ch, err := c.stopped(r.id)
	if err == nil {
		err = c.mayStart()
	}
	if err != nil {
		return answer(c, r.reply, nil, err)
	}
	t, err := c.start(ch)
	if err != nil {
		ch.slot.Close() // the start had opened the ref
		return answer(c, r.reply, nil, &StartError{r.id, err})
	}
	c.unwanted(ch)
	return answer(c, r.reply, t, nil)
}

func (r deleteRequest) do(c *core) error {
	ch, err := c.stopped(r.id)
	if err == nil {
		c.remove(ch)
	}
	return answer(c, r.reply, struct{}{}, err)
}

func (r childrenRequest) do(c *core) error {
	infos := make([]ChildInfo, 0, c.n)
	for ch := range c.children.All() {
		infos = append(infos, ChildInfo{ch.spec.ID, ch.state, ch.task, ch.spec.Restart})
	}
	return answer(c, r.reply, infos, nil)
}

func (r countRequest) do(c *core) error {
	n := make(map[State]int)
	for ch := range c.children.All() {
		n[ch.state]++
	}
	return answer(c, r.reply, n, nil)
}

func (r logRequest) do(c *core) error {
	if r.c == c {
		if fault := guard.Call(func() { tree.Log(c.t.Log(), c.t, tree.WithRates(&c.rates)) }); fault != nil {
			// A fault of the logger, or of a method of a logged value, must not end the supervisor.
			e := actor.EventRecord{Kind: event.Failure, Tasklet: c.t, Err: actor.ErrGoexit}
			if !fault.Goexit {
				e.Err, e.Stack = &actor.PanicError{Value: fault.Value, Stack: fault.Stack}, fault.Stack
			}
			c.t.System().Emit(e)
		}
		actor.SendAfter[request](c.t, c.s.spec.LogEvery, c.s.ref, r)
	}
	return nil
}

func init() { own.Trust((&child{}).ended) }

// ended is called on the scheduler when the child's tasklet has finished by itself. It neither
// fails nor blocks, as it is called without a guard; the mailbox is unbounded.
func (ch *child) ended(e actor.Exit) {
	r := ch.run
	r.exit = e
	if r.c.s.spec.Backoff.Min > 0 {
		r.endedAt = r.c.now()
	}
	_ = r.c.s.ref.TrySend(context.Background(), r) // fails only if the supervisor has ended
}

func (r *run) do(c *core) error {
	if r.c != c || r.ch.run != r {
		// Its child belongs to an earlier incarnation of the supervisor, or was stopped or
		// restarted in another way.
		return nil
	}
	c.wasUp(r.ch)
	c.set(r.ch, Stopped, nil)
	exit := r.exit
	*r = run{c: c, ch: r.ch}
	r.ch.spare = r
	return c.childEnded(r.ch, exit)
}

func (r *again) do(c *core) error {
	if r.c != c {
		return nil // it belongs to an earlier incarnation of the supervisor
	}
	if r.counted {
		if r.ch.again == r { // otherwise the child was stopped or restarted in another way
			c.perform(r.ch)
		}
		return nil
	}
	// As in OTP, the request is for the child with this ID, if the child waits for another try.
	// That may be a child whose start has failed again since r was sent, and which has sent a
	// request of its own.
	ch := r.ch
	if c.s.pool == nil {
		ch = c.byID[ch.spec.ID]
	}
	if ch == nil || ch.again == nil || ch.again.counted {
		return nil // it was stopped or restarted in another way, or waits for its backoff
	}
	return c.restart(ch, c.now())
}

// answer answers a request. It is no failure if the caller no longer waits.
func answer[R any](c *core, to actor.Reply[R], v R, err error) error {
	if err != nil {
		_ = to.Fail(c.t, err)
	} else {
		_ = to.Send(c.t, v)
	}
	return nil
}
