package inspector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

var errBad = errors.New("bad <b>order</b>")

// shop starts a tree with something of each sort: a child in backoff, a full mailbox with a sender
// in line, a pool with many idle children, and a name.
func shop(t *actor.Tasklet) (full actor.Ref[string]) {
	crashing, full := actor.NewRef[string](), actor.NewRef[string](actor.MailboxLen(2))
	start(t, supervisor.Spec{
		Name: "shop", Intensity: supervisor.Unlimited, Backoff: supervisor.Backoff{Min: time.Minute},
		Children: []supervisor.Child{
			{ID: "crashing", Body: actor.ReceiverBody(crashing, func(*actor.Tasklet, string) error { return errBad })},
			{ID: "full", Body: actor.ReceiverBody(full, func(t *actor.Tasklet, _ string) error { return waiting(t) })},
			{ID: "waiting", Body: actor.GoBody(waiting)},
		},
	})
	pool, err := supervisor.StartPool(t, supervisor.PoolSpec[int]{Name: "pool", Child: func(i int) supervisor.Child {
		return supervisor.Child{ID: fmt.Sprint("idle", i), Body: actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil })}
	}})
	if err != nil {
		panic(err)
	}
	for i := range 300 {
		if _, err := pool.Start(t, i); err != nil {
			panic(err)
		}
	}
	_ = registry.Register(registry.Of(t.System()), "orders", full)
	_ = crashing.Send(t, "the contents of a message")
	for range 3 {
		_ = full.Send(t, "the contents of a message")
		t.Yield()
	}
	actor.Go(t, func(t *actor.Tasklet) error { return full.Send(t, "one more") }, actor.Name("sender"))
	t.Sleep(3 * time.Second)
	return full
}

var allowed = actortest.Allow(event.Exit, "/test/shop/crashing")

// lost are the events about the messages that the test leaves behind.
var lost = actortest.Allow(event.DeadLetter, "/test/shop/crashing", "/test/shop/full")

// The text, the entry of the log, the endpoint and the stream of a page show the same moment in the
// same words, because they have one source.
func TestLogAndPageSayTheSame(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		shop(t)

		var text bytes.Buffer
		require.NoError(tb, tree.Write(&text, t.System().Root()))
		require.Contains(tb, text.String(), "RESTARTING")
		require.Contains(tb, text.String(), "FULL")
		require.Contains(tb, text.String(), "more under")
		w := do(h, request(http.MethodGet, mount+"api/tree?format=text"))
		require.Equal(tb, text.String(), w.Body.String())
		require.Equal(tb, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))

		var narrow bytes.Buffer
		require.NoError(tb, tree.Write(&narrow, t.System().Root(), tree.Width(60), tree.MaxRows(10)))
		require.Equal(tb, narrow.String(), do(h, request(http.MethodGet, mount+"api/tree?format=text&width=60&rows=10")).Body.String())

		var buf bytes.Buffer
		logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&buf), zap.InfoLevel))
		tree.Log(logger, t.System().Root(), tree.MaxBytes(0))
		entry := object(tb, buf.Bytes())
		page := get(tb, h, "tree")
		for key, want := range entry {
			switch key {
			case "level", "ts", "msg", "event", "tree", "folded":
			default:
				require.Equal(tb, want, page[key], key)
			}
		}
		logged, shown := list(entry, "tree"), list(page, "tree")
		require.Len(tb, shown, len(logged))
		require.Greater(tb, len(logged), 5)
		for _, want := range logged {
			have := find(shown, "path", want["path"])
			require.NotNil(tb, have, want["path"])
			for key, value := range want {
				require.Equal(tb, value, have[key], "%s of %s", key, want["path"])
			}
			for key := range have {
				switch key {
				// What only the page needs.
				case "name", "attention", "children", "supervised", "supervisor":
				default:
					require.Contains(tb, want, key, "of %s", want["path"])
				}
			}
		}
		folds := list(page, "folded")
		require.Equal(tb, len(list(entry, "folded")), len(folds))
		for i, want := range list(entry, "folded") {
			for key, value := range want {
				require.Equal(tb, value, folds[i][key])
			}
		}
		// What needs attention is first, the most urgent at the top.
		problems := list(page, "problems")
		require.Equal(tb, "/test/shop/crashing", problems[0]["path"])
		require.Equal(tb, "/test/shop/full", problems[1]["path"])
		// The summary of the text has the numbers of the entry.
		require.Contains(tb, text.String(), fmt.Sprintf("tasklets=%v", entry["tasklets"]))

		// A stream has the same rows, with moments instead of times.
		snapshot := firstSnapshot(tb, h, "tree")
		rows := snapshot["lists"].(map[string]any)["tree"].([]any)
		require.Len(tb, rows, len(shown))
		now := snapshot["now"].(float64)
		for i, r := range rows {
			fields := r.([]any)[1].(map[string]any)
			for key, value := range shown[i] {
				if base, isTime := strings.CutSuffix(key, "_seconds"); isTime && key != "window_seconds" {
					sign := 1.0
					if base == "until" {
						sign = -1
					}
					at, ok := fields[base+"_at"].(float64)
					require.True(tb, ok, "%s of %v", key, shown[i]["path"])
					require.InDelta(tb, value, sign*(now-at)/1000, 0.002, "%s of %v", key, shown[i]["path"])
					continue
				}
				require.Equal(tb, value, fields[key], "%s of %v", key, shown[i]["path"])
			}
		}
	}, allowed, lost)
}

