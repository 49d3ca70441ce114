package actor

import "reflect"

// This file finds the type of the message in hand for reports. Where messages are of an interface
// type, "any" for one, it is that of the value; the type of the mailbox says nothing.

// typeInHand is the type of the message that i handles, or has handled last. Only of an instance
// that has one in hand.
func typeInHand(i instance) reflect.Type {
	if h, ok := i.(interface{ typeInHand() reflect.Type }); ok {
		if t := h.typeInHand(); t != nil {
			return t
		}
	}
	return messageType(i)
}

// isInterface reports whether M is an interface type.
func isInterface[M any]() bool { return reflect.TypeFor[M]().Kind() == reflect.Interface }

// typed gives an instance that does what h does and, where M is an interface, keeps the type of the
// message in hand.
func (h *handling[M]) typed() instance {
	if !isInterface[M]() {
		return h
	}
	k := &typedHandling[M]{given: h.f}
	k.handling = handling[M]{h.l, k.handle}
	return k
}

// typedHandling is handling of messages each of which has a type of its own. It is apart so that
// others pay nothing for it.
type typedHandling[M any] struct {
	handling[M]
	given func(*Tasklet, M) error
	hand  reflect.Type // of the last message; nil: it was nil. Owned by the scheduler
}

func (k *typedHandling[M]) handle(t *Tasklet, m M) error {
	k.hand = reflect.TypeOf(m)
	return k.given(t, m)
}

func (k *typedHandling[M]) source() any              { return k.given }
func (k *typedHandling[M]) typeInHand() reflect.Type { return k.hand }
func (k *typedHandling[M]) withRetry(n int) instance {
	return (&handling[M]{k.l, k.given}).withRetry(n)
}

func (k *typedHandling[M]) simulate(before func()) instance {
	return (&handling[M]{k.l, before2(before, k.given)}).typed()
}

func (i *initialized[M]) typeInHand() reflect.Type { return i.hand }

// typeInHand is the type of the messages, if it is the same for all.
func (b *batching[M]) typeInHand() reflect.Type {
	if !isInterface[M]() || len(b.buf) == 0 {
		return nil
	}
	first := reflect.TypeOf(b.buf[0])
	for _, m := range b.buf {
		if reflect.TypeOf(m) != first {
			return nil
		}
	}
	return first
}
