package actortest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/mailbox"
)

// Run runs f as the root tasklet, named "test", of a system on a virtual clock. When f has
// returned, Run waits until nothing more can happen without time passing, and then stops the
// tasklets that are left; f may leave its children to that. Run uses no faults, and runs ready
// tasklets first come, first served, so a run is the same every time.
//
// Besides the failures that the test itself reports, the test fails if
//
//   - f or another tasklet panics, at its end or while it handles a message. (An error that a
//     tasklet returns does not fail the test: it is a result for those who join it and for its
//     supervisor.)
//   - a message is not read (a dead letter);
//   - tasklets wait for each other, or f waits for something that can never happen (a deadlock);
//   - a tasklet does not stop, or a goroutine is left that the system or one of its tasklets has
//     started;
//   - a tasklet keeps its scheduler for two seconds (a stall);
//   - the run takes longer than [Limit].
//
// [Allow] permits some of these. A failed test shows the last events of the run.
//
// f and all tasklets below it may call tb.FailNow and tb.SkipNow, as package require does. That
// ends the tasklet, the system, and then the test. Warnings of the system and of tasklets go to
// tb.Log. Run panics if f is nil.
func Run(tb testing.TB, f func(t *actor.Tasklet), opts ...Option) {
	tb.Helper()
	if f == nil {
		misuse("Run with a nil function")
	}
	s := newTrial(tb, newOptions(opts), newPlan(0, [faultKinds]bool{}, nil), 1)
	s.cfg.Simulation.CheckThreads = true
	s.run(f)
	for _, p := range s.problems {
		tb.Errorf("actortest: %s", p.text)
	}
	if tb.Failed() && !s.told {
		tb.Logf("%s", s.lastEvents())
	}
	s.log.end()
	if s.ended() {
		if tb.Skipped() && !tb.Failed() {
			tb.SkipNow()
		}
		tb.FailNow()
	}
}

// TB returns the testing.TB of the test whose system t belongs to. Under [Run] it is the one given
// to Run. Under [Explore] it belongs to the current seed, and must be used in place of the test's
// own.
func TB(t *actor.Tasklet) testing.TB { return trialOf(t, "TB").tb }

// Settle parks t until nothing more can happen without time passing: no other tasklet is ready, and
// nothing outside the system is awaited. It must be called by t itself.
//
// A Loop that never waits is always ready, and then Settle never returns.
func Settle(t *actor.Tasklet) {
	s := trialOf(t, "Settle")
	core.TaskOf(t).MustRun("Settle")
	var place core.Waiter
	s.settling.Add(&place)
	_ = core.TaskOf(t).Park(core.Wait{Kind: core.InEvent, In: &place})
}

// trial is one run of a system.
type trial struct {
	// Set when it is made, then read-only.
	tb    testing.TB
	o     *options
	log   *testLog
	trace *Trace
	hook  func(actor.EventRecord) // of Configure
	cfg   actor.Config

	ancestry *ancestry // has a lock of its own

	// Set when f begins; read by others when the run is over, or by way of mu.
	root *actor.Tasklet

	// Owned by the scheduler.
	plan     *plan
	settling core.Line // the tasks in Settle
	probes   map[*actor.Tasklet]bool
	calm     bool // no more faults
	told     bool // the last events were printed; read by others when the run is over

	// mu protects the following.
	mu       sync.Mutex
	problems []problem
	goexit   bool // a tasklet ended by runtime.Goexit
	leaks    bool // an event has reported a tasklet that did not stop
	met      [faultKinds]bool
	over     bool // later problems do not count
}

// problem is a reason for which the test fails.
type problem struct {
	kind string // in few words, the same for the same kind of problem
	text string
}

// stallAfter is long for a test, and short for a person who waits for the test.
const stallAfter = 2 * time.Second

func newTrial(tb testing.TB, o *options, p *plan, seed uint64) *trial {
	s := &trial{tb: tb, o: o, plan: p, trace: o.record, probes: map[*actor.Tasklet]bool{}}
	s.log = &testLog{tb: tb}
	s.ancestry = newAncestry()
	if s.trace == nil {
		s.trace = new(Trace)
	}
	s.trace.Reset()
	clock := core.NewVirtualClock(time.Time{})
	s.cfg = actor.Config{Name: "test", Clock: clock, Seed: seed, StallAfter: stallAfter}
	s.cfg.Logger = s.log.logger(clock.Now)
	for _, f := range o.configure {
		f(&s.cfg)
	}
	s.cfg.Logger = s.log.failsOnFatal(s.cfg.Logger)
	if s.cfg.Schedulers > 1 {
		misuse("Configure with %d schedulers: a run has one, or it could not be repeated", s.cfg.Schedulers)
	}
	s.cfg.Seed = seed
	s.hook = s.cfg.OnEvent
	s.cfg.OnEvent, s.cfg.Simulation = s.event, s.simulation()
	return s
}

