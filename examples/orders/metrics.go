package main

import (
	"net/http"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/gotasklet/tasklet/actor/otelactor"
)

// newMetrics returns the metrics of the program, and the handler that Prometheus reads them from.
func newMetrics() (*otelactor.Metrics, http.Handler, error) {
	registry := prom.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry), prometheus.WithoutScopeInfo())
	if err != nil {
		return nil, nil, err
	}
	metrics, err := otelactor.NewMetrics(sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter)))
	return metrics, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), err
}