// firstSnapshot returns the first snapshot of a stream, whose request ends after it.
func firstSnapshot(tb testing.TB, h http.Handler, view string) map[string]any {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // the stream ends when it would wait
	w := do(h, request(http.MethodGet, mount+"api/stream?view="+view).WithContext(ctx))
	require.Equal(tb, 200, w.Code, "%s", w.Body)
	require.Equal(tb, "text/event-stream", w.Header().Get("Content-Type"))
	for _, line := range lines(w.Body.String()) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return object(tb, []byte(data))
		}
	}
	require.Fail(tb, "no snapshot", "%s", w.Body)
	return nil
}

// Part of the tree, from a path, from a child on, and filtered.
func TestTreeQuery(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		shop(t)
		pool := get(tb, h, "tree?under=/test/pool&rows=50")
		rows := list(pool, "tree")
		require.Equal(tb, "/test/pool", rows[0]["path"])
		require.EqualValues(tb, 0, rows[0]["depth"])
		require.Len(tb, rows, 49)
		require.EqualValues(tb, 300, pool["below"])
		require.EqualValues(tb, 252, list(pool, "folded")[0]["count"])
		require.EqualValues(tb, 301, pool["tasklets"])
		// The rest is had by skipping.
		seen := map[any]bool{}
		for skip := 0; skip < 300; skip += 40 {
			for _, r := range list(get(tb, h, fmt.Sprintf("tree?under=/test/pool&rows=50&skip=%d", skip)), "tree")[1:] {
				seen[r["path"]] = true
			}
		}
		require.Len(tb, seen, 300)
		last := list(get(tb, h, "tree?under=/test/pool/idle299"), "tree")
		require.Len(tb, last, 1)

		found := get(tb, h, "tree?q=IDLE17")
		require.Len(tb, list(found, "tree"), 2+11) // with the root, the pool, and idle17
		sum := len(list(found, "tree"))
		for _, f := range list(found, "folded") {
			sum += int(f["count"].(float64))
		}
		require.EqualValues(tb, found["rows"], sum, "every place is shown or counted")
		full := list(get(tb, h, "tree?state=full"), "tree")
		require.Equal(tb, "/test/shop/full", full[len(full)-1]["path"])
		require.Len(tb, full, 3)
		restarting := list(get(tb, h, "tree?under=/test/shop/crashing"), "tree")
		require.Len(tb, restarting, 1)
		require.Equal(tb, "restarting", restarting[0]["state"])
		require.Equal(tb, "/test/shop/crashing", restarting[0]["path"])
		require.Contains(tb, do(h, request(http.MethodGet, "/api/tree?format=text&under=/test/shop/crashing")).Body.String(), "crashing")
		require.Contains(tb, do(h, request(http.MethodGet, "/api/tree?format=text&under=/test/shop")).Body.String(), "full")
	}, allowed, lost)
}

