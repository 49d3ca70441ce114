package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// in runs main as the root of a system on a virtual clock, and fails the test with its error. main
// returns the failures of its checks as errors, since a tasklet must not call t.FailNow.
func in(t *testing.T, seed uint64, main func(t *actor.Tasklet) error) {
	t.Helper()
	cfg := actor.Config{Seed: seed, Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	require.NoError(t, actor.Run(context.Background(), cfg, main), "seed %d", seed)
}

// read starts a tasklet that reads a mailbox with f, and waits for its end. Before that it calls
// send with the ref.
func read[M any](t *actor.Tasklet, send func(actor.Ref[M]) error, f func(*actor.Tasklet, *mailbox.Mailbox[M]) error, opts ...actor.Option) error {
	ref := actor.Spawn(t, f, opts...)
	if err := send(ref); err != nil {
		return err
	}
	return ref.Join(t)
}

// sendAll sends the messages, closes the ref and returns the first error.
func sendAll(t *actor.Tasklet, messages []int) func(actor.Ref[int]) error {
	return func(ref actor.Ref[int]) error {
		for _, m := range messages {
			if err := ref.Send(t, m); err != nil {
				return err
			}
		}
		ref.Close()
		return nil
	}
}

func draw(r *rand.Rand, n int) []int {
	messages := make([]int, n)
	for i := range messages {
		messages[i] = r.IntN(100)
	}
	return messages
}

// Several senders share a mailbox with room for few messages; a reader uses all ways to read. No
// message is lost or doubled, the messages of each sender stay in order, and the mailbox never
// holds more than its capacity.
func TestEverySenderKeepsItsOrder(t *testing.T) {
	type message struct{ sender, number int }
	const senders, each = 4, 50
	for seed := uint64(1); seed <= 50; seed++ {
		in(t, seed, func(t *actor.Tasklet) error {
			r := t.System().Rand()
			next := make([]int, senders)
			capacity := 1 + r.IntN(5)
			take := func(inbox *mailbox.Mailbox[message], m message) error {
				if m.number != next[m.sender] {
					return fmt.Errorf("message %d of sender %d instead of %d", m.number, m.sender, next[m.sender])
				}
				next[m.sender]++
				if inbox.Len() > inbox.Cap() || inbox.Cap() != capacity {
					return fmt.Errorf("%d messages in a mailbox of %d", inbox.Len(), inbox.Cap())
				}
				return nil
			}
			reader := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[message]) error {
				for {
					switch r.IntN(5) {
					case 0:
						if m, ok := inbox.TryNext(); ok {
							if err := take(inbox, m); err != nil {
								return err
							}
						}
					case 1:
						for batch := range inbox.ReceiveBatch(1+r.IntN(8), time.Duration(r.IntN(3)-1)) {
							for _, m := range batch {
								if err := take(inbox, m); err != nil {
									return err
								}
							}
							break
						}
					case 2:
						for m, err := range inbox.ReceiveTimeout(time.Duration(r.IntN(3)) * time.Millisecond) {
							if err == nil {
								err = take(inbox, m)
							}
							if err != nil && !errors.Is(err, mailbox.ErrTimeout) {
								return err
							}
							break
						}
					case 3:
						for m := range inbox.Receive() {
							if err := take(inbox, m); err != nil {
								return err
							}
							break
						}
					default:
						m, err := inbox.Next(t)
						if errors.Is(err, mailbox.ErrClosed) {
							return nil
						}
						if err == nil {
							err = take(inbox, m)
						}
						if err != nil {
							return err
						}
					}
				}
			}, actor.MailboxLen(capacity))
			for s := range senders {
				actor.Go(t, func(t *actor.Tasklet) error {
					for n := range each {
						if r.IntN(4) == 0 {
							t.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
						}
						if err := reader.Send(t, message{s, n}); err != nil {
							return err
						}
					}
					return nil
				}, actor.Name(fmt.Sprint("sender-", s)))
			}
			for _, c := range t.Children() {
				if c != reader.Tasklet() {
					if err := c.Join(t); err != nil {
						return err
					}
				}
			}
			reader.Close()
			if err := reader.Join(t); err != nil {
				return err
			}
			for s, n := range next {
				if n != each {
					return fmt.Errorf("%d messages of sender %d instead of %d", n, s, each)
				}
			}
			return nil
		})
	}
}

