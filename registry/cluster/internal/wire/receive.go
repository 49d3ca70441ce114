package wire

import "slices"

// Entry is one entry of a frame.
type Entry struct {
	Kind    Kind
	Target  uint64
	Payload []byte // read-only, and valid only during the call that got it
	Inbox   *Inbox // of a message, a KindOpen or a KindClose, when it is delivered; otherwise nil
}

// Handler is what a node does with what comes in. Its methods may use the sending side of the link,
// but neither Accept, Deliver nor methods of the inbox.
type Handler interface {
	// Entry handles an entry that is no message. After KindClose no message comes for its inbox;
	// some may be left in the side queue.
	Entry(e Entry)
	// Message puts a message into the mailbox of e.Inbox. It returns false if the mailbox is full:
	// then this and all later messages of the inbox wait in the side queue, and Message is not
	// called for it until Retry has emptied that. For a message that no mailbox will ever take
	// it reports a dead letter, and returns true.
	Message(e Entry) bool
}

// Accept takes a frame that came from the peer. The frame belongs to the link until its entries are
// delivered; nobody may change it. A frame that has come before, or is too far ahead, is dropped
// without an error and counted.
//
// ErrVersion, ErrSession and ErrFrame say that nothing of the frame was used. With ErrProtocol and
// ErrOverrun the link has ended: it accepts, delivers and hands out nothing any more. All errors
// say what was wrong.
func (l *Link) Accept(frame []byte) error {
	err := l.accept(frame)
	if err != nil {
		l.stats.Refused++
	}
	return err
}

func (l *Link) accept(frame []byte) error {
	if l.err != nil {
		return l.err
	}
	h, err := readHead(frame)
	if err != nil {
		return err
	}
	if h.session != l.config.In {
		return refuse(ErrSession, "%016x, not %016x", h.session, l.config.In)
	}
	entries := frame[headBytes : headBytes+h.length]
	if len(entries) > max(l.config.FrameBytes, l.config.MessageBytes+entryBytes) {
		return refuse(ErrFrame, "%d bytes of entries", len(entries))
	}
	notes := frame[headBytes+h.length:]
	if len(notes) > notesBytes {
		return refuse(ErrFrame, "%d bytes of notes", len(notes))
	}
	if err := checkNotes(notes); err != nil {
		return err
	}
	if err := checkEntries(entries, l.config.MessageBytes); err != nil {
		return err
	}
	if sent := l.acked + uint64(l.sent); h.ack > sent {
		return l.broken(ErrProtocol, "it acknowledges frame %d of %d", h.ack, sent)
	}
	if err := l.takeNotes(notes); err != nil {
		return err
	}
	l.release(h.ack)
	l.take(h, frame)
	return nil
}

// broken ends the link.
func (l *Link) broken(err error, format string, args ...any) error {
	l.err = refuse(err, format, args...)
	return l.err
}

// checkNotes returns what is wrong with the form of notes.
func checkNotes(b []byte) error {
	gaps := 0
	for at := 0; at < len(b); {
		x, n := cutNote(b[at:])
		if n == 0 {
			return refuse(ErrFrame, "note at byte %d of %d", at, len(b))
		}
		if x.what == noteGap {
			if gaps++; gaps > gapsMax || x.a == 0 || x.b == 0 || x.b > numberMax-x.a {
				return refuse(ErrFrame, "%d frames from %d on are missing, gap %d", x.b, x.a, gaps)
			}
		}
		at += n
	}
	return nil
}

// takeNotes does what the peer's notes say.
func (l *Link) takeNotes(b []byte) error {
	for len(b) > 0 {
		x, n := cutNote(b)
		b = b[n:]
		switch x.what {
		case noteGap:
			if sent := l.acked + uint64(l.sent); x.a+x.b-1 > sent {
				return l.broken(ErrProtocol, "it misses frame %d of %d", x.a+x.b-1, sent)
			}
			l.sendAgain(x.a, x.b)
		case noteGrant, noteDone:
			if x.a > l.lastTarget {
				return l.broken(ErrProtocol, "it speaks of target %d of %d", x.a, l.lastTarget)
			}
			t := l.targets[x.a]
			switch {
			case t == nil:
			case x.what == noteGrant:
				l.grant(t, x.b)
			case !t.closed:
				return l.broken(ErrProtocol, "it is done with target %d, which is open", x.a)
			default:
				l.done(t)
			}
		case noteAsk:
			switch in := l.inboxes[x.a]; {
			case in != nil && !in.gone:
				l.dirty.add(&in.tell)
				l.urgent = true
			case in == nil && x.a <= l.lastInbox && l.asked.n < askedMax:
				l.asked.push(x.a)
				l.urgent = true
			}
		}
	}
	return nil
}

// askedMax is how many questions wait for an answer; the peer repeats those that are dropped.
const askedMax = 1 << 10

// take keeps the frame if it has entries that were not there before.
func (l *Link) take(h head, frame []byte) {
	known := l.delivered + uint64(l.held.n)
	if h.seq <= l.delivered {
		if h.length > 0 {
			l.stats.Duplicates++
			l.unsaid = max(l.unsaid, 1) // the acknowledgement may have been lost
		}
	} else if i := h.seq - l.delivered - 1; i >= aheadMax {
		l.stats.Ahead++
	} else {
		l.held.extend(int(i) + 1)
		if h.length > 0 {
			l.keep(int(i), frame)
		}
		// What is missing before a new frame is asked for at once, and then whenever the peer,
		// which hears no acknowledgement, asks where this side is.
		if h.seq > known && (h.length == 0 || h.seq > known+1) {
			l.gapDue = true
		}
	}
	if h.flags&flagAsk != 0 {
		l.ackDue = true
		l.gapDue = l.gapDue || l.missing()
	}
}