func TestTasklets(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		shop(t)
		top := func(query string) any {
			all := get(tb, h, "tasklets"+query)
			require.NotEmpty(tb, list(all, "rows"), query)
			return list(all, "rows")[0]["path"]
		}
		require.Equal(tb, "/test/shop/crashing", top(""))
		require.Equal(tb, "/test/shop/full", top("?sort=depth"))
		require.Equal(tb, "/test/shop/crashing", top("?sort=restarts"))
		require.Equal(tb, "/test/pool/idle0", top("?q=idle0"))
		require.Equal(tb, "/test/shop/full", top("?state=full"))
		require.Contains(tb, top("?sort=for"), "/test")
		all := get(tb, h, "tasklets?rows=1000&sort=name")
		require.EqualValues(tb, all["found"], len(list(all, "rows")))
		require.EqualValues(tb, get(tb, h, "tree")["tasklets"], len(list(all, "rows"))-1, "one has no tasklet")
		require.Len(tb, list(get(tb, h, "tasklets"), "rows"), 200)
		// The largest of many, against the obvious way.
		names := list(get(tb, h, "tasklets?rows=7&sort=name"), "rows")
		for i, r := range names {
			require.Equal(tb, list(all, "rows")[i]["path"], r["path"])
		}
	}, allowed, lost)
}

func TestTasklet(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		full := shop(t)
		task := full.Tasklet()
		actor.Watch(t, task, actor.NewRef[actor.Exit](), func(e actor.Exit) actor.Exit { return e })
		o := get(tb, h, "tasklet/"+id(task))
		require.Equal(tb, "/test/shop/full", o["path"])
		require.Equal(tb, "/test/shop", o["parent"].(map[string]any)["path"])
		require.Equal(tb, true, o["full"])
		require.Equal(tb, true, o["supervised"])
		require.EqualValues(tb, 1, o["senders_waiting"])
		require.Equal(tb, map[string]any{"name": "orders"}, o["labels"])
		require.Equal(tb, map[string]any{"on_failure": "end", "shutdown": "5s", "overflow": "Block"}, o["options"])
		require.Equal(tb, []any{t.Path()}, o["watchers"])
		require.EqualValues(tb, 1, o["watched"])
		require.EqualValues(tb, 1, o["waiting"])
		require.Equal(tb, "/test/sender", list(o, "waiters")[0]["path"])
		require.Equal(tb, false, o["actions"])

		sender := get(tb, h, "tasklet/"+list(o, "waiters")[0]["tasklet"].(string))
		require.Equal(tb, "/test/shop/full", sender["waits_for"].(map[string]any)["path"])

		shop := get(tb, h, "tasklet/"+o["parent"].(map[string]any)["tasklet"].(string))
		require.Len(tb, list(shop, "below"), 3)
		require.Equal(tb, "restarting", list(shop, "below")[0]["state"])
		ends := list(shop, "events")
		require.Len(tb, ends, 1)
		require.Equal(tb, "spawn", ends[0]["event"])

		task.Kill()
		t.Sleep(time.Second)
		require.Contains(tb, refused(tb, h, request(http.MethodGet, "/api/tasklet/"+id(task)), 404), "no tasklet")
	}, allowed, lost, actortest.Allow(event.Exit, "/test/shop/full"), actortest.Allow(event.MessageLost, "/test/shop/full"))
}

