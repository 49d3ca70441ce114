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

// outbox stands here for a ref of the peer. While the ref is in use here, the outbox has a tasklet,
// which reads the mailbox that is the ref on this node, and passes the messages on. Without one the
// outbox does not keep the ref in memory: it sleeps until the ref is used, and is forgotten when
// nobody on this node has the ref any more. Otherwise refs that came in messages would pile up.
//
//	           Rouse                  not used for sleepAfter beats
//	asleep ─────────────▶ awake ──────────────────────────────────▶ asleep
//	   │ nobody has it      │ the tasklet elsewhere has ended, or the link is lost
//	   └──────▶ forgotten ◀─┘
//
// The target at the peer is opened when the ref is first used, and stays open while the outbox
// sleeps, so that the end elsewhere is known here.
type outbox struct {
	// Set in imported, then read-only.
	link *link
	id   uint64 // of the peer's export
	weak far.WeakRef
	typ  reflect.Type // of the messages
	name string

	// Owned by the scheduler.
	ref     far.Ref        // nil while it sleeps
	t       *actor.Tasklet // nil while it sleeps
	used    bool           // it has passed on a message since the link has last looked
	sleepy  bool           // it should sleep, if it can
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

// imported returns the ref of a new outbox. Node.mu must be held.
func (l *link) imported(id uint64, typ far.RefType, called string) far.Ref {
	if called = strings.ReplaceAll(called, "/", ":"); called == "" {
		called = name(id)
	}
	o := &outbox{link: l, id: id, typ: typ.Message(), name: called, shut: -1}
	ref := typ.New(called)
	ref.SetProxy(o, l.t)
	o.weak = ref.Weak()
	l.imports[id] = o
	return ref
}

// live returns the ref if somebody on this node has it and it is not dead, and otherwise nil. It
// may be called on any goroutine.
func (o *outbox) live() far.Ref {
	if o == nil {
		return nil
	}
	ref := o.weak.Ref()
	if ref == nil || ref.Value().(interface{ IsDead() bool }).IsDead() {
		return nil
	}
	return ref
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

// Rouse implements far.Proxy.
func (o *outbox) Rouse(ref far.Ref) {
	o.link.rousing.Add(1)
	o.link.tell(linkMsg{what: linkStart, of: ref})
}

// Ended implements far.Proxy.
func (o *outbox) Ended() { o.link.tell(linkMsg{what: linkEnded, of: o}) }

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

func (o *outbox) path() string {
	if o.ref == nil {
		return o.name
	}
	return o.ref.Value().(fmt.Stringer).String()
}

// start starts the tasklet for ref, as a child of the link, unless there is one.
func (o *outbox) start(ref far.Ref) {
	if o.t != nil || o.live() == nil {
		return
	}
	l := o.link
	o.ref, o.used, o.sleepy = ref, true, false
	o.t = actor.StartTasklet(l.t, o.ref.Relay(o).(actor.Body))
	l.outboxes[o] = struct{}{}
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

// drowse reports whether the outbox was not used since the last call, and may sleep.
func (o *outbox) drowse() bool {
	used := o.used
	o.used = false
	return !used && !o.waits && !o.stuck && o.shut < 0
}

// Sleepy implements far.Relay.
func (o *outbox) Sleepy() bool {
	sleepy := o.sleepy
	o.sleepy = false
	return sleepy
}

// Slept implements far.Relay.
func (o *outbox) Slept() {
	o.Rest()
	delete(o.link.outboxes, o)
	o.t, o.ref, o.pending = nil, nil, nil
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
			far.Lost(o.t, o.path(), undelivered, l.lost, o.typ, 1, m)
		}
		return l.lost
	}
	if request != (far.Call{}) && l.silent != nil {
		o.passed()
		return l.silent
	}
	o.used = true
	if !o.busy {
		o.busy = true
		l.busy++
	}
	kind, b, err := l.encode(m, o, request)
	if err != nil {
		if request == (far.Call{}) {
			far.Lost(o.t, o.path(), encoding, err, o.typ, 1, m)
		}
		o.passed()
		return &EncodingError{o.typ.String(), err}
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
		far.Lost(o.link.t, o.path(), encoding, err, o.typ, 1, nil)
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
		far.Lost(o.link.t, o.path(), why, o.link.lost, o.typ, 1, nil)
	}
	o.waits = false
}

// lose makes the outbox end with the link: senders are refused, and what is queued is reported.
func (o *outbox) lose() {
	o.lost(undelivered)
	if o.t != nil {
		o.ref.Shut()
		far.Wake(o.t)
	} else if ref := o.live(); ref != nil && o.queued() == 0 { // otherwise it is being roused
		ref.Retire()
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
	if ref := o.live(); o.t == nil && ref != nil {
		o.start(ref)
	}
	if o.t != nil {
		far.Wake(o.t)
	}
}

// ended forgets the outbox, whose ref is dead, or which nobody has. It may be called again.
func (o *outbox) ended() {
	l := o.link
	if o.waits && l.lost == nil { // the tasklet elsewhere has ended, or this one was killed
		if o.kind == wire.KindMessage {
			why := errors.New("cluster: the tasklet has ended")
			far.Lost(l.t, o.path(), undelivered, why, o.typ, 1, nil)
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
		o.target = nil
	}
}

// queued returns the number of messages in the mailbox that is the ref.
func (o *outbox) queued() int {
	ref := o.ref
	if ref == nil {
		if ref = o.live(); ref == nil {
			return 0
		}
	}
	return ref.Value().(interface{ Len() int }).Len()
}

// kill sends a kill to the tasklet elsewhere.
func (o *outbox) kill(by, cause string) {
	b := binary.AppendUvarint(nil, o.id)
	o.link.append(kindKill, 0, append(b, by+"\n"+cause[:min(len(cause), 1<<10)]...))
}

// close closes the ref elsewhere, after the messages that are queued here now.
func (o *outbox) close() {
	n := o.queued()
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
func (o *outbox) idle() bool { return !o.waits && o.queued() == 0 }

func name(id uint64) string { return "ref-" + strconv.FormatUint(id, 10) }

// number cuts a number off b. It returns 0 if there is none.
func number(b []byte) (uint64, []byte) {
	x, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil
	}
	return x, b[n:]
}
