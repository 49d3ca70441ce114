package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
)

// ask is a request for a number.
type ask struct {
	n     int
	reply actor.Reply[int]
}

// asking makes requests with the number n.
func asking(n int) func(actor.Reply[int]) ask {
	return func(r actor.Reply[int]) ask { return ask{n, r} }
}

var errTest = errors.New("test")

// started runs a system in the background until the test ends.
func started(t *testing.T) *actor.System {
	t.Helper()
	s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// Rule 30: a call ends at once, and with which error, whatever becomes of its request.
func TestRule30EndsOfACall(t *testing.T) {
	type tasklet = actor.Tasklet
	never := func(*tasklet, ask) error { return nil }
	for _, c := range []struct {
		name   string
		callee func(t *tasklet) actor.Ref[ask]
		want   error  // by errors.Is; nil: the answer is 7
		joined bool   // it is a *JoinError that names the callee
		text   string // if not empty: the error's whole text
	}{
		{name: "answered", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, q ask) error { return q.reply.Send(t, q.n) })
		}},
		{name: "answered by a batch receiver", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.BatchReceiver(t, 3, 0, func(t *tasklet, qs []ask) error { return qs[0].reply.Send(t, qs[0].n) })
		}},
		{name: "answered, then the handler fails", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, q ask) error { _ = q.reply.Send(t, q.n); return errTest })
		}},
		{name: "answered, then the callee panics", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, q ask) error { _ = q.reply.Send(t, q.n); panic("x") },
				actor.OnFailure(actor.End))
		}},
		{name: "failed by the callee, unchanged", want: errTest, text: "test", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, q ask) error { return q.reply.Fail(t, errTest) })
		}},
		{name: "no reply", want: actor.ErrNoReply, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, never)
		}},
		{name: "no reply of a batch receiver", want: actor.ErrNoReply, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.BatchReceiver(t, 3, 0, func(*tasklet, []ask) error { return nil })
		}},
		{name: "no reply of a handler with init", want: actor.ErrNoReply, callee: func(t *tasklet) actor.Ref[ask] {
			ref := actor.NewRef[ask]()
			actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(*tasklet) (func(*tasklet, ask) error, error) { return never, nil }))
			return ref
		}},
		{name: "the handler fails, and goes on", want: errTest, text: "test", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(*tasklet, ask) error { return errTest })
		}},
		{name: "the handler panics, and goes on", want: errTest, text: "panic: test", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(*tasklet, ask) error { panic(errTest) })
		}},
		{name: "the handler of a batch fails", want: errTest, text: "test", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.BatchReceiver(t, 3, 0, func(*tasklet, []ask) error { return errTest })
		}},
		{name: "the handler fails, and stops", want: errTest, joined: true, text: "/tasklet/c: test",
			callee: func(t *tasklet) actor.Ref[ask] {
				return actor.Receiver(t, func(*tasklet, ask) error { return errTest }, actor.OnFailure(actor.End), actor.Name("c"))
			}},
		{name: "the handler panics, and stops", want: errTest, joined: true, text: "/tasklet/c: panic: test",
			callee: func(t *tasklet) actor.Ref[ask] {
				return actor.Receiver(t, func(*tasklet, ask) error { panic(errTest) }, actor.OnFailure(actor.End), actor.Name("c"))
			}},
		{name: "the handler stops its tasklet", want: actor.ErrStop, joined: true, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(*tasklet, ask) error { return actor.ErrStop })
		}},
		{name: "Goexit of the handler", want: actor.ErrGoexit, joined: true, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(*tasklet, ask) error { runtime.Goexit(); return nil })
		}},
		{name: "killed with the request in hand", want: actor.ErrKilled, joined: true, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, _ ask) error { t.Kill(); t.Sleep(time.Hour); return nil })
		}},
		{name: "the reader asks for the next", want: actor.ErrNoReply, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Spawn(t, func(_ *tasklet, in *mailbox.Mailbox[ask]) error {
				for range in.Receive() {
				}
				return nil
			})
		}},
		{name: "the reader asks for the next batch", want: actor.ErrNoReply, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Spawn(t, func(_ *tasklet, in *mailbox.Mailbox[ask]) error {
				for range in.ReceiveBatch(3, 0) {
				}
				return nil
			})
		}},
		{name: "the reader ends", want: actor.ErrNoReply, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Spawn(t, func(t *tasklet, in *mailbox.Mailbox[ask]) error { _, err := in.Next(t); return err })
		}},
		{name: "the reader fails", want: errTest, joined: true, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Spawn(t, func(t *tasklet, in *mailbox.Mailbox[ask]) error { _, _ = in.Next(t); return errTest })
		}},
		{name: "matched, then the reader fails", want: errTest, joined: true, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Spawn(t, func(t *tasklet, in *mailbox.Mailbox[ask]) error {
				_, _ = in.Match(t, func(q ask) bool { return q.n == 7 })
				return errTest
			})
		}},
		{name: "left over", want: mailbox.ErrClosed, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Spawn(t, func(t *tasklet, _ *mailbox.Mailbox[ask]) error { t.Yield(); return nil })
		}},
		{name: "left over by one that was killed", want: mailbox.ErrClosed, callee: func(t *tasklet) actor.Ref[ask] {
			ref := actor.Receiver(t, never)
			actor.Go(t, func(*tasklet) error { ref.Kill(); return nil })
			t.Yield()
			return ref
		}},
		{name: "left over by one that was killed before its start", want: mailbox.ErrClosed, callee: func(t *tasklet) actor.Ref[ask] {
			ref := actor.Spawn(t, func(*tasklet, *mailbox.Mailbox[ask]) error { return nil })
			ref.Kill()
			return ref
		}},
		{name: "closed", want: mailbox.ErrClosed, callee: func(t *tasklet) actor.Ref[ask] {
			ref := actor.Receiver(t, never)
			ref.Close()
			return ref
		}},
		{name: "dead", want: mailbox.ErrClosed, callee: func(t *tasklet) actor.Ref[ask] {
			ref := actor.Receiver(t, never)
			ref.Kill()
			_ = ref.Join(t)
			return ref
		}},
		{name: "dropped, being the newest", want: mailbox.ErrDropped, callee: func(t *tasklet) actor.Ref[ask] {
			ref := actor.NewRef[ask](actor.MailboxLen(1), actor.Overflow(mailbox.DropNewest))
			_ = ref.Send(t, ask{})
			return ref
		}},
		{name: "dropped, being the oldest", want: mailbox.ErrDropped, callee: func(t *tasklet) actor.Ref[ask] {
			ref := actor.NewRef[ask](actor.MailboxLen(1), actor.Overflow(mailbox.DropOldest))
			actor.Go(t, func(t *tasklet) error { return ref.Send(t, ask{}) })
			return ref
		}},
		{name: "refused", want: mailbox.ErrFull, callee: func(t *tasklet) actor.Ref[ask] {
			ref := actor.NewRef[ask](actor.MailboxLen(1), actor.Overflow(mailbox.Fail))
			_ = ref.Send(t, ask{})
			return ref
		}},
		{name: "delegated and answered", callee: func(t *tasklet) actor.Ref[ask] {
			clerk := actor.Receiver(t, func(t *tasklet, q ask) error { return q.reply.Send(t, q.n) })
			return actor.Receiver(t, func(t *tasklet, q ask) error {
				q.reply.Delegate(clerk.Tasklet())
				return clerk.Send(t, q)
			})
		}},
		{name: "delegated to itself and answered", callee: func(t *tasklet) actor.Ref[ask] {
			var open []ask
			var ref actor.Ref[ask]
			ref = actor.Receiver(t, func(t *tasklet, q ask) error {
				if q.n == 7 {
					q.reply.Delegate(t)
					open = append(open, q)
					return ref.Send(t, ask{n: 8})
				}
				return open[0].reply.Send(t, 7)
			})
			return ref
		}},
		{name: "delegated, and the callee ends", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, q ask) error {
				d := actor.Go(t.System(), func(t *tasklet) error { t.Sleep(time.Second); return q.reply.Send(t, q.n) })
				q.reply.Delegate(d)
				return actor.ErrStop
			})
		}},
		{name: "delegated on", callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, q ask) error {
				q.reply.Delegate(actor.Go(t, func(t *tasklet) error {
					q.reply.Delegate(actor.Go(t.System(), func(t *tasklet) error { t.Sleep(time.Second); return q.reply.Send(t, q.n) }))
					return nil
				}))
				return nil
			})
		}},
		{name: "the delegate ends", want: actor.ErrNoReply, joined: true, text: "/tasklet/d: actor: request was handled without a reply",
			callee: func(t *tasklet) actor.Ref[ask] {
				return actor.Receiver(t, func(t *tasklet, q ask) error {
					q.reply.Delegate(actor.Go(t.System(), func(*tasklet) error { return nil }, actor.Name("d")))
					return nil
				})
			}},
		{name: "the delegate is killed", want: actor.ErrKilled, joined: true, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, q ask) error {
				d := actor.Go(t.System(), func(t *tasklet) error { t.Sleep(time.Hour); return nil })
				q.reply.Delegate(d)
				d.Kill()
				return nil
			})
		}},
		{name: "the delegate had ended", want: errTest, joined: true, callee: func(t *tasklet) actor.Ref[ask] {
			d := actor.Go(t, func(*tasklet) error { return errTest })
			_ = d.Join(t)
			return actor.Receiver(t, func(t *tasklet, q ask) error { q.reply.Delegate(d); return nil })
		}},
		{name: "delegated to itself, and it ends", want: actor.ErrKilled, joined: true, callee: func(t *tasklet) actor.Ref[ask] {
			return actor.Receiver(t, func(t *tasklet, q ask) error { q.reply.Delegate(t); t.Kill(); return nil })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(t0 *tasklet) error {
				begin := t0.System().Now()
				v, err := actor.Call(t0, c.callee(t0), asking(7))
				if c.want == nil {
					require.NoError(t, err)
					require.Equal(t, 7, v)
					return nil
				}
				require.ErrorIs(t, err, c.want)
				require.Zero(t, v)
				require.Zero(t, t0.System().Now().Sub(begin), "at once")
				var je *actor.JoinError
				require.Equal(t, c.joined, errors.As(err, &je))
				if c.text != "" {
					require.Equal(t, c.text, err.Error())
				}
				return nil
			})
		})
	}
}

