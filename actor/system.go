package actor

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor/event"
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
	OnEvent func(Event)
	// Simulation is for package actortest. If it is nil nothing is simulated. It requires a Seed
	// and a virtual clock.
	Simulation *Simulation
}

// System is a tree of tasklets with the schedulers that run them. [Start] makes a System that runs
// beside the rest of a program, and [Run] makes one that is the whole program. Its methods may be
// called from any goroutine unless they say otherwise.
type System struct {
	// Set when it is made, then read-only.
	name    string
	id      uuid.UUID // the first half is the system's; the second is filled in for each tasklet
	ctx     context.Context
	plain   context.Context // ctx that is never done, for Await
	hosts   []*host         // the schedulers; the root and the node of the daemons run on the first
	root    *Tasklet
	daemons *Tasklet // the hidden node over the daemons
	log     *zap.Logger
	start   time.Time
	real    bool          // the clock is not virtual
	sim     *Simulation   // nil except in tests
	done    chan struct{} // closed when the goroutines of all schedulers have ended
	rand    *rand.Rand    // nil without a seed

	// stopping is closed when the stop of the root begins: its body has ended, or it was killed,
	// which has no effect as long as a tasklet holds the scheduler.
	stopping     chan struct{}
	stoppingOnce sync.Once

	events events

	cells sync.Map // of reflect.Type to *sync.Pool: see pooledCell

	// mu protects the tree's links in all tasklets, and the following. It is held for a few
	// instructions, at start and end only.
	mu     sync.Mutex
	lastID uint64
	walks  *walk // those over children that have given up mu and go on
	leaked []Leak
	// tasklets that were taken out of the tree and have not finished, in order
	detached []*Tasklet
	attached map[any]any
	fatal    error // part of what Run returns
}

func newSystem(ctx context.Context, cfg Config, main instance) (*System, error) {
	if cfg.Schedulers < 0 || cfg.Schedulers > maxSchedulers {
		misuse("Config.Schedulers is %d: it must be 1 to %d, or 0 for 1", cfg.Schedulers, maxSchedulers)
	}
	if cfg.Simulation != nil && cfg.Schedulers > 1 {
		misuse("Config.Simulation with %d schedulers: what happens at the same time can't be decided", cfg.Schedulers)
	}
	name := cfg.Name
	if name == "" {
		name = "tasklet"
	}
	name = checkName("Config.Name", name)
	s := &System{name: name, sim: cfg.Simulation, ctx: ctx, plain: context.WithoutCancel(ctx), done: make(chan struct{}), stopping: make(chan struct{})}
	if cfg.Seed != 0 {
		s.rand = rand.New(source(cfg))
		binary.BigEndian.PutUint64(s.id[:], s.rand.Uint64())
	} else {
		id := uuid.New()
		copy(s.id[:8], id[:])
	}
	s.id[6] = s.id[6]&0x0f | 0x80 // version 8: made in a way of its own
	s.makeHosts(cfg)
	s.real = !s.hosts[0].sched.Virtual()
	s.start = s.Now()
	s.events.init(s, cfg)
	s.root = &Tasklet{sys: s, inst: main, phase: living}
	s.root.onFailure = Stop
	s.root.extra().name = name
	s.daemons = &Tasklet{sys: s, inst: nothing("daemons"), phase: living}
	s.daemons.onFailure = Stop
	s.daemons.extra().name = "(daemons)"
	// Any goroutine may start children of these two, so the mark could be missed at the end. It is
	// always set.
	s.root.marks.Store(markParent)
	s.daemons.marks.Store(markParent)
	s.link(s.root, nil, s.hosts[0], false)
	s.link(s.daemons, nil, s.hosts[0], false)
	return s, nil
}

// maxSchedulers is more than any machine has processors.
const maxSchedulers = 1024

// makeHosts makes the schedulers. Several of them form a team with one clock.
func (s *System) makeHosts(cfg Config) {
	sc := core.Config{Clock: cfg.Clock, StallAfter: cfg.StallAfter, Labels: s.plain, CheckThreads: cfg.Simulation != nil && cfg.Simulation.CheckThreads}
	if cfg.Schedulers > 1 {
		sc.Team = new(core.Team)
	}
	if sc.Clock == nil {
		sc.Clock = core.RealClock()
	}
	for n := range max(1, cfg.Schedulers) {
		h := &host{sys: s, n: n, done: make(chan struct{})}
		sc.Owner, sc.Hooks = h, s.hooks(h)
		if cfg.Seed != 0 {
			sc.Seed = cfg.Seed + uint64(n)
		}
		h.sched = core.New(sc)
		s.hosts = append(s.hosts, h)
	}
}

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

// Run runs main as the root tasklet of a new system. It returns when main and all tasklets below it
// have finished, with main's own error.
//
// When ctx is done the tree is stopped; if ctx is done from the start main is not called. If main
// unwinds because ctx is done, the error is context.Cause(ctx). If tasklets could not be stopped, a
// *StopError that names them is joined to the error. With a virtual clock, a system in which
// nothing can ever happen again is an error too: main is killed, with a *DeadlockError as its
// result.
//
// Tasklets begin with the profiler labels of ctx (see runtime/pprof.Do). Changes that a tasklet
// makes to the labels, or by debug.SetPanicOnFault, end with its activation. Run panics if ctx is
// nil or cfg is invalid.
func Run(ctx context.Context, cfg Config, main func(t *Tasklet) error) error {
	if ctx == nil {
		misuse("Run with a nil context")
	}
	mustFunc("Run", main != nil)
	s, err := newSystem(ctx, cfg, function(main))
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		s.stopRoot() // before it can begin
	}
	s.loop()
	s.hosts[0].sched.InjectFunc(func() { s.root.arrive(nil) })
	unhook := context.AfterFunc(ctx, s.stopRoot)
	defer unhook()
	stopErr := s.wait(context.Background()) // no limit
	err = s.root.result()
	if err == ErrKilled && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return joinErrors(err, stopErr)
}

