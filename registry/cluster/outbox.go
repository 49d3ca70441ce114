package cluster

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

// outbox stands here for a ref of the peer. Its tasklet reads the mailbox that is the ref on this
// node, and passes the messages on.
type outbox struct {
	// Set in imported, then read-only.
	link *link
	id   uint64 // of the peer's export
	ref  far.Ref

	// Owned by the scheduler.
	t       *actor.Tasklet // nil before the start
	target  *wire.Target   // nil until it was opened
	busy    bool           // it has more to send
	stuck   bool           // it is in link.stuck
	waits   bool           // pending has a message that was not sent
	pending []byte
	kind    wire.Kind
	request far.Call // of the pending message
	cancels []uint64 // calls that were given up, to be told after the pending message
	isOver  bool     // the tasklet elsewhere has ended
	result  error    // how
	shut    int      // so many messages from now on the ref elsewhere must be closed; -1 for never
	count   int      // of unconfirmed messages, while the link shows itself

	// shown is what others see. Atomic: written by the link, read by everybody; see Labels.
	shown atomic.Uint64
}

// imported returns a new outbox. Node.mu must be held.
func (l *link) imported(id uint64, typ far.RefType, called string) *outbox {
	if called = strings.ReplaceAll(called, "/", ":"); called == "" {
		called = name(id)
	}
	o := &outbox{link: l, id: id, shut: -1}
	o.ref = typ.New(called)
	o.ref.SetProxy(o)
	l.imports[id] = o
	l.tell(linkMsg{what: linkStart, of: o})
	return o
}

// typeErrors returns why a ref to messages of the type have can't be one of the type of typ. A
// reader of an older version would refuse every message.
func (n *Node) typeErrors(typ far.RefType, name, have string) error {
	want := ""
	if t := typ.Message(); t.Kind() != reflect.Interface {
		v := reflect.Zero(t).Interface()
		if wire, version, ok := n.cfg.types.Name(v); ok {
			want = fmt.Sprintf("%s/%d", wire, version)
		}
	}
	if !reads(have, want) {
		return &TypeError{name, have, want}
	}
	return nil
}

// reads reports whether a reader of the type have can read messages of the type want.
func reads(have, want string) bool {
	there, known := version(have)
	here, sent := version(want)
	return there == here && known >= sent
}

// version cuts the version off the name of a type. It is 0 if there is none.
func version(name string) (base string, version int) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return name, 0
	}
	v, err := strconv.Atoi(name[i+1:])
	if err != nil {
		return name, 0
	}
	return name[:i], v
}

func sorted(m map[uint64]*outbox) []*outbox {
	return slices.SortedFunc(maps.Values(m), func(a, b *outbox) int { return cmp.Compare(a.id, b.id) })
}

// dead reports whether the ref takes no messages any more. It may be called on any goroutine.
func (o *outbox) dead() bool { return o.ref.Value().(interface{ IsDead() bool }).IsDead() }

// Close implements far.Proxy.
func (o *outbox) Close() { o.link.tell(linkMsg{what: linkClose, of: o}) }

// Kill implements far.Proxy.
func (o *outbox) Kill(by string, cause error) {
	k := &kill{outbox: o, by: by}
	if cause != nil {
		k.cause = cause.Error()
	}
	o.link.tell(linkMsg{what: linkKill, of: k})
}

func (o *outbox) path() string { return o.ref.Value().(fmt.Stringer).String() }

// start starts the tasklet, as a child of the link.
func (o *outbox) start() {
	l := o.link
	o.t = actor.StartTasklet(l.t, o.ref.Relay(o).(actor.Body))
	l.outboxes[o] = struct{}{}
	o.ref.Value().(ender).OnEnd(func() { l.tell(linkMsg{what: linkEnded, of: o}) })
	if l.lost != nil {
		o.lose()
	} else if !o.open() { // so that the end elsewhere is known
		o.wait()
	}
}

