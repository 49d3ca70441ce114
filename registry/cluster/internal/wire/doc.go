// Package wire holds the frames that two nodes exchange, and the state of the link between them.
//
// A Link is what one node knows of its link to one incarnation of another node: both directions of
// it. It turns entries into frames and frames into entries, such that every entry arrives once and
// in order although frames are lost, doubled, delayed and reordered, as long as one of many gets
// through. A Link is pure: it has no goroutine, no clock and no randomness, and it never blocks.
// Its node tells it when time passes (Tick), carries its frames (Outgoing, Accept) and calls it
// from one goroutine at a time.
//
//	outboxes -> Append -> [open frame] -> [unacknowledged frames] -> Outgoing -> transport
//	mailboxes <- Deliver <- [frames in order] <- [frames after a gap] <- Accept <- transport
//
// # Sessions
//
// The number of a session is made of both incarnations (SessionOf) and has a direction. A frame of
// another session is refused, so nothing that was meant for an earlier incarnation gets through.
// Sequence numbers, acknowledgements and credits count from the begin of the session.
//
// # Entries
//
// An entry is a kind, the number of a target, and a payload. A *message* is an entry whose kind has
// the bit Credited: it is for the mailbox of a target and needs credits. All other entries are
// handled by the peer's node at once and need none. The kinds below 16 belong to this package; the
// node layer is free to define others, with or without the bit.
//
// A *target* is a mailbox at the peer that this node has opened (Open). Its number is never used
// again in the session. The same thing seen from the peer is an *inbox*. Both directions number
// their targets by themselves: an entry that speaks about an inbox back to its opener, such as the
// notice of its end, uses the same number with a kind that says so.
//
// # Acknowledgements
//
// Frames with entries are numbered from 1. An acknowledgement is cumulative: it says that all
// entries of all frames up to a number have been delivered, to a mailbox or its side queue. The
// list of unacknowledged frames is the only buffer of the sender and is bounded in bytes; when it
// is full, Send returns ErrFull. A receiver that sees a gap keeps the frames after it, within
// bounds, and asks for the missing ones only. A sender whose last frames are not acknowledged for
// a tick says how far it has sent and asks where the peer is, so a lost last frame is a gap as any
// other.
//
// # Credits
//
// One credit is room for a message of up to 256 bytes; a longer message takes one more for every
// 256 bytes begun. A grant is the total of the credits that a target has had since the begin of
// the session, so a frame that carries it may be lost. A sender without credits asks again on a
// tick.
//
// A sender that has used up the grant of a target may send one message more *on trust*, of whatever
// size; it then waits for a grant above what it has used. This lets a large message through a small
// window, and lets a target that has no credits begin without asking. The messages on trust of a
// link together take at most Config.Trust credits.
//
// The *window* of an inbox is how many credits its sender may have ahead of the mailbox, the one
// message on trust included. It begins at 32, doubles up to 4,096 each time that the mailbox has
// taken a whole window at once, and halves when a mailbox that is full leaves a whole window
// waiting, or when other inboxes of the link are short of credits. All grants ahead of their
// mailboxes together are at most Config.Credits, 16 MiB. A target that sends nothing for a while
// gives its credits back.
//
// Messages that a full mailbox does not take wait in the side queue of their inbox, in order. There
// are never more of them than the window allowed; a peer that sends more breaks the protocol. A
// target that is closed counts as open until its side queue is empty.
//
// Acknowledgements and credits ride on frames with entries. They go alone only after 8 frames, a
// quarter of a window, or a tick.
package wire
