package wire

import (
	"encoding/binary"
	"iter"
)

// Unacknowledged frames lie one behind the other in chunks, so that their memory is what is
// counted. A frame does not reach into the next chunk; an entry that is longer than a chunk has one
// of its own.
type chunk struct {
	buf  []byte // up to its length frames, the open one last
	live int    // unacknowledged frames in it, without the open one
}

// spareMax is how many empty chunks a link keeps.
const spareMax = 4

// sentFrame is a frame that is not acknowledged.
type sentFrame struct {
	in     *chunk
	at     int
	length int
	again  bool // asked for once more
}

func (f sentFrame) bytes() []byte { return f.in.buf[f.at : f.at+f.length : f.at+f.length] }

// Target is a mailbox at the peer that this node has opened.
type Target struct {
	Value any // the node layer's own

	id      uint64
	sent    uint64 // credits of all messages
	granted uint64 // total that the peer has told of
	want    uint64 // credits of the message that Send refused
	size    int    // its length
	usedAt  uint64 // tick of the last message
	askAt   uint64 // tick of the next question for credits
	askWait uint64 // ticks to the one after that
	closed  bool

	wait place[Target] // in noCredits, noTrust, noRoom or ready
	use  place[Target] // in used
	debt place[Target] // in debtors or asking
}

// ID returns the number of the target in entries. It is never used again in this session.
func (t *Target) ID() uint64 { return t.id }

// Credits returns how many messages of up to 256 bytes the target can be sent now, without the one
// on trust.
func (t *Target) Credits() int {
	if t.granted <= t.sent {
		return 0
	}
	return int(t.granted - t.sent)
}

// owes returns the credits that the target has used beyond its grant.
func (t *Target) owes() uint64 {
	if t.sent <= t.granted {
		return 0
	}
	return t.sent - t.granted
}

// Open opens a target. The payload, of a KindOpen, tells the peer which mailbox is meant. The
// target can be sent a message at once. Open returns ErrTooLarge, ErrTargets or ErrFull.
func (l *Link) Open(payload []byte) (*Target, error) {
	if len(l.targets) >= l.config.Targets {
		return nil, ErrTargets
	}
	id := l.lastTarget + 1
	if err := l.Append(KindOpen, id, payload); err != nil {
		return nil, err
	}
	l.lastTarget = id
	t := &Target{id: id}
	t.wait.of, t.use.of, t.debt.of = t, t, t
	l.targets[id] = t
	return t, nil
}

// Close closes a target: the peer's handler gets a KindClose after all messages. The target counts
// as open until the peer has put them all into the mailbox, or nothing would bound side queues of
// targets that are opened, sent a message and closed. Close does nothing if the target is closed.
func (l *Link) Close(t *Target) {
	if t.closed {
		return
	}
	t.closed = true
	t.wait.leave()
	t.use.leave()
	t.askAt, t.askWait = l.tick+2, 2
	l.debtors.add(&t.debt)
	l.put(KindClose, t.id, nil) // there are not more of them than Config.Targets
}

// done forgets a target that was closed and whose mailbox has everything.
func (l *Link) done(t *Target) {
	l.trust -= t.owes()
	t.debt.leave()
	delete(l.targets, t.id)
}

// Send appends a message for a target: an entry whose kind has the bit Credited. The payload is
// copied. It returns ErrCredits if the target has no credits and ErrFull if too much is
// unacknowledged; Ready returns the target when it is time to try again. Other errors: ErrTooLarge,
// ErrClosed.
func (l *Link) Send(t *Target, kind Kind, payload []byte) error {
	if kind&Credited == 0 {
		panic("wire: Send of an entry that is no message")
	}
	if t.closed {
		return ErrClosed
	}
	if len(payload) > l.config.MessageBytes {
		return ErrTooLarge
	}
	cost := costOf(len(payload))
	if !l.may(t, cost) {
		t.want, t.size = cost, len(payload)
		if in := l.blockedBy(t); t.wait.in != in {
			in.add(&t.wait)
		}
		return ErrCredits
	}
	if !l.room(len(payload), l.config.UnackedBytes) {
		t.want, t.size = cost, len(payload)
		if t.wait.in != &l.noRoom {
			l.noRoom.add(&t.wait)
		}
		l.Flush() // or nothing is ever acknowledged
		return ErrFull
	}
	l.put(kind, t.id, payload)
	l.spend(t, cost)
	return nil
}