// trials has the run of each system that this package has started; nil in others.
var trials = actor.NewExtension(func(*actor.System) *atomic.Pointer[trial] { return new(atomic.Pointer[trial]) })

func trialOf(t *actor.Tasklet, op string) *trial {
	if t == nil {
		misuse("%s of a nil *Tasklet", op)
	}
	s := trials.Of(t.System()).Load()
	if s == nil {
		misuse("%s of %s: its system was not started by this package", op, t.Path())
	}
	return s
}

// since returns the time since the start of the run, on the run's clock.
func (s *trial) since() time.Duration { return s.root.System().Now().Sub(s.trace.begin()) }

// patience is the time that goroutines have to end after the run, in real time.
const patience = time.Second

var grace = 10 * time.Second // the time that a system has to stop; a variable for tests

var errLimit = errors.New("actortest: over the time limit")

// run runs the system from start to end. Afterwards s.problems lists what was wrong.
func (s *trial) run(f func(*actor.Tasklet)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan error, 1)
	var misused any // written before done is used
	go func() {
		defer func() {
			if v := recover(); v != nil {
				misused = v
				done <- nil
			}
		}()
		done <- actor.Run(s.ancestry.context(ctx), s.cfg, func(t *actor.Tasklet) error {
			trials.Of(t.System()).Store(s)
			s.mu.Lock()
			s.root = t
			s.mu.Unlock()
			f(t)
			Settle(t)
			return nil
		})
	}()
	err, ended := s.await(done, cancel)
	if ended && misused != nil {
		panic(misused) // by a Config that Configure has made
	}
	if ended {
		s.judge(err)
		// a tasklet that leaked has a goroutine
		if !s.leaked() && !s.o.allows(actor.EventRecord{Kind: event.Leak}) {
			for _, g := range s.ancestry.left(patience) {
				s.problem("goroutine", "goroutines are left after the end: "+g)
			}
		}
	}
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
}

// await waits for the end of the run, and stops the run if it takes too long. It returns false if
// the run has not ended even then.
func (s *trial) await(done chan error, cancel context.CancelCauseFunc) (error, bool) {
	var limit <-chan time.Time
	if s.o.limit > 0 {
		timer := time.NewTimer(s.o.limit)
		defer timer.Stop()
		limit = timer.C
	}
	select {
	case err := <-done:
		return err, true
	case <-limit:
	}
	s.problem("time limit", fmt.Sprintf("the run is not over after %v\n%s", s.o.limit, s.tree()))
	cancel(errLimit)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err, true
	case <-timer.C:
		s.problem("leak", "the system does not stop, and is left behind\n"+s.tree())
		return nil, false
	}
}

// tree returns a text with the tasklets and their states.
func (s *trial) tree() string {
	s.mu.Lock()
	root := s.root
	s.mu.Unlock()
	if root == nil {
		return "    no tasklet has started"
	}
	var b strings.Builder
	for t := range root.Tree() {
		fmt.Fprintf(&b, "    %s: %s\n", t.Path(), stateOf(t))
	}
	return strings.TrimRight(b.String(), "\n")
}

// stateOf describes what t is doing.
func stateOf(t *actor.Tasklet) string {
	i := t.Info()
	text := i.State
	if i.Wait != "" {
		text += " in " + i.Wait
	}
	if i.On != "" {
		text += ", waits for " + i.On
	}
	return text
}

func (s *trial) problem(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.problems = append(s.problems, problem{kind, text})
	}
}

func (s *trial) has(kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.problems {
		if p.kind == kind {
			return true
		}
	}
	return false
}

// ended reports whether a tasklet has ended the test.
func (s *trial) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.goexit
}

// leaked reports whether an event has reported a tasklet that did not stop.
func (s *trial) leaked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaks
}

// judge examines the error of actor.Run, and reports the problems that no event has reported.
func (s *trial) judge(err error) {
	if s.ended() && !s.tb.Failed() && !s.tb.Skipped() {
		s.problem("goexit", "runtime.Goexit was called, and not by this test's FailNow or SkipNow")
	}
	if leaked, ok := guard.As[*actor.StopError](err); ok && !s.leaked() {
		s.problem("leak", leaked.Error())
	}
	if s.root == nil && err != nil {
		s.problem("start", fmt.Sprintf("the system did not start: %v", err))
		return
	}
	result := s.result()
	panicked, own := guard.As[*actor.PanicError](result)
	crashed, outside := guard.As[*actor.PanicError](err)
	switch {
	case own:
		if !s.has("panic") {
			s.problem("panic", fmt.Sprintf("%v\n%s", panicked, ownFrames(panicked.Stack.String())))
		}
	case outside: // not a tasklet, but a function that the scheduler calls
		s.problem("panic", fmt.Sprintf("%v\n%s", crashed, crashed.Stack))
	case result == nil, guard.Is(result, actor.ErrGoexit), guard.Is(err, errLimit):
	case guard.Is(result, actor.ErrKilled) && s.ended():
	case !s.has("deadlock"):
		s.problem("end", fmt.Sprintf("the function of the test did not return: %s", guard.Text(result)))
	}
}

