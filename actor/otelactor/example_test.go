package otelactor_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/otelactor"
	"github.com/gotasklet/tasklet/scheduler"
)

// serveMetrics reports systems to Prometheus.
func serveMetrics(mux *http.ServeMux) (*otelactor.Metrics, error) {
	registry := prom.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry), prometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return otelactor.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter)))
}

func ExampleNewMetrics() {
	mux := http.NewServeMux()
	metrics, err := serveMetrics(mux)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer metrics.Close()
	cfg := actor.Config{Name: "shop", Measure: true, Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})}
	_ = actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		if err := metrics.Add(t.System()); err != nil {
			return err
		}
		orders := actor.Receiver(t, func(t *actor.Tasklet, ms int) error {
			t.Sleep(time.Duration(ms) * time.Millisecond)
			return nil
		})
		orders.Tasklet().SetLabel("kind", "orders")
		for _, ms := range []int{10, 20, 400, 1000, 10} {
			_ = orders.Send(t, ms)
		}
		t.Sleep(time.Second)

		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
		for line := range strings.Lines(answer.Body.String()) {
			if strings.HasPrefix(line, "tasklet_handler_calls") || strings.HasPrefix(line, "tasklet_mailbox_depth") {
				fmt.Print(line)
			}
		}
		return nil
	})
	// Output:
	// tasklet_handler_calls_total{kind="orders",system="shop"} 3
	// tasklet_mailbox_depth{kind="orders",system="shop"} 1
}

// request is a message that carries the trace that it is a part of.
type request struct {
	otelactor.Trace
	article string
	reply   actor.Reply[int]
}

// prices is the handler of a tasklet that knows prices.
func prices(t *actor.Tasklet, r request) error {
	if r.article != "tea" {
		return r.reply.Fail(t, fmt.Errorf("there is no %s", r.article))
	}
	return r.reply.Send(t, 250)
}

// traced returns the configuration of a system with spans around its handlers.
func traced(tracer *otelactor.Tracer) actor.Config {
	return actor.Config{Name: "shop", Around: tracer.Around, Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})}
}

func ExampleTracer() {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	tracer := otelactor.NewTracer(provider)
	_ = actor.Run(context.Background(), traced(tracer), func(t *actor.Tasklet) error {
		orders := actor.Receiver(t, prices)
		return tracer.Root(t, "checkout", func(ctx context.Context) error {
			_, err := otelactor.Call(ctx, tracer, orders, func(reply actor.Reply[int], trace otelactor.Trace) request {
				return request{trace, "coffee", reply}
			})
			return err
		})
	})
	parents := map[string]string{"0000000000000000": "-"}
	for _, s := range spans.GetSpans() {
		parents[s.SpanContext.SpanID().String()] = s.Name
	}
	for _, s := range spans.GetSpans() {
		fmt.Printf("%s, in %s: %s\n", s.Name, parents[s.Parent.SpanID().String()], cmp.Or(s.Status.Description, "ok"))
	}
	// Output:
	// handle otelactor_test.request, in call otelactor_test.request: ok
	// call otelactor_test.request, in checkout: there is no coffee
	// checkout, in -: there is no coffee
}

func ExampleTracer_Do() {
	spans := tracetest.NewInMemoryExporter()
	tracer := otelactor.NewTracer(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	_ = actor.Run(context.Background(), traced(tracer), func(t *actor.Tasklet) error {
		orders := actor.Receiver(t, func(t *actor.Tasklet, r request) error {
			return tracer.Do(t.Context(), "store", func(ctx context.Context) error {
				_, err := actor.Await(ctx, func(context.Context) (struct{}, error) { return struct{}{}, os.ErrDeadlineExceeded })
				return err
			})
		})
		_ = tracer.Root(t, "checkout", func(ctx context.Context) error {
			return orders.Send(ctx, request{Trace: otelactor.TraceOf(ctx)})
		})
		_ = orders.Send(t, request{}) // without a trace, so without spans
		t.Sleep(time.Second)
		return nil
	})
	for _, s := range spans.GetSpans() {
		fmt.Printf("%s: %s\n", s.Name, cmp.Or(s.Status.Description, "ok"))
	}
	// Output:
	// checkout: ok
	// store: i/o timeout
	// handle otelactor_test.request: i/o timeout
}

// named is a message with a trace that is not embedded.
type named struct{ trace otelactor.Trace }

func (m named) Carry(ctx context.Context) context.Context { return m.trace.Carry(ctx) }

func ExampleTrace() {
	_ = actor.Run(context.Background(), actor.Config{Clock: scheduler.NewVirtualClock(time.Time{})}, func(t *actor.Tasklet) error {
		orders := actor.Receiver(t, func(t *actor.Tasklet, m named) error {
			fmt.Printf("%x\n", otelactor.TraceOf(t.Context()).TraceID)
			return nil
		})
		trace := otelactor.Trace{TraceID: [16]byte{15: 7}, SpanID: [8]byte{7: 1}, TraceFlags: 1}
		_ = orders.Send(t, named{trace})
		t.Sleep(time.Second)
		return nil
	})
	// Output: 00000000000000000000000000000007
}
