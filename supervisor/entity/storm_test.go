package entity_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/entity"
)

// note is the n-th message of a sender to a key.
type note struct{ sender, n int }

// ledger is the obvious version of a set: for each key a log of what was accepted, and of what its
// handler has begun.
type ledger struct {
	mu       sync.Mutex
	accepted map[int]map[note]bool
	begun    map[int][]note
	living   []atomic.Int32
	twice    atomic.Int32 // two tasklets of a key at the same time
	starts   atomic.Int32
}

func newLedger(keys int) *ledger {
	return &ledger{accepted: map[int]map[note]bool{}, begun: map[int][]note{}, living: make([]atomic.Int32, keys)}
}

func (l *ledger) accept(key int, m note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accepted[key] == nil {
		l.accepted[key] = map[note]bool{}
	}
	l.accepted[key][m] = true
}

// init is the init of the entities. work is called for each message.
func (l *ledger) init(init, work func(t *actor.Tasklet) error) func(t *actor.Tasklet, key int) (actor.Handler[note], error) {
	return func(t *actor.Tasklet, key int) (actor.Handler[note], error) {
		l.starts.Add(1)
		if l.living[key].Add(1) != 1 {
			l.twice.Add(1)
		}
		t.Defer(func() { l.living[key].Add(-1) })
		return func(t *actor.Tasklet, m note) error {
			l.mu.Lock()
			l.begun[key] = append(l.begun[key], m)
			l.mu.Unlock()
			return work(t)
		}, init(t)
	}
}

// check compares what has begun to what was accepted: everything once, and in each sender's order.
// lost is the number of messages that were reported as lost before their handler has begun.
func (l *ledger) check(tb testing.TB, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Zero(tb, l.twice.Load(), "two tasklets of a key at the same time")
	for key, accepted := range l.accepted {
		last := map[int]int{}
		for _, m := range l.begun[key] {
			require.True(tb, accepted[m], "key %d handled %v, which was not accepted", key, m)
			require.Greater(tb, m.n, last[m.sender], "key %d handled %v twice or out of order: %v", key, m, l.begun[key])
			last[m.sender] = m.n
		}
		if lost -= len(accepted) - len(l.begun[key]); lost < 0 {
			require.Fail(tb, "lost messages", "key %d: %v of %v", key, l.begun[key], accepted)
		}
	}
	require.Zero(tb, lost, "a message was reported as lost, but was handled")
	require.LessOrEqual(tb, len(l.begun), len(l.accepted))
}

func nothing(*actor.Tasklet) error { return nil }

// send sends messages to random keys, until they are accepted.
func (l *ledger) send(ctx context.Context, es *entity.Entities[int, note], r *rand.Rand, sender, messages int, wait func()) error {
	n := map[int]int{}
	for range messages {
		key := r.IntN(len(l.living))
		m := note{sender, n[key] + 1}
		for {
			f := es.Send
			if r.IntN(2) == 0 {
				f = es.TrySend
			}
			err := f(ctx, key, m)
			if err == nil {
				break
			}
			if !errors.Is(err, mailbox.ErrFull) {
				return fmt.Errorf("key %d: %w", key, err)
			}
			wait()
		}
		n[key]++
		l.accept(key, m)
	}
	return nil
}

