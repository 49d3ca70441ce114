package actor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Slot is the place of a child in its parent, with or without a tasklet in it. It is what those
// who write a supervisor start, stop, close and retire. The slot keeps its place among the children
// over all restarts, and so its turn when the parent stops its children. The ref that its body
// reads, if there is one, belongs to the slot: nobody else can read it until the slot is retired.
//
// A slot is empty at first. Start puts a tasklet into it, and the end of that empties it:
//
//	        Start                  ends by itself (onEnd is called)
//	empty ─────────▶ occupied ──────────────────────────────────────▶ empty, the ref is held
//	                     │      Stop
//	                     └───────────────────────────────────────────▶ empty, the ref is held
//
// A held ref takes messages up to its capacity, for the next tasklet: until Start, or until Close
// or Retire says that none is to come. In a slot a failure ends the tasklet unless OnFailure says
// otherwise.
//
// When the parent ends, its children are stopped, the last first, and its slots are retired before
// it has finished; but for those of a [Family] that has another life to come.
//
// Start and Stop may only be called from inside the parent; Close, Retire and Restarting also in
// onEnd; Info and Tasklet from any goroutine.
type Slot struct {
	// Set in NewSlot, then read-only.
	parent *Tasklet
	body   Body
	line   refLine // nil: the body reads no ref
	opts   []Option
	onEnd  func(Exit) // may be nil
	name   string     // "" if each tasklet has a derived one
	word   string     // the kind of the body
	family *family    // the family that the ref stays with when the parent ends; nil: none

	// Owned by the scheduler of the parent: the tasklet whose end onEnd is to be told of, else nil.
	cur *Tasklet

	// System.mu protects the following.
	task *Tasklet // that is in it; nil: it is empty
	// stands for it among the children while it is empty; nil if it is no longer one of them
	hole *Tasklet
	next *Slot // the next in extra.emptied
	// of the ref, if that has passed on to a later life of the parent; see reserve
	heir     *Slot
	state    slotState
	restarts int
	until    time.Time
	last     Exit
	lastAt   time.Time
}

// slotState is what a slot is doing.
type slotState uint8

const (
	slotStopped    slotState = iota // empty, and nothing is to come by itself
	slotStarting                    // Start waits for the tasklet
	slotRunning                     // occupied
	slotStopping                    // occupied, and Stop was called
	slotEnded                       // empty, and the supervisor has not decided yet
	slotRestarting                  // empty, and it will be started again: see Restarting
	slotRetired                     // out of use
)

var slotStates = [...]string{"stopped", "starting", "running", "stopping", "ended", "restarting", "retired"}

// Errors of [NewSlot], for errors.Is.
var (
	// ErrRefTaken means that the ref of a body is read by a tasklet, or belongs to another slot.
	ErrRefTaken = errors.New("actor: the ref of the body is taken")
	// ErrRefDead means that the ref of a body has ended for good.
	ErrRefDead = errors.New("actor: the ref of the body has ended for good")
)

// NewSlot makes an empty slot for children with the body b, behind the children that t has. opts
// are those of each start. onEnd, unless it is nil, is called when a tasklet of the slot has ended
// by itself, on the scheduler of t, and may not block: a usual one sends a message to t. It is not
// called for a failed start, nor for a tasklet that Stop was called for, nor when the body of t has
// ended. Only from inside t, and not from a deferred call.
//
// If the specification is wrong, NewSlot returns an error and makes nothing: an option that can't
// be used with b in a slot, a scheduler that there is not, a ref that is read where OnScheduler
// does not lead to, a ref of another system; ErrRefTaken, ErrRefDead.
func NewSlot(t *Tasklet, b Body, onEnd func(Exit), opts ...Option) (*Slot, error) {
	switch {
	case t == nil:
		misuse("NewSlot of a nil *Tasklet")
	case b == nil:
		misuse("NewSlot with a nil Body")
	}
	t.spawner("NewSlot")
	in := b.instance()
	s := &Slot{parent: t, body: b, line: in.line(), opts: optionsOf(b, opts), onEnd: onEnd, word: in.kind()}
	if err := s.checkOptions(); err != nil {
		return nil, err
	}
	s.hole = &Tasklet{sys: t.sys, parent: t, inst: vacancy{s}}
	s.hole.marks.Store(markVacant | markLeft)
	if s.line != nil {
		if s.name == "" {
			s.name = s.line.name()
		}
		if f := familyOf(t); f != nil && f.lines[s.line] {
			s.family = f
		}
		if err := s.line.reserve(s); err != nil {
			return nil, err
		}
	}
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	t.marks.Or(markParent)
	insert(s.hole)
	return s, nil
}