// Match does what a search through a slice does.
func TestMatchAgainstSlice(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		in(t, seed, func(t *actor.Tasklet) error {
			r := t.System().Rand()
			model := draw(r, 60)
			return read(t, sendAll(t, model), func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
				for inbox.Len() > 0 {
					divisor, rest := 2+r.IntN(20), r.IntN(2)
					want := func(n int) bool { return n%divisor == rest }
					got, err := inbox.Match(t, want)
					i := slices.IndexFunc(model, want)
					switch {
					case i < 0 && errors.Is(err, mailbox.ErrClosed):
						got, ok := inbox.TryNext()
						if !ok || got != model[0] {
							return fmt.Errorf("next is %d, %v instead of %d", got, ok, model[0])
						}
						model = model[1:]
					case i < 0 || err != nil || got != model[i]:
						return fmt.Errorf("match in %v: %d, %v", model, got, err)
					default:
						model = slices.Delete(model, i, i+1)
					}
				}
				return nil
			})
		})
	}
}

// Match on a full mailbox whose policy is Block returns at once when nothing matches: no message
// can arrive.
func TestMatchOnAFullMailbox(t *testing.T) {
	in(t, 1, func(t *actor.Tasklet) error {
		return read(t, func(ref actor.Ref[int]) error {
			return errors.Join(ref.Send(t, 1), ref.Send(t, 2))
		}, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			_, err := inbox.Match(t, func(n int) bool { return n == 3 })
			if !errors.Is(err, mailbox.ErrFull) || inbox.Len() != 2 {
				return fmt.Errorf("%v with %d messages left", err, inbox.Len())
			}
			return nil
		}, actor.MailboxLen(2))
	})
}

// Batches are no larger than max and the capacity, never empty, and hold the messages in order.
func TestBatchesAgainstSlice(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		in(t, seed, func(t *actor.Tasklet) error {
			r := t.System().Rand()
			sent := draw(r, r.IntN(100))
			capacity, size := 1+r.IntN(20), 1+r.IntN(20)
			var got []int
			err := read(t, sendAll(t, sent), func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
				for batch := range inbox.ReceiveBatch(size, time.Duration(r.IntN(3)-1)*time.Millisecond) {
					if len(batch) == 0 || len(batch) > min(size, capacity) {
						return fmt.Errorf("a batch of %d, max %d, capacity %d", len(batch), size, capacity)
					}
					got = append(got, batch...)
				}
				return nil
			}, actor.MailboxLen(capacity))
			if err == nil && !slices.Equal(got, sent) {
				err = fmt.Errorf("got %v, sent %v", got, sent)
			}
			return err
		})
	}
}

// Each policy does what it does with a slice, and the counters agree.
func TestPoliciesAgainstSlice(t *testing.T) {
	for _, policy := range []mailbox.Policy{mailbox.Block, mailbox.Fail, mailbox.DropNewest, mailbox.DropOldest, mailbox.Unbounded} {
		t.Run(policy.String(), func(t *testing.T) {
			for seed := uint64(1); seed <= 50; seed++ {
				in(t, seed, func(t *actor.Tasklet) error { return checkPolicy(t, policy) })
			}
		})
	}
}

func checkPolicy(t *actor.Tasklet, policy mailbox.Policy) error {
	r := t.System().Rand()
	capacity := 1 + r.IntN(5)
	opts := []actor.Option{actor.Overflow(policy)}
	if policy == mailbox.Unbounded {
		capacity = 0
	} else {
		opts = append(opts, actor.MailboxLen(capacity))
	}
	var model []int
	var want mailbox.Stats
	want.Cap = capacity
	send := func(t *actor.Tasklet, ref actor.Ref[int], n int) error {
		full := policy != mailbox.Unbounded && len(model) == capacity
		err := ref.TrySend(t, n)
		switch {
		case full && (policy == mailbox.Block || policy == mailbox.Fail):
			if !errors.Is(err, mailbox.ErrFull) {
				return fmt.Errorf("TrySend to a full mailbox: %v", err)
			}
			return nil
		case full && policy == mailbox.DropNewest:
			want.Dropped++
		case full:
			want.Dropped++
			model = append(model[1:], n)
		default:
			model = append(model, n)
		}
		want.Peak = max(want.Peak, len(model))
		return err
	}
	var ref actor.Ref[int]
	ref = actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
		for i := range 200 {
			if r.IntN(2) == 0 {
				got, ok := inbox.TryNext()
				if ok != (len(model) > 0) || ok && got != model[0] {
					return fmt.Errorf("TryNext: %d, %v with %v in the model", got, ok, model)
				}
				if ok {
					model = model[1:]
					want.Handled++
				}
			} else if err := send(t, ref, i); err != nil {
				return err
			}
			want.Len = len(model)
			got := *t.Info().Mailbox
			if got.FullFor = 0; got != want { // see TestFullFor
				return fmt.Errorf("the counters are %+v instead of %+v", got, want)
			}
		}
		return nil
	}, opts...)
	return ref.Join(t)
}

