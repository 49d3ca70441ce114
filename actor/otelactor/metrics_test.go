package otelactor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/otelactor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// Each metric has the value that a run of known events gives it.
func TestMetrics(t *testing.T) {
	s := newScraper(t)
	run(t, actor.Config{Name: "shop", Measure: true}, func(root *actor.Tasklet) {
		sys := root.System()
		require.NoError(t, s.Add(sys))

		// A child that fails waits for its restart, with two messages in its mailbox.
		ref := actor.NewRef[int](actor.MailboxLen(8))
		_, err := supervisor.Start(root, supervisor.Spec{
			Name: "top", Intensity: 5, Period: time.Hour, Backoff: supervisor.Backoff{Min: time.Hour, Max: time.Hour},
			Children: []supervisor.Child{{ID: "worker", Body: actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return errors.New("no") })}},
		})
		require.NoError(t, err)
		for range 3 {
			require.NoError(t, ref.Send(root, 1))
		}
		// One that gives up.
		ends, err := supervisor.Start(root, supervisor.Spec{
			Intensity: 1, Period: time.Hour,
			Children: []supervisor.Child{{ID: "a", Body: actor.GoBody(func(*actor.Tasklet) error { panic("no") })}},
		})
		require.NoError(t, err)
		require.Error(t, ends.Tasklet().Join(root))
		// A full mailbox with a sender in line, one that drops, and a timed call.
		slow := actor.Receiver(root, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil }, actor.MailboxLen(2))
		slow.Tasklet().SetLabel("kind", "slow")
		actor.Go(root, func(t *actor.Tasklet) error {
			for range 4 {
				_ = slow.Send(t, 1)
			}
			return nil
		})
		drops := actor.Receiver(root, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil },
			actor.MailboxLen(1), actor.Overflow(mailbox.DropNewest))
		drops.Tasklet().SetLabel("kind", "drops")
		for range 5 {
			_ = drops.Send(root, 1)
			root.Yield()
		}
		calls := actor.Receiver(root, func(t *actor.Tasklet, r actor.Reply[int]) error { t.Sleep(time.Hour); return nil })
		ctx, cancel := actor.WithTimeout(root, time.Second)
		_, err = actor.Call(ctx, calls, func(r actor.Reply[int]) actor.Reply[int] { return r })
		cancel()
		require.ErrorIs(t, err, actor.ErrTimeout)
		calls.Tasklet().Kill()
		// Handlers that take known times.
		timed := actor.Receiver(root, func(t *actor.Tasklet, ms int) error { t.Sleep(time.Duration(ms) * time.Millisecond); return nil })
		timed.Tasklet().SetLabel("kind", "timed")
		for _, ms := range []int{3, 3, 100} {
			require.NoError(t, timed.Send(root, ms))
		}
		root.Sleep(time.Second)
		// No tasklet stalls on a virtual clock.
		sys.Emit(actor.EventRecord{Kind: event.Stall, Tasklet: root})
		s.scrape()
		root.Sleep(9 * time.Second)

		all := s.scrape()
		for _, c := range []struct {
			value  float64
			name   string
			labels []string
		}{
			{1, "tasklet_tasklets", []string{"kind", "receiver", "state", "restarting"}},
			{1, "tasklet_tasklets", []string{"kind", "supervisor", "state", "idle"}},
			{1, "tasklet_tasklets", []string{"kind", "main", "state", "running"}},
			{1, "tasklet_tasklets", []string{"kind", "slow", "state", "sleeping"}},
			{1, "tasklet_tasklets", []string{"kind", "task", "state", "parked"}},
			{10, "tasklet_started_total", nil},
			{1, "tasklet_ended_total", []string{"reason", "killed"}},
			{2, "tasklet_ended_total", []string{"reason", "panic"}},
			{2, "tasklet_ended_total", []string{"reason", "error"}},
			{0, "tasklet_ended_total", []string{"reason", "normal"}},
			{0, "tasklet_ended_total", []string{"reason", "shutdown"}},
			{2, "tasklet_restarts_total", nil},
			{1, "tasklet_give_ups_total", nil},
			{3, "tasklet_handler_calls_total", []string{"kind", "timed"}},
			{0.106, "tasklet_handler_time_seconds_total", []string{"kind", "timed"}},
			{0, "tasklet_handler_duration_bucket_total", []string{"kind", "timed", "le", "0.002097152"}},
			{2, "tasklet_handler_duration_bucket_total", []string{"kind", "timed", "le", "0.004194304"}},
			{2, "tasklet_handler_duration_bucket_total", []string{"kind", "timed", "le", "0.067108864"}},
			{3, "tasklet_handler_duration_bucket_total", []string{"kind", "timed", "le", "0.134217728"}},
			{3, "tasklet_handler_duration_bucket_total", []string{"kind", "timed", "le", "+Inf"}},
			{3, "tasklet_mailbox_waits_total", []string{"kind", "timed"}},
			{0.009, "tasklet_mailbox_time_seconds_total", []string{"kind", "timed"}},
			{1, "tasklet_mailbox_duration_bucket_total", []string{"kind", "timed", "le", "0.002097152"}},
			{2, "tasklet_mailbox_duration_bucket_total", []string{"kind", "timed", "le", "0.004194304"}},
			{3, "tasklet_mailbox_duration_bucket_total", []string{"kind", "timed", "le", "0.008388608"}},
			{3, "tasklet_mailbox_duration_bucket_total", []string{"kind", "timed", "le", "+Inf"}},
			{2, "tasklet_mailbox_depth", []string{"kind", "receiver"}},
			{2, "tasklet_mailbox_depth", []string{"kind", "slow"}},
			{2, "tasklet_mailbox_deepest", []string{"kind", "slow"}},
			{9, "tasklet_mailbox_oldest_seconds", []string{"kind", "slow"}},
			{1, "tasklet_mailbox_full", []string{"kind", "slow"}},
			{0, "tasklet_mailbox_full", []string{"kind", "timed"}},
			{1, "tasklet_mailbox_senders", []string{"kind", "slow"}},
			{3, "tasklet_messages_lost_total", []string{"reason", "dropped"}},
			{2, "tasklet_messages_lost_total", []string{"reason", "in_hand"}},
			{0, "tasklet_messages_lost_total", []string{"reason", "closed"}},
			{0, "tasklet_messages_lost_total", []string{"reason", "full"}},
			{1, "tasklet_call_timeouts_total", nil},
			{1, "tasklet_stalls_total", nil},
			{2, "tasklet_events_total", []string{"event", "restart"}},
			{1, "tasklet_events_total", []string{"event", "kill"}},
			{0, "tasklet_scheduler_ready", []string{"scheduler", "0"}},
			{11, "tasklet_uptime_seconds", nil},
		} {
			require.InDelta(t, c.value, s.value(all, c.name, append(c.labels, "system", "shop")...), 0.005, "%s %v", c.name, c.labels)
		}
		require.Positive(t, s.value(all, "tasklet_survey_time_seconds"))
		_, busy := find(all, "tasklet_scheduler_busy_seconds_total")
		require.False(t, busy, "on a virtual clock work takes no time")
	})
	// The system has stopped, and the last numbers are still there.
	all := s.scrape()
	require.EqualValues(t, 10, s.value(all, "tasklet_started_total"))
	require.Greater(t, s.value(all, "tasklet_ended_total", "reason", "killed"), 1.0)
}