// CheckSlot tells, without making one, whether a slot can be made for b with opts, as far as that
// does not depend on the parent; the error is that of [NewSlot]. ref identifies the ref that b
// reads: two bodies with the same one can't be in two slots. It is nil if b reads none. From any
// goroutine.
func CheckSlot(b Body, opts ...Option) (ref any, err error) {
	s := &Slot{body: b, line: b.instance().line(), opts: optionsOf(b, opts)}
	err = s.checkOptions()
	if l := s.line; l != nil {
		ref = l.identity()
		if err == nil {
			switch t := l.current(); {
			case l.isDead():
				err = ErrRefDead
			case t != nil:
				err = fmt.Errorf("%w: %s reads it", ErrRefTaken, t.Path())
			}
		}
	}
	return ref, err
}

// checkOptions looks at the options, and takes the name from them.
func (s *Slot) checkOptions() error {
	allowed := s.body.allows()
	for i := range s.opts {
		o := &s.opts[i]
		switch {
		case o.set&allowed == 0:
			return fmt.Errorf("the option %s can't be used here", optionNames[o.set])
		case o.set == optDaemon:
			return errors.New("the option Daemon can't be used here: a daemon has no parent")
		case o.set == optName:
			s.name = o.name
		case o.set == optOnScheduler && s.parent != nil:
			if hosts := s.parent.sys.hosts; o.n >= int64(len(hosts)) {
				return fmt.Errorf("the option OnScheduler(%d) can't be used here: the system has %d, counted from 0", o.n, len(hosts))
			}
			if s.line != nil {
				if home := s.line.home(); home != nil && home.sys == s.parent.sys && int64(home.n) != o.n {
					return fmt.Errorf("the option OnScheduler(%d) can't be used here: the ref of the body was read on scheduler %d before, and never moves", o.n, home.n)
				}
			}
		}
	}
	return nil
}

// Start starts a tasklet in the slot, which is empty, and waits until it has started: its OnStart
// functions and its init are done. If one of them fails, Start returns the tasklet with its error
// when all is undone: the same to errors.Is and errors.As, also ErrStop of an init that is not
// wanted; but an error of another tasklet to KindOf, so that a parent that returns it has failed.
// If ctx ends first, the error is that of ctx, and the start goes on; should it fail then, that is
// an end as any other. ctx is the parent, or derived from it.
func (s *Slot) Start(ctx context.Context) (*Tasklet, error) {
	by, limit := s.caller(ctx, "Start")
	sys := s.parent.sys
	sys.mu.Lock()
	occupied, state := s.task, s.state
	if occupied == nil && state != slotRetired {
		s.state, s.until = slotStarting, time.Time{}
	}
	sys.mu.Unlock()
	switch {
	case occupied != nil:
		misuse("Slot.Start: %s is in the slot", occupied.Path())
	case state == slotRetired:
		misuse("Slot.Start: the slot of %s was retired", s.path())
	}
	t := &Tasklet{inst: s.body.instance(), supervised: true}
	w := &startWait{bell: *by.NewBell()}
	x := t.extra()
	x.start, x.slot = w, s
	s.cur = t
	defer s.startOver(t)
	t.start(s.parent, "Slot.Start", s.opts, s.body.allows())
	return t, t.waitStart(by, limit, w)
}

// startOver ends the state in which Start waits for t.
func (s *Slot) startOver(t *Tasklet) {
	sys := s.parent.sys
	exit, failed := t.Exit()
	if failed = failed && s.cur == t && t.extra().start.failed(); failed {
		s.cur = nil // Start tells of it
	}
	sys.mu.Lock()
	defer sys.mu.Unlock()
	switch {
	case failed && exit.Kind != ExitNormal: // else it is not wanted
		s.last, s.lastAt = exit, sys.Now()
	case s.state == slotStarting:
		s.state = slotRunning
	}
}

