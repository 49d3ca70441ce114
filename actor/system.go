package actor

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/internal/core"
)

// Config configures a system for [Run] and [Start]. The zero value is ready to use.
type Config struct {
	// Name is the name of the root tasklet, and of the system in log entries. The default is
	// "tasklet". The rules are those of the option Name.
	Name string
	// Schedulers is the number of schedulers, each on a goroutine of its own. 0 means 1. A child
	// runs on the scheduler of its parent unless OnScheduler or Spread says otherwise. Tasklets of
	// different schedulers run at the same time, so they must not share memory; they exchange
	// messages.
	Schedulers int
	// Logger gets the events. If it is nil, warnings and errors go to standard error as text. Use
	// zap.NewNop() for no log, and SlogCore for log/slog. It is called on the same goroutine as
	// OnEvent, and treated in the same way if it panics, calls runtime.Goexit or blocks: see
	// event.LogPanic and event.LogStall. A slow sink slows down the tasklets that log.
	//
	// Events have neither the caller nor the stack trace that a logger may add, because both would
	// show the library's own code.
	//
	// The logger should have no sampler, as that of zap.NewProductionConfig has: a sampler drops
	// entries by hashes of their messages, even the first of a kind, and does not report it. To
	// remove it, set Config.Sampling of zap to nil. The system itself limits floods.
	Logger *zap.Logger
	// Clock is the clock of sleeps, timeouts and log times. nil means the real clock. See
	// scheduler.NewVirtualClock.
	Clock core.Clock
	// Seed, if not 0, is the number from which the order of ready tasklets and the IDs are drawn.
	// With one scheduler and a virtual clock, the same seed produces the same run. Several
	// schedulers run in an order that the machine decides.
	Seed uint64
	// StallAfter is the time for which a tasklet may keep its scheduler before that is reported. 0
	// means 100 ms, or never with a virtual clock. A negative value means never.
	StallAfter time.Duration
	// OnEvent is called for all events, in order, one call at a time, on a goroutine that belongs
	// to no tasklet. It may kill, close and start goroutines. It should be quick, because
	// schedulers wait for it. It cannot park a tasklet: a blocking call with a tasklet's context
	// panics, which is reported. If OnEvent panics for another reason or calls runtime.Goexit, it
	// is not called again. If it has not returned after about a second, the system continues
	// without it until it does. See event.HookPanic and event.HookStall.
	OnEvent func(EventRecord)
	// Around, if it is not nil, is a hook around each call of a handler of the system. It is
	// outside those of the option Around. With several schedulers it is called on all of them at
	// the same time. See [Hook].
	Around Hook
	// Measure measures the calls of handlers, with their hooks, the time that messages are in
	// mailboxes, and the time in which a scheduler has work. Package actor/stats and trees show the
	// numbers. Without it, nothing is measured and it costs nothing. A call that takes less than
	// 4 µs is measured with a probability of 1/2 to 1/64, and a message likewise, so that a message
	// costs 4 to 8 ns more. Handlers are measured if Around applies to them, and all mailboxes.
	Measure bool
	// ProfileLabels puts the profiler labels "tasklet" and "kind" on the goroutine of a tasklet
	// while it runs, so that a CPU profile can be read by tasklet, for example with
	// go tool pprof -tagfocus. A tasklet that is parked in the middle of a call keeps them, so a
	// goroutine profile has them too. "tasklet" is the path with "*" for the numbers at the end of
	// names, as in /shop/worker#*, and "kind" is the kind of the body. The number of names under
	// one place and that of all label sets are bounded. Further tasklets have the name "*", and
	// finally the path "(other)". Labels that a tasklet sets with pprof.Do are added.
	ProfileLabels bool
	// Simulation is for package actortest. If it is nil nothing is simulated. It requires a Seed
	// and a virtual clock.
	Simulation *Simulation
}

