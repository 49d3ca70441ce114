package work

import (
	"context"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/list"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
)

// bell wakes a worker.
type bell struct{ own.Mark }

// turn is the number of messages that a worker takes before other tasklets run.
const turn = 16

// worker is one incarnation of a worker.
type worker[M any] struct {
	// Read-only.
	q    *Queue[M]
	i    int
	bell actor.Ref[bell]

	// Owned by the worker's tasklet.
	run   func(*actor.Tasklet, []M) error // nil before the init
	timer *actor.Timer                    // of the batch that waits for more messages
	wakes wakes[M]

	// Queue.mu protects the following. The worker's tasklet may read hand without it, because only
	// its own steps, and those after its end, write it.
	place list.Entry[*worker[M]] // among books.idle
	hand  *group[M]              // what the worker has in hand, or nil
	fresh group[M]               // hand, if that was not tried yet
	took  bool                   // it has taken messages
	rung  bool                   // a bell is on its way
	till  time.Time              // if it is the gatherer, when its batch is due
}

// hire returns the init of the worker in place i. In the first start of the queue, the start waits
// for the user's init. A restarted worker does it in its first step, because the keeper, who starts
// it, must not wait.
func (q *Queue[M]) hire(i int) func(*actor.Tasklet) (actor.Handler[bell], error) {
	return func(t *actor.Tasklet) (actor.Handler[bell], error) {
		w := &worker[M]{q: q, i: i, bell: q.bells[i]}
		w.place.V = w
		q.mu.Lock()
		q.workers[i] = w
		w.rung = true
		starting := q.starting
		q.mu.Unlock()
		if starting {
			if err := w.init(t); err != nil {
				return nil, err
			}
		}
		w.ring(t)
		return w.step, nil
	}
}

func (w *worker[M]) init(t *actor.Tasklet) (err error) {
	w.run, err = w.q.spec.handlerOf(t)
	return err
}

// ring wakes w, which counts as rung already. ctx may be unusable, which is the caller's mistake
// and panics, but the bell rings.
func (w *worker[M]) ring(ctx context.Context) {
	rung := false
	defer func() {
		if !rung {
			_ = w.bell.TrySend(context.Background(), bell{})
		}
	}()
	_ = w.bell.TrySend(ctx, bell{}) // fails only if the queue has ended
	rung = true
}

// drop forgets what w has in hand.
func (w *worker[M]) drop() {
	if w.hand == &w.fresh {
		clear(w.fresh.ms)
		w.fresh.ms = w.fresh.ms[:0]
	}
	w.hand = nil
}

// step handles messages until there are none, or its turn is over.
func (w *worker[M]) step(t *actor.Tasklet, _ bell) error {
	if w.run == nil {
		if err := w.init(t); err != nil {
			return err
		}
	}
	for n := 0; n < turn || w.bell.IsClosed(); n++ {
		// A closed bell means that w drains, because the queue was killed in its own drain. Then no
		// bell would wake w for the rest.
		if n == turn {
			n = 0
			t.Yield()
		}
		g := w.next(t)
		if g == nil {
			return nil
		}
		if g.dead {
			w.handOver(t)
			continue
		}
		err := w.run(t, g.ms)
		if err == nil {
			continue // next records it
		}
		if k := actor.KindOf(err); k == reason.Normal || k == reason.Shutdown {
			w.finish(t)
			return err
		}
		f := w.q.spec.Retry.If
		w.failed(t, err, f == nil || f(err))
	}
	w.finish(t)
	w.q.mu.Lock()
	w.rung = true
	w.q.mu.Unlock()
	w.ring(t)
	return nil
}

// finish records that what w has in hand was handled.
func (w *worker[M]) finish(t *actor.Tasklet) {
	q := w.q
	q.mu.Lock()
	if q.workers[w.i] == w && w.hand != nil {
		q.done(w)
	}
	drained := q.draining && q.total() == 0
	q.mu.Unlock()
	if drained {
		q.tell(t, &drainedRequest[M]{})
	}
}