// result returns the result of the root.
func (s *trial) result() error {
	if s.root == nil || !s.root.HasFinished() {
		return nil
	}
	err := s.root.Join(context.Background())
	var j *actor.JoinError
	if errors.As(err, &j) {
		return j.Cause
	}
	return err
}

// settled is called when no tasklet is ready.
func (s *trial) settled() {
	s.mayKill()
	s.settling.ReleaseAll()
}

// event is called for every event.
func (s *trial) event(e actor.EventRecord) {
	s.trace.Add(e)
	if s.o.told != nil {
		s.o.told(e, s.trace.last(1)[0])
	}
	if s.hook != nil {
		s.callHook(e)
	}
	if e.Kind != event.Exit && e.Kind != event.Failure || !guard.Is(e.Err, actor.ErrGoexit) {
		s.check(e)
		return
	}
	s.mu.Lock()
	s.goexit = true
	s.mu.Unlock()
	e.Tasklet.System().Root().Kill() // the test is over
}

// callHook calls the OnEvent of Configure. It recovers a panic, because the system would deliver no
// further events after one.
func (s *trial) callHook(e actor.EventRecord) {
	defer func() {
		if v := recover(); v != nil {
			s.hook = nil
			s.problem("panic", core.NewPanicError(v).Error()+", in the OnEvent of Configure")
		}
	}()
	s.hook(e)
}

// check reports e if it is a problem.
func (s *trial) check(e actor.EventRecord) {
	if e.Kind == event.StopTimeout || e.Kind == event.Leak {
		s.mu.Lock()
		s.leaks = true
		s.mu.Unlock()
	}
	if s.o.allows(e) || s.o.told != nil {
		return
	}
	said := line(e, e.Time.Sub(s.trace.begin()))
	switch e.Kind {
	case event.Exit, event.Failure:
		// The panic that a kill has as its cause is another tasklet's, which has its own entry.
		if p, ok := guard.As[*actor.PanicError](e.Err); ok && !isInjected(p) && actor.KindOf(e.Err) != reason.Killed {
			s.problem("panic", said+"\n"+ownFrames(p.Stack.String()))
		}
	case event.DeadLetter:
		if !s.explained(e) {
			s.problem("dead letter", "messages will not be read: "+said)
		}
	case event.Deadlock:
		s.problem("deadlock", "tasklets wait for something that can never happen: "+said)
	case event.Stall:
		s.problem("stall", said+"\n"+e.Stack.String())
	case event.StopTimeout, event.Leak:
		s.problem("leak", "a tasklet did not stop: "+said)
	}
}

// ownFrames returns the part of a stack that belongs to the program: from the panic to the first
// call of the library. It returns the whole stack if the library itself has panicked, for misuse
// for example.
func ownFrames(stack string) string {
	all := strings.TrimRight(stack, "\n")
	_, below, ok := strings.Cut(all, "\npanic(")
	if !ok {
		return all
	}
	lines := strings.Split(below, "\n")
	for i := 2; i+1 < len(lines); i += 2 { // after the frame of panic, two lines each
		if isLibrary(lines[i]) {
			if i == 2 {
				return all
			}
			return strings.Join(lines[2:i], "\n")
		}
	}
	return all
}

func isLibrary(frame string) bool {
	for _, pkg := range []string{"scheduler", "mailbox", "actor", "actor/actortest"} {
		if strings.HasPrefix(frame, "github.com/gotasklet/tasklet/"+pkg+".") {
			return true
		}
	}
	return false
}

func isInjected(p *actor.PanicError) bool {
	_, ok := p.Value.(Injected)
	return ok
}

// explained reports whether a dead letter may come from an injected fault: its reader was ended, or
// there was no room.
func (s *trial) explained(e actor.EventRecord) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.met[Kill] || s.met[HandlerPanic] || s.met[LostWakeUp] ||
		s.met[FullMailbox] && (errors.Is(e.Err, mailbox.ErrFull) || errors.Is(e.Err, mailbox.ErrDropped))
}

// lastLines is the number of events that are shown.
const lastLines = 20

func (s *trial) lastEvents() string {
	lines := s.trace.last(lastLines)
	return fmt.Sprintf("the last %d events:\n    %s", len(lines), strings.Join(lines, "\n    "))
}
