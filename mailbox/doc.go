// Package mailbox provides the reading end of a tasklet's mailbox: the [Mailbox] that a body reads
// in a loop of its own. It also has the policies for a full mailbox, and the errors of sends and
// reads. To send to a mailbox, use a Ref of package actor.
//
// A mailbox is a bounded queue of messages of one type. It has any number of senders, and one
// reader at a time. The messages of one sender are read in the order in which it sent them.
//
// # Full
//
// The [Policy] of a mailbox determines what a send does that finds no room:
//
//   - [Block]: the sender waits until there is room or its context is done. Waiting senders are
//     served first come, first served. When room appears, the message of the first is moved in at
//     once, so no later sender overtakes it. A sender that is killed, or whose context ends, has
//     not sent.
//   - [Fail]: the send returns [ErrFull].
//   - [DropNewest], [DropOldest]: one message is dropped, counted and reported. The send returns
//     nil.
//   - [Unbounded]: there is always room, until memory is exhausted.
//
// # Closed
//
// A closed mailbox refuses new messages with [ErrClosed]. Its reader can still read the queued
// messages, and then its reads end. The system reports messages that will never be read, with their
// number and type.
//
// # Memory
//
// A mailbox allocates memory as it fills. It frees the memory when it has been empty, with its
// reader waiting, for a second.
package mailbox
