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

	"github.com/gotasklet/tasklet/scheduler"
)

// Config is for Run and Start. The zero value works.
type Config struct {
	// Name is that of the root tasklet and of the system in log entries; "tasklet".
	Name string
	// Schedulers is how many run, each on a goroutine of its own; 0 is 1. A child runs where its parent does unless OnScheduler or
	// Spread says otherwise. Tasklets of different schedulers run at the same time: they share no memory, only messages.
	Schedulers int
	// Logger gets the events; nil: warnings and errors go as text to standard error. zap.NewNop() for none. For log/slog see
	// SlogCore.
	Logger *zap.Logger
	// Clock is what sleeps, timeouts and log times go by; nil: real time. See scheduler.NewVirtualClock.
	Clock scheduler.Clock
	// Seed, if not 0, is what the order among ready tasklets and the ids are drawn from. With one scheduler and a virtual clock the
	// same seed gives the same run; several schedulers run side by side as the machine lets them.
	Seed uint64
	// StallAfter is how long a tasklet may keep its scheduler before that is reported. 0: 100 ms, or never with a virtual
	// clock; negative: never.
	StallAfter time.Duration
	// OnEvent is told of all events, in order, one call at a time, on whatever goroutine. It may kill and close, but not block: the
	// scheduler may be waiting for it. If it panics, it is not called again.
	OnEvent func(Event)
	// Simulation is for package actortest; nil: nothing is simulated. It needs a Seed and a virtual clock.
	Simulation *Simulation
}

// System is a tree of tasklets with the schedulers that run them. Start makes one that lives beside the rest of a program; Run
// is for programs that are one.
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
	sim     *Simulation   // nil, but in tests
	done    chan struct{} // closed when the goroutines of all schedulers have ended
	rand    *rand.Rand    // nil without a seed

	// stopping is closed when the stop of the root begins: its body has ended, or a kill was asked for, which it may not get as
	// long as somebody holds the scheduler.
	stopping     chan struct{}
	stoppingOnce sync.Once

	events events

	// mu protects the tree's links in all tasklets, and the following. Held for a few instructions, at start and end only.
	mu       sync.Mutex
	lastID   uint64
	leaked   []Leak
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
	checkName("Config.Name", name)
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
	s.log = s.events.logger
	s.root = &Tasklet{sys: s, inst: main, phase: living}
	s.root.onFailure = Stop
	s.root.extra().name = name
	s.daemons = &Tasklet{sys: s, inst: nothing("daemons"), phase: living}
	s.daemons.onFailure = Stop
	s.daemons.extra().name = "(daemons)"
	// Children of these two come from any goroutine, so the mark could be missed at the end: it is always set.
	s.root.marks.Store(markParent)
	s.daemons.marks.Store(markParent)
	s.link(s.root, nil, s.hosts[0], false)
	s.link(s.daemons, nil, s.hosts[0], false)
	return s, nil
}

// maxSchedulers is more than there are processors.
const maxSchedulers = 1024

// makeHosts makes the schedulers. They form a team, with one clock, if there are several.
func (s *System) makeHosts(cfg Config) {
	sc := scheduler.Config{Clock: cfg.Clock, StallAfter: cfg.StallAfter}
	if cfg.Schedulers > 1 {
		sc.Team = new(scheduler.Team)
	}
	if sc.Clock == nil {
		sc.Clock = scheduler.RealClock()
	}
	for n := range max(1, cfg.Schedulers) {
		h := &host{sys: s, n: n, done: make(chan struct{})}
		sc.Owner, sc.Hooks = h, s.hooks(h)
		if cfg.Seed != 0 {
			sc.Seed = cfg.Seed + uint64(n)
		}
		h.sched = scheduler.New(sc)
		s.hosts = append(s.hosts, h)
	}
}

// source is where System.Rand draws from.
func source(cfg Config) rand.Source {
	src := rand.NewPCG(cfg.Seed, 1)
	if cfg.Schedulers > 1 {
		return &lockedSource{src: src}
	}
	return src
}

// lockedSource is a source for several goroutines.
type lockedSource struct {
	mu  sync.Mutex
	src rand.Source // mu protects
}

func (l *lockedSource) Uint64() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.src.Uint64()
}

