package actor

import "reflect"

// This file determines the type of the message in hand, for reports. If messages are of an
// interface type, such as any, it is the type of the value, because that of the mailbox says
// nothing.

// isInterface reports whether M is an interface type.
func isInterface[M any]() bool { return reflect.TypeFor[M]().Kind() == reflect.Interface }

// typed returns an instance that does the same as h. If M is an interface, it also records the type
// of the message in hand.
func (h *handling[M]) typed() instance {
	if !isInterface[M]() {
		return h
	}
	return &typedHandling[M]{handling: handling[M]{h.l, h.f}}
}

// typedHandling is handling for messages of an interface type. It is a type of its own so that
// other receivers pay nothing for it.
type typedHandling[M any] struct {
	handling[M]
	// hand is the type of the last message of a step that is over or has failed, or nil. Owned by
	// the scheduler.
	hand reflect.Type
}

// step is like handling.step. It determines the type when the step is over, in whatever way, and
// not for each message, because that would cost a tenth of a send and its handling.
func (k *typedHandling[M]) step(t *Tasklet) (bool, error) {
	box, f := &k.l.box, k.f
	if t.sys.letters.Load() != nil {
		f = keeping(t, f)
	}
	var m M
	k.hand = nil
	defer func() { k.hand = reflect.TypeOf(m) }()
	for range stepMessages {
		if pending, _ := t.task.Killed(); pending {
			t.takeKill()
			return true, ErrKilled
		}
		var ok bool
		if m, ok = box.Take(); !ok {
			if box.Await(1) {
				return false, nil
			}
			if box.Drained() {
				return true, nil
			}
			continue
		}
		err := f(t, m)
		if err != nil {
			k.hand = reflect.TypeOf(m)
			if done, result := t.failed(err); done {
				return true, result
			}
		}
		box.SettleBy(&t.task, err)
	}
	t.task.Wake()
	return false, nil
}

func (k *typedHandling[M]) typeInHand() reflect.Type { return k.hand }

func (k *typedHandling[M]) wrap(h Hook) instance {
	return (&handling[M]{k.l, around2(h, k.f)}).typed()
}

func (k *typedHandling[M]) timed(m *meter) instance {
	return (&handling[M]{k.l, timed2(m, k.f)}).typed()
}

func (i *initialized[M]) typeInHand() reflect.Type { return i.hand }

// typeInHand returns the type of the messages if all have the same, and nil otherwise.
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
