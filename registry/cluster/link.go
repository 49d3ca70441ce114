package cluster

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

const (
	// maxArriving is how many frames may wait to be read. Those beyond are dropped, and asked for
	// again.
	maxArriving = 256
	// tickEvery is the time after which what waits for company is sent, and what is missing is
	// asked for again.
	tickEvery = 50 * time.Millisecond
	// turn is how many entries are handled before other tasklets run.
	turn = 64
	// beatEvery is the time after which a link that has nothing to say says so.
	beatEvery = time.Second
	// suspectAfter is how long nothing may come from a peer before it is suspect.
	suspectAfter = 3 * time.Second
	// silentAfter is how long nothing may come from a peer before calls to it fail. With the time
	// between two beats, before and after, that is at most 5 s after the peer was killed.
	silentAfter = 4 * time.Second
	// sleepAfter is how many beats an outbox is awake, at least, after its last message.
	sleepAfter = 5
)

// Kinds of entries beside those of package wire.
const (
	kindKill wire.Kind = 32 // kills the tasklet of an inbox
	kindShut wire.Kind = 33 // closes the ref of an inbox
)

// link is what this node knows of one incarnation of another one. Its tasklet reads the frames from
// there, and is the parent of the outboxes.
type link struct {
	// Set in newLink, then read-only.
	node *Node
	peer Member
	ref  actor.Ref[linkMsg]
	t    *actor.Tasklet

	// The links to the incarnations before and after this one, if they have not ended. Owned by the
	// scheduler.
	prior, successor *link

	// arriving is the number of frames in the mailbox. Atomic: also written by the transport.
	arriving atomic.Int32
	imports  map[uint64]*outbox // by the number of the peer's export; Node.mu protects it
	over     error              // why there will be no more imports, or nil; Node.mu protects it
	// rousing is the number of messages in the mailbox that start an outbox. Atomic: also written
	// by those who send them.
	rousing atomic.Int32
	shown   shown // what others see of the link
	// suspect says that nothing has come from the peer for a while. Atomic: set by the link.
	suspect atomic.Bool

	answers answers // of this side

	// Owned by the scheduler.
	wire     *wire.Link
	codec    *codec.Peer
	outboxes map[*outbox]struct{} // those that have a tasklet
	targets  map[uint64]*outbox   // by the number of the target
	busy     int                  // of the outboxes: those that have more to send
	flushing bool                 // a message to flush is in the mailbox
	ticking  bool                 // a timer is running
	going    bool                 // a message to go on is in the mailbox
	said     bool                 // something was sent since the last beat
	beats    int                  // so far
	heard    time.Duration        // when the last frame came, by Node.clock
	silent   error                // the *NodeError for calls while nothing comes; otherwise nil
	sent     Traffic              // counted until the next show
	received Traffic
	stuck    []*outbox // wait for room for what comes before their message
	backlog  []control // entries that wait for room
	lost     error     // the *NodeError of the peer, or of this node; nil while it lives
	buf      []byte

	lastReply uint64
	replies   map[uint64]replying  // of this side, which the peer has to answer
	numbers   map[far.Call]uint64  // of these
	asked     map[uint64]*asked    // replies of the peer, by its number
	some      []*asked             // memory for those that are being answered
	inlets    map[uint64][]*inlet  // by the number of the export
	places    map[reflect.Type]any // where messages are decoded, see far.Ref.Blank; or nil
	coder     coder
}

// control is an entry that is no message.
type control struct {
	kind    wire.Kind
	target  uint64
	payload []byte
}

type linkWhat uint8

const (
	linkFrame    linkWhat = iota // a frame has come
	linkStart                    // the ref of an outbox needs a tasklet
	linkEnded                    // the ref of the outbox is dead, or nobody has it
	linkFlush                    // something was written
	linkGo                       // there is more to deliver
	linkTick                     //
	linkBeat                     // the time between two beats is over
	linkAnswered                 // there are answers
	linkLeft                     // the caller of the call has given up
	linkDecided                  // a message of the inlet that waited is in the mailbox or refused
	linkOver                     // the ending of the tasklet of an inlet
	linkKill                     // a kill by Ref.Kill
	linkClose                    // by Ref.Close of the outbox
	linkLost                     // the peer is lost
)

