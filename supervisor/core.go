package supervisor

import (
	"cmp"
	"errors"
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

	slot *actor.Slot
	run  *run // its incarnation that is being started or runs; nil: none
	// stopped for a restart of the group, and not yet started: senders to its ref wait
	held   bool
	again  *again // how the restart goes on; nil unless state is Restarting
	timer  *actor.Timer
	delays int       // restarts that were put off in a row, for the backoff
	upAt   time.Time // when its last start was done; not set without a backoff
}

// core is a supervisor at work: one incarnation. Owned by its tasklet.
//
// Each child has a slot of the supervisor's tasklet, in the order of the children. So one that is
// restarted keeps its place, and a supervisor that is killed stops its children in reverse order of
// start, whoever was restarted. When it has ended, its slots are retired, but for those of its
// family; see actor.Family.
type core struct {
	s    *Supervisor
	t    *actor.Tasklet
	byID map[string]*child
	// Of a pool: nil otherwise; and byID has nothing then.
	byTask map[*actor.Tasklet]*child

	// Written under Supervisor.mu, and read under it by others.
	first, tail *child
	window      window
	n           int // how many there are
	restarts    int // since its start

	significant int // how many significant children are not Stopped
	held        int // how many children are held
}

// add puts a child at the end of the children, stopped. An error says what is wrong with its body
// or its options.
func (c *core) add(spec Child) (*child, error) {
	ch := &child{spec: spec, state: Stopped}
	options := append(make([]actor.Option, 0, len(spec.Options)+3), spec.Options...)
	if spec.ID != "" {
		options = append(options, actor.Name(spec.ID))
	}
	if spec.Shutdown != 0 {
		options = append(options, actor.Shutdown(spec.Shutdown))
	}
	if spec.Retry != 0 {
		options = append(options, actor.Retry(spec.Retry))
	}
	slot, err := actor.NewSlot(c.t, spec.Body, ch.ended, options...)
	if err != nil {
		return nil, err
	}
	ch.slot = slot
	if c.byTask == nil {
		c.byID[spec.ID] = ch
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
	return ch, nil
}

// remove forgets ch, whose slot is empty, and ends its ref for good.
func (c *core) remove(ch *child) {
	ch.slot.Retire()
	c.hold(ch, false)
	if c.byTask == nil {
		delete(c.byID, ch.spec.ID)
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
			ch.slot.Close()
		}
	}
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
	ch.run = &run{c: c, ch: ch}
	t, err := ch.slot.Start(c.t)
	if err != nil {
		ch.run = nil
		if e, over := t.Exit(); over && e.Kind == actor.ExitNormal {
			return nil, nil
		}
		return t, err
	}
	c.set(ch, Running, t)
	return t, nil
}

// startNew adds a child and starts it; if that fails, the child is forgotten.
func (c *core) startNew(spec Child) (*actor.Tasklet, error) {
	ch, err := c.add(spec)
	if err != nil {
		return nil, c.slotError(spec, err)
	}
	t, err := c.start(ch)
	if err != nil {
		c.remove(ch)
		return nil, &StartError{cmp.Or(spec.ID, "(new)"), err}
	}
	c.unwanted(ch)
	return t, nil
}

// slotError says what err, with which actor.NewSlot has refused the child, means to the caller: a
// *SpecError, or a *StartError if only the system shows what is wrong.
func (c *core) slotError(spec Child, err error) error {
	switch {
	case errors.Is(err, actor.ErrRefDead):
		return &SpecError{spec.ID, "Body", refDead}
	case errors.Is(err, actor.ErrRefTaken):
		ref, _ := actor.CheckSlot(spec.Body)
		for ch := c.first; ch != nil; ch = ch.next {
			if other, _ := actor.CheckSlot(ch.spec.Body); other == ref {
				return &SpecError{spec.ID, "Body", sameRef(ch.spec.ID)}
			}
		}
		return &SpecError{spec.ID, "Body", "reads a ref that belongs to another slot"}
	}
	return &StartError{cmp.Or(spec.ID, "(new)"), err}
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
	ch.run = nil          // its end is no news
	_ = ch.slot.Stop(c.t) // who does not stop in time is reported there, and left behind
	c.set(ch, Stopped, nil)
}

// leaveStopped is what becomes of the specification and the ref of a child that ended and is not
// restarted.
func (c *core) leaveStopped(ch *child) {
	c.hold(ch, false)
	if ch.spec.Restart == Temporary || c.s.pool != nil {
		c.remove(ch)
	} else {
		ch.slot.Close()
	}
}

// ended runs when the supervisor's children are gone.
func (c *core) ended() {
	handlesOf(c.t.System()).Delete(c.t)
	c.s.mu.Lock()
	c.s.view.core = nil
	c.s.mu.Unlock()
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
	ch.slot.Restarting(ch.restarts, time.Time{})
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
	failed.slot.Restarting(failed.restarts, time.Time{})
	failed.again = &again{c: c, ch: failed}
	_ = c.s.ref.TrySend(c.t, failed.again) // it is the supervisor's own, and has no bound
}

// putOff lets ch be restarted after delay.
func (c *core) putOff(ch *child, delay time.Duration) {
	c.set(ch, Restarting, nil)
	c.hold(ch, false)
	until := c.now().Add(delay)
	ch.slot.Restarting(ch.restarts, until)
	c.s.mu.Lock()
	ch.until = until
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
