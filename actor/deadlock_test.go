package actor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// chainOf gives the chain of the *DeadlockError in err, in words.
func chainOf(err error) string {
	var de *actor.DeadlockError
	if !errors.As(err, &de) {
		return "no deadlock"
	}
	return de.String()
}

// Rule 29: the wait that would close a cycle is refused at once, with the chain, and reported as an
// error.
func TestRule29Rings(t *testing.T) {
	type tasklet = actor.Tasklet
	for _, c := range []struct {
		name string
		main func(t0 *tasklet) error // gives the *DeadlockError
		want string
	}{
		{"join of itself", func(t0 *tasklet) error { return t0.Join(t0) }, "/tasklet in join /tasklet"},
		{"join of an ancestor", func(t0 *tasklet) error {
			k := actor.Go(t0, func(t *tasklet) error {
				return actor.Go(t, func(t *tasklet) error { return t0.Join(t) }, actor.Name("b")).Join(t)
			}, actor.Name("a"))
			return k.Join(t0)
		}, "/tasklet/a/b in join /tasklet, /tasklet in stop of /tasklet/a, /tasklet/a in stop of /tasklet/a/b"},
		{"join of an ancestor that does not wait", func(t0 *tasklet) error {
			var err error
			actor.Go(t0, func(t *tasklet) error { err = t0.Join(t); return nil }, actor.Name("a"))
			for err == nil {
				t0.Yield()
			}
			return err
		}, "/tasklet/a in join /tasklet, /tasklet in stop of /tasklet/a"},
		{"call of itself", func(t0 *tasklet) error {
			var ref actor.Ref[ask]
			ref = actor.Receiver(t0, func(t *tasklet, q ask) error {
				_, err := actor.Call(t, ref, asking(1))
				return q.reply.Fail(t, err)
			}, actor.Name("r"))
			_, err := actor.Call(t0, ref, asking(0))
			require.Zero(nopT{}, ref.Len(), "the refused request was not sent")
			return err
		}, "/tasklet/r in call to /tasklet/r"},
		{"two calls", func(t0 *tasklet) error {
			var a, b actor.Ref[ask]
			a = actor.Receiver(t0, func(t *tasklet, q ask) error {
				v, err := actor.Call(t, b, asking(q.n+1))
				if err != nil {
					return q.reply.Fail(t, err)
				}
				return q.reply.Send(t, v)
			}, actor.Name("a"))
			b = actor.Receiver(t0, func(t *tasklet, q ask) error {
				_, err := actor.Call(t, a, asking(q.n+1))
				return q.reply.Fail(t, err) // unchanged, so that the asker sees it
			}, actor.Name("b"))
			_, err := actor.Call(t0, a, asking(0))
			return err
		}, "/tasklet/b in call to /tasklet/a, /tasklet/a in call to /tasklet/b"},
		{"sends into full mailboxes", func(t0 *tasklet) error {
			var a, b actor.Ref[int]
			var err error
			full := func(to *actor.Ref[int]) func(*tasklet, *mailbox.Mailbox[int]) error {
				return func(t *tasklet, _ *mailbox.Mailbox[int]) error {
					_ = to.Send(t, 1)
					if e := to.Send(t, 2); err == nil {
						err = e
					}
					return nil
				}
			}
			a = actor.Spawn(t0, full(&b), actor.Name("a"), actor.MailboxLen(1))
			b = actor.Spawn(t0, full(&a), actor.Name("b"), actor.MailboxLen(1))
			_ = a.Join(t0)
			_ = b.Join(t0)
			return err
		}, "/tasklet/b in send to /tasklet/a, /tasklet/a in send to /tasklet/b"},
		{"send to itself", func(t0 *tasklet) error {
			var a actor.Ref[int]
			var err error
			a = actor.Receiver(t0, func(t *tasklet, _ int) error {
				for err == nil {
					err = a.Send(t, 1)
				}
				return actor.ErrStop
			}, actor.Name("a"), actor.MailboxLen(3))
			_ = a.Send(t0, 0)
			_ = a.Join(t0)
			return err
		}, "/tasklet/a in send to /tasklet/a"},
		{"mutexes", func(t0 *tasklet) error {
			var m, n scheduler.Mutex
			both := func(first, second *scheduler.Mutex) func(*tasklet) error {
				return func(t *tasklet) error {
					if err := first.Lock(t); err != nil {
						return err
					}
					defer first.Unlock()
					t.Yield()
					if err := second.Lock(t); err != nil {
						return err
					}
					second.Unlock()
					return nil
				}
			}
			a := actor.Go(t0, both(&m, &n), actor.Name("a"))
			b := actor.Go(t0, both(&n, &m), actor.Name("b"))
			_ = a.Join(t0)
			return b.Join(t0)
		}, "/tasklet/b in mutex held by /tasklet/a, /tasklet/a in mutex held by /tasklet/b"},
		{"call, join, mutex and send", func(t0 *tasklet) error {
			var m scheduler.Mutex
			var end error
			d := actor.NewRef[int](actor.MailboxLen(1), actor.Name("d"))
			a := actor.Receiver(t0, func(t *tasklet, q ask) error { return m.Lock(t) }, actor.Name("a"))
			b := actor.Go(t0, func(t *tasklet) error {
				_ = m.Lock(t)
				defer m.Unlock()
				t.Yield()
				_ = d.Send(t, 1)
				return d.Send(t, 2) // room comes only from d
			}, actor.Name("b"))
			c := actor.Go(t0, func(t *tasklet) error { _, err := actor.Call(t, a, asking(1)); return err }, actor.Name("c"))
			dt := actor.StartTasklet(t0, actor.SpawnBody(d, func(t *tasklet, in *mailbox.Mailbox[int]) error {
				t.Sleep(time.Second)
				end = c.Join(t)
				return nil
			}))
			_ = dt.Join(t0)
			_ = b.Join(t0)
			return end
		}, "/tasklet/d in join /tasklet/c, /tasklet/c in call to /tasklet/a, /tasklet/a in mutex held by /tasklet/b, /tasklet/b in send to /tasklet/d"},
		{"a stop that waits", func(t0 *tasklet) error {
			var err error
			p := actor.Go(t0, func(t *tasklet) error {
				c := actor.NewRef[int](actor.Name("c"))
				actor.StartTasklet(t, actor.SpawnBody(c, func(t *tasklet, in *mailbox.Mailbox[int]) error {
					defer func() {
						recover() // stopped: now it waits for who stops it, which waits without end
						p := t.Parent()
						q := actor.Go(t.System(), func(t *tasklet) error { return p.Join(t) }, actor.Name("q"))
						t.Yield()
						err = q.Join(t)
					}()
					_, e := in.Next(t)
					return e
				}), actor.Shutdown(actor.Infinity))
				t.Yield()
				return nil
			}, actor.Name("p"))
			_ = p.Join(t0)
			return err
		}, "/tasklet/q in join /tasklet/p, /tasklet/p in stop of /tasklet/p/c, /tasklet/p/c in join /tasklet/q"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			es := record(t, func(t0 *tasklet) error {
				begin := t0.System().Now()
				err = c.main(t0)
				require.LessOrEqual(t, t0.System().Now().Sub(begin), time.Second)
				return nil
			})
			require.Equal(t, c.want, chainOf(err))
			found := only(es, event.Deadlock)
			require.Len(t, found, 1)
			require.False(t, found[0].Soft)
			require.Equal(t, c.want, fieldsOf(found[0])["chain"])
			require.Equal(t, false, fieldsOf(found[0])["soft"])
		})
	}
}

