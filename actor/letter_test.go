package actor_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// letterBooks count what became of the messages of a test, each of which has a number of its own.
type letterBooks struct {
	mu       sync.Mutex
	handled  map[int]int // by number, how often
	letters  map[int]int
	failures int // messages that failed under Resume, whose handler did not begin
	// undelivered are the dead letters that no handler got, and lost the others that are reported.
	undelivered, lost int
}

func (b *letterBooks) reset() {
	b.handled, b.letters = map[int]int{}, map[int]int{}
	b.failures, b.undelivered, b.lost = 0, 0, 0
}

func (b *letterBooks) count(e actor.EventRecord) {
	b.mu.Lock()
	defer b.mu.Unlock()
	of := e.Message == reflect.TypeFor[actor.DeadLetter]()
	switch e.Kind {
	case event.DeadLetter, event.MessageLost:
		if of {
			b.undelivered += max(1, e.Count)
		} else {
			b.lost += max(1, e.Count)
		}
	case event.Failure:
		if of {
			b.undelivered += e.Count
		} else {
			b.failures += e.Count
		}
	}
}

func (b *letterBooks) note(m map[int]int, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m[n]++
}

// check requires that each of the messages 0 to sent-1 has exactly one fate.
func (b *letterBooks) check(tb assert.TestingT, sent int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range sent {
		if got := b.handled[n] + b.letters[n]; got > 1 {
			tb.Errorf("message %d: handled %d times, %d times a dead letter", n, b.handled[n], b.letters[n])
		}
	}
	assert.Equal(tb, sent, len(b.handled)+len(b.letters)+b.undelivered+b.failures,
		"%d handled, %d letters, %d undelivered, %d failures", len(b.handled), len(b.letters), b.undelivered, b.failures)
	assert.Equal(tb, b.lost, len(b.letters)+b.undelivered, "each reported loss is a dead letter, or counted as undelivered")
}

// In whatever order, whoever is killed or panics where, and also if the receiver of dead letters is
// slow, drops them or is killed: sent = handled + received as dead letters + counted.
func TestDeadLettersAccountForEveryMessage(t *testing.T) {
	bodies := map[string]func(t *actor.Tasklet, b *letterBooks, ref actor.Ref[int]){
		"receiver": func(t *actor.Tasklet, b *letterBooks, ref actor.Ref[int]) {
			actor.StartTasklet(t, actor.ReceiverBody(ref, b.handler))
		},
		"ends at a failure": func(t *actor.Tasklet, b *letterBooks, ref actor.Ref[int]) {
			actor.StartTasklet(t, actor.ReceiverBody(ref, b.handler), actor.OnFailure(actor.End))
		},
		"with init": func(t *actor.Tasklet, b *letterBooks, ref actor.Ref[int]) {
			init := func(*actor.Tasklet) (actor.Handler[int], error) { return b.handler, nil }
			actor.StartTasklet(t, actor.ReceiverInitBody(ref, init), actor.OnFailure(actor.End))
		},
		"idle": func(t *actor.Tasklet, b *letterBooks, ref actor.Ref[int]) {
			idle := actor.IdleAfter(time.Millisecond, func(*actor.Tasklet) error { return nil })
			actor.StartTasklet(t, actor.ReceiverBody(ref, b.handler), actor.OnFailure(actor.End), idle)
		},
		"batches": func(t *actor.Tasklet, b *letterBooks, ref actor.Ref[int]) {
			actor.StartTasklet(t, actor.BatchReceiverBody(ref, 3, time.Millisecond, func(t *actor.Tasklet, ns []int) error {
				t.Sleep(time.Millisecond)
				for _, n := range ns {
					b.note(b.handled, n)
				}
				return nil
			}), actor.OnFailure(actor.End))
		},
		"retries": func(t *actor.Tasklet, b *letterBooks, ref actor.Ref[int]) {
			keepsRestarting(t, actor.ReceiverBody(ref, b.handler), actor.Retry(1))
		},
	}
	explored := 20
	if raceEnabled || checked { // each run takes many times as long
		explored = 2
	}
	for name, body := range bodies {
		for p := mailbox.Block; p <= mailbox.Unbounded; p++ {
			t.Run(name+"/"+p.String(), func(t *testing.T) {
				var b letterBooks
				f := func(t *actor.Tasklet) {
					tb := actortest.TB(t)
					b.reset()
					to := actor.Receiver(t, func(t *actor.Tasklet, d actor.DeadLetter) error {
						t.Sleep(time.Millisecond)
						b.note(b.letters, d.Message.(int))
						return nil
					}, actor.MailboxLen(2), actor.Name("letters"), actor.Overflow(p%mailbox.Unbounded))
					cancel := actor.DeadLetters(t.System(), to)
					opts := []actor.Option{actor.Overflow(p), actor.Name("reader")}
					if p != mailbox.Unbounded {
						opts = append(opts, actor.MailboxLen(3))
					}
					ref := actor.NewRef[int](opts...)
					body(t, &b, ref)
					sent := 0
					for i := range 3 {
						actor.Go(t, func(t *actor.Tasklet) error {
							for n := range 12 {
								if n%5 == i {
									t.Sleep(time.Millisecond)
								}
								send := ref.Send
								if n%3 == 0 {
									send = ref.TrySend
								}
								n := sent
								sent++ // before Send parks
								if err := send(t, n); err != nil {
									b.note(b.handled, n) // its sender knows
								}
							}
							return nil
						}, actor.Name("sender"))
					}
					t.Sleep(time.Minute)
					actortest.Calm(t)
					ref.Kill()
					ref.Close()
					t.Sleep(time.Minute)
					to.Close()
					t.Sleep(time.Minute)
					b.check(tb, sent)
					cancel()
				}
				actortest.Explore(t, explored, f,
					actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox),
					actortest.Victims(func(t *actor.Tasklet) bool { return t.Name() == "reader" || t.Name() == "letters" }),
					actortest.Configure(func(c *actor.Config) { c.OnEvent = b.count }),
					actortest.Allow(event.DeadLetter))
			})
		}
	}
}

