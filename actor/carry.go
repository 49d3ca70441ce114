package actor

import (
	"context"
	"reflect"
)

// A Carrier is a message that carries values, such as the trace or the number of the request that
// it is a part of. If the messages of a Receiver implement Carrier, Carry is called before each
// call of its handler, and the context that it returns is what [Tasklet.Context] returns during
// that call. So a message type decides what it carries, and has it in fields of its own:
//
//	func (o Order) Carry(ctx context.Context) context.Context {
//		return context.WithValue(ctx, requestKey{}, o.Request)
//	}
//
// A type gets Carry also from a struct that it embeds. Interface types are carriers if Carry is one
// of their methods; then a nil message carries nothing.
//
// ctx belongs to the tasklet that handles the message, and Carry must return ctx or a context that
// is derived from it. Carry counts as a part of the handler: it runs inside the tasklet, outside of
// all hooks, and a panic in it is one of the handler. If it returns a context of another kind, that
// is such a panic.
//
// A BatchReceiver does not call Carry, because its messages may carry different values, and neither
// do Spawn and what reads a mailbox by itself. They call it where they need it.
type Carrier interface {
	Carry(ctx context.Context) context.Context
}

// Context returns the context of the message in hand: the context that its [Carrier] or a [Hook]
// has made of t, or t itself if there is none. It stays the same during a call of the handler, and
// that call may keep it for what it starts. Context must be called inside t.
func (t *Tasklet) Context() context.Context {
	t.mustRun("Context")
	if x := t.ex.Load(); x != nil && x.ctx != nil {
		return x.ctx
	}
	return t
}

// within calls f with ctx as the context of the message in hand.
func (t *Tasklet) within(ctx context.Context, f func() error) error {
	before := t.enter(ctx)
	defer t.leave(before)
	return f()
}

// enter makes ctx the context of the message in hand, and returns the one before, for leave.
func (t *Tasklet) enter(ctx context.Context) (before context.Context) {
	if ctx == nil {
		misuse("nil as the context of a message that %s handles", t.Path())
	}
	switch by := Current(ctx); by {
	case t:
	case nil:
		misuse("the context of a message that %s handles belongs to no tasklet: it must be derived from the one that was given",
			t.Path())
	default:
		misuse("the context of a message that %s handles belongs to %s: it must be derived from the one that was given",
			t.Path(), by.Path())
	}
	x := t.extra()
	before, x.ctx = x.ctx, ctx
	return before
}

func (t *Tasklet) leave(before context.Context) { t.extra().ctx = before }

var carrierType = reflect.TypeFor[Carrier]()

// isCarrier reports whether the messages of type M are carriers. It is called at each start, so it
// avoids reflection and allocation where it can.
func isCarrier[M any]() (ok bool) {
	switch typ := reflect.TypeFor[M](); typ.Kind() {
	case reflect.Interface:
		return typ.Implements(carrierType)
	case reflect.Pointer:
		var m M
		_, ok = any(m).(Carrier)
	default:
		_, ok = any((*M)(nil)).(Carrier)
	}
	return ok
}

// carrying returns a function that calls f with the values of the message in its context. M must be
// a carrier.
func carrying[M any](f func(*Tasklet, M) error) func(*Tasklet, M) error {
	// A message that is passed as a Carrier would be allocated each time. So it is copied to here,
	// and its address is the Carrier. This is not possible for pointers, and not needed.
	room := new(M)
	here, copied := any(room).(Carrier)
	return func(t *Tasklet, m M) error {
		c := here
		if copied {
			*room = m
		} else {
			c, _ = any(m).(Carrier)
		}
		if c == nil {
			return f(t, m)
		}
		ctx := c.Carry(t)
		if copied {
			*room = *new(M) // it is not needed any more, and may be large
		}
		before := t.enter(ctx)
		defer t.leave(before)
		return f(t, m)
	}
}
