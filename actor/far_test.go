package actor_test

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/mailbox"
)

// wire is the smallest cluster: a message is taken out of one mailbox, encoded, decoded and put
// into another one, all in one step. There is a byte for each ref and each reply.
type wire struct {
	by      *actor.Tasklet // the tasklet with the relay
	to      far.Ref
	refs    []far.Ref
	replies []far.Reply
	back    actor.Ref[farAnswer] // gets the answers
	room    int
	over    bool
	err     error
	refuse  error // of Pass
	request far.Call
	passed  int
	rests   int
}

// farAnswer is what back gets: reply has an answer for the request with this number.
type farAnswer struct {
	n     byte
	reply far.Reply
}

type answering struct {
	w     *wire
	n     byte
	reply far.Reply
}

func (a *answering) Answered() {
	_ = a.w.back.TrySend(context.Background(), farAnswer{a.n, a.reply})
}

func (w *wire) WriteRef(r far.Ref) ([]byte, error) {
	w.refs = append(w.refs, r)
	return []byte{byte(len(w.refs))}, nil
}

func (w *wire) WriteReply(r far.Reply) ([]byte, error) {
	r.Delegate(w.by)
	w.replies = append(w.replies, r)
	return []byte{byte(len(w.replies))}, nil
}

func (w *wire) ReadRef(b []byte, typ far.RefType) (far.Ref, error) {
	if r := w.refs[b[0]-1]; r.Message() == typ.Message() {
		return r, nil
	}
	return nil, errTest
}

func (w *wire) ReadReply(b []byte, typ far.ReplyType) (far.Reply, error) {
	a := &answering{w: w, n: b[0]}
	a.reply = typ.New(a)
	return a.reply, nil
}

func (w *wire) coder() *far.Coder {
	c := far.Coder(w)
	return &c
}

func (w *wire) Over() (bool, error) { return w.over, w.err }
func (w *wire) Sleepy() bool        { return false }
func (w *wire) Slept()              {}
func (w *wire) Room() bool          { return w.room > 0 }
func (w *wire) Rest()               { w.rests++ }
func (w *wire) Drained() error      { return w.err }

func (w *wire) Labels(add func(key, value string)) { add("credits", strconv.Itoa(w.room)) }

func (w *wire) Pass(m any, request far.Call) error {
	w.room--
	w.passed++
	if w.refuse != nil {
		return w.refuse
	}
	q := m.(*farAsk)
	w.request = request
	var there farAsk
	err := with(w.coder(), func() error {
		ref, err := q.from.MarshalBinary()
		if err != nil {
			return err
		}
		reply, err := q.reply.MarshalBinary()
		if err != nil {
			return err
		}
		if err := there.from.UnmarshalBinary(ref); err != nil {
			return err
		}
		there.n = q.n
		return there.reply.UnmarshalBinary(reply)
	})
	if err != nil {
		return err
	}
	var ticket far.Reply
	if request != (far.Call{}) {
		ticket = farReplyOf(there.reply)
	}
	_, err = w.to.Deliver(w.by, there, ticket, func(error) {})
	return err
}

// with calls f between far.Lock and far.Unlock.
func with(c *far.Coder, f func() error) error {
	far.Lock(c)
	defer far.Unlock()
	return f()
}

// farReplyOf gets the reply without its type in the way in which a coder gets it.
func farReplyOf(r actor.Reply[int]) (is far.Reply) {
	c := &catcher{}
	coder := far.Coder(c)
	_ = with(&coder, func() error { _, err := r.MarshalBinary(); return err })
	return c.reply
}

type catcher struct {
	wire
	reply far.Reply
}

func (c *catcher) WriteReply(r far.Reply) ([]byte, error) {
	c.reply = r
	return nil, nil
}

type farAsk struct {
	n     int
	from  actor.Ref[int]
	reply actor.Reply[int]
}

