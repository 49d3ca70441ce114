#!/bin/sh
# go.opentelemetry.io/otel/sdk/metric v1.47.0, periodic_reader.go (collectAndExport): one error of a callback throws a whole export away.
#
# Guessed: a callback that returns an error loses at most its own observations. What it has observed, and all other instruments, are
# exported, and the error goes to the error handler.
# Is: the data is collected whole, the observations of the failed callback included, and the periodic reader then exports nothing of
# it, not even the other instruments, because the collection also gave an error. The same data collected by a manual reader is there.
# Seen: "collected by hand: 2 metrics; exported by the periodic reader: 0 metrics; after the error is gone: 2 metrics".
# So a callback of a library never returns an error: it reports it by otel.Handle and returns nil.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

type exporter struct{ metrics int }

func (*exporter) Temporality(sdk.InstrumentKind) metricdata.Temporality { return metricdata.CumulativeTemporality }
func (*exporter) Aggregation(k sdk.InstrumentKind) sdk.Aggregation      { return sdk.DefaultAggregationSelector(k) }
func (*exporter) ForceFlush(context.Context) error                      { return nil }
func (*exporter) Shutdown(context.Context) error                        { return nil }

func count(m *metricdata.ResourceMetrics) (n int) {
	for _, s := range m.ScopeMetrics {
		n += len(s.Metrics)
	}
	return n
}

func (e *exporter) Export(_ context.Context, m *metricdata.ResourceMetrics) error {
	e.metrics = count(m)
	return nil
}

func main() {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	ctx, out, byHand := context.Background(), new(exporter), sdk.NewManualReader()
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewPeriodicReader(out, sdk.WithInterval(time.Hour))), sdk.WithReader(byHand))
	meter := provider.Meter("finding")
	requests, _ := meter.Int64Counter("requests")
	requests.Add(ctx, 1)
	depth, _ := meter.Int64ObservableGauge("depth")
	failure := errors.New("one of two queues cannot be read")
	meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(depth, 7)
		return failure
	}, depth)

	var data metricdata.ResourceMetrics
	byHand.Collect(ctx, &data)
	fmt.Print("collected by hand: ", count(&data), " metrics; ")
	provider.ForceFlush(ctx)
	fmt.Print("exported by the periodic reader: ", out.metrics, " metrics; ")
	failure = nil
	provider.ForceFlush(ctx)
	fmt.Println("after the error is gone:", out.metrics, "metrics")
}
GO
go mod init finding >/dev/null 2>&1
go get go.opentelemetry.io/otel@v1.47.0 go.opentelemetry.io/otel/sdk/metric@v1.47.0 >/dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = "collected by hand: 2 metrics; exported by the periodic reader: 0 metrics; after the error is gone: 2 metrics" ]
