package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// Rule 5: when room appears the message of the first parked sender is moved in; neither TrySend nor
// a new sender overtakes. A sender that is killed, or whose context ends, leaves the line without
// sending.
func TestRule5LineOfSenders(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got []string
		take := func(t *actor.Tasklet, in *mailbox.Mailbox[string], n int) error {
			for range n {
				m, err := in.Next(t)
				if err != nil {
					return err
				}
				got = append(got, m)
			}
			return nil
		}
		var ref actor.Ref[string]
		ref = actor.Spawn(t0, func(t *actor.Tasklet, in *mailbox.Mailbox[string]) error {
			t.Sleep(time.Minute)
			if err := take(t, in, 1); err != nil {
				return err
			}
			// Room was made, and is taken: nobody overtakes the line.
			require.Equal(t0x{}, mailbox.ErrFull, ref.TrySend(t, "overtakes"))
			require.Equal(t0x{}, 1, ref.Len())
			for range in.Receive() {
				break // the second
			}
			return take(t, in, 2)
		}, actor.MailboxLen(1))
		require.NoError(t, ref.Send(t0, "queued"))
		sender := func(m string, d time.Duration) *actor.Tasklet {
			s := actor.Go(t0, func(t *actor.Tasklet) error {
				if d == 0 {
					return ref.Send(t, m)
				}
				ctx, cancel := actor.WithTimeout(t, d)
				defer cancel()
				return ref.Send(ctx, m)
			})
			t0.Yield()
			return s
		}
		killed := sender("killed", 0)
		timed := sender("timed out", time.Second)
		a, b, c := sender("a", 0), sender("b", 0), sender("c", 0)
		t0.Sleep(2 * time.Second)
		killed.Kill()
		require.ErrorIs(t, killed.Join(t0), actor.ErrKilled)
		require.ErrorIs(t, timed.Join(t0), actor.ErrTimeout)
		require.Equal(t, 1, ref.Len())
		for _, s := range []*actor.Tasklet{a, b, c} {
			require.NoError(t, s.Join(t0))
		}
		require.NoError(t, ref.Join(t0))
		require.Equal(t, []string{"queued", "b", "c"}, got)
		return nil
	})
}

// t0x is for require inside a tasklet: a failure is a panic.
type t0x struct{}

func (t0x) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t0x) FailNow()                          {}

// Rule 5: parked senders of a ref that dies or is closed get ErrClosed.
func TestRule5ParkedSendersOfTheDead(t *testing.T) {
	for name, end := range map[string]func(actor.Ref[int]){"killed": actor.Ref[int].Kill, "closed": actor.Ref[int].Close} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				ref := actor.Spawn(t0, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error { t.Sleep(time.Hour); return nil }, actor.MailboxLen(1))
				require.NoError(t, ref.Send(t0, 1))
				s := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 2) })
				t0.Yield()
				end(ref)
				require.ErrorIs(t, s.Join(t0), mailbox.ErrClosed)
				require.Equal(t, mailbox.ErrClosed, ref.Send(t0, 3))
				require.Equal(t, mailbox.ErrClosed, ref.TrySend(t0, 3))
				ref.Kill()
				return nil
			})
		})
	}
}

// Rule 6: what a send does that finds no room, for each policy; what is dropped is a dead letter
// with target, type, reason and count.
func TestRule6Policies(t *testing.T) {
	for _, c := range []struct {
		policy    mailbox.Policy
		send, try error
		want      []int
		dropped   uint64
		full      bool // Cap is the bound
	}{
		{mailbox.Block, actor.ErrTimeout, mailbox.ErrFull, []int{1, 2}, 0, true},
		{mailbox.Fail, mailbox.ErrFull, mailbox.ErrFull, []int{1, 2}, 0, true},
		{mailbox.DropNewest, nil, nil, []int{1, 2}, 2, true},
		{mailbox.DropOldest, nil, nil, []int{3, 4}, 2, true},
		{mailbox.Unbounded, nil, nil, []int{1, 2, 3, 4}, 0, false},
	} {
		t.Run(c.policy.String(), func(t *testing.T) {
			es := record(t, func(t0 *actor.Tasklet) error {
				opts := []actor.Option{actor.Overflow(c.policy), actor.Name("r")}
				if c.full {
					opts = append(opts, actor.MailboxLen(2))
				}
				var got []int
				ref := collect(t0, &got, opts...)
				for n := range 2 {
					require.NoError(t, ref.Send(t0, n+1))
				}
				ctx, cancel := actor.WithTimeout(t0, 0)
				defer cancel()
				require.Equal(t, c.send, ref.Send(ctx, 3))
				require.Equal(t, c.try, ref.TrySend(t0, 4))
				require.Equal(t, c.full, ref.Cap() == 2)
				if !c.full {
					require.Zero(t, ref.Cap())
				}
				require.Equal(t, len(c.want), ref.Len())
				require.Equal(t, c.dropped, ref.Tasklet().Info().Mailbox.Dropped)
				require.NoError(t, drain(t0, ref))
				require.Equal(t, c.want, got)
				return nil
			})
			letters := only(es, event.DeadLetter)
			require.Len(t, letters, int(c.dropped))
			require.Len(t, only(es, event.Overflow), int(c.dropped))
			for _, e := range letters {
				require.Equal(t, "/tasklet/r", e.Path)
				require.Equal(t, "int", e.Message.String())
				require.Equal(t, mailbox.ErrDropped, e.Err)
				require.Equal(t, 1, e.Count)
				require.Equal(t, map[string]any{"target": "/tasklet/r", "reason": "dropped"}, fieldsOf(e))
			}
		})
	}
}