func (b *letterBooks) handler(t *actor.Tasklet, n int) error {
	if n%4 == 0 {
		t.Sleep(time.Millisecond)
	}
	b.note(b.handled, n) // not reached when it is killed
	return nil
}

// keepsRestarting starts a parent that starts b again until it ends without a failure.
func keepsRestarting(t *actor.Tasklet, b actor.Body, opts ...actor.Option) {
	actor.Go(t, func(t *actor.Tasklet) error {
		ended := false
		s, err := actor.NewSlot(t, b, func(actor.Exit) { ended = true }, opts...)
		if err != nil {
			return err
		}
		for range 50 {
			ended = false
			if c, err := s.Start(t); err != nil || c == nil {
				return err
			}
			for !ended {
				t.Sleep(time.Millisecond)
			}
			if e := s.Glance().Last; !e.Kind.Failure() {
				break
			}
		}
		s.Retire()
		return nil
	}, actor.Name("parent"))
}

// Over schedulers, with senders inside and outside. The receiver of the dead letters belongs to
// another system, so that it gets what is left at the end of this one.
func TestDeadLettersOverSchedulers(t *testing.T) {
	for p := mailbox.Block; p <= mailbox.Unbounded; p++ {
		t.Run(p.String(), func(t *testing.T) {
			var b letterBooks
			b.reset()
			other, err := actor.Start(actor.Config{Logger: zap.NewNop()})
			require.NoError(t, err)
			to := actor.Receiver(other, func(t *actor.Tasklet, d actor.DeadLetter) error {
				b.note(b.letters, d.Message.(int))
				return nil
			}, actor.MailboxLen(100))

			s, err := actor.Start(actor.Config{Logger: zap.NewNop(), Schedulers: 3, OnEvent: b.count})
			require.NoError(t, err)
			defer actor.DeadLetters(s, to)()
			var refs []actor.Ref[int]
			for i := range 6 {
				opts := []actor.Option{actor.Overflow(p), actor.OnScheduler(i % 3), actor.OnFailure(actor.End)}
				if p != mailbox.Unbounded {
					opts = append(opts, actor.MailboxLen(5))
				}
				refs = append(refs, actor.Receiver(s, func(t *actor.Tasklet, n int) error {
					if n%50 == 0 {
						t.Yield()
					}
					if n%500 == 499 {
						return errors.New("failed")
					}
					b.note(b.handled, n)
					return nil
				}, opts...))
			}
			var sent atomic.Int64
			var wg sync.WaitGroup
			send := func(ctx context.Context) {
				for range 400 {
					n := int(sent.Add(1) - 1)
					to := refs[n%len(refs)]
					try := to.Send
					if n%3 == 0 || p == mailbox.Block {
						try = to.TrySend // Send of a tasklet that is killed may have sent
					}
					if try(ctx, n) != nil {
						b.note(b.handled, n) // its sender knows
					}
				}
			}
			for i := range 4 {
				wg.Add(2)
				go func() { defer wg.Done(); send(context.Background()) }()
				actor.Go(s, func(t *actor.Tasklet) error { defer wg.Done(); send(t); return nil }, actor.OnScheduler(i%3))
			}
			wg.Wait()
			require.NoError(t, s.Stop(context.Background()))
			require.NoError(t, other.Drain(context.Background()))
			b.check(t, int(sent.Load()))
		})
	}
}

