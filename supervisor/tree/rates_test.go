package tree_test

import (
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// rowOf returns the row with a name.
func rowOf(rows []tree.Row, name string) tree.Row {
	for _, r := range rows {
		if r.Name == name {
			return r
		}
	}
	return tree.Row{}
}

// entryOf writes the tree as JSON, and returns the entry and the object of the row whose path ends
// with name.
func entryOf(t *actor.Tasklet, name string, opts ...tree.Option) (entry, row map[string]any) {
	var buf bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&buf), zap.InfoLevel)
	tree.Log(zap.New(core), t, opts...)
	if err := json.Unmarshal(buf.Bytes(), &entry); err != nil {
		panic(err)
	}
	for _, r := range entry["tree"].([]any) {
		if row = r.(map[string]any); strings.HasSuffix(row["path"].(string), "/"+name) {
			return entry, row
		}
	}
	return entry, nil
}

// The text, the entry and the rows have the same rates and times.
func TestRates(t *testing.T) {
	runWith(t, actor.Config{Name: "app", Measure: true}, func(root *actor.Tasklet) {
		busy := actor.Receiver(root, func(t *actor.Tasklet, d time.Duration) error { t.Sleep(d); return nil },
			actor.Name("busy"), actor.MailboxLen(64))
		actor.Receiver(root, func(*actor.Tasklet, int) error { return nil }, actor.Name("bored"))
		var text, entry, rows tree.Rates
		write := func() string {
			var b strings.Builder
			require.NoError(t, tree.Write(&b, root, tree.WithRates(&text)))
			return b.String()
		}
		look := func() (string, map[string]any, map[string]any, tree.Row) {
			e, o := entryOf(root, "busy", tree.WithRates(&entry))
			return write(), e, o, rowOf(rows.Snapshot(root), "busy")
		}
		for range 50 {
			_ = busy.Send(root, 400*time.Millisecond)
		}
		s, e, o, r := look()
		require.Zero(t, r.Over)
		require.NotContains(t, s, "/s")
		require.NotContains(t, s, "rates_over")
		require.NotContains(t, e, "rates_over_seconds")
		require.NotContains(t, o, "handled_per_second")

		root.Sleep(10 * time.Second)
		s, e, o, r = look()
		require.Equal(t, 10*time.Second, r.Over)
		require.InDelta(t, 2.5, r.Rate, 0.1)
		require.InDelta(t, 1, r.Busy, 0.05)
		require.Equal(t, 10*time.Second, r.Oldest)
		require.EqualValues(t, 25, r.Timing.Calls)
		require.Contains(t, s, "rates_over=10s")
		require.EqualValues(t, 10, e["rates_over_seconds"])
		line := lineOf(s, "busy")
		require.Contains(t, line, "mailbox 25/64")
		require.Contains(t, line, fmt.Sprintf("  oldest >= 10s  %v/s  handled 25", o["handled_per_second"]))
		require.InDelta(t, r.Rate, o["handled_per_second"], 0.01)
		require.EqualValues(t, 10, o["oldest_at_least_seconds"])
		require.InDelta(t, r.Busy, o["busy_ratio"], 0.01)
		require.Contains(t, line, fmt.Sprintf("  busy %.0f%%  calls p50 400ms p99 400ms  waits p50 6.4s p99 9.6s", r.Busy*100))
		require.InDelta(t, r.Timing.Mailbox.Quantile(0.5).Seconds(), o["mailbox_wait_p50_seconds"], 1e-9)
		require.InDelta(t, r.Timing.Mailbox.Quantile(0.99).Seconds(), o["mailbox_wait_p99_seconds"], 1e-9)
		require.InDelta(t, r.Timing.Mailbox.Max.Seconds(), o["mailbox_wait_max_seconds"], 1e-9)
		require.EqualValues(t, 25, o["handler_calls"])
		require.InDelta(t, r.Timing.Handler.Quantile(0.5).Seconds(), o["handler_p50_seconds"], 1e-9)
		require.InDelta(t, r.Timing.Handler.Quantile(0.99).Seconds(), o["handler_p99_seconds"], 1e-9)
		require.InDelta(t, r.Timing.Handler.Max.Seconds(), o["handler_max_seconds"], 1e-9)

		// One that does nothing has no rate, and a new one has none yet.
		require.NotContains(t, lineOf(s, "bored"), "/s")
		root.Sleep(time.Minute)
		late := actor.Receiver(root, func(*actor.Tasklet, int) error { return nil }, actor.Name("late"))
		_ = late.Send(root, 1)
		root.Sleep(time.Millisecond)
		s, _, o, r = look()
		require.NotContains(t, lineOf(s, "late"), "/s")
		require.InDelta(t, 25/60.0, r.Rate, 0.01)
		require.InDelta(t, 10/60.0, r.Busy, 0.02)
		require.Zero(t, r.Oldest)
		require.NotContains(t, o, "oldest_at_least_seconds")

		// Two looks at the same moment do not forget what is compared.
		require.Zero(t, rowOf(rows.Snapshot(root), "busy").Over)
		root.Sleep(10 * time.Second)
		_, _, _, r = look()
		require.Equal(t, 10*time.Second, r.Over)
		require.Zero(t, r.Rate)
	})
	require.PanicsWithValue(t, "tree: WithRates with a nil *Rates", func() { tree.WithRates(nil) })
}

