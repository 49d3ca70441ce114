package wire

import (
	"errors"
	"fmt"
)

// Errors of Accept and Deliver. Each comes wrapped, with what was wrong.
var (
	// ErrVersion says that a frame is written in another version of this protocol.
	ErrVersion = errors.New("wire: frame of another version")
	// ErrSession says that a frame belongs to another session: its sender or the node that it was
	// meant for is another incarnation.
	ErrSession = errors.New("wire: frame of another session")
	// ErrFrame says that a frame is malformed. Nothing of it was used.
	ErrFrame = errors.New("wire: malformed frame")
	// ErrProtocol says that a well-formed frame says what its sender can't say: it speaks of what
	// was never sent or opened. The session has to be ended.
	ErrProtocol = errors.New("wire: peer broke the protocol")
	// ErrOverrun says that the peer has sent more than its credits allow, or opened more targets
	// than a link may have. The session has to be ended.
	ErrOverrun = errors.New("wire: peer overran its credits")
)

// Errors of Open, Send, Append and Close.
var (
	// ErrCredits says that a target has no credits now: its mailbox is full, or far away.
	ErrCredits = errors.New("wire: target has no credits")
	// ErrFull says that too much is unacknowledged.
	ErrFull = errors.New("wire: too many unacknowledged frames")
	// ErrTooLarge says that a payload is longer than Config.MessageBytes.
	ErrTooLarge = errors.New("wire: payload is too large")
	// ErrTargets says that Config.Targets are open.
	ErrTargets = errors.New("wire: too many open targets")
	// ErrClosed says that a target was closed by this side.
	ErrClosed = errors.New("wire: target is closed")
)

func refuse(err error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", err, fmt.Sprintf(format, args...))
}