// Append appends an entry that is no message. target may be anything that the kind is about, an
// inbox for example, or 0. It returns ErrTooLarge, or ErrFull when twice as much is unacknowledged
// as Send bears with; Room tells when it is time to try again.
func (l *Link) Append(kind Kind, target uint64, payload []byte) error {
	if kind&Credited != 0 {
		panic("wire: Append of a message")
	}
	if len(payload) > l.config.MessageBytes {
		return ErrTooLarge
	}
	if !l.room(len(payload), 2*l.config.UnackedBytes) {
		l.Flush()
		return ErrFull
	}
	l.put(kind, target, payload)
	return nil
}

// Room reports whether Append has room for an entry of any length.
func (l *Link) Room() bool { return l.room(l.config.MessageBytes, 2*l.config.UnackedBytes) }

// Ready returns a target that can be sent the message that Send refused, as long as there is one.
func (l *Link) Ready() (*Target, bool) {
	var t *Target
	switch {
	case l.ready.n > 0:
		t = l.ready.first.of
	case l.noRoom.n > 0 && l.room(l.noRoom.first.of.size, l.config.UnackedBytes):
		t = l.noRoom.first.of
	case l.noTrust.n > 0 && l.may(l.noTrust.first.of, l.noTrust.first.of.want):
		t = l.noTrust.first.of
	default:
		return nil, false
	}
	t.wait.leave()
	return t, true
}

// Flush makes due what was appended until now: Outgoing returns it, although a frame is not full.
func (l *Link) Flush() { l.flush = l.openHas }

// Outgoing returns the next frame that is due, as long as there is one: first those that the peer
// has asked for once more, then those that are full or flushed, then what has to go without
// entries. The frame is valid until the next call of a method of the link.
func (l *Link) Outgoing() ([]byte, bool) {
	if l.err != nil {
		return nil, false
	}
	for l.again > 0 {
		l.againFrom = max(l.againFrom, l.acked+1)
		f := l.frames.at(int(l.againFrom - l.acked - 1))
		l.againFrom++
		if f.again {
			f.again = false
			l.again--
			l.stats.Again++
			return l.handOut(f.bytes()), true
		}
	}
	if l.sent == l.frames.n && l.flush {
		l.cut()
	}
	if l.sent < l.frames.n {
		l.sent++
		l.stats.Frames++
		return l.handOut(l.frames.at(l.sent - 1).bytes()), true
	}
	if !l.aloneDue() {
		return nil, false
	}
	if l.alone == nil {
		l.alone = make([]byte, headBytes, headBytes+notesBytes)
	}
	b := l.notes(l.alone[:headBytes], cap(l.alone))
	h := head{session: l.config.Out, seq: l.acked + uint64(l.sent)}
	if l.probe {
		h.flags = flagAsk
		l.probe = false
	}
	h.put(b)
	l.stats.Alone++
	return l.handOut(b), true
}

// handOut brings the acknowledgement of a frame up to date.
func (l *Link) handOut(frame []byte) []byte {
	putAck(frame, l.delivered)
	l.unsaid, l.ackDue = 0, false
	return frame
}

// acksAfter is how many frames are acknowledged alone, without company.
const acksAfter = 8

func (l *Link) aloneDue() bool {
	return l.ackDue || l.unsaid >= acksAfter || l.urgent || l.gapDue || l.probe || l.asking.n > 0
}

