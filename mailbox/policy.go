package mailbox

import "github.com/gotasklet/tasklet/internal/queue"

const (
	// DefaultCap is the default capacity of a mailbox, in messages.
	DefaultCap = queue.DefaultCap
	// MaxCap is the largest capacity, in messages.
	MaxCap = queue.MaxCap
)

// Policy determines what a send does when the mailbox is full. The zero value is Block. The String
// method returns the name of the constant.
type Policy = queue.Policy

const (
	// Block makes the sender wait until there is room. Waiting senders are served first come, first
	// served. It is the default.
	Block = queue.Block
	// Fail makes the send return ErrFull at once.
	Fail = queue.Fail
	// DropNewest drops the message that is being sent. The send returns nil, and the loss is
	// counted and reported.
	DropNewest = queue.DropNewest
	// DropOldest drops the oldest message in the mailbox to make room. The send returns nil, and
	// the loss is counted and reported.
	DropOldest = queue.DropOldest
	// Unbounded accepts every message, and the mailbox grows until memory is exhausted. Use it only
	// if senders can neither wait nor be refused.
	Unbounded = queue.Unbounded
)

// Stats holds the counters of a mailbox: the number of messages that are queued (Len), that fit
// (Cap, 0 for Unbounded), and that were queued at most at one time (Peak); the number of messages
// read (Handled) and dropped by the policy (Dropped); and whether it is closed.
type Stats = queue.Stats
