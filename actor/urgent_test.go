package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// Negative numbers are urgent.
func negative(n int) bool { return n < 0 }

func TestUrgent(t *testing.T) {
	const d = time.Millisecond
	errBad := errors.New("bad")
	urgent := actor.Urgent(negative)
	// handle says each message, and takes 1 ms for it.
	handle := func(say func(string)) actor.Handler[int] {
		return func(t *actor.Tasklet, n int) error {
			say(fmt.Sprint(n))
			t.Sleep(d)
			return nil
		}
	}
	send := func(t *actor.Tasklet, r actor.Ref[int], ns ...int) {
		for _, n := range ns {
			if err := r.Send(t, n); err != nil {
				panic(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		main   func(t *actor.Tasklet, say func(string))
		want   []string
		events []string
	}{
		{"both kinds keep their order", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, handle(say), urgent)
			send(t, r, 1, 2, -1, 3, -2)
			t.Sleep(10 * d)
		}, []string{"0 -1", "1 -2", "2 1", "3 2", "4 3"}, nil},
		{"a message that comes during another one is next", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, handle(say), urgent)
			send(t, r, 1, 2, 3)
			t.Sleep(d / 2)
			send(t, r, -1)
			t.Sleep(d)
			send(t, r, -2)
			t.Sleep(10 * d)
		}, []string{"0 1", "1 -1", "2 -2", "3 2", "4 3"}, nil},
		{"so is one that the handler sends to itself", func(t *actor.Tasklet, say func(string)) {
			self := actor.NewRef[int]()
			actor.StartTasklet(t, actor.ReceiverInitBody(self, func(t *actor.Tasklet) (actor.Handler[int], error) {
				return func(t *actor.Tasklet, n int) error {
					say(fmt.Sprint(n))
					if n > 0 {
						return self.Send(t, -n)
					}
					return nil
				}, nil
			}), urgent)
			send(t, self, 1, 2)
			t.Sleep(d)
		}, []string{"0 1", "0 -1", "0 2", "0 -2"}, nil},
		{"with IdleAfter, whichever comes first", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, handle(say), urgent, actor.IdleAfter(5*d, func(*actor.Tasklet) error { say("idle"); return nil }))
			send(t, r, 1, -1)
			t.Sleep(8 * d)
		}, []string{"0 -1", "1 1", "7 idle"}, nil},
		{"messages of an interface type, inside of a hook", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(_ *actor.Tasklet, m any) error { say(fmt.Sprint(m)); return nil },
				actor.Around(func(ctx context.Context, m any, next func(context.Context) error) error {
					say(fmt.Sprint("before ", m))
					return next(ctx)
				}), actor.Urgent(func(m any) bool { _, stop := m.(error); return stop }))
			for _, m := range []any{1, errBad} {
				_ = r.Send(t, m)
			}
			t.Sleep(d)
		}, []string{"0 before bad", "0 bad", "0 before 1", "0 1"}, nil},
		{"a full mailbox makes an urgent sender wait in line", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, handle(say), urgent, actor.MailboxLen(2))
			send(t, r, 1, 2)
			say(fmt.Sprint(r.TrySend(t, -1)))
			for _, n := range []int{3, -2} {
				actor.Go(t, func(t *actor.Tasklet) error { return r.Send(t, n) })
			}
			t.Sleep(10 * d)
		}, []string{"0 mailbox: full", "0 1", "1 2", "2 -2", "3 3"}, nil},
		{"a close ends it when all are handled", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, handle(say), urgent)
			send(t, r, 1, -1)
			r.Close()
			say(fmt.Sprint(r.Join(t)))
		}, []string{"0 -1", "1 1", "2 <nil>"}, nil},
		{"a drain handles all, the urgent ones first", func(t *actor.Tasklet, say func(string)) {
			ref := actor.NewRef[int](actor.Name("drained"))
			k := actor.StartTasklet(t, actor.ReceiverBody(ref, handle(say)), urgent)
			send(t, ref, 1, 2, -1)
			say(fmt.Sprint(k.Drain(t)))
		}, []string{"0 -1", "1 1", "2 2", "3 <nil>"}, nil},
		{"a kill loses those that wait, which is reported", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(t *actor.Tasklet, n int) error {
				say(fmt.Sprint(n))
				t.Sleep(10 * d)
				return nil
			}, urgent)
			send(t, r, 1, 2, -1)
			t.Sleep(d)
			r.Kill()
			_ = r.Join(t)
		}, []string{"0 -1"}, []string{"message_lost int 1", "dead_letter int 2"}},
		{"f is called once for each message, and its panic is a failure without one", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, handle(say), actor.Urgent(func(n int) bool {
				say(fmt.Sprint("is ", n))
				if n == 2 {
					panic(errBad)
				}
				return n < 0
			}))
			send(t, r, 1, 2, -1)
			t.Sleep(10 * d)
		}, []string{"0 is 1", "0 is 2", "0 is -1", "0 -1", "1 1", "2 2"}, []string{"failure"}},
		{"a panic of f can end the tasklet", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, handle(say), actor.OnFailure(actor.End), actor.Urgent(func(n int) bool { panic(errBad) }))
			send(t, r, 1)
			say(fmt.Sprint(errors.Is(r.Join(t), errBad)))
		}, []string{"0 true"}, []string{"dead_letter int 1"}},
		{"a message that is handled again is first, and f is not called again", func(t *actor.Tasklet, say func(string)) {
			ref := actor.NewRef[int]()
			failed := false
			keepsRestarting(t, actor.ReceiverBody(ref, func(t *actor.Tasklet, n int) error {
				say(fmt.Sprint(n))
				t.Sleep(d)
				switch {
				case n == 2 && !failed:
					failed = true
					return errBad
				case n == 3:
					return actor.ErrStop
				}
				return nil
			}), actor.Retry(1), actor.Urgent(func(n int) bool { say(fmt.Sprint("is ", n)); return n < 0 }))
			send(t, ref, 1, 2, 3)
			t.Sleep(3 * d / 2)
			send(t, ref, -1)
			t.Sleep(20 * d)
		}, []string{"0 is 1", "0 is 2", "0 is 3", "0 1", "1 2", "3 is -1", "3 2", "4 -1", "5 3"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said, events []string
			cfg := actor.Config{
				Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{}),
				OnEvent: func(e actor.EventRecord) {
					switch e.Kind {
					case event.Failure, event.MessageLost, event.DeadLetter:
						what := e.Kind.String()
						if e.Message != nil {
							what += " " + e.Message.String()
						}
						if e.Count > 0 {
							what += fmt.Sprint(" ", e.Count)
						}
						events = append(events, what)
					}
				},
			}
			require.NoError(t, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
				begin := t.System().Now()
				c.main(t, func(what string) {
					said = append(said, fmt.Sprint(t.System().Now().Sub(begin).Milliseconds(), " ", what))
				})
				return nil
			}))
			require.Equal(t, c.want, said)
			require.Equal(t, c.events, events)
		})
	}
}