// Unconfirmed returns the entries of all frames that are not acknowledged, in order. The value says
// whether the frame has been handed out: then the peer may have handled the entry.
func (l *Link) Unconfirmed() iter.Seq2[Entry, bool] {
	return func(yield func(Entry, bool) bool) {
		each := func(b []byte, sent bool) bool {
			for len(b) > 0 {
				kind, target, payload, n := cutEntry(b)
				b = b[n:]
				if kind != kindForgo && !yield(Entry{Kind: kind, Target: target, Payload: payload}, sent) {
					return false
				}
			}
			return true
		}
		for i := range l.frames.n {
			f := l.frames.at(i).bytes()
			if !each(f[headBytes:headBytes+lengthOf(f)], i < l.sent) {
				return
			}
		}
		if l.openHas {
			each(l.chunk.buf[l.openAt+headBytes:], false)
		}
	}
}

// may reports whether a target can be sent a message of this cost.
func (l *Link) may(t *Target, cost uint64) bool {
	return t.sent+cost <= t.granted ||
		t.sent <= t.granted && l.trust+t.sent+cost-t.granted <= uint64(l.config.Trust)
}

// blockedBy returns the list for a target that may not send.
func (l *Link) blockedBy(t *Target) *list[Target] {
	if t.owes() > 0 {
		return &l.noCredits
	}
	return &l.noTrust
}

// spend counts a message that was appended.
func (l *Link) spend(t *Target, cost uint64) {
	t.sent += cost
	if owes := t.owes(); owes > 0 {
		l.trust += owes
		t.use.leave()
		t.askAt, t.askWait = l.tick+2, 2
		l.debtors.add(&t.debt)
		return
	}
	if t.usedAt == l.tick && t.use.in != nil {
		return
	}
	l.use(t)
}

// use puts a target that has credits at the end of those that may give them back.
func (l *Link) use(t *Target) {
	t.usedAt = l.tick
	if t.granted > t.sent {
		l.used.add(&t.use)
	} else {
		t.use.leave()
	}
}

// grant takes note of what the peer has granted.
func (l *Link) grant(t *Target, total uint64) {
	t.askAt, t.askWait = l.tick+2, 2
	if total <= t.granted {
		return
	}
	before := t.owes()
	t.granted = total
	l.trust -= before - t.owes()
	if t.closed {
		return
	}
	if before > 0 && t.owes() == 0 {
		t.debt.leave()
	}
	if t.use.in == nil {
		l.use(t)
	}
	switch in := t.wait.in; {
	case in != &l.noCredits && in != &l.noTrust:
	case l.may(t, t.want):
		l.ready.add(&t.wait)
	case in != l.blockedBy(t): // it owes nothing any more, but all together owe too much
		l.noTrust.add(&t.wait)
	}
}

// forgo gives the credits of a target back. It reports false if there is no room to say so.
func (l *Link) forgo(t *Target) bool {
	var number [10]byte
	n := t.granted - t.sent
	b := binary.AppendUvarint(number[:0], n)
	if !l.room(len(b), 2*l.config.UnackedBytes) {
		return false
	}
	l.put(kindForgo, t.id, b)
	l.flush = true
	t.sent += n
	t.use.leave()
	return true
}

// room reports whether an entry with such a payload can be appended, when unacknowledged frames may
// have so much memory.
func (l *Link) room(payload, limit int) bool {
	n := payload + entryBytes
	switch {
	case l.openHas && l.openFits(n):
		return true
	case l.frames.n >= framesMax*(limit/l.config.UnackedBytes):
		return false
	case l.chunkFits(n), l.frames.n == 0 && !l.openHas:
		return true
	}
	return l.chunkBytes+l.chunkSize(n) <= limit
}

// openFits reports whether the open frame, which has entries, has room for n bytes.
func (l *Link) openFits(n int) bool {
	used := len(l.chunk.buf)
	return used-l.openAt-headBytes+n <= l.config.FrameBytes && used+n <= cap(l.chunk.buf)
}

// chunkFits reports whether the last chunk has room for a frame with n bytes of entries.
func (l *Link) chunkFits(n int) bool {
	return l.chunk != nil && len(l.chunk.buf)+headBytes+n <= cap(l.chunk.buf)
}

func (l *Link) chunkSize(n int) int { return max(2*l.config.FrameBytes, headBytes+n) }