// The methods that read panic in any tasklet but the reader, and change nothing.
func TestOnlyTheReaderReads(t *testing.T) {
	reads := map[string]func(t *actor.Tasklet, m *mailbox.Mailbox[int]){
		"Receive": func(_ *actor.Tasklet, m *mailbox.Mailbox[int]) {
			for range m.Receive() {
				return
			}
		},
		"ReceiveTimeout": func(_ *actor.Tasklet, m *mailbox.Mailbox[int]) {
			for range m.ReceiveTimeout(0) {
				return
			}
		},
		"ReceiveBatch": func(_ *actor.Tasklet, m *mailbox.Mailbox[int]) {
			for range m.ReceiveBatch(1, 0) {
				return
			}
		},
		"Next":    func(t *actor.Tasklet, m *mailbox.Mailbox[int]) { _, _ = m.Next(t) },
		"TryNext": func(_ *actor.Tasklet, m *mailbox.Mailbox[int]) { _, _ = m.TryNext() },
		"Match": func(t *actor.Tasklet, m *mailbox.Mailbox[int]) {
			_, _ = m.Match(t, func(int) bool { return true })
		},
	}
	for name, f := range reads {
		t.Run(name, func(t *testing.T) {
			in(t, 1, func(t *actor.Tasklet) error {
				return read(t, sendAll(t, []int{1}), func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
					thief := actor.Go(t, func(t *actor.Tasklet) error {
						f(t, inbox)
						return nil
					}, actor.Name("thief"))
					var p *actor.PanicError
					if err := thief.Join(t); !errors.As(err, &p) {
						return fmt.Errorf("no panic: %w", err)
					}
					if inbox.Len() != 1 {
						return errors.New("the message is gone")
					}
					return nil
				})
			})
		})
	}
}

func TestReceiveBatchOfNothing(t *testing.T) {
	in(t, 1, func(t *actor.Tasklet) error {
		reader := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			inbox.ReceiveBatch(0, 0)
			return nil
		})
		var p *actor.PanicError
		if err := reader.Join(t); !errors.As(err, &p) || p.Value != "mailbox: ReceiveBatch with max 0: it must be positive" {
			return fmt.Errorf("not refused: %w", err)
		}
		return nil
	})
}

// A message that is collected for a batch stays in the mailbox when the reader is killed.
func TestKillLosesNoBatch(t *testing.T) {
	in(t, 1, func(t *actor.Tasklet) error {
		var left int
		ref := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			defer func() { left = inbox.Len() }()
			for range inbox.ReceiveBatch(10, -1) {
				return errors.New("a batch of ten")
			}
			return nil
		})
		if err := errors.Join(ref.Send(t, 1), ref.Send(t, 2)); err != nil {
			return err
		}
		t.Sleep(time.Second)
		ref.Tasklet().Kill()
		if err := ref.Join(t); !errors.Is(err, actor.ErrKilled) || left != 2 {
			return fmt.Errorf("%w, with %d messages left", err, left)
		}
		return nil
	})
}

// Len, Cap, Closed and Close may be called from a goroutine.
func TestMethodsForAnyGoroutine(t *testing.T) {
	in(t, 1, func(t *actor.Tasklet) error {
		return read(t, func(actor.Ref[int]) error { return nil }, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			_, err := actor.Await(t, func(context.Context) (int, error) {
				if inbox.Len() != 0 || inbox.Cap() != mailbox.DefaultCap || inbox.Closed() {
					return 0, errors.New("not empty, or not open")
				}
				inbox.Close()
				inbox.Close()
				return 0, nil
			})
			if err == nil && !inbox.Closed() {
				err = errors.New("not closed")
			}
			if _, next := inbox.Next(t); !errors.Is(next, mailbox.ErrClosed) {
				err = errors.Join(err, next)
			}
			return err
		})
	})
}

// The values are those of the packages below.
func TestValues(t *testing.T) {
	require.Equal(t, scheduler.ErrTimeout, mailbox.ErrTimeout)
	require.Equal(t, mailbox.Block, mailbox.Policy(0))
	require.Less(t, mailbox.DefaultCap, mailbox.MaxCap)
}