var errOfHandler = errors.New("no")

// Every place that reports a loss hands over the message.
func TestDeadLetters(t *testing.T) {
	type want struct {
		to   string
		kind event.Kind
		err  error
		m    any
	}
	closed := func(m any) want { return want{"/tasklet/r", event.DeadLetter, mailbox.ErrClosed, m} }
	dropped := func(m any) want { return want{"/tasklet/r", event.DeadLetter, mailbox.ErrDropped, m} }
	inHand := func(err error, m any) want { return want{"/tasklet/r", event.MessageLost, err, m} }
	waits := func(t *actor.Tasklet, m any) error { t.Sleep(time.Hour); return nil }
	fails := func(f func()) func(*actor.Tasklet, any) error {
		return func(t *actor.Tasklet, m any) error { f(); return errOfHandler }
	}
	receiver := func(t *actor.Tasklet, f func(*actor.Tasklet, any) error, opts ...actor.Option) actor.Ref[any] {
		return actor.Receiver(t, f, append(opts, actor.Name("r"))...)
	}
	for name, c := range map[string]struct {
		do   func(t *actor.Tasklet)
		want []want
	}{
		"killed while it waits": {func(t *actor.Tasklet) {
			r := receiver(t, waits)
			for _, m := range []any{1, "two"} {
				_ = r.Send(t, m)
			}
			r.Kill()
		}, []want{closed(1), closed("two")}},
		"in hand at a kill": {func(t *actor.Tasklet) {
			r := receiver(t, waits)
			_ = r.Send(t, 1)
			_ = r.Send(t, 2)
			t.Sleep(time.Second)
			r.Kill()
		}, []want{inHand(actor.ErrKilled, 1), closed(2)}},
		"in hand at an error": {func(t *actor.Tasklet) {
			_ = receiver(t, fails(func() {}), actor.OnFailure(actor.End)).Send(t, 1)
		}, []want{inHand(errOfHandler, 1)}},
		"a failure after which it continues is no loss": {func(t *actor.Tasklet) {
			r := receiver(t, fails(func() {}))
			_ = r.Send(t, 1)
			t.Sleep(time.Second)
			r.Kill()
		}, nil},
		"in hand of typed messages": {func(t *actor.Tasklet) {
			f := func(*actor.Tasklet, int) error { return errOfHandler }
			_ = actor.Receiver(t, f, actor.OnFailure(actor.End), actor.Name("r")).Send(t, 1)
		}, []want{inHand(errOfHandler, 1)}},
		"a batch in hand": {func(t *actor.Tasklet) {
			f := func(*actor.Tasklet, []int) error { return errOfHandler }
			r := actor.BatchReceiver(t, 3, 0, f, actor.OnFailure(actor.End), actor.Name("r"))
			for i := range 4 {
				_ = r.Send(t, i)
			}
		}, []want{inHand(errOfHandler, 0), inHand(errOfHandler, 1), inHand(errOfHandler, 2), closed(3)}},
		"after its retries": {func(t *actor.Tasklet) {
			r := actor.NewRef[int](actor.Name("r"))
			b := actor.ReceiverBody(r, func(*actor.Tasklet, int) error { return errOfHandler })
			s, err := actor.NewSlot(t, b, nil, actor.Retry(1))
			require.NoError(actortest.TB(t), err)
			_ = r.Send(t, 1)
			for range 2 {
				_, _ = s.Start(t)
				t.Sleep(time.Second)
			}
			s.Retire()
		}, []want{inHand(errOfHandler, 1)}},
		"drops the newest": {func(t *actor.Tasklet) {
			r := receiver(t, func(*actor.Tasklet, any) error { return nil }, actor.Overflow(mailbox.DropNewest), actor.MailboxLen(1))
			_ = r.Send(t, 1)
			_ = r.Send(t, 2)
		}, []want{dropped(2)}},
		"drops the oldest": {func(t *actor.Tasklet) {
			r := receiver(t, func(*actor.Tasklet, any) error { return nil }, actor.Overflow(mailbox.DropOldest), actor.MailboxLen(1))
			_ = r.Send(t, 1)
			_ = r.Send(t, 2)
		}, []want{dropped(1)}},
		"a timer finds no room": {func(t *actor.Tasklet) {
			r := receiver(t, func(*actor.Tasklet, any) error { return nil }, actor.Overflow(mailbox.Fail), actor.MailboxLen(1))
			_ = r.Send(t, 1)
			actor.SendAfter(t, 0, r, any(2))
		}, []want{{"/tasklet/r", event.DeadLetter, mailbox.ErrFull, 2}}},
		"a timer waits in line": {func(t *actor.Tasklet) {
			r := receiver(t, waits, actor.MailboxLen(1))
			_ = r.Send(t, 1)
			actor.SendAfter(t, 0, r, any(2))
			r.Kill()
		}, []want{closed(2), closed(1)}},
		"a timer waits in line before the first tasklet": {func(t *actor.Tasklet) {
			r := actor.NewRef[int](actor.Name("r"), actor.MailboxLen(1))
			_ = r.Send(t, 1)
			actor.SendAfter(t, 0, r, 2)
			r.Close()
		}, []want{{"r", event.DeadLetter, mailbox.ErrClosed, 2}}},
		"not those of the library": {func(t *actor.Tasklet) {
			s := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Second); return nil })
			s.Kill()
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Explore(t, 5, func(t *actor.Tasklet) {
				var got []want
				to := actor.Receiver(t, func(_ *actor.Tasklet, d actor.DeadLetter) error {
					got = append(got, want{d.To, d.Kind, d.Err, d.Message})
					return nil
				})
				cancel := actor.DeadLetters(t.System(), to)
				c.do(t)
				t.Sleep(2 * time.Hour)
				require.Equal(actortest.TB(t), c.want, got)
				cancel()
			}, actortest.Faults(), actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) { c.Name = "tasklet" }))
		})
	}
}

