package machine

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/text"
)

// DefaultStash is the limit of a stash that Config does not set.
const DefaultStash = 64

// ErrStashFull is the error of [Machine.Stash] for a message for which the stash has no room. The
// error that Stash returns wraps it, and names the tasklet and its state.
var ErrStashFull = errors.New("machine: the stash is full")

// Config configures the machines of a body. The zero value is ready to use.
type Config struct {
	// Stash is the largest number of messages that may be stashed at a time. It must be smaller
	// than the capacity of the mailbox. 0 means DefaultStash, or one less than the capacity if that
	// is smaller.
	Stash int
}

// A State is one state of a machine: what its tasklet does in it. The functions are called inside
// the tasklet, one at a time, and may park. [actor.OnFailure] says what an error or a panic of one
// of them means, and ErrStop and ErrShutdown end the tasklet, as with a receiver.
//
// A State belongs to one tasklet. It may be changed while the machine is in another state, for
// example to give it another Timeout, except for its Name.
type State[M any] struct {
	// Name is the name of the state in trees and logs. It must not be empty.
	Name string
	// Handle handles one message. It must not be nil.
	Handle actor.Handler[M]
	// Enter, if it is not nil, is called when the state begins, without a message in hand.
	Enter func(t *actor.Tasklet) error
	// Timeout limits the time in the state, on the system's clock; 0 means no limit. It begins when
	// Enter has returned, and ends with the next change of state. It must not be negative.
	Timeout time.Duration
	// OnTimeout is called when that time is over, at most once, or up to a tick of 1 ms later,
	// without a message in hand. It must not be nil if there is a limit.
	OnTimeout func(t *actor.Tasklet) error
}

// A Machine is the part of a state machine that its states use: it changes the state and stashes
// messages. Its methods must be called inside the tasklet, except State.
type Machine[M any] struct {
	// Set at the start, then read-only.
	init func(*actor.Tasklet, *Machine[M]) (*State[M], error)
	t    *actor.Tasklet
	body own.MachineBody

	next *State[M] // the state to be entered; owned by the tasklet
	// state is the state that was entered, or nil before the first. Atomic: written by the tasklet,
	// and read by any goroutine.
	state atomic.Pointer[State[M]]
}

// Body returns a body that handles the messages of ref with a state machine. init makes the states,
// anew at each start, and returns the first one, which is entered when init has returned. init may
// park. If it returns an error, the start has failed; with ErrStop it says that the tasklet is not
// wanted.
//
// The body can be used with the options of [actor.ReceiverInitBody], except IdleAfter. Body panics
// if ref is the zero Ref, init is nil, or cfg is invalid.
func Body[M any](ref actor.Ref[M], cfg Config, init func(t *actor.Tasklet, m *Machine[M]) (*State[M], error)) actor.Body {
	if init == nil {
		misuse("Body with a nil function")
	}
	if ref.IsZero() {
		misuse("Body with a zero Ref")
	}
	start := func() own.Machine { return &engine[M]{init: init} }
	return own.NewMachine(ref, cfg.limit(ref.Cap()), init, start).(actor.Body)
}

// limit returns the limit of the stash for a mailbox with a capacity of n; 0 means unbounded.
func (c Config) limit(n int) int {
	switch {
	case c.Stash < 0:
		misuse("Config.Stash is %d: it must not be negative", c.Stash)
	case n > 0 && c.Stash >= n:
		misuse("Config.Stash is %d: it must be smaller than the capacity of the mailbox, %d", c.Stash, n)
	case c.Stash > 0:
		return c.Stash
	case n > 0:
		return min(DefaultStash, n-1)
	}
	return DefaultStash
}

// Become makes s the next state, when the function of the present state that has called Become has
// returned nil. If it is called more than once, the last call counts. It panics if s is nil, or has
// no name, no Handle, a negative Timeout, or a Timeout without OnTimeout, and if init calls it.
func (m *Machine[M]) Become(s *State[M]) {
	if m.state.Load() == nil {
		misuse("Become before the first state of %s: init returns that", m.path())
	}
	m.check("Become", s)
	m.body.Turn("Machine.Become")
	m.next = s
}

func (m *Machine[M]) check(op string, s *State[M]) {
	switch {
	case s == nil:
		misuse("%s in %s with a nil State", op, m.path())
	case s.Name == "":
		misuse("%s in %s with a State that has no Name", op, m.path())
	case s.Handle == nil:
		misuse("%s in %s: the state %q has no Handle", op, m.path(), s.Name)
	case s.Timeout < 0:
		misuse("%s in %s: the Timeout of the state %q is %v", op, m.path(), s.Name, s.Timeout)
	case s.Timeout > 0 && s.OnTimeout == nil:
		misuse("%s in %s: the state %q has a Timeout and no OnTimeout", op, m.path(), s.Name)
	}
}

// Stash puts the message in hand back into the mailbox, where it stays until the next change of
// state or Unstash. The handler then has no message in hand any more, so if it fails, or is killed,
// the message is not lost. Stash returns an error that wraps ErrStashFull if Config.Stash messages
// are stashed already. Then the message stays in hand. Stash panics if there is no message in hand:
// in Enter, OnTimeout and init, or if the message was stashed already.
func (m *Machine[M]) Stash() error {
	const op = "Machine.Stash"
	switch m.body.Stash(op) {
	case own.StashFull:
		return fmt.Errorf("%w: %s has stashed %d messages in state %q", ErrStashFull, m.path(), m.body.Stashed(op), m.state.Load().Name)
	case own.NotInHand:
		misuse("Stash in %s, which has no message in hand", m.path())
	}
	return nil
}

// Unstash makes the stashed messages the next ones to be handled, in the present state, when the
// function that has called Unstash has returned nil. A change of state does so by itself.
func (m *Machine[M]) Unstash() { m.body.Unstash("Machine.Unstash") }

// Stashed returns the number of stashed messages.
func (m *Machine[M]) Stashed() int { return m.body.Stashed("Machine.Stashed") }

// State returns the present state, or nil if init has not returned. It may be called from any
// goroutine.
func (m *Machine[M]) State() *State[M] { return m.state.Load() }

func (m *Machine[M]) path() string { return m.t.Path() }

// engine makes the functions of own.Machine of a Machine.
type engine[M any] Machine[M]

func (e *engine[M]) Init(t any, b own.MachineBody) (handler any, err error) {
	m := (*Machine[M])(e)
	m.t, m.body = t.(*actor.Tasklet), b
	if m.next, err = m.init(m.t, m); err != nil {
		return nil, err
	}
	m.check("init", m.next)
	m.state.Store(m.next)
	return func(t *actor.Tasklet, msg M) error { return m.state.Load().Handle(t, msg) }, nil
}

func (e *engine[M]) Enter() error {
	s := e.next
	e.state.Store(s)
	if s.Enter == nil {
		return nil
	}
	return s.Enter(e.t)
}

func (e *engine[M]) Timeout() time.Duration { return e.state.Load().Timeout }
func (e *engine[M]) Expire() error          { return e.state.Load().OnTimeout(e.t) }

func (e *engine[M]) State() string {
	if s := e.state.Load(); s != nil {
		return text.Line(s.Name)
	}
	return ""
}

func misuse(format string, args ...any) { panic("machine: " + fmt.Sprintf(format, args...)) }
