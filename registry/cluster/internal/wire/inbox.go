package wire

import "encoding/binary"

// Inbox is a target that the peer has opened: its credits, and the side queue of its mailbox.
type Inbox struct {
	Value any // the node layer's own

	id      uint64
	sent    uint64 // credits of all that came
	taken   uint64 // credits of what the mailbox has taken
	granted uint64 // total of credits
	told    uint64 // of which the peer was told
	window  uint64
	turn    uint64 // credits taken since the window was looked at
	strain  uint64 // credits that went into the side queue since then, or since it shrank
	clean   bool   // nothing did
	asleep  bool   // the peer has given its credits back
	gone    bool   // closed by the peer

	queue   []byte // from first on: kind (1 byte), length (4 bytes), payload, and so on
	first   int
	count   int    // messages in it
	waiting uint64 // their credits

	tell place[Inbox] // in dirty
	lack place[Inbox] // in short
}

// ID returns the number of the inbox: the ID of the peer's target.
func (in *Inbox) ID() uint64 { return in.id }

// Queued returns how many messages wait in the side queue.
func (in *Inbox) Queued() int { return in.count }

// Window returns how many credits the peer may have ahead of the mailbox.
func (in *Inbox) Window() int { return int(in.window) }

const queueHead = 1 + 4

// queueKeep is the memory that an empty side queue keeps, until its target is idle.
const queueKeep = 16 << 10

// Peek returns the first message of the side queue, if there is one. Its payload is valid until the
// next call of Pop, Retry, Drop or Deliver.
func (in *Inbox) Peek() (Entry, bool) {
	if in.count == 0 {
		return Entry{}, false
	}
	b := in.queue[in.first:]
	end := queueHead + int(binary.BigEndian.Uint32(b[1:]))
	return Entry{Kind: Kind(b[0]), Target: in.id, Payload: b[queueHead:end:end], Inbox: in}, true
}

// Pop takes the first message out of the side queue: the mailbox has it, or it is a dead letter.
func (l *Link) Pop(in *Inbox) {
	e, ok := in.Peek()
	if !ok {
		return
	}
	cost := costOf(len(e.Payload))
	in.first += queueHead + len(e.Payload)
	in.count--
	in.waiting -= cost
	l.stats.Queued--
	if in.count == 0 {
		in.queue, in.first = in.queue[:0], 0
		if cap(in.queue) > queueKeep {
			in.queue = nil
		}
	}
	l.took(in, cost, false)
}

// Retry hands messages of the side queue to h, in order, until one is not taken, limit of them are
// (0 means no limit), or the queue is empty. It returns how many are left.
func (l *Link) Retry(in *Inbox, limit int, h Handler) int {
	for n := 0; limit == 0 || n < limit; n++ {
		e, ok := in.Peek()
		if !ok || !h.Message(e) {
			break
		}
		l.Pop(in)
	}
	return in.count
}

// Drop empties the side queue; each message in it is handed to lost.
func (l *Link) Drop(in *Inbox, lost func(Entry)) {
	for {
		e, ok := in.Peek()
		if !ok {
			return
		}
		lost(e)
		l.Pop(in)
	}
}

// enqueue puts a message that has arrived into the side queue.
func (l *Link) enqueue(in *Inbox, e Entry, cost uint64) {
	need := len(in.queue) + queueHead + len(e.Payload)
	if need > cap(in.queue) && in.first >= len(in.queue)/2 {
		n := copy(in.queue, in.queue[in.first:])
		in.queue, in.first = in.queue[:n], 0
	}
	in.queue = append(in.queue, byte(e.Kind))
	in.queue = binary.BigEndian.AppendUint32(in.queue, uint32(len(e.Payload)))
	in.queue = append(in.queue, e.Payload...)
	in.count++
	in.waiting += cost
	l.stats.Queued++

	in.clean = false
	if in.strain += cost; in.strain >= in.window && in.waiting >= in.window/2 {
		in.strain = 0
		in.window = max(in.window/2, min(in.window, uint64(l.config.Window)))
	}
}

