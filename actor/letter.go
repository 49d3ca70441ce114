package actor

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/own"
)

// A DeadLetter is a message that will not be handled, with what is known about it; see
// [DeadLetters].
type DeadLetter struct {
	// To is the path of the tasklet that should have handled it, or before the first the name of
	// its ref.
	To string
	// Kind is event.MessageLost for a message in hand at a failure, and otherwise event.DeadLetter.
	Kind event.Kind
	// Err is the reason: mailbox.ErrDropped if a full mailbox dropped the message, mailbox.ErrFull
	// if it had no room for a message of a timer, mailbox.ErrClosed if it was queued when nobody
	// was to read it any more, and for a message in hand the error of its handler.
	Err     error
	Message any       // the message itself; of a batch in hand, one of its messages
	Time    time.Time // on the system's clock
}

// DeadLetters makes s hand the messages that it loses from now on to the tasklet of to: those that
// the events dead_letter and message_lost report. Without it these events have only the type and
// the number. If it is called more than once, each receiver gets every message. cancel ends it,
// and may be called more than once. DeadLetters and cancel may be called from any goroutine. A ref
// that no tasklet has read yet belongs to s from then on. DeadLetters panics if s is nil or to is
// the zero Ref.
//
// Nothing waits for the receiver. A dead letter for which its mailbox has no room, or which comes
// when it is closed, is counted: it is itself an event dead_letter, with the path of the receiver,
// the type DeadLetter and a count. The same is true of dead letters that the receiver's mailbox
// drops, or has queued when the receiver ends. A DeadLetter is never the message of another one,
// so losing one causes no other.
//
// A receiver that gets everything outlives those that lose messages. A daemon ends after all other
// tasklets, and in a drain it handles what it has got. A stop kills it, and what it then has
// queued is counted. The tasklet of another system gets that too.
//
// A receiver that sends what it gets on makes new messages, which can be lost again. If it sends
// the message back to the mailbox that dropped it, or the DeadLetter inside another type to a
// mailbox that drops, each loss causes the next one, without end. Such a receiver counts what it
// sends on, and stops.
//
// The message in hand is known only if the tasklet took it after the call of DeadLetters and after
// it had waited for messages or yielded; another one is only counted by its event. So are the
// messages of a mailbox whose scheduler is held by a tasklet when the system gives it up.
func DeadLetters(s *System, to Ref[DeadLetter]) (cancel func()) {
	if s == nil {
		misuse("DeadLetters of a nil *System")
	}
	l := to.must("DeadLetters")
	l.use(s) // so that its own losses are reported
	b := &letterBox{l: l, send: func(d DeadLetter) error { return l.box.TrySend(context.Background(), d) }}
	s.setLetters(func(all []*letterBox) []*letterBox { return append(all, b) })
	return func() {
		s.setLetters(func(all []*letterBox) []*letterBox {
			return slices.DeleteFunc(all, func(other *letterBox) bool { return other == b })
		})
		s.countLetters(b)
	}
}

var deadLetterType = reflect.TypeFor[DeadLetter]()

// loser returns the system that reports the losses of l, or nil as long as only ordinary goroutines
// have used l.
func (l *lineage[M]) loser() *System {
	if t := l.last(); t != nil {
		return t.sys
	}
	return l.system()
}

// WantsMessages implements queue.MessageTaker.
func (l *lineage[M]) WantsMessages() bool {
	s := l.loser()
	return s != nil && s.letters.Load() != nil && l.message() != deadLetterType && !own.Is(l.message())
}

// MessageLost implements queue.MessageTaker.
func (l *lineage[M]) MessageLost(v any, reason error) {
	if s := l.loser(); s != nil {
		s.handOver(DeadLetter{To: l.path(), Kind: event.DeadLetter, Err: reason, Message: v})
	}
}

// hand has the message that a receiver handles, while somebody wants dead letters. It is kept in
// extra.hand, because it must be found after a panic, and when the tasklet is left behind on its
// stack.
type hand[M any] struct {
	m    M
	some bool
}

func (h *hand[M]) take() (m any, ok bool) {
	if ok = h.some; ok {
		m = h.m
		h.drop()
	}
	return m, ok
}

func (h *hand[M]) drop() { *h = hand[M]{} }

// keeping returns a function that does the same as f, the handler of t. It keeps the message in
// hand, so that it can become a dead letter.
func keeping[M any](t *Tasklet, f func(*Tasklet, M) error) func(*Tasklet, M) error {
	x := t.extra()
	h, ok := x.hand.(*hand[M])
	if !ok {
		h = new(hand[M])
		x.hand = h
	}
	return func(t *Tasklet, m M) error {
		h.m, h.some = m, true
		err := f(t, m)
		if err == nil {
			h.drop()
		}
		return err
	}
}

func (h *handling[M]) eachInHand(t *Tasklet, f func(any)) {
	if x := t.ex.Load(); x != nil && x.hand != nil {
		if m, ok := x.hand.take(); ok {
			f(m)
		}
	}
}

func (r *retrying[M]) eachInHand(_ *Tasklet, f func(any)) {
	if r.holds {
		f(r.m)
	}
}

func (b *batching[M]) eachInHand(_ *Tasklet, f func(any)) {
	for _, m := range b.buf {
		f(m)
	}
}
