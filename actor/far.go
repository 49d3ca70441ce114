package actor

import (
	"reflect"
	"runtime"
	"weak"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/gauge"
	"github.com/gotasklet/tasklet/internal/queue"
	"github.com/gotasklet/tasklet/mailbox"
)

// This file is the seam for package registry/cluster: refs and replies without their types, and the
// body that passes messages on. It costs other tasklets nothing.

// MarshalBinary returns the address of r for one other node. It is for the encoder of a message
// between two nodes of package registry/cluster. Elsewhere it returns an error. The zero Ref is no
// byte.
func (r Ref[M]) MarshalBinary() ([]byte, error) {
	if r.l == nil {
		return []byte{}, nil
	}
	c := far.Current()
	if c == nil {
		return nil, far.ErrOutside
	}
	return c.WriteRef(r.l)
}

// UnmarshalBinary makes r a ref to the tasklet whose address b is, wherever it lives. It is for the
// decoder of a message between two nodes of package registry/cluster. Elsewhere it returns an
// error.
func (r *Ref[M]) UnmarshalBinary(b []byte) error {
	r.l = nil
	if len(b) == 0 {
		return nil
	}
	c := far.Current()
	if c == nil {
		return far.ErrOutside
	}
	ref, err := c.ReadRef(b, refType[M]{})
	if err == nil {
		r.l = ref.(*lineage[M])
	}
	return err
}

// MarshalBinary returns the address of r for one other node, and delegates the request to the
// tasklet that will receive the answer. It is for the encoder of a message between two nodes of
// package registry/cluster. Elsewhere it returns an error. The zero Reply is no byte.
func (r Reply[R]) MarshalBinary() ([]byte, error) {
	if r.c == nil {
		return []byte{}, nil
	}
	c := far.Current()
	if c == nil {
		return nil, far.ErrOutside
	}
	return c.WriteReply(farReply[R]{r})
}

// UnmarshalBinary makes r the reply to a call on another node. It is for the decoder of a message
// between two nodes of package registry/cluster. Elsewhere it returns an error.
func (r *Reply[R]) UnmarshalBinary(b []byte) error {
	*r = Reply[R]{}
	if len(b) == 0 {
		return nil
	}
	c := far.Current()
	if c == nil {
		return far.ErrOutside
	}
	reply, err := c.ReadReply(b, replyType[R]{})
	if err == nil {
		*r = reply.(farReply[R]).Reply
	}
	return err
}

func init() {
	far.Of = func(ref any) far.Ref { return ref.(interface{ far() far.Ref }).far() }
	far.TypeOf = func(ref any) far.RefType { return ref.(interface{ farType() far.RefType }).farType() }
	far.Wake = func(t any) { t.(*Tasklet).task.Wake() }
	far.OnLeft = func(t any, f func(far.Call)) {
		x := t.(*Tasklet).extra()
		x.mu.Lock()
		defer x.mu.Unlock()
		x.followed().left = f
	}
	far.ShowLabels = func(t any, f func(add func(key, value string))) {
		x := t.(*Tasklet).extra()
		x.mu.Lock()
		defer x.mu.Unlock()
		x.followed().labels = f
	}
	far.Lost = lostBetween
}

// lostBetween implements far.Lost.
func lostBetween(by any, to, why string, err error, typ reflect.Type, n int, m any) {
	t := by.(*Tasklet)
	if m != nil && t.sys.letters.Load() != nil {
		t.sys.handOver(DeadLetter{To: to, Kind: event.DeadLetter, Err: err, Message: reflect.ValueOf(m).Elem().Interface()})
	}
	t.sys.counts.lost[gauge.LostBetween].Add(uint64(n))
	t.sys.emit(EventRecord{
		Kind: event.DeadLetter, Tasklet: t, Path: to, Err: err, Message: typ, Count: n,
		Fields: []zap.Field{zap.String("target", to), zap.String("reason", why)},
	})
	t.sys.lettersOver()
}

func (r Ref[M]) far() far.Ref               { return r.must("a message to another node") }
func (r Ref[M]) farType() far.RefType       { return refType[M]{} }
func (l *lineage[M]) Message() reflect.Type { return reflect.TypeFor[M]() }
func (l *lineage[M]) Value() any            { return Ref[M]{l} }
func (l *lineage[M]) Proxy() far.Proxy      { return l.elsewhere() }
func (l *lineage[M]) Shut()                 { l.box.Close() }

