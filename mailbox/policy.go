package mailbox

import "github.com/gotasklet/tasklet/internal/queue"

const (
	// DefaultCap is the capacity of a mailbox that is not told otherwise.
	DefaultCap = queue.DefaultCap
	// MaxCap is the largest capacity.
	MaxCap = queue.MaxCap
)

// Policy is what a send does that finds a mailbox full. Its method String returns the constant's
// name.
type Policy = queue.Policy

const (
	// Block parks the sender until there is room; senders are served first come, first served. It
	// is the default.
	Block = queue.Block
	// Fail makes the send return ErrFull.
	Fail = queue.Fail
	// DropNewest drops the message that is being sent. The send returns nil; the loss is counted
	// and reported.
	DropNewest = queue.DropNewest
	// DropOldest drops the oldest message of the mailbox to make room. The loss is counted and
	// reported.
	DropOldest = queue.DropOldest
	// Unbounded accepts every message: the mailbox grows until memory ends. It is meant for senders
	// that can neither wait nor be refused.
	Unbounded = queue.Unbounded
)

// Stats are counters of a mailbox, for a log or a page: how many messages it holds (Len), may hold
// (Cap, 0 for Unbounded) and held at most (Peak), how many were read (Handled) and dropped by the
// policy (Dropped), and whether it is closed.
type Stats = queue.Stats