// 10,000 keys under kills, failures, idle stops, evictions and stops, with senders on all
// schedulers and on goroutines. No message is lost, and no key runs twice.
func TestStorm(t *testing.T) {
	const keys = 10_000
	messages := 8_000
	if testing.Short() {
		messages = 500
	}
	for _, schedulers := range []int{1, 3} {
		for _, goroutines := range []bool{false, true} {
			t.Run(fmt.Sprintf("schedulers=%d,goroutines=%v", schedulers, goroutines), func(t *testing.T) {
				cfg := actor.Config{Logger: zap.NewNop(), Schedulers: schedulers, StallAfter: -1}
				if schedulers == 1 && !goroutines {
					cfg.Clock = scheduler.NewVirtualClock(time.Time{})
				}
				l := newLedger(keys)
				var dead atomic.Int64
				cfg.OnEvent = func(e actor.EventRecord) {
					if e.Kind == event.DeadLetter {
						dead.Add(int64(e.Count))
					}
				}
				var works atomic.Int32
				sys, err := actor.Start(cfg)
				require.NoError(t, err)
				ctx := context.Background()
				es, err := entity.Start(sys, entity.Spec[int, note]{
					MaxLive: 1000, Evict: true, Idle: time.Millisecond, MailboxLen: 2,
					Intensity: supervisor.Unlimited, Options: []actor.Option{actor.Spread()},
					Init: l.init(nothing, func(t *actor.Tasklet) error {
						switch works.Add(1) % 50 {
						case 0:
							return errCrash
						case 1:
							panic("crash")
						case 2:
							return actor.ErrStop
						case 3, 4, 5:
							t.Sleep(time.Millisecond)
						}
						return nil
					}),
				})
				require.NoError(t, err)
				const senders = 6
				results := make(chan error, 2*senders)
				for sender := range senders {
					r := rand.New(rand.NewPCG(uint64(sender), 1))
					seed := r.Uint64()
					if goroutines {
						go func() {
							results <- l.send(ctx, es, r, sender, messages, func() { time.Sleep(100 * time.Microsecond) })
						}()
						go func() {
							results <- disturb(ctx, es, seed, keys, messages/20, func() { time.Sleep(100 * time.Microsecond) })
						}()
						continue
					}
					on := actor.OnScheduler(sender % schedulers)
					a := actor.Go(sys, func(t *actor.Tasklet) error {
						return l.send(t, es, r, sender, messages, func() { t.Sleep(time.Millisecond) })
					}, on)
					b := actor.Go(sys, func(t *actor.Tasklet) error {
						return disturb(t, es, seed, keys, messages/20, func() { t.Sleep(time.Millisecond) })
					}, on)
					go func() { results <- a.Join(ctx); results <- b.Join(ctx) }()
				}
				for range 2 * senders {
					require.NoError(t, <-results)
				}
				require.NoError(t, es.Drain(ctx))
				require.NoError(t, sys.Stop(ctx))
				l.check(t, 0)
				require.Zero(t, dead.Load())
				t.Log(l.starts.Load(), "starts")
			})
		}
	}
}

// disturb kills and stops random keys.
func disturb(ctx context.Context, es *entity.Entities[int, note], seed uint64, keys, n int, wait func()) error {
	r := rand.New(rand.NewPCG(seed, 2))
	for i := range n {
		live := es.Keys()
		if len(live) == 0 {
			wait()
			continue
		}
		key := live[r.IntN(len(live))]
		if i%4 == 0 {
			if err := es.Stop(ctx, key); err != nil {
				return err
			}
		} else if t := es.Get(key); t != nil {
			t.Kill()
		}
		wait()
	}
	return nil
}

// When all keys have stopped, nothing is left of them.
func TestNothingIsLeft(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		l := newLedger(1000)
		es, err := entity.Start(t, entity.Spec[int, note]{
			MaxLive: 100, Evict: true, Idle: time.Second, Init: l.init(nothing, nothing),
		})
		require.NoError(tb, err)
		for sender := range 3 {
			require.NoError(tb, l.send(t, es, t.System().Rand(), sender, 1000, func() { t.Sleep(time.Millisecond) }))
			used, all, idle, _ := es.Left()
			require.LessOrEqual(tb, used, 100)
			require.LessOrEqual(tb, all, 200)
			require.LessOrEqual(tb, idle, 100)
		}
		t.Sleep(2 * time.Second)
		l.check(tb, 0)
		used, all, idle, aside := es.Left()
		require.Equal(tb, []int{0, 0, 0, 0}, []int{used, all, idle, aside})
		require.Empty(tb, es.Tasklet().Children())
	})
}