// Messages left when a receiver ends are one dead letter, with their number; those lost before any
// tasklet read the ref are reported to the system whose tasklet sent them.
func TestLeftOverIsReported(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		ref := actor.Receiver(t0, func(*actor.Tasklet, string) error { return errTest }, actor.OnFailure(actor.End), actor.Name("r"))
		for range 5 {
			require.NoError(t, ref.Send(t0, "x"))
		}
		require.ErrorIs(t, ref.Join(t0), errTest)
		never := actor.NewRef[int](actor.MailboxLen(1), actor.Overflow(mailbox.DropNewest), actor.Name("never"))
		for range 2 {
			require.NoError(t, never.Send(t0, 1))
		}
		return nil
	})
	letters := only(es, event.DeadLetter)
	require.Len(t, letters, 2)
	require.Equal(t, 4, letters[0].Count)
	require.Equal(t, "/tasklet/r", letters[0].Path)
	require.Equal(t, "never", letters[1].Path)
	require.Nil(t, letters[1].Tasklet)
	lost := only(es, event.MessageLost)
	require.Len(t, lost, 1, "the one in hand")
}

// Rules 5 and 6 from ordinary goroutines: they block as long as their context allows, and the bound
// holds.
func TestRule5Goroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
		require.NoError(t, err)
		most, n := 0, 0
		var ref actor.Ref[int]
		ref = actor.Receiver(s, func(t *actor.Tasklet, m int) error {
			most = max(most, ref.Len()+1)
			n++
			t.Sleep(time.Millisecond)
			return nil
		}, actor.MailboxLen(3))
		errs := make(chan error)
		for i := range 20 {
			go func() {
				for range 10 {
					if err := ref.Send(context.Background(), i); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		for range 20 {
			require.NoError(t, <-errs)
		}
		ref.Close()
		require.NoError(t, ref.Join(context.Background()))
		require.Equal(t, 200, n)
		require.LessOrEqual(t, most, 4) // three and the one in hand

		slow := actor.Spawn(s, func(t *actor.Tasklet, _ *mailbox.Mailbox[int]) error { t.Sleep(time.Hour); return nil }, actor.MailboxLen(1))
		require.NoError(t, slow.Send(context.Background(), 1))
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.Equal(t, actor.ErrTimeout, slow.Send(ctx, 2))
		require.Equal(t, time.Second, time.Since(begin))
		require.NoError(t, s.Stop(context.Background()))
		require.ErrorIs(t, slow.Send(context.Background(), 3), mailbox.ErrClosed)
	})
}

// Rule 23: the failure of a child with Escalate kills its parent, whose result it then is, up the
// tree as far as they escalate.
func TestRule23Escalate(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		top := actor.Go(t0, func(t *actor.Tasklet) error {
			actor.Go(t, func(t *actor.Tasklet) error {
				actor.Go(t, func(*actor.Tasklet) error { return errTest }, actor.OnFailure(actor.Escalate), actor.Name("c"))
				t.Sleep(time.Hour)
				return nil
			}, actor.OnFailure(actor.Escalate), actor.Name("b"))
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("a"))
		err := top.Join(t0)
		require.EqualError(t, err, "/tasklet/a: child b: child c: test")
		require.ErrorIs(t, err, errTest)
		var ce *actor.ChildError
		require.True(t, errors.As(err, &ce))
		require.Equal(t, "b", ce.Tasklet.Name())
		require.Equal(t, reason.Error, actor.KindOf(err))

		// A panic, and a kill by somebody, are failures too; a stop by the parent is none.
		panics := actor.Go(t0, func(t *actor.Tasklet) error {
			actor.Go(t, func(*actor.Tasklet) error { panic("oh") }, actor.OnFailure(actor.Escalate))
			t.Sleep(time.Hour)
			return nil
		})
		var pe *actor.PanicError
		require.ErrorAs(t, panics.Join(t0), &pe)
		exit, over := panics.Exit()
		require.True(t, over)
		require.Equal(t, reason.Error, exit.Kind, "it did not panic itself")
		quiet := actor.Go(t0, func(t *actor.Tasklet) error {
			actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.OnFailure(actor.Escalate))
			t.Yield()
			return nil
		})
		require.NoError(t, quiet.Join(t0))

		// Whoever recovers that kill goes on, and a later end has its own result.
		recovers := actor.Go(t0, func(t *actor.Tasklet) error {
			func() {
				defer func() { recover() }()
				actor.Go(t, func(*actor.Tasklet) error { return errTest }, actor.OnFailure(actor.Escalate))
				t.Sleep(time.Hour)
			}()
			t.Sleep(time.Second)
			t.Kill()
			t.Sleep(time.Second)
			return nil
		})
		err = recovers.Join(t0)
		require.ErrorIs(t, err, actor.ErrKilled)
		require.NotErrorIs(t, err, errTest)
		return nil
	})
	require.Len(t, only(es, event.Escalate), 4)
}

// What was sent to a ref that never starts is reported at its end, also if all senders used
// contexts derived from theirs.
func TestLettersToARefThatNeverStarts(t *testing.T) {
	letters := 0
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
		if e.Kind == event.DeadLetter {
			letters += e.Count
		}
	}}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		ctx, cancel := actor.WithTimeout(t0, time.Second)
		defer cancel()
		for _, send := range []func(actor.Ref[int]) error{
			func(r actor.Ref[int]) error { return r.Send(ctx, 1) },
			func(r actor.Ref[int]) error { return r.TrySend(ctx, 1) },
			func(r actor.Ref[int]) error { return r.Send(t0, 1) },
		} {
			ref := actor.NewRef[int]()
			require.NoError(t, send(ref))
			slotOf(t, t0, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil })).Retire()
		}
		return nil
	}))
	require.Equal(t, 3, letters)
}
