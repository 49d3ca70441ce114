package entity

import (
	"context"
	"errors"
	"math"
	"reflect"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/list"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// An entity is one occupation of a key: a ref, and the tasklets that read it, of which each but the
// first is a restart. When it has closed, the next message for the key makes another entity, which
// is started when this one has ended.
type entity[K comparable, M any] struct {
	// Set when it is made, then read-only.
	c    *core[K, M]
	key  K
	name string
	ref  actor.Ref[M]

	// Atomic: written and read by the senders. It is true until the start was requested.
	first atomic.Bool
	// Atomic: written by the entity's tasklet, and read by that of the set. The init of the present
	// tasklet has returned a handler.
	ready atomic.Bool

	// Entities.mu protects the following.
	place    list.Entry[*entity[K, M]] // among core.all
	started  bool                      // the set has started it once
	closing  bool                      // it ends when it has handled its messages
	promised bool                      // another entity takes its place in the limit
	waits    int                       // the number of entities that must end before it starts
	heirs    []*entity[K, M]           // the entities that wait for its end
	stamp    time.Time                 // it was not idle before
	at       int                       // its index in core.idle, plus 1; 0 if it is not there

	// Owned by the tasklet of the set.
	slot     *actor.Slot
	restarts int
	exit     actor.Exit  // of its last tasklet, if that is not handled yet
	times    []time.Time // of the restarts within the last Period, oldest first
	stops    []actor.Reply[struct{}]
}

// core is one incarnation of a set of entities.
type core[K comparable, M any] struct {
	// Set when it is made, then read-only.
	es *Entities[K, M]
	t  *actor.Tasklet
	// async is a context that has ended. A start with it does not wait for the init.
	async context.Context

	// Entities.mu protects the following.
	live     map[K]*entity[K, M]
	all      list.List[*entity[K, M]] // including those that are not in live any more
	used     int                      // places: at most MaxLive
	idle     lru[K, M]                // those that can be evicted, if Spec.Evict
	aside    map[K]*FailedError
	asides   []asideKey[K] // in the order of time
	draining bool
	restarts int
}

// request is a message to the tasklet of a set.
type request[K comparable, M any] struct {
	own.Mark
	what  what
	e     *entity[K, M] // nil for toDrain
	exit  actor.Exit    // of hasEnded
	reply actor.Reply[struct{}]
}

type what uint8

const (
	toStart what = iota
	hasEnded
	toStop
	toDrain
)

// errAsync is the cause with which core.async has ended.
var errAsync = errors.New("entity: the start continues")

func (es *Entities[K, M]) drain() { es.post(request[K, M]{what: toDrain}) }

// init is the init of the tasklet of the set.
func (es *Entities[K, M]) init(t *actor.Tasklet) (func(*actor.Tasklet, request[K, M]) error, error) {
	ctx, cancel := context.WithCancelCause(t)
	cancel(errAsync)
	c := &core[K, M]{es: es, t: t, async: ctx, live: make(map[K]*entity[K, M]), aside: make(map[K]*FailedError)}
	es.task.Store(t)
	t.SetLabel("limit", es.limit())
	t.Defer(c.ended)
	tree.Register(t, describer[K, M]{c: c})
	es.mu.Lock()
	es.core = c
	es.mu.Unlock()
	return func(_ *actor.Tasklet, r request[K, M]) error { return c.handle(r) }, nil
}

// ended runs when the entities have ended. It handles those that were never started.
func (c *core[K, M]) ended() {
	c.es.mu.Lock()
	c.es.core = nil
	c.es.mu.Unlock()
	for e := range c.all.All() {
		if e.slot == nil {
			c.discard(e)
		}
		own.NotRestarted(e.exit)
	}
}

// discard closes the ref of an entity that was never started, and reports its messages. A slot
// would do that, but cannot be made when the set has ended.
func (c *core[K, M]) discard(e *entity[K, M]) {
	e.ref.Close()
	if n := e.ref.Len(); n > 0 {
		c.t.System().Emit(actor.EventRecord{
			Kind: event.DeadLetter, Path: c.t.Path() + "/" + e.name, Err: mailbox.ErrClosed,
			Message: reflect.TypeFor[M](), Count: n,
			Fields: []zap.Field{zap.String("target", c.t.Path()+"/"+e.name), zap.String("reason", "closed")},
		})
	}
}

func (c *core[K, M]) now() time.Time { return c.t.System().Now() }

func (c *core[K, M]) handle(r request[K, M]) error {
	switch {
	case r.what == toDrain:
		c.drain()
	case r.e.c != c:
		// It belongs to an earlier incarnation of the set, whose entities have ended.
		if r.what == toStop {
			_ = r.reply.Send(c.t, struct{}{})
		}
	case r.what == toStart:
		c.start(r.e)
	case r.what == hasEnded:
		c.childEnded(r.e, r.exit)
	case r.what == toStop:
		c.stop(r.e, r.reply)
	}
	if c.draining && c.all.Empty() {
		return actor.ErrShutdown
	}
	return nil
}

// start starts e, and does not wait for its init.
func (c *core[K, M]) start(e *entity[K, M]) {
	if e.slot == nil {
		slot, err := actor.NewSlot(c.t, actor.ReceiverInitBody(e.ref, e.init), e.ended, c.es.options...)
		if err != nil {
			c.es.mu.Lock()
			c.giveUpLocked(e, err)
			c.es.mu.Unlock()
			c.reportGiveUp(e, actor.Exit{Path: c.t.Path() + "/" + e.name, Kind: reason.Error, Err: err})
			c.finish(e)
			return
		}
		own.Report(slot, own.FailedEnds)
		e.slot = slot
	}
	e.ready.Store(false)
	c.es.mu.Lock()
	e.started = true
	if c.es.spec.Evict && !e.closing {
		e.stamp = c.now()
		c.idle.add(e)
	}
	c.es.mu.Unlock()
	t, err := e.slot.Start(c.async)
	if err != nil && err != errAsync {
		exit, over := t.Exit()
		if !over {
			exit = actor.Exit{Tasklet: t, Path: t.Path(), Kind: actor.KindOf(err), Err: err}
		}
		// Through the queue, so that an entity whose starts fail does not keep the set.
		e.ended(exit)
		return
	}
	if c.draining {
		e.slot.Drain()
	}
}

// init is the init of the tasklet of e.
func (e *entity[K, M]) init(t *actor.Tasklet) (actor.Handler[M], error) {
	es := e.c.es
	if es.spec.Idle > 0 {
		// A closed mailbox takes nothing more, and what has come before the close is handled. So no
		// message is lost, and no lock is needed.
		t.SetIdle(es.spec.Idle, func(*actor.Tasklet) error { e.ref.Close(); return nil })
	}
	h, err := es.spec.Init(t, e.key)
	if err != nil {
		return nil, err
	}
	e.ready.Store(true)
	es.mu.Lock()
	closing := e.closing
	es.mu.Unlock()
	if closing {
		e.ref.Close()
	}
	return h, nil
}

// ended is called on the scheduler of the set when a tasklet of e has ended by itself.
func (e *entity[K, M]) ended(exit actor.Exit) {
	e.exit = exit
	e.c.es.post(request[K, M]{what: hasEnded, e: e, exit: exit})
}

// childEnded handles the end of a tasklet of e: there is another one if there is work for it.
func (c *core[K, M]) childEnded(e *entity[K, M], exit actor.Exit) {
	e.exit = actor.Exit{}
	queued := e.slot.Queued() > 0
	again, last, aside := false, false, false
	c.es.mu.Lock()
	c.idle.remove(e)
	switch {
	case !exit.Kind.Failure() && !e.ready.Load():
		// Its init says that there is no such entity.
	case exit.Kind.Failure() && !c.allowed(e):
		aside = c.giveUpLocked(e, &actor.JoinError{Tasklet: exit.Tasklet, Cause: exit.Err})
	case queued, exit.Kind.Failure() && !e.closing:
		again = true
	default:
		e.closing, last = true, true
	}
	if again && exit.Kind.Failure() {
		c.restarts++
	}
	c.es.mu.Unlock()
	if last {
		e.ref.Close()
		again = e.slot.Queued() > 0 // a message has come before the close
	}
	if again {
		e.restarts++
		if exit.Kind.Failure() {
			c.reportRestart(e, exit)
		}
		e.slot.Restarting(e.restarts, time.Time{})
		c.start(e)
	} else {
		if aside {
			c.reportGiveUp(e, exit)
		} else {
			own.NotRestarted(exit)
		}
		c.finish(e)
	}
}

// allowed counts a failure of e, and reports whether a restart is allowed.
func (c *core[K, M]) allowed(e *entity[K, M]) bool {
	if c.es.spec.Intensity == math.MaxInt {
		return true
	}
	now := c.now()
	for len(e.times) > 0 && now.Sub(e.times[0]) > c.es.spec.Period {
		e.times = e.times[1:]
	}
	e.times = append(e.times, now)
	return len(e.times) <= c.es.spec.Intensity
}

// giveUpLocked puts the key of e aside, unless the next entity of the key is there already, and
// reports whether it did.
func (c *core[K, M]) giveUpLocked(e *entity[K, M], err error) bool {
	if c.live[e.key] != e || c.draining {
		return false
	}
	c.putAside(e, err)
	return true
}

// finish removes e, whose tasklet has ended and which is not restarted. Then it starts the entities
// that have waited for that.
func (c *core[K, M]) finish(e *entity[K, M]) {
	if e.slot != nil {
		e.slot.Retire() // the messages that are left become dead letters
	} else {
		c.discard(e)
	}
	var next []*entity[K, M]
	c.es.mu.Lock()
	c.all.Remove(&e.place)
	if c.live[e.key] == e {
		delete(c.live, e.key)
	}
	if !e.promised {
		c.used--
	}
	for _, heir := range e.heirs {
		if heir.waits--; heir.waits == 0 {
			next = append(next, heir)
		}
	}
	e.heirs = nil
	c.es.mu.Unlock()
	for _, r := range e.stops {
		_ = r.Send(c.t, struct{}{}) // it is no failure if the caller no longer waits
	}
	for _, heir := range next {
		c.start(heir)
	}
}

// stop stops e, and answers when it has ended.
func (c *core[K, M]) stop(e *entity[K, M], reply actor.Reply[struct{}]) {
	c.es.mu.Lock()
	over := !e.place.In()
	started := e.started
	e.closing = true
	c.idle.remove(e)
	c.es.mu.Unlock()
	if over {
		_ = reply.Send(c.t, struct{}{})
		return
	}
	if len(e.stops) == cap(e.stops) { // forget callers that have given up
		waiting := e.stops[:0]
		for _, r := range e.stops {
			if r.Awaited() {
				waiting = append(waiting, r)
			}
		}
		e.stops = waiting
	}
	reply.Delegate(c.t)
	e.stops = append(e.stops, reply)
	if started {
		e.ref.Close()
	} // otherwise it closes after its init, so that it handles the messages that it has
}

// drain makes all entities handle their messages and end.
func (c *core[K, M]) drain() {
	c.es.mu.Lock()
	c.draining = true
	for e := range c.all.All() {
		e.closing = true
	}
	c.es.mu.Unlock()
	for e := range c.all.All() {
		if e.slot != nil {
			e.slot.Drain()
		}
	}
}

// describer describes a set to the tree, which finds the entities by itself.
type describer[K comparable, M any] struct {
	own.Mark // Describe neither fails nor blocks
	c        *core[K, M]
}

// Describe implements tree.Supervisor. The keys that are put aside are children without a tasklet.
func (d describer[K, M]) Describe(child func(tree.Child)) tree.Supervision {
	d.c.es.mu.RLock()
	defer d.c.es.mu.RUnlock()
	now := d.c.now()
	for _, a := range d.c.asides {
		if f := d.c.aside[a.key]; f != nil && f.Until.Equal(a.until) && now.Before(f.Until) {
			child(tree.Child{ID: f.Name, Restarts: d.c.es.spec.Intensity, Last: f.last(), LastAt: f.Until.Add(-d.c.es.spec.Backoff)})
		}
	}
	return tree.Supervision{Max: math.MaxInt, Restarts: d.c.restarts, Total: d.c.restarts}
}