// The age of the oldest message is never more than the true one, whatever a mailbox does, and of a
// message that stays it is not less than the time between the looks.
func TestOldestIsALowerBound(t *testing.T) {
	seen := 0
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, seed))
		runWith(t, actor.Config{}, func(root *actor.Tasklet) {
			sys := root.System()
			policy := []mailbox.Policy{mailbox.Block, mailbox.Fail, mailbox.DropNewest, mailbox.DropOldest, mailbox.Unbounded}[r.IntN(5)]
			opts := []actor.Option{actor.Name("q"), actor.Overflow(policy)}
			n := 1 << 30
			if policy != mailbox.Unbounded {
				n = 1 + r.IntN(6)
				opts = append(opts, actor.MailboxLen(n))
			}
			var queued []time.Time // the truth
			box := actor.Receiver(root, func(t *actor.Tasklet, at time.Time) error {
				for len(queued) > 0 && !queued[0].Equal(at) {
					queued = queued[1:] // dropped
				}
				queued = queued[1:]
				t.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
				return nil
			}, opts...)
			var rates tree.Rates
			for range 200 {
				root.Sleep(time.Duration(1+r.IntN(1000)) * time.Millisecond)
				if r.IntN(3) > 0 && (policy != mailbox.Block || len(queued) < n) {
					if m := box.Tasklet().Glance().Mailbox; m.Len < n || policy == mailbox.DropOldest {
						queued = append(queued, sys.Now())
						if len(queued) > n {
							queued = queued[1:]
						}
					}
					_ = box.Send(root, sys.Now())
				}
				if r.IntN(3) == 0 {
					row := rowOf(rates.Snapshot(root), "q")
					require.Equal(t, len(queued), row.Mailbox.Len)
					if len(queued) == 0 {
						require.Zero(t, row.Oldest)
					} else {
						require.LessOrEqual(t, row.Oldest, sys.Now().Sub(queued[0]), "%v", policy)
						if row.Oldest > 0 {
							seen++
						}
					}
				}
			}
		})
	}
	require.Greater(t, seen, 500)
}

// A restart and a message that is handled again make no rate wrong.
func TestRatesOverARestart(t *testing.T) {
	runWith(t, actor.Config{Measure: true}, func(root *actor.Tasklet) {
		ref := actor.NewRef[int]()
		start(root, supervisor.Spec{Intensity: 1000, Period: time.Hour, Children: []supervisor.Child{{
			ID: "child", Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
				t.Sleep(100 * time.Millisecond)
				if m%7 == 0 {
					return fmt.Errorf("no %d", m)
				}
				return nil
			}), Options: []actor.Option{actor.Retry(1)},
		}}})
		var rates tree.Rates
		known := 0
		for i := range 100 {
			_ = ref.Send(root, i)
			root.Sleep(130 * time.Millisecond)
			r := rowOf(rates.Snapshot(root), "child")
			require.GreaterOrEqual(t, r.Rate, 0.0)
			require.LessOrEqual(t, r.Rate, 16.0)
			require.GreaterOrEqual(t, r.Busy, 0.0)
			require.LessOrEqual(t, r.Busy, 1.0)
			if r.Over > 0 {
				known++
			}
		}
		require.Greater(t, known, 50)
	})
}

// What has ended is forgotten at the next look, and there is a limit for the rest.
func TestRatesKeepLittle(t *testing.T) {
	runWith(t, actor.Config{}, func(root *actor.Tasklet) {
		var rates tree.Rates
		var refs []actor.Ref[int]
		for range tree.MaxLooked + 100 {
			refs = append(refs, actor.Receiver(root, func(*actor.Tasklet, int) error { return nil }))
		}
		rates.Snapshot(root)
		require.Equal(t, tree.MaxLooked, rates.Kept())
		for _, r := range refs[10:] {
			r.Tasklet().Kill()
		}
		root.Sleep(time.Second)
		rates.Snapshot(root)
		require.Equal(t, 10, rates.Kept())
	})
}

