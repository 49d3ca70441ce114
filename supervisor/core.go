package supervisor

import (
	"cmp"
	"errors"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/list"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// child is a child specification with the supervisor's knowledge of the child. Owned by the
// supervisor's tasklet.
type child struct {
	// Written under Supervisor.mu, and read under it by other goroutines.
	spec     Child              // read-only
	place    list.Entry[*child] // among core.children
	state    State
	task     *actor.Tasklet // nil unless state is Running
	restarts int            // since the supervisor's start
	last     actor.Exit     // the end that led to the last restart
	lastAt   time.Time
	until    time.Time // the end of the backoff; zero if the child is not waiting

	slot *actor.Slot
	run  *run // the incarnation that is being started or runs, or nil
	// spare is the run of an earlier incarnation whose end was handled, or nil. Nothing else refers
	// to it, so the next incarnation gets it.
	spare *run
	// held says that the child was stopped for a restart of the group and is not started yet, so
	// that senders to its ref wait.
	held   bool
	again  *again // continues the restart; nil unless state is Restarting
	timer  *actor.Timer
	delays int       // restarts delayed in a row, for the backoff
	upAt   time.Time // the end of its last start; not set without a backoff
}

// core is one incarnation of a supervisor. Owned by its tasklet.
//
// Each child has a slot of the supervisor's tasklet, in the order of the children. So a restarted
// child keeps its place, and a supervisor that is killed stops its children in reverse order of
// start, whichever were restarted. When the supervisor has ended its slots are retired, except
// those of its family; see actor.Family.
type core struct {
	s    *Supervisor
	t    *actor.Tasklet
	byID map[string]*child
	// Used by pools only, which do not use byID.
	byTask map[*actor.Tasklet]*child

	// Written under Supervisor.mu, and read under it by other goroutines.
	children list.List[*child] // in order of start
	window   window
	n        int // the number of children
	restarts int // since the supervisor's start

	drains      *drains    // nil unless it drains
	rates       tree.Rates // of LogEvery
	significant int        // the number of significant children that are not Stopped
	held        int        // the number of children that are held
}

// add adds a stopped child at the end of the children. It returns an error if the child's body or
// its options are invalid.
func (c *core) add(spec Child) (*child, error) {
	ch := &child{spec: spec, state: Stopped}
	ch.place.V = ch
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
	switch spec.Restart {
	case Permanent:
		own.Report(slot, own.AllEnds)
	case Transient:
		own.Report(slot, own.FailedEnds)
	}
	if c.byTask == nil {
		c.byID[spec.ID] = ch
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.children.Add(&ch.place)
	c.n++
	return ch, nil
}

// remove removes ch, whose slot is empty, and ends its ref permanently.
func (c *core) remove(ch *child) {
	ch.slot.Retire()
	c.hold(ch, false)
	if c.byTask == nil {
		delete(c.byID, ch.spec.ID)
	}
	if c.drains != nil && c.drains.at == &ch.place {
		c.drains.at = ch.place.Prev()
	}
	c.s.mu.Lock()
	c.children.Remove(&ch.place)
	c.n--
	c.s.mu.Unlock()
}

// set changes the state of a child.
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

// hold records whether the current restart of a group is going to start ch.
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

// closeHeld is called when the restart of a group is cancelled, so that the refs of the children
// that wait for it will not be read.
func (c *core) closeHeld() {
	for ch := range c.children.All() {
		if c.held == 0 {
			return
		}
		if ch.held {
			c.hold(ch, false)
			ch.slot.Close()
		}
	}
}

// stopped returns a child that can be started again or deleted.
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

// start starts ch and waits for its init. If the init returns actor.ErrStop, ch stays stopped,
// without an error; that is OTP's ignore.
func (c *core) start(ch *child) (*actor.Tasklet, error) {
	c.hold(ch, false)
	if ch.run, ch.spare = ch.spare, nil; ch.run == nil {
		ch.run = &run{c: c, ch: ch}
	}
	t, err := ch.slot.Start(c.t)
	if err != nil {
		ch.run = nil
		if e, over := t.Exit(); over && e.Kind == reason.Normal {
			return nil, nil
		}
		return t, err
	}
	c.set(ch, Running, t)
	return t, nil
}

// startNew adds a child and starts it. If the start fails, the child is removed.
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

// slotError converts err, with which actor.NewSlot has refused the child, for the caller: to a
// *SpecError, or to a *StartError if only the system shows the error.
func (c *core) slotError(spec Child, err error) error {
	switch {
	case errors.Is(err, actor.ErrRefDead):
		return &SpecError{spec.ID, "Body", refDead}
	case errors.Is(err, actor.ErrRefTaken):
		ref, _ := actor.CheckSlot(spec.Body)
		for ch := range c.children.All() {
			if other, _ := actor.CheckSlot(ch.spec.Body); other == ref {
				return &SpecError{spec.ID, "Body", sameRef(ch.spec.ID)}
			}
		}
		return &SpecError{spec.ID, "Body", "reads a ref that belongs to another slot"}
	}
	return &StartError{cmp.Or(spec.ID, "(new)"), err}
}

// unwanted is called after a start without an error. If the child's init has returned
// actor.ErrStop, a temporary child is removed, and any other is kept, stopped.
func (c *core) unwanted(ch *child) {
	if ch.state == Stopped {
		c.leaveStopped(ch)
	}
}

// stop stops ch's tasklet, if it has one, and cancels a restart that is due.
func (c *core) stop(ch *child) {
	if ch.state == Stopped {
		return
	}
	c.wasUp(ch)
	ch.endUnhandled()
	ch.run = nil          // so that its end is ignored
	_ = ch.slot.Stop(c.t) // reports a child that does not stop in time, and leaves it behind
	c.set(ch, Stopped, nil)
}

// leaveStopped handles the specification and the ref of a child that ended and is not restarted.
func (c *core) leaveStopped(ch *child) {
	c.hold(ch, false)
	if ch.spec.Restart == Temporary || c.s.pool != nil {
		c.remove(ch)
	} else {
		ch.slot.Close()
	}
}

// endUnhandled reports the end of ch, if it has ended by itself and the supervisor has not decided
// what follows.
func (ch *child) endUnhandled() {
	if ch.run != nil && ch.run.exit.Tasklet != nil {
		own.NotRestarted(ch.run.exit)
	}
}

// ended runs when the supervisor's children have ended.
func (c *core) ended() {
	for ch := range c.children.All() {
		ch.endUnhandled()
	}
	handlesOf(c.t.System()).Delete(c.t)
	c.s.mu.Lock()
	c.s.view.core = nil
	c.s.mu.Unlock()
}

// childEnded handles the end of a child by itself. It is do_restart of OTP.
func (c *core) childEnded(ch *child, e actor.Exit) error {
	now := c.now()
	c.note(ch, e, now)
	if ch.spec.Restart == Permanent || ch.spec.Restart == Transient && e.Kind.Failure() {
		if !c.drainsChild(ch) || ch.hasMessages() {
			return c.restart(ch, now)
		}
	}
	own.NotRestarted(e)
	drained := c.drainsChild(ch)
	c.leaveStopped(ch)
	if drained {
		return nil // the supervisor ends after the last child anyway
	}
	if ch.spec.Significant && c.autoShutdown() {
		c.reportAutoShutdown(ch)
		return actor.ErrShutdown // the children are stopped because their parent ends
	}
	return nil
}

// note records the last end of ch.
func (c *core) note(ch *child, e actor.Exit, now time.Time) {
	c.s.mu.Lock()
	ch.last, ch.lastAt = e, now
	c.s.mu.Unlock()
}

// autoShutdown reports whether the supervisor ends after a significant child has ended.
func (c *core) autoShutdown() bool {
	switch c.s.spec.AutoShutdown {
	case AnySignificant:
		return true
	case AllSignificant:
		return c.significant == 0
	}
	return false
}

// restart is restart/2 of OTP: it counts the restart, and gives up or restarts. With a backoff, the
// other children of the group are stopped at once, and started with ch after the delay.
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
		vitals.GiveUp(c.t)
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

// perform restarts ch and the other children of its group. A start that fails is retried through
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
	_ = c.s.ref.TrySend(c.t, failed.again) // succeeds, as the mailbox is unbounded
}

// putOff restarts ch after delay.
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

// group returns the place of the first of the children that are restarted with ch, up to the last
// one, or nil if ch is restarted alone.
func (c *core) group(ch *child) *list.Entry[*child] {
	switch c.s.spec.Strategy {
	case RestForOne:
		return &ch.place
	case OneForAll:
		return c.children.First()
	}
	return nil
}

// stopGroup stops the children that are restarted with ch in reverse order, and removes the
// temporary ones among them.
func (c *core) stopGroup(ch *child) {
	first := c.group(ch)
	if first == nil {
		c.stop(ch)
		return
	}
	before := first.Prev()
	for e := c.children.Last(); e != before; {
		x, prev := e.V, e.Prev()
		if c.drains != nil && x != ch && x.state == Stopped {
			e = prev // it was drained
			continue
		}
		c.stop(x)
		if x.spec.Restart == Temporary {
			c.remove(x)
		} else {
			c.hold(x, true)
		}
		e = prev
	}
}

// startGroup starts the children that are restarted with ch in order, including those that were
// stopped before. If a start fails, it returns the child with its tasklet, and leaves the following
// ones stopped.
func (c *core) startGroup(ch *child) (failed *child, t *actor.Tasklet, err error) {
	first := c.group(ch)
	if first == nil {
		if t, err = c.start(ch); err == nil {
			c.unwanted(ch)
		}
		return ch, t, err
	}
	for e := first; e != nil; {
		x := e.V
		if c.drains != nil && x != ch && !x.held {
			e = e.Next() // it was drained
			continue
		}
		if t, err = c.start(x); err != nil {
			return x, t, err
		}
		e = e.Next()
		c.unwanted(x)
	}
	return nil, nil, nil
}

func (c *core) now() time.Time { return c.t.System().Now() }

// path returns the path of ch's tasklets.
func (c *core) path(ch *child) string {
	if ch.spec.ID == "" && ch.last.Tasklet != nil {
		return ch.last.Tasklet.Path()
	}
	return c.t.Path() + "/" + text.Line(ch.spec.ID)
}
