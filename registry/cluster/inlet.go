package cluster

import (
	"encoding/binary"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

// inlet is where messages of the peer for one ref of this node come in. Owned by the scheduler.
type inlet struct {
	link    *link
	export  *export
	inbox   *wire.Inbox
	done    func(error) // see far.Ref.Deliver
	cancel  func() bool // of the watch on the ref's end
	gone    bool        // the peer has closed it
	after   *inlet      // of an earlier incarnation of the peer, whose messages come first; or nil
	next    []*inlet    // that wait for this one
	waits   bool        // a message stands in the line of senders
	request far.Reply   // of that message, or nil
	place   any         // where messages are decoded, see far.Ref.Blank; or nil
	// cancelled has the calls that were given up while their request may be in the side queue.
	cancelled map[uint64]struct{}
}

func (in *inlet) path() string {
	s := in.export.ref.Value().(interface{ String() string }).String()
	if s == "" {
		return "(ref without a name)"
	}
	return s
}

// opened opens an inbox for a ref of this node.
func (l *link) opened(e wire.Entry) {
	id, _ := number(e.Payload)
	x := l.node.exported(id)
	if x == nil {
		l.append(wire.KindEnd, e.Target, []byte{byte(reason.Normal)})
		return
	}
	in := &inlet{link: l, export: x, inbox: e.Inbox}
	in.done = func(err error) { l.tell(linkMsg{what: linkDecided, of: in, err: err}) }
	in.place = l.place(x.ref)
	e.Inbox.Value = in
	if in.after = l.before(id); in.after != nil {
		in.after.next = append(in.after.next, in)
	}
	l.inlets[id] = append(l.inlets[id], in)
	target := x.ref.Value().(actor.Watchable)
	in.cancel = actor.Watch(l.t, target, l.ref, func(e actor.Exit) linkMsg {
		return linkMsg{what: linkOver, of: &ending{in, e}}
	})
}

// place returns where messages for a ref are decoded, one after the other; or nil.
func (l *link) place(r far.Ref) any {
	p, ok := l.places[r.Message()]
	if !ok {
		p = r.Blank()
		l.places[r.Message()] = p
	}
	return p
}

// before returns the inlet for an export whose messages must be in the mailbox before those of a
// new one of l: what came before on this link, or from an earlier incarnation of the peer's node or
// of this one, still waits here. It returns nil if there is none.
func (l *link) before(id uint64) *inlet {
	for old := l; old != nil; old = old.prior {
		for _, in := range slices.Backward(old.inlets[id]) {
			if !in.drained() {
				return in
			}
		}
	}
	return nil
}

// drained reports whether no message waits in the inlet. One that stands in the line of senders is
// before all that come later.
func (in *inlet) drained() bool { return in.inbox.Queued() == 0 && in.after == nil }

// letNext lets the inlets go on that wait for this one, if it is drained.
func (in *inlet) letNext() {
	if !in.drained() {
		return
	}
	for _, next := range in.next {
		next.after = nil
		next.link.tell(linkMsg{what: linkDecided, of: next})
	}
	in.next = nil
}

// over tells the peer that the tasklet has ended, and that no restart is to come.
func (in *inlet) over(e actor.Exit) { in.link.append(wire.KindEnd, in.inbox.ID(), in.link.exitOf(e)) }

// closed is called when the peer has closed the inbox. Messages may be left in the side queue.
func (in *inlet) closed() {
	in.cancel()
	if in.gone = true; in.inbox.Queued() == 0 {
		in.forgotten()
	}
}

// forgotten is called when no message can come any more.
func (in *inlet) forgotten() {
	l, id := in.link, in.export.id
	l.inlets[id] = slices.DeleteFunc(l.inlets[id], func(o *inlet) bool { return o == in })
	if len(l.inlets[id]) == 0 {
		delete(l.inlets, id)
	}
}

// decided continues when the message that stood in the line is in the mailbox, or was refused.
func (in *inlet) decided(err error) {
	if in.waits {
		in.waits = false
		if err != nil && in.request != nil {
			in.request.Fail(in.link.t, err)
		}
		in.request = nil
	}
	if in.after != nil {
		return // what it waits for calls again
	}
	defer in.letNext()
	switch n := in.link.wire.Retry(in.inbox, turn, in.link); {
	case n == 0 && in.gone:
		in.forgotten()
	case n == 0:
	case !in.waits:
		in.done(nil)
	}
}

// Message implements wire.Handler.
func (l *link) Message(e wire.Entry) bool {
	in, _ := e.Inbox.Value.(*inlet)
	if in != nil && (in.waits || in.after != nil) {
		return false
	}
	l.received.Messages++
	var place any
	if in != nil {
		place = in.place
	}
	number, v, at, request, err := l.decode(e, place)
	if in != nil && in.cancelled != nil {
		in.giveUp(number)
	}
	if err != nil {
		l.refuse(in, number, reflect.TypeOf(v), refused, err)
		return true
	}
	if in == nil {
		l.refuse(nil, number, reflect.TypeOf(v), "closed", mailbox.ErrClosed)
		return true
	}
	if at {
		in.waits, err = in.export.ref.DeliverAt(l.t, place, request, in.done)
	} else {
		in.waits, err = in.export.ref.Deliver(l.t, v, request, in.done)
	}
	if in.waits {
		in.request = request
	}
	if err != nil {
		why := refused
		switch {
		case errors.Is(err, mailbox.ErrClosed):
			why = "closed"
		case errors.Is(err, mailbox.ErrFull):
			why = "full"
		}
		l.refuse(in, number, reflect.TypeOf(v), why, err)
	}
	return true
}

// refuse reports a message that has come and is for no mailbox, or fails the call that it is the
// request of. typ is the type of the message, or nil if that is not known.
func (l *link) refuse(in *inlet, request uint64, typ reflect.Type, why string, err error) {
	if request != 0 {
		delete(l.asked, request)
		l.append(wire.KindFailure, request, codec.Default.AppendError(nil, err))
		return
	}
	path := l.peer.Name
	if in != nil {
		path = in.path()
		if typ == nil {
			typ = in.export.ref.Message()
		}
	}
	far.Lost(l.t, path, why, err, typ, 1, nil)
}

// replying is a reply of this side that the peer has to answer. by is the outbox that has sent it,
// or nil if it was part of an answer.
type replying struct {
	far.Reply
	by *outbox
}

// asked is a reply of the peer that came in a message, and that this side has to answer.
type asked struct {
	link  *link
	id    uint64
	reply far.Reply
}

// answers are the replies of the peer that have an answer. The link is told of the first one only.
type answers struct {
	mu    sync.Mutex // protects the following
	list  []*asked
	first int // of list; those before it have been taken
}

// Answered implements far.Answered.
func (a *asked) Answered() {
	of := &a.link.answers
	of.mu.Lock()
	of.list = append(of.list, a)
	only := len(of.list) == 1
	of.mu.Unlock()
	if only {
		a.link.tell(linkMsg{what: linkAnswered})
	}
}

// take appends the first ones to some, and reports whether there are more.
func (of *answers) take(some []*asked) ([]*asked, bool) {
	of.mu.Lock()
	defer of.mu.Unlock()
	n := min(turn, len(of.list)-of.first)
	some = append(some, of.list[of.first:of.first+n]...)
	clear(of.list[of.first : of.first+n])
	if of.first += n; of.first < len(of.list) {
		return some, true
	}
	of.list, of.first = of.list[:0], 0
	if cap(of.list) > 1<<10 {
		of.list = nil
	}
	return some, false
}

// answerSome sends answers to calls of the peer.
func (l *link) answerSome() {
	some, more := l.answers.take(l.some[:0])
	for i, a := range some {
		l.answered(a)
		some[i] = nil
	}
	if l.some = some; more {
		l.tell(linkMsg{what: linkAnswered})
	}
}

// answered sends the answer to a call of the peer.
func (l *link) answered(a *asked) {
	if l.asked[a.id] != a {
		return // the caller has given up
	}
	delete(l.asked, a.id)
	v, err := a.reply.Answer()
	var b []byte
	if err == nil {
		b, err = l.encodeAnswer(v) // append copies it
	}
	if err != nil {
		l.append(wire.KindFailure, a.id, codec.Default.AppendError(nil, err))
		return
	}
	l.append(wire.KindAnswer, a.id, b)
}

// cancelled is called when the caller of a request has given up. The request may wait in a side
// queue, which the notice has overtaken.
func (l *link) cancelled(e wire.Entry) {
	if a := l.asked[e.Target]; a != nil {
		delete(l.asked, e.Target)
		a.reply.Leave()
		return
	}
	id, _ := number(e.Payload)
	for _, in := range l.inlets[id] {
		if in.inbox.Queued() > 0 {
			if in.cancelled == nil {
				in.cancelled = map[uint64]struct{}{}
			}
			in.cancelled[e.Target] = struct{}{}
		}
	}
}

// giveUp gives up the calls of the message that was just decoded, whose number is own or 0, if they
// were cancelled before. The numbers of an inlet grow, so those below it have been answered.
func (in *inlet) giveUp(own uint64) {
	for _, id := range in.link.coder.made {
		if a := in.link.asked[id]; a != nil {
			if _, ok := in.cancelled[id]; ok {
				delete(in.link.asked, id)
				a.reply.Leave()
			}
		}
	}
	maps.DeleteFunc(in.cancelled, func(id uint64, _ struct{}) bool { return id <= own })
	if in.inbox.Queued() <= 1 { // this is the last one
		in.cancelled = nil
	}
}

// answer hands an answer of the peer to the caller on this node.
func (l *link) answer(e wire.Entry) {
	r, ok := l.replies[e.Target]
	if !ok {
		return // it has given up
	}
	delete(l.numbers, r.Call())
	delete(l.replies, e.Target)
	var err error
	if e.Kind == wire.KindFailure {
		var remote *RemoteError
		if remote, err = codec.Default.DecodeError(e.Payload); err == nil {
			err = remote
		}
	} else {
		v := r.New()
		if err = l.decodeAnswer(e.Payload, v); err == nil {
			r.Send(l.t, v)
			return
		}
	}
	r.Fail(l.t, err)
}

// left tells the peer that the caller of a request has given up.
func (l *link) left(c far.Call) {
	id := l.numbers[c]
	if id == 0 {
		return
	}
	o := l.replies[id].by
	l.forget(c)
	switch {
	case o == nil:
		l.append(wire.KindCancel, id, []byte{0})
	case o.waits: // perhaps with this request
		o.cancels = append(o.cancels, id)
	default:
		o.cancel(id)
	}
}

// forget forgets a call of this side that is over, and returns its reply.
func (l *link) forget(c far.Call) far.Reply {
	id := l.numbers[c]
	r := l.replies[id]
	delete(l.numbers, c)
	delete(l.replies, id)
	return r.Reply
}

// appendNumber appends a number of a ref or a reply.
func appendNumber(b []byte, x uint64) []byte { return binary.AppendUvarint(b, x) }