// aheadMax is how far ahead a frame may be that is kept.
const aheadMax = 4 * framesMax

func (l *Link) keep(i int, frame []byte) {
	switch slot := l.held.at(i); {
	case *slot != nil:
		l.stats.Duplicates++
	case i > 0 && l.heldBytes+len(frame) > 2*l.config.UnackedBytes: // the next one is always kept
		l.stats.Ahead++
	default:
		*slot = frame
		l.heldCount++
		l.heldBytes += len(frame)
		l.stats.Accepted++
	}
}

// missing reports whether frames are missing that the peer has sent.
func (l *Link) missing() bool { return l.heldCount < l.held.n }

// noteGaps asks for the frames that are missing, as far as the list fits into a frame.
func (l *Link) noteGaps(b []byte, limit int) []byte {
	gaps := 0
	for i := 0; i < l.held.n && gaps < gapsMax && len(b)+noteBytes <= limit; i++ {
		if *l.held.at(i) != nil {
			continue
		}
		first := i
		for i < l.held.n && *l.held.at(i) == nil {
			i++
		}
		b = appendNote2(b, noteGap, l.delivered+uint64(first)+1, uint64(i-first))
		gaps++
	}
	if gaps > 0 || !l.missing() {
		l.gapDue = false
	}
	return b
}

// Deliver hands entries that came in order to h, up to limit of them, or all if limit is 0. It
// reports whether some are left. An error is ErrProtocol or ErrOverrun, and ends the link.
func (l *Link) Deliver(limit int, h Handler) (more bool, err error) {
	for n := 0; l.held.n > 0 && *l.held.at(0) != nil; {
		if l.err != nil {
			return false, l.err
		}
		frame := *l.held.at(0)
		end := headBytes + lengthOf(frame)
		at := max(l.at, headBytes)
		for at < end {
			if limit > 0 && n == limit {
				return true, nil
			}
			kind, target, payload, length := cutEntry(frame[at:end])
			at += length
			l.at = at
			if err := l.deliver(Entry{Kind: kind, Target: target, Payload: payload}, h); err != nil {
				return false, err
			}
			n++
		}
		l.at = 0
		l.held.pop()
		l.heldCount--
		l.heldBytes -= len(frame)
		l.delivered++
		l.unsaid++
	}
	return false, l.err
}

func (l *Link) deliver(e Entry, h Handler) error {
	l.stats.Entries++
	if e.Kind&Credited == 0 {
		switch e.Kind {
		case KindOpen:
			return l.opened(e, h)
		case KindClose, kindForgo:
			return l.about(e, h)
		}
		h.Entry(e)
		return nil
	}
	in := l.latest
	if in == nil || in.id != e.Target {
		if in = l.inboxes[e.Target]; in == nil || in.gone {
			return l.broken(ErrProtocol, "message for target %d, which is not open", e.Target)
		}
		l.latest = in
	}
	cost := costOf(len(e.Payload))
	if err := l.arrive(in, cost); err != nil {
		return err
	}
	e.Inbox = in
	if in.count == 0 && h.Message(e) {
		l.took(in, cost, true)
		return nil
	}
	l.enqueue(in, e, cost)
	return nil
}

func (l *Link) opened(e Entry, h Handler) error {
	if e.Target != l.lastInbox+1 {
		return l.broken(ErrProtocol, "target %d is opened after %d", e.Target, l.lastInbox)
	}
	if len(l.inboxes)+l.finished.n >= l.config.Targets {
		return l.broken(ErrOverrun, "more than %d open targets", l.config.Targets)
	}
	l.lastInbox = e.Target
	in := &Inbox{id: e.Target, window: uint64(l.config.Window), clean: true}
	in.tell.of, in.lack.of = in, in
	l.inboxes[in.id] = in
	l.regrant(in)
	e.Inbox = in
	h.Entry(e)
	return nil
}

// about delivers an entry about an inbox.
func (l *Link) about(e Entry, h Handler) error {
	in := l.inboxes[e.Target]
	if in == nil || in.gone {
		return l.broken(ErrProtocol, "kind %d for target %d, which is not open", e.Kind, e.Target)
	}
	if e.Kind == kindForgo {
		n, length := number(e.Payload)
		if length == 0 || length != len(e.Payload) || in.sent > in.granted || n > in.granted-in.sent {
			return l.broken(ErrOverrun, "target %d gives back %d credits that it has not", e.Target, n)
		}
		l.forgone(in, n)
		return nil
	}
	if l.latest == in {
		l.latest = nil
	}
	e.Inbox = in
	h.Entry(e)
	l.closed(in)
	return nil
}

// Inboxes returns the open inboxes, and those that are closed with messages in their side queue;
// the oldest first.
func (l *Link) Inboxes() []*Inbox {
	all := make([]*Inbox, 0, len(l.inboxes))
	for _, in := range l.inboxes {
		all = append(all, in)
	}
	slices.SortFunc(all, func(a, b *Inbox) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return all
}
