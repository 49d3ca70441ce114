package otelactor_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/otelactor"
	"github.com/gotasklet/tasklet/supervisor"
)

// everything scrapes a system that has a value of each metric.
func everything(t *testing.T) []sample {
	s := newScraper(t)
	sys, err := actor.Start(actor.Config{Name: "shop", Measure: true, Logger: zap.NewNop()})
	require.NoError(t, err)
	require.NoError(t, s.Add(sys))
	clusters.Store(sys, twoNodes())
	_, err = supervisor.Start(sys, supervisor.Spec{
		Intensity: 1,
		Children:  []supervisor.Child{{ID: "a", Body: actor.GoBody(func(*actor.Tasklet) error { return errors.New("no") })}},
	})
	require.NoError(t, err)
	r := actor.Receiver(sys, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Millisecond); return nil })
	require.NoError(t, r.Send(context.Background(), 1))
	require.NoError(t, actor.Go(sys, func(t *actor.Tasklet) error { t.Sleep(50 * time.Millisecond); return nil }).Join(context.Background()))
	all := s.scrape()
	require.NoError(t, sys.Stop(context.Background()))
	return all
}

func read(tb testing.TB, name string) string {
	text, err := os.ReadFile(name)
	require.NoError(tb, err)
	return string(text)
}

// labelsOf returns the labels of each metric.
func labelsOf(all []sample) map[string][]string {
	labels := map[string][]string{}
	for _, x := range all {
		for l := range x.labels {
			if !slices.Contains(labels[x.name], l) {
				labels[x.name] = append(labels[x.name], l)
			}
		}
	}
	for _, ls := range labels {
		slices.Sort(ls)
	}
	return labels
}