// SetProxy implements far.Ref.
func (l *lineage[M]) SetProxy(p far.Proxy, by any) {
	t := by.(*Tasklet)
	l.extra().proxy = p
	l.box.Sleep(t.task.Scheduler())
	if t.sys.real {
		runtime.AddCleanup(l, far.Proxy.Ended, p)
	}
}

// Weak implements far.Ref. On a virtual clock the pointer keeps the ref: what a run does must not
// depend on the collector.
func (l *lineage[M]) Weak() far.WeakRef {
	if !l.system().real {
		return kept[M]{l}
	}
	return weakRef[M](weak.Make(l))
}

type kept[M any] struct{ l *lineage[M] }

// Ref implements far.WeakRef.
func (k kept[M]) Ref() far.Ref { return k.l }

type weakRef[M any] weak.Pointer[lineage[M]]

// Ref implements far.WeakRef.
func (w weakRef[M]) Ref() far.Ref {
	if l := weak.Pointer[lineage[M]](w).Value(); l != nil {
		return l
	}
	return nil
}

// Rouse implements queue.Sleeper.
func (l *lineage[M]) Rouse() { l.rouse(l.more.Load()) }

// sleep makes t, which reads l, end without the end of l, if nobody needs it. It must be called in
// a step of t.
func (l *lineage[M]) sleep(t *Tasklet) bool {
	x := l.more.Load() // SetProxy has made it
	x.mu.Lock()
	waited := !x.onEnd.Empty() || !x.watchers.Empty() || !x.lives.Empty() || !x.bells.Empty()
	x.mu.Unlock()
	if waited || x.joining.Load() > 0 || t.isAwaited() || !l.box.Sleep(t.task.Scheduler()) {
		return false
	}
	t.marks.Or(markLeft)
	l.cur.Store(nil) // so that t is not kept
	return true
}

// isAwaited reports whether somebody waits for the end of t.
func (t *Tasklet) isAwaited() bool {
	if !t.joiners.Empty() {
		return true
	}
	x := t.ex.Load()
	if x == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	f := x.followers
	return x.fin != nil || f != nil && (!f.watchers.Empty() || !f.bells.Empty())
}

// Retire implements far.Ref.
func (l *lineage[M]) Retire() { l.retire() }

// Relay implements far.Ref.
func (l *lineage[M]) Relay(r far.Relay) any { return &relaying[M]{l: l, r: r} }

// Deliver implements far.Ref.
func (l *lineage[M]) Deliver(by any, m any, request far.Reply, decided func(error)) (waits bool, err error) {
	v, ok := m.(M)
	if !ok {
		return false, &far.TypeError{Have: reflect.TypeOf(m), Want: l.message()}
	}
	return l.deliver(by.(*Tasklet), v, request, decided)
}

// Blank implements far.Ref.
func (l *lineage[M]) Blank() any {
	if l.message().Kind() == reflect.Interface {
		return nil
	}
	return new(M)
}

// DeliverAt implements far.Ref.
func (l *lineage[M]) DeliverAt(by any, m any, request far.Reply, decided func(error)) (waits bool, err error) {
	at := m.(*M)
	v := *at
	*at = *new(M)
	return l.deliver(by.(*Tasklet), v, request, decided)
}

func (l *lineage[M]) deliver(t *Tasklet, v M, request far.Reply, decided func(error)) (waits bool, err error) {
	t.mustRun("Deliver")
	if request == nil && l.box.Put(&t.task, v) {
		return false, nil
	}
	var ticket queue.Ticket
	if request != nil {
		ticket = request.(interface{ base() *callBase }).base()
	}
	l.use(t.sys)
	err = l.box.SendTask(&t.task, nil, v, ticket, true)
	if err != mailbox.ErrFull || l.box.Overflow() != mailbox.Block {
		return false, err
	}
	e := new(queue.Envelope[M])
	e.Decided = func(*core.Scheduler) { decided(e.Refused()) }
	return l.box.DeliverTicket(t.task.Scheduler(), e, v, ticket)
}

type refType[M any] struct{}

