package work

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
)

// Queue is the handle of a queue, which [Start] or [New] makes. Its methods may be called from any
// goroutine. A Queue is an actor.Sender.
type Queue[M any] struct {
	// Set when it is made, then read-only.
	spec   Spec[M]
	ref    actor.Ref[request[M]] // of the keeper
	body   actor.Body
	bells  []actor.Ref[bell] // of the workers
	bodies []actor.Body      // of the workers

	task atomic.Pointer[actor.Tasklet] // atomic: written at each start, read by any goroutine

	mu sync.Mutex // protects the following
	books[M]
	sys      *actor.System // nil before the first start
	starting bool          // the keeper starts the workers and waits for their inits
	restarts int           // of workers
}

// Start starts a queue under p, and returns it when its workers have started. If the start of a
// worker fails, Start returns a *supervisor.StartError. It returns a *supervisor.SpecError if spec
// is invalid. Inside a tasklet, p must be that tasklet, which parks; an ordinary goroutine passes a
// *actor.System.
func Start[M any](p actor.Spawner, spec Spec[M]) (*Queue[M], error) {
	q, err := newQueue(spec)
	if err != nil {
		return nil, err
	}
	var ctx context.Context = context.Background()
	if t, ok := p.(*actor.Tasklet); ok {
		ctx = t
	}
	if err := actor.StartTasklet(p, q.body).Started(ctx); err != nil {
		return nil, err
	}
	return q, nil
}

// New returns a queue that is not started yet. It already takes messages. Its Body is put into a
// supervisor.Spec. New panics with a *supervisor.SpecError if spec is invalid.
func New[M any](spec Spec[M]) *Queue[M] {
	q, err := newQueue(spec)
	if err != nil {
		panic(err)
	}
	return q
}

func newQueue[M any](spec Spec[M]) (*Queue[M], error) {
	spec, err := spec.checked()
	if err != nil {
		return nil, err
	}
	// The mailbox of the keeper is unbounded because the end of a worker cannot wait for room. Each
	// worker has one end, each waiting sender one call, and there is one timer, so it is bounded by
	// their numbers.
	opts := []actor.Option{actor.Overflow(mailbox.Unbounded)}
	if spec.Name != "" {
		opts = append(opts, actor.Name(spec.Name))
	}
	q := &Queue[M]{spec: spec, ref: actor.NewRef[request[M]](opts...)}
	q.workers = make([]*worker[M], spec.Workers)
	for i := range spec.Workers {
		// Unbounded because a worker that is rung is not rung again before it has heard it: there
		// is at most one bell, and one of the timer of a batch.
		ref := actor.NewRef[bell](actor.Overflow(mailbox.Unbounded))
		q.bells = append(q.bells, ref)
		q.bodies = append(q.bodies, actor.ReceiverInitBody(ref, q.hire(i)))
	}
	q.body = actor.Supervise(q.ref, actor.Family{
		Kind: "work-queue", Bodies: q.bodies, StopTogether: spec.Shutdown, Drain: q.drain,
	}, q.keep)
	own.Work(q.ref, q.left)
	q.ref.OnEnd(q.end)
	return q, nil
}

func workerName(i int) string { return "worker-" + strconv.Itoa(i+1) }

// Body returns the queue as a body, for a child of a supervisor. There is one body for each queue.
func (q *Queue[M]) Body() actor.Body { return q.body }

// Tasklet returns the tasklet of the queue: the newest, if the queue was restarted, and nil before
// the start.
func (q *Queue[M]) Tasklet() *actor.Tasklet { return q.task.Load() }

// Send puts m into the queue. If the queue is full, the policy decides: under mailbox.Block the
// calling tasklet parks, or the calling goroutine blocks, until there is room, and the senders get
// it in the order in which they came; under Fail, Send returns mailbox.ErrFull; the others drop a
// message, which is counted and reported. A worker of the queue itself does not wait, because it
// would wait for its own work: it gets mailbox.ErrFull.
//
// Send returns mailbox.ErrClosed if the queue drains, was stopped by its supervisor or has ended.
// If ctx ends during the wait, it returns ErrTimeout or the cause of ctx, and the message was not
// sent. A sender that is killed during the wait may have sent.
func (q *Queue[M]) Send(ctx context.Context, m M) error {
	w, err := q.offer(ctx, m, true)
	if w == nil {
		return err
	}
	return q.await(ctx, w)
}

// TrySend is like Send, but never waits: it returns mailbox.ErrFull where Send would wait.
func (q *Queue[M]) TrySend(ctx context.Context, m M) error {
	_, err := q.offer(ctx, m, false)
	return err
}

// offer puts m into the queue, or returns the reason why not, or a waiter if the sender must wait.
func (q *Queue[M]) offer(ctx context.Context, m M, wait bool) (*waiter[M], error) {
	own.MustSend(ctx) // a context that cannot be used panics before the message is accepted
	if w, done, err := q.put(ctx, m, wait, false); done {
		return w, err
	}
	// A context of the user's may do anything, so it is examined while the mutex is free.
	w, _, err := q.put(ctx, m, wait && !q.isWorker(ctx), true)
	return w, err
}

