package entity

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// Spec describes a set of entities. Only Init is required.
type Spec[K comparable, M any] struct {
	Name string // of the tasklet of the set; if "", it is derived, such as "entities#n"
	// Init makes the state of the entity of key, and returns the handler that uses it. It is called
	// inside the entity's tasklet at each start and restart, and may park; the inits of different
	// entities do not wait for each other. An error is a failure of the entity, as an error of the
	// handler is. actor.ErrStop says that there is no such entity. Then the messages that have
	// started it become dead letters.
	Init func(t *actor.Tasklet, key K) (actor.Handler[M], error)
	// Label returns the name of the tasklet of key, which must be different for each key. It is
	// called on the goroutine of a sender, and must not block. The default is fmt.Sprint. Slashes
	// are escaped, and long names are cut.
	Label func(key K) string

	// MaxLive is the largest number of live entities. 0 means 10,000, and supervisor.Unlimited any
	// number.
	MaxLive int
	// Idle is the time without a message after which an entity stops; see actor.IdleAfter. 0 means
	// that no entity stops by itself. An Init that calls SetIdle replaces the idle stop.
	Idle time.Duration
	// Evict makes a full set stop the entity that has been idle the longest, to a millisecond, and
	// has no message. If it is false, or no entity is idle, a send that would start another entity
	// returns a *FullError.
	Evict bool
	// MailboxLen is the capacity of the mailbox of each entity. 0 means mailbox.DefaultCap.
	MailboxLen int
	// Overflow is what a send does if the mailbox of the entity is full. The default is
	// mailbox.Block. With mailbox.Unbounded, MailboxLen must be 0.
	Overflow mailbox.Policy

	// Intensity is the number of restarts of one entity that are allowed within Period, as in
	// supervisor.Spec, with supervisor.NoRestart and supervisor.Unlimited. 0 means 1.
	Intensity int
	Period    time.Duration // 0 means 5 s
	// Backoff is the time for which the key of an entity that fails too often is put aside. 0 means
	// 5 s.
	Backoff time.Duration
	// Shutdown is the time that all entities together have to end when the set is stopped; see
	// actor.Shutdown. 0 means 5 s.
	Shutdown time.Duration
	// Options are the options of each start, such as actor.Spread and actor.Retry.
	Options []actor.Option
}

// Defaults of Spec.
const (
	defaultMaxLive = 10_000
	defaultPeriod  = 5 * time.Second
)

// checked returns s with its defaults, or a *supervisor.SpecError.
func (s Spec[K, M]) checked() (Spec[K, M], error) {
	bad := func(field, rule string) (Spec[K, M], error) {
		return s, &supervisor.SpecError{Field: "entity.Spec." + field, Rule: rule}
	}
	switch {
	case s.Init == nil:
		return bad("Init", "is nil")
	case strings.Contains(s.Name, "/"):
		return bad("Name", "has a slash, which separates the parts of a path")
	case s.MaxLive < 0:
		return bad("MaxLive", "is negative")
	case s.Idle < 0:
		return bad("Idle", "is negative")
	case s.MailboxLen < 0:
		return bad("MailboxLen", "is negative")
	case s.MailboxLen > mailbox.MaxCap:
		return bad("MailboxLen", fmt.Sprintf("is more than %d", mailbox.MaxCap))
	case s.Overflow > mailbox.Unbounded:
		return bad("Overflow", "is not a policy")
	case s.Overflow == mailbox.Unbounded && s.MailboxLen > 0:
		return bad("MailboxLen", "is positive with mailbox.Unbounded, which has no capacity")
	case s.Intensity < supervisor.NoRestart:
		return bad("Intensity", "is negative")
	case s.Period < 0:
		return bad("Period", "is negative")
	case s.Backoff < 0:
		return bad("Backoff", "is negative")
	case s.Shutdown < actor.Infinity:
		return bad("Shutdown", "is negative")
	}
	if s.Label == nil {
		s.Label = func(key K) string { return fmt.Sprint(key) }
	}
	switch s.Intensity {
	case 0:
		s.Intensity = 1
	case supervisor.NoRestart:
		s.Intensity = 0
	}
	s.MaxLive = cmp.Or(s.MaxLive, defaultMaxLive)
	s.Period = cmp.Or(s.Period, defaultPeriod)
	s.Backoff = cmp.Or(s.Backoff, defaultPeriod)
	s.Shutdown = cmp.Or(s.Shutdown, defaultPeriod)
	probe := actor.ReceiverInitBody(actor.NewRef[M](actor.Overflow(s.Overflow)), func(*actor.Tasklet) (actor.Handler[M], error) { return nil, nil })
	if _, err := actor.CheckSlot(probe, s.options()...); err != nil {
		return bad("Options", "are invalid: "+err.Error())
	}
	return s, nil
}

// options returns the options of each start.
func (s *Spec[K, M]) options() []actor.Option {
	if s.Idle == 0 {
		return s.Options
	}
	return append([]actor.Option{actor.IdleAfter(s.Idle, nil)}, s.Options...)
}

