package supervisor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Supervisor is the handle of a running supervisor. Its methods may be called from any goroutine; their context says who
// calls, as in actor.Call. A supervisor does one thing after the other: while it starts a child with an init, or stops one,
// calls wait. On a supervisor that has ended they return a *actor.JoinError or mailbox.ErrClosed.
type Supervisor struct {
	// Set when it is made, then read-only.
	spec Spec
	ref  actor.Ref[request]

	task atomic.Pointer[actor.Tasklet] // set at each start, read by everybody

	// mu protects what the tree in the log reads from any goroutine; the supervisor's tasklet writes it.
	mu   sync.Mutex
	view view
}

// view is what can be seen of a supervisor from any goroutine.
type view struct {
	core  *core     // nil before the start and after the end; of it, what its comments say that mu protects
	since time.Time // when it was started
}

// State is what a child is doing, to its supervisor.
type State uint8

const (
	Running State = iota
	Restarting
	Stopped // its specification is kept
)

// String gives the state in one word.
func (s State) String() string { return [...]string{"running", "restarting", "stopped"}[s] }

// ChildInfo is a row of Children.
type ChildInfo struct {
	ID      string
	State   State
	Tasklet *actor.Tasklet // nil unless it is running
	Restart Restart
}

// handles finds the handle of a supervisor by its tasklet.
var handles sync.Map // *actor.Tasklet -> *Supervisor

// Of gives the handle of the supervisor that t is; nil if it is none, or has finished.
func Of(t *actor.Tasklet) *Supervisor {
	s, _ := handles.Load(t)
	if s == nil {
		return nil
	}
	return s.(*Supervisor)
}

// Start starts a supervisor under p, and its children one after the other. It returns when the last child has started; a failing
// start undoes what was done before, in reverse order, and is returned as a *StartError. A *SpecError says what is wrong with
// spec. From inside a tasklet, p is that tasklet; from an ordinary goroutine p is a *actor.System.
func Start(p actor.Spawner, spec Spec) (*Supervisor, error) {
	checked, err := spec.checked()
	if err != nil {
		return nil, err
	}
	s := newSupervisor(checked)
	var ctx context.Context = context.Background()
	if t, ok := p.(*actor.Tasklet); ok {
		ctx = t
	}
	if _, err := actor.StartChild(ctx, p, s.body()); err != nil {
		return nil, err
	}
	return s, nil
}

// Body is a supervisor as a body: a child of another supervisor like any other. It panics with the *SpecError if spec is wrong.
func Body(spec Spec) actor.Body {
	checked, err := spec.checked()
	if err != nil {
		panic(err)
	}
	return newSupervisor(checked).body()
}

func newSupervisor(spec Spec) *Supervisor {
	// Unbounded, because the end of a child can't wait for room. Each child has one end, and each caller waits for its answer,
	// so what is queued is bounded by the number of children and callers.
	opts := []actor.Option{actor.Overflow(mailbox.Unbounded)}
	if spec.Name != "" {
		opts = append(opts, actor.Name(spec.Name))
	}
	return &Supervisor{spec: spec, ref: actor.NewRef[request](opts...)}
}

// body is the tasklet's: init starts the children, and then requests are handled one after the other.
func (s *Supervisor) body() actor.Body {
	b := actor.HandleInit(s.ref, s.init)
	b = actor.WithBodies(b, s.bodies)
	return actor.WithOptions(b, actor.OnFailure(actor.Stop), actor.Shutdown(Infinity))
}

// bodies are those of the children, as far as they are known outside of the supervisor.
func (s *Supervisor) bodies() []actor.Body {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view.core != nil {
		var bs []actor.Body
		for c := s.view.core.first; c != nil; c = c.next {
			bs = append(bs, c.spec.Body)
		}
		return bs
	}
	bs := make([]actor.Body, len(s.spec.Children))
	for i, c := range s.spec.Children {
		bs[i] = c.Body
	}
	return bs
}

