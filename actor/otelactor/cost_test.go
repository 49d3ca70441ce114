package otelactor_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/otelactor"
)

// What is not sampled allocates nothing.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tracer := otelactor.NewTracer(sdktrace.NewTracerProvider())
	unsampled := otelactor.Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}
	main := trace.ContextWithSpanContext(context.Background(), sampledTrace().SpanContext())
	next := func(context.Context) error { return nil }
	var one any = order{Trace: unsampled}
	var many any = []order{{Trace: unsampled}, {}}
	var anys any = []any{order{Trace: unsampled}, &order{}, 5}
	runCtx(t, main, actor.Config{}, func(root *actor.Tasklet) {
		quiet := unsampled.Carry(root)
		limited, cancel := context.WithTimeout(quiet, time.Hour)
		defer cancel()
		for name, f := range map[string]func(){
			"TraceOf without a trace":    func() { otelactor.TraceOf(root) },
			"TraceOf, not sampled":       func() { otelactor.TraceOf(quiet) },
			"Carry without a trace":      func() { otelactor.Trace{}.Carry(root) },
			"Carry, not sampled":         func() { unsampled.Carry(root) },
			"Around without a trace":     func() { _ = tracer.Around(root, one, next) },
			"Around, not sampled":        func() { _ = tracer.Around(quiet, one, next) },
			"Around in a derived ctx":    func() { _ = tracer.Around(limited, one, next) },
			"Around of a batch":          func() { _ = tracer.Around(root, many, next) },
			"Around of a batch of any":   func() { _ = tracer.Around(root, anys, next) },
			"Around of an interval":      func() { _ = tracer.Around(root, nil, next) },
			"Do, not sampled":            func() { _ = tracer.Do(quiet, "x", next) },
			"Do without a trace":         func() { _ = tracer.Do(root, "x", next) },
			"TraceOf a sampled one":      func() { otelactor.TraceOf(limited) },
			"SpanContext of a sampled T": func() { _ = otelactor.Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}, TraceFlags: 1}.SpanContext() },
		} {
			require.Zero(t, testing.AllocsPerRun(100, f), name)
		}
	})
}

// A message that embeds a Trace, and is handled with a Tracer, costs what a hook costs that does
// nothing.
func TestAllocationsOfMessages(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	perMessage := func(cfg actor.Config) (n float64) {
		run(t, cfg, func(root *actor.Tasklet) {
			ref := actor.Receiver(root, func(*actor.Tasklet, order) error { return nil })
			m := order{Trace: otelactor.Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}}
			n = testing.AllocsPerRun(1000, func() { _ = ref.Send(root, m); root.Yield() })
		})
		return n
	}
	require.Zero(t, perMessage(actor.Config{}))
	nothing := func(ctx context.Context, _ any, next func(context.Context) error) error { return next(ctx) }
	tracer := otelactor.NewTracer(sdktrace.NewTracerProvider())
	require.Equal(t, perMessage(actor.Config{Around: nothing}), perMessage(actor.Config{Around: tracer.Around}))
}

type ball struct {
	n    int
	from actor.Ref[ball]
}

// pingPong returns the time for n messages between two receivers.
func pingPong(n int, cfg actor.Config, add func(*actor.System)) (took time.Duration) {
	cfg.Logger = zap.NewNop()
	_ = actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		add(t.System())
		over := false
		var a, b actor.Ref[ball]
		hit := func(me *actor.Ref[ball]) func(*actor.Tasklet, ball) error {
			return func(t *actor.Tasklet, m ball) error {
				if m.n == 0 {
					over = true
					return nil
				}
				return m.from.Send(t, ball{m.n - 1, *me})
			}
		}
		a, b = actor.Receiver(t, hit(&a)), actor.Receiver(t, hit(&b))
		begin := time.Now()
		_ = a.Send(t, ball{n, b})
		for !over {
			t.Yield()
		}
		took = time.Since(begin)
		return nil
	})
	return took
}

// BenchmarkMetrics reports the time of a message with metrics, which are collected every 100 ms,
// divided by that without: the median of interleaved pairs. The budget is 1.10.
func BenchmarkMetrics(b *testing.B) {
	reader := sdkmetric.NewManualReader()
	m, err := otelactor.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	require.NoError(b, err)
	defer m.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				var rm metricdata.ResourceMetrics
				_ = reader.Collect(context.Background(), &rm)
			}
		}
	}()
	const n, pairs = 1_000_000, 9
	for b.Loop() {
		var ratios, off []float64
		for range pairs {
			without := pingPong(n, actor.Config{}, func(*actor.System) {})
			with := pingPong(n, actor.Config{Measure: true}, func(s *actor.System) {
				if err := m.Add(s); err != nil {
					b.Error(err)
				}
			})
			ratios = append(ratios, float64(with)/float64(without))
			off = append(off, float64(without.Nanoseconds())/n)
		}
		slices.Sort(ratios)
		slices.Sort(off)
		b.ReportMetric(ratios[pairs/2], "on/off")
		b.ReportMetric(off[pairs/2], "ns/message")
	}
}

// BenchmarkCollect collects the numbers of a system of 10,000 tasklets of 10 kinds.
func BenchmarkCollect(b *testing.B) {
	reader := sdkmetric.NewManualReader()
	m, err := otelactor.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	require.NoError(b, err)
	defer m.Close()
	run(b, actor.Config{Measure: true}, func(root *actor.Tasklet) {
		require.NoError(b, m.Add(root.System()))
		for i := range 10_000 {
			r := actor.Receiver(root, func(*actor.Tasklet, int) error { return nil })
			r.Tasklet().SetLabel("kind", string(rune('a'+i%10)))
			_ = r.Send(root, 1)
		}
		root.Sleep(time.Second)
		b.ReportAllocs()
		for b.Loop() {
			var rm metricdata.ResourceMetrics
			require.NoError(b, reader.Collect(context.Background(), &rm))
		}
	})
}