// What an author publishes is shown, and whatever it does hurts only itself.
func TestPublish(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		publish := func(f func() any) *actor.Tasklet {
			w := actor.Go(t, func(t *actor.Tasklet) error {
				inspector.Publish(t, f)
				return waiting(t)
			})
			t.Yield()
			return w
		}
		release := make(chan struct{})
		defer close(release)
		for _, c := range []struct {
			f            func() any
			state, fault string
		}{
			{func() any { return map[string]any{"orders": 3, "who": "<script>"} }, `{"orders":3,"who":"<script>"}`, ""},
			{func() any { return nil }, `null`, ""},
			{func() any { panic("boom\n<b>") }, "", "panicked: boom"},
			{func() any { runtime.Goexit(); return 1 }, "", "called runtime.Goexit"},
			{func() any { return make(chan int) }, "", "json: unsupported type: chan int"},
			{func() any { return strings.Repeat("x", 100_000) }, "", "gave 100002 bytes; at most 65536 are shown"},
			{func() any { return hostileJSON{} }, "", "panicked"},
			{func() any { <-release; return 1 }, "", "has not returned in 100ms"},
		} {
			o := get(tb, h, "tasklet/"+id(publish(c.f)))
			if c.fault != "" {
				require.Contains(tb, o["state_fault"], c.fault)
				require.NotContains(tb, o["state_fault"], "\n")
				continue
			}
			text, _ := json.Marshal(o["published"])
			require.JSONEq(tb, c.state, string(text))
		}
		// A call that has not returned is not made again.
		var calls atomic.Int32
		stuck := publish(func() any { calls.Add(1); <-release; return 1 })
		get(tb, h, "tasklet/"+id(stuck))
		require.Equal(tb, "has not returned from an earlier call", get(tb, h, "tasklet/"+id(stuck))["state_fault"])
		require.EqualValues(tb, 1, calls.Load())
		// The last function counts, and none after the end.
		again := actor.Go(t, func(t *actor.Tasklet) error {
			inspector.Publish(t, func() any { return 1 })
			inspector.Publish(t, func() any { return 2 })
			return waiting(t)
		})
		t.Yield()
		require.EqualValues(tb, 2, get(tb, h, "tasklet/"+id(again))["published"])
		require.NotContains(tb, get(tb, h, "tasklet/"+id(t)), "published")
	})
}

type hostileJSON struct{}

func (hostileJSON) MarshalJSON() ([]byte, error) { panic("json") }

// Stuck shows what is stalled, in a ring, full, waiting, and restarted.
func TestStuck(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		shop(t)
		o := get(tb, h, "stuck")
		require.Equal(tb, "/test/shop/full", list(o, "full")[0]["path"])
		senders := list(o, "full")[0]["senders"].([]any)
		require.Equal(tb, "/test/sender", senders[0].(map[string]any)["path"])
		require.Equal(tb, "/test/sender", list(o, "waiting")[0]["path"])
		require.Equal(tb, "/test/shop/crashing", list(o, "restarting")[0]["path"])
		require.Empty(tb, list(o, "rings"))

		// Two that wait for each other, where one of the waits has a limit.
		a, b := actor.NewRef[int](actor.MailboxLen(1)), actor.NewRef[int](actor.MailboxLen(1))
		talk := func(own, other actor.Ref[int]) func(t *actor.Tasklet, _ int) error {
			return func(t *actor.Tasklet, _ int) error {
				ctx, cancel := actor.WithTimeout(t, time.Hour)
				defer cancel()
				t.Yield()
				for other.Send(ctx, 1) == nil {
				}
				return nil
			}
		}
		for name, refs := range map[string][2]actor.Ref[int]{"a": {a, b}} {
			actor.StartTasklet(t, actor.ReceiverBody(refs[0], talk(refs[0], refs[1])), actor.Name(name))
			actor.StartTasklet(t, actor.ReceiverBody(refs[1], talk(refs[1], refs[0])), actor.Name("b"))
		}
		require.NoError(tb, a.Send(t, 1))
		require.NoError(tb, b.Send(t, 1))
		t.Sleep(2 * time.Second)
		rings := list(get(tb, h, "stuck"), "rings")
		require.Equal(tb, true, rings[0]["now"], "%v", rings)
		require.Len(tb, rings[0]["links"], 2)
		for _, l := range rings[0]["links"].([]any) {
			require.Equal(tb, "send to", strings.TrimSpace(l.(map[string]any)["wait"].(string)))
		}
		require.Equal(tb, true, rings[1]["soft"], "the report, with the same two")
		require.Equal(tb, true, rings[1]["ring"])
	}, allowed, lost, actortest.Allow(event.Deadlock), actortest.Allow(event.DeadLetter, "/test/a", "/test/b"))
}