// next records that what w has in hand was handled, and takes what it handles next. It returns nil
// if w must wait for a bell.
func (w *worker[M]) next(t *actor.Tasklet) *group[M] {
	q := w.q
	k := &w.wakes
	q.mu.Lock()
	if q.workers[w.i] != w {
		q.mu.Unlock()
		return nil // it was left behind
	}
	w.rung = false
	if w.hand != nil {
		q.done(w)
	}
	gather := w.take(t)
	g := w.hand
	if g != nil {
		q.admit(q.spec.Cap, q.spec.batchMax(), k)
	}
	drained := q.draining && q.total() == 0
	q.mu.Unlock()
	if k.bell != nil || len(k.replies) > 0 {
		w.wake(t)
	}
	switch {
	case gather > 0:
		w.timer = actor.SendAfter(t, gather, w.bell, bell{})
	case g != nil && w.timer != nil:
		w.timer.Stop()
		w.timer = nil
	case drained:
		q.tell(t, &drainedRequest[M]{})
	}
	return g
}

// wake wakes those in w.wakes, and empties it.
func (w *worker[M]) wake(t *actor.Tasklet) {
	k := &w.wakes
	w.q.notify(t, k)
	clear(k.bells)
	clear(k.replies)
	k.bell, k.bells, k.replies = nil, k.bells[:0], k.replies[:0]
}

// take puts the next group into w's hand, or puts w into the line of those that wait. If w has
// begun to wait for a full batch, take returns for how long. Queue.mu must be held.
func (w *worker[M]) take(t *actor.Tasklet) (gather time.Duration) {
	q := w.q
	if w.place.In() {
		q.idle.Remove(&w.place) // it was woken by an old timer
	}
	if q.due.n > 0 {
		if q.gatherer == w {
			q.gatherer = nil
		}
		g := q.due.pop()
		q.dueN -= len(g.ms)
		q.give(w, g)
		return 0
	}
	n, batch := q.ready.n, q.spec.batchMax()
	wait := q.spec.wait()
	switch {
	case n == 0, q.gatherer != nil && q.gatherer != w && n < batch:
		if q.gatherer == w {
			q.gatherer = nil
		}
		w.till = time.Time{}
		q.idle.Add(&w.place)
		return 0
	case n < batch && wait > 0 && !q.draining:
		now := q.sys.Now()
		if w.till.IsZero() {
			w.till = now.Add(wait)
			gather = wait
		}
		if now.Before(w.till) {
			q.gatherer = w
			return gather
		}
	}
	if q.gatherer == w {
		q.gatherer = nil
	}
	for range min(n, batch) {
		w.fresh.ms = append(w.fresh.ms, q.ready.pop())
	}
	q.give(w, &w.fresh)
	if q.ready.n > 0 && q.gatherer == nil {
		w.wakes.add(q.wake()) // sends during the wait for a batch have woken nobody
	}
	return 0
}

// give puts g into w's hand.
func (b *books[M]) give(w *worker[M], g *group[M]) {
	w.hand, w.took, w.till = g, true, time.Time{}
	b.handN += len(g.ms)
}

// failed records that a try of what w has in hand has failed with err. worth is the answer of
// Retry.If.
func (w *worker[M]) failed(t *actor.Tasklet, err error, worth bool) {
	q := w.q
	q.mu.Lock()
	if q.workers[w.i] != w || w.hand == nil {
		q.mu.Unlock()
		return
	}
	v := q.judge(w, err, t.Path(), worth)
	q.mu.Unlock()
	q.act(t, t, v)
	if v.what == verdictDead {
		w.handOver(t)
	}
}