// Entities is the handle of a set of entities: one tasklet per key. Use [Start] or [New] to make
// one. Its methods may be called from any goroutine. Their context identifies the caller, as in
// actor.Ref.
type Entities[K comparable, M any] struct {
	// Set when it is made, then read-only.
	spec    Spec[K, M]
	options []actor.Option
	ref     actor.Ref[request[K, M]]
	body    actor.Body

	task atomic.Pointer[actor.Tasklet] // written at each start of the set, read by any goroutine

	mu   sync.RWMutex
	core *core[K, M] // the incarnation of the set, or nil if it does not run; protected by mu
}

// New returns a set that is not started yet. Its Body is put into a supervisor.Spec. New panics
// with a *supervisor.SpecError if spec is invalid.
func New[K comparable, M any](spec Spec[K, M]) *Entities[K, M] {
	es, err := newEntities(spec)
	if err != nil {
		panic(err)
	}
	return es
}

// Start starts a set of entities under p. It returns a *supervisor.SpecError if spec is invalid.
// Inside a tasklet, p must be that tasklet, which parks; an ordinary goroutine passes a
// *actor.System.
func Start[K comparable, M any](p actor.Spawner, spec Spec[K, M]) (*Entities[K, M], error) {
	es, err := newEntities(spec)
	if err != nil {
		return nil, err
	}
	var ctx context.Context = context.Background()
	if t, ok := p.(*actor.Tasklet); ok {
		ctx = t
	}
	if err := actor.StartTasklet(p, es.body).Started(ctx); err != nil {
		return nil, err
	}
	return es, nil
}

func newEntities[K comparable, M any](spec Spec[K, M]) (*Entities[K, M], error) {
	spec, err := spec.checked()
	if err != nil {
		return nil, err
	}
	// The mailbox is unbounded because a sender must not wait for the set while it holds a message,
	// and the end of an entity cannot wait for room. Each entity has one start and one end in it,
	// and each caller of Stop waits for its answer. So the queue is bounded by their numbers.
	opts := []actor.Option{actor.Overflow(mailbox.Unbounded)}
	if spec.Name != "" {
		opts = append(opts, actor.Name(spec.Name))
	}
	es := &Entities[K, M]{spec: spec, options: spec.options(), ref: actor.NewRef[request[K, M]](opts...)}
	own.Work(es.ref, es.notStarted)
	es.body = actor.Supervise(es.ref, actor.Family{Kind: "entities", StopTogether: spec.Shutdown, Drain: es.drain}, es.init)
	return es, nil
}

// Body returns the set as a body, for a child of a supervisor. A set that is restarted has no
// entities at first.
func (es *Entities[K, M]) Body() actor.Body { return es.body }

// Tasklet returns the tasklet of the set: the newest, if the set was restarted, and nil before the
// start.
func (es *Entities[K, M]) Tasklet() *actor.Tasklet { return es.task.Load() }

// Drain ends the set when its entities have handled the messages that were accepted, and waits for
// that; see actor.Tasklet.Drain for its errors. The entities are drained at the same time. During
// the drain, sends return mailbox.ErrClosed. Drain panics if the set was never started.
func (es *Entities[K, M]) Drain(ctx context.Context) error {
	t := es.Tasklet()
	if t == nil {
		panic("entity: Drain of a set that was not started")
	}
	return t.Drain(ctx)
}

// Len returns the number of keys that have an entity. It never waits.
func (es *Entities[K, M]) Len() int {
	es.mu.RLock()
	defer es.mu.RUnlock()
	if es.core == nil {
		return 0
	}
	return len(es.core.live)
}

// Keys returns the keys that have an entity, in the order of its first message. It never waits.
func (es *Entities[K, M]) Keys() []K {
	es.mu.RLock()
	defer es.mu.RUnlock()
	if es.core == nil {
		return nil
	}
	keys := make([]K, 0, len(es.core.live))
	for e := range es.core.all.All() {
		if es.core.live[e.key] == e {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// Get returns the tasklet of key, to examine or to kill it. It returns nil if key has no entity, or
// between two incarnations. Get starts nothing, and never waits. An entity that is killed is
// restarted, as after a failure.
func (es *Entities[K, M]) Get(key K) *actor.Tasklet {
	checkHash(key)
	es.mu.RLock()
	defer es.mu.RUnlock()
	if es.core == nil {
		return nil
	}
	e := es.core.live[key]
	if e == nil {
		return nil
	}
	return e.ref.Tasklet()
}

// notStarted returns the number of messages whose entities have not started: each of them waits for
// the end of another one. The other entities count theirs themselves.
func (es *Entities[K, M]) notStarted() (n int) {
	es.mu.RLock()
	defer es.mu.RUnlock()
	if es.core != nil {
		for e := range es.core.all.All() {
			if !e.started {
				n += e.ref.Len()
			}
		}
	}
	return n
}

// limit returns the limit of live entities, as the tree shows it.
func (es *Entities[K, M]) limit() string {
	if es.spec.MaxLive == math.MaxInt {
		return "none"
	}
	return strconv.Itoa(es.spec.MaxLive)
}

// name returns the name of the tasklet of key. It calls user code.
func (es *Entities[K, M]) name(key K) string {
	name := strings.ReplaceAll(text.Cut(es.spec.Label(key), text.MaxName), "/", `\x2f`)
	return cmp.Or(name, `""`)
}
