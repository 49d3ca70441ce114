package cluster

import (
	"encoding/binary"
	"errors"
	"reflect"

	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
	"github.com/gotasklet/tasklet/registry/cluster/internal/wire"
)

// coder writes and reads the refs and replies in the messages of a link; it implements far.Coder.
// Owned by the scheduler.
type coder struct {
	link *link
	self far.Coder

	// While a message is written.
	request far.Call // that it ends
	by      *outbox  // that sends it, or nil
	own     uint64   // the number of its reply, or 0
	handed  []uint64 // replies that were handed over
	written []byte   // what WriteReply has returned for the message

	// While a message is read.
	want  uint64    // the number of the reply of its request, or 0
	reply far.Reply // that reply
	made  []uint64  // replies that were made
}

// The first byte of the address of a ref says whose it is.
const (
	ofWriter = 0
	ofReader = 1
)

var errAddress = errors.New("cluster: malformed address")

// errNoAnswer fails a reply that was handed over in a message that can't be sent.
var errNoAnswer = errors.New("cluster: the message with the reply could not be sent")

// WriteRef implements far.Coder.
func (c *coder) WriteRef(r far.Ref) ([]byte, error) {
	if o, ok := r.Proxy().(*outbox); ok && o.link == c.link {
		return binary.AppendUvarint([]byte{ofReader}, o.id), nil
	}
	return binary.AppendUvarint([]byte{ofWriter}, c.link.node.export(r).id), nil
}

// ReadRef implements far.Coder.
func (c *coder) ReadRef(b []byte, typ far.RefType) (far.Ref, error) {
	id, rest := number(b[1:])
	if id == 0 || len(rest) > 0 || b[0] > ofReader {
		return nil, errAddress
	}
	l := c.link
	if b[0] == ofReader {
		x := l.node.exported(id)
		if x == nil { // it is dead
			return deadRef(typ), nil
		}
		if x.ref.Message() != typ.Message() {
			return nil, &TypeError{"", x.ref.Message().String(), typ.Message().String()}
		}
		return x.ref, nil
	}
	if l.lost != nil {
		return deadRef(typ), nil
	}
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	if ref := l.imports[id].live(); ref != nil {
		if ref.Message() != typ.Message() {
			return nil, &TypeError{"", ref.Message().String(), typ.Message().String()}
		}
		return ref, nil
	}
	return l.imported(id, typ, name(id)), nil
}

func deadRef(typ far.RefType) far.Ref {
	r := typ.New("(dead)")
	r.Retire()
	return r
}

// WriteReply implements far.Coder.
func (c *coder) WriteReply(r far.Reply) ([]byte, error) {
	l, call := c.link, r.Call()
	if err := l.codec.CheckPlain(r.Type()); err != nil {
		return nil, err
	}
	id := l.numbers[call]
	if id == 0 {
		l.lastReply++
		id = l.lastReply
		l.replies[id], l.numbers[call] = replying{r, c.by}, id
		r.Delegate(l.t)
		if !r.Awaited() { // it has not been delegated, so nobody would tell
			l.forget(call)
			return []byte{0}, nil
		}
		c.handed = append(c.handed, id)
	}
	if call == c.request {
		c.own = id
	}
	// A message may have several replies, and what was returned must stay.
	n := len(c.written)
	c.written = appendNumber(c.written, id)
	return c.written[n:len(c.written):len(c.written)], nil
}

// ReadReply implements far.Coder.
func (c *coder) ReadReply(b []byte, typ far.ReplyType) (far.Reply, error) {
	l := c.link
	id, rest := number(b)
	if len(rest) > 0 || rest == nil {
		return nil, errAddress
	}
	a := l.asked[id]
	if a != nil && a.reply.Type() != typ.Type() {
		return nil, errAddress
	}
	if a == nil {
		a = &asked{link: l, id: id}
		a.reply = typ.New(a)
		if id == 0 || l.lost != nil { // its caller has given up
			a.reply.Leave()
			return a.reply, nil
		}
		l.asked[id] = a
		c.made = append(c.made, id)
	}
	if id == c.want {
		c.reply = a.reply
	}
	return a.reply, nil
}

// Lock implements sync.Locker, for the codec.
func (c *coder) Lock() { far.Lock(&c.self) }