// arrive counts a message that came. It returns an error if it came without credits.
func (l *Link) arrive(in *Inbox, cost uint64) error {
	if in.sent > in.granted {
		return l.broken(ErrOverrun, "target %d has sent %d credits of %d", in.id, in.sent+cost, in.granted)
	}
	if in.sent += cost; in.sent > in.granted {
		l.overdrawn += in.sent - in.granted
		if l.overdrawn > uint64(l.config.Trust) {
			return l.broken(ErrOverrun, "%d credits of messages on trust", l.overdrawn)
		}
	}
	if in.asleep {
		in.asleep = false
		in.window = uint64(l.config.Window)
	}
	return nil
}

// took counts a message that the mailbox has; at once, or from the side queue.
func (l *Link) took(in *Inbox, cost uint64, atOnce bool) {
	l.free(in, cost)
	if in.turn += cost; in.turn >= in.window {
		switch {
		case l.short.n > 0:
			in.window = max(in.window/2, 1)
		case in.clean && in.window < uint64(l.config.WindowMax) &&
			l.reserved+in.window <= uint64(l.config.Credits):
			in.window = min(2*in.window, uint64(l.config.WindowMax))
		}
		in.turn, in.strain, in.clean = 0, 0, in.count == 0
	}
	l.regrant(in)
	l.serveShort()
}

// free counts credits as taken.
func (l *Link) free(in *Inbox, n uint64) {
	before := in.ahead()
	in.taken += n
	l.reserved -= before - in.ahead()
}

// ahead returns the credits that the peer has ahead of the mailbox, without those on trust.
func (in *Inbox) ahead() uint64 {
	if in.granted <= in.taken {
		return 0
	}
	return in.granted - in.taken
}

// forgone counts credits that the peer gives back.
func (l *Link) forgone(in *Inbox, n uint64) {
	in.sent += n
	l.free(in, n)
	in.window, in.turn, in.strain = 1, 0, 0
	in.asleep = true
	if in.count == 0 {
		in.queue = nil
	}
	in.lack.leave()
	l.serveShort()
}

// closed gives the credits of an inbox back that the peer will not use, and forgets the inbox if
// its mailbox has everything.
func (l *Link) closed(in *Inbox) {
	if in.sent < in.granted {
		l.forgone(in, in.granted-in.sent)
	}
	in.gone = true
	in.tell.leave()
	in.lack.leave()
	l.finish(in)
}

// finish tells the peer of an inbox that is closed and whose mailbox has everything.
func (l *Link) finish(in *Inbox) {
	if in.gone && in.count == 0 && l.inboxes[in.id] == in {
		l.overdrawn -= in.owed()
		delete(l.inboxes, in.id)
		l.finished.push(in.id)
	}
}

// regrant grants an inbox what its window allows and what is left for all. The window has the one
// message on trust, so the grant is one less.
func (l *Link) regrant(in *Inbox) {
	if in.gone {
		l.finish(in)
		return
	}
	want := in.taken + in.window - 1
	if want > in.granted {
		before, owed := in.ahead(), in.owed()
		left := uint64(l.config.Credits) - l.reserved
		in.granted = min(want, max(in.granted, in.taken)+left)
		l.reserved += in.ahead() - before
		l.overdrawn -= owed - in.owed()
	}
	switch {
	case want > in.granted && in.lack.in == nil:
		l.short.add(&in.lack)
	case want <= in.granted:
		in.lack.leave()
	}
	if in.granted == in.told {
		return
	}
	if in.tell.in == nil {
		l.dirty.add(&in.tell)
	}
	// The peer can't send, or will soon not be able to.
	if in.granted-in.told >= max(1, in.window/4) || in.taken == in.sent && in.told < in.sent {
		l.urgent = true
	}
}

// owed returns the credits that the peer has used beyond its grant.
func (in *Inbox) owed() uint64 {
	if in.sent <= in.granted {
		return 0
	}
	return in.sent - in.granted
}

// serveShort gives what others have given back to inboxes that have less than their window.
func (l *Link) serveShort() {
	for l.short.n > 0 && l.reserved < uint64(l.config.Credits) {
		in := l.short.first.of
		in.lack.leave()
		l.regrant(in)
	}
}
