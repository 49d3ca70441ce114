package actor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Slot is the place of a child in its parent, with or without a tasklet in it. A supervisor
// starts, stops, closes and retires its slots. A slot keeps its place among the children over all
// restarts, and so its turn when the parent stops its children. The ref that its body reads, if
// there is one, belongs to the slot: no other tasklet can read it until the slot is retired.
//
// A slot is empty at first. Start puts a tasklet into it, and the end of the tasklet empties it:
//
//	        Start                  ends by itself (onEnd is called)
//	empty ─────────▶ occupied ──────────────────────────────────────▶ empty, the ref is held
//	                     │      Stop
//	                     └───────────────────────────────────────────▶ empty, the ref is held
//
// A held ref takes messages up to its capacity, for the next tasklet: until Start, or until Close
// or Retire declares that none is to come. In a slot a failure ends the tasklet unless OnFailure
// says otherwise.
//
// When the parent ends, its children are stopped in reverse order, and its slots are retired before
// it has finished, except those of a [Family] that has another life to come.
//
// Start and Stop must be called inside the parent. Close, Retire and Restarting may also be called
// in onEnd, and Info, Glance and Tasklet from any goroutine.
type Slot struct {
	// Set in NewSlot, then read-only.
	parent  *Tasklet
	body    Body
	lineage anyLineage // nil if the body reads no ref
	opts    []Option
	onEnd   func(Exit) // may be nil
	direct  bool       // onEnd is the library's own, and needs no guard
	reports own.Ends   // the ends that the supervisor reports; set before the first start
	name    string     // "" if each tasklet has a derived one
	word    string     // the kind of the body
	family  *family    // the family that keeps the ref when the parent ends, or nil

	// Owned by the scheduler of the parent: the tasklet whose end must be passed to onEnd, or nil.
	cur *Tasklet

	// System.mu protects the following.
	task *Tasklet // the tasklet in the slot, or nil
	// hole stands for the slot among the children while it is empty; nil if it is not among them.
	hole *Tasklet
	// spare is the placeholder while the slot is occupied, if one was needed after an end. So a
	// restart does not make another one.
	spare *Tasklet
	used  bool  // a tasklet has left the slot
	next  *Slot // the next in extra.emptied
	// heir is the slot of the ref, if the ref has passed on to a later life of the parent; see
	// reserve.
	heir     *Slot
	state    slotState
	restarts int
	until    time.Time
	last     Exit
	lastAt   time.Time
}

// slotState is the state of a slot.
type slotState uint8

const (
	slotStopped    slotState = iota // empty, and no tasklet is to come by itself
	slotStarting                    // Start waits for the tasklet
	slotRunning                     // occupied
	slotStopping                    // occupied, and Stop was called
	slotEnded                       // empty, and the supervisor has not decided yet
	slotRestarting                  // empty, and waits for a restart: see Restarting
	slotRetired                     // no longer in use
)

var slotStates = [...]string{"stopped", "starting", "running", "stopping", "ended", "restarting", "retired"}

// Errors of [NewSlot], for errors.Is.
var (
	// ErrRefTaken means that the ref of a body is read by a tasklet, or belongs to another slot.
	ErrRefTaken = errors.New("actor: the ref of the body is taken")
	// ErrRefDead means that the ref of a body has ended permanently.
	ErrRefDead = errors.New("actor: the ref of the body is dead")
)

// NewSlot returns an empty slot for children with the body b, after the present children of t. opts
// are the options of each start. If onEnd is not nil, it is called on the scheduler of t when a
// tasklet of the slot has ended by itself. It must not block; usually it sends a message to t. It
// is not called for a failed start, for a tasklet that Stop stops, or when the body of t has ended.
// NewSlot must be called inside t, and not in a deferred call.
//
// If the specification is invalid, NewSlot returns an error and makes nothing. That is the case for
// an option that cannot be used with b in a slot, for a scheduler that does not exist, for a ref
// that is read on another scheduler than OnScheduler says, and for a ref of another system.
// ErrRefTaken and ErrRefDead report the state of the ref.
func NewSlot(t *Tasklet, b Body, onEnd func(Exit), opts ...Option) (*Slot, error) {
	switch {
	case t == nil:
		misuse("NewSlot of a nil *Tasklet")
	case b == nil:
		misuse("NewSlot with a nil Body")
	}
	t.spawner("NewSlot")
	in := b.instance()
	s := &Slot{parent: t, body: b, lineage: in.lineage(), opts: optionsOf(b, opts), onEnd: onEnd, word: in.kind()}
	s.direct = own.Harmless(onEnd)
	if err := s.checkOptions(); err != nil {
		return nil, err
	}
	s.hole = &Tasklet{sys: t.sys, parent: t, inst: vacancy{s}}
	s.hole.marks.Store(markVacant | markLeft)
	if s.lineage != nil {
		if s.name == "" {
			s.name = s.lineage.name()
		}
		if f := familyOf(t); f != nil && f.lineages[s.lineage] {
			s.family = f
		}
		if err := s.lineage.reserve(s); err != nil {
			return nil, err
		}
	}
	t.sys.mu.Lock()
	defer t.sys.mu.Unlock()
	t.marks.Or(markParent)
	insert(s.hole)
	return s, nil
}