// Run runs main as the root tasklet of a new system, until it and everything below it is finished, and returns main's own error.
// When ctx is done the tree is stopped, and main not even called if it is done from the start; if main unwinds because of that, the error is context.Cause(ctx). If tasklets could
// not be stopped, a *StopError that names them is joined to it. With a virtual clock, a system in which nothing can ever happen
// again is an error too: main is killed, with a *DeadlockError as the result.
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
		s.root.kill(nil) // before it can begin
	}
	s.loop()
	s.hosts[0].sched.InjectFunc(func() { s.root.arrive(nil) })
	unhook := context.AfterFunc(ctx, func() { s.root.kill(nil) })
	defer unhook()
	stopErr := s.wait(context.Background()) // no limit
	err = s.root.result()
	if err == ErrKilled && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return joinErrors(err, stopErr)
}

// Start starts a system without a main, in the background: its root has no body, and whoever has the System can start
// tasklets under it, until Stop.
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
	s.emit(Event{Kind: EventSystemStart, Tasklet: s.root})
	for _, h := range s.hosts[1:] {
		go h.run()
	}
	go func() {
		defer close(s.done)
		s.hosts[0].run()
		for _, h := range s.hosts[1:] {
			<-h.done
		}
		s.emit(Event{Kind: EventSystemStop, Tasklet: s.root})
		s.events.flush()
	}()
}

// Stop stops the whole tree: child by child in reverse order, then the daemons. It returns when all have finished. If ctx is
// done before, what is left is killed hard, and a *StopError names who has not stopped within a second. Not from inside a
// tasklet of s: kill the root there. Stopping twice does nothing.
func (s *System) Stop(ctx context.Context) error {
	if ctx == nil {
		misuse("Stop with a nil context")
	}
	if t, _ := scheduler.From(ctx); t != nil {
		misuse("System.Stop from inside the tasklet %v: it would wait for itself; kill the root instead", t)
	}
	s.root.Kill()
	return s.wait(ctx)
}

// Times of the wall clock. Variables for tests.
var (
	// hogPatience is how long a stop waits for a tasklet that holds the scheduler: the time that it has to end, and the one that
	// it has after its kill became hard.
	hogPatience = defaultShutdown + hardTime
	// lastWait is how long Stop waits when its context is done and all kills have become hard.
	lastWait = hardTime
)

// wait waits for the end of the system, or of ctx.
func (s *System) wait(ctx context.Context) error {
	limit := ctx.Done()
	over := s.stopping
	var look <-chan time.Time
	held := make([]stuck, len(s.hosts))
	for {
		select {
		case <-s.done:
			return s.stopError()
		case <-limit:
			return s.giveUp(ctx)
		case <-over:
			over = nil
			tick := time.NewTicker(hogPatience / 8)
			defer tick.Stop()
			look = tick.C
		case now := <-look:
			for i, h := range s.hosts {
				if held[i].look(h, now, hogPatience) && s.leaveHog(h, now.Sub(held[i].since)) {
					return s.hogError()
				}
			}
		}
	}
}

// leaveHog is called, again and again, when a tasklet has held h for longer than a stop may take: it reports whether Run and Stop
// are to return without it. The other schedulers are stopped as usual. If nobody can tell them to, because it is the root's scheduler that
// is held, or they have not come to their end after the same time once more, they are stopped at once.
func (s *System) leaveHog(h *host, held time.Duration) bool {
	over := true
	for _, other := range s.hosts {
		over = over && (other == h || other.ended())
	}
	if over {
		return true
	}
	if h.n != 0 && held < 2*hogPatience {
		return false
	}
	s.harden()
	s.stopHosts()
	limit := time.After(lastWait)
	for _, other := range s.hosts {
		if other != h {
			select {
			case <-other.done:
			case <-limit:
				return true
			}
		}
	}
	return true
}

func (s *System) stopHosts() {
	for _, h := range s.hosts {
		h.sched.Stop()
	}
}

// beginStop lets wait look for a tasklet that holds the scheduler.
func (s *System) beginStop() { s.stoppingOnce.Do(func() { close(s.stopping) }) }

// giveUp is called when Stop may wait no longer.
func (s *System) giveUp(ctx context.Context) error {
	s.harden()
	select {
	case <-s.done:
		return s.stopError()
	case <-time.After(lastWait):
	}
	// Whoever is parked is left to the scheduler, which kills a few times more; a hog is left alone.
	err := s.hogError()
	s.stopHosts()
	return joinErrors(scheduler.ContextError(ctx), err)
}