// The last 1,000 events are kept, and the number of the others is shown.
func TestEvents(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		before := get(tb, h, "events")["total"].(float64)
		for i := range 1500 {
			t.System().Emit(actor.EventRecord{Kind: event.TicksMissed, Path: fmt.Sprintf("/test/x%d/y", i%2), Err: errBad, Count: i,
				Fields: []zap.Field{zap.Int("missed", i), zap.Stringer("bad", hostileString{}), zap.String("text", "a\nb")}})
		}
		o := get(tb, h, "events")
		require.EqualValues(tb, before+1500, o["total"])
		require.EqualValues(tb, before+500, o["dropped"])
		require.EqualValues(tb, 1000, o["kept"])
		rows := list(o, "events")
		require.Len(tb, rows, 1000)
		for i := range rows[1:] {
			require.Less(tb, rows[i+1]["seq"], rows[i]["seq"], "the newest is first")
		}
		first := rows[0]
		require.Equal(tb, "ticks_missed", first["event"])
		require.Equal(tb, "warn", first["level"])
		require.Equal(tb, errBad.Error(), first["error"])
		require.Equal(tb, "1499", first["fields"].(map[string]any)["missed"])
		require.Equal(tb, `a\nb`, first["fields"].(map[string]any)["text"])
		require.EqualValues(tb, 1000, o["kinds"].(map[string]any)["ticks_missed"])
		require.Len(tb, list(get(tb, h, "events?under=/test/x1"), "events"), 500)
		require.Empty(tb, list(get(tb, h, "events?under=/test/x"), "events"), "a part of a name is no subtree")
		require.Empty(tb, list(get(tb, h, "events?level=error"), "events"))
		require.Empty(tb, list(get(tb, h, "events?kind=stall,exit"), "events"))
		require.Len(tb, list(get(tb, h, "events?kind=stall,ticks_missed&rows=3"), "events"), 3)
		one := get(tb, h, fmt.Sprintf("event/%v", first["seq"]))
		require.Equal(tb, first["path"], one["path"])
	}, actortest.Allow(event.TicksMissed))
}

type hostileString struct{}

func (hostileString) String() string { panic("string") }

// The stack of a panic is an answer of its own.
func TestEventStack(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		w := actor.Go(t, func(*actor.Tasklet) error { panic("boom") }, actor.Name("w"))
		_ = w.Join(t)
		exit := find(list(get(tb, h, "events?under=/test/w&kind=exit"), "events"), "event", "exit")
		require.Equal(tb, "error", exit["level"])
		require.Equal(tb, true, exit["stack"])
		stack := get(tb, h, fmt.Sprintf("event/%v", exit["seq"]))["stack"]
		require.Contains(tb, stack, "TestEventStack")
	}, actortest.Allow(event.Exit, "/test/w"))
}

// Messages that are lost are counted by target, reason and type, without what is in them.
func TestDeadLetters(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		require.Empty(tb, list(get(tb, h, "deadletters"), "letters"))
		small := actor.NewRef[string](actor.MailboxLen(2), actor.Overflow(mailbox.DropNewest))
		w := actor.StartTasklet(t, actor.ReceiverBody(small, func(t *actor.Tasklet, _ string) error { return waiting(t) }), actor.Name("w"))
		for range 7 {
			_ = small.Send(t, "hunter2")
			t.Yield()
		}
		w.Kill()
		t.Sleep(time.Second)
		o := get(tb, h, "deadletters")
		letters := list(o, "letters")
		sum := 0.0
		for _, l := range letters {
			require.Equal(tb, "/test/w", l["to"])
			require.Equal(tb, "string", l["message"])
			sum += l["count"].(float64)
		}
		require.EqualValues(tb, 7, sum, "%v", letters)
		require.EqualValues(tb, 7, o["total"])
		require.Len(tb, letters, 3, "dropped, in hand, and not read: %v", letters)
		require.NotContains(tb, do(h, request(http.MethodGet, "/api/deadletters")).Body.String(), "hunter2")
	}, actortest.Allow(event.Exit, "/test/w"), actortest.Allow(event.Overflow), actortest.Allow(event.DeadLetter), actortest.Allow(event.MessageLost))
}