// Unlock implements sync.Locker.
func (c *coder) Unlock() { far.Unlock() }

// encode returns the entry for *m, a message of an outbox. request is the call that it ends, if
// there is one. The bytes are valid until the next call.
func (l *link) encode(m any, by *outbox, request far.Call) (wire.Kind, []byte, error) {
	c := &l.coder
	c.request, c.by, c.own, c.handed, c.written = request, by, 0, c.handed[:0], keep(c.written[:0])
	const room = binary.MaxVarintLen64
	b := append(l.buf[:0], make([]byte, room)...)
	var err error
	if of := reflect.ValueOf(m).Elem(); of.Kind() == reflect.Interface {
		b, err = l.codec.Append(b, of.Interface())
	} else {
		b, err = l.codec.AppendAt(b, m)
	}
	l.buf = keep(b)
	if err != nil {
		c.fail(err)
		return 0, nil, err
	}
	if c.own == 0 {
		return wire.KindMessage, b[room:], nil
	}
	var head [room]byte
	n := binary.PutUvarint(head[:], c.own)
	copy(b[room-n:], head[:n])
	return wire.KindCall, b[room-n:], nil
}

// keep returns b as memory for the next message, if it is not too large.
func keep(b []byte) []byte {
	if cap(b) > 64<<10 {
		return nil
	}
	return b
}

// fail fails the replies that were handed over in a message that can't be sent, except that of its
// request, which the mailbox ends.
func (c *coder) fail(err error) {
	for _, id := range c.handed {
		r := c.link.replies[id]
		c.link.forget(r.Call())
		if id == c.own {
			r.Fail(c.link.t, err)
		} else {
			r.Fail(c.link.t, errNoAnswer)
		}
	}
}

// decode returns a message that has come, the number of the call that it ends, and its reply. The
// message is *place if at is true, and otherwise v. place may be nil. *place must be zero, and is
// zero after an error.
func (l *link) decode(e wire.Entry, place any) (want uint64, v any, at bool, request far.Reply, err error) {
	c := &l.coder
	src := e.Payload
	c.want, c.reply, c.made = 0, nil, c.made[:0]
	if e.Kind == wire.KindCall {
		if c.want, src = number(src); c.want == 0 {
			return 0, nil, false, nil, errAddress
		}
	}
	if place != nil {
		v, at, err = l.codec.DecodeAt(src, place)
	} else {
		v, err = l.codec.Decode(src)
	}
	if err == nil && c.want != 0 && c.reply == nil {
		err = errAddress
	}
	if err != nil {
		if at {
			reflect.ValueOf(place).Elem().SetZero()
		}
		for _, id := range c.made {
			if id != c.want { // the caller gets the error
				delete(l.asked, id)
				l.append(wire.KindFailure, id, codec.Default.AppendError(nil, err))
			}
		}
	}
	return c.want, v, at, c.reply, err
}

// encodeAnswer returns the encoding of *v. The bytes are valid until the next call.
func (l *link) encodeAnswer(v any) ([]byte, error) {
	c := &l.coder
	c.request, c.by, c.own, c.handed, c.written = far.Call{}, nil, 0, c.handed[:0], keep(c.written[:0])
	b, err := l.buf[:0], error(nil)
	if of := reflect.ValueOf(v).Elem(); of.Kind() == reflect.Interface {
		b, err = l.codec.Append(b, of.Interface())
	} else {
		b, err = l.codec.AppendPlain(b, v)
	}
	l.buf = keep(b)
	if err != nil {
		c.fail(err)
		return nil, &EncodingError{reflect.TypeOf(v).Elem().String(), err}
	}
	return b, nil
}

// decodeAnswer decodes an answer into *v.
func (l *link) decodeAnswer(src []byte, v any) error {
	c := &l.coder
	c.want, c.reply, c.made = 0, nil, c.made[:0]
	of := reflect.ValueOf(v).Elem()
	if of.Kind() != reflect.Interface {
		return l.codec.DecodePlain(src, v)
	}
	x, err := l.codec.Decode(src)
	switch {
	case err != nil:
		return err
	case x == nil || !reflect.TypeOf(x).AssignableTo(of.Type()):
		return errAddress
	}
	of.Set(reflect.ValueOf(x))
	return nil
}
