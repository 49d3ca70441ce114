// Package otelactor reports the numbers of systems as metrics of OpenTelemetry, and makes spans for
// handlers. It is a module of its own, so that the library does not depend on OpenTelemetry, and
// needs only the API of OpenTelemetry: the program brings the SDK and an exporter.
//
// # Metrics
//
// A [Metrics] reports to a meter provider. Each system is added once it has started:
//
//	exporter, err := prometheus.New()
//	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
//	metrics, err := otelactor.NewMetrics(provider)
//	err = actor.Run(ctx, actor.Config{Name: "shop", Measure: true}, func(t *actor.Tasklet) error {
//		if err := metrics.Add(t.System()); err != nil {
//			return err
//		}
//		...
//	})
//
// docs/metrics.md lists the metrics. They are read when a reader of the provider collects, from
// counters that the system has anyway, so a message costs nothing more. A collection walks over all
// tasklets without waiting for any of them, so it also works while a tasklet holds its scheduler.
// Metrics of a very large system are up to ten times as old as such a walk takes.
//
// The times of handlers and the load of schedulers need actor.Config.Measure.
//
// # Traces
//
// A [Tracer] has a hook that makes spans for handlers. The trace comes with the message, in a
// [Trace] that the message type embeds; see docs/tracing.md. Only traces that are sampled cost
// more than a look at a few words.
package otelactor