// The keys that are put aside are bounded too.
func TestAsideIsBounded(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, err := entity.Start(t, entity.Spec[int, note]{
			Intensity: supervisor.NoRestart, Backoff: time.Hour,
			Init: func(*actor.Tasklet, int) (actor.Handler[note], error) { return nil, errCrash },
		})
		require.NoError(tb, err)
		for key := range entity.MaxAside + 10 {
			require.NoError(tb, es.Send(t, key, note{}))
			settle(t)
		}
		_, _, _, aside := es.Left()
		require.Equal(tb, entity.MaxAside, aside)
		require.NoError(tb, es.Send(t, 9, note{}))
		var failed *entity.FailedError
		require.ErrorAs(tb, es.Send(t, 10, note{}), &failed)
		t.Sleep(2 * time.Hour)
		require.NoError(tb, es.Send(t, 10, note{}))
		settle(t)
		_, _, _, aside = es.Left()
		require.Equal(tb, 1, aside)
	}, actortest.Allow(event.DeadLetter), actortest.Allow(event.Failure))
}

// Whatever comes in whatever order: an idle stop, a kill, a failure, an eviction, a stop or a first
// send meets the sends of three tasklets to three keys, of which two can be live.
func TestExplore(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 50
	}
	lost := 0
	count := actortest.Configure(func(c *actor.Config) {
		before := c.OnEvent
		c.OnEvent = func(e actor.EventRecord) {
			var p *actor.PanicError
			if e.Kind == event.MessageLost && errors.As(e.Err, &p) {
				lost += e.Count // the handler panics before it begins; it has no panics of its own
			}
			if before != nil {
				before(e)
			}
		}
	})
	actortest.Explore(t, n, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		lost = 0
		l := newLedger(3)
		r := t.System().Rand()
		es, err := entity.Start(t, entity.Spec[int, note]{
			Name: "set", MaxLive: 2, Evict: true, Idle: 2 * time.Millisecond, MailboxLen: 1 + r.IntN(2), Intensity: supervisor.Unlimited,
			Init: l.init(func(t *actor.Tasklet) error {
				switch r.IntN(8) {
				case 0:
					t.Sleep(time.Millisecond)
				case 1:
					return errCrash
				}
				return nil
			}, func(t *actor.Tasklet) error {
				switch r.IntN(8) {
				case 0:
					return errCrash
				case 1:
					return actor.ErrStop
				case 2:
					t.Sleep(time.Millisecond)
				}
				return nil
			}),
		})
		require.NoError(tb, err)
		var senders []*actor.Tasklet
		for sender := range 3 {
			senders = append(senders, actor.Go(t, func(t *actor.Tasklet) error {
				return l.send(t, es, r, sender, 12, func() { t.Sleep(time.Millisecond) })
			}, actor.Name(fmt.Sprint("sender ", sender))))
		}
		other := actor.Go(t, func(t *actor.Tasklet) error {
			return disturb(t, es, r.Uint64(), 3, 10, func() { t.Sleep(time.Duration(r.IntN(3)) * time.Millisecond) })
		}, actor.Name("other"))
		for _, s := range senders {
			require.NoError(tb, s.Join(t))
		}
		require.NoError(tb, other.Join(t))
		if r.IntN(2) == 0 {
			t.Sleep(100 * time.Millisecond)
			// A late timer may have moved the clock over the idle time and the end of this sleep at
			// once. Then the stops come in the next one.
			t.Sleep(100 * time.Millisecond)
			require.Zero(tb, es.Len())
			used, all, idle, _ := es.Left()
			require.Equal(tb, []int{0, 0, 0}, []int{used, all, idle})
		}
		require.NoError(tb, es.Drain(t))
		l.check(tb, lost)
	}, actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox, actortest.LateTimer),
		actortest.Victims(func(t *actor.Tasklet) bool { return t.Parent() != nil && t.Parent().Name() == "set" }),
		count, actortest.Allow(event.Failure))
}