// Several goroutines may look with the same Rates.
func TestRatesAtTheSameTime(t *testing.T) {
	sys, err := actor.Start(actor.Config{Measure: true, Logger: zap.NewNop()})
	require.NoError(t, err)
	r := actor.Receiver(sys, func(*actor.Tasklet, int) error { return nil })
	var rates tree.Rates
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 100 {
				_ = r.Send(context.Background(), i)
				for _, row := range rates.Snapshot(sys.Root()) {
					if row.Rate < 0 || row.Oldest < 0 || row.Over < 0 {
						t.Errorf("%+v", row)
					}
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, sys.Stop(context.Background()))
}

// An entry with everything that a row can have is still small.
func TestEntryWithRatesIsSmall(t *testing.T) {
	runWith(t, actor.Config{Measure: true}, func(root *actor.Tasklet) {
		for i := range 300 {
			r := actor.Receiver(root, func(t *actor.Tasklet, m int) error { t.Sleep(time.Duration(i+m) * 1237 * time.Microsecond); return nil },
				actor.Name(fmt.Sprintf("receiver-with-a-long-name-%d", i)), actor.MailboxLen(100))
			for m := range 100 {
				_ = r.Send(root, m)
			}
		}
		var rates tree.Rates
		for range 2 {
			var buf bytes.Buffer
			core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&buf), zap.InfoLevel)
			tree.Log(zap.New(core), root, tree.WithRates(&rates))
			require.Less(t, buf.Len(), 8<<10)
			root.Sleep(7 * time.Second)
		}
	})
}

// Spec.LogEvery compares each tree with the one before.
func TestLogEveryHasRates(t *testing.T) {
	var log entries
	cfg := log.config(zap.InfoLevel)
	runWith(t, cfg, func(root *actor.Tasklet) {
		ref := actor.NewRef[int]()
		start(root, supervisor.Spec{LogEvery: time.Minute, Children: []supervisor.Child{{
			ID: "child", Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error { return nil }),
		}}})
		for i := range 130 {
			_ = ref.Send(root, i)
			root.Sleep(time.Second)
		}
	})
	var rates []any
	for line := range strings.Lines(log.buf.String()) {
		var e map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		if e["event"] == "tree" {
			for _, r := range e["tree"].([]any) {
				if r := r.(map[string]any); strings.HasSuffix(r["path"].(string), "/child") {
					rates = append(rates, r["handled_per_second"])
				}
			}
		}
	}
	require.Equal(t, []any{nil, 1.0}, rates)
}

// Goroutines that wait for a tasklet are counted in its row, until they do not wait any more.
func TestWaitersFromOutside(t *testing.T) {
	type ask = actor.Reply[int]
	request := func(r ask) ask { return r }
	synctest.Test(t, func(t *testing.T) {
		sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
		require.NoError(t, err)
		stuck := actor.Receiver(sys, func(t *actor.Tasklet, r ask) error {
			t.Sleep(time.Minute)
			return r.Send(t, 1)
		}, actor.Name("stuck"), actor.MailboxLen(2))
		ref := actor.NewRef[int](actor.Name("child"))
		actor.Go(sys, func(t *actor.Tasklet) error {
			slot, err := actor.NewSlot(t, actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error { return nil }), func(actor.Exit) {})
			if err == nil {
				_, err = slot.Start(t)
			}
			t.Sleep(time.Hour)
			return err
		}, actor.Name("parent"))
		check := func(name string, callers, senders, joiners int) {
			t.Helper()
			synctest.Wait()
			r := rowOf(tree.Snapshot(sys.Root()), name)
			require.Equal(t, callers, r.Callers, "callers")
			require.Equal(t, senders, r.Mailbox.Waiting, "senders")
			require.Equal(t, joiners, r.Joiners, "joiners")
			_, o := entryOf(sys.Root(), name)
			for key, n := range map[string]int{"callers_waiting": callers, "senders_waiting": senders, "joiners_waiting": joiners} {
				if n == 0 {
					require.NotContains(t, o, key)
				} else {
					require.EqualValues(t, n, o[key])
				}
			}
			line := lineOf(text(sys.Root()), name)
			require.Equal(t, callers == 1, strings.Contains(line, "1 caller waiting"), line)
			require.Equal(t, callers > 1, strings.Contains(line, fmt.Sprintf("%d callers waiting", callers)), line)
			require.Equal(t, senders > 0, strings.Contains(line, fmt.Sprintf("%d waiting to send", senders)), line)
			require.Equal(t, joiners > 0, strings.Contains(line, fmt.Sprintf("%d waiting to join", joiners)), line)
		}
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		call := func() {
			wg.Go(func() { _, _ = actor.Call(ctx, stuck, request) })
		}
		check("stuck", 0, 0, 0)
		call()
		check("stuck", 1, 0, 0)
		call()
		call()
		check("stuck", 3, 0, 0)
		call()
		check("stuck", 3, 1, 0)
		wg.Go(func() { _ = stuck.Tasklet().Join(ctx) })
		wg.Go(func() { _ = stuck.Join(ctx) })
		check("stuck", 3, 1, 2)
		wg.Go(func() { _ = ref.Join(ctx) })
		check("child", 0, 0, 1)
		time.Sleep(61 * time.Second) // one is answered, and the next request comes in
		check("stuck", 3, 0, 2)
		cancel()
		wg.Wait()
		check("stuck", 0, 0, 0)
		check("child", 0, 0, 0)
		require.NoError(t, sys.Stop(context.Background()))
	})
}