// Rule 30: the same from an ordinary goroutine, for the ends that need no virtual clock.
func TestRule30CallFromGoroutine(t *testing.T) {
	s := started(t)
	ctx := context.Background()
	sq := actor.Receiver(s, func(t *actor.Tasklet, q ask) error {
		switch q.n {
		case 0:
			return nil
		case -1:
			return errTest
		case -2:
			return actor.ErrStop
		}
		return q.reply.Send(t, q.n*q.n)
	})
	v, err := actor.Call(ctx, sq, asking(3))
	require.NoError(t, err)
	require.Equal(t, 9, v)
	_, err = actor.Call(ctx, sq, asking(0))
	require.ErrorIs(t, err, actor.ErrNoReply)
	_, err = actor.Call(ctx, sq, asking(-1))
	require.ErrorIs(t, err, errTest)
	_, err = actor.Call(ctx, sq, asking(-2))
	require.ErrorIs(t, err, actor.ErrStop)
	_, err = actor.Call(ctx, sq, asking(3))
	require.ErrorIs(t, err, mailbox.ErrClosed)
}

// Rules 13 and 30: the context of an ordinary goroutine ends its call, also one to a ref that is
// never started, and the answer that comes later is nobody's.
func TestRule30CallFromGoroutineCancelled(t *testing.T) {
	s := started(t)
	never := actor.NewRef[ask]()
	ctx, cancel := context.WithCancelCause(context.Background())
	asked := make(chan ask, 1)
	go func() { <-asked; cancel(errTest) }()
	_, err := actor.Call(ctx, never, func(r actor.Reply[int]) ask { q := ask{1, r}; asked <- q; return q })
	require.ErrorIs(t, err, errTest)

	ctx, cancelIt := context.WithCancel(context.Background())
	late := make(chan error)
	slow := actor.Receiver(s, func(t *actor.Tasklet, q ask) error {
		q.reply.Delegate(t)
		cancelIt()
		go func() {
			// the caller may not have seen yet that it was cancelled
			for q.reply.Send(context.Background(), 1) == nil {
			}
			late <- q.reply.Send(context.Background(), 1)
		}()
		return nil
	})
	_, err = actor.Call(ctx, slow, asking(1))
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.ErrorIs(t, <-late, actor.ErrNotAwaited)

	ctx, cancelIt = context.WithTimeout(context.Background(), 0)
	defer cancelIt()
	_, err = actor.Call(ctx, never, asking(1))
	require.Equal(t, actor.ErrTimeout, err)
}