// An urgent message from another goroutine is next, though the tasklet does not stop between two
// messages.
func TestUrgentFromOutside(t *testing.T) {
	require.NoError(t, actor.Run(t.Context(), actor.Config{Logger: zap.NewNop()}, func(t2 *actor.Tasklet) error {
		var got []int
		ref := actor.NewRef[int]()
		for n := range 40 {
			require.NoError(t, ref.Send(t2, n))
		}
		k := actor.StartTasklet(t2, actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
			if got = append(got, n); n == 5 {
				sent := make(chan error)
				go func() { sent <- ref.Send(context.Background(), -1) }()
				return <-sent
			} else if n == 39 {
				ref.Close()
			}
			return nil
		}), actor.Urgent(negative))
		require.NoError(t, k.Join(t2))
		require.Equal(t, []int{4, 5, -1, 6}, got[4:8])
		return nil
	}))
}

// In whatever order, whoever is killed or panics where, also the function of Urgent: each message
// whose send gave nil is handled once, or reported; those of one sender and one kind are handled in
// their order; and no ordinary message is handled while an urgent one is known to be there.
func TestExploreUrgent(t *testing.T) {
	for _, p := range []mailbox.Policy{mailbox.Block, mailbox.Fail, mailbox.DropNewest, mailbox.Unbounded} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprint(p, restarts), func(t *testing.T) {
				type msg struct {
					from, n int
					urgent  bool
				}
				var reported int
				count := func(e actor.EventRecord) {
					switch e.Kind {
					case event.DeadLetter, event.Failure:
						reported += e.Count
					case event.MessageLost: // the message in hand
						reported += max(1, e.Count)
					}
				}
				f := func(t *actor.Tasklet) {
					tb := actortest.TB(t)
					reported = 0
					sent, handled, asked := 0, 0, map[msg]bool{}
					last := map[[2]any]msg{}
					known := map[msg]bool{} // urgent messages that were asked about and not handled
					opts := []actor.Option{actor.Overflow(p), actor.Name("reader")}
					if p != mailbox.Unbounded {
						opts = append(opts, actor.MailboxLen(4))
					}
					ref := actor.NewRef[msg](opts...)
					is := actor.Urgent(func(m msg) bool {
						if asked[m] {
							tb.Errorf("asked again about %v", m)
						}
						asked[m] = true
						if m.n == 7 {
							panic("is")
						}
						if m.urgent {
							known[m] = true
						}
						return m.urgent
					})
					tries := map[msg]int{}
					body := actor.ReceiverBody(ref, func(t *actor.Tasklet, m msg) error {
						if tries[m]++; tries[m] > 2 {
							tb.Errorf("%v is handled for the third time", m)
						}
						kind := [2]any{m.from, m.urgent && m.n != 7}
						if m.n < last[kind].n || m.n == last[kind].n && tries[m] == 1 {
							tb.Errorf("%v after %v", m, last[kind])
						}
						delete(known, m)
						if !m.urgent && tries[m] == 1 && len(known) > 0 {
							tb.Errorf("%v is handled before %v", m, known)
						}
						last[kind] = m
						if m.n%4 == 0 {
							t.Sleep(time.Millisecond)
						}
						if m.n == 5 && tries[m] == 1 {
							panic("handle")
						}
						handled++ // not reached when it is killed
						return nil
					})
					if restarts {
						keepsRestarting(t, body, is, actor.Retry(1))
					} else {
						actor.StartTasklet(t, body, is)
					}
					for i := range 3 {
						actor.Go(t, func(t *actor.Tasklet) error {
							for n := 1; n <= 12; n++ {
								if n%5 == i {
									t.Sleep(time.Millisecond)
								}
								send := ref.Send
								if n%3 == 0 {
									send = ref.TrySend
								}
								if send(t, msg{i, n, (n+i)%3 == 0}) == nil {
									sent++
								}
							}
							return nil
						})
					}
					t.Sleep(time.Second)
					actortest.Calm(t)
					ref.Close()
					t.Sleep(time.Second)
					require.True(tb, actor.Finished(ref))
					require.Equal(tb, sent, handled+reported, "%d sent, %d handled, %d reported", sent, handled, reported)
				}
				explored := 60
				if raceEnabled || checked {
					explored = 10
				}
				actortest.Explore(t, explored, f,
					actortest.Faults(actortest.Kill, actortest.FullMailbox),
					actortest.Configure(func(c *actor.Config) { c.OnEvent = count }),
					actortest.Allow(event.DeadLetter), actortest.Allow(event.Failure), actortest.Allow(event.Exit))
			})
		}
	}
}

