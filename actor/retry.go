package actor

import (
	"reflect"

	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
)

// retrier is an instance whose message in hand can be handled again.
type retrier interface {
	instance
	// withRetry returns an instance that does so, at most n times for the same message.
	withRetry(n int) instance
	// putBack makes the message in hand the first of the next incarnation. It returns false if the
	// message has had all its tries.
	putBack() bool
}

func (h *handling[M]) withRetry(n int) instance {
	return &retrying[M]{handling: *h, max: n, first: true, typed: isInterface[M]()}
}
func (h *handling[M]) putBack() bool { return false }

func (i *initialized[M]) withRetry(n int) instance {
	if i.family != nil {
		return i // the requests of a supervisor are not messages of its user
	}
	return &retryingInit[M]{retrying: retrying[M]{handling: i.handling, max: n, first: true, typed: isInterface[M]()}, i: i}
}

// retrying is handling that keeps the message in hand, so that it can be put back. It is a type of
// its own because a copy of each message costs time.
type retrying[M any] struct {
	handling[M]
	max   int
	m     M            // the message in hand
	holds bool         // there is a message in hand
	tries int          // how often it was put back
	first bool         // no message was taken yet
	typed bool         // M is an interface
	hand  reflect.Type // the type of m, also when m was put back; nil if not typed

	is     func(M) bool // that of Urgent, or nil
	asking bool         // is is being called, or has failed
}

func (r *retrying[M]) withRetry(n int) instance { r.max = n; return r }

func (r *retrying[M]) inHand() int {
	if r.holds {
		return 1
	}
	return 0
}

func (r *retrying[M]) typeInHand() reflect.Type { return r.hand }

// retryingInit is retrying for a body that has an init function.
type retryingInit[M any] struct {
	retrying[M]
	i *initialized[M]
}

func (r *retryingInit[M]) withRetry(n int) instance { r.max = n; return r }
func (r *retryingInit[M]) source() any              { return r.i.source() }
func (r *retryingInit[M]) init(t *Tasklet) error {
	err := r.i.init(t)
	r.f = r.i.f
	return err
}

func (r *retrying[M]) step(t *Tasklet) (bool, error) {
	box := &r.l.box
	for range stepMessages {
		if pending, _ := t.task.Killed(); pending {
			t.takeKill()
			return true, ErrKilled
		}
		if !r.take(box) {
			if box.Await(1) {
				return false, nil
			}
			if box.Drained() {
				return true, nil
			}
			continue
		}
		err := r.f(t, r.m)
		if err != nil {
			done, result := t.failed(err)
			if done {
				return true, result
			}
		}
		r.drop()
		box.SettleBy(&t.task, err)
	}
	t.task.Wake()
	return false, nil
}

func (r *retrying[M]) take(box *queue.Queue[M]) (ok bool) {
	r.drop() // the last message may have been left by a panic after which the tasklet resumed
	if r.is == nil {
		r.m, ok = box.Take()
	} else {
		r.asking = true
		r.m, ok = box.TakeUrgent(r.is)
		r.asking = false
	}
	if ok {
		r.took()
	}
	return ok
}

// took is called when m was taken.
func (r *retrying[M]) took() {
	r.holds = true
	if r.hand = nil; r.typed {
		r.hand = reflect.TypeOf(r.m)
	}
	if x := r.l.extra(); r.first && x.tries > 0 {
		if x.dropped == r.dropped() { // otherwise the message was dropped to make room
			r.tries = x.tries
		}
		x.tries = 0
	}
	r.first = false
}

// dropped returns the number of messages that the mailbox has dropped from its head.
func (r *retrying[M]) dropped() uint64 {
	if r.l.box.Overflow() != mailbox.DropOldest {
		return 0
	}
	return r.l.box.Stats().Dropped
}

func (r *retrying[M]) drop() {
	var zero M
	r.m, r.holds, r.tries = zero, false, 0
}

func (r *retrying[M]) putBack() bool {
	if !r.holds || r.tries >= r.max {
		return false
	}
	x := r.l.extra()
	x.tries, x.dropped = r.tries+1, r.dropped()
	r.l.box.PutBack(r.m)
	r.drop()
	return true
}