// linkMsg is a message to the tasklet of a link.
type linkMsg struct {
	own.Mark
	what  linkWhat
	frame []byte
	of    any // an *outbox, a far.Ref, an *inlet, a far.Call, a *kill or an *ending; see linkWhat
	err   error
}

// kill is a kill by Ref.Kill.
type kill struct {
	outbox    *outbox
	by, cause string
}

// ending is the end of a tasklet that an inlet is for.
type ending struct {
	inlet *inlet
	exit  actor.Exit
}

// newLink starts a link. It must be called inside the node's tasklet.
func newLink(n *Node, peer Member) *link {
	self := n.self.Load().Incarnation
	l := &link{
		node: n, peer: peer,
		imports: map[uint64]*outbox{}, outboxes: map[*outbox]struct{}{}, targets: map[uint64]*outbox{},
		inlets: map[uint64][]*inlet{}, places: map[reflect.Type]any{},
		replies: map[uint64]replying{}, numbers: map[far.Call]uint64{}, asked: map[uint64]*asked{},
		wire: wire.NewLink(wire.Config{
			Out: wire.SessionOf(self, peer.Incarnation), In: wire.SessionOf(peer.Incarnation, self),
		}),
		ref: actor.NewRef[linkMsg](actor.Name(peer.Name), actor.Overflow(mailbox.Unbounded)),
	}
	l.coder.link, l.coder.self = l, &l.coder
	l.codec = n.cfg.types.Peer(codec.Config{Refs: &l.coder})
	l.t = actor.StartTasklet(n.t, actor.ReceiverInitBody(l.ref, l.init), actor.OnFailure(actor.End))
	l.t.SetLabel("incarnation", peer.Incarnation.String())
	l.t.SetLabel("kind", "link")
	l.show()
	far.ShowLabels(l.t, l.labels)
	far.OnLeft(l.t, func(c far.Call) { l.tell(linkMsg{what: linkLeft, of: c}) })
	return l
}

// tell sends a message to the link's own tasklet. It may be called on any goroutine.
func (l *link) tell(m linkMsg) { _ = l.ref.TrySend(context.Background(), m) }

func (l *link) init(t *actor.Tasklet) (actor.Handler[linkMsg], error) {
	t.Defer(l.end)
	l.heard = l.node.clock()
	actor.SendAfter(t, beatEvery, l.ref, linkMsg{what: linkBeat})
	return l.handle, nil
}

func (l *link) handle(t *actor.Tasklet, m linkMsg) error {
	switch m.what {
	case linkFrame:
		l.arriving.Add(-1)
		if l.lost == nil {
			l.received.Frames++
			l.received.Bytes += uint64(len(m.frame))
			if err := l.wire.Accept(m.frame); err != nil {
				l.node.meter.refuse(refusedFor(err))
			} else {
				l.hear()
			}
		}
	case linkStart:
		l.rousing.Add(-1)
		ref := m.of.(far.Ref)
		ref.Proxy().(*outbox).start(ref)
	case linkEnded:
		m.of.(*outbox).ended()
	case linkFlush:
		l.flushing = false
		if l.busy == 0 {
			l.wire.Flush()
		}
	case linkGo:
		l.going = false
	case linkTick:
		l.ticking = false
		l.wire.Tick()
	case linkBeat:
		l.beat()
	case linkAnswered:
		l.answerSome()
	case linkLeft:
		l.left(m.of.(far.Call))
	case linkDecided:
		m.of.(*inlet).decided(m.err)
	case linkOver:
		e := m.of.(*ending)
		e.inlet.over(e.exit)
	case linkKill:
		k := m.of.(*kill)
		k.outbox.kill(k.by, k.cause)
	case linkClose:
		m.of.(*outbox).close()
	case linkLost:
		l.lose(m.err)
	}
	if l.lost == nil {
		l.work()
	}
	if l.lost != nil && len(l.outboxes) == 0 && !l.holds() {
		return actor.ErrStop
	}
	return nil
}