// start makes a ref whose messages go through w to to.
func (w *wire) start(t *actor.Tasklet, to actor.Ref[farAsk], opts ...actor.Option) actor.Ref[farAsk] {
	w.to = far.Of(to)
	w.room = 1 << 30
	ref := actor.NewRef[farAsk](append(opts, actor.Name("relay"))...)
	w.by = actor.StartTasklet(t, far.Of(ref).Relay(w).(actor.Body))
	w.back = actor.Receiver(t, func(t *actor.Tasklet, a farAnswer) error {
		r := w.replies[a.n-1]
		if v, err := a.reply.Answer(); err != nil {
			r.Fail(t, err)
		} else {
			r.Send(t, v)
		}
		return nil
	})
	return ref
}

func TestFarLabels(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		w := &wire{}
		w.start(t, actor.Receiver(t, func(*actor.Tasklet, farAsk) error { return nil }))
		w.room = 5
		info := w.by.Info()
		require.Equal(tb, "outbox", info.Kind)
		require.Equal(tb, map[string]string{"credits": "5"}, info.Labels)
		live := "1"
		w.by.SetLabel("own", "x")
		far.ShowLabels(w.by, func(add func(key, value string)) { add("live", live); add("own", "y") })
		live = "2"
		require.Equal(tb, map[string]string{"credits": "5", "live": "2", "own": "x"}, w.by.Info().Labels)
	})
}

func TestRefsAndRepliesTravel(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		w := &wire{}
		var held actor.Reply[int]
		there := actor.Receiver(t, func(t *actor.Tasklet, q farAsk) error {
			switch q.n {
			case 0: // no answer
			case 1:
				return errTest
			case 2:
				held = q.reply
				held.Delegate(t)
			case 3:
				_ = q.reply.Fail(t, errTest)
			default:
				if !q.from.IsZero() {
					_ = q.from.Send(t, -q.n)
				}
				return q.reply.Send(t, q.n*q.n)
			}
			return nil
		}, actor.OnFailure(actor.Resume))
		got := actortest.NewProbe[int](t)
		ref := w.start(t, there)
		ask := func(ctx context.Context, n int) (int, error) {
			return actor.Call(ctx, ref, func(r actor.Reply[int]) farAsk { return farAsk{n, got.Ref(), r} })
		}
		for range 3 {
			v, err := ask(t, 7)
			require.NoError(tb, err)
			require.Equal(tb, 49, v)
			got.Expect(-7)
		}
		_, err := ask(t, 0)
		require.ErrorIs(tb, err, actor.ErrNoReply)
		_, err = ask(t, 1)
		require.ErrorIs(tb, err, errTest, "a handler's failure")
		_, err = ask(t, 3)
		require.ErrorIs(tb, err, errTest, "an answer that is an error")

		// a goroutine calls too, and gives up too
		v, err := actor.Await(t, func(ctx context.Context) (int, error) { return ask(context.Background(), 8) })
		require.NoError(tb, err)
		require.Equal(tb, 64, v)
		got.Expect(-8)

		var left []far.Call
		far.OnLeft(w.by, func(c far.Call) { left = append(left, c) })
		ctx, cancel := actor.WithTimeout(t, time.Second)
		defer cancel()
		_, err = ask(ctx, 2)
		require.ErrorIs(tb, err, actor.ErrTimeout)
		last := w.replies[len(w.replies)-1]
		require.Equal(tb, []far.Call{last.Call()}, left, "the other side can be told")
		require.False(tb, last.Awaited())
		require.True(tb, held.Awaited(), "it was not told yet")
		require.True(tb, farReplyOf(held).Leave())
		require.False(tb, held.Awaited())
		require.ErrorIs(tb, held.Send(t, 1), actor.ErrNotAwaited)
	}, actortest.Allow(event.Failure))
}