// put appends an entry to the open frame, or to a new one. There is room.
func (l *Link) put(kind Kind, target uint64, payload []byte) {
	n := len(payload) + entryBytes
	if l.openHas && !l.openFits(n) {
		l.cut()
	}
	if !l.openHas {
		if !l.chunkFits(n) {
			l.newChunk(n)
		}
		l.openAt = len(l.chunk.buf)
		l.chunk.buf = l.chunk.buf[:l.openAt+headBytes]
		l.openHas = true
	}
	l.chunk.buf = appendEntry(l.chunk.buf, kind, target, payload)
}

// cut ends the open frame, and gives it a number and notes.
func (l *Link) cut() {
	c, start := l.chunk, l.openAt
	h := head{
		flags:   flagEntries,
		length:  len(c.buf) - start - headBytes,
		session: l.config.Out,
		seq:     l.acked + uint64(l.frames.n) + 1,
	}
	c.buf = l.notes(c.buf, min(cap(c.buf), len(c.buf)+notesBytes))
	h.put(c.buf[start:])
	c.live++
	l.frames.push(sentFrame{in: c, at: start, length: len(c.buf) - start})
	l.openHas, l.flush = false, false
}

// notes appends what the peer is to know to a frame, as far as it fits below the limit.
func (l *Link) notes(b []byte, limit int) []byte {
	if l.gapDue {
		b = l.noteGaps(b, limit)
	}
	for l.dirty.n > 0 && len(b)+noteBytes <= limit {
		in := l.dirty.first.of
		in.tell.leave()
		in.told = in.granted
		b = appendNote2(b, noteGrant, in.id, in.granted)
	}
	for _, r := range [...]*ring[uint64]{&l.finished, &l.asked} {
		for r.n > 0 && len(b)+noteBytes <= limit {
			b = appendNote1(b, noteDone, *r.at(0))
			r.pop()
		}
	}
	if l.dirty.n+l.finished.n+l.asked.n == 0 {
		l.urgent = false
	}
	for l.asking.n > 0 && len(b)+noteBytes <= limit {
		t := l.asking.first.of
		l.debtors.add(&t.debt)
		t.askWait = min(2*t.askWait, askWaitMax)
		t.askAt = l.tick + t.askWait
		b = appendNote1(b, noteAsk, t.id)
	}
	return b
}

// askWaitMax is the most ticks between two questions for credits.
const askWaitMax = 64

// release forgets the frames up to a number: the peer has them.
func (l *Link) release(ack uint64) {
	for l.acked < ack {
		f := l.frames.at(0)
		if f.again {
			l.again--
		}
		c := f.in
		l.frames.pop()
		l.acked++
		l.sent--
		l.progress = true
		if c.live--; c.live > 0 {
			continue
		}
		if c != l.chunk {
			l.recycle(c)
		} else if !l.openHas {
			c.buf = c.buf[:0]
		}
	}
}

// sendAgain marks count frames from a number on, as far as they are not acknowledged.
func (l *Link) sendAgain(first, count uint64) {
	first, end := max(first, l.acked+1), first+count
	if l.again == 0 || first < l.againFrom {
		l.againFrom = first
	}
	for seq := first; seq < end; seq++ {
		if f := l.frames.at(int(seq - l.acked - 1)); !f.again {
			f.again = true
			l.again++
		}
	}
}

func (l *Link) newChunk(n int) {
	if c := l.chunk; c != nil && c.live == 0 {
		l.recycle(c)
	}
	size := l.chunkSize(n)
	if last := len(l.spare) - 1; last >= 0 && cap(l.spare[last].buf) >= size {
		l.chunk = l.spare[last]
		l.spare = l.spare[:last]
	} else {
		l.chunk = &chunk{buf: make([]byte, 0, size)}
	}
	l.chunkBytes += cap(l.chunk.buf)
}

func (l *Link) recycle(c *chunk) {
	l.chunkBytes -= cap(c.buf)
	if cap(c.buf) == 2*l.config.FrameBytes && len(l.spare) < spareMax {
		c.buf = c.buf[:0]
		l.spare = append(l.spare, c)
	}
}
