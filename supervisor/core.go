package supervisor

import (
	"runtime/debug"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/text"
)

// child is a child specification with what the supervisor knows of it. Owned by the supervisor's
// tasklet.
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

	static         bool           // one of Spec.Children, not added at run time
	ref            any            // identifies the ref of its body; nil: it has none
	options        []actor.Option // of each start
	run            *run           // its incarnation that is being started or runs; nil: none
	nextUp, prevUp *child         // the nearest in order of start that have a tasklet; see up
	isUp           bool
	// stopped for a restart of the group, and not yet started: senders to its ref wait
	held   bool
	again  *again // how the restart goes on; nil unless state is Restarting
	timer  *actor.Timer
	delays int       // restarts that were put off in a row, for the backoff
	upAt   time.Time // when its last start was done; not set without a backoff
}

// core is a supervisor at work: one incarnation. Owned by its tasklet.
//
// It keeps the order of the children in two lists: all of them, in order of start; and those among
// them whose tasklet has not finished, which is the order of the tasklets in the tree. So each
// start finds its place without a search in the usual cases, and a supervisor that is killed stops
// its children in reverse order of start, whoever was restarted.
type core struct {
	s     *Supervisor
	t     *actor.Tasklet
	byID  map[string]*child
	byRef map[any]*child
	// foreign are the refs of bodies whose start was misuse: they are left alone. nil: there is
	// none.
	foreign map[any]bool
	// Of a pool: nil otherwise; and byID has nothing then.
	byTask map[*actor.Tasklet]*child

	// Written under Supervisor.mu, and read under it by others.
	first, tail *child
	window      window
	n           int // how many there are
	restarts    int // since its start

	firstUp, lastUp *child
	significant     int // how many significant children are not Stopped
	held            int // how many children are held
}

