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
	// Schedulers is how many run, each on its own goroutine; 0 is 1, and more are not supported yet.
	Schedulers int
	// Logger gets the events; nil: warnings and errors go as text to standard error. zap.NewNop() for none.
	Logger *zap.Logger
	// Clock is what sleeps, timeouts and log times go by; nil: real time. See scheduler.NewVirtualClock.
	Clock scheduler.Clock
	// Seed, if not 0, lets a generator with this seed draw the order among ready tasklets, and the ids: with a virtual clock the
	// same seed gives the same run.
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

// System is a tree of tasklets with the scheduler that runs them. Start makes one that lives beside the rest of a program; Run
// is for programs that are one.
type System struct {
	// Set when it is made, then read-only.
	name    string
	id      uuid.UUID // the first half is the system's; the second is filled in for each tasklet
	ctx     context.Context
	plain   context.Context // ctx that is never done, for Await
	sched   *scheduler.Scheduler
	root    *Tasklet
	daemons *Tasklet // the hidden node over the daemons
	log     *zap.Logger
	start   time.Time
	real    bool          // the clock is not virtual
	sim     *Simulation   // nil, but in tests
	done    chan struct{} // closed when the scheduler's goroutine has ended

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

	hog *Tasklet // of the last stall; owned by the watchdog's goroutine

	// Owned by the scheduler.
	rand   *rand.Rand // nil without a seed
	awaits []*await   // with a seed: those under way, in order of their start
	seeded bool
}

func newSystem(ctx context.Context, cfg Config, main instance) (*System, error) {
	if cfg.Schedulers > 1 {
		return nil, errSchedulers(cfg.Schedulers)
	}
	if cfg.Schedulers < 0 {
		misuse("Config.Schedulers is negative")
	}
	name := cfg.Name
	if name == "" {
		name = "tasklet"
	}
	checkName("Config.Name", name)
	s := &System{name: name, sim: cfg.Simulation, ctx: ctx, plain: context.WithoutCancel(ctx), done: make(chan struct{}), stopping: make(chan struct{}), seeded: cfg.Seed != 0}
	if s.seeded {
		s.rand = rand.New(rand.NewPCG(cfg.Seed, 1))
		binary.BigEndian.PutUint64(s.id[:], s.rand.Uint64())
	} else {
		id := uuid.New()
		copy(s.id[:8], id[:])
	}
	s.id[6] = s.id[6]&0x0f | 0x80 // version 8: made in a way of its own
	s.sched = scheduler.New(scheduler.Config{
		Clock: cfg.Clock, Seed: cfg.Seed, StallAfter: cfg.StallAfter, Hooks: s.hooks(), Owner: s,
	})
	s.real = !s.sched.Virtual()
	s.start = s.sched.Now()
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
	s.link(s.root, nil, false)
	s.link(s.daemons, nil, false)
	return s, nil
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
	s.sched.InjectFunc(func() { s.root.arrive(nil) })
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

// loop starts the scheduler on a goroutine of its own: a tasklet that holds it for ever can't hold the caller of Run.
func (s *System) loop() {
	s.emit(Event{Kind: EventSystemStart, Tasklet: s.root})
	go func() {
		defer close(s.done)
		if err := s.sched.Run(); err != nil {
			s.addFatal(err)
		}
		for _, t := range s.sched.Leaked() {
			s.leakTask(t)
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
	var last uint64
	var since time.Time
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
			switch _, word := s.sched.Busy(); {
			case word == 0 || word != last:
				last, since = word, now
			case now.Sub(since) >= hogPatience:
				return s.hogError()
			}
		}
	}
}

// beginStop lets wait look for a tasklet that holds the scheduler.
func (s *System) beginStop() { s.stoppingOnce.Do(func() { close(s.stopping) }) }

// giveUp is called when Stop may wait no longer.
func (s *System) giveUp(ctx context.Context) error {
	s.sched.InjectFunc(s.harden)
	select {
	case <-s.done:
		return s.stopError()
	case <-time.After(lastWait):
	}
	// Whoever is parked is left to the scheduler, which kills a few times more; a hog is left alone.
	err := s.hogError()
	s.sched.Stop()
	return joinErrors(scheduler.ContextError(ctx), err)
}

// harden makes everybody's kill hard. On the scheduler.
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
	id, _ := s.sched.Busy()
	var leaked []Leak
	for _, top := range []*Tasklet{s.root, s.daemons} {
		for t := range top.Tree() {
			if t == s.daemons || t.HasFinished() {
				continue
			}
			l := Leak{Path: t.Path()}
			if t.task.ID() == id && id != 0 {
				l.Stack = s.sched.Hog()
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
func (s *System) Now() time.Time { return s.sched.Now() }

// Rand is a generator seeded with Config.Seed, for what is drawn by chance in a run that is to be repeated; nil without a seed.
// Only from inside the system's tasklets.
func (s *System) Rand() *rand.Rand { return s.rand }

// link puts t into the tree; false: its parent is ending and takes no more. From any goroutine; inside: the parent runs, and it is
// the one that calls.
func (s *System) link(t, parent *Tasklet, inside bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	t.task.Init(s.sched, s.lastID, (*runner)(t))
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
	if x := t.ex.Load(); x != nil && x.before != nil {
		if b := x.before; b.parent == parent && b.linked {
			next = b
		}
		x.before = nil
	}
	insert(parent, t, next)
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

// unlink takes t out of the tree.
func (s *System) unlink(t *Tasklet) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
}

// finished is called when t has; it ends the system after the root and the daemons.
func (s *System) finished(t *Tasklet) {
	switch t {
	case s.root:
		s.daemons.marks.Or(markStopped)
		s.daemons.task.Kill(false)
	case s.daemons:
		s.sched.Stop()
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

// hooks are what the scheduler tells the system.
func (s *System) hooks() scheduler.Hooks {
	h := scheduler.Hooks{
		Name:      func(t *scheduler.Task) string { return taskletOf(t).Path() },
		ExitValue: func(t *scheduler.Task) any { return &TaskletExit{taskletOf(t)} },
		Context:   func(t *scheduler.Task) scheduler.TaskContext { return taskletOf(t) },
		Recovered: func(t *scheduler.Task) { taskletOf(t).recovered() },
		Deadlock: func(t *scheduler.Task, e *DeadlockError, soft bool) {
			s.emit(Event{
				Kind: EventDeadlock, Tasklet: taskletOf(t), Err: e, Soft: soft,
				Fields: []zap.Field{zap.String("chain", e.String()), zap.Bool("soft", soft)},
			})
		},
		Quiescent: s.quiescent,
		Stall:     s.stalled,
		Crashed:   func() { s.root.kill(nil) },
		Check:     s.check,
	}
	if s.seeded {
		h.Idle = s.takeAwaits
	}
	s.sim.hooks(&h)
	return h
}

// taskletOf gives the tasklet whose part a task is.
func taskletOf(t *scheduler.Task) *Tasklet { return (*Tasklet)(t.Runner().(*runner)) }

func (s *System) stalled(st scheduler.Stall) {
	kind := EventStallOver
	if !st.Over {
		kind = EventStall
		s.hog = s.findID(st.ID) // kept: when it is over, it may have finished
	}
	if s.hog == nil {
		return
	}
	s.emit(Event{Kind: kind, Tasklet: s.hog, Stack: st.Stack, Fields: []zap.Field{zap.Duration("for", st.For)}})
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
		s.sched.Stop()
	}
}