// handOver gives what w has in hand to Spec.Dead. Until that is decided, it remains in hand, so
// that it is not lost if Spec.Dead panics.
func (w *worker[M]) handOver(t *actor.Tasklet) {
	q := w.q
	g := w.hand
	err := q.spec.Dead.TrySend(t, Dead[M]{Messages: g.ms, Tries: g.past + g.tries, Err: g.err, Worker: g.worker})
	q.mu.Lock()
	if q.workers[w.i] != w || w.hand != g {
		q.mu.Unlock()
		return
	}
	v := q.refused(w, err)
	q.mu.Unlock()
	q.act(t, t, v)
}

// verdict is what becomes of a group, and what must be done about it when the mutex is free.
type verdict[M any] struct {
	what  verdictKind
	g     *group[M] // a copy, because another worker may have the group by then
	n     int       // messages
	delay time.Duration
	err   error
	wakes wakes[M]
	arm   bool // the keeper must look at the pauses
}

// about makes v one about g, as it is now. mu must be held.
func (v *verdict[M]) about(g *group[M], err error) {
	as := *g
	v.g, v.n, v.err = &as, len(g.ms), err
}

type verdictKind uint8

const (
	verdictRetry    verdictKind = iota // it is tried again after delay
	verdictSplit                       // its messages are tried again, one by one
	verdictDead                        // it is in hand, to be handed over
	verdictSetAside                    // Spec.Dead has it
	verdictAgain                       // it is handed over again after delay
	verdictLost
)

// judge decides what becomes of what w has in hand, after a try that failed with err. mu must be
// held.
func (q *Queue[M]) judge(w *worker[M], err error, path string, worth bool) (v verdict[M]) {
	if w.hand.dead { // Spec.Dead has panicked
		return q.refused(w, err)
	}
	g := q.leaves(w)
	g.tries++
	g.err, g.worker = err, path
	v.about(g, err)
	switch b := q.spec.Batch; {
	case worth && g.tries < q.spec.Retry.Attempts:
		q.retries++
		v.delay = q.spec.Retry.Pause(q.sys, g.tries)
		q.rest(g, &v)
	case b != nil && b.Split && len(g.ms) > 1:
		v.what = verdictSplit
		q.retries++
		for i := range g.ms {
			q.ripe(&group[M]{ms: g.ms[i : i+1 : i+1], past: g.past + g.tries}, &v.wakes)
		}
	case q.spec.Dead == nil:
		q.lose(g, &v)
	default:
		v.what = verdictDead
		g.dead = true
		q.give(w, g)
	}
	return v
}

// refused decides what becomes of what w has in hand, after Spec.Dead has returned err. mu must be
// held.
func (q *Queue[M]) refused(w *worker[M], err error) (v verdict[M]) {
	g := q.leaves(w)
	v.about(g, g.err)
	g.handed++
	switch {
	case err == nil:
		v.what = verdictSetAside
		q.setAside += uint64(v.n)
	case err == mailbox.ErrClosed, g.handed >= q.spec.Retry.Attempts:
		q.lose(g, &v)
		v.err = err
	default:
		v.what = verdictAgain
		v.delay = q.spec.Retry.Pause(q.sys, g.handed)
		q.rest(g, &v)
	}
	return v
}

// rest makes g wait for v.delay.
func (q *Queue[M]) rest(g *group[M], v *verdict[M]) {
	q.pause(g, q.sys.Now().Add(v.delay))
	if q.pauses[0] == g || !q.armed {
		q.armed = true
		v.arm = true
	}
}

func (q *Queue[M]) lose(g *group[M], v *verdict[M]) {
	v.what = verdictLost
	q.lost += uint64(len(g.ms))
}

// act does what v demands. t is the tasklet that calls it, and by the one that has failed.
func (q *Queue[M]) act(t, by *actor.Tasklet, v verdict[M]) {
	q.notify(t, &v.wakes)
	if v.arm {
		q.tell(t, &armRequest[M]{})
	}
	q.report(by, &v)
}