// add puts a child at the end of the children, stopped.
func (c *core) add(spec Child) *child {
	ch := &child{spec: spec, state: Stopped}
	ch.ref, _ = actor.RefOf(spec.Body)
	ch.options = append(make([]actor.Option, 0, len(spec.Options)+5), spec.Options...)
	if spec.ID != "" {
		ch.options = append(ch.options, actor.Name(spec.ID))
	}
	if spec.Shutdown != 0 {
		ch.options = append(ch.options, actor.Shutdown(spec.Shutdown))
	}
	if spec.Retry != 0 {
		ch.options = append(ch.options, actor.Retry(spec.Retry))
	}
	if c.byTask == nil {
		c.byID[spec.ID] = ch
	}
	if ch.ref != nil {
		if c.byRef == nil {
			c.byRef = make(map[any]*child)
		}
		c.byRef[ch.ref] = ch
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	ch.prev = c.tail
	if c.tail == nil {
		c.first = ch
	} else {
		c.tail.next = ch
	}
	c.tail = ch
	c.n++
	return ch
}

// remove forgets ch, and ends its ref for good.
func (c *core) remove(ch *child) error {
	c.forget(ch)
	return c.retire(ch.spec.Body)
}

// forget is remove for a child that was not started, whose ref stays as it was.
func (c *core) forget(ch *child) {
	c.hold(ch, false)
	if c.byTask == nil {
		delete(c.byID, ch.spec.ID)
	}
	if ch.ref != nil {
		delete(c.byRef, ch.ref)
	}
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
	c.n--
	c.s.mu.Unlock()
}

// set changes what a child is doing.
func (c *core) set(ch *child, state State, task *actor.Tasklet) {
	if ch.spec.Significant && (ch.state == Stopped) != (state == Stopped) {
		if state == Stopped {
			c.significant--
		} else {
			c.significant++
		}
	}
	if c.byTask != nil {
		delete(c.byTask, ch.task)
		if task != nil {
			c.byTask[task] = ch
		}
	}
	c.s.mu.Lock()
	ch.state, ch.task = state, task
	ch.until = time.Time{}
	c.s.mu.Unlock()
	if state != Running {
		ch.run = nil
		c.down(ch)
	} else if c.s.spec.Backoff.Min > 0 {
		ch.upAt = c.now()
	}
	ch.again = nil
	if ch.timer != nil {
		ch.timer.Stop()
		ch.timer = nil
	}
}

// hold notes whether ch is to be started by a restart of its group that is under way.
func (c *core) hold(ch *child, held bool) {
	if ch.held != held {
		ch.held = held
		if held {
			c.held++
		} else {
			c.held--
		}
	}
}

// closeHeld is called when the restart of a group is cancelled: nobody is going to read the refs of
// those that wait for it.
func (c *core) closeHeld() {
	for ch := c.first; ch != nil && c.held > 0; ch = ch.next {
		if ch.held {
			c.hold(ch, false)
			c.closeRef(ch.spec.Body)
		}
	}
}

// nextUp is the next child after ch, which is none of them, in the list of those that have a
// tasklet. It looks from ch in both directions at once, so that a thousand stopped neighbours on
// one side don't matter.
func (c *core) nextUp(ch *child) *child {
	if c.s.pool != nil {
		return nil // no order
	}
	for next, prev := ch.next, ch.prev; ; next, prev = next.next, prev.prev {
		switch {
		case next == nil:
			return nil
		case next.isUp:
			return next
		case prev == nil:
			return c.firstUp
		case prev.isUp:
			return prev.nextUp
		}
	}
}

// up enters ch in front of next into the list of those that have a tasklet.
func (c *core) up(ch, next *child) {
	ch.isUp, ch.nextUp = true, next
	if next == nil {
		ch.prevUp, c.lastUp = c.lastUp, ch
	} else {
		ch.prevUp, next.prevUp = next.prevUp, ch
	}
	if ch.prevUp == nil {
		c.firstUp = ch
	} else {
		ch.prevUp.nextUp = ch
	}
}

// down takes ch out of that list, if it is in it.
func (c *core) down(ch *child) {
	if !ch.isUp {
		return
	}
	if ch.prevUp == nil {
		c.firstUp = ch.nextUp
	} else {
		ch.prevUp.nextUp = ch.nextUp
	}
	if ch.nextUp == nil {
		c.lastUp = ch.prevUp
	} else {
		ch.nextUp.prevUp = ch.prevUp
	}
	ch.isUp, ch.nextUp, ch.prevUp = false, nil, nil
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

// start starts ch and waits for its init. An init that returns actor.ErrStop leaves it stopped,
// without an error: OTP's ignore.
func (c *core) start(ch *child) (*actor.Tasklet, error) {
	c.hold(ch, false)
	next := c.nextUp(ch)
	ch.run = &run{c: c, ch: ch}
	opts := append(ch.options, actor.Supervised(ch.run.ended))
	if next != nil {
		opts = append(opts, actor.PlaceBefore(next.task))
	}
	t, err := c.tryStart(ch.spec.Body, opts)
	if t == nil {
		ch.run = nil
		if ch.ref != nil {
			if c.foreign == nil {
				c.foreign = make(map[any]bool)
			}
			c.foreign[ch.ref] = true
		}
		return nil, err
	}
	delete(c.foreign, ch.ref)
	if err != nil {
		ch.run = nil
		if e, over := t.Exit(); over && e.Kind == actor.ExitNormal {
			return nil, nil
		}
		return t, err
	}
	if next != nil && !next.isUp { // it ended meanwhile
		next = c.nextUp(ch)
	}
	if !t.HasFinished() {
		c.up(ch, next)
	}
	c.set(ch, Running, t)
	return t, nil
}

// tryStart is actor.StartChild. A panic of it is the misuse of whoever specified the child, as of a
// scheduler that there is not or of a ref that belongs elsewhere: an error for the caller, and no
// end of the supervisor and its other children. The tasklet is nil then: nothing was started.
func (c *core) tryStart(b actor.Body, opts []actor.Option) (t *actor.Tasklet, err error) {
	defer misused(&err)
	return actor.StartChild(c.t, c.t, b, opts...)
}

// retire is actor.Retire, closeRef is actor.CloseRef. Neither ends the supervisor, nor the work of
// a tasklet elsewhere that reads the ref of b by now.
func (c *core) retire(b actor.Body) (err error) {
	defer misused(&err)
	if c.ours(b) {
		actor.Retire(b)
	}
	return nil
}

func (c *core) closeRef(b actor.Body) {
	var err error
	defer misused(&err)
	if c.ours(b) {
		actor.CloseRef(b)
	}
}

// ours reports whether the ref of b, if it has one, is this supervisor's to end: it is not read
// elsewhere, and was not found to belong elsewhere when it was to be started here.
func (c *core) ours(b actor.Body) bool {
	ref, state := actor.RefOf(b)
	return state != actor.RefRunning && !c.foreign[ref]
}

// misused is deferred, and makes an error of a panic that is none of a kill.
func misused(err *error) {
	v := recover()
	if v == nil {
		return
	}
	if _, kill := v.(*actor.TaskletExit); kill {
		panic(v)
	}
	*err = &actor.PanicError{Value: v, Stack: debug.Stack()}
}

// startNew adds a child and starts it; if that fails, the child is forgotten.
func (c *core) startNew(spec Child) (*actor.Tasklet, error) {
	ch := c.add(spec)
	t, err := c.start(ch)
	switch {
	case err != nil && t == nil:
		c.forget(ch) // misuse
		return nil, err
	case err != nil:
		_ = c.remove(ch)
		return nil, err
	}
	c.unwanted(ch)
	return t, nil
}

// refTaken gives the error if another child has the same ref.
func (c *core) refTaken(spec Child) error {
	if ref, _ := actor.RefOf(spec.Body); ref != nil && c.byRef[ref] != nil {
		return &SpecError{spec.ID, "Body", sameRef(c.byRef[ref].spec.ID)}
	}
	return nil
}

// unwanted does what is left after a start without an error if the child's init said that it is not
// wanted: a temporary child is forgotten then, any other is kept, stopped.
func (c *core) unwanted(ch *child) {
	if ch.state == Stopped {
		c.leaveStopped(ch)
	}
}

// stop stops ch's tasklet, if it has one, and a restart that is due.
func (c *core) stop(ch *child) {
	if ch.state == Stopped {
		return
	}
	c.wasUp(ch)
	ch.run = nil // its end is no news
	if ch.task != nil {
		// who does not stop in time is reported there, and left behind
		_ = actor.StopChild(c.t, ch.task, 0)
	}
	c.set(ch, Stopped, nil)
}

// leaveStopped is what becomes of the specification and the ref of a child that ended and is not
// restarted.
func (c *core) leaveStopped(ch *child) {
	c.hold(ch, false)
	if ch.spec.Restart == Temporary || c.s.pool != nil {
		_ = c.remove(ch)
	} else {
		c.closeRef(ch.spec.Body)
	}
}

// ended runs when the supervisor's children are gone. Children added at run time are not known to
// its next incarnation; if there will be none, all refs end, also those of children that were never
// started.
func (c *core) ended() {
	handlesOf(c.t.System()).Delete(c.t)
	forGood := c.s.ref.IsDead()
	for ch := c.first; ch != nil; ch = ch.next {
		if forGood || !ch.static {
			_ = c.retire(ch.spec.Body)
		}
	}
	c.s.mu.Lock()
	c.s.view.core = nil
	c.s.mu.Unlock()
	if forGood {
		for _, spec := range c.s.spec.Children {
			_ = c.retire(spec.Body)
		}
	}
}

// childEnded is do_restart of OTP: what the end of a child by itself means.
func (c *core) childEnded(ch *child, e actor.Exit) error {
	now := c.now()
	c.note(ch, e, now)
	if ch.spec.Restart == Permanent || ch.spec.Restart == Transient && e.Kind.Failure() {
		return c.restart(ch, now)
	}
	c.leaveStopped(ch)
	if ch.spec.Significant && c.autoShutdown() {
		c.reportAutoShutdown(ch)
		return actor.ErrShutdown // the children are stopped because their parent ends
	}
	return nil
}

// note keeps how ch ended last.
func (c *core) note(ch *child, e actor.Exit, now time.Time) {
	c.s.mu.Lock()
	ch.last, ch.lastAt = e, now
	c.s.mu.Unlock()
}

// autoShutdown decides after a significant child has ended.
func (c *core) autoShutdown() bool {
	switch c.s.spec.AutoShutdown {
	case AnySignificant:
		return true
	case AllSignificant:
		return c.significant == 0
	}
	return false
}

// restart is restart/2 of OTP: it counts, and gives up or restarts. With a backoff, the others of
// the group are stopped at once, and started after the delay with ch.
func (c *core) restart(ch *child, now time.Time) error {
	c.s.mu.Lock()
	allowed := c.window.add(now)
	if allowed {
		c.restarts++
		ch.restarts++
	}
	c.s.mu.Unlock()
	if !allowed {
		c.reportGiveUp(ch)
		return ErrIntensity // the children are stopped because their parent ends
	}
	delay := c.delay(ch)
	c.reportRestart(ch, delay)
	if delay > 0 {
		c.stopGroup(ch)
		c.putOff(ch, delay)
	} else {
		c.perform(ch)
	}
	return nil
}

// perform restarts ch and whoever else the strategy says. A start that fails is tried again through
// the supervisor's own queue, and counts again.
func (c *core) perform(ch *child) {
	c.stopGroup(ch)
	failed, t, err := c.startGroup(ch)
	if err == nil {
		return
	}
	e, over := t.Exit()
	if !over {
		e = actor.Exit{Tasklet: t, Kind: actor.KindOf(err), Err: err}
	}
	e.Path = c.path(failed)
	c.note(failed, e, c.now())
	c.reportRestartFailed(failed)
	c.hold(failed, false)
	c.set(failed, Restarting, nil)
	failed.again = &again{c: c, ch: failed}
	_ = c.s.ref.TrySend(c.t, failed.again) // it is the supervisor's own, and has no bound
}

// putOff lets ch be restarted after delay.
func (c *core) putOff(ch *child, delay time.Duration) {
	c.set(ch, Restarting, nil)
	c.hold(ch, false)
	c.s.mu.Lock()
	ch.until = c.now().Add(delay)
	c.s.mu.Unlock()
	ch.again = &again{c: c, ch: ch, counted: true}
	ch.timer = actor.SendAfter[request](c.t, delay, c.s.ref, ch.again)
}

// group gives the first of the children that are restarted with ch, up to the last; nil: ch alone.
func (c *core) group(ch *child) *child {
	switch c.s.spec.Strategy {
	case RestForOne:
		return ch
	case OneForAll:
		return c.first
	}
	return nil
}

// stopGroup stops those that are restarted with ch, the last first, and forgets the temporary ones
// among them.
func (c *core) stopGroup(ch *child) {
	first := c.group(ch)
	if first == nil {
		c.stop(ch)
		return
	}
	before := first.prev
	for x := c.tail; x != before; {
		prev := x.prev
		c.stop(x)
		if x.spec.Restart == Temporary {
			c.remove(x)
		} else {
			c.hold(x, true)
		}
		x = prev
	}
}

// startGroup starts those that are restarted with ch in order, those too that were stopped before.
// It gives the child whose start failed, with its tasklet, and leaves those after it stopped.
func (c *core) startGroup(ch *child) (failed *child, t *actor.Tasklet, err error) {
	first := c.group(ch)
	if first == nil {
		if t, err = c.start(ch); err == nil {
			c.unwanted(ch)
		}
		return ch, t, err
	}
	for x := first; x != nil; x = x.next {
		if t, err = c.start(x); err != nil {
			return x, t, err
		}
		c.unwanted(x)
	}
	return nil, nil, nil
}

func (c *core) now() time.Time { return c.t.System().Now() }

// path is that of ch's tasklets.
func (c *core) path(ch *child) string {
	if ch.spec.ID == "" && ch.last.Tasklet != nil {
		return ch.last.Tasklet.Path()
	}
	return c.t.Path() + "/" + text.Line(ch.spec.ID)
}