// put is one attempt of offer. If the sender would have to wait and sure is false, put changes
// nothing and returns false.
func (q *Queue[M]) put(ctx context.Context, m M, wait, sure bool) (w *waiter[M], done bool, err error) {
	var k wakes[M]
	q.mu.Lock()
	if q.over || q.draining || q.ref.IsClosed() {
		q.mu.Unlock()
		return nil, true, mailbox.ErrClosed
	}
	if q.queued() < q.spec.Cap && q.waiters.Empty() {
		q.accept(m, q.spec.batchMax(), &k)
		q.mu.Unlock()
		if k.bell != nil {
			k.bell.ring(ctx)
		}
		return nil, true, nil
	}
	switch p := q.spec.Policy; {
	case p == mailbox.DropNewest, p == mailbox.DropOldest:
		if q.drop(p) {
			q.accept(m, q.spec.batchMax(), &k)
		}
		q.mu.Unlock()
		q.notify(ctx, &k)
		q.reportDrop()
		return nil, true, nil
	case p == mailbox.Fail, !wait, !sure:
		q.mu.Unlock()
		return nil, p == mailbox.Fail || !wait, mailbox.ErrFull
	}
	w = &waiter[M]{m: m}
	w.place.V = w
	q.waiters.Add(&w.place)
	q.mu.Unlock()
	return w, true, nil
}

// isWorker reports whether ctx belongs to a worker of q.
func (q *Queue[M]) isWorker(ctx context.Context) bool {
	t := actor.Current(ctx)
	return t != nil && t.Parent() != nil && t.Parent() == q.task.Load()
}

// await waits until the message of w is in the queue. The wait is a call of the keeper, so that it
// has the caller's context and clock, and ends with a kill. The call only wakes the sender: what
// has become of the message stands in w, so that it is in the queue if, and only if, Send returns
// nil.
func (q *Queue[M]) await(ctx context.Context, w *waiter[M]) error {
	defer q.leave(w) // also if a kill is raised
	for {
		_, err := actor.Call(ctx, q.ref, func(r actor.Reply[struct{}]) request[M] { return &waitRequest[M]{w: w, reply: r} })
		ended := new(actor.JoinError)
		gone := errors.Is(err, mailbox.ErrClosed) || errors.As(err, &ended)
		if err == nil || gone && !q.ref.IsClosed() {
			// The keeper has ended, and another one is to come.
			if state := q.stateOf(w); state == sendWaits {
				continue
			}
		}
		switch q.leave(w) {
		case sendDone:
			return nil
		case sendRefused:
			return mailbox.ErrClosed
		}
		if gone {
			return mailbox.ErrClosed
		}
		return err
	}
}

func (q *Queue[M]) stateOf(w *waiter[M]) sendState {
	q.mu.Lock()
	defer q.mu.Unlock()
	return w.state
}

// leave takes w out of the line, and returns what has become of its message.
func (q *Queue[M]) leave(w *waiter[M]) sendState {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place.In() {
		q.waiters.Remove(&w.place)
	}
	w.hasReply = false
	return w.state
}

// notify wakes those in k. If ctx cannot be used, that is the caller's mistake, and panics; the
// others are woken nevertheless.
func (q *Queue[M]) notify(ctx context.Context, k *wakes[M]) {
	woken := false
	defer func() {
		if !woken && ctx != context.Background() {
			q.notify(context.Background(), k)
		}
	}()
	if k.bell != nil {
		k.bell.ring(ctx)
	}
	for _, w := range k.bells {
		w.ring(ctx)
	}
	for _, r := range k.replies {
		if r.Awaited() {
			_ = r.Send(ctx, struct{}{}) // a sender that has given up has left the line
		}
	}
	woken = true
}

// Len returns the number of messages that are queued, including those that wait for another try.
func (q *Queue[M]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queued()
}

// left returns the number of messages whose end is not decided.
func (q *Queue[M]) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total()
}

// Cap returns Spec.Cap.
func (q *Queue[M]) Cap() int { return q.spec.Cap }

// Stats are the numbers of a queue. All but the first three count since New or Start, over all
// restarts.
type Stats struct {
	Queued   int // messages in no worker's hands, including those that wait for another try
	Retrying int // those among Queued that wait for another try
	InHand   int // messages in workers' hands
	Waiting  int // sends that wait for room

	Accepted uint64 // messages that sends have put into the queue, without those that were dropped
	Handled  uint64 // messages that were handled
	Retries  uint64 // failed tries of messages or batches after which another one follows
	SetAside uint64 // messages that Spec.Dead has accepted
	Lost     uint64 // messages that were reported as lost, other than those that were dropped
	Dropped  uint64 // messages that the policy has dropped
	Restarts int    // restarts of workers
}

// Stats returns the numbers of one moment. In every moment Accepted is the sum of Queued, InHand,
// Handled, SetAside and Lost. Stats never waits.
func (q *Queue[M]) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{
		Queued: q.queued(), Retrying: q.pauseN, InHand: q.handN,
		Accepted: q.accepted, Handled: q.handled, Retries: q.retries, SetAside: q.setAside, Lost: q.lost, Dropped: q.dropped,
		Restarts: q.restarts,
	}
	for e := q.waiters.First(); e != nil; e = e.Next() {
		s.Waiting++
	}
	return s
}

// Drain makes the queue refuse new messages and the sends that wait, handle what it has accepted,
// and end, and waits for that. That includes the pauses and tries of messages that fail. The
// workers are drained in the end, all at the same time. If ctx ends first, the queue is stopped,
// its messages are reported, and Drain returns the error of actor.Tasklet.Drain. A supervisor above
// treats the end like any other. Drain panics if the queue was never started.
func (q *Queue[M]) Drain(ctx context.Context) error {
	t := q.Tasklet()
	if t == nil {
		panic("work: Drain of a queue that was not started")
	}
	return t.Drain(ctx)
}

// name returns the path of the queue for a report.
func (q *Queue[M]) path() string { return cmp.Or(q.ref.String(), "work-queue") }