// harden makes everybody's kill hard. From any goroutine.
func (s *System) harden() {
	for _, top := range []*Tasklet{s.root, s.daemons} {
		for t := range top.Tree() {
			if t != s.daemons { // which ends after the root
				t.harden()
			}
		}
	}
}

// addFatal makes err part of what Run returns, and reports whether it is the first.
func (s *System) addFatal(err error) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = s.fatal == nil
	s.fatal = joinErrors(s.fatal, err)
	return first
}

// hogError names everybody who has not finished.
func (s *System) hogError() error {
	var leaked []Leak
	for _, top := range []*Tasklet{s.root, s.daemons} {
		for t := range top.Tree() {
			if t == s.daemons || t.HasFinished() {
				continue
			}
			l := Leak{Path: t.Path()}
			sched := t.task.Scheduler()
			if id, _ := sched.Busy(); t.task.ID() == id && id != 0 {
				l.Stack = sched.Hog()
				s.emit(Event{Kind: EventLeak, Tasklet: t, Stack: l.Stack})
			}
			leaked = append(leaked, l)
		}
	}
	slices.SortStableFunc(leaked, func(a, b Leak) int { // who holds the scheduler comes first
		return boolInt(a.Stack == nil) - boolInt(b.Stack == nil)
	})
	s.mu.Lock()
	leaked = append(leaked, s.leaked...)
	s.mu.Unlock()
	return &StopError{leaked}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *System) stopError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if len(s.leaked) > 0 {
		err = &StopError{slices.Clone(s.leaked)}
	}
	return joinErrors(s.fatal, err)
}

// Root is the root tasklet: Run's main, or for Start one without a body.
func (s *System) Root() *Tasklet { return s.root }

// Name is the one given in Config.
func (s *System) Name() string { return s.name }

// Daemons gives the tasklets started with Daemon that have not finished.
func (s *System) Daemons() []*Tasklet { return s.daemons.Children() }

// Now is the time of the system's clock.
func (s *System) Now() time.Time { return s.hosts[0].sched.Now() }

// Schedulers is the number of schedulers: those of OnScheduler are 0 to one less.
func (s *System) Schedulers() int { return len(s.hosts) }

// Rand is a generator seeded with Config.Seed, for what is drawn by chance in a run that is to be repeated; nil without a seed.
// Only from inside the system's tasklets.
func (s *System) Rand() *rand.Rand { return s.rand }

// link puts t into the tree, to run on h; false: its parent is ending and takes no more. From any goroutine; inside: the parent
// runs, and it is the one that calls.
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
		return false // a parent that was killed hard and unwinds may still start some
	}
	if parent.started++; parent.started == 1 {
		parent.marks.Or(markParent)
	}
	t.num = parent.started
	var next *Tasklet
	if r := t.rareOptions(); r != nil && r.before != nil {
		if b := r.before; b.parent == parent && b.linked {
			next = b
		}
		r.before = nil
	}
	insert(parent, t, next)
	h.tasklets++
	return true
}

// insert links t into parent's children before next; nil: at the end.
func insert(parent, t, next *Tasklet) {
	t.linked = true
	t.next = next
	if next == nil {
		t.prev, parent.last = parent.last, t
	} else {
		t.prev, next.prev = next.prev, t
	}
	if t.prev == nil {
		parent.first = t
	} else {
		t.prev.next = t
	}
}

// leave is the end of t for those on other schedulers, its parent among them, in one step: t is out of the tree, has finished, and
// the event of that comes before those of all who have seen it. It gives the marks from before.
func (s *System) leave(t *Tasklet, exit Exit, tell bool) (before uint32) {
	s.mu.Lock()
	s.takeOut(t)
	before = t.marks.Or(markFinished | markOver)
	if tell = tell && s.wantsExit(t, exit.Kind); tell {
		s.EmitLater(exitEvent(t, exit))
	}
	s.mu.Unlock()
	if tell {
		s.EmitNow()
	}
	return before
}

// unlink takes t out of the tree.
func (s *System) unlink(t *Tasklet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeOut(t)
}