// Rule 30: a goroutine may give the answer, also while the caller is not parked for it yet: with a
// full mailbox the caller still waits for room when its request can be answered already.
func TestRule30AnswerFromGoroutine(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		const callers, calls = 8, 200
		var wg sync.WaitGroup
		ref := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			q.reply.Delegate(t)
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := q.reply.Send(context.Background(), q.n+1); err != nil {
					panic(err)
				}
			}()
			return nil
		}, actor.MailboxLen(1))
		for i := range callers {
			actor.Go(t0, func(t *actor.Tasklet) error {
				for j := range calls {
					// Virtual time must stand still meanwhile: what answers is outside, and nothing
					// else tells of it.
					v, err := actor.Call(t, ref, asking(i*calls+j))
					if err != nil || v != i*calls+j+1 {
						return fmt.Errorf("%d, %v", v, err)
					}
				}
				return nil
			})
		}
		// Somebody awaits the outside as long as they run, or the clock would find nothing to do.
		done := make(chan struct{})
		actor.Go(t0, func(t *actor.Tasklet) error {
			_, err := actor.Await(t, func(context.Context) (int, error) { <-done; return 0, nil })
			return err
		})
		for _, c := range t0.Children()[1 : callers+1] {
			require.NoError(t, c.Join(t0))
		}
		close(done)
		wg.Wait()
		return nil
	})
}