// Without Config.Measure, only what is measured is missing.
func TestNotMeasured(t *testing.T) {
	s := newScraper(t)
	run(t, actor.Config{}, func(root *actor.Tasklet) {
		require.NoError(t, s.Add(root.System()))
		r := actor.Receiver(root, func(*actor.Tasklet, int) error { return nil })
		require.NoError(t, r.Send(root, 1))
		root.Sleep(time.Second)
		names := map[string]bool{}
		for _, x := range s.scrape() {
			names[x.name] = true
			require.Equal(t, "tasklet", x.labels["system"])
		}
		require.True(t, names["tasklet_mailbox_depth"])
		for name := range names {
			require.NotContains(t, name, "handler")
			require.NotContains(t, name, "busy")
		}
	})
}

// A tasklet that holds its scheduler holds up no collection, and is seen; so is the load.
func TestHeldScheduler(t *testing.T) {
	s := newScraper(t)
	var stalls atomic.Int64 // also of others than ours, if the machine is slow
	sys, err := actor.Start(actor.Config{
		Logger: zap.NewNop(), StallAfter: 20 * time.Millisecond, Measure: true,
		OnEvent: func(e actor.EventRecord) {
			if e.Kind == event.Stall {
				stalls.Add(1)
			}
		},
	})
	require.NoError(t, err)
	require.NoError(t, s.Add(sys))
	var over atomic.Bool
	actor.Go(sys, func(*actor.Tasklet) error {
		for !over.Load() {
		}
		return nil
	})
	var all []sample
	require.Eventually(t, func() bool {
		all = s.scrape()
		stalled, _ := find(all, "tasklet_tasklets", "kind", "task", "state", "stalled")
		return stalled == 1 && stalls.Load() > 0 // a stall that ends at once is not reported
	}, 20*time.Second, time.Millisecond)
	require.Positive(t, s.value(all, "tasklet_scheduler_busy_seconds_total", "scheduler", "0"))
	over.Store(true)
	require.NoError(t, sys.Stop(context.Background()))
	require.EqualValues(t, stalls.Load(), s.value(s.scrape(), "tasklet_stalls_total"))
}

