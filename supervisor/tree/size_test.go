package tree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// An entry of the tree, whatever wrote it.
type treeEntry struct {
	Tasklets, Idle int
	Text           string
	Tree           []map[string]any
	Folded         []map[string]any
}

func (e *treeEntry) counted() int {
	n := len(e.Tree)
	for _, f := range e.Folded {
		n += int(f["count"].(float64))
	}
	return n
}

// sinks are the four ways in which a program has its log.
func sinks() map[string]func() (*zap.Logger, *bytes.Buffer) {
	return map[string]func() (*zap.Logger, *bytes.Buffer){
		"json":    jsonLog,
		"console": console,
		"slog json": func() (*zap.Logger, *bytes.Buffer) {
			var b bytes.Buffer
			return zap.New(actor.SlogCore(slog.NewJSONHandler(&b, nil))), &b
		},
		"slog text": func() (*zap.Logger, *bytes.Buffer) {
			var b bytes.Buffer
			return zap.New(actor.SlogCore(slog.NewTextHandler(&b, nil))), &b
		},
	}
}

// requireEntry checks an entry in JSON: it counts all places, and its size is bounded.
func requireEntry(t *testing.T, out []byte, places, limit int) treeEntry {
	t.Helper()
	require.LessOrEqual(t, len(out), limit)
	require.Equal(t, 1, bytes.Count(out, []byte("\n")))
	requireKeysOnce(t, string(out))
	var e treeEntry
	require.NoError(t, json.Unmarshal(out, &e))
	require.Equal(t, places, e.counted(), "what is not shown is counted")
	return e
}