// Start starts a system without a main in the background. Its root has no body, and any goroutine
// that has the System can start tasklets under it, until [System.Stop].
func Start(cfg Config) (*System, error) {
	s, err := newSystem(context.Background(), cfg, nothing("system"))
	if err != nil {
		return nil, err
	}
	s.loop()
	return s, nil
}

// loop starts the schedulers.
func (s *System) loop() {
	s.emit(Event{Kind: event.SystemStart, Tasklet: s.root})
	for _, h := range s.hosts[1:] {
		go h.run()
	}
	go func() {
		defer close(s.done)
		s.hosts[0].run()
		for _, h := range s.hosts[1:] {
			<-h.done
		}
		s.emit(Event{Kind: event.SystemStop, Tasklet: s.root})
		s.events.flush()
	}()
}

// Root returns the root tasklet. It is main under Run, and a tasklet without a body under Start.
func (s *System) Root() *Tasklet { return s.root }

// Name returns the name of the system, as given in Config.
func (s *System) Name() string { return s.name }

// Daemons returns the tasklets that were started with Daemon and have not finished.
func (s *System) Daemons() []*Tasklet { return s.daemons.Children() }

// Now returns the time of the system's clock.
func (s *System) Now() time.Time { return s.hosts[0].sched.Now() }

// Schedulers returns the number of schedulers. OnScheduler takes 0 to one less.
func (s *System) Schedulers() int { return len(s.hosts) }

// Rand returns a random generator that is seeded with Config.Seed, for a run that is to be
// repeated, or nil without a seed. It must be used only inside the system's tasklets.
func (s *System) Rand() *rand.Rand { return s.rand }

// link puts t into the tree, to run on h. It returns false if its parent is ending and accepts no
// more children. It may be called from any goroutine; inside says that the parent itself is running
// and calls it.
func (s *System) link(t, parent *Tasklet, h *host, inside bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	t.task.Init(h.sched, s.lastID, (*runner)(t))
	t.parent = parent
	if parent == nil {
		return true
	}
	if parent.marks.Load()&markOver != 0 && (!inside || parent.phase >= stopping) {
		return false // a parent that was killed hard and unwinds may still start children
	}
	if parent.started++; parent.started == 1 {
		parent.marks.Or(markParent)
	}
	t.num = parent.started
	h.tasklets++
	if sl := t.slot(); sl != nil {
		sl.occupy(t)
		return true
	}
	insert(t)
	return true
}

// insert links t behind its parent's children.
func insert(t *Tasklet) {
	t.linked, t.prev = true, t.parent.last
	relink(t)
}

// relink makes the siblings that t is linked to link back to t.
func relink(t *Tasklet) {
	if t.prev == nil {
		t.parent.first = t
	} else {
		t.prev.next = t
	}
	if t.next == nil {
		t.parent.last = t
	} else {
		t.next.prev = t
	}
}

// unlink takes t out of its parent's children.
func unlink(t *Tasklet) {
	t.sys.moveWalks(t, t.next)
	if t.prev == nil {
		t.parent.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		t.parent.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.linked = nil, nil, false
}

// leave makes the end of t visible to all observers in one step: t is out of the tree and has
// finished, and the event for that comes before the events of all that have seen it. leave returns
// the marks from before.
func (s *System) leave(t *Tasklet, exit Exit, tell bool) (before uint32) {
	s.mu.Lock()
	s.takeOut(t)
	before = t.marks.Or(markFinished | markOver)
	if before&markLeaked != 0 { // it was left behind, and has ended after all
		s.detached = slices.DeleteFunc(s.detached, func(d *Tasklet) bool { return d == t })
	}
	if tell = tell && s.wantsExit(t, exit.Kind); tell {
		s.emitLater(exitEvent(t, exit))
	}
	s.mu.Unlock()
	if tell {
		s.emitNow()
	}
	return before
}

// unlink takes t out of the tree.
func (s *System) unlink(t *Tasklet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeOut(t)
}

// takeOut is unlink. mu must be held.
func (s *System) takeOut(t *Tasklet) {
	if t.parent == nil || !t.linked {
		return
	}
	if sl := t.slot(); sl != nil {
		sl.vacate(t)
	} else {
		unlink(t)
	}
	t.host().tasklets--
}

// finished is called when t has finished. It ends the system after the root and the daemons.
func (s *System) finished(t *Tasklet) {
	switch t {
	case s.root:
		s.daemons.marks.Or(markStopped)
		s.daemons.task.Kill(false)
	case s.daemons:
		s.stopHosts()
	}
}

// takeAway removes t, which does not end, from the tree, and records it with its path for
// StopError. The tasklets below it stay there.
func (s *System) takeAway(t *Tasklet, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeOut(t)
	s.leaked = append(s.leaked, Leak{Path: path})
	if t.parent != nil && !t.HasFinished() { // it may have finished at the last moment
		s.detached = append(s.detached, t)
	}
}

// findID returns the tasklet with this number, if it is in the tree.
func (s *System) findID(id uint64) *Tasklet {
	for _, top := range []*Tasklet{s.root, s.daemons} {
		for t := range top.Tree() {
			if t.task.ID() == id {
				return t
			}
		}
	}
	return nil
}