func (s *Supervisor) init(t *actor.Tasklet) (func(*actor.Tasklet, request) error, error) {
	c := &core{
		s: s, t: t,
		byID:   make(map[string]*child),
		byTask: make(map[*actor.Tasklet]*child),
		window: window{intensity: s.spec.Intensity, period: s.spec.Period},
	}
	s.task.Store(t)
	s.mu.Lock()
	s.view = view{c, t.System().Now()}
	s.mu.Unlock()
	handles.Store(t, s)
	t.SetLabel("kind", "supervisor")
	t.SetLabel("strategy", s.spec.Strategy.String())
	t.Defer(c.ended)
	for _, spec := range s.spec.Children {
		if _, state := actor.RefOf(spec.Body); state == actor.RefDead {
			continue // deleted, or temporary and ended, under an earlier incarnation of the supervisor
		}
		ch := &child{spec: spec, state: Stopped}
		c.add(ch)
		if err := c.start(ch); err != nil {
			c.stopAll()
			return nil, &StartError{spec.ID, err}
		}
		if ch.state == Stopped && spec.Restart == Temporary { // its init said that it is not wanted
			c.remove(ch)
		}
	}
	if s.spec.LogEvery > 0 {
		actor.SendAfter[request](t, s.spec.LogEvery, s.ref, logRequest{})
	}
	return func(_ *actor.Tasklet, r request) error { return r.do(c) }, nil
}

// Tasklet is that of the supervisor; the newest, if it was restarted.
func (s *Supervisor) Tasklet() *actor.Tasklet { return s.task.Load() }

// StartChild adds a child and starts it. It returns when the child has started. Errors: *SpecError; ErrAlreadyStarted or
// ErrAlreadyPresent if there is a child with this ID; *StartError, and the child is not kept. If ctx ends first, the start goes
// on. A child whose init returned actor.ErrStop is kept, but not running: the tasklet is nil.
func (s *Supervisor) StartChild(ctx context.Context, c Child) (*actor.Tasklet, error) {
	if err := c.check(s.spec.AutoShutdown); err != nil {
		return nil, err
	}
	return actor.Call(ctx, s.ref, func(r actor.Reply[*actor.Tasklet]) request { return startRequest{c, r} })
}

// StopChild stops a child, and returns when it has finished: OTP's terminate_child. Its specification is kept, unless it is
// Temporary. A restart that waits for its backoff is cancelled. ErrNotFound.
func (s *Supervisor) StopChild(ctx context.Context, id string) error {
	_, err := actor.Call(ctx, s.ref, func(r actor.Reply[struct{}]) request { return stopRequest{id, r} })
	return err
}

// RestartChild starts a child that is stopped. ErrNotFound, ErrRunning, ErrRestarting, *StartError.
func (s *Supervisor) RestartChild(ctx context.Context, id string) (*actor.Tasklet, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[*actor.Tasklet]) request { return restartRequest{id, r} })
}

// DeleteChild forgets a child that is stopped; its ref ends for good. ErrNotFound, ErrRunning, ErrRestarting.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	_, err := actor.Call(ctx, s.ref, func(r actor.Reply[struct{}]) request { return deleteRequest{id, r} })
	return err
}

// Children gives the children in order of start: OTP's which_children.
func (s *Supervisor) Children(ctx context.Context) ([]ChildInfo, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[[]ChildInfo]) request { return childrenRequest{r} })
}

// Count counts the children by state: OTP's count_children.
func (s *Supervisor) Count(ctx context.Context) (Counts, error) {
	return actor.Call(ctx, s.ref, func(r actor.Reply[Counts]) request { return countRequest{r} })
}

// Counts are the numbers of children.
type Counts struct{ Specs, Running, Restarting, Stopped int }

// Requests to a supervisor. Its mailbox is the only way in; core, below, is touched by its tasklet alone.
type request interface{ do(c *core) error }

type (
	startRequest struct {
		child Child
		reply actor.Reply[*actor.Tasklet]
	}
	stopRequest struct {
		id    string
		reply actor.Reply[struct{}]
	}
	restartRequest struct {
		id    string
		reply actor.Reply[*actor.Tasklet]
	}
	deleteRequest struct {
		id    string
		reply actor.Reply[struct{}]
	}
	childrenRequest struct{ reply actor.Reply[[]ChildInfo] }
	countRequest    struct{ reply actor.Reply[Counts] }
	// logRequest: it is time to log the tree.
	logRequest struct{}
	// endedRequest: a child's tasklet has finished.
	endedRequest struct{ exit actor.Exit }
	// againRequest: the restart of a child is to be tried (again). It goes through the supervisor's own queue, so that a stop or a
	// call gets in between.
	againRequest struct {
		child *child
		turn  int
	}
)