// ender is a ref, of which the type is not known.
type ender interface {
	OnEnd(func()) (cancel func())
}

// open opens the target at the peer, and reports whether it is open.
func (o *outbox) open() bool {
	if o.target != nil {
		return true
	}
	l := o.link
	t, err := l.wire.Open(binary.AppendUvarint(nil, o.id))
	if err != nil {
		return false
	}
	t.Value = o
	o.target, l.targets[t.ID()] = t, o
	l.wrote()
	return true
}

// Over implements far.Relay.
func (o *outbox) Over() (bool, error) { return o.isOver, o.result }

// Drained implements far.Relay.
func (o *outbox) Drained() error { return o.link.lost }

// Room implements far.Relay.
func (o *outbox) Room() bool { return !o.waits }

// Rest implements far.Relay.
func (o *outbox) Rest() {
	if o.shut > 0 && o.idle() { // requests were taken back
		o.close()
	}
	if o.busy {
		o.busy = false
		if o.link.busy--; o.link.busy == 0 {
			o.link.wrote()
		}
	}
}

// Pass implements far.Relay.
func (o *outbox) Pass(m any, request far.Call) error {
	l := o.link
	if l.lost != nil {
		if request == (far.Call{}) {
			far.Lost(o.t, o.path(), undelivered, l.lost, o.ref.Message(), 1, m)
		}
		return l.lost
	}
	if request != (far.Call{}) && l.silent != nil {
		o.passed()
		return l.silent
	}
	if !o.busy {
		o.busy = true
		l.busy++
	}
	kind, b, err := l.encode(m, o, request)
	if err != nil {
		if request == (far.Call{}) {
			far.Lost(o.t, o.path(), encoding, err, o.ref.Message(), 1, m)
		}
		o.passed()
		return &EncodingError{o.ref.Message().String(), err}
	}
	if !o.send(kind, b) {
		o.waits, o.kind, o.request = true, kind, request
		o.pending = append(o.pending[:0], b...)
	}
	return nil
}

// EncodingError reports that a message can't be sent to another node, because it can't be encoded.
type EncodingError struct {
	Type  string
	Cause error
}

func (e *EncodingError) Error() string {
	return fmt.Sprintf("cluster: a message for a ref of %s: %v", e.Type, e.Cause)
}

// Unwrap returns the cause.
func (e *EncodingError) Unwrap() error { return e.Cause }

// send appends a message, and reports whether it is gone. If not, retry will be called.
func (o *outbox) send(kind wire.Kind, b []byte) bool {
	l := o.link
	if len(l.backlog) > 0 || !l.tellTypes() || !o.open() {
		o.wait()
		l.wrote()
		return false
	}
	err := l.wire.Send(o.target, kind, b)
	l.wrote()
	if errors.Is(err, wire.ErrCredits) || errors.Is(err, wire.ErrFull) {
		return false
	}
	if err != nil { // it was closed, or is too large for a frame
		o.fail(kind, err)
	} else {
		l.sent.Messages++
	}
	o.passed()
	return true
}

// passed counts a message that is gone or was refused, and closes the ref elsewhere if it was the
// last one before a close.
func (o *outbox) passed() {
	if o.shut > 0 {
		if o.shut--; o.shut == 0 {
			o.close()
		}
	}
}

// wait makes the link call retry when there is room for an entry.
func (o *outbox) wait() {
	if !o.stuck {
		o.stuck = true
		o.link.stuck = append(o.link.stuck, o)
	}
}

// fail reports a message that was encoded and can't be sent.
func (o *outbox) fail(kind wire.Kind, err error) {
	if kind == wire.KindMessage {
		far.Lost(o.link.t, o.path(), encoding, err, o.ref.Message(), 1, nil)
	} else if r := o.link.forget(o.request); r != nil {
		r.Fail(o.link.t, err)
	}
}

