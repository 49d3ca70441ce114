package entity_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/entity"
)

// A message that comes between the end of an entity and the close of its mailbox is handled by
// another incarnation.
func TestSendWhileTheEntityEnds(t *testing.T) {
	var dead, handled atomic.Int32
	var gate atomic.Bool
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
		if e.Kind == event.DeadLetter {
			dead.Add(int32(e.Count))
		}
	}})
	require.NoError(t, err)
	ctx := context.Background()
	es, err := entity.Start(sys, entity.Spec[int, int]{Init: func(*actor.Tasklet, int) (actor.Handler[int], error) {
		return func(t *actor.Tasklet, m int) error {
			handled.Add(1)
			if m == 2 {
				return nil
			}
			for !gate.Load() {
				t.Sleep(time.Millisecond)
			}
			return actor.ErrStop
		}, nil
	}})
	require.NoError(t, err)
	require.NoError(t, es.Send(ctx, 1, 1))
	for handled.Load() == 0 {
		runtime.Gosched()
	}
	require.NoError(t, es.SendAtEnd(ctx, 1, func() { gate.Store(true) }, 2))
	require.NoError(t, es.Drain(ctx))
	require.NoError(t, sys.Stop(ctx))
	require.EqualValues(t, 2, handled.Load())
	require.Zero(t, dead.Load())
}

// A crash of an entity is one entry at info and above, the same as that of a supervisor's child. It
// has the error, the type of the message, the number of lost messages, and what follows.
func TestOneCrashIsOneEntry(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	var kinds []string
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core), OnEvent: func(e actor.EventRecord) {
		if strings.HasSuffix(e.Path, "/a") {
			kinds = append(kinds, e.Kind.String())
		}
	}}
	took := func() (s []string) {
		for _, e := range logs.TakeAll() {
			if f := e.ContextMap(); f["child"] == "a" || strings.HasSuffix(fmt.Sprint(f["path"]), "/a") {
				require.Contains(t, fmt.Sprint(f["error"]), "crash")
				require.Equal(t, "int", f["message"])
				require.EqualValues(t, 1, f["messages_lost"])
				if e.Level == zap.ErrorLevel && f["reason"] == "panic" {
					require.NotEmpty(t, f["stack"])
				}
				s = append(s, fmt.Sprint(e.Level, " ", f["event"], " ", f["next"]))
			}
		}
		return s
	}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		es, err := entity.Start(t0, entity.Spec[string, int]{Intensity: 2, Init: func(*actor.Tasklet, string) (actor.Handler[int], error) {
			return func(_ *actor.Tasklet, m int) error {
				if m == 1 {
					panic("crash")
				}
				return errCrash
			}, nil
		}})
		require.NoError(t, err)
		for m, want := range []string{"warn restart restarts it", "error restart restarts it", "error give_up puts its key aside for 5s"} {
			require.NoError(t, es.Send(t0, "a", m))
			t0.Sleep(2 * time.Second)
			require.Equal(t, []string{want}, took())
		}
		return nil
	}))
	require.Equal(t, []string{"spawn", "message_lost", "exit", "restart", "spawn"}, kinds[:5])
}

// Whenever a set is killed, each message is handled by an entity or reported, and each failure of
// an entity is one of the events that report it.
func TestExploreKillOfTheSet(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 60
	}
	dead, failures, reports := 0, 0, 0
	count := actortest.Configure(func(c *actor.Config) {
		before := c.OnEvent
		c.OnEvent = func(e actor.EventRecord) {
			switch e.Kind {
			case event.DeadLetter:
				dead += e.Count
			case event.Exit:
				if e.Err == errCrash {
					failures++
				}
			case supervisor.EventRestart, supervisor.EventGiveUp, event.NotRestarted:
				if e.Err == errCrash {
					reports++
				}
			}
			if before != nil {
				before(e)
			}
		}
	})
	actortest.Explore(t, n, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		dead, failures, reports = 0, 0, 0
		r := t.System().Rand()
		l := newLedger(4)
		es := entity.New(entity.Spec[int, note]{
			Name: "set", MaxLive: 3, Evict: true, MailboxLen: 2, Intensity: 2, Backoff: 1,
			Init: l.init(func(t *actor.Tasklet) error {
				t.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
				return nil
			}, func(t *actor.Tasklet) error {
				switch r.IntN(4) {
				case 0:
					return errCrash
				case 1:
					t.Sleep(time.Millisecond)
				}
				return nil
			}),
		})
		top, err := supervisor.Start(t, supervisor.Spec{
			Name: "top", Intensity: 9, Children: []supervisor.Child{{ID: "set", Body: es.Body()}},
		})
		require.NoError(tb, err)
		for sender := range 3 {
			actor.Go(t, func(t *actor.Tasklet) error {
				n := map[int]int{}
				for range 20 {
					key := r.IntN(4)
					n[key]++
					m := note{sender, n[key]}
					if es.Send(t, key, m) == nil {
						l.accept(key, m)
					}
					if r.IntN(3) == 0 {
						t.Sleep(time.Millisecond)
					}
				}
				return nil
			})
		}
		for range 3 {
			t.Sleep(time.Duration(r.IntN(8)) * time.Millisecond)
			if s := es.Tasklet(); s != nil {
				s.Kill()
			}
		}
		t.Sleep(time.Second)
		if r.IntN(2) == 0 {
			require.NoError(tb, top.Drain(t))
		} else {
			top.Tasklet().Kill()
			_ = top.Tasklet().Join(t)
		}
		l.check(tb, dead)
		require.Equal(tb, failures, reports, "failures and their reports")
	}, count, actortest.Allow(event.DeadLetter), actortest.Allow(event.Failure), actortest.Allow(event.Exit), actortest.Allow(event.MessageLost))
}

