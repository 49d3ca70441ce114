package actor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// account is what entries come to: how many events they tell of, and about how many messages.
type account struct{ events, messages int }

// accounts adds up the entries of each kind and path. Entries of windows for several paths count
// for the path "*".
func accounts(logs *observer.ObservedLogs) map[string]account {
	sums := map[string]account{}
	add := func(key string, events, messages int) {
		a := sums[key]
		sums[key] = account{a.events + events, a.messages + messages}
	}
	for _, e := range logs.All() {
		m := e.ContextMap()
		path, _ := m["path"].(string)
		key := fmt.Sprint(m["event"], " ", path)
		count, _ := m["count"].(int64)
		add(key, 1, int(count))
		more, _ := m["suppressed"].(uint64)
		messages, _ := m["suppressed_messages"].(int64)
		if m["several_paths"] == true {
			key = fmt.Sprint(m["event"], " *")
		}
		add(key, int(more), int(messages))
	}
	return sums
}

// Whatever comes when, the entries and what they say was suppressed are the events; of a kind and
// path there is one entry a second at most, and the last event is written a second after it at
// most.
func TestEntriesAndSuppressedAreAllEvents(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		core, logs := observer.New(zap.DebugLevel)
		want := map[string]account{}
		cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core)}
		require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			for range 400 {
				switch r.IntN(4) {
				case 0:
					t0.Sleep(time.Duration(r.IntN(2500)) * time.Millisecond)
				case 1:
					t0.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
				default:
					kind := []event.Kind{event.DeadLetter, event.Failure, ownEvent, event.Spawn}[r.IntN(4)]
					path, count := fmt.Sprint("/", r.IntN(5)), r.IntN(4)
					t0.System().Emit(actor.EventRecord{Kind: kind, Path: path, Count: count, Err: errTest})
					key := fmt.Sprint(kind, " ", path)
					want[key] = account{want[key].events + 1, want[key].messages + count}
				}
			}
			t0.Sleep(1500 * time.Millisecond)
			got := accounts(logs)
			for key, a := range want {
				require.Equal(t, a, got[key], "seed %d, %s: a second after the last event all is written", seed, key)
			}
			return nil
		}))
		last := map[string]time.Time{}
		var at time.Time
		for _, e := range logs.All() {
			require.False(t, e.Time.Before(at), "the entries are in the order of their times")
			at = e.Time
			key := fmt.Sprint(e.ContextMap()["event"], " ", e.ContextMap()["path"])
			if before, ok := last[key]; ok && e.Level >= zap.WarnLevel {
				require.GreaterOrEqual(t, e.Time.Sub(before), time.Second, key)
			}
			last[key] = e.Time
		}
	}
}

// Each of many targets is named, at the latest when its second is over, also while a tasklet holds
// the scheduler, and then nothing is left to be done.
func TestSuppressedAreToldDuringAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		s, err := actor.Start(actor.Config{Logger: zap.New(core), StallAfter: -1})
		require.NoError(t, err)
		actor.Go(s, func(t0 *actor.Tasklet) error {
			for i := range 8 {
				r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return errTest }, actor.Name(fmt.Sprint("w", i)))
				for n := range 30 {
					_ = r.Send(t0, n)
				}
				defer r.Kill()
			}
			t0.Sleep(time.Millisecond) // they fail 30 times each
			time.Sleep(5 * time.Second)
			return nil
		}, actor.Name("hog"))
		time.Sleep(1500 * time.Millisecond)
		sums := accounts(logs)
		for i := range 8 {
			require.Equal(t, account{30, 30}, sums[fmt.Sprint("failure /tasklet/hog/w", i)])
		}
		require.Len(t, logs.All(), 16)
		time.Sleep(10 * time.Second)
		require.NoError(t, s.Stop(context.Background()))
		require.Len(t, logs.All(), 16)
	})
}

// A flood of kinds that were not limited once: 10,000 messages that fail, and a rate that is too
// slow.
func TestFloodsOfFailuresAndTicks(t *testing.T) {
	logs := observe(t, zap.WarnLevel, func(t0 *actor.Tasklet) error {
		r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return errors.New("no") }, actor.Name("bad"))
		for i := range 10_000 {
			if err := r.Send(t0, i); err != nil {
				return err
			}
		}
		actor.Rate(t0, 100, func(t *actor.Tasklet, _ time.Time) error { t.Sleep(25 * time.Millisecond); return nil }, actor.Name("slow"))
		t0.Sleep(time.Minute)
		return nil
	})
	sums := accounts(logs)
	require.Equal(t, account{10_000, 10_000}, sums["failure /tasklet/bad"])
	require.Greater(t, sums["ticks_missed /tasklet/slow"].events, 2000)
	require.Less(t, len(logs.All()), 70)
}

// Events about more paths than there are windows share one for their kind, which says so; nothing
// is lost.
func TestFloodOverManyPaths(t *testing.T) {
	const paths, each = 5000, 3
	core, logs := observer.New(zap.WarnLevel)
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core)}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		for range each {
			for i := range paths {
				t0.System().Emit(actor.EventRecord{Kind: event.DeadLetter, Path: fmt.Sprint("/", i), Count: 1})
			}
		}
		t0.Sleep(2 * time.Second)
		events, several := 0, 0
		for key, a := range accounts(logs) {
			events += a.events
			if strings.HasSuffix(key, "*") {
				several++
			}
		}
		require.Equal(t, paths*each, events)
		require.Equal(t, 1, several)
		require.LessOrEqual(t, len(logs.All()), 2*(1024+1))
		// The windows are over, and the next ones have room again.
		before := len(logs.All())
		t0.Sleep(2 * time.Second)
		for i := range 1000 {
			t0.System().Emit(actor.EventRecord{Kind: event.DeadLetter, Path: fmt.Sprint("/new", i), Count: 1})
		}
		require.Len(t, logs.All(), before+1000)
		return nil
	}))
}

// The end of a window lets no virtual time go on: what is due is written before the clock jumps,
// with its time, and a system that has nothing more to do is quiescent at once.
func TestLimitsMakeNoTime(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core)}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		for range 3 {
			t0.System().Emit(actor.EventRecord{Kind: ownEvent, Path: "/x"})
		}
		t0.Sleep(time.Hour)
		require.Equal(t, "2000-01-01T00:00:01Z", logs.All()[1].Time.Format(time.RFC3339))
		for range 3 {
			t0.System().Emit(actor.EventRecord{Kind: ownEvent, Path: "/x"})
		}
		return scheduler.NewChan[int](0).Send(t0, 1)
	})
	var d *actor.DeadlockError
	require.ErrorAs(t, err, &d)
	require.Equal(t, "2000-01-01T01:00:00Z", logs.All()[3].Time.Format(time.RFC3339))
}

// Goroutines that emit at the same time, with the real clock.
func TestLimitsFromManyGoroutines(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	s, err := actor.Start(actor.Config{Schedulers: 2, Logger: zap.New(zapcore.Core(core))})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				s.Emit(actor.EventRecord{Kind: event.DeadLetter, Path: fmt.Sprint("/", (g+i)%10), Count: 2})
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Stop(context.Background()))
	sum := account{}
	for _, a := range accounts(logs) {
		sum.events += a.events
		sum.messages += a.messages
	}
	require.Equal(t, account{4000, 8000}, sum)
}
