package entity

import (
	"context"
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
)

// Send sends m to the entity of key, and starts the entity if there is none. It does not wait for
// the start: the message waits in the mailbox. While the mailbox is full, Send parks the calling
// tasklet, or blocks the calling goroutine, as actor.Ref.Send does.
//
// Send returns a *FullError if the set is full, a *FailedError while the key is put aside,
// mailbox.ErrClosed if the set drains or has ended, and the errors of actor.Ref.Send. If the error
// is not nil, m was not sent. A context that has ended starts no entity: then Send returns
// ErrTimeout or the cause of ctx. Inside a tasklet, ctx must belong to it.
func (es *Entities[K, M]) Send(ctx context.Context, key K, m M) error {
	e, err := es.get(ctx, key)
	for err == nil {
		if err = e.ref.Send(ctx, m); err != mailbox.ErrClosed {
			return err
		}
		e, err = es.next(ctx, key, e)
	}
	return err
}

// TrySend is like Send, but never waits: it returns mailbox.ErrFull where Send would wait.
func (es *Entities[K, M]) TrySend(ctx context.Context, key K, m M) error {
	e, err := es.get(ctx, key)
	for err == nil {
		if err = e.ref.TrySend(ctx, m); err != mailbox.ErrClosed {
			return err
		}
		e, err = es.next(ctx, key, e)
	}
	return err
}

// Call sends a request to the entity of key, and waits for the answer, as actor.Call does. It
// starts the entity if there is none. It returns the errors of Entities.Send, and those of
// actor.Call. If the entity fails too often while the request is queued, Call returns a
// *FailedError. msg may be called more than once, each time with another reply; only the last
// request was sent.
func Call[K comparable, M, R any](ctx context.Context, es *Entities[K, M], key K, msg func(actor.Reply[R]) M) (v R, err error) {
	e, err := es.get(ctx, key)
	with := ctx
	if actor.Current(ctx) == nil {
		with = own.KeepCell{Context: ctx}
	}
	for err == nil {
		var reply actor.Reply[R]
		v, err = actor.Call(with, e.ref, func(r actor.Reply[R]) M {
			reply = r
			return msg(r)
		})
		if err != mailbox.ErrClosed {
			return v, err
		}
		if !own.Refused(reply) { // the request was queued, or the handler has given this error
			if failed := es.failure(key); failed != nil {
				err = failed
			}
			return v, err
		}
		e, err = es.next(ctx, key, e)
	}
	return v, err
}

// Stop stops the entity of key when it has handled the messages in its mailbox, and returns when it
// has ended. A message that comes later starts the next incarnation. If key is put aside, Stop ends
// that, so that the next message starts the entity. Stop has no effect if key has no entity.
//
// If ctx ends first, Stop returns ErrTimeout or the cause of ctx, and the entity still stops. Stop
// returns mailbox.ErrClosed or a *actor.JoinError if the set has ended. An entity must not stop
// itself with Stop, which returns an error; its handler returns actor.ErrStop.
func (es *Entities[K, M]) Stop(ctx context.Context, key K) error {
	own.MustSend(ctx)
	checkHash(key)
	es.mu.Lock()
	c := es.core
	if c == nil {
		es.mu.Unlock()
		return mailbox.ErrClosed
	}
	delete(c.aside, key)
	e := c.live[key]
	es.mu.Unlock()
	if e == nil {
		return nil
	}
	if t := actor.Current(ctx); t != nil && t == e.ref.Tasklet() {
		return errOwn
	}
	_, err := actor.Call(ctx, es.ref, func(r actor.Reply[struct{}]) request[K, M] {
		return request[K, M]{what: toStop, e: e, reply: r}
	})
	return err
}

// Ref returns the ref of the entity of key, and makes the entity if there is none, as
// [Entities.Send] does: it is started, or about to be. It never parks. The ref lives over restarts.
// It is closed when the entity stops; then Ref returns another one. Send and [Call] do that by
// themselves. Ref returns the errors of Send, except those of a full mailbox.
func (es *Entities[K, M]) Ref(ctx context.Context, key K) (actor.Ref[M], error) {
	e, err := es.get(ctx, key)
	if err == nil && e.ref.IsClosed() {
		e, err = es.next(ctx, key, e)
	}
	if err != nil {
		return actor.Ref[M]{}, err
	}
	return e.ref, nil
}

// get returns the entity of key, and makes it if there is none. It is the fast path of a send.
func (es *Entities[K, M]) get(ctx context.Context, key K) (*entity[K, M], error) {
	checkHash(key)
	es.mu.RLock()
	if c := es.core; c != nil {
		if e := c.live[key]; e != nil {
			es.mu.RUnlock()
			return e, nil
		}
	}
	es.mu.RUnlock()
	return es.next(ctx, key, nil)
}