// retry tries to send the pending message.
func (o *outbox) retry() {
	if !o.waits {
		if _, there := o.link.outboxes[o]; there && !o.open() {
			o.wait()
		}
		return
	}
	if !o.send(o.kind, o.pending) {
		return
	}
	o.waits, o.request = false, far.Call{}
	for _, id := range o.cancels {
		o.cancel(id)
	}
	o.cancels = nil
	if cap(o.pending) > 4<<10 {
		o.pending = nil
	}
	far.Wake(o.t)
}

// cancel tells the peer that the caller of a request has given up.
func (o *outbox) cancel(id uint64) {
	o.link.append(wire.KindCancel, id, appendNumber(nil, o.id))
}

// lost reports the pending message, if there is one.
func (o *outbox) lost(why string) {
	if o.waits && o.kind == wire.KindMessage {
		far.Lost(o.link.t, o.path(), why, o.link.lost, o.ref.Message(), 1, nil)
	}
	o.waits = false
}

// lose makes the outbox end with the link: senders are refused, and what is queued is reported.
func (o *outbox) lose() {
	o.lost(undelivered)
	o.ref.Shut()
	if o.t != nil {
		far.Wake(o.t)
	}
}

// over makes the outbox end as the tasklet elsewhere has ended.
func (o *outbox) over(payload []byte) {
	if o.isOver || len(payload) == 0 {
		return
	}
	o.isOver = true
	switch reason.Kind(payload[0]) {
	case reason.Normal:
	case reason.Shutdown:
		o.result = actor.ErrShutdown
	case reason.Killed:
		o.result = actor.ErrKilled
	default:
		o.result = errors.New("cluster: malformed result")
		if err, bad := codec.Default.DecodeError(payload[1:]); bad == nil {
			o.result = err
		}
	}
	far.Wake(o.t)
}

// ended forgets the outbox, whose tasklet has ended.
func (o *outbox) ended() {
	l := o.link
	if o.waits && l.lost == nil { // the tasklet elsewhere has ended, or this one was killed
		if o.kind == wire.KindMessage {
			why := errors.New("cluster: the tasklet has ended")
			far.Lost(l.t, o.path(), undelivered, why, o.ref.Message(), 1, nil)
		} else if r := l.forget(o.request); r != nil {
			r.Fail(l.t, mailbox.ErrClosed)
		}
		o.waits = false
	}
	if o.busy {
		o.busy = false
		l.busy--
	}
	delete(l.outboxes, o)
	l.node.mu.Lock()
	if l.imports[o.id] == o {
		delete(l.imports, o.id)
	}
	l.node.mu.Unlock()
	if o.target != nil {
		delete(l.targets, o.target.ID())
		if l.lost == nil {
			l.wire.Close(o.target)
			l.wrote()
		}
	}
}

// kill sends a kill to the tasklet elsewhere.
func (o *outbox) kill(by, cause string) {
	b := binary.AppendUvarint(nil, o.id)
	o.link.append(kindKill, 0, append(b, by+"\n"+cause[:min(len(cause), 1<<10)]...))
}

// close closes the ref elsewhere, after the messages that are queued here now.
func (o *outbox) close() {
	n := o.ref.Value().(interface{ Len() int }).Len()
	if o.waits {
		n++
	}
	if o.shut == 0 || o.link.lost != nil {
		n = 0
	}
	if o.shut = n; n == 0 {
		o.shut = -1
		o.link.append(kindShut, 0, binary.AppendUvarint(nil, o.id))
	}
}

// idle reports whether nothing waits to be sent.
func (o *outbox) idle() bool {
	return !o.waits && o.ref.Value().(interface{ Len() int }).Len() == 0
}

func name(id uint64) string { return "ref-" + strconv.FormatUint(id, 10) }

// number cuts a number off b. It returns 0 if there is none.
func number(b []byte) (uint64, []byte) {
	x, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil
	}
	return x, b[n:]
}