// Rule 30: an answer that is given before the request has even arrived counts.
func TestRule30AnswerBeforeRequest(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error { return nil })
		v, err := actor.Call(t0, ref, func(r actor.Reply[int]) ask {
			answered := make(chan error)
			go func() { answered <- r.Send(context.Background(), 5) }()
			require.NoError(t, <-answered)
			return ask{reply: r}
		})
		require.NoError(t, err)
		require.Equal(t, 5, v)
		return nil
	})
}

// Rule 30: an answer that comes after its caller has given up is reported, and never reaches a
// newer call.
func TestRule30LateAnswerReachesNobody(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		var old []ask
		slow := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			q.reply.Delegate(t)
			old = append(old, q)
			return nil
		}, actor.Name("slow"))
		// The newer calls go to somebody who answers the old ones first.
		quick := actor.Receiver(t0, func(me *actor.Tasklet, q ask) error {
			for _, o := range old {
				require.ErrorIs(t, o.reply.Send(me, -o.n), actor.ErrNotAwaited)
				require.ErrorIs(t, o.reply.Fail(me, errTest), actor.ErrNotAwaited)
				o.reply.Delegate(me)
			}
			if q.n == 0 {
				return nil
			}
			return q.reply.Send(me, q.n)
		})
		for i := range 5 {
			ctx, cancel := actor.WithTimeout(t0, time.Second)
			_, err := actor.Call(ctx, slow, asking(i+1))
			require.Equal(t, actor.ErrTimeout, err)
			cancel()
			v, err := actor.Call(t0, quick, asking(100+i))
			require.NoError(t, err)
			require.Equal(t, 100+i, v)
			_, err = actor.Call(t0, quick, asking(0))
			require.Equal(t, actor.ErrNoReply, err)
		}
		return nil
	})
	require.Len(t, only(es, event.CallTimeout), 5)
	require.Len(t, only(es, event.ReplyLate), 2*2*(1+2+3+4+5))
}

