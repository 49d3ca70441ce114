package work

import (
	"context"
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// keeper is one incarnation of the tasklet of a queue. It keeps the workers running, watches the
// pauses, and is the callee of the sends that wait. It calls no code of the user's and never parks
// after its start, so that nobody waits for a handler or an init. Owned by its tasklet.
type keeper[M any] struct {
	q      *Queue[M]
	t      *actor.Tasklet
	places []place
	timer  *actor.Timer // until the first pause ends, or nil
	// ends says that everything is handled and the workers are being drained.
	ends bool
}

// place is the place of a worker.
type place struct {
	slot     *actor.Slot
	occupied bool       // it was started, and its end is not handled yet
	exit     actor.Exit // its end, if that is not handled yet
	row      int        // ends in a row without a message
	restarts int
}

// A request is a message to the keeper.
type request[M any] interface {
	own.Message
	do(k *keeper[M]) error
}

type (
	// waitRequest is the call of a send that waits.
	waitRequest[M any] struct {
		own.Mark
		w     *waiter[M]
		reply actor.Reply[struct{}]
	}
	// endRequest reports the end of the worker in place i.
	endRequest[M any] struct {
		own.Mark
		k    *keeper[M]
		i    int
		exit actor.Exit
	}
	// startRequest says that the worker in place i is due to be started again.
	startRequest[M any] struct {
		own.Mark
		k *keeper[M]
		i int
	}
	// armRequest says that the first pause may have changed, or is over.
	armRequest[M any] struct{ own.Mark }
	// drainRequest makes the queue drain.
	drainRequest[M any] struct{ own.Mark }
	// drainedRequest says that a queue that drains is empty.
	drainedRequest[M any] struct{ own.Mark }
)

// tell sends r to the keeper. It has no effect if the queue has ended.
func (q *Queue[M]) tell(ctx context.Context, r request[M]) { _ = q.ref.TrySend(ctx, r) }

// drain is called when the queue must drain.
func (q *Queue[M]) drain() { q.tell(context.Background(), &drainRequest[M]{}) }

// keep is the init of the keeper.
func (q *Queue[M]) keep(t *actor.Tasklet) (func(*actor.Tasklet, request[M]) error, error) {
	k := &keeper[M]{q: q, t: t, places: make([]place, q.spec.Workers)}
	q.task.Store(t)
	q.mu.Lock()
	q.sys, q.draining, q.starting = t.System(), false, true
	q.mu.Unlock()
	t.Defer(k.ended)
	tree.Register(t, describer[M]{q: q})
	for i := range k.places {
		opts := []actor.Option{actor.Name(workerName(i))}
		if q.spec.Spread {
			opts = append(opts, actor.OnScheduler(i%t.System().Schedulers()))
		}
		slot, err := actor.NewSlot(t, q.bodies[i], func(e actor.Exit) {
			k.places[i].exit = e
			q.tell(context.Background(), &endRequest[M]{k: k, i: i, exit: e})
		}, opts...)
		if err == nil {
			own.Report(slot, own.FailedEnds)
			k.places[i].slot = slot
			_, err = slot.Start(t)
		}
		if err != nil {
			return nil, &supervisor.StartError{ID: workerName(i), Err: err}
		}
		k.places[i].occupied = true
	}
	q.mu.Lock()
	q.starting = false
	q.mu.Unlock()
	k.arm()
	return func(_ *actor.Tasklet, r request[M]) error { return r.do(k) }, nil
}

// ended runs when the keeper's workers have ended, or were left behind.
func (k *keeper[M]) ended() {
	q := k.q
	for i := range k.places {
		own.NotRestarted(k.places[i].exit)
	}
	q.mu.Lock()
	var vs []verdict[M]
	for i, w := range q.workers {
		if w != nil {
			vs = append(vs, q.dismiss(i, actor.ErrKilled))
		}
	}
	q.starting, q.armed = false, false
	q.mu.Unlock()
	for _, v := range vs {
		q.report(k.t, &v)
	}
}

// dismiss takes the worker out of place i, and decides what becomes of what it had in hand. mu must
// be held.
func (q *Queue[M]) dismiss(i int, err error) (v verdict[M]) {
	w := q.workers[i]
	v.what = verdictNone
	if w.hand != nil {
		if v = q.judge(w, err, q.path()+"/"+workerName(i), true); v.what == verdictDead {
			q.ripe(q.leaves(w), &v.wakes) // another worker hands it over
		}
	}
	q.stand(w, &v.wakes)
	q.workers[i] = nil
	return v
}

func (r *waitRequest[M]) do(k *keeper[M]) error {
	k.q.mu.Lock()
	waits := r.w.state == sendWaits && r.w.place.In()
	if waits {
		r.reply.Delegate(k.t)
		r.w.reply, r.w.hasReply = r.reply, true
	}
	k.q.mu.Unlock()
	if !waits && r.reply.Awaited() {
		_ = r.reply.Send(k.t, struct{}{})
	}
	return nil
}

func (r *endRequest[M]) do(k *keeper[M]) error {
	if r.k != k {
		return nil // of an earlier life
	}
	q, p := k.q, &k.places[r.i]
	p.occupied, p.exit = false, actor.Exit{}
	err := r.exit.Err
	if err == nil {
		err = actor.ErrStop
	}
	q.mu.Lock()
	w := q.workers[r.i]
	took := w != nil && w.took
	v := verdict[M]{what: verdictNone}
	if w != nil {
		v = q.dismiss(r.i, err)
	}
	q.mu.Unlock()
	q.act(k.t, r.exit.Tasklet, v)
	if k.ends {
		own.NotRestarted(r.exit)
		return k.over()
	}
	p.row++
	if took {
		p.row = 0
	}
	return k.restart(r.i, r.exit)
}

// restart starts the worker in place i again, at once or after a pause.
func (k *keeper[M]) restart(i int, last actor.Exit) error {
	p := &k.places[i]
	if p.row >= k.q.spec.Restart.Attempts {
		k.reportGiveUp(i, last)
		vitals.GiveUp(k.t)
		return fmt.Errorf("work: %s has ended %d times in a row without a message: %w", workerName(i), p.row, supervisor.ErrIntensity)
	}
	p.restarts++
	k.q.mu.Lock()
	k.q.restarts++
	k.q.mu.Unlock()
	if p.row == 0 {
		k.reportRestart(i, last, 0)
		return k.start(i)
	}
	d := k.q.spec.Restart.Pause(k.t.System(), p.row)
	k.reportRestart(i, last, d)
	p.slot.Restarting(p.restarts, k.t.System().Now().Add(d))
	actor.SendAfter[request[M]](k.t, d, k.q.ref, &startRequest[M]{k: k, i: i})
	return nil
}

// start starts the worker in place i.
func (k *keeper[M]) start(i int) error {
	p := &k.places[i]
	p.slot.Restarting(p.restarts, time.Time{})
	t, err := p.slot.Start(k.t)
	if err == nil {
		p.occupied = true
		return nil
	}
	exit, over := t.Exit()
	if !over {
		exit = actor.Exit{Tasklet: t, Path: t.Path(), Kind: reason.Error, Err: err}
	}
	k.q.mu.Lock()
	var v verdict[M]
	if k.q.workers[i] != nil {
		v = k.q.dismiss(i, err)
	} else {
		v.what = verdictNone
	}
	k.q.mu.Unlock()
	k.q.act(k.t, t, v)
	p.row++
	return k.restart(i, exit)
}

func (r *startRequest[M]) do(k *keeper[M]) error {
	if r.k != k || k.ends || k.places[r.i].occupied {
		return nil
	}
	return k.start(r.i)
}

func (r *armRequest[M]) do(k *keeper[M]) error {
	k.arm()
	return nil
}

// arm makes the groups whose pauses are over due, and sets the timer for the next one.
func (k *keeper[M]) arm() {
	q := k.q
	now := k.t.System().Now()
	var w wakes[M]
	q.mu.Lock()
	q.resume(now, &w)
	q.armed = len(q.pauses) > 0
	var until time.Time
	if q.armed {
		until = q.pauses[0].due
	}
	q.mu.Unlock()
	q.notify(k.t, &w)
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
	if !until.IsZero() {
		k.timer = actor.SendAfter[request[M]](k.t, until.Sub(now), q.ref, &armRequest[M]{})
	}
}

func (r *drainRequest[M]) do(k *keeper[M]) error {
	q := k.q
	var w wakes[M]
	q.mu.Lock()
	q.draining = true
	q.refuse(&w)
	w.add(q.wakeGatherer()) // its batch need not become full
	q.mu.Unlock()
	q.notify(k.t, &w)
	return (&drainedRequest[M]{}).do(k)
}

func (r *drainedRequest[M]) do(k *keeper[M]) error {
	q := k.q
	q.mu.Lock()
	empty := q.draining && q.total() == 0
	q.mu.Unlock()
	if !empty || k.ends {
		return nil
	}
	k.ends = true
	for i := range k.places {
		k.places[i].slot.Drain()
	}
	return k.over()
}

// over ends the keeper when the last worker has drained.
func (k *keeper[M]) over() error {
	for i := range k.places {
		if k.places[i].occupied {
			return nil
		}
	}
	return actor.ErrShutdown
}

// end is called when the queue has ended permanently.
func (q *Queue[M]) end() {
	var w wakes[M]
	q.mu.Lock()
	q.over = true
	n := q.queued() + q.handN
	for _, x := range q.workers {
		if x != nil && x.hand != nil {
			q.lost += uint64(len(x.hand.ms))
			q.leaves(x)
		}
	}
	clear(q.workers)
	q.clear()
	q.refuse(&w) // their calls end with the keeper's ref
	sys := q.sys
	q.mu.Unlock()
	if n > 0 && sys != nil {
		q.reportEnd(sys, n)
	}
}

// describer describes a queue to the tree.
type describer[M any] struct {
	own.Mark // Describe neither fails nor blocks
	q        *Queue[M]
}

// Describe implements tree.Supervisor.
func (d describer[M]) Describe(func(tree.Child)) tree.Supervision {
	s := d.q.Stats()
	note := fmt.Sprintf("queued %d/%d", s.Queued, d.q.spec.Cap)
	for _, x := range []struct {
		n    uint64
		word string
	}{{uint64(s.InHand), "in hand"}, {uint64(s.Retrying), "retrying"}, {uint64(s.Waiting), "waiting"}, {s.SetAside, "set aside"}, {s.Lost + s.Dropped, "lost"}} {
		if x.n > 0 {
			note += fmt.Sprintf(", %d %s", x.n, x.word)
		}
	}
	return tree.Supervision{Note: note, Restarts: s.Restarts, Max: supervisor.Unlimited, Total: s.Restarts}
}
