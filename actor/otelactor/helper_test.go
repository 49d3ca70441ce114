package otelactor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/otelactor"
	"github.com/gotasklet/tasklet/scheduler"
)

// scraper is a Metrics with an endpoint for Prometheus.
type scraper struct {
	*otelactor.Metrics
	tb     testing.TB
	server *httptest.Server
}

func newScraper(tb testing.TB) *scraper {
	tb.Helper()
	registry := prom.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry))
	require.NoError(tb, err)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	m, err := otelactor.NewMetrics(provider)
	require.NoError(tb, err)
	s := &scraper{m, tb, httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))}
	tb.Cleanup(func() {
		s.server.Close()
		require.NoError(tb, m.Close())
		require.NoError(tb, provider.Shutdown(context.Background()))
	})
	return s
}

// text scrapes, and returns the answer.
func (s *scraper) text() string {
	s.tb.Helper()
	resp, err := http.Get(s.server.URL)
	require.NoError(s.tb, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.tb, err)
	require.Equal(s.tb, 200, resp.StatusCode, "%s", body)
	return string(body)
}

// sample is one line of a scrape.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// scrape scrapes, and returns the samples of Tasklet without the labels of the scope.
func (s *scraper) scrape() (all []sample) {
	s.tb.Helper()
	seen := map[string]bool{}
	lines := bufio.NewScanner(strings.NewReader(s.text()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "tasklet_") {
			continue
		}
		x := parse(s.tb, lines.Text())
		for l := range x.labels {
			if strings.HasPrefix(l, "otel_scope_") {
				delete(x.labels, l)
			}
		}
		key := fmt.Sprint(x.name, x.labels)
		require.False(s.tb, seen[key], "%s is there twice", key)
		seen[key] = true
		all = append(all, x)
	}
	return all
}

// parse parses a line of Prometheus' text format.
func parse(tb testing.TB, line string) sample {
	tb.Helper()
	name, rest, found := strings.Cut(line, "{")
	require.True(tb, found, "%s", line)
	x := sample{name: name, labels: map[string]string{}}
	for !strings.HasPrefix(rest, "}") {
		key, more, found := strings.Cut(rest, "=")
		require.True(tb, found, "%s", line)
		quoted, err := strconv.QuotedPrefix(more)
		require.NoError(tb, err, "%s", line)
		x.labels[key], err = strconv.Unquote(quoted)
		require.NoError(tb, err, "%s", line)
		rest = strings.TrimPrefix(more[len(quoted):], ",")
	}
	var err error
	x.value, err = strconv.ParseFloat(strings.TrimSpace(rest[1:]), 64)
	require.NoError(tb, err, "%s", line)
	return x
}

// value returns the value of the sample with a name and labels, which are pairs of a key and a
// value. The label system may be left out.
func (s *scraper) value(all []sample, name string, labels ...string) float64 {
	s.tb.Helper()
	v, ok := find(all, name, labels...)
	require.True(s.tb, ok, "there is no %s %v", name, labels)
	return v
}

func find(all []sample, name string, labels ...string) (float64, bool) {
next:
	for _, x := range all {
		if x.name != name {
			continue
		}
		for i := 0; i < len(labels); i += 2 {
			if x.labels[labels[i]] != labels[i+1] {
				continue next
			}
		}
		return x.value, true
	}
	return 0, false
}

// run runs main as the root of a system on a virtual clock.
func run(tb testing.TB, cfg actor.Config, main func(t *actor.Tasklet)) {
	tb.Helper()
	require.NoError(tb, actor.Run(context.Background(), virtual(cfg), func(t *actor.Tasklet) error { main(t); return nil }))
}

// virtual returns cfg with a virtual clock, and without a log unless it has one.
func virtual(cfg actor.Config) actor.Config {
	cfg.Clock = scheduler.NewVirtualClock(time.Time{})
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	return cfg
}