// Rule 30: the end of a delegate ends the call that was handed to it, and no newer one.
func TestRule30EndOfOldDelegateReachesNobody(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		gate := actor.NewRef[int]()
		first := actor.StartTasklet(t0, actor.SpawnBody(gate, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
			_, err := in.Next(t)
			return err
		}))
		second := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		ref := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			if q.n == 1 {
				q.reply.Delegate(first)
				return q.reply.Send(t, 1) // answered, so first has no duty any more
			}
			q.reply.Delegate(second)
			if err := gate.Send(t, 0); err != nil { // now first ends
				return err
			}
			actor.Later(t.System(), time.Second, func(t *actor.Tasklet) error { return q.reply.Send(t, q.n) })
			return nil
		})
		v, err := actor.Call(t0, ref, asking(1))
		require.NoError(t, err)
		require.Equal(t, 1, v)
		v, err = actor.Call(t0, ref, asking(2))
		require.NoError(t, err)
		require.Equal(t, 2, v)
		require.True(t, first.HasFinished())
		second.Kill()
		return nil
	})
}

// Rule 30: only the first answer counts; the others are errors to those who give them.
func TestRule30SecondReply(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		ref := actor.Receiver(t0, func(me *actor.Tasklet, q ask) error {
			require.NoError(t, q.reply.Send(me, 1))
			require.Equal(t, actor.ErrNotAwaited, q.reply.Send(me, 2))
			require.Equal(t, actor.ErrNotAwaited, q.reply.Fail(me, errTest))
			return nil
		})
		v, err := actor.Call(t0, ref, asking(0))
		require.NoError(t, err)
		require.Equal(t, 1, v)
		return nil
	})
	require.Len(t, only(es, event.ReplyLate), 2)
}

// Rule 30: a second answer to an old call never reaches a newer one, though the calls of a tasklet
// share their memory.
func TestRule30OldReplyReachesNoNewerCall(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var old []ask
		ref := actor.Receiver(t0, func(me *actor.Tasklet, q ask) error {
			for _, o := range old {
				require.Equal(t, actor.ErrNotAwaited, o.reply.Send(me, -1))
				require.Equal(t, actor.ErrNotAwaited, o.reply.Fail(me, errTest))
				require.False(t, o.reply.Awaited())
				o.reply.Delegate(me) // means nothing
				elsewhere := make(chan error)
				go func() { elsewhere <- o.reply.Send(context.Background(), -2) }()
				require.Equal(t, actor.ErrNotAwaited, <-elsewhere)
			}
			old = append(old, q)
			if q.n%4 == 3 {
				return nil
			}
			require.True(t, q.reply.Awaited())
			return q.reply.Send(me, q.n)
		})
		for n := range 10 {
			v, err := actor.Call(t0, ref, asking(n))
			if n%4 == 3 {
				require.Equal(t, actor.ErrNoReply, err)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, n, v)
		}
		return nil
	})
}

// Rule 30: that an old reply is delegated does not change who has to answer a newer call.
func TestRule30OldReplyDelegatesNoNewerCall(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var old ask
		ref := actor.Receiver(t0, func(me *actor.Tasklet, q ask) error {
			if q.n == 1 {
				old = q
				return q.reply.Send(me, 1)
			}
			q.reply.Delegate(actor.Go(me, nop, actor.Name("d")))
			old.reply.Delegate(me)
			return nil
		})
		_, err := actor.Call(t0, ref, asking(1))
		require.NoError(t, err)
		_, err = actor.Call(t0, ref, asking(2))
		require.ErrorIs(t, err, actor.ErrNoReply)
		var je *actor.JoinError
		require.True(t, errors.As(err, &je))
		require.Equal(t, "d", je.Tasklet.Name())
		return nil
	})
}

// Rule 30: a late answer from a goroutine is reported too, with the caller's path, for the
// goroutine has none.
func TestRule30LateAnswerFromGoroutine(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		var q ask
		ref := actor.Receiver(t0, func(t *actor.Tasklet, m ask) error { q = m; return m.reply.Send(t, 1) })
		_, err := actor.Call(t0, ref, asking(0))
		require.NoError(t, err)
		late := make(chan error)
		go func() { late <- q.reply.Send(context.Background(), 2) }()
		require.Equal(t, actor.ErrNotAwaited, <-late)
		return nil
	})
	es = only(es, event.ReplyLate)
	require.Len(t, es, 1)
	require.Nil(t, es[0].Tasklet)
}