// The message in hand is handed over after whatever ends the tasklet, and also if it never unwinds.
func TestDeadLettersInHand(t *testing.T) {
	for name, f := range map[string]func(*actor.Tasklet, int) error{
		"Goexit": func(*actor.Tasklet, int) error { runtime.Goexit(); return nil },
		"panic":  func(*actor.Tasklet, int) error { panic("no") },
		"stubborn": func(t *actor.Tasklet, _ int) error {
			for {
				func() {
					defer func() { _ = recover() }()
					t.Sleep(time.Hour)
				}()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []any
			other, err := actor.Start(actor.Config{Logger: zap.NewNop()})
			require.NoError(t, err)
			to := actor.Receiver(other, func(_ *actor.Tasklet, d actor.DeadLetter) error {
				assert.Equal(t, event.MessageLost, d.Kind)
				got = append(got, d.Message)
				return nil
			})
			cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
			_ = actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
				actor.DeadLetters(t.System(), to)
				_ = actor.Receiver(t, f, actor.OnFailure(actor.End), actor.Shutdown(time.Second)).Send(t, 7)
				t.Sleep(time.Second)
				return nil
			})
			require.NoError(t, other.Drain(context.Background()))
			require.Equal(t, []any{7}, got)
		})
	}
}

// A dead letter is never the message of another one, so a receiver that loses all of them causes no
// more.
func TestDeadLettersOfDeadLetters(t *testing.T) {
	var b letterBooks
	b.reset()
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), OnEvent: b.count}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		to := actor.NewRef[actor.DeadLetter](actor.MailboxLen(1), actor.Overflow(mailbox.DropOldest))
		defer actor.DeadLetters(t.System(), to)()
		relay := actor.NewRef[any](actor.MailboxLen(1), actor.Overflow(mailbox.DropOldest))
		for i := range 10 {
			_ = relay.Send(t, i)
			_ = relay.Send(t, actor.DeadLetter{})
		}
		to.Close()
		_ = relay.Send(t, 10)
		_ = relay.Send(t, 11)
		return nil
	}))
	require.Equal(t, 11, b.lost, "the numbers 0 to 10")
	require.Equal(t, 9+1+10, b.undelivered, "nine that the receiver drops, one after its end, and the ten lost DeadLetters")
}