func TestRelayWaitsForRoom(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		w := &wire{}
		p := actortest.NewProbe[farAsk](t)
		ref := w.start(t, p.Ref(), actor.MailboxLen(2))
		w.room = 1
		sent := 0
		actor.Go(t, func(t *actor.Tasklet) error {
			for i := range 6 {
				require.NoError(tb, ref.Send(t, farAsk{n: i}))
				sent++
			}
			return nil
		})
		actortest.Settle(t)
		require.NoError(tb, t.System().Check())
		require.Equal(tb, 1, w.passed)
		require.Equal(tb, 3, sent, "the sender is parked")
		w.room = 2
		far.Wake(w.by)
		actortest.Settle(t)
		require.Equal(tb, 5, sent)
		w.room = 9
		far.Wake(w.by)
		actortest.Settle(t)
		for i := range 6 {
			require.Equal(tb, i, p.Got()[i].n)
		}
		require.NotZero(tb, w.rests)

		// what is queued is passed on before the end
		w.room = 0
		require.NoError(tb, ref.Send(t, farAsk{n: 6}))
		far.Of(ref).Shut()
		require.ErrorIs(tb, ref.Send(t, farAsk{}), mailbox.ErrClosed)
		actortest.Settle(t)
		require.False(tb, w.by.HasFinished())
		w.room = 1
		far.Wake(w.by)
		require.NoError(tb, ref.Join(t))
		require.Len(tb, p.Got(), 7)
	})
}

func TestRelayEndsWithAnError(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		w := &wire{}
		var exits []actor.Exit
		watcher := actor.Receiver(t, func(_ *actor.Tasklet, e actor.Exit) error { exits = append(exits, e); return nil })
		ref := w.start(t, actor.Receiver(t, func(*actor.Tasklet, farAsk) error { return nil }))
		_ = actor.Receiver(t, func(t *actor.Tasklet, _ int) error {
			actor.Watch(t, ref, watcher, func(e actor.Exit) actor.Exit { return e })
			return nil
		}).Send(t, 1)
		actortest.Settle(t)
		w.refuse = errTest
		_, err := actor.Call(t, ref, func(r actor.Reply[int]) farAsk { return farAsk{reply: r} })
		require.ErrorIs(tb, err, errTest, "a request that can't be passed on")
		w.over, w.err = true, errTest
		far.Wake(w.by)
		require.ErrorIs(tb, ref.Join(t), errTest)
		actortest.Settle(t)
		require.Len(tb, exits, 1)
		require.Equal(tb, reason.Error, exits[0].Kind)
		require.True(tb, ref.IsDead())
	})
}

func TestDeliver(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var got []int
		hold := true
		ref := actor.Receiver(t, func(t *actor.Tasklet, n int) error {
			for hold {
				t.Sleep(time.Second)
			}
			got = append(got, n)
			return nil
		}, actor.MailboxLen(1))
		r := far.Of(ref)
		require.Equal(tb, r, far.Of(ref))
		var decided []error
		deliver := func(n int) (bool, error) {
			return r.Deliver(t, n, nil, func(err error) { decided = append(decided, err) })
		}
		_, err := r.Deliver(t, "a", nil, nil)
		require.ErrorAs(tb, err, new(*far.TypeError))
		waits, err := deliver(1)
		require.NoError(tb, err)
		require.False(tb, waits)
		t.Sleep(time.Second) // 1 is in hand
		_, _ = deliver(2)
		waits, err = deliver(3)
		require.NoError(tb, err)
		require.True(tb, waits)
		require.Empty(tb, decided)
		hold = false
		t.Sleep(time.Minute)
		require.Equal(tb, []int{1, 2, 3}, got)
		require.Equal(tb, []error{nil}, decided)
		ref.Close()
		_, err = deliver(4)
		require.ErrorIs(tb, err, mailbox.ErrClosed)

		require.Nil(tb, far.Of(actor.NewRef[any]()).Blank())
		other := actor.NewRef[int](actor.MailboxLen(1))
		at := far.Of(other).Blank().(*int)
		require.Zero(tb, *at)
		for n := range 2 {
			*at = n + 1
			waits, err = far.Of(other).DeliverAt(t, at, nil, func(error) {})
			require.NoError(tb, err)
			require.Equal(tb, n == 1, waits)
			require.Zero(tb, *at, "the next message is decoded there")
		}
		got = nil
		actor.StartTasklet(t, actor.ReceiverBody(other, func(_ *actor.Tasklet, n int) error { got = append(got, n); return nil }))
		actortest.Settle(t)
		require.Equal(tb, []int{1, 2}, got)

		fail := actor.NewRef[int](actor.MailboxLen(1), actor.Overflow(mailbox.Fail))
		n := 1
		_, err = far.Of(fail).Deliver(t, n, nil, nil)
		require.NoError(tb, err)
		_, err = far.Of(fail).Deliver(t, n, nil, nil)
		require.ErrorIs(tb, err, mailbox.ErrFull)
	})
}

