package own

import "time"

// Machine is a state machine of package supervisor/machine, for one tasklet of its body. All
// methods but State are called inside that tasklet.
type Machine interface {
	// Init begins with the tasklet t, an *actor.Tasklet. It returns the handler for messages, a
	// func(*actor.Tasklet, M) error.
	Init(t any, b MachineBody) (handler any, err error)
	// Enter enters the state that the machine has asked for by MachineBody.Turn, and at first the
	// one of Init.
	Enter() error
	// Timeout returns the time until Expire must be called in the state that was entered, or 0.
	Timeout() time.Duration
	Expire() error
	// State returns the name of the state. It may be called from any goroutine.
	State() string
}

// MachineBody is the body of a Machine, with the mailbox. Its methods must be called inside the
// tasklet. They panic otherwise, and name op.
type MachineBody interface {
	// Stash puts the message in hand back into the mailbox until the state changes.
	Stash(op string) Stashed
	// Unstash makes the stashed messages the next ones when the call that the machine is in has
	// succeeded.
	Unstash(op string)
	// Turn does so too, and makes Enter the next call.
	Turn(op string)
	// Stashed returns the number of stashed messages.
	Stashed(op string) int
}

// Stashed is the result of MachineBody.Stash.
type Stashed uint8

const (
	InStash   Stashed = iota // it was stashed
	StashFull                // the stash has as many messages as it may
	NotInHand                // there is no message in hand
)

// NewMachine returns the actor.Body of state machines that read ref, an actor.Ref. The stash takes
// at most limit messages. start returns the machine of a new tasklet, and must not call code of the
// user. The names of tasklets are derived from the function source. Package actor sets NewMachine
// when it is initialized.
var NewMachine func(ref any, limit int, source any, start func() Machine) (body any)