// The receiver may be any ref, several may listen, and cancel ends it. What is lost is reported in
// any case.
func TestDeadLettersCancel(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		counts := [2]int{}
		cancels := [2]func(){}
		for i := range counts {
			cancels[i] = actor.DeadLetters(t0.System(), actor.Receiver(t0, func(*actor.Tasklet, actor.DeadLetter) error {
				counts[i]++
				return nil
			}))
		}
		r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.Overflow(mailbox.DropNewest), actor.MailboxLen(1))
		lose := func() {
			_, _ = r.Send(t0, 1), r.Send(t0, 2)
			t0.Sleep(time.Second)
		}
		lose()
		require.Equal(t, [2]int{1, 1}, counts)
		cancels[0]()
		cancels[0]()
		lose()
		require.Equal(t, [2]int{1, 2}, counts)
		cancels[1]()
		lose()
		require.Equal(t, [2]int{1, 2}, counts)
		return nil
	})
}

// A daemon gets what is lost until its own end. After a drain it has handled all of it; at a stop,
// what it has not read is counted.
func TestDeadLettersAtTheEnd(t *testing.T) {
	for _, drains := range []bool{false, true} {
		t.Run(fmt.Sprint(drains), func(t *testing.T) {
			var b letterBooks
			b.reset()
			s, err := actor.Start(actor.Config{Logger: zap.NewNop(), OnEvent: b.count})
			require.NoError(t, err)
			to := actor.Receiver(s, func(t *actor.Tasklet, d actor.DeadLetter) error {
				b.note(b.letters, d.Message.(int))
				return nil
			}, actor.Daemon())
			actor.DeadLetters(s, to)
			ref := actor.Receiver(s, func(t *actor.Tasklet, n int) error {
				t.Sleep(time.Millisecond)
				if n == 10 {
					return errOfHandler
				}
				b.note(b.handled, n)
				return nil
			}, actor.OnFailure(actor.End))
			for n := range 30 {
				require.NoError(t, ref.Send(context.Background(), n))
			}
			if drains {
				_ = s.Drain(context.Background()) // the failure
				require.Len(t, b.letters, 20)
				require.Zero(t, b.undelivered)
			} else {
				require.NoError(t, s.Stop(context.Background()))
			}
			b.check(t, 30)
		})
	}
}

// Nothing is boxed, and no message is kept, if nobody wants dead letters.
func TestDeadLettersCostNothingUnused(t *testing.T) {
	skipCounts(t)
	run(t, func(t0 *actor.Tasklet) error {
		type big [10]int
		r := actor.Receiver(t0, func(*actor.Tasklet, big) error { return nil }, actor.Overflow(mailbox.DropOldest), actor.MailboxLen(1))
		lose := func() { _ = r.Send(t0, big{}) }
		const events = 5 // what the two events cost
		allocates(t, "drops", events, lose)
		cancel := actor.DeadLetters(t0.System(), actor.NewRef[actor.DeadLetter](actor.MailboxLen(1)))
		require.Greater(t, testing.AllocsPerRun(100, lose), float64(events))
		cancel()
		allocates(t, "drops after cancel", events, lose)
		return nil
	})
}