// beat makes the link say that this node lives if nothing else says so, and looks whether the peer
// does.
func (l *link) beat() {
	if l.lost != nil {
		return
	}
	if !l.said {
		l.wire.Say()
	}
	l.said = false
	silent := l.node.clock() - l.heard
	if silent >= suspectAfter && !l.suspect.Swap(true) {
		l.node.changedMembers()
		l.node.emit(EventNodeSuspect, nil, zap.String("node", l.peer.Name), zap.Stringer("incarnation", l.peer.Incarnation),
			zap.Duration("silent", silent))
	}
	if silent >= silentAfter {
		l.giveUp()
	}
	if l.beats++; l.beats%sleepAfter == 0 {
		l.drowse()
	}
	l.show()
	actor.SendAfter(l.t, beatEvery, l.ref, linkMsg{what: linkBeat})
}

// drowse makes outboxes sleep that are not in use.
func (l *link) drowse() {
	var tired []*outbox
	for o := range l.outboxes {
		if o.drowse() {
			tired = append(tired, o)
		}
	}
	// In the same order in each run.
	slices.SortFunc(tired, func(a, b *outbox) int { return cmp.Compare(a.id, b.id) })
	for _, o := range tired {
		o.sleepy = true
		far.Wake(o.t)
	}
}

// giveUp fails the calls that the peer has not answered, and those that are to come, because the
// peer may be lost long before its session ends. The peer is told when it can be reached again, as
// if the callers had given up.
func (l *link) giveUp() {
	if l.silent == nil {
		l.silent = l.node.nodeError(l.peer, ErrSilent)
	}
	for _, id := range slices.Sorted(maps.Keys(l.replies)) {
		r := l.replies[id]
		l.left(r.Call())
		r.Fail(l.t, l.silent)
	}
}

// hear notes that a frame has come.
func (l *link) hear() {
	now := l.node.clock()
	l.silent = nil
	if l.suspect.Load() {
		l.suspect.Store(false)
		l.node.changedMembers()
		l.node.emit(EventNodeUp, nil, zap.String("node", l.peer.Name), zap.Stringer("incarnation", l.peer.Incarnation),
			zap.Duration("silent", now-l.heard))
		l.show()
	}
	l.heard = now
}

// work does what can be done after anything has happened.
func (l *link) work() {
	more, err := l.wire.Deliver(turn, l)
	if err == nil {
		err = l.wire.Err()
	}
	if err != nil {
		// The peer can't be talked to any more. Its session may live on for others.
		l.lose(l.node.nodeError(l.peer, err))
		return
	}
	if more {
		l.goOn()
	}
	for len(l.backlog) > 0 && l.wire.Room() && l.tellTypes() {
		c := l.backlog[0]
		if l.wire.Append(c.kind, c.target, c.payload) != nil {
			break
		}
		l.backlog[0] = control{}
		l.backlog = l.backlog[1:]
		l.wrote()
	}
	if len(l.stuck) > 0 && len(l.backlog) == 0 && l.wire.Room() {
		stuck := l.stuck
		l.stuck = nil
		for _, o := range stuck {
			o.stuck = false
			o.retry()
		}
	}
	for {
		t, ok := l.wire.Ready()
		if !ok {
			break
		}
		t.Value.(*outbox).retry()
	}
	l.pump()
	if more {
		// The tasklet would go on with its next messages, and mailboxes would overflow into their
		// side queues although nobody is slow.
		l.t.Yield()
	}
}

// goOn makes the tasklet deliver more when others have had their turn.
func (l *link) goOn() {
	if !l.going {
		l.going = true
		l.tell(linkMsg{what: linkGo})
	}
}

