package wire

import "fmt"

// Config configures a link. All nodes of a cluster have the same, but for Out and In.
type Config struct {
	Out, In uint64 // sessions of the frames that are sent, and that are accepted; see SessionOf

	FrameBytes   int // a frame is full when it has so many bytes of entries; 32 KiB
	MessageBytes int // the longest payload; 260 KiB
	UnackedBytes int // of unacknowledged frames; of those kept after a gap twice that; 4 MiB
	Credits      int // of grants ahead of mailboxes, all inboxes together; 65,536 (16 MiB)
	Trust        int // credits of all messages on trust, all targets together; 65,536 (16 MiB)
	Window       int // of an inbox, at first; 32
	WindowMax    int // of an inbox, at most; 4,096
	Targets      int // that are open at a time; 1,048,576
	IdleTicks    int // after so many ticks without a message a target gives its credits back; 64
}

// filled returns c with its defaults. It panics if a link could not work so.
func (c Config) filled() Config {
	for _, f := range []struct {
		name               string
		field              *int
		zero, least, limit int
	}{
		{"FrameBytes", &c.FrameBytes, 32 << 10, 64, 1 << 26},
		{"MessageBytes", &c.MessageBytes, 260 << 10, 1, 1 << 26},
		{"UnackedBytes", &c.UnackedBytes, 4 << 20, 1, 1 << 30},
		{"Credits", &c.Credits, 64 << 10, 1, 1 << 30},
		{"Trust", &c.Trust, 64 << 10, 1, 1 << 30},
		{"Window", &c.Window, 32, 1, 1 << 20},
		{"WindowMax", &c.WindowMax, 4096, 1, 1 << 20},
		{"Targets", &c.Targets, 1 << 20, 1, 1 << 26},
		{"IdleTicks", &c.IdleTicks, 64, 1, 1 << 20},
	} {
		if *f.field == 0 {
			*f.field = f.zero
		}
		if *f.field < f.least || *f.field > f.limit {
			panic(fmt.Sprintf("wire: Config.%s is %d, not %d to %d", f.name, *f.field, f.least, f.limit))
		}
	}
	c.WindowMax = max(c.WindowMax, c.Window)
	c.Trust = max(c.Trust, int(costOf(c.MessageBytes)))
	return c
}

// FrameMax is the length of the longest frame of such links.
func (c Config) FrameMax() int {
	c = c.filled()
	return headBytes + max(c.FrameBytes, c.MessageBytes+entryBytes) + notesBytes
}

// Link is the link of one node to one incarnation of another. It is used by one goroutine, or one
// tasklet, at a time.
type Link struct {
	config Config
	err    error  // the peer broke the protocol
	tick   uint64 // calls of Tick
	stats  Stats

	// Frames that go out. See send.go.
	chunk      *chunk          // the last one; it has the open frame
	spare      []*chunk        // for later
	chunkBytes int             // of all chunks with unacknowledged frames
	openAt     int             // where the open frame begins in chunk
	openHas    bool            // the open frame has entries
	flush      bool            // the open frame is due
	frames     ring[sentFrame] // unacknowledged, in order
	acked      uint64          // all frames up to here are acknowledged; frames.at(0) is the next
	sent       int             // of frames: so many of the first have been handed out
	again      int             // of those: so many are to be handed out once more
	againFrom  uint64          // none below this number
	progress   bool            // something was acknowledged since the last tick
	sentBy     uint64          // last frame that was handed out before the last tick
	probe      bool            // ask the peer where it is
	alone      []byte          // memory of the last frame without entries
	targets    map[uint64]*Target
	lastTarget uint64
	trust      uint64       // credits of messages on trust
	noCredits  list[Target] // Send refused a message: the target owes
	noTrust    list[Target] // all targets together owe too much
	noRoom     list[Target] // too much is unacknowledged
	ready      list[Target] // none of these any more
	used       list[Target] // have credits, the one that was used longest ago first
	debtors    list[Target] // have sent on trust
	asking     list[Target] // debtors whose question for credits is due

	// Frames that come in. See receive.go.
	delivered uint64       // all entries of all frames up to here
	held      ring[[]byte] // frames after that one, nil for those that are missing
	heldCount int          // frames in held
	heldBytes int          // of these frames
	at        int          // where the next entry of held.at(0) begins
	unsaid    int          // frames delivered since the last acknowledgement went out
	ackDue    bool         // say so alone
	gapDue    bool         // ask for what is missing

	// Inboxes. See inbox.go.
	inboxes   map[uint64]*Inbox
	lastInbox uint64
	latest    *Inbox       // the one that the last message was for
	reserved  uint64       // grants ahead of mailboxes
	overdrawn uint64       // credits of messages on trust
	dirty     list[Inbox]  // have a grant that the peer was not told of
	urgent    bool         // one of these can't wait for company
	short     list[Inbox]  // have got less than their window
	finished  ring[uint64] // inboxes that are closed and done, to be told
	asked     ring[uint64] // of which the peer has asked
}