// takeOut is unlink under mu.
func (s *System) takeOut(t *Tasklet) {
	p := t.parent
	if p == nil || !t.linked {
		return
	}
	if t.prev == nil {
		p.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		p.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.linked = nil, nil, false
	t.host().tasklets--
}

// finished is called when t has; it ends the system after the root and the daemons.
func (s *System) finished(t *Tasklet) {
	switch t {
	case s.root:
		s.daemons.marks.Or(markStopped)
		s.daemons.task.Kill(false)
	case s.daemons:
		s.stopHosts()
	}
}

func (s *System) leak(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaked = append(s.leaked, Leak{Path: path})
}

// leakTask reports a task that survived the scheduler, unless it is known already.
func (s *System) leakTask(task *scheduler.Task) {
	t := s.find(task)
	if t == nil || t.marks.Load()&markLeaked != 0 {
		return
	}
	s.leak(t.Path())
	t.answersNobody() // the scheduler has ended, so nobody else touches what it owned
	s.emit(Event{Kind: EventLeak, Tasklet: t})
}

// find gives the tasklet that task is part of, if it is in the tree.
func (s *System) find(task *scheduler.Task) *Tasklet { return s.findID(task.ID()) }

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

// hooks are what the scheduler of h tells the system.
func (s *System) hooks(h *host) scheduler.Hooks {
	hooks := scheduler.Hooks{
		Name:      func(t *scheduler.Task) string { return taskletOf(t).Path() },
		ExitValue: func(t *scheduler.Task) any { return &TaskletExit{taskletOf(t)} },
		Context:   func(t *scheduler.Task) scheduler.TaskContext { return taskletOf(t) },
		Recovered: func(t *scheduler.Task) { taskletOf(t).recovered() },
		Deadlock:  s.deadlock,
		Quiescent: s.quiescent,
		Stall:     h.stalled,
		Crashed:   func() { s.root.kill(nil) },
		Check:     h.check,
	}
	if s.rand != nil {
		hooks.Idle = h.takeAwaits
	}
	s.sim.hooks(&hooks)
	return hooks
}

// deadlock tells that t is about to wait in a ring.
func (s *System) deadlock(t *scheduler.Task, e *DeadlockError, soft bool) {
	s.emit(Event{
		Kind: EventDeadlock, Tasklet: taskletOf(t), Err: e, Soft: soft,
		Fields: []zap.Field{zap.String("chain", e.String()), zap.Bool("soft", soft)},
	})
}

// taskletOf gives the tasklet whose part a task is.
func taskletOf(t *scheduler.Task) *Tasklet { return (*Tasklet)(t.Runner().(*runner)) }

func (h *host) stalled(st scheduler.Stall) {
	kind := EventStallOver
	if !st.Over {
		kind = EventStall
		h.hog = h.sys.findID(st.ID) // kept: when it is over, it may have finished
	}
	if h.hog == nil {
		return
	}
	h.sys.emit(Event{Kind: kind, Tasklet: h.hog, Stack: st.Stack, Fields: []zap.Field{zap.Duration("for", st.For)}})
}

// quiescent is called when nothing can happen any more unless somebody outside does something. If a tasklet waits all the same,
// that is a deadlock, at least within the system.
func (s *System) quiescent() {
	e := DeadlockError{Quiescent: true}
	waiting := s.root.marks.Load()&markOver != 0 // for something else than messages
	for _, top := range []*Tasklet{s.root, s.daemons} {
		for t := range top.Tree() {
			if kind, on, _ := t.task.Waits(); kind != scheduler.NotParked {
				l := scheduler.Link{Task: t.Path(), Kind: kind}
				if on != nil && on.Holder != nil {
					l.On = taskletOf(on.Holder).Path()
				}
				e.Chain = append(e.Chain, l)
				waiting = waiting || kind != scheduler.InReceive || t == s.root
			}
		}
	}
	if !waiting {
		return // receivers without messages are no deadlock
	}
	_, isMain := s.root.inst.(function)
	fatal := isMain && !s.real
	s.emit(Event{
		Kind: EventDeadlock, Tasklet: s.root, Err: &e, Soft: !fatal,
		Fields: []zap.Field{zap.String("chain", e.String()), zap.Bool("soft", !fatal)},
	})
	switch {
	case !fatal:
	case s.root.marks.Load()&markOver == 0:
		s.root.kill(&e)
	case s.addFatal(&e):
		s.harden() // main has ended, and waits for somebody who has all the time
	default:
		s.stopHosts()
	}
}
