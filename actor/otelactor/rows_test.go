package otelactor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// The metrics are sums of the rows of the tree, of the entry of the log and of the page, at the
// same moment. Package supervisor/inspector has the test that these three say the same.
func TestMetricsAreSumsOfRows(t *testing.T) {
	s := newScraper(t)
	run(t, actor.Config{Name: "shop", Measure: true, Seed: 1}, func(root *actor.Tasklet) {
		sys := root.System()
		require.NoError(t, s.Add(sys))
		page := inspector.Handler(sys)
		crashing, full := actor.NewRef[string](), actor.NewRef[string](actor.MailboxLen(2))
		_, err := supervisor.Start(root, supervisor.Spec{
			Name: "top", Intensity: supervisor.Unlimited, Backoff: supervisor.Backoff{Min: time.Minute},
			Children: []supervisor.Child{
				{ID: "crashing", Body: actor.ReceiverBody(crashing, func(*actor.Tasklet, string) error { return errors.New("no") })},
				{ID: "full", Body: actor.ReceiverBody(full, func(t *actor.Tasklet, _ string) error { t.Sleep(time.Hour); return nil })},
				{ID: "tick", Body: actor.IntervalBody(time.Second, func(*actor.Tasklet) error { return nil })},
			},
		})
		require.NoError(t, err)
		pool, err := supervisor.StartPool(root, supervisor.PoolSpec[int]{Name: "pool", Child: func(i int) supervisor.Child {
			return supervisor.Child{ID: fmt.Sprint("idle", i), Body: actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil })}
		}})
		require.NoError(t, err)
		for i := range 30 {
			_, err := pool.Start(root, i)
			require.NoError(t, err)
		}
		daemon := actor.Receiver(root, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Minute); return nil }, actor.Daemon())
		daemon.Tasklet().SetLabel("kind", "audit")
		for range 4 {
			require.NoError(t, daemon.Send(root, 1))
			require.NoError(t, crashing.Send(root, "x"))
		}
		also := actor.Receiver(root, func(t *actor.Tasklet, _ string) error { t.Sleep(time.Hour); return nil }, actor.MailboxLen(1))
		for range 2 {
			require.NoError(t, also.Send(root, "x"))
			root.Yield()
		}
		actor.Go(root, func(t *actor.Tasklet) error {
			for range 5 {
				_ = full.Send(t, "x")
			}
			return nil
		})

		for range 5 {
			root.Sleep(700 * time.Millisecond)
			var metrics sums
			all := s.scrape()
			for _, x := range all {
				metrics.add(x)
			}

			var rows sums
			for _, r := range tree.Snapshot(sys.Root()) {
				if r.Kind == "daemons" && r.Tasklet == nil {
					continue
				}
				rows.row(r.Kind, r.State.String())
				if m := r.Mailbox; m != nil {
					rows.mailbox(r.Kind, float64(m.Len), float64(m.Waiting), m.Cap > 0 && m.Len >= m.Cap)
				}
			}
			require.Equal(t, rows, metrics)
			require.EqualValues(t, 2, rows.full["receiver"])

			var buf bytes.Buffer
			logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&buf), zap.InfoLevel))
			tree.Log(logger, sys.Root(), tree.MaxRows(1000), tree.MaxBytes(0))
			require.Equal(t, rows, jsonSums(t, buf.Bytes(), "tree", "folded"), "%s", buf.Bytes())

			request := httptest.NewRequest("GET", "/debug/tasklets/api/tasklets?rows=1000", nil)
			request.RemoteAddr, request.Host = "127.0.0.1:5000", "localhost"
			answer := httptest.NewRecorder()
			page.ServeHTTP(answer, request)
			require.Equal(t, rows, jsonSums(t, answer.Body.Bytes(), "rows", ""), "%s", answer.Body)

			var text bytes.Buffer
			require.NoError(t, tree.Write(&text, sys.Root(), tree.MaxRows(1000)))
			requireSameRows(t, text.String(), buf.Bytes())
			summary, _, _ := strings.Cut(text.String(), "\n")
			n := 0.0
			for key, count := range rows.states {
				if !strings.HasSuffix(key, " restarting") { // it has no tasklet
					n += count
				}
			}
			require.Contains(t, summary, fmt.Sprintf("tasklets=%v ", n))
			require.Contains(t, summary, fmt.Sprintf("restarts=%v ", s.value(all, "tasklet_restarts_total")))
		}
	})
}

// sums are what metrics have in common with rows, by the kind, and for states by kind and state.
type sums struct{ states, depth, deepest, full, senders map[string]float64 }

func add(m *map[string]float64, key string, v float64) {
	if *m == nil {
		*m = map[string]float64{}
	}
	(*m)[key] += v
}

func (s *sums) row(kind, state string) { add(&s.states, kind+" "+state, 1) }

func (s *sums) mailbox(kind string, n, senders float64, full bool) {
	add(&s.depth, kind, n)
	add(&s.deepest, kind, max(0, n-s.deepest[kind]))
	add(&s.senders, kind, senders)
	add(&s.full, kind, 0)
	if full {
		add(&s.full, kind, 1)
	}
}

func (s *sums) add(x sample) {
	kind := x.labels["kind"]
	switch x.name {
	case "tasklet_tasklets":
		if x.value > 0 {
			add(&s.states, kind+" "+x.labels["state"], x.value)
		}
	case "tasklet_mailbox_depth":
		add(&s.depth, kind, x.value)
	case "tasklet_mailbox_deepest":
		add(&s.deepest, kind, x.value)
	case "tasklet_mailbox_full":
		add(&s.full, kind, x.value)
	case "tasklet_mailbox_senders":
		add(&s.senders, kind, x.value)
	}
}

// jsonSums returns the sums of the rows of an object, and of its one fold.
func jsonSums(tb testing.TB, text []byte, rows, folds string) (s sums) {
	var o map[string]json.RawMessage
	require.NoError(tb, json.Unmarshal(text, &o), "%s", text)
	var folded []struct{ Count, Idle int }
	if folds != "" { // the idle children of a pool are always folded
		require.NoError(tb, json.Unmarshal(o[folds], &folded))
		require.Len(tb, folded, 1)
		require.Equal(tb, folded[0].Count, folded[0].Idle)
		for range folded[0].Idle {
			s.row("receiver", "idle")
			s.mailbox("receiver", 0, 0, false)
		}
	}
	var all []struct {
		Kind, State string
		Len         *float64 `json:"mailbox_len"`
		Cap         float64  `json:"mailbox_cap"`
		Waiting     float64  `json:"senders_waiting"`
	}
	require.NoError(tb, json.Unmarshal(o[rows], &all))
	for _, r := range all {
		if r.Kind == "daemons" {
			continue
		}
		s.row(r.Kind, r.State)
		if r.Len != nil {
			s.mailbox(r.Kind, *r.Len, r.Waiting, r.Cap > 0 && *r.Len >= r.Cap)
		}
	}
	return s
}