// pump hands frames to the transport that are due.
func (l *link) pump() {
	for {
		frame, ok := l.wire.Outgoing()
		if !ok {
			break
		}
		l.said = true
		l.sent.Frames++
		l.sent.Bytes += uint64(len(frame))
		l.node.tr.Send(l.peer.Name, frame)
	}
	if !l.ticking && (!l.wire.Idle() || len(l.backlog) > 0) {
		l.ticking = true
		actor.SendAfter(l.t, tickEvery, l.ref, linkMsg{what: linkTick})
	}
}

// wrote asks for a flush, which comes when the tasklets that are ready now have had their turn.
func (l *link) wrote() {
	if !l.flushing {
		l.flushing = true
		l.tell(linkMsg{what: linkFlush})
	}
}

// append appends an entry that is no message, or keeps it until there is room.
func (l *link) append(kind wire.Kind, target uint64, payload []byte) {
	if l.lost != nil {
		return
	}
	if len(l.backlog) == 0 && l.tellTypes() && l.wire.Append(kind, target, payload) == nil {
		l.wrote()
		return
	}
	l.backlog = append(l.backlog, control{kind, target, append([]byte(nil), payload...)})
}

// tellTypes tells the peer of types that it does not know yet, and reports whether it could.
func (l *link) tellTypes() bool {
	rows, told := l.codec.Table(nil)
	if len(rows) == 0 {
		return true
	}
	if l.wire.Append(wire.KindTypes, 0, rows) != nil {
		return false
	}
	l.codec.Told(told)
	l.wrote()
	return true
}

// Entry implements wire.Handler.
func (l *link) Entry(e wire.Entry) {
	switch e.Kind {
	case wire.KindTypes:
		_ = l.codec.Learn(e.Payload) // messages of types that it has not told are refused
	case wire.KindOpen:
		l.opened(e)
	case wire.KindClose:
		if in, ok := e.Inbox.Value.(*inlet); ok {
			in.closed()
		}
	case wire.KindAnswer, wire.KindFailure:
		l.answer(e)
	case wire.KindCancel:
		l.cancelled(e)
	case wire.KindEnd:
		if o := l.targets[e.Target]; o != nil {
			o.over(e.Payload)
		}
	case kindKill, kindShut:
		l.command(e)
	}
}

// command carries out a kill or a close of a ref of this node.
func (l *link) command(e wire.Entry) {
	id, rest := number(e.Payload)
	x := l.node.exported(id)
	if x == nil {
		return
	}
	ref := x.ref.Value().(interface {
		Close()
		Kill()
		Tasklet() *actor.Tasklet
	})
	if e.Kind == kindShut {
		ref.Close()
		return
	}
	by, cause, _ := strings.Cut(string(rest), "\n")
	if t := ref.Tasklet(); t != nil {
		t.KillCause(l.t, &KillError{Node: l.peer.Name, By: by, Cause: cause})
	}
}

// KillError is the cause of a kill that came from another node.
type KillError struct {
	Node  string
	By    string // the path of the tasklet that has killed, there; "" if it was none
	Cause string // the text of its cause, or ""
}

func (e *KillError) Error() string {
	s := "killed from node " + strconv.Quote(e.Node)
	if e.By != "" {
		s += " by " + e.By
	}
	if e.Cause != "" {
		s += ": " + e.Cause
	}
	return s
}

// lose ends the link: the peer is lost, or this node is.
func (l *link) lose(err error) {
	if l.lost != nil {
		return
	}
	l.lost = err
	l.report()
	for _, o := range l.all() {
		o.lose()
	}
	l.failReplies()
	l.leaveAsked()
	l.stuck, l.backlog = nil, nil
	l.show()
	l.node.fall(l.shown.read(0))
}

// failReplies fails the calls that the peer will not answer.
func (l *link) failReplies() {
	for _, id := range slices.Sorted(maps.Keys(l.replies)) {
		l.replies[id].Fail(l.t, l.lost)
	}
	l.replies, l.numbers = nil, nil
}