// A program gives its systems different names. Stopped ones make room.
func TestSystems(t *testing.T) {
	s := newScraper(t)
	start := func(name string) *actor.System {
		sys, err := actor.Start(actor.Config{Name: name, Logger: zap.NewNop()})
		require.NoError(t, err)
		t.Cleanup(func() { _ = sys.Stop(context.Background()) })
		return sys
	}
	a := start("a")
	require.NoError(t, s.Add(a))
	require.ErrorIs(t, s.Add(a), otelactor.ErrSystemName)
	err := s.Add(start("a"))
	require.ErrorIs(t, err, otelactor.ErrSystemName)
	require.EqualError(t, err, "otelactor: there is a system with this name: a")
	require.NoError(t, a.Stop(context.Background()))
	require.ErrorIs(t, s.Add(a), otelactor.ErrSystemName) // it is there, stopped or not
	require.NoError(t, s.Add(start("a")))
	require.EqualValues(t, 0, s.value(s.scrape(), "tasklet_started_total", "system", "a"))

	free := s.Free()
	b := start("b")
	require.NoError(t, s.Add(b))
	actor.Go(b, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
	s.value(s.scrape(), "tasklet_started_total", "system", "b")
	s.Remove(b)
	s.Remove(b)
	require.Equal(t, free, s.Free())
	_, found := find(s.scrape(), "tasklet_started_total", "system", "b")
	require.False(t, found)
	for i := range otelactor.MaxSystems - 1 {
		require.NoError(t, s.Add(start(fmt.Sprint("more", i))))
	}
	require.ErrorIs(t, s.Add(b), otelactor.ErrTooMany)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Add(b), otelactor.ErrClosed)
	require.Empty(t, s.scrape())
	require.PanicsWithValue(t, "otelactor: Add with a nil *System", func() { _ = s.Add(nil) })
}