// Rule 30: a caller that is killed leaves; if it recovers, its next call gets its own answer.
func TestRule30KilledCaller(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var old []ask
		slow := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			q.reply.Delegate(t)
			old = append(old, q)
			return nil
		})
		echo := actor.Receiver(t0, func(me *actor.Tasklet, q ask) error {
			require.Equal(t, actor.ErrNotAwaited, old[0].reply.Send(me, -1))
			return q.reply.Send(me, q.n)
		})
		caller := actor.New(t0, func(t *actor.Tasklet) (v int, err error) {
			func() {
				defer func() { _ = recover() }()
				_, _ = actor.Call(t, slow, asking(1))
			}()
			return actor.Call(t, echo, asking(2))
		})
		t0.Yield()
		t0.Yield()
		caller.Kill()
		v, err := caller.Join(t0)
		require.NoError(t, err)
		require.Equal(t, 2, v)
		return nil
	})
}

// Rule 13: if the answer and the end of the context are both there, the answer wins.
func TestRule13AnswerWins(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			// on the tick of the deadline, and started later than the caller's timer
			t.Sleep(time.Second)
			return q.reply.Send(t, q.n)
		})
		ctx, cancel := actor.WithTimeout(t0, time.Second)
		defer cancel()
		_, err := actor.Call(ctx, ref, asking(1))
		require.Equal(t, actor.ErrTimeout, err)

		ctx2, cancel2 := context.WithCancel(t0)
		v, err := actor.Call(ctx2, actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			err := q.reply.Send(t, q.n)
			cancel2()
			return err
		}), asking(2))
		require.NoError(t, err)
		require.Equal(t, 2, v)
		return nil
	})
}

// Rule 13: a call ends with the cause of its context, or ErrTimeout for a deadline.
func TestRule13CallContext(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error { q.reply.Delegate(t); return nil })
		ctx, cancel := context.WithCancelCause(t0)
		actor.Go(t0, func(*actor.Tasklet) error { cancel(errTest); return nil })
		_, err := actor.Call(ctx, ref, asking(1))
		require.Equal(t, errTest, err)

		timed, cancelTimed := actor.WithTimeout(t0, 90*time.Second)
		defer cancelTimed()
		begin := t0.System().Now()
		_, err = actor.Call(timed, ref, asking(1))
		require.Equal(t, actor.ErrTimeout, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 90*time.Second, t0.System().Now().Sub(begin))
		_, err = actor.Call(timed, ref, asking(1))
		require.Equal(t, actor.ErrTimeout, err)
		require.Zero(t, ref.Len(), "nobody waits for the reply, so the request is not sent")
		return nil
	})
}

// Rule 30: many calls of one tasklet, answered in any order, by handlers that go on after their
// answer: each gets its own.
func TestRule30ManyCalls(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var waiting []ask
		ref := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			if q.n%3 == 0 {
				q.reply.Delegate(t)
				if waiting = append(waiting, q); len(waiting) == 4 {
					for i := range waiting { // the last first
						w := waiting[len(waiting)-1-i]
						if err := w.reply.Send(t, w.n); err != nil {
							return err
						}
						t.Yield() // its caller calls again meanwhile
					}
					waiting = waiting[:0]
				}
				return nil
			}
			err := q.reply.Send(t, q.n)
			if q.n%3 == 1 {
				t.Yield()
			}
			return err
		})
		for range 4 {
			actor.Go(t0, func(t *actor.Tasklet) error {
				for n := range 30 {
					v, err := actor.Call(t, ref, asking(n))
					if err != nil || v != n {
						return fmt.Errorf("asked for %d, got %d, %v", n, v, err)
					}
				}
				return nil
			})
		}
		rs, err := actor.JoinEach(t0, t0.Children()[1:]...)
		require.NoError(t, err)
		for _, r := range rs {
			require.NoError(t, r.Err)
		}
		return nil
	})
}

// Rule 30: a call to a tasklet that leaves its request queued for ever ends when the system does:
// the caller is killed with the rest, and one on an ordinary goroutine gets an error.
func TestRule30CallerOutlivesSystem(t *testing.T) {
	s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	busy := actor.Spawn(s, func(t *actor.Tasklet, in *mailbox.Mailbox[ask]) error {
		t.Sleep(time.Hour)
		return nil
	}, actor.MailboxLen(2))
	errs := make(chan error)
	asked := make(chan bool, 4)
	for range 4 { // two are queued, two wait for room
		go func() {
			_, err := actor.Call(context.Background(), busy, func(r actor.Reply[int]) ask { asked <- true; return ask{1, r} })
			errs <- err
		}()
	}
	for range 4 {
		<-asked
	}
	require.NoError(t, s.Stop(context.Background()))
	for range 4 {
		require.ErrorIs(t, <-errs, mailbox.ErrClosed)
	}
}