// An entry has at most 8 KiB, however large the tree is, and whatever names, labels and errors a
// program has got from its users. All that need attention come before all that do not.
func TestEntrySize(t *testing.T) {
	for name, hostile := range map[string]string{
		"long":    strings.Repeat("x", 5000),
		"html":    strings.Repeat("<&>", 2000),
		"quotes":  strings.Repeat(`"\`, 3000),
		"lines":   strings.Repeat("\n{\"event\":\"exit\"}\r\x1b[2J\u2028", 300),
		"unicode": strings.Repeat("界\U0001f525", 1000),
		"invalid": strings.Repeat("\xff\xfe", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			runWith(t, actor.Config{Name: "app", Seed: 1}, func(t0 *actor.Tasklet) {
				body := actor.GoBody(func(t *actor.Tasklet) error {
					for i := range 100 {
						t.SetLabel(strconv.Itoa(i)+hostile, hostile)
						t.SetLabel(hostile[:60]+strconv.Itoa(i), hostile)
					}
					t.Sleep(time.Second)
					return errors.New(hostile)
				})
				spec := supervisor.Spec{Name: hostile, Intensity: 100, Backoff: supervisor.Backoff{Min: time.Hour}}
				for i := range 30 {
					spec.Children = append(spec.Children, supervisor.Child{ID: strconv.Itoa(i) + hostile, Body: body})
				}
				s := start(t0, spec)
				for range 2 {
					for kind, sink := range sinks() {
						logger, out := sink()
						tree.Log(logger, s.Tasklet())
						require.LessOrEqual(t, out.Len(), 8<<10, kind)
						require.Greater(t, out.Len(), 1<<10, kind)
						if strings.HasSuffix(kind, "json") {
							requireEntry(t, out.Bytes(), 31, 8<<10)
						}
					}
					t0.Sleep(2 * time.Second) // then all children wait for their restarts
				}
			})
		})
	}
}

// A hundred thousand children are no more than an entry, and the few with a problem are in it.
func TestEntryOfManyChildren(t *testing.T) {
	runWith(t, actor.Config{Name: "app", Seed: 1}, func(t0 *actor.Tasklet) {
		n := 100_000
		if testing.Short() {
			n = 5_000
		}
		var waiting actor.Ref[int]
		s := start(t0, supervisor.Spec{Name: "many", Intensity: 3, Backoff: supervisor.Backoff{Min: time.Hour}})
		for i := range n {
			ref := actor.NewRef[int](actor.MailboxLen(2))
			c := supervisor.Child{ID: fmt.Sprint("child-", i), Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
				if m == 13 {
					return errors.New("unlucky")
				}
				t.Sleep(time.Hour)
				return nil
			})}
			_, err := s.StartChild(t0, c)
			require.NoError(t, err)
			switch i {
			case n / 2:
				_ = ref.Send(t0, 13)
			case n - 1:
				waiting = ref
			}
		}
		for range 3 {
			require.NoError(t, waiting.Send(t0, 1))
			t0.Yield()
		}
		t0.Sleep(time.Second)
		for kind, sink := range sinks() {
			logger, out := sink()
			tree.Log(logger, s.Tasklet())
			require.LessOrEqual(t, out.Len(), 8<<10, kind)
			require.Greater(t, out.Len(), 4<<10, "%s: room is used", kind)
			require.Contains(t, out.String(), fmt.Sprint("child-", n/2), kind)
			require.Contains(t, out.String(), fmt.Sprint("child-", n-1), kind)
			if strings.HasSuffix(kind, "json") {
				e := requireEntry(t, out.Bytes(), n+1, 8<<10)
				require.Equal(t, "restarting", e.Tree[0]["state"])
				require.Equal(t, true, e.Tree[1]["full"])
				require.EqualValues(t, 0, e.Tree[2]["depth"])
			}
		}

		logger, out := jsonLog()
		tree.Log(logger, s.Tasklet(), tree.MaxRows(5))
		e := requireEntry(t, out.Bytes(), n+1, 4<<10)
		require.Len(t, e.Tree, 4)
		require.Len(t, e.Folded, 1)

		logger, out = jsonLog()
		tree.Log(logger, s.Tasklet(), tree.MaxBytes(0), tree.MaxRows(300))
		e = requireEntry(t, out.Bytes(), n+1, 1<<20)
		require.Len(t, e.Tree, 299)

		logger, out = jsonLog()
		tree.Log(logger, s.Tasklet(), tree.MaxBytes(3000))
		requireEntry(t, out.Bytes(), n+1, 3000)
	})
}

// The idle children of a pool are one line, however few they are. Those that need attention or do
// something are shown.
func TestIdleChildrenOfAPool(t *testing.T) {
	runWith(t, actor.Config{Name: "app", Seed: 1}, func(t0 *actor.Tasklet) {
		refs := map[string]actor.Ref[int]{}
		p := startPool(t0, supervisor.PoolSpec[string]{Name: "workers", Child: func(id string) supervisor.Child {
			refs[id] = actor.NewRef[int](actor.MailboxLen(4))
			return supervisor.Child{ID: id, Body: actor.ReceiverBody(refs[id], func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil })}
		}})
		for _, id := range []string{"a", "b"} {
			_, err := p.Start(t0, id)
			require.NoError(t, err)
		}
		require.NoError(t, refs["a"].Send(t0, 1))
		t0.Sleep(time.Second)
		require.NotContains(t, text(p.Tasklet()), "more", "one idle child is a line as well")
		for i := range 9 {
			_, err := p.Start(t0, fmt.Sprint("w", i))
			require.NoError(t, err)
		}
		t0.Sleep(time.Second)
		require.Equal(t, `supervision tree  system=app tasklets=12 restarts=0 stalled=0
workers  pool 11                    up 2s  restarts 0/1 in 5s
└─ a     receiver  sleeping 1h0m  mailbox 0/4  handled 1
(+10 more under workers, all idle)
`, strings.ReplaceAll(text(p.Tasklet()), "59m58s", "1h0m  "[:4]))
		logger, out := jsonLog()
		tree.Log(logger, p.Tasklet())
		e := requireEntry(t, out.Bytes(), 12, 2<<10)
		require.Len(t, e.Tree, 2)
		require.EqualValues(t, 10, e.Folded[0]["idle"])
	})
}

// With AsText an entry in JSON has the text of Write as one string.
func TestEntryAsText(t *testing.T) {
	runWith(t, actor.Config{Name: "app", Seed: 1}, func(t0 *actor.Tasklet) {
		s := start(t0, supervisor.Spec{Name: "top", Children: []supervisor.Child{
			{ID: "a\n└─ b  STALLED", Body: actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil })},
		}})
		want := text(s.Tasklet())
		require.Equal(t, 3, strings.Count(want, "\n"))
		for kind, sink := range sinks() {
			logger, out := sink()
			tree.Log(logger, s.Tasklet(), tree.AsText())
			switch kind {
			case "console":
				require.Contains(t, out.String(), want)
			case "slog text":
				require.Contains(t, out.String(), "text="+strconv.Quote(strings.TrimSuffix(want, "\n")))
			default:
				var e treeEntry
				require.NoError(t, json.Unmarshal(out.Bytes(), &e))
				require.Equal(t, want, e.Text+"\n", kind)
				require.Empty(t, e.Tree)
				require.Equal(t, 2, e.Tasklets)
			}
			if kind != "console" {
				require.Equal(t, 1, strings.Count(out.String(), "\n"), kind)
			}
		}
	})
}