// Stop stops the tasklet that is in the slot, as a stopping parent does: a kill; after its time,
// see [Shutdown], the kill becomes hard; a second later the tasklet is given up, which is an event
// and no error here. It returns when the slot is empty. The error is that of ctx, or a
// *DeadlockError: then the slot is still occupied, and the stop goes on only as far as the kill
// does. If the slot is empty, Stop only ends what [Slot.Restarting] has told. ctx is the parent, or
// derived from it.
func (s *Slot) Stop(ctx context.Context) error {
	by, limit := s.caller(ctx, "Stop")
	s.cur = nil // its end is no news
	sys := s.parent.sys
	sys.mu.Lock()
	t := s.task
	if t != nil {
		s.state = slotStopping
	} else if s.state != slotRetired {
		s.state, s.until = slotStopped, time.Time{}
	}
	sys.mu.Unlock()
	if t == nil {
		return nil
	}
	return t.stopBy(by, limit, t.shutdown())
}

// caller gives the task of the parent, which calls.
func (s *Slot) caller(ctx context.Context, op string) (by *core.Task, limit context.Context) {
	by, limit = core.Caller(ctx, "Slot."+op)
	if by != &s.parent.task {
		misuse("Slot.%s by another tasklet: only %s may call it", op, s.parent.Path())
	}
	return by, limit
}

// Close closes the ref of an empty slot until the next Start: it takes no more messages, and what
// is queued becomes dead letters, a little later if the ref is another scheduler's. If the last
// tasklet has ended without a failure, and so by itself, those in Ref.Join of the ref go on, and
// those who watch it are told: no restart is to come. One that was stopped is only interrupted.
// What Close does to the ref of a [Family], it does to those of the children too.
func (s *Slot) Close() {
	s.mustBeEmpty("Close", slotStopped)
	over := false
	if s.line != nil {
		if t := s.line.last(); t != nil {
			exit, finished := t.Exit()
			over = finished && !exit.Kind.Failure()
		}
	}
	refsOf(s.body, func(l refLine) {
		if !l.isDead() {
			l.close(over)
		}
	})
}

// Retire ends the use of an empty slot: it leaves the children of its parent, and the ref of its
// body ends for good, with those of the children of a [Family]. Retiring twice does nothing.
func (s *Slot) Retire() {
	s.mustBeEmpty("Retire", slotRetired)
	s.parent.sys.mu.Lock()
	if s.hole != nil {
		unlink(s.hole)
		s.hole = nil
	}
	s.parent.sys.mu.Unlock()
	refsOf(s.body, refLine.retire)
}

// mustBeEmpty makes next the state of the slot, unless it was retired.
func (s *Slot) mustBeEmpty(op string, next slotState) {
	sys := s.parent.sys
	sys.mu.Lock()
	t := s.task
	if t == nil && s.state != slotRetired {
		s.state, s.until = next, time.Time{}
	}
	sys.mu.Unlock()
	if t != nil {
		misuse("Slot.%s: %s is in the slot", op, t.Path())
	}
}

// Restarting tells those who look at the tree that the empty slot waits for a restart, its n-th: at
// until, or as soon as possible if that is zero. The next Start, Stop or Close ends that; the
// number stays.
func (s *Slot) Restarting(n int, until time.Time) {
	sys := s.parent.sys
	sys.mu.Lock()
	defer sys.mu.Unlock()
	s.restarts = n
	if s.task == nil && s.state != slotRetired {
		s.state, s.until = slotRestarting, until
	}
}

// Tasklet is the one in the slot, until it has finished or was given up; nil if the slot is empty.
func (s *Slot) Tasklet() *Tasklet {
	s.parent.sys.mu.Lock()
	defer s.parent.sys.mu.Unlock()
	return s.task
}