// checkHash panics, as a map does, if key is an interface with a value that cannot be hashed. That
// must not happen while Entities.mu is held.
func checkHash[K comparable](key K) {
	var none map[K]struct{}
	_ = none[key]
}

// next returns the entity of key after closed, which takes no messages any more. closed is nil if
// key had no entity. If there is no entity, or it is still closed, next makes one.
func (es *Entities[K, M]) next(ctx context.Context, key K, closed *entity[K, M]) (*entity[K, M], error) {
	// What is wrong with the call is found before an entity is made for it.
	own.MustSend(ctx)
	if key != key {
		panic(fmt.Sprintf("entity: a send to the key %v, which is not equal to itself, so that its entity could not be found again", key))
	}
	if err := own.Ended(ctx); err != nil {
		return nil, err // nobody would wait for the entity
	}
	name := es.name(key)
	if es.ref.IsClosed() {
		return nil, mailbox.ErrClosed // the set was given up, and nobody would start the entity
	}
	es.mu.Lock()
	e, victim, err := es.make(key, name, closed)
	es.mu.Unlock()
	// A close is an event, and the user's hook for events may send to the set.
	if victim != nil {
		victim.ref.Close()
	}
	if closed != nil && err == nil {
		closed.ref.Close()
	}
	if e != nil && e.first.CompareAndSwap(true, false) {
		es.post(request[K, M]{what: toStart, e: e})
	}
	return e, err
}

// make makes an entity for key, if it has none but closed. It returns the entity that it has chosen
// to be evicted for it, or nil. es.mu must be held.
func (es *Entities[K, M]) make(key K, name string, closed *entity[K, M]) (e, victim *entity[K, M], err error) {
	c := es.core
	if c == nil || c.draining {
		return nil, nil, mailbox.ErrClosed
	}
	before := c.live[key]
	switch {
	case before != nil && before != closed:
		return before, nil, nil
	case before != nil && !before.started:
		return nil, nil, mailbox.ErrClosed // it will never be started
	case before == nil:
		if err := c.failure(key); err != nil {
			return nil, nil, err
		}
	}
	e = &entity[K, M]{c: c, key: key, name: name}
	switch {
	case before != nil && !before.promised:
		before.promised = true
	case c.used < es.spec.MaxLive:
		c.used++
	default:
		if es.spec.Evict {
			victim = c.victim()
		}
		if victim == nil {
			return nil, nil, &FullError{Set: c.t.Path(), Limit: es.spec.MaxLive}
		}
		victim.closing, victim.promised = true, true
		victim.heirs = append(victim.heirs, e)
		e.waits++
	}
	if before != nil {
		before.closing = true
		c.idle.remove(before)
		before.heirs = append(before.heirs, e)
		e.waits++
	}
	opts := []actor.Option{actor.Name(name), actor.Overflow(es.spec.Overflow)}
	if n := es.spec.MailboxLen; n > 0 {
		opts = append(opts, actor.MailboxLen(n))
	}
	e.ref = actor.NewRef[M](opts...)
	e.first.Store(e.waits == 0)
	e.place.V = e
	c.all.Add(&e.place)
	c.live[key] = e
	return e, victim, nil
}

// post sends the set a request. It fails only if the set has ended, which handles its entities
// then.
func (es *Entities[K, M]) post(r request[K, M]) { _ = es.ref.TrySend(context.Background(), r) }

// failure returns the *FailedError of key if it is put aside, or nil.
func (es *Entities[K, M]) failure(key K) error {
	es.mu.Lock()
	defer es.mu.Unlock()
	if es.core == nil {
		return nil
	}
	return es.core.failure(key)
}

// maxAside is the largest number of keys that are put aside. It bounds the memory; the key that was
// put aside first is forgotten first.
const maxAside = 1000

// failure is [Entities.failure] with Entities.mu held.
func (c *core[K, M]) failure(key K) error {
	f := c.aside[key]
	switch {
	case f == nil:
		return nil
	case c.now().Before(f.Until):
		return f
	}
	delete(c.aside, key)
	return nil
}

// asideKey is a key that was put aside until a time.
type asideKey[K comparable] struct {
	key   K
	until time.Time
}

// putAside puts the key of e aside because of err. Entities.mu must be held.
func (c *core[K, M]) putAside(e *entity[K, M], err error) {
	now := c.now()
	for len(c.asides) > 0 && (len(c.asides) >= maxAside || !now.Before(c.asides[0].until)) {
		first := c.asides[0]
		if f := c.aside[first.key]; f != nil && f.Until.Equal(first.until) {
			delete(c.aside, first.key)
		}
		c.asides[0] = asideKey[K]{}
		c.asides = c.asides[1:]
	}
	f := &FailedError{Name: e.name, Until: now.Add(c.es.spec.Backoff), Cause: err}
	c.aside[e.key] = f
	c.asides = append(c.asides, asideKey[K]{e.key, f.Until})
}