// NewLink returns the link at the begin of a session.
func NewLink(c Config) *Link {
	return &Link{
		config:  c.filled(),
		targets: map[uint64]*Target{},
		inboxes: map[uint64]*Inbox{},
	}
}

// Stats are counts since the begin of the session, unless they say now.
type Stats struct {
	Frames     uint64 // handed out, each once
	Alone      uint64 // handed out without entries
	Again      uint64 // handed out once more
	Accepted   uint64 // came in, and were new
	Duplicates uint64 // came in and were known
	Ahead      uint64 // came in too far ahead, and were dropped
	Refused    uint64 // Accept returned an error
	Entries    uint64 // delivered

	Unacked      int // now: frames that are not acknowledged
	UnackedBytes int // now: their memory
	Held         int // now: frames that wait for one before them, or to be delivered
	Queued       int // now: messages in side queues
	Reserved     int // now: credits of grants ahead of mailboxes
	Targets      int // now: open targets
	Inboxes      int // now: open inboxes
}

// Stats returns the counts of the link.
func (l *Link) Stats() Stats {
	s := l.stats
	s.Unacked, s.UnackedBytes = l.frames.n, l.chunkBytes
	s.Held = l.heldCount
	s.Reserved = int(l.reserved)
	s.Targets, s.Inboxes = len(l.targets), len(l.inboxes)
	return s
}

// Err returns the error after which the link is of no use any more: ErrProtocol or ErrOverrun.
func (l *Link) Err() error { return l.err }

// Idle reports whether the link has nothing to do by itself: nothing is unacknowledged or owed, and
// no target waits.
func (l *Link) Idle() bool {
	return l.frames.n == 0 && !l.openHas && l.held.n == 0 && l.unsaid == 0 && !l.ackDue &&
		l.dirty.n+l.finished.n+l.asked.n == 0 && l.debtors.n+l.asking.n == 0 && l.used.n == 0 && l.short.n == 0
}

// Settled reports whether the peer knows all that it has to know before this side ends: all entries
// are acknowledged, no message waits, and all that came is acknowledged. It does not wait as Idle
// does for credits that are given back when they were not used for some seconds.
func (l *Link) Settled() bool {
	return l.frames.n == 0 && !l.openHas && l.held.n == 0 && l.unsaid == 0 && !l.ackDue &&
		l.noCredits.n+l.noTrust.n+l.noRoom.n+l.ready.n == 0
}

// Say makes a frame due also if there is nothing to say, so that the peer hears from this side. It
// is lost like any other, and not sent again.
func (l *Link) Say() { l.ackDue = true }

// Tick tells the link that time has passed; 20 to 100 ms are a good time. It makes due what waited
// for company, asks again for what is missing, and gives credits back that nobody uses.
func (l *Link) Tick() {
	l.tick++
	l.Flush()
	l.ackDue = l.ackDue || l.unsaid > 0
	l.urgent = l.urgent || l.dirty.n+l.finished.n+l.asked.n > 0
	l.probe = l.probe || l.acked < l.sentBy && !l.progress
	l.progress, l.sentBy = false, l.acked+uint64(l.sent)
	for p := l.debtors.first; p != nil; {
		t := p.of
		if p = p.next; t.askAt <= l.tick {
			l.asking.add(&t.debt)
		}
	}
	for l.used.n > 0 {
		t := l.used.first.of
		if t.usedAt+uint64(l.config.IdleTicks) > l.tick || !l.forgo(t) {
			break
		}
	}
}