func TestSystem(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		level := zap.NewAtomicLevelAt(zap.WarnLevel)
		h := inspector.Handler(t.System(), inspector.LogLevel(level))
		full := shop(t)
		g, err := registry.NewGroup[string](registry.Of(t.System()), "<b>readers")
		require.NoError(tb, err)
		require.NoError(tb, g.Join(full))
		o := get(tb, h, "system")
		require.Equal(tb, "running", o["phase"])
		require.Equal(tb, "warn", o["log_level"])
		require.Equal(tb, false, o["actions"])
		require.EqualValues(tb, 1, o["names"])
		require.Equal(tb, map[string]any{"name": "orders", "path": "/test/shop/full", "message": "string"}, list(o, "name_list")[0])
		require.Equal(tb, map[string]any{"name": "<b>readers", "members": 1.0, "message": "string", "paths": []any{"/test/shop/full"}}, list(o, "group_list")[0])
		n := 0.0
		for _, s := range list(o, "schedulers") {
			n += s["tasklets"].(float64)
		}
		require.EqualValues(tb, o["tasklets"], n)
		require.Empty(tb, list(get(tb, h, "system?q=nothing"), "name_list"))
		require.Len(tb, list(get(tb, h, "system?q=ORD"), "name_list"), 1)
	}, allowed, lost)
}

// Names with markup, quotes, control characters and what turns text around are shown as text, and
// no answer is anything that a browser runs.
func TestHostileNames(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		bad := "<img src=x onerror=alert(1)>\"'&\u202e\x1b[31m\u2028"
		w := actor.Go(t, waiting, actor.Name(bad))
		w.SetLabel(bad, bad)
		t.Yield()
		for _, what := range []string{"tree", "tasklets", "tasklet/" + id(w), "events", "system", "stuck", "tree?q=%3Cimg", "tree?format=text"} {
			r := do(h, request(http.MethodGet, mount+"api/"+what))
			require.Equal(tb, 200, r.Code)
			body := r.Body.String()
			for _, c := range []string{"\u202e", "\x1b", "\u2028"} {
				require.NotContains(tb, body, c, what)
			}
			if !strings.HasSuffix(what, "text") {
				require.NotContains(tb, body, "<img", "%s: JSON with markup in it is taken for a page by no browser", what)
			}
		}
		o := get(tb, h, "tasklet/"+id(w))
		require.Contains(tb, o["path"], "<img src=x")
	})
}

// hostile has what could forge a line, an event of a stream, a colour or a direction.
const hostile = "a\n\nevent: snapshot\ndata: {}\r\u0085\u009b31m\u202e\u2066\u2028\x1b[2J\x7f\xff\U000e0001<b>é🙂"

type hostileText struct{}

func (hostileText) MarshalJSON() ([]byte, error) {
	return []byte("{ \"x\" :\n\"\xff\u202e\u0085\"}"), nil
}