// nopT is for require inside a tasklet where there is no T.
type nopT struct{}

func (nopT) Errorf(format string, args ...any) { panic(format) }
func (nopT) FailNow()                          { panic("failed") }

// Rule 29: a cycle in which somebody can time out is waited in, and reported as a warning.
func TestRule29SoftRing(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		var a, b actor.Ref[ask]
		a = actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			v, err := actor.Call(t, b, asking(0))
			if err != nil {
				return q.reply.Fail(t, err)
			}
			return q.reply.Send(t, v)
		}, actor.Name("a"))
		b = actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			ctx, cancel := actor.WithTimeout(t, time.Minute)
			defer cancel()
			_, err := actor.Call(ctx, a, asking(0))
			return q.reply.Fail(t, err)
		}, actor.Name("b"))
		begin := t0.System().Now()
		_, err := actor.Call(t0, a, asking(0))
		require.Equal(t, actor.ErrTimeout, err)
		require.Equal(t, time.Minute, t0.System().Now().Sub(begin))
		return nil
	})
	found := only(es, event.Deadlock)
	require.Len(t, found, 1)
	require.True(t, found[0].Soft)
	require.Equal(t, "/tasklet/b in call to /tasklet/a, /tasklet/a in call to /tasklet/b", chainOf(found[0].Err))
}