func (r startRequest) do(c *core) error {
	if ch := c.byID[r.child.ID]; ch != nil {
		err := ErrAlreadyStarted
		if ch.state == Stopped {
			err = ErrAlreadyPresent
		}
		return answer(c, r.reply, nil, err)
	}
	for ch := c.first; ch != nil; ch = ch.next {
		if a, _ := actor.RefOf(ch.spec.Body); a != nil {
			if b, _ := actor.RefOf(r.child.Body); a == b {
				return answer(c, r.reply, nil, &SpecError{r.child.ID, "Body", "reads the same ref as child " + ch.spec.ID})
			}
		}
	}
	ch := &child{spec: r.child, state: Stopped}
	c.add(ch)
	err := c.start(ch)
	if err != nil {
		err = &StartError{r.child.ID, err}
	}
	if err != nil || ch.state == Stopped && ch.spec.Restart == Temporary {
		c.remove(ch)
	}
	return answer(c, r.reply, ch.task, err)
}

func (r stopRequest) do(c *core) error {
	ch := c.byID[r.id]
	if ch == nil {
		return answer(c, r.reply, struct{}{}, ErrNotFound)
	}
	c.stop(ch)
	c.leaveStopped(ch)
	return answer(c, r.reply, struct{}{}, nil)
}

func (r restartRequest) do(c *core) error {
	ch, err := c.stopped(r.id)
	if err != nil {
		return answer(c, r.reply, nil, err)
	}
	if err = c.start(ch); err != nil {
		err = &StartError{r.id, err}
	}
	return answer(c, r.reply, ch.task, err)
}

func (r deleteRequest) do(c *core) error {
	ch, err := c.stopped(r.id)
	if err == nil {
		c.remove(ch)
	}
	return answer(c, r.reply, struct{}{}, err)
}

func (r childrenRequest) do(c *core) error {
	infos := make([]ChildInfo, 0, len(c.byID))
	for ch := c.first; ch != nil; ch = ch.next {
		infos = append(infos, ChildInfo{ch.spec.ID, ch.state, ch.task, ch.spec.Restart})
	}
	return answer(c, r.reply, infos, nil)
}

func (r countRequest) do(c *core) error {
	n := Counts{Specs: len(c.byID)}
	for ch := c.first; ch != nil; ch = ch.next {
		switch ch.state {
		case Running:
			n.Running++
		case Restarting:
			n.Restarting++
		case Stopped:
			n.Stopped++
		}
	}
	return answer(c, r.reply, n, nil)
}

func (r endedRequest) do(c *core) error {
	ch := c.byTask[r.exit.Tasklet]
	if ch == nil {
		return nil // of one that the supervisor stopped itself, or of an earlier incarnation of the supervisor
	}
	c.gone(ch)
	return c.childEnded(ch, r.exit)
}

func (logRequest) do(c *core) error {
	LogTree(c.t.Log(), c.t)
	actor.SendAfter[request](c.t, c.s.spec.LogEvery, c.s.ref, logRequest{})
	return nil
}

func (r againRequest) do(c *core) error {
	if r.child.state != Restarting || r.child.turn != r.turn || c.byID[r.child.spec.ID] != r.child {
		return nil // stopped or restarted otherwise meanwhile
	}
	if !r.child.counted {
		return c.restart(r.child)
	}
	r.child.counted = false
	return c.perform(r.child)
}

// answer answers a request; a caller that has gone away is no reason to fail.
func answer[R any](c *core, to actor.Reply[R], v R, err error) error {
	if err != nil {
		_ = to.Fail(c.t, err)
	} else {
		_ = to.Send(c.t, v)
	}
	return nil
}

// child is a child specification with what the supervisor knows of it. Owned by the supervisor's tasklet.
type child struct {
	// Written under Supervisor.mu, and read under it by others.
	spec       Child  // read-only
	next, prev *child // in order of start
	state      State
	task       *actor.Tasklet // nil unless state is Running
	restarts   int            // since the supervisor's start
	last       actor.Exit     // the end that led to the last restart
	lastAt     time.Time
	until      time.Time // when the backoff will be over; zero: it is not waiting

	turn      int // counts restarts that were put off, so that a stale againRequest is known
	counted   bool
	delays    int // restarts that were put off in a row, for the backoff
	delayedAt time.Time
	timer     *actor.Timer // of the backoff
}