// A request that waits for room is refused when the mailbox closes: the caller is told, and it is
// no dead letter.
func TestDeliverOfARequestThatIsRefused(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ref := actor.NewRef[farAsk](actor.MailboxLen(1))
		require.NoError(tb, ref.Send(t, farAsk{}))
		w := &wire{back: actor.Receiver(t, func(*actor.Tasklet, farAnswer) error { return nil })}
		var request actor.Reply[int]
		require.NoError(tb, with(w.coder(), func() error { return request.UnmarshalBinary([]byte{1}) }))
		var decided []error
		waits, err := far.Of(ref).Deliver(t, farAsk{reply: request}, farReplyOf(request), func(err error) { decided = append(decided, err) })
		require.NoError(tb, err)
		require.True(tb, waits)
		ref.Close()
		actortest.Settle(t)
		require.Equal(tb, []error{mailbox.ErrClosed}, decided)
		require.True(tb, request.Awaited(), "it is for the caller of Deliver to say why")
	})
}

// nowhere is a relay that counts.
type nowhere struct{ n, sum int }

func (*nowhere) Over() (bool, error) { return false, nil }
func (*nowhere) Room() bool          { return true }
func (*nowhere) Sleepy() bool        { return false }
func (*nowhere) Slept()              {}
func (*nowhere) Rest()               {}
func (*nowhere) Drained() error      { return nil }

func (*nowhere) Labels(func(key, value string)) {}

func (o *nowhere) Pass(m any, _ far.Call) error {
	o.n++
	o.sum += *m.(*int)
	return nil
}

func TestAllocationsOfARelay(t *testing.T) {
	skipCounts(t)
	run(t, func(t0 *actor.Tasklet) error {
		ref, o := actor.NewRef[int](), &nowhere{}
		actor.StartTasklet(t0, far.Of(ref).Relay(o).(actor.Body))
		allocates(t, "message through a relay", 0, func() {
			_ = ref.Send(t0, 1)
			t0.Yield()
		})
		require.Equal(t, o.n, o.sum)
		require.Positive(t, o.n)
		to := far.Of(actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }))
		var n any = 1
		allocates(t, "message that is delivered", 0, func() {
			_, _ = to.Deliver(t0, n, nil, nil)
			t0.Yield()
		})
		at := to.Blank()
		allocates(t, "message that is delivered from where it was decoded", 0, func() {
			*at.(*int) = 1
			_, _ = to.DeliverAt(t0, at, nil, nil)
			t0.Yield()
		})
		return nil
	})
}

type standIn struct {
	closed int
	kills  []string
	roused int
	ended  int
}

func (p *standIn) Rouse(far.Ref) { p.roused++ }
func (p *standIn) Ended()        { p.ended++ }

func (p *standIn) Close() { p.closed++ }
func (p *standIn) Kill(by string, cause error) {
	if cause != nil {
		by += " " + cause.Error()
	}
	p.kills = append(p.kills, by)
}

func TestCloseAndKillOfARefToAnotherNode(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ref, p := actor.NewRef[int](), &standIn{}
		require.Nil(tb, far.Of(ref).Proxy())
		far.Of(ref).SetProxy(p, t)
		require.Same(tb, p, far.Of(ref).Proxy())
		ref.Close()
		require.False(tb, ref.IsClosed(), "others on this node use it too")
		ref.Kill()
		ref.KillCause(t, errTest)
		require.Equal(tb, 1, p.closed)
		require.Equal(tb, []string{"", "/test " + errTest.Error()}, p.kills)
	})
}