// Rule 29: the same from the other side: the first wait has the limit, the one that closes the
// cycle has none.
func TestRule29SoftRingClosedFirmly(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		var k *actor.Tasklet
		a := actor.Go(t0, func(t *actor.Tasklet) error {
			ctx, cancel := actor.WithTimeout(t, time.Minute)
			defer cancel()
			return k.Join(ctx)
		}, actor.Name("a"))
		k = actor.Go(t0, func(t *actor.Tasklet) error { return a.Join(t) }, actor.Name("b"))
		require.ErrorIs(t, a.Join(t0), actor.ErrTimeout)
		require.ErrorIs(t, k.Join(t0), actor.ErrTimeout)
		return nil
	})
	found := only(es, event.Deadlock)
	require.Len(t, found, 1)
	require.True(t, found[0].Soft)
}

// Rule 29: a deadline of Run's context does not make a wait soft.
func TestRule29RunsDeadlineIsNoLimit(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(ctx, cfg, func(t0 *actor.Tasklet) error { return t0.Join(t0) })
	require.Equal(t, "/tasklet in join /tasklet", chainOf(err))
}

// Rule 29: no cycle, no deadlock: a delegated call has no edge to the callee any more, sleeps and
// awaits end a chain.
func TestRule29NoRing(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		// The callee calls the caller back while another tasklet has the answer to give.
		clerk := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error { t.Sleep(time.Minute); return q.reply.Send(t, q.n) })
		var caller *actor.Tasklet
		ref := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			q.reply.Delegate(clerk.Tasklet())
			if err := clerk.Send(t, q); err != nil {
				return err
			}
			return caller.Join(t)
		})
		caller = actor.Go(t0, func(t *actor.Tasklet) error { _, err := actor.Call(t, ref, asking(1)); return err })
		require.NoError(t, caller.Join(t0))

		sleeper := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		a := actor.Go(t0, func(t *actor.Tasklet) error { return sleeper.Join(t) })
		b := actor.Go(t0, func(t *actor.Tasklet) error { return a.Join(t) })
		require.NoError(t, b.Join(t0))
		return nil
	})
	require.Empty(t, only(es, event.Deadlock))
}

// Rule 16: when nothing can happen any more, main ends with a *DeadlockError that lists who waits
// for what; idle receivers alone are no reason.
func TestRule16Quiescent(t *testing.T) {
	var es []actor.EventRecord
	cfg := actor.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(),
		OnEvent: func(e actor.EventRecord) { es = append(es, e) },
	}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		idle := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.Name("idle"))
		actor.Go(t0, func(t *actor.Tasklet) error { _, err := actor.Call(t, actor.NewRef[ask](), asking(1)); return err }, actor.Name("caller"))
		return idle.Join(t0)
	})
	var de *actor.DeadlockError
	require.True(t, errors.As(err, &de))
	require.True(t, de.Quiescent)
	require.EqualError(t, err,
		"deadlock: nothing can happen any more: /tasklet in join /tasklet/idle, /tasklet/caller in call to")
	found := only(es, event.Deadlock)
	require.Len(t, found, 1)
	require.False(t, found[0].Soft)

	// Beside an ordinary goroutine, or with the real clock, somebody may still come.
	run(t, func(t0 *actor.Tasklet) error {
		actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
		t0.Sleep(time.Second)
		return nil
	})
}