// Whatever comes from code or input of users, an answer is one line of characters that can be
// printed, and so is each field of a stream.
func TestPrintable(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		ref := actor.NewRef[int]()
		w := actor.StartTasklet(t, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil }), actor.Name(strings.ReplaceAll(hostile, "/", "")))
		w.SetLabel(hostile, hostile)
		p := actor.Go(t, func(t *actor.Tasklet) error {
			inspector.Publish(t, func() any { return []any{hostile, hostileText{}, map[string]int{hostile: 1}} })
			return waiting(t)
		})
		bidi := "<b>\u202eeman\u200b"
		require.NoError(tb, registry.Register(registry.Of(t.System()), bidi, ref))
		g, err := registry.NewGroup[int](registry.Of(t.System()), bidi)
		require.NoError(tb, err)
		require.NoError(tb, g.Join(ref))
		t.System().Emit(actor.EventRecord{Kind: event.TicksMissed, Path: hostile, Err: errors.New(hostile), Fields: []zap.Field{zap.String(hostile, hostile)}})
		t.Yield()
		var views []string
		for _, view := range []string{"tree", "tasklets", "tasklet/" + id(w), "tasklet/" + id(p), "events", "system", "stuck", "deadletters", "tree?under=" + hostile, hostile, "tree?state=" + hostile} {
			views = append(views, url.QueryEscape(view))
			path, query, _ := strings.Cut(view, "?")
			r := request(http.MethodGet, mount+"api/x")
			r.URL.Path = mount + "api/" + path
			if key, value, ok := strings.Cut(query, "="); ok {
				r.URL.RawQuery = key + "=" + url.QueryEscape(value)
			}
			body := do(h, r).Body.String()
			require.NotContains(tb, body, "<b>", view)
			for _, c := range strings.TrimSuffix(body, "\n") {
				require.True(tb, unicode.IsPrint(c), "%s has %q: %s", view, c, body)
			}
			require.True(tb, json.Valid([]byte(body)))
			require.True(tb, utf8.ValidString(body))
		}
		names := get(tb, h, "system")
		require.Equal(tb, `<b>\u202eeman\u200b`, list(names, "name_list")[0]["name"])
		require.Equal(tb, `<b>\u202eeman\u200b`, list(names, "group_list")[0]["name"])
		// JSON that is read has what was published, except for what was no UTF-8.
		published := get(tb, h, "tasklet/"+id(p))["published"].([]any)
		require.Equal(tb, strings.ToValidUTF8(hostile, "\ufffd"), published[0])
		require.Equal(tb, map[string]any{"x": "\ufffd\u202e\u0085"}, published[1])

		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for part := range slices.Chunk(views, 8) {
			body := do(h, request(http.MethodGet, mount+"api/stream?view="+strings.Join(part, "&view=")).WithContext(ctx)).Body.String()
			for _, c := range body {
				require.True(tb, c == '\n' || unicode.IsPrint(c), "%q", c)
			}
			blocks := strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
			require.Len(tb, blocks, len(part)+1, "%s", body)
			for _, b := range blocks[1:] {
				l := strings.Split(b, "\n")
				require.Len(tb, l, 3)
				require.Regexp(tb, `^id: [A-Z2-7]{8}-[0-9:.]+$`, l[0])
				require.Regexp(tb, `^event: (snapshot|problem)$`, l[1])
				require.Regexp(tb, `^data: \{.*\}$`, l[2])
			}
		}
	}, actortest.Allow(event.TicksMissed))
}

// Each row leads to the part of the tree below it, however deep it is and whatever its name, by the
// path that it shows.
func TestUnderEachRow(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		var grow func(t *actor.Tasklet, depth int)
		grow = func(t *actor.Tasklet, depth int) {
			for _, name := range []string{strings.Repeat("é", 70), strings.Repeat("long", 400), "a\nb", `a\nb`, "x", "x y", "…"} {
				if depth == 0 && name != "x" {
					continue
				}
				actor.Go(t, func(t *actor.Tasklet) error {
					if depth > 0 {
						grow(t, depth-1)
					}
					return waiting(t)
				}, actor.Name(name))
			}
		}
		actor.Go(t, func(t *actor.Tasklet) error { grow(t, 3); return waiting(t) })
		t.Sleep(time.Second)
		rows := list(get(tb, h, "tree?rows=1000"), "tree")
		require.Greater(tb, len(rows), 500)
		paths := map[any]int{}
		for _, r := range rows {
			paths[r["path"]]++
		}
		cut := 0
		for i, r := range rows {
			path := r["path"].(string)
			if strings.Contains(path, "…") {
				cut++
			}
			if i%7 > 0 || paths[path] > 1 {
				continue // two that are cut to the same
			}
			top := list(get(tb, h, "tree?rows=50&under="+url.QueryEscape(path)), "tree")[0]
			require.Equal(tb, r["tasklet"], top["tasklet"], "%s", path)
		}
		require.Greater(tb, cut, 100)
	})
}