// core is a supervisor at work: one incarnation. Owned by its tasklet.
type core struct {
	s      *Supervisor
	t      *actor.Tasklet
	byID   map[string]*child
	byTask map[*actor.Tasklet]*child

	// Written under Supervisor.mu, and read under it by others.
	first, tail *child
	window      window
	restarts    int // since its start
}

// add puts ch at the end of the children.
func (c *core) add(ch *child) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	ch.prev = c.tail
	if c.tail == nil {
		c.first = ch
	} else {
		c.tail.next = ch
	}
	c.tail = ch
	c.byID[ch.spec.ID] = ch
}

// remove forgets ch, and ends its ref for good.
func (c *core) remove(ch *child) {
	c.s.mu.Lock()
	if ch.prev == nil {
		c.first = ch.next
	} else {
		ch.prev.next = ch.next
	}
	if ch.next == nil {
		c.tail = ch.prev
	} else {
		ch.next.prev = ch.prev
	}
	delete(c.byID, ch.spec.ID)
	c.s.mu.Unlock()
	actor.Retire(ch.spec.Body)
}

// set changes what a child is doing.
func (c *core) set(ch *child, state State, task *actor.Tasklet) {
	c.s.mu.Lock()
	ch.state, ch.task = state, task
	ch.until = time.Time{}
	c.s.mu.Unlock()
	ch.turn++
	if ch.timer != nil {
		ch.timer.Stop()
		ch.timer = nil
	}
}

// gone notes that ch's tasklet has finished.
func (c *core) gone(ch *child) {
	delete(c.byTask, ch.task)
	c.set(ch, Stopped, nil)
}

// stopped finds a child that can be started again or deleted.
func (c *core) stopped(id string) (*child, error) {
	ch := c.byID[id]
	switch {
	case ch == nil:
		return nil, ErrNotFound
	case ch.state == Running:
		return nil, ErrRunning
	case ch.state == Restarting:
		return nil, ErrRestarting
	}
	return ch, nil
}

// start starts ch and waits for its init. An init that returns actor.ErrStop leaves it stopped, without an error: OTP's ignore.
func (c *core) start(ch *child) error {
	opts := make([]actor.Option, 0, len(ch.spec.Options)+4)
	opts = append(opts, ch.spec.Options...)
	opts = append(opts, actor.Name(ch.spec.ID), actor.Supervised(c.s.childEnded), actor.PlaceBefore(c.nextRunning(ch)))
	if ch.spec.Shutdown != 0 {
		opts = append(opts, actor.Shutdown(ch.spec.Shutdown))
	}
	t, err := actor.StartChild(c.t, c.t, ch.spec.Body, opts...)
	switch {
	case errors.Is(err, actor.ErrStop):
		c.set(ch, Stopped, nil)
		return nil
	case err != nil:
		return err
	}
	c.set(ch, Running, t)
	c.byTask[t] = ch
	return nil
}

// childEnded is told by the children's tasklets, on the scheduler, and may not block: the mailbox has no bound.
func (s *Supervisor) childEnded(e actor.Exit) {
	_ = s.ref.TrySend(context.Background(), endedRequest{e}) // a supervisor that has ended does not care
}

// nextRunning is the next child in the order of start that has a tasklet.
func (c *core) nextRunning(ch *child) *actor.Tasklet {
	for n := ch.next; n != nil; n = n.next {
		if n.task != nil {
			return n.task
		}
	}
	return nil
}

// stop stops ch's tasklet, if it has one, and a restart that is due.
func (c *core) stop(ch *child) {
	if t := ch.task; t != nil {
		delete(c.byTask, t) // its end is no news
		_ = actor.StopChild(c.t, t, shutdownOf(ch.spec))
	}
	c.set(ch, Stopped, nil)
}

// shutdownOf is how long a child has to end.
func shutdownOf(c Child) time.Duration {
	if c.Shutdown == 0 {
		return actor.ShutdownOf(c.Body)
	}
	return c.Shutdown
}

// leaveStopped is what becomes of the specification and the ref of a child that ended and is not restarted.
func (c *core) leaveStopped(ch *child) {
	if ch.spec.Restart == Temporary {
		c.remove(ch)
	} else {
		actor.CloseRef(ch.spec.Body)
	}
}