// leaveAsked gives up the calls of the peer.
func (l *link) leaveAsked() {
	for _, id := range slices.Sorted(maps.Keys(l.asked)) {
		l.asked[id].reply.Leave()
	}
	l.asked = map[uint64]*asked{}
}

// all returns the outboxes in the order in which they were made.
func (l *link) all() []*outbox {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	return sorted(l.imports)
}

// report reports the messages that the peer has not confirmed.
func (l *link) report() {
	type loss struct {
		target uint64
		sent   bool
	}
	counts := map[loss]int{}
	var order []loss
	for e, sent := range l.wire.Unconfirmed() {
		if e.Kind != wire.KindMessage {
			continue // the caller of a request gets an error
		}
		x := loss{e.Target, sent}
		if counts[x]++; counts[x] == 1 {
			order = append(order, x)
		}
	}
	for _, x := range order {
		why := undelivered
		if x.sent {
			why = unknown
		}
		path, typ := l.peer.Name, reflect.Type(nil)
		if o := l.targets[x.target]; o != nil {
			path, typ = o.path(), o.typ
		}
		far.Lost(l.t, path, why, l.lost, typ, counts[x], nil)
	}
}

// The words for losses between nodes, in the field reason of the event dead_letter.
const (
	unknown     = "unknown"     // it may have been handled
	undelivered = "undelivered" // it was not
	encoding    = "encoding"    // it could not be encoded
	refused     = "refused"     // what came can't be a message for this ref
)

// end is called when the tasklet and its outboxes have ended. If the link was not lost before, this
// node has ended or was killed.
func (l *link) end() {
	if l.lost == nil {
		l.lost = l.node.nodeError(l.node.Self(), ErrLeft)
		if gone := l.node.gone.Load(); gone != nil {
			l.lost = gone
		}
		l.report()
		l.failReplies()
		l.leaveAsked()
	}
	l.show()
	l.node.mu.Lock()
	l.over = l.lost
	l.node.mu.Unlock()
	for _, o := range l.all() {
		o.lost(undelivered)
		if ref := o.live(); o.t == nil && ref != nil {
			ref.Retire()
		}
	}
	for _, in := range l.wire.Inboxes() {
		x, ok := in.Value.(*inlet)
		if ok && in.Queued() > 0 {
			n := 0
			l.wire.Drop(in, func(e wire.Entry) {
				if e.Kind == wire.KindMessage {
					n++
				}
			})
			if n > 0 {
				far.Lost(l.t, x.path(), undelivered, l.lost, x.export.ref.Message(), n, nil)
			}
		}
		if ok {
			x.after = nil
			x.letNext()
		}
	}
	if l.successor != nil {
		l.successor.prior = l.prior
	}
	if l.prior != nil {
		l.prior.successor = l.successor
	}
	if l.node.latest[l.peer.Name] == l {
		if l.node.latest[l.peer.Name] = l.prior; l.prior == nil {
			delete(l.node.latest, l.peer.Name)
		}
	}
}

// holds reports whether messages of a peer that is lost wait for their mailbox.
func (l *link) holds() bool {
	for _, in := range l.wire.Inboxes() {
		if in.Queued() > 0 {
			return true
		}
	}
	return false
}

// idle reports whether everything is confirmed that was sent to the peer.
func (l *link) idle() bool {
	if l.lost != nil {
		return true
	}
	if l.rousing.Load() > 0 {
		return false
	}
	for o := range l.outboxes {
		if !o.idle() {
			return false
		}
	}
	return l.wire.Settled() && len(l.backlog) == 0 && len(l.replies) == 0
}

// exitOf returns the payload of a KindEnd.
func (l *link) exitOf(e actor.Exit) []byte {
	b := []byte{byte(e.Kind)}
	if e.Kind != reason.Normal {
		b = codec.Default.AppendError(b, e.Err)
	}
	return b
}