// Two Metrics of one provider would report everything twice.
func TestInUse(t *testing.T) {
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	m, err := otelactor.NewMetrics(provider)
	require.NoError(t, err)
	_, err = otelactor.NewMetrics(provider)
	require.ErrorIs(t, err, otelactor.ErrInUse)
	require.NoError(t, m.Close())
	m, err = otelactor.NewMetrics(provider)
	require.NoError(t, err)
	require.NoError(t, m.Close())
	for range 2 { // one that does nothing cannot be told from another one, and does no harm
		m, err = otelactor.NewMetrics(noop.NewMeterProvider())
		require.NoError(t, err)
		defer m.Close()
	}
	require.PanicsWithValue(t, "otelactor: NewMetrics with a nil MeterProvider", func() { _, _ = otelactor.NewMetrics(nil) })
}

// sets returns the number of attribute sets of each instrument, and fails if the SDK has thrown
// numbers together.
func sets(tb testing.TB, rm *metricdata.ResourceMetrics) map[string]int {
	n := map[string]int{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			add := func(overflow bool) {
				require.False(tb, overflow, m.Name)
				n[m.Name]++
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					add(p.Attributes.HasValue("otel.metric.overflow"))
				}
			case metricdata.Sum[float64]:
				for _, p := range d.DataPoints {
					add(p.Attributes.HasValue("otel.metric.overflow"))
				}
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					add(p.Attributes.HasValue("otel.metric.overflow"))
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					add(p.Attributes.HasValue("otel.metric.overflow"))
				}
			default:
				tb.Fatalf("%s is a %T", m.Name, d)
			}
		}
	}
	return n
}