// A ref to another node asks for a tasklet when it is used, and when somebody waits for its end.
func TestRefToAnotherNodeIsRoused(t *testing.T) {
	uses := map[string]func(t *actor.Tasklet, ref actor.Ref[int]){
		"Send":  func(t *actor.Tasklet, ref actor.Ref[int]) { _ = ref.Send(t, 1) },
		"OnEnd": func(_ *actor.Tasklet, ref actor.Ref[int]) { ref.OnEnd(func() {}) },
		"Watch": func(t *actor.Tasklet, ref actor.Ref[int]) {
			actor.Watch(t, ref, actor.NewRef[int](), func(actor.Exit) int { return 0 })
		},
		"WatchLineage": func(t *actor.Tasklet, ref actor.Ref[int]) {
			actor.WatchLineage(t, ref, actor.NewRef[int](), func(actor.Life) int { return 0 })
		},
		"Join": func(t *actor.Tasklet, ref actor.Ref[int]) {
			actor.Go(t, func(t *actor.Tasklet) error { return ref.Join(t) })
		},
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t *actor.Tasklet) {
				tb := actortest.TB(t)
				ref, p := actor.NewRef[int](), &standIn{}
				far.Of(ref).SetProxy(p, t)
				require.Equal(tb, far.Of(ref), far.Of(ref).Weak().Ref())
				_, _, _ = ref.Len(), ref.IsClosed(), ref.Name()
				require.Zero(tb, p.roused)
				use(t, ref)
				t.Yield()
				require.Equal(tb, 1, p.roused)
				require.Zero(tb, p.ended)
				far.Of(ref).Retire()
				require.Equal(tb, 1, p.ended)
				require.True(tb, ref.IsDead())
				use(t, ref)
				t.Yield()
				require.Equal(tb, 1, p.roused, "a dead ref needs no tasklet")
			}, actortest.Allow(event.DeadLetter))
		})
	}
}

func TestRefsAreEncodedOnlyInMessages(t *testing.T) {
	ref := actor.NewRef[int](actor.Name("a"))
	_, err := ref.MarshalBinary()
	require.ErrorIs(t, err, far.ErrOutside)
	require.ErrorIs(t, ref.UnmarshalBinary([]byte{1}), far.ErrOutside)
	require.True(t, ref.IsZero())
	var reply actor.Reply[int]
	require.ErrorIs(t, reply.UnmarshalBinary([]byte{1}), far.ErrOutside)
	for range 2 { // zero values are empty everywhere
		b, err := ref.MarshalBinary()
		require.NoError(t, err)
		require.Empty(t, b)
		require.NoError(t, ref.UnmarshalBinary(nil))
		b, err = reply.MarshalBinary()
		require.NoError(t, err)
		require.Empty(t, b)
		require.NoError(t, reply.UnmarshalBinary(nil))
	}
	require.Panics(t, func() { _ = with((&wire{}).coder(), func() error { panic(errors.New("a codec")) }) })
	require.Nil(t, far.Current(), "a panic leaves no coder behind")
	made := far.TypeOf(ref).New("b")
	require.Equal(t, "b", made.Value().(actor.Ref[int]).Name())
}

func TestLostBetweenNodes(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		p := actortest.NewProbe[actor.DeadLetter](t)
		actor.DeadLetters(t.System(), p.Ref())
		m := 5
		far.Lost(t, "b/there", "undelivered", errTest, reflect.TypeFor[int](), 1, &m)
		d := p.ExpectMatch(func(actor.DeadLetter) bool { return true })
		require.Equal(tb, 5, d.Message)
		require.Equal(tb, "b/there", d.To)
		require.ErrorIs(tb, d.Err, errTest)
		far.Lost(t, "b/there", "unknown", errTest, reflect.TypeFor[int](), 3, nil)
	}, actortest.Allow(event.DeadLetter))
}
