package wire

import (
	"errors"
	"fmt"
)

// Check returns what contradicts itself in a link: sums against what they are the sums of.
func (l *Link) Check() error {
	var errs []error
	same := func(what string, got, want uint64) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s is %d, counted %d", what, got, want))
		}
	}
	most := func(what string, got, limit int) {
		if got > limit {
			errs = append(errs, fmt.Errorf("%s is %d, at most %d", what, got, limit))
		}
	}
	var trust uint64
	for _, t := range l.targets {
		trust += t.owes()
		if t.owes() > 0 != (t.debt.in != nil) && !t.closed {
			errs = append(errs, fmt.Errorf("target %d owes %d, listed: %t", t.id, t.owes(), t.debt.in != nil))
		}
		if t.granted > t.sent && !t.closed && t.use.in == nil {
			errs = append(errs, fmt.Errorf("target %d has credits and never gives them back", t.id))
		}
	}
	same("trust", l.trust, trust)
	most("trust", int(l.trust), l.config.Trust)
	var reserved, overdrawn uint64
	queued := 0
	for _, in := range l.inboxes {
		reserved += in.ahead()
		overdrawn += in.owed()
		queued += in.count
		most("side queue", in.count, l.config.WindowMax)
		most("memory of a side queue", int(in.waiting), l.config.WindowMax+int(costOf(l.config.MessageBytes)))
		if in.taken > in.sent || in.waiting > in.sent-in.taken {
			errs = append(errs, fmt.Errorf("inbox %d: sent %d, taken %d, waiting %d", in.id, in.sent, in.taken, in.waiting))
		}
		if in.granted < min(in.taken, in.sent) && !in.gone {
			errs = append(errs, fmt.Errorf("inbox %d: taken %d, granted %d", in.id, in.taken, in.granted))
		}
	}
	same("reserved", l.reserved, reserved)
	most("reserved", int(l.reserved), l.config.Credits)
	same("overdrawn", l.overdrawn, overdrawn)
	same("queued", uint64(l.stats.Queued), uint64(queued))

	chunks := map[*chunk]int{}
	again := 0
	for i := range l.frames.n {
		f := l.frames.at(i)
		chunks[f.in]++
		if f.again {
			again++
		}
	}
	same("again", uint64(l.again), uint64(again))
	if l.chunk != nil {
		chunks[l.chunk] += 0
	}
	bytes := 0
	for c, live := range chunks {
		bytes += cap(c.buf)
		same("live", uint64(c.live), uint64(live))
	}
	same("memory of chunks", uint64(l.chunkBytes), uint64(bytes))
	// Append has twice the room, and KindClose all the room that it needs.
	most("memory of chunks", l.chunkBytes, 2*l.config.UnackedBytes+l.chunkSize(l.config.MessageBytes+entryBytes)+
		l.config.Targets*l.chunkSize(entryBytes))
	held, heldBytes := 0, 0
	for i := range l.held.n {
		if f := *l.held.at(i); f != nil {
			held++
			heldBytes += len(f)
		}
	}
	same("held", uint64(l.heldCount), uint64(held))
	same("memory of held frames", uint64(l.heldBytes), uint64(heldBytes))
	most("memory of held frames", l.heldBytes, 2*l.config.UnackedBytes+l.config.FrameMax())
	return errors.Join(errs...)
}

// Lengths of parts of a frame, for tests that break one.
const (
	HeadBytes  = headBytes
	NotesBytes = notesBytes
	GapsMax    = gapsMax
	AheadMax   = aheadMax
	AskedMax   = askedMax
)

// A Head is the head of a frame that a test makes by hand.
type Head struct {
	Version, Flags byte
	Length         int
	Session        uint64
	Seq, Ack       uint64
}

// Frame makes a frame by hand.
func Frame(h Head, entries, notes []byte) []byte {
	b := make([]byte, headBytes)
	head{h.Flags, h.Length, h.Session, h.Seq, h.Ack}.put(b)
	b[0] = h.Version
	return append(append(b, entries...), notes...)
}

// AppendEntry appends an entry.
func AppendEntry(b []byte, kind Kind, target uint64, payload []byte) []byte {
	return appendEntry(b, kind, target, payload)
}

// KindForgo gives credits back.
const KindForgo = kindForgo

// Asked is how many questions wait for an answer.
func (l *Link) Asked() int { return l.asked.n }