// Kinds come from programs, which may make them of their input.
func TestHostileKinds(t *testing.T) {
	s := newScraper(t)
	r := rand.New(rand.NewPCG(1, 1))
	names := []string{"new\nline", `quo"te\`, "\x00\x1b[31m", "\xff\xfe", "{le=\"1\"}", "überfüllt", strings.Repeat("long", 1000), "\u202eback", "other", " ", "a b", "a_b", "a.b"}
	for _, sysName := range []string{"plain", "sys\ntem\xff"} {
		n := 10_000
		if sysName != "plain" {
			n = 300
		}
		run(t, actor.Config{Name: strings.ReplaceAll(sysName, "\n", " "), Measure: true}, func(root *actor.Tasklet) {
			require.NoError(t, s.Add(root.System()))
			for i := range n {
				name := fmt.Sprint("kind ", i)
				switch {
				case i < len(names):
					name = names[i]
				case i%2 == 0:
					b := make([]byte, 1+r.IntN(20))
					for j := range b {
						b[j] = byte(r.Uint32())
					}
					name = string(b)
				}
				ref := actor.Receiver(root, func(*actor.Tasklet, int) error { return nil })
				ref.Tasklet().SetLabel("kind", name)
				require.NoError(t, ref.Send(root, 1))
			}
			root.Sleep(time.Second)
			name := ""
			for range 2 {
				kinds := map[string]bool{}
				var count, calls, depth float64
				all := s.scrape()
				for _, x := range all {
					for k := range x.labels {
						require.NotContains(t, k, "overflow")
					}
					if x.labels["system"] == "plain" && sysName != "plain" {
						continue
					}
					name = x.labels["system"]
					switch x.name {
					case "tasklet_tasklets":
						kinds[x.labels["kind"]] = true
						count += x.value
					case "tasklet_handler_calls_total":
						calls += x.value
					case "tasklet_mailbox_depth":
						depth += x.value
					}
				}
				require.EqualValues(t, n+1, count)
				require.EqualValues(t, n, calls)
				require.Zero(t, depth)
				require.True(t, kinds["other"])
				require.LessOrEqual(t, len(kinds), otelactor.MaxKinds+1)
				if sysName == "plain" {
					require.True(t, kinds[`new\nline`], "%v", kinds)
				}
				perName := map[string]int{}
				for _, x := range all {
					perName[x.name]++
				}
				for name, n := range perName {
					require.Less(t, n, otelactor.MaxSets, name)
				}
			}
			require.NotEmpty(t, name)
		})
	}
}

// Room that another system leaves is not given to a kind that was counted as "other", because
// the numbers of "other" would fall.
func TestOtherStaysOther(t *testing.T) {
	s := newScraper(t)
	var greedy *actor.System
	run(t, actor.Config{Name: "greedy"}, func(root *actor.Tasklet) {
		greedy = root.System()
		require.NoError(t, s.Add(greedy))
		for i := range otelactor.MaxKinds {
			actor.Receiver(root, func(*actor.Tasklet, int) error { return nil }).Tasklet().SetLabel("kind", fmt.Sprint("kind", i))
		}
		s.scrape()
	})
	require.Zero(t, s.Free())
	run(t, actor.Config{Name: "late", Measure: true}, func(root *actor.Tasklet) {
		require.NoError(t, s.Add(root.System()))
		ref := actor.Receiver(root, func(*actor.Tasklet, int) error { return nil })
		for i := range 3 {
			require.NoError(t, ref.Send(root, 1))
			root.Sleep(time.Second)
			all := s.scrape()
			require.EqualValues(t, i+1, s.value(all, "tasklet_handler_calls_total", "system", "late", "kind", "other"))
			_, found := find(all, "tasklet_handler_calls_total", "system", "late", "kind", "receiver")
			require.False(t, found)
			s.Remove(greedy)
		}
		require.Equal(t, otelactor.MaxKinds, s.Free())
	})
}

// The worst case of all systems together stays below the limit of the SDK, for each instrument.
func TestSetsAreBounded(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	m, err := otelactor.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	require.NoError(t, err)
	defer m.Close()
	kinds := []event.Kind{}
	for i := range 100 {
		kinds = append(kinds, event.New(fmt.Sprint("hostile_", i), zap.DebugLevel))
	}
	for i := range otelactor.MaxSystems {
		run(t, actor.Config{Name: fmt.Sprint("system", i), Measure: true}, func(root *actor.Tasklet) {
			require.NoError(t, m.Add(root.System()))
			for j := range 70 {
				ref := actor.Receiver(root, func(*actor.Tasklet, int) error { return nil })
				ref.Tasklet().SetLabel("kind", fmt.Sprint("kind", j))
				require.NoError(t, ref.Send(root, 1))
			}
			for _, k := range kinds {
				root.System().Emit(actor.EventRecord{Kind: k, Tasklet: root})
			}
			for k := 64; k < 256; k++ {
				root.System().Emit(actor.EventRecord{Kind: event.Kind(k), Tasklet: root})
			}
			root.Sleep(time.Second)
			var rm metricdata.ResourceMetrics
			require.NoError(t, reader.Collect(context.Background(), &rm))
			for name, n := range sets(t, &rm) {
				require.Less(t, n, otelactor.MaxSets, name)
			}
		})
	}
}

// While tasklets of many kinds come and go, no counter ever falls, whoever reads.
func TestCountersGrow(t *testing.T) {
	s := newScraper(t)
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop(), Schedulers: 2, Measure: true})
	require.NoError(t, err)
	require.NoError(t, s.Add(sys))
	const rounds = 30
	done := make(chan struct{})
	actor.Go(sys, func(t *actor.Tasklet) error {
		for i := 0; ; i++ {
			select {
			case <-done:
				return nil
			default:
			}
			ref := actor.Receiver(t, func(t *actor.Tasklet, i int) error {
				if i%5 == 0 {
					return errors.New("no")
				}
				return nil
			}, actor.Spread())
			ref.Tasklet().SetLabel("kind", fmt.Sprint("kind ", i%100))
			for range 5 {
				_ = ref.Send(t, i)
			}
			if i%3 == 0 {
				ref.Tasklet().Kill()
			} else {
				ref.Close()
			}
			t.Yield()
		}
	})
	last := map[string]float64{}
	for range rounds {
		for _, x := range s.scrape() {
			if !strings.HasSuffix(x.name, "_total") {
				continue
			}
			key := fmt.Sprint(x.name, x.labels)
			require.GreaterOrEqual(t, x.value, last[key], key)
			last[key] = x.value
		}
	}
	close(done)
	require.NoError(t, sys.Stop(context.Background()))
}

// Readers collect at the same time, while systems come and go.
func TestTwoReaders(t *testing.T) {
	readers := []*sdkmetric.ManualReader{sdkmetric.NewManualReader(), sdkmetric.NewManualReader()}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(readers[0]), sdkmetric.WithReader(readers[1]))
	m, err := otelactor.NewMetrics(provider)
	require.NoError(t, err)
	var systems []*actor.System
	for i := range 3 {
		sys, err := actor.Start(actor.Config{Name: fmt.Sprint("s", i), Logger: zap.NewNop(), Measure: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, sys.Stop(context.Background())) }()
		systems = append(systems, sys)
		actor.Interval(sys, 100*time.Microsecond, func(*actor.Tasklet) error { return nil })
	}
	require.NoError(t, m.Add(systems[0]))
	var wg sync.WaitGroup
	for _, r := range readers {
		wg.Go(func() {
			for range 100 {
				var rm metricdata.ResourceMetrics
				if err := r.Collect(context.Background(), &rm); err != nil {
					t.Error(err)
				}
				n := sets(t, &rm)
				if n["tasklet.started"] < 1 || n["tasklet.started"] > 3 {
					t.Errorf("%d systems", n["tasklet.started"])
				}
			}
		})
	}
	for _, sys := range systems[1:] {
		wg.Go(func() {
			for range 200 {
				if err := m.Add(sys); err != nil {
					t.Error(err)
				}
				m.Remove(sys)
			}
		})
	}
	wg.Wait()
	require.NoError(t, m.Close())
}

// A panic in a collection ends neither the program nor the collection, and is reported.
func TestPanic(t *testing.T) {
	var reported atomic.Value
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if !strings.Contains(err.Error(), "otelactor") {
			return // the SDK's own: a collection that Shutdown cancels is an error of its reader
		}
		reported.Store(err.Error())
		panic("in the handler too")
	}))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	exported := make(chan int, 100)
	periodic := sdkmetric.NewPeriodicReader(exporter{exported}, sdkmetric.WithInterval(time.Millisecond))
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(periodic))
	m, err := otelactor.NewMetrics(provider)
	require.NoError(t, err)
	var systems []*actor.System
	for _, name := range []string{"bad", "good"} {
		sys, err := actor.Start(actor.Config{Name: name, Logger: zap.NewNop()})
		require.NoError(t, err)
		defer func() { require.NoError(t, sys.Stop(context.Background())) }()
		systems = append(systems, sys)
	}
	for _, sys := range systems {
		require.NoError(t, m.Add(sys))
	}
	m.BeforeTell(systems[0], func() { panic("boom") })
	for <-exported != 1 {
	}
	for range 3 {
		require.Equal(t, 1, <-exported, "the system that can be read is missing")
	}
	require.Contains(t, reported.Load(), "otelactor: reading system bad panicked: boom\n")
	require.Contains(t, reported.Load(), "source.go")
	m.BeforeTell(systems[0], nil)
	for <-exported != 2 {
	}
	require.NoError(t, m.Close())
	require.NoError(t, provider.Shutdown(context.Background()))
}

// exporter sends the number of systems of each export.
type exporter struct{ systems chan int }

func (exporter) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

func (exporter) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (e exporter) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	n := 0
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == "tasklet.started" {
				n = len(m.Data.(metricdata.Sum[int64]).DataPoints)
			}
		}
	}
	select {
	case e.systems <- n:
	default:
	}
	return nil
}

func (exporter) ForceFlush(context.Context) error { return nil }
func (exporter) Shutdown(context.Context) error   { return nil }
