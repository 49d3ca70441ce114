package work

import (
	"fmt"
	"reflect"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/flow"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// A Spec describes a queue. Exactly one of Handle, Init and Batch must be set. The zero values of
// the other fields are the defaults.
type Spec[M any] struct {
	Name    string // of the tasklet of the queue; if "", it is derived: "work-queue#n"
	Workers int    // the number of workers; 0 means 1

	// Handle handles one message, inside the tasklet of a worker. The package comment says what an
	// error or a panic means. Handle may park, and then other workers continue.
	Handle actor.Handler[M]
	// Init is for workers with state, such as a connection. It makes the state of one worker and
	// returns the handler that uses it. It is called at each start of a worker. If it fails in the
	// first start, so does the start of the queue; later it is tried again as Restart says.
	Init func(t *actor.Tasklet) (actor.Handler[M], error)
	// Batch makes the workers handle several messages at a time.
	Batch *Batch[M]

	// Cap is the number of messages that may be queued. 0 means mailbox.DefaultCap.
	Cap int
	// Policy says what a send does when the queue is full, as for a mailbox. DropOldest drops the
	// oldest message that was not tried yet, or the new one if there is none. Unbounded is refused.
	Policy mailbox.Policy
	// Retry says how often a message or batch is tried, and how long the pauses are. If returns
	// whether an error that a handler has returned is worth another try; a panic and a kill always
	// are.
	Retry flow.Retry
	// Dead gets the messages that have used up their tries. The queue does not wait for room: if
	// TrySend returns an error, it is repeated with the pauses of Retry, at most Retry.Attempts
	// times in all. After that, or at once if Dead is closed or nil, the loss is reported.
	Dead actor.Sender[Dead[M]]

	// Restart limits how often in a row a worker is started again that has ended without having
	// taken a message, such as one whose Init fails, and says how long the pauses are. After that
	// many ends the queue fails with supervisor.ErrIntensity, and it is for the supervisor above to
	// act. 0 for Attempts means 10. A worker that has taken a message since its start is started
	// again at once: the tries of its messages limit that.
	Restart flow.Retry
	// Shutdown is the time that all workers together have to end when the queue is stopped; see
	// actor.Shutdown. 0 means 5 s.
	Shutdown time.Duration
	// Spread puts the workers on all schedulers of the system in turn. Otherwise they are on the
	// scheduler of the queue.
	Spread bool
}

// A Batch describes the handling of several messages at a time. Exactly one of Handle and Init must
// be set.
type Batch[M any] struct {
	Max int // the largest number of messages in a batch; it must be positive
	// Wait is the longest time for which a batch that is not full waits for more messages. 0 takes
	// the messages that are there.
	Wait time.Duration
	// Handle handles a batch. It may change the slice, which is valid until Handle returns. If it
	// fails, the same messages are tried again as a batch.
	Handle actor.Handler[[]M]
	// Init is as in Spec.
	Init func(t *actor.Tasklet) (actor.Handler[[]M], error)
	// Split makes a batch that has used up its tries fall into single messages, each of which has
	// all tries again. So one bad message does not take the others with it.
	Split bool
}

// Dead is what Spec.Dead gets: a message, or a batch, that has used up its tries.
type Dead[M any] struct {
	Messages []M
	Tries    int    // including those in a batch that was split
	Err      error  // of the last try: the handler's, a *actor.PanicError, ErrGoexit, or ErrKilled
	Worker   string // the path of the worker that made the last try
}

// defaultRestarts is the default of Spec.Restart.Attempts.
const defaultRestarts = 10

// defaultShutdown is the default of Spec.Shutdown.
const defaultShutdown = 5 * time.Second

// checked returns s with the defaults, or a *supervisor.SpecError.
func (s Spec[M]) checked() (Spec[M], error) {
	bad := func(field, rule string) (Spec[M], error) {
		return Spec[M]{}, &supervisor.SpecError{Field: "work.Spec." + field, Rule: rule}
	}
	ways := 0
	for _, is := range []bool{s.Handle != nil, s.Init != nil, s.Batch != nil} {
		if is {
			ways++
		}
	}
	switch {
	case ways != 1:
		return bad("Handle", fmt.Sprintf("is one of Handle, Init and Batch, of which exactly one must be set: %d are", ways))
	case s.Workers < 0:
		return bad("Workers", "is negative")
	case s.Cap < 0:
		return bad("Cap", "is negative")
	case s.Cap > mailbox.MaxCap:
		return bad("Cap", fmt.Sprintf("is above mailbox.MaxCap, %d", mailbox.MaxCap))
	case s.Policy > mailbox.DropOldest:
		return bad("Policy", "must be Block, Fail, DropNewest or DropOldest: the queue is bounded")
	case s.Shutdown < actor.Infinity:
		return bad("Shutdown", "is negative")
	}
	if b := s.Batch; b != nil {
		switch {
		case (b.Handle != nil) == (b.Init != nil):
			return bad("Batch.Handle", "and Batch.Init: exactly one of the two must be set")
		case b.Max <= 0:
			return bad("Batch.Max", "must be positive")
		case b.Wait < 0:
			return bad("Batch.Wait", "is negative")
		}
		own := *b
		s.Batch = &own
	}
	setDefault(&s.Workers, 1)
	setDefault(&s.Cap, mailbox.DefaultCap)
	setDefault(&s.Shutdown, defaultShutdown)
	setDefault(&s.Restart.Attempts, defaultRestarts)
	var err error
	if s.Retry, err = s.Retry.Checked(); err != nil {
		return bad("Retry", "is invalid: "+err.Error())
	}
	if s.Restart, err = s.Restart.Checked(); err != nil {
		return bad("Restart", "is invalid: "+err.Error())
	}
	if s.Restart.If != nil {
		return bad("Restart.If", "is set: every end counts")
	}
	return s, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// batchMax is the largest number of messages in the hands of one worker.
func (s *Spec[M]) batchMax() int {
	if s.Batch != nil {
		return s.Batch.Max
	}
	return 1
}

// wait is the time for which a batch that is not full waits.
func (s *Spec[M]) wait() time.Duration {
	if s.Batch != nil {
		return s.Batch.Wait
	}
	return 0
}

// handlerOf returns the handler of one worker for what it has in hand. Hooks and carriers apply to
// it, and not to the bells that the worker's tasklet receives.
func (s *Spec[M]) handlerOf(t *actor.Tasklet) (func(*actor.Tasklet, []M) error, error) {
	one := s.Handle
	around := own.Around(t, reflect.TypeFor[M]())
	switch {
	case s.Init != nil:
		h, err := s.Init(t)
		if err != nil {
			return nil, err
		}
		if one = h; h == nil {
			panic("work: Spec.Init has returned no handler")
		}
	case s.Batch != nil:
		h := s.Batch.Handle
		if s.Batch.Init != nil {
			var err error
			if h, err = s.Batch.Init(t); err != nil {
				return nil, err
			}
			if h == nil {
				panic("work: Batch.Init has returned no handler")
			}
		}
		var buf []M // h may change what it gets
		return func(t *actor.Tasklet, ms []M) error {
			buf = append(buf[:0], ms...)
			defer clear(buf)
			if around != nil {
				return around(buf, func() error { return h(t, buf) })
			}
			return h(t, buf)
		}, nil
	}
	if around != nil {
		return func(t *actor.Tasklet, ms []M) error {
			return around(ms[0], func() error { return one(t, ms[0]) })
		}, nil
	}
	return func(t *actor.Tasklet, ms []M) error { return one(t, ms[0]) }, nil
}

func messageType[M any]() reflect.Type { return reflect.TypeFor[M]() }