// SlotInfo is what a tree shows of a slot.
type SlotInfo struct {
	SlotGlance
	Name    string         // of its tasklets; "" for derived names before the first tasklet
	Path    string         // of its tasklets
	Kind    string         // of the body: receiver, interval, task ...
	Message reflect.Type   // of the messages of the ref; nil: there is none
	Mailbox *mailbox.Stats // of the ref, also while the slot is empty; nil: there is none
}

// SlotGlance is the part of SlotInfo that costs next to nothing, for those who look at a great many
// slots.
type SlotGlance struct {
	Tasklet *Tasklet // nil: the slot is empty
	// State is what the slot is doing, in one word: starting (Start waits), running, or stopping
	// (Stop was called) if there is a tasklet; else stopped, ended (by itself, and the supervisor
	// has not decided yet), restarting, or retired.
	State    string
	Restarts int       // as Restarting was told last
	Until    time.Time // when the restart will be; zero: not known
	// Last is how a tasklet of the slot ended by itself last, a failed start included; LastAt is
	// when. Zero: none has.
	Last   Exit
	LastAt time.Time
}

// Glance is Info without what would have to be put together for it.
func (s *Slot) Glance() SlotGlance {
	s.parent.sys.mu.Lock()
	defer s.parent.sys.mu.Unlock()
	return SlotGlance{
		Tasklet: s.task, State: slotStates[s.state],
		Restarts: s.restarts, Until: s.until, Last: s.last, LastAt: s.lastAt,
	}
}

// Info tells what the slot does. It waits for nobody, and may be called from any goroutine.
func (s *Slot) Info() SlotInfo {
	i := SlotInfo{SlotGlance: s.Glance(), Name: s.name, Kind: s.word}
	t := i.Tasklet
	if t == nil && i.Name == "" {
		t = i.Last.Tasklet
	}
	if t != nil {
		i.Name, i.Path = t.Name(), t.Path()
	} else {
		i.Path = s.path()
	}
	if s.line != nil {
		st := s.line.stats()
		i.Message, i.Mailbox = s.line.message(), &st
	}
	return i
}

// path is that of the tasklets of s, as far as it is known before the first.
func (s *Slot) path() string {
	name := s.name
	if name == "" {
		name = functionName(s.body.instance().source())
	}
	return s.parent.Path() + "/" + name
}

// ended is told the end of a tasklet that was in s. On the scheduler of the parent.
func (s *Slot) ended(exit Exit) {
	if s.cur != exit.Tasklet {
		return // Stop was called for it, or Start told of it
	}
	s.cur = nil
	sys := s.parent.sys
	sys.mu.Lock()
	s.last, s.lastAt = exit, sys.Now()
	sys.mu.Unlock()
	if s.onEnd != nil {
		s.onEnd(exit)
	}
}

// An empty slot stands among the children of its parent as a placeholder: a Tasklet that is none.
// It has no task and is never handed out; it has markVacant. So an ordinary tasklet needs no word
// for slots.

// vacancy is the instance of a placeholder: it leads to the slot.
type vacancy struct{ of *Slot }

func (v vacancy) step(*Tasklet) (bool, error) { return false, nil }
func (v vacancy) line() refLine               { return nil }
func (v vacancy) source() any                 { return nil }
func (v vacancy) kind() string                { return v.of.word }

// vacant reports whether t is the placeholder of an empty slot.
func (t *Tasklet) vacant() bool { return t.marks.Load()&markVacant != 0 }

// slot is the one that t is in, or stands for; nil: none.
func (t *Tasklet) slot() *Slot {
	if v, ok := t.inst.(vacancy); ok {
		return v.of
	}
	if t.supervised {
		return t.ex.Load().slot
	}
	return nil
}

// occupy puts t into the slot, in the place of its placeholder. Under System.mu.
func (s *Slot) occupy(t *Tasklet) {
	t.linked, t.next, t.prev = true, s.hole.next, s.hole.prev
	s.hole.linked, s.hole.next, s.hole.prev = false, nil, nil
	t.sys.moveWalks(s.hole, t)
	relink(t)
	s.hole, s.task = nil, t
}