// A send to a live entity allocates nothing.
func TestSendAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector and the checks allocate")
	}
	require.NoError(t, actor.Run(context.Background(), actor.Config{Logger: zap.NewNop(), StallAfter: -1}, func(t0 *actor.Tasklet) error {
		es, err := entity.Start(t0, entity.Spec[int, int]{Idle: time.Minute, Init: takes})
		require.NoError(t, err)
		require.NoError(t, es.Send(t0, 1, 1))
		t0.Sleep(time.Millisecond)
		for name, send := range map[string]func(context.Context, int, int) error{"Send": es.Send, "TrySend": es.TrySend} {
			require.Zero(t, testing.AllocsPerRun(1000, func() {
				_ = send(t0, 1, 1)
				t0.Yield()
			}), name)
		}
		return nil
	}))
}

func takes(*actor.Tasklet, int) (actor.Handler[int], error) {
	return func(*actor.Tasklet, int) error { return nil }, nil
}

// A send to a live entity beside one to a ref.
func BenchmarkSend(b *testing.B) {
	for _, name := range []string{"entity", "ref"} {
		b.Run(name, func(b *testing.B) {
			_ = actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
				es, err := entity.Start(t, entity.Spec[int, int]{MailboxLen: 64, Init: takes})
				if err != nil {
					return err
				}
				for key := range 1000 {
					if err := es.Send(t, key, 1); err != nil {
						return err
					}
				}
				ref := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }, actor.MailboxLen(64))
				t.Sleep(10 * time.Millisecond)
				send := func(i int) error { return es.Send(t, i, 1) }
				if name == "ref" {
					send = func(int) error { return ref.Send(t, 1) }
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					if err := send(i / 64 % 1000); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

// One million short-lived keys leave nothing behind.
func TestManyKeysLeaveNothing(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 20_000
	}
	require.NoError(t, actor.Run(context.Background(), actor.Config{Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{}), StallAfter: -1}, func(t0 *actor.Tasklet) error {
		es, err := entity.Start(t0, entity.Spec[int, int]{MaxLive: 100, Evict: true, Idle: time.Second, Init: takes})
		require.NoError(t, err)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		var before uint64
		for key := range n {
			for es.Send(t0, key, 1) != nil {
				t0.Sleep(time.Millisecond)
			}
			if key == n/10 {
				before = heap()
			}
		}
		require.Less(t, heap(), before+1<<20)
		t0.Sleep(2 * time.Second)
		used, all, idle, aside := es.Left()
		require.Equal(t, []int{0, 0, 0, 0}, []int{used, all, idle, aside})
		return nil
	}))
}

// A misused call panics, and leaves no entity and no lock behind.
func TestMisuse(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		es, err := entity.Start(t, entity.Spec[any, int]{Init: func(*actor.Tasklet, any) (actor.Handler[int], error) {
			return func(*actor.Tasklet, int) error { return nil }, nil
		}})
		require.NoError(tb, err)
		other := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		t.Yield()
		calls := map[string]func(ctx context.Context, key any){
			"Send":    func(ctx context.Context, key any) { _ = es.Send(ctx, key, 1) },
			"TrySend": func(ctx context.Context, key any) { _ = es.TrySend(ctx, key, 1) },
			"Stop":    func(ctx context.Context, key any) { _ = es.Stop(ctx, key) },
			"Call": func(ctx context.Context, key any) {
				_, _ = entity.Call(ctx, es, key, func(actor.Reply[int]) int { return 1 })
			},
		}
		unused := entity.New(entity.Spec[int, int]{Init: func(*actor.Tasklet, int) (actor.Handler[int], error) { return nil, nil }})
		require.PanicsWithValue(tb, "entity: Drain of a set that was not started", func() { _ = unused.Drain(t) })
		for name, call := range calls {
			require.Panics(tb, func() { call(other, 1) }, name+" with another tasklet's context")
			require.Panics(tb, func() { call(nil, 1) }, name+" with a nil context")
			require.Panics(tb, func() { call(t, []int{1}) }, name+" with a key that has no hash")
			if name != "Stop" {
				require.PanicsWithValue(tb, "entity: a send to the key NaN, which is not equal to itself, so that its entity could not be found again",
					func() { call(t, math.NaN()) }, name)
			}
			require.Zero(tb, es.Len(), name)
		}
		require.Panics(tb, func() { es.Get([]int{1}) })
		require.NoError(tb, es.Send(t, 1, 1))
		other.Kill()
		t.Sleep(time.Millisecond)
		require.Equal(tb, []any{1}, es.Keys())
	})
}