// stopAll stops all children, the last first.
func (c *core) stopAll() {
	for ch := c.tail; ch != nil; ch = ch.prev {
		c.stop(ch)
	}
}

// ended runs when the supervisor's children are gone. Children added at run time are not known to the next incarnation.
func (c *core) ended() {
	handles.Delete(c.t)
	static := make(map[string]bool, len(c.s.spec.Children))
	if !c.s.ref.IsDead() {
		for i := range c.s.spec.Children {
			static[c.s.spec.Children[i].ID] = true
		}
	}
	for ch := c.first; ch != nil; ch = ch.next {
		if !static[ch.spec.ID] {
			actor.Retire(ch.spec.Body)
		}
	}
	c.s.mu.Lock()
	c.s.view.core = nil
	c.s.mu.Unlock()
}

// childEnded is do_restart of OTP: what the end of a child by itself means.
func (c *core) childEnded(ch *child, e actor.Exit) error {
	again := ch.spec.Restart == Permanent || ch.spec.Restart == Transient && e.Kind.Failure()
	c.s.mu.Lock()
	ch.last, ch.lastAt = e, c.now()
	c.s.mu.Unlock()
	if again {
		return c.restart(ch)
	}
	significant := ch.spec.Significant
	c.leaveStopped(ch)
	if significant && c.autoShutdown() {
		c.emit(EventAutoShutdown, ch, nil)
		c.stopAll()
		return actor.ErrShutdown
	}
	return nil
}

// autoShutdown decides after a significant child has ended.
func (c *core) autoShutdown() bool {
	switch c.s.spec.AutoShutdown {
	case AnySignificant:
		return true
	case AllSignificant:
		for ch := c.first; ch != nil; ch = ch.next {
			if ch.spec.Significant && ch.state != Stopped {
				return false
			}
		}
		return true
	}
	return false
}

// restart is restart/2 of OTP: it counts, and gives up or restarts.
func (c *core) restart(ch *child) error {
	c.s.mu.Lock()
	allowed := c.window.add(c.now())
	if allowed {
		c.restarts++
		ch.restarts++
	}
	c.s.mu.Unlock()
	if !allowed {
		c.giveUp(ch)
		return ErrIntensity
	}
	delay := c.delay(ch)
	c.reportRestart(ch, delay)
	if delay > 0 {
		c.putOff(ch, delay)
		return nil
	}
	return c.perform(ch)
}

// perform restarts ch and whoever else the strategy says. A start that fails is tried again through the supervisor's own queue,
// and counts again.
func (c *core) perform(ch *child) error {
	failed, err := ch, error(nil)
	switch c.s.spec.Strategy {
	case OneForOne:
		err = c.start(ch)
	case RestForOne:
		failed, err = c.restartFrom(ch)
	case OneForAll:
		failed, err = c.restartFrom(c.first)
	}
	if err != nil {
		c.emit(EventRestartFailed, failed, err)
		c.set(failed, Restarting, nil)
		_ = c.s.ref.TrySend(c.t, againRequest{failed, failed.turn})
	}
	return nil
}

// restartFrom stops first and all after it, the last first, forgets the temporary ones among them, and starts the others in
// order, those too that were stopped before. It gives the child whose start failed, and leaves those after it stopped.
func (c *core) restartFrom(first *child) (failed *child, err error) {
	before := first.prev
	for ch := c.tail; ch != before; {
		prev := ch.prev
		c.stop(ch)
		if ch.spec.Restart == Temporary {
			c.remove(ch)
		}
		ch = prev
	}
	if first = c.first; before != nil {
		first = before.next
	}
	for ch := first; ch != nil; ch = ch.next {
		if err := c.start(ch); err != nil {
			return ch, err
		}
	}
	return nil, nil
}

// putOff lets ch be restarted after delay.
func (c *core) putOff(ch *child, delay time.Duration) {
	c.set(ch, Restarting, nil)
	ch.counted = true
	c.s.mu.Lock()
	ch.until = c.now().Add(delay)
	c.s.mu.Unlock()
	ch.timer = actor.SendAfter[request](c.t, delay, c.s.ref, againRequest{ch, ch.turn})
}

// giveUp ends the supervisor's work: all children are stopped.
func (c *core) giveUp(ch *child) {
	c.reportGiveUp(ch)
	c.stopAll()
}

func (c *core) now() time.Time { return c.t.System().Now() }