// Each state that a row can have can be asked for.
func TestStates(t *testing.T) {
	h := inspector.Handler(system(t, actor.Config{}))
	n := 0
	for s := tree.State(0); s.String() != "state(?)"; s++ {
		get(t, h, "tasklets?state="+s.String())
		n++
	}
	require.Equal(t, 11, n)
}

// No answer has the contents of a message.
func TestNoContents(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		h := inspector.Handler(t.System())
		full := shop(t)
		for _, what := range []string{"tree", "tasklets", "tasklet/" + id(full.Tasklet()), "events", "deadletters", "system", "stuck", "tree?format=text"} {
			require.NotContains(tb, do(h, request(http.MethodGet, mount+"api/"+what)).Body.String(), "contents of a message", what)
		}
	}, allowed, lost)
}

// A tasklet that keeps its scheduler is shown, with its stack, and holds up no answer.
func TestStalled(t *testing.T) {
	sys := system(t, actor.Config{Schedulers: 1, StallAfter: 20 * time.Millisecond})
	h := inspector.Handler(sys)
	release := make(chan struct{}, 1)
	busy := actor.Go(sys, func(t *actor.Tasklet) error { spin(release); return nil }, actor.Name("busy"))
	defer func() { release <- struct{}{} }()
	eventually(t, func() bool { return find(list(get(t, h, "tree"), "tree"), "state", "stalled") != nil })
	eventually(t, func() bool { return find(list(get(t, h, "stuck"), "stalled"), "path", "/shop/busy") != nil })
	var stalls map[string]any // others may stall too, on a slow machine
	eventually(t, func() bool {
		stalls = find(list(get(t, h, "stuck"), "stalls"), "path", "/shop/busy")
		return stalls != nil
	})
	require.EqualValues(t, 1, stalls["stalls"])
	w := do(h, request(http.MethodGet, "/api/tasklet/"+id(busy)+"/stack"))
	require.Equal(t, 200, w.Code, "%s", w.Body)
	require.Contains(t, w.Body.String(), "inspector_test.spin")
	require.NotContains(t, w.Body.String(), "\t")
	// A stack stops the program for a moment, so there are few: one in 200 ms.
	eventually(t, func() bool {
		w = do(h, request(http.MethodGet, "/api/tasklet/"+id(busy)+"/stack"))
		return w.Code != 200
	})
	require.Equal(t, 429, w.Code)
	require.NotEmpty(t, object(t, w.Body.Bytes())["error"])
	time.Sleep(250 * time.Millisecond)
	require.NotEmpty(t, refused(t, h, request(http.MethodGet, "/api/tasklet/"+id(sys.Root())+"/stack"), 409))
	require.NotEmpty(t, list(get(t, h, "events?kind=stall"), "events"))
}

//go:noinline
func spin(release chan struct{}) {
	for len(release) == 0 {
	}
}

// The load of a scheduler is the part of the time in which it had work.
func TestLoad(t *testing.T) {
	sys := system(t, actor.Config{Schedulers: 2, Measure: true})
	h := inspector.Handler(sys)
	release := make(chan struct{}, 1)
	actor.Go(sys, func(*actor.Tasklet) error { spin(release); return nil }, actor.OnScheduler(1))
	defer func() { release <- struct{}{} }()
	eventually(t, func() bool {
		all := list(get(t, h, "system"), "schedulers")
		busy, known := all[1]["load"].(float64)
		idle, _ := all[0]["load"].(float64)
		return known && busy > 0.9 && idle < 0.1
	})
}

// The requests of a moment share one survey, and a tasklet that was started since is found anyway.
func TestSharedSurvey(t *testing.T) {
	sys := system(t, actor.Config{})
	h := inspector.Handler(sys)
	n := get(t, h, "tree")["tasklets"]
	w := actor.Go(sys, waiting, actor.Name("w"))
	require.Equal(t, n, get(t, h, "tree")["tasklets"])
	require.Equal(t, "/shop/w", get(t, h, "tasklet/"+id(w))["path"])
	require.NotEqual(t, n, get(t, h, "tree")["tasklets"])
}