// The option is refused where it has no meaning, by a panic or by NewSlot, which says why.
func TestUrgentMisuse(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref, full := actor.NewRef[int](), actor.NewRef[int](actor.Overflow(mailbox.DropOldest))
		handle := func(*actor.Tasklet, int) error { return nil }
		urgent, other := actor.Urgent(negative), actor.Urgent(func(string) bool { return true })
		const can = "the option Urgent can't be used here"
		for name, c := range map[string]struct {
			body actor.Body
			opt  actor.Option
			text string
		}{
			"batches":    {actor.BatchReceiverBody(ref, 2, 0, func(*actor.Tasklet, []int) error { return nil }), urgent, can},
			"reader":     {actor.SpawnBody(ref, func(*actor.Tasklet, *mailbox.Mailbox[int]) error { return nil }), urgent, can},
			"go":         {actor.GoBody(nop), urgent, can},
			"supervisor": {actor.Supervise(ref, actor.Family{Kind: "boss"}, noInit), urgent, can},
			"type":       {actor.ReceiverBody(ref, handle), other, can + ": it is for messages of type string, and those of the tasklet are of type int"},
			"drops":      {actor.ReceiverBody(full, handle), urgent, can + ": the mailbox has the policy DropOldest"},
		} {
			_, err := actor.CheckSlot(c.body, c.opt)
			require.ErrorContains(t, err, c.text, name)
			_, err = actor.NewSlot(t0, c.body, nil, c.opt)
			require.ErrorContains(t, err, c.text, name)
			require.Contains(t, fmt.Sprint(recovering(func() { actor.StartTasklet(t0, c.body, c.opt) })), "option Urgent", name)
		}
		require.Contains(t, fmt.Sprint(recovering(func() { actor.Receiver(t0, handle, other) })),
			"actor: Receiver can't use the option Urgent: it is for messages of type string")
		require.Contains(t, fmt.Sprint(recovering(func() { actor.Urgent[int](nil) })), "actor: Urgent with a nil function")
		require.Empty(t, t0.Children())
		return nil
	})
}
