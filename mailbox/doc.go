// Package mailbox is what a tasklet sees of its mailbox: the [Mailbox] that a body reads in a loop
// of its own, the policies for a full one, and the errors of sends and reads. Refs, which send to a
// mailbox, are in package actor.
//
// A mailbox is a bounded queue of messages of one type. It has any number of senders, and one
// reader at a time. The messages of one sender are read in the order in which it sent them.
//
// # Full
//
// What a send does that finds no room is the mailbox's [Policy]:
//
//   - [Block]: the sender waits until there is room or its context is done. Waiting senders are
//     served first come, first served. When room appears, the message of the first is moved in at
//     once, so no later sender overtakes it. A sender that is killed, or whose context ends, has
//     not sent.
//   - [Fail]: the send returns [ErrFull].
//   - [DropNewest], [DropOldest]: one message is dropped, counted and reported. The send returns
//     nil.
//   - [Unbounded]: there is always room, until memory ends.
//
// # Closed
//
// A closed mailbox refuses new messages with [ErrClosed]. Its reader can still read what is queued;
// then its reads end. Messages that will never be read are reported by the system, with their
// number and type.
//
// # Memory
//
// Memory is allocated with use, and given back when the mailbox is empty a second after its reader
// began to wait.
package mailbox