// Rule 30, for a tasklet that does not end: when it is given up, those whose requests it has, or
// shall answer, are told, and those who wait for room or stand in its queue find the ref dead.
// Nobody waits for what will not come.
func TestCallOfOneThatIsGivenUp(t *testing.T) {
	type ask struct{ reply actor.Reply[int] }
	request := func(r actor.Reply[int]) ask { return ask{r} }
	for name, stop := range map[string]func(t *actor.Tasklet){
		"by its parent":   func(*actor.Tasklet) {},
		"with the others": nil,
		"by StopChild":    func(p *actor.Tasklet) { _ = actor.StopChild(p, p.Children()[0], 0) },
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			cfg := j.config()
			var errs [4]error
			var done [4]bool
			err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
				ref := actor.NewRef[ask](actor.MailboxLen(1))
				body := actor.ReceiverBody(ref, func(t *actor.Tasklet, a ask) error {
					for {
						survive(t)
					}
				})
				front := actor.Receiver(t0, func(t *actor.Tasklet, a ask) error { a.reply.Delegate(ref.Tasklet()); return nil })
				begin := func(p actor.Spawner, f func(*actor.Tasklet) error) *actor.Tasklet { return actor.Go(p, f) }
				if stop == nil {
					begin = func(p actor.Spawner, f func(*actor.Tasklet) error) *actor.Tasklet { return together(p, time.Second, f) }
				}
				parent := begin(t0, func(p *actor.Tasklet) error {
					actor.StartTasklet(p, body)
					p.Sleep(time.Second)
					if stop != nil {
						stop(p)
					}
					return nil
				})
				for i, to := range []actor.Ref[ask]{ref, ref, ref, front} {
					actor.Go(t0, func(t *actor.Tasklet) error {
						t.Sleep(time.Duration(i+1) * time.Millisecond)
						_, errs[i] = actor.Call(t, to, request) // without a limit
						done[i] = true
						return nil
					})
				}
				_ = parent.Join(t0)
				t0.Sleep(time.Second)
				return nil
			})
			var leaked *actor.StopError
			require.ErrorAs(t, err, &leaked)
			require.Equal(t, [4]bool{true, true, true, true}, done)
			var je *actor.JoinError
			require.ErrorAs(t, errs[0], &je, "in hand")
			require.ErrorIs(t, errs[0], actor.ErrKilled)
			require.ErrorIs(t, errs[1], mailbox.ErrClosed, "queued")
			require.ErrorIs(t, errs[2], mailbox.ErrClosed, "waits for room")
			require.ErrorAs(t, errs[3], &je, "delegated")
			require.ErrorIs(t, errs[3], actor.ErrKilled)
		})
	}
}

// The same for a caller outside, when the whole system is given up.
func TestCallOfOneThatOutlivesItsScheduler(t *testing.T) {
	defer actor.SetPatience(20 * time.Millisecond)()
	type ask struct{ reply actor.Reply[int] }
	s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	began := make(chan struct{}, 1)
	ref := actor.Receiver(s, func(t *actor.Tasklet, _ ask) error {
		began <- struct{}{}
		for {
			survive(t)
		}
	}, actor.Shutdown(actor.Infinity))
	called := make(chan error, 2)
	for range 2 { // one is in hand, one queued
		go func() {
			_, err := actor.Call(context.Background(), ref, func(r actor.Reply[int]) ask { return ask{r} })
			called <- err
		}()
	}
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var leaked *actor.StopError
	require.ErrorAs(t, s.Stop(ctx), &leaked)
	for range 2 {
		err := <-called
		var je *actor.JoinError
		require.True(t, errors.As(err, &je) && errors.Is(err, actor.ErrKilled) || errors.Is(err, mailbox.ErrClosed) ||
			// the last: the second call may come when all is over
			errors.Is(err, actor.ErrStopped), "%v", err)
	}
}