// System is a tree of tasklets with the schedulers that run them. [Start] makes a System that runs
// beside the rest of a program, and [Run] makes one that is the whole program. Its methods may be
// called from any goroutine unless they say otherwise.
type System struct {
	// Set when the system is made, then read-only.
	name    string
	id      uuid.UUID // the first half is the system's; each tasklet fills in the second
	ctx     context.Context
	plain   context.Context // a context like ctx that is never done, for Await
	hosts   []*host         // the schedulers; the root and the node of the daemons run on the first
	root    *Tasklet
	daemons *Tasklet // the hidden node over the daemons
	log     *zap.Logger
	start   time.Time
	real    bool          // the clock is not virtual
	sim     *Simulation   // nil except in tests
	around  Hook          // may be nil
	measure bool          // Config.Measure
	labels  *labelSets    // nil without Config.ProfileLabels
	done    chan struct{} // closed when the goroutines of all schedulers have ended
	rand    *rand.Rand    // nil without a seed

	// stopping is closed when the stop of the root begins: its body has ended, or it was killed.
	// The kill has no effect as long as a tasklet holds the scheduler.
	stopping     chan struct{}
	stoppingOnce sync.Once

	events events

	counts counts
	meters atomic.Uint32 // the number of meters made; atomic because starts may be on any goroutine

	cells sync.Map // of reflect.Type to *sync.Pool: see pooledCell

	// letters has the receivers of dead letters, or is nil if there are none. Atomic: replaced
	// under mu, and read by every goroutine that loses a message and at every step of a receiver.
	letters atomic.Pointer[[]*letterBox]

	// mu protects the links of the tree in all tasklets, and the following. It is held for a few
	// instructions, and only at starts and ends.
	mu     sync.Mutex
	lastID uint64
	kinds  map[string]struct{} // the kinds that have sums of their own; see countedKind
	walks  *walk               // the walks over children that have released mu and will continue
	leaked []Leak
	// detached has the tasklets that were taken out of the tree and have not finished, in order.
	detached []*Tasklet
	attached map[any]any
	fatal    error // part of what Run returns
}

// maxSchedulers is more than the number of processors of any machine.
const maxSchedulers = 1024

// source returns the source of System.Rand.
func source(cfg Config) rand.Source {
	src := rand.NewPCG(cfg.Seed, 1)
	if cfg.Schedulers > 1 {
		return &lockedSource{src: src}
	}
	return src
}

// lockedSource is a source that several goroutines may use.
type lockedSource struct {
	mu  sync.Mutex
	src rand.Source // mu protects
}

func (l *lockedSource) Uint64() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.src.Uint64()
}

// Root returns the root tasklet. It is main under Run, and a tasklet without a body under Start.
func (s *System) Root() *Tasklet { return s.root }

// Name returns the name of the system, as given in Config.
func (s *System) Name() string { return s.name }

// Now returns the time of the system's clock.
func (s *System) Now() time.Time { return s.hosts[0].sched.Now() }

// Schedulers returns the number of schedulers. OnScheduler takes the numbers from 0 to one less.
func (s *System) Schedulers() int { return len(s.hosts) }

// Rand returns a random generator that is seeded with Config.Seed, so that the run can be repeated,
// or nil without a seed. It must be used only inside the system's tasklets.
func (s *System) Rand() *rand.Rand { return s.rand }

// beginStop makes wait look for a tasklet that holds the scheduler.
func (s *System) beginStop() { s.stoppingOnce.Do(func() { close(s.stopping) }) }

// addFatal makes err a part of the error of Run, and reports whether it is the first.
func (s *System) addFatal(err error) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = s.fatal == nil
	s.fatal = joinErrors(s.fatal, err)
	return first
}

func (s *System) stopHosts() {
	for _, h := range s.hosts {
		h.sched.Stop()
	}
}

// Virtual reports whether s has a virtual clock. In such a system, Go's own timers measure another
// time.
func (s *System) Virtual() bool { return s.hosts[0].sched.Virtual() }