func (refType[M]) Message() reflect.Type   { return reflect.TypeFor[M]() }
func (refType[M]) New(name string) far.Ref { return NewRef[M](Name(name)).l }

// farReply implements far.Reply.
type farReply[R any] struct{ Reply[R] }

func (r farReply[R]) Type() reflect.Type { return reflect.TypeFor[R]() }
func (r farReply[R]) Value() any         { return r.Reply }
func (r farReply[R]) Call() far.Call     { return far.Call{Cell: &r.base().id, Gen: r.gen} }
func (r farReply[R]) base() *callBase    { return &r.c.callBase }
func (r farReply[R]) Delegate(to any)    { r.Reply.Delegate(to.(*Tasklet)) }
func (r farReply[R]) New() any           { return new(R) }

func (r farReply[R]) Send(by, v any) bool {
	return r.Awaited() && r.Reply.Send(by.(*Tasklet), *v.(*R)) == nil
}

func (r farReply[R]) Fail(by any, err error) bool {
	return r.Awaited() && r.Reply.Fail(by.(*Tasklet), err) == nil
}

func (r farReply[R]) Answer() (any, error) { return &r.c.v, r.c.err }
func (r farReply[R]) Leave() bool          { return r.c.leave(r.gen) }

type replyType[R any] struct{}

func (replyType[R]) Type() reflect.Type { return reflect.TypeFor[R]() }

// New implements far.ReplyType. The cell is like that of a goroutine that blocks already, and is
// used for one call.
func (replyType[R]) New(a far.Answered) far.Reply {
	c := &cell[R]{}
	c.self = a
	c.state.Store(callGen | callBlocks)
	return farReply[R]{Reply[R]{c, 1}}
}

// relaying is the body of a tasklet that passes on what it reads, to another node. It is used for
// one tasklet.
type relaying[M any] struct {
	l *lineage[M]
	r far.Relay

	// Owned by the scheduler.
	m       M    // the message that is being passed on, so that its address can be
	passing bool // there is one
	full    bool // the tasklet waits for room, and not for messages
}

func (k *relaying[M]) instance() instance  { return k }
func (k *relaying[M]) allows() optionSet   { return anyBody | refOptions }
func (k *relaying[M]) waitsFirst()         {}
func (k *relaying[M]) proxy() far.Proxy    { return k.l.elsewhere() }
func (k *relaying[M]) inHand() int         { return 1 }
func (k *relaying[M]) handsEmpty() bool    { return !k.passing }
func (k *relaying[M]) awaitsOther() bool   { return k.full }
func (k *relaying[M]) lineage() anyLineage { return k.l }
func (k *relaying[M]) source() any         { return "relay" }
func (k *relaying[M]) kind() string        { return "outbox" }

// addLabels implements withLabels.
func (k *relaying[M]) addLabels(add func(key, value string)) { k.r.Labels(add) }

func (k *relaying[M]) eachInHand(_ *Tasklet, f func(any)) {
	if k.passing {
		f(k.m)
	}
}

func (k *relaying[M]) step(t *Tasklet) (bool, error) {
	box := &k.l.box
	k.full = false
	for range stepMessages {
		if pending, _ := t.task.Killed(); pending {
			t.takeKill()
			return true, ErrKilled
		}
		if over, err := k.r.Over(); over {
			if err != ErrShutdown && err != ErrKilled {
				err = fromOther(err) // it failed, also if err says how yet another one ended
			}
			return true, err
		}
		if k.r.Sleepy() && k.l.sleep(t) {
			k.r.Slept()
			return true, nil
		}
		if !box.Empty() && !k.r.Room() {
			box.StopAwait()
			k.full = true
			k.r.Rest()
			return false, nil
		}
		m, ok := box.Take()
		if !ok {
			if box.Await(1) {
				k.r.Rest()
				return false, nil
			}
			if box.Drained() {
				return true, k.r.Drained()
			}
			continue
		}
		var request far.Call
		if c, ok := box.TicketInHand().(*callBase); ok {
			request = far.Call{Cell: &c.id, Gen: c.gen()}
		}
		k.m, k.passing = m, true
		err := k.r.Pass(&k.m, request)
		k.passing = false
		k.m = *new(M)
		box.SettleBy(&t.task, err)
	}
	t.task.Wake()
	return false, nil
}