// vacate empties the slot that t is in; a placeholder takes the place of t unless the children of
// the parent are being stopped. Under System.mu.
func (s *Slot) vacate(t *Tasklet) {
	s.task = nil
	if s.state == slotStopping {
		s.state = slotStopped
	} else {
		s.state = slotEnded
	}
	if s.parent.marks.Load()&markEnded != 0 {
		unlink(t)
		s.parent.emptied(s)
		return
	}
	hole := &Tasklet{sys: t.sys, parent: t.parent, inst: vacancy{s}}
	hole.marks.Store(markVacant | markLeft)
	hole.linked, hole.next, hole.prev = true, t.next, t.prev
	t.linked, t.next, t.prev = false, nil, nil
	t.sys.moveWalks(t, hole)
	relink(hole)
	s.hole = hole
}

// emptied notes a slot that is in the list of children no more, because the body of t has ended.
// Under System.mu.
func (t *Tasklet) emptied(s *Slot) {
	x := t.extra()
	s.next, x.emptied = x.emptied, s
}

// lastChild is the last child of t, whose body has ended. Slots that are empty leave the list: they
// are not to be gone over again for each child.
func (t *Tasklet) lastChild() *Tasklet {
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	for c := t.last; c != nil; c = t.last {
		if !c.vacant() {
			return c
		}
		unlink(c)
		s := c.slot()
		s.hole = nil
		t.emptied(s)
	}
	return nil
}

// slots are those of t, also when its children are being stopped. From any goroutine.
func (t *Tasklet) slots() (all []*Slot) {
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	for c := t.first; c != nil; c = c.next {
		if s := c.slot(); s != nil {
			all = append(all, s)
		}
	}
	if x := t.ex.Load(); x != nil {
		for s := x.emptied; s != nil; s = s.next {
			all = append(all, s)
		}
	}
	return all
}

// endSlots ends the slots of t, whose children are gone: their refs end for good; but those of a
// family stay as they are if it has another life to come. On the scheduler of t.
func (t *Tasklet) endSlots() {
	f := familyOf(t)
	forGood := f == nil || t.inst.line().isDead()
	if x := t.ex.Load(); x != nil {
		for s := x.emptied; s != nil; s = s.next {
			if forGood || s.family == nil {
				s.Retire()
			}
		}
	}
	if forGood && f != nil {
		for _, b := range f.bodies { // also those that were never started
			refsOf(b, refLine.retire)
		}
	}
}

// reserve makes the ref that of the slot s, which is new. The ref of a family passes from one life
// of the parent to the next.
//
// The owner of a ref is found by way of cur: that is a tasklet in the slot, the last of them, or
// the placeholder of a slot that was never started. So a ref needs no word for it.
func (l *line[M]) reserve(s *Slot) error {
	if l.dead.Load() {
		return ErrRefDead
	}
	sys := s.parent.sys
	if has := l.system(); has != nil && has != sys {
		return errors.New("the ref of the body belongs to another system")
	}
	for {
		cur := l.cur.Load()
		switch {
		case cur == nil:
			if l.cur.CompareAndSwap(nil, s.hole) {
				l.use(sys)
				return nil
			}
			continue
		case cur.sys != sys:
			return errors.New("the ref of the body belongs to another system")
		case !cur.left():
			return fmt.Errorf("%w: %s reads it", ErrRefTaken, cur.Path())
		}
		sys.mu.Lock()
		first := cur.slot()
		owner := first
		if owner != nil && owner.heir != nil {
			owner = owner.heir
		}
		if owner == nil || owner.family == nil || owner.family != s.family || owner.parent == s.parent {
			sys.mu.Unlock()
			if owner == nil {
				return ErrRefTaken
			}
			return fmt.Errorf("%w: it belongs to the slot of %s", ErrRefTaken, owner.path())
		}
		first.heir = s
		sys.mu.Unlock()
		if l.cur.Load() == cur {
			return nil
		}
	}
}

// owner is the slot that the ref belongs to, of which cur is the last tasklet or the placeholder;
// nil: none.
func ownerOf(cur *Tasklet) *Slot {
	if cur == nil {
		return nil
	}
	s := cur.slot()
	if s == nil {
		return nil
	}
	s.parent.sys.mu.Lock()
	defer s.parent.sys.mu.Unlock()
	if s.heir != nil {
		return s.heir
	}
	return s
}