// CheckSlot reports whether a slot can be made for b with opts, as far as that does not depend on
// the parent. The error is that of [NewSlot]. ref identifies the ref that b reads, and is nil if b
// reads none: two bodies with the same ref cannot be in two slots. CheckSlot may be called from any
// goroutine.
func CheckSlot(b Body, opts ...Option) (ref any, err error) {
	s := &Slot{body: b, lineage: b.instance().lineage(), opts: optionsOf(b, opts)}
	err = s.checkOptions()
	if l := s.lineage; l != nil {
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

// checkOptions checks the options, and takes the name from them.
func (s *Slot) checkOptions() error {
	allowed := s.body.allows()
	for i := range s.opts {
		o := &s.opts[i]
		switch {
		case o.set&allowed == 0:
			return fmt.Errorf("the option %s can't be used here", optionNames[o.set])
		case o.set == optDaemon:
			return errors.New("the option Daemon can't be used here: a daemon has no parent")
		case o.set == optUrgent:
			if why := noUrgent(s.lineage, o.is); why != "" {
				return fmt.Errorf("the option Urgent can't be used here: %s", why)
			}
		case o.set == optName:
			s.name = o.name
		case o.set == optOnScheduler && s.parent != nil:
			if hosts := s.parent.sys.hosts; o.n >= int64(len(hosts)) {
				return fmt.Errorf("the option OnScheduler(%d) can't be used here: the system has %d, counted from 0", o.n, len(hosts))
			}
			if s.lineage != nil {
				if home := s.lineage.home(); home != nil && home.sys == s.parent.sys && int64(home.n) != o.n {
					return fmt.Errorf("the option OnScheduler(%d) can't be used here: the ref of the body was read on scheduler %d before, and never moves", o.n, home.n)
				}
			}
		}
	}
	return nil
}

// Start starts a tasklet in the slot, which must be empty, and waits until it has started: its
// OnStart functions and its init are done. If one of them fails, Start returns the tasklet and its
// error when the start is undone. That includes ErrStop of an init whose tasklet is not wanted.
// errors.Is and errors.As examine the error, but it counts as that of another tasklet, so that a
// parent that returns it has failed; see [KindOf].
//
// If ctx ends first, Start returns ErrTimeout or the cause of ctx, and the start continues. A
// failure after that is an end like any other. ctx must be the parent, or derived from it.
func (s *Slot) Start(ctx context.Context) (*Tasklet, error) {
	by, limit := s.caller(ctx, "Slot.Start")
	sys := s.parent.sys
	sys.mu.Lock()
	occupied, state := s.task, s.state
	path := ""
	if s.name != "" {
		path = s.last.Path // the same for all of its tasklets
	}
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
	o := &occupant{t: Tasklet{inst: s.body.instance(), supervised: true}}
	t, w := &o.t, &o.start
	w.bell, w.path = *by.NewBell(), path
	o.x.start, o.x.slot = w, s
	t.ex.Store(&o.x)
	s.cur = t
	defer s.startOver(t)
	t.start(s.parent, "Slot.Start", s.opts, s.body.allows())
	return t, t.waitStart(by, limit, w)
}

// occupant is a tasklet in a slot, in one piece of memory with what it needs there.
type occupant struct {
	t     Tasklet
	x     extra
	start startWait
}

// startOver ends the state in which Start waits for t.
func (s *Slot) startOver(t *Tasklet) {
	sys := s.parent.sys
	exit, failed := t.Exit()
	if failed = failed && s.cur == t && t.extra().start.failed(); failed {
		s.cur = nil // Start returns its end
	}
	sys.mu.Lock()
	defer sys.mu.Unlock()
	switch {
	case failed && exit.Kind != reason.Normal: // otherwise the tasklet is not wanted
		s.last, s.lastAt = exit, sys.Now()
	case s.state == slotStarting:
		s.state = slotRunning
	}
}

// Stop stops the tasklet in the slot, as a stopping parent does, and returns when the slot is
// empty: the tasklet is killed; after its time, see [Shutdown], the kill becomes hard; and a second
// later the tasklet is detached, which is an event and no error here. If ctx ends first, or the
// wait would be a deadlock, Stop returns ErrTimeout, the cause of ctx or a *DeadlockError. Then the
// slot is still occupied by a tasklet that was killed. If the slot is empty, Stop only ends the
// state set by [Slot.Restarting]. ctx must be the parent, or derived from it.
func (s *Slot) Stop(ctx context.Context) error {
	by, limit := s.caller(ctx, "Slot.Stop")
	s.cur = nil // so that its end is not passed to onEnd
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

// caller returns the task of the parent, which makes the call.
func (s *Slot) caller(ctx context.Context, op string) (by *core.Task, limit context.Context) {
	by, limit = core.Caller(ctx, op)
	if by != &s.parent.task {
		misuse("Slot.%s by another tasklet: only %s may call it", strings.TrimPrefix(op, "Slot."), s.parent.Path())
	}
	return by, limit
}

// Restarting records, for trees, that the empty slot waits for its n-th restart, at until, or as
// soon as possible if until is zero. The next Start, Stop or Close ends that state; the number is
// kept.
func (s *Slot) Restarting(n int, until time.Time) {
	sys := s.parent.sys
	sys.mu.Lock()
	defer sys.mu.Unlock()
	s.restarts = n
	if s.task == nil && s.state != slotRetired {
		s.state, s.until = slotRestarting, until
	}
}

// Tasklet returns the tasklet in the slot until it has finished or was detached, or nil if the slot
// is empty.
func (s *Slot) Tasklet() *Tasklet {
	s.parent.sys.mu.Lock()
	defer s.parent.sys.mu.Unlock()
	return s.task
}

// SlotInfo is the state of a slot, as a tree shows it.
type SlotInfo struct {
	SlotGlance
	Name    string         // of its tasklets; "" for derived names before the first tasklet
	Path    string         // of its tasklets
	Kind    string         // of the body, such as receiver, interval or task
	Message reflect.Type   // the type of the ref's messages; nil if there is no ref
	Mailbox *mailbox.Stats // of the ref, also while the slot is empty; nil if there is no ref
}

// SlotGlance is the part of SlotInfo that costs almost nothing, for programs that examine very many
// slots.
type SlotGlance struct {
	Tasklet *Tasklet // nil if the slot is empty
	// State is the state of the slot in one word. With a tasklet it is starting (Start waits),
	// running, or stopping (Stop was called); without one it is stopped, ended (by itself, and the
	// supervisor has not decided yet), restarting, or retired.
	State    string
	Restarts int       // the number given to the last Restarting
	Until    time.Time // the time of the restart; zero if it is not known
	// Last is the last end of a tasklet of the slot by itself, including a failed start, and LastAt
	// its time. Both are zero if there was none.
	Last   Exit
	LastAt time.Time
}

// Glance returns the part of Info that needs no allocation.
func (s *Slot) Glance() SlotGlance {
	s.parent.sys.mu.Lock()
	defer s.parent.sys.mu.Unlock()
	return SlotGlance{
		Tasklet: s.task, State: slotStates[s.state],
		Restarts: s.restarts, Until: s.until, Last: s.last, LastAt: s.lastAt,
	}
}

// Info returns the state of the slot. It never waits, and may be called from any goroutine.
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
	if s.lineage != nil {
		st := s.lineage.stats()
		i.Message, i.Mailbox = s.lineage.message(), &st
	}
	return i
}

// reserve makes the ref belong to the new slot s. The ref of a family passes from one life of the
// parent to the next.
//
// The owner of a ref is found through cur: a tasklet in the slot, the last one, or the placeholder
// of a slot that was never started. So a ref needs no word for it.
func (l *lineage[M]) reserve(s *Slot) error {
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