// The table of docs/metrics.md has all instruments, with the names that Prometheus sees.
func TestMetricsTable(t *testing.T) {
	guide := read(t, "../../docs/metrics.md")
	all := everything(t)
	labels := labelsOf(all)
	for _, x := range all {
		if reason := x.labels["reason"]; reason != "" {
			require.Contains(t, guide, "`"+reason+"`", "the reasons of %s", x.name)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| `(tasklet\\.[a-z._]+)` \\| `(tasklet_[a-z_]+)` \\| ([a-z -]+) \\| ([^ ]+) \\|(?: ([a-z, ]+))? \\| .* \\| `(.*)` \\|$").
		FindAllStringSubmatch(guide, -1)
	var documented []otelactor.Instrument
	seen := map[string]bool{}
	for _, r := range rows {
		var attributes []string
		if r[5] != "" {
			attributes = strings.Split(r[5], ", ")
		}
		documented = append(documented, otelactor.Instrument{Name: r[1], Unit: r[4], Form: r[3], Attributes: attributes})
		want := append([]string{"system"}, attributes...)
		slices.Sort(want)
		require.Equal(t, want, labels[r[2]], "the labels of %s", r[2])
		require.Contains(t, r[6], r[2], "the query")
		seen[r[2]] = true
	}
	require.Equal(t, otelactor.Instruments(), documented)
	for name := range labels {
		require.True(t, seen[name], "%s is not documented", name)
	}
	for _, name := range []string{"68 kinds", "8 systems", "200 schedulers and 200 kinds of events"} {
		require.Contains(t, guide, name)
	}
	require.Equal(t, 68, otelactor.MaxKinds)
	require.Equal(t, 8, otelactor.MaxSystems)
	require.Equal(t, 200, otelactor.MaxEach)
}

// All queries of the guide, and of the dashboard, ask for metrics and labels that are there.
func TestQueries(t *testing.T) {
	labels := labelsOf(everything(t))
	var queries []string
	for _, q := range regexp.MustCompile("(?m)^\\|.*\\| `([^|`]*(?:\\\\\\|[^|`]*)*tasklet_[^`]*)` \\|").FindAllStringSubmatch(read(t, "../../docs/metrics.md"), -1) {
		queries = append(queries, strings.ReplaceAll(q[1], `\|`, "|"))
	}
	for _, q := range regexp.MustCompile("(?m)^    (.*tasklet_.*)$").FindAllStringSubmatch(read(t, "../../docs/metrics.md"), -1) {
		queries = append(queries, q[1])
	}
	require.Greater(t, len(queries), 26)
	fromGuide := len(queries)

	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name, Type string
				Definition string
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "grafana.json")), &dashboard))
	for _, p := range dashboard.Panels {
		if p.Type != "row" {
			require.NotEmpty(t, p.Targets, p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	used := map[string]bool{}
	for _, q := range queries[fromGuide:] {
		for _, name := range metricName.FindAllString(q, -1) {
			used[name] = true
		}
	}
	for name := range labels {
		require.True(t, used[name], "the dashboard does not show %s", name)
	}
	for _, v := range dashboard.Templating.List {
		if v.Type == "query" {
			m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Definition)
			require.NotNil(t, m, v.Definition)
			require.Contains(t, labels[m[1]], m[2])
		}
	}
	for _, q := range queries {
		checkQuery(t, labels, q)
	}
	// The check finds what is wrong.
	for _, bad := range []string{"tasklet_nothing", `tasklet_tasklets{kid="a"}`, "sum by (reason) (tasklet_tasklets)", "sum(tasklet_tasklets", "rate(tasklet_tasklets[5m])", "tasklet_started_total"} {
		require.NotEmpty(t, wrong(labels, bad), bad)
	}
}

var (
	metricName = regexp.MustCompile(`\btasklet_[a-z_]+`)
	selector   = regexp.MustCompile(`(tasklet_[a-z_]+)\{([^}]*)\}`)
	grouping   = regexp.MustCompile(`\b(?:by|without) \(([^)]*)\)`)
	ranged     = regexp.MustCompile(`(\w*)\((tasklet_[a-z_]+)(?:\{[^}]*\})?(\[)?`)
)

func checkQuery(tb testing.TB, labels map[string][]string, q string) {
	tb.Helper()
	require.Empty(tb, wrong(labels, q), q)
}

// wrong returns what is wrong with a query, or "".
func wrong(labels map[string][]string, q string) string {
	for _, pair := range []string{"()", "[]", "{}"} {
		if strings.Count(q, pair[:1]) != strings.Count(q, pair[1:]) {
			return pair
		}
	}
	names := metricName.FindAllString(q, -1)
	if len(names) == 0 {
		return "no metric"
	}
	for _, name := range names {
		if labels[name] == nil {
			return "there is no " + name
		}
	}
	for _, m := range selector.FindAllStringSubmatch(q, -1) {
		for _, match := range strings.Split(m[2], ",") {
			label := regexp.MustCompile(`^\w+`).FindString(match)
			if !slices.Contains(labels[m[1]], label) {
				return m[1] + " has no label " + label
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(q, -1) {
		for _, label := range strings.Split(m[1], ", ") {
			for _, name := range names {
				if !slices.Contains(labels[name], label) {
					return name + " has no label " + label
				}
			}
		}
	}
	// A counter is read with a range, and nothing else is.
	counters := 0
	for _, m := range ranged.FindAllStringSubmatch(q, -1) {
		over := m[1] == "rate" || m[1] == "increase"
		if (over || strings.HasSuffix(m[1], "_over_time")) != (m[3] == "[") || over != strings.HasSuffix(m[2], "_total") {
			return m[0]
		}
		if over {
			counters++
		}
	}
	if counters != strings.Count(q, "_total") {
		return "a counter without rate or increase"
	}
	return ""
}

// The Go blocks of the guides are in the examples.
func TestGuides(t *testing.T) {
	program := strings.ReplaceAll(read(t, "example_test.go"), "\t", "")
	for name, n := range map[string]int{"metrics.md": 2, "tracing.md": 6} {
		blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(read(t, "../../docs/"+name), -1)
		require.Len(t, blocks, n, name)
		for _, b := range blocks {
			require.Contains(t, program, strings.ReplaceAll(b[1], "\t", ""), "in %s, and not here", name)
		}
	}
}
