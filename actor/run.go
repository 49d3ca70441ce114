package actor

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime/pprof"

	"github.com/google/uuid"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
)

// runner makes a Tasklet a core.Runner without giving it an exported method.
type runner Tasklet

// Run is called by the scheduler on each activation. The usual case, a step of a living tasklet, is
// written out to save a call.
func (r *runner) Run(*core.Task) {
	t := (*Tasklet)(r)
	if t.phase == living {
		if pending, _ := t.task.Killed(); !pending {
			done, err := t.inst.step(t)
			t.task.MustBeUnlocked()
			if !done {
				t.wakeIfKilled()
				return
			}
			t.bodyEnded(err)
		}
	}
	if t.phase <= living {
		t.live()
	}
	if t.phase == stopping {
		t.stopChildren()
	}
	if t.phase == deferring {
		t.runDeferred()
	}
}

// labelled is the runner of a tasklet in a system with Config.ProfileLabels. It has a type of its
// own so that other systems pay nothing.
type labelled struct {
	*runner
	set *labelSet
}

// SetsLabels implements core.Labeller.
func (l *labelled) SetsLabels() {}

// Run sets the labels for one activation. The scheduler removes them after it. An activation that
// parks keeps its goroutine, and so its labels.
func (l *labelled) Run(t *core.Task) {
	pprof.SetGoroutineLabels(l.set.ctx)
	l.runner.Run(t)
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
// Tasklets begin with the profiler labels of ctx (see runtime/pprof.Do), and with those of
// Config.ProfileLabels. Changes that a tasklet makes to the labels, or by debug.SetPanicOnFault,
// end with its activation. Run panics if ctx is nil or cfg is invalid.
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
		s.stopNow() // before the root can begin
	}
	s.loop()
	s.hosts[0].sched.InjectFunc(func() { s.root.arrive(nil) })
	unhook := context.AfterFunc(ctx, s.stopNow)
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

// loop runs the schedulers.
func (s *System) loop() {
	s.emit(EventRecord{Kind: event.SystemStart, Tasklet: s.root})
	for _, h := range s.hosts[1:] {
		go h.run()
	}
	go func() {
		defer close(s.done)
		s.hosts[0].run()
		for _, h := range s.hosts[1:] {
			<-h.done
		}
		s.events.do(s.events.endLimits) // before the last entry
		s.emit(EventRecord{Kind: event.SystemStop, Tasklet: s.root})
		s.events.flush()
	}()
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
	s := &System{name: name, sim: cfg.Simulation, around: cfg.Around, measure: cfg.Measure, ctx: ctx, plain: context.WithoutCancel(ctx), done: make(chan struct{}), stopping: make(chan struct{})}
	if cfg.Seed != 0 {
		s.rand = rand.New(source(cfg))
		binary.BigEndian.PutUint64(s.id[:], s.rand.Uint64())
	} else {
		id := uuid.New()
		copy(s.id[:8], id[:])
	}
	s.id[6] = s.id[6]&0x0f | 0x80 // version 8: made in a way of our own
	if cfg.ProfileLabels {
		s.labels = &labelSets{plain: s.plain}
	}
	s.makeHosts(cfg)
	s.real = !s.hosts[0].sched.Virtual()
	s.start = s.Now()
	s.events.init(s, cfg)
	s.root = &Tasklet{sys: s, inst: main, phase: living}
	s.root.onFailure = End
	s.root.extra().name = name
	s.daemons = &Tasklet{sys: s, inst: nothing("daemons"), phase: living}
	s.daemons.onFailure = End
	s.daemons.extra().name = "(daemons)"
	// Any goroutine may start children of these two, so the mark could be missed at their end. It
	// is always set.
	s.root.marks.Store(markParent)
	s.daemons.marks.Store(markParent)
	s.link(s.root, nil, s.hosts[0], false)
	s.link(s.daemons, nil, s.hosts[0], false)
	return s, nil
}

// makeHosts makes the schedulers. Several of them form a team with one clock.
func (s *System) makeHosts(cfg Config) {
	sc := core.Config{Clock: cfg.Clock, StallAfter: cfg.StallAfter, Labels: s.plain, CheckThreads: cfg.Simulation != nil && cfg.Simulation.CheckThreads, MeasureSleep: cfg.Measure}
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
