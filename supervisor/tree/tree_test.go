package tree_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

var rewriteTrees = flag.Bool("rewrite-trees", false, "write the trees in testdata anew; commit only what you understand")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *rewriteTrees {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "to make it, run the test with -rewrite-trees")
	require.Equal(t, string(want), text)
}

// virtual runs main on a virtual clock, with ids from a seed.
func virtual(t testing.TB, name string, main func(t *actor.Tasklet) error) {
	t.Helper()
	cfg := actor.Config{
		Name: name, Clock: scheduler.NewVirtualClock(time.Time{}), Seed: 1, Logger: zap.NewNop(),
	}
	require.NoError(t, actor.Run(context.Background(), cfg, main))
}

// text gives what Format writes.
func text(t *actor.Tasklet, opts ...tree.Option) string {
	var b strings.Builder
	if err := tree.Write(&b, t, opts...); err != nil {
		panic(err)
	}
	return b.String()
}

// loggers gives two that write to one buffer each, as a console and as JSON.
func loggers() (console, jsons *zap.Logger, consoleOut, jsonOut *bytes.Buffer) {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339TimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	cfg.TimeKey = ""
	consoleOut, jsonOut = new(bytes.Buffer), new(bytes.Buffer)
	console = zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(cfg), zapcore.Lock(zapcore.AddSync(consoleOut)), zap.InfoLevel))
	jsons = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(cfg), zapcore.Lock(zapcore.AddSync(jsonOut)), zap.InfoLevel))
	return console, jsons, consoleOut, jsonOut
}

// Charge is a message.
type Charge struct{ ID int }

// shop is the tree of the design: a database that others depend on, workers of which one is new and
// one can't keep up, a mailer that waits for the latter, and an interval.
type shop struct {
	*supervisor.Supervisor
	workers [3]actor.Ref[Charge]
	conn    actor.Ref[int]
	cache   actor.Ref[string]
	mailer  actor.Ref[string]
	// the third worker waits here when it gets a Charge below 0, as no tasklet should
	hog  chan struct{}
	hogs chan struct{} // and tells so here
}

func startShop(t *actor.Tasklet) *shop {
	s := &shop{
		conn:   actor.NewRef[int](actor.MailboxLen(64)),
		cache:  actor.NewRef[string](actor.MailboxLen(256)),
		mailer: actor.NewRef[string](actor.MailboxLen(64)),
		hog:    make(chan struct{}),
		hogs:   make(chan struct{}, 1),
	}
	for i := range s.workers {
		s.workers[i] = actor.NewRef[Charge]()
	}
	s.workers[2] = actor.NewRef[Charge](actor.MailboxLen(8))
	drops := actor.NewRef[int](actor.MailboxLen(4), actor.Overflow(dropNewest))
	work := func(i int) actor.Body {
		return actor.ReceiverBody(s.workers[i], func(t *actor.Tasklet, c Charge) error {
			switch {
			case c.ID == 13:
				var none []int
				_ = none[c.ID]
			case c.ID < 0:
				s.hogs <- struct{}{}
				<-s.hog
			case c.ID > 100:
				t.Sleep(time.Duration(c.ID) * time.Second)
			}
			return nil
		})
	}
	var err error
	s.Supervisor, err = supervisor.Start(t, supervisor.Spec{
		Name: "shop", Intensity: 5, Period: time.Minute,
		Children: []supervisor.Child{
			{ID: "db", Body: supervisor.Body(supervisor.Spec{
				Strategy: supervisor.RestForOne, Intensity: 3, Period: 10 * time.Second,
				Children: []supervisor.Child{
					{ID: "conn", Body: actor.ReceiverBody(s.conn, func(*actor.Tasklet, int) error { return nil })},
					{ID: "cache", Body: actor.ReceiverBody(s.cache, func(*actor.Tasklet, string) error { return nil }),
						Options: []actor.Option{label("name", "cache"), label("groups", "stores,readers")}},
				},
			})},
			{ID: "orders", Body: supervisor.Body(supervisor.Spec{
				Intensity: 5, Period: time.Minute, Backoff: supervisor.Backoff{Min: 0},
				Children: []supervisor.Child{
					{ID: "worker-1", Body: work(0)}, {ID: "worker-2", Body: work(1)}, {ID: "worker-3", Body: work(2)},
				},
			})},
			{ID: "mailer", Body: actor.ReceiverBody(s.mailer, func(t *actor.Tasklet, _ string) error {
				return s.workers[2].Send(t, Charge{7})
			})},
			{ID: "audit", Body: actor.ReceiverBody(drops, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil })},
			{ID: "metrics", Body: actor.IntervalBody(time.Second, func(*actor.Tasklet) error { return nil })},
			{ID: "flaky", Restart: supervisor.Transient, Body: supervisor.Body(supervisor.Spec{
				Backoff: supervisor.Backoff{Min: 40 * time.Second, Factor: 1}, Intensity: 10,
				Children: []supervisor.Child{{ID: "feed", Body: actor.GoBody(func(t *actor.Tasklet) error {
					t.Sleep(33 * time.Second)
					return errors.New("feed: dial tcp 10.0.0.7:443:\n\tconnection refused")
				})}},
			})},
			{ID: "import", Restart: supervisor.Transient, Body: actor.GoBody(func(*actor.Tasklet) error { return nil })},
		},
	})
	if err != nil {
		panic(err)
	}
	for i := range 5 {
		send(t, s.conn, i)
	}
	for range 40 {
		send(t, s.cache, "k")
	}
	for i := range 12 {
		send(t, s.workers[0], Charge{i})
	}
	for i := range 7 {
		send(t, drops, i)
	}
	send(t, s.workers[2], Charge{1})
	t.Sleep(20 * time.Second)
	send(t, s.workers[1], Charge{13})
	t.Sleep(12800 * time.Millisecond)
	send(t, s.workers[2], Charge{1000})
	t.Yield()
	for range 8 {
		send(t, s.workers[2], Charge{1})
	}
	for range 3 {
		send(t, s.mailer, "bill")
	}
	t.Sleep(3200 * time.Millisecond)
	return s
}

const dropNewest = 2

func label(key, value string) actor.Option {
	return actor.OnStart(func(t *actor.Tasklet) error { t.SetLabel(key, value); return nil })
}

func send[M any](t *actor.Tasklet, to actor.Ref[M], m M) {
	if err := to.Send(t, m); err != nil {
		panic(err)
	}
}

// The sample of the design, as text, in two widths, and for both encoders.
func TestTreeOfAShop(t *testing.T) {
	virtual(t, "sample", func(t0 *actor.Tasklet) error {
		actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Daemon(), actor.Name("cron"))
		s := startShop(t0)
		golden(t, "shop_wide", text(s.Tasklet()))
		golden(t, "shop_100", text(s.Tasklet(), tree.Width(100)))
		golden(t, "shop_40", text(s.Tasklet(), tree.Width(40)))
		golden(t, "shop_root", text(t0))

		console, jsons, consoleOut, jsonOut := loggers()
		tree.Log(console, s.Tasklet())
		golden(t, "shop_console", consoleOut.String())
		tree.Log(jsons, s.Tasklet())
		golden(t, "shop_json", strings.ReplaceAll(jsonOut.String(), `{"depth"`, "\n{\"depth\""))
		return nil
	})
}

// A tree is short enough for its terminal, whatever the names are, and the words that matter stay.
func TestTreeFitsTheTerminal(t *testing.T) {
	virtual(t, "sample", func(t0 *actor.Tasklet) error {
		long := strings.Repeat("a very long name ", 9) + "0042"
		full := actor.NewRef[int](actor.MailboxLen(1))
		deep, err := supervisor.Start(t0, supervisor.Spec{
			Name: "上海の店",
			Children: []supervisor.Child{
				{ID: long, Body: actor.ReceiverBody(full, func(t *actor.Tasklet, n int) error { t.Sleep(time.Hour); return nil })},
				{ID: "sender\nof\x1b[31mred", Body: actor.GoBody(func(t *actor.Tasklet) error {
					for {
						if err := full.Send(t, 1); err != nil {
							return err
						}
					}
				})},
				{ID: "deep", Body: actor.GoBody(func(t *actor.Tasklet) error {
					var down func(n int) func(*actor.Tasklet) error
					down = func(n int) func(*actor.Tasklet) error {
						return func(t *actor.Tasklet) error {
							if n > 0 {
								return actor.Go(t, down(n-1), actor.Name(fmt.Sprint("level-", n))).Join(t)
							}
							t.Sleep(time.Hour)
							return nil
						}
					}
					return down(40)(t)
				})},
			},
		})
		require.NoError(t, err)
		t0.Sleep(90 * time.Second)
		for _, width := range []int{20, 24, 30, 40, 60, 79, 80, 81, 100, 132, 200} {
			out := text(deep.Tasklet(), tree.Width(width))
			for line := range strings.Lines(out) {
				line = strings.TrimSuffix(line, "\n")
				if width >= 30 {
					require.LessOrEqual(t, tree.TextWidth(line), width, line)
				}
				require.NotContains(t, line, "\x1b")
			}
			words := strings.Join(strings.Fields(strings.NewReplacer("│", "", "└", "", "├", "").Replace(out)), " ")
			require.Contains(t, words, "FULL")
			require.Contains(t, words, "parked 1m30s in send to", width)
			require.Contains(t, words, "42")
			require.Contains(t, words, "-40")
		}
		golden(t, "long_40", text(deep.Tasklet(), tree.Width(40)))
		return nil
	})
}

// big starts a tree of about 1,000 tasklets, of which a few have something to tell.
func big(t *actor.Tasklet) *supervisor.Supervisor {
	idle := func() actor.Body {
		return actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil })
	}
	full := actor.NewRef[int](actor.MailboxLen(2))
	var sessions, shards []supervisor.Child
	for i := range 900 {
		c := supervisor.Child{ID: fmt.Sprintf("session-%03d", i), Body: idle()}
		switch i {
		case 700:
			c.Body = actor.ReceiverBody(full, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil })
		case 800:
			c.Body = actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(5 * time.Second); return errors.New("gone") })
		}
		sessions = append(sessions, c)
	}
	for i := range 10 {
		var parts []supervisor.Child
		for j := range 10 {
			c := supervisor.Child{ID: fmt.Sprint("part-", j), Body: idle()}
			if i == 7 && j == 9 {
				c.Body = actor.GoBody(func(t *actor.Tasklet) error {
					for {
						if err := full.Send(t, 1); err != nil {
							return err
						}
					}
				})
			}
			parts = append(parts, c)
		}
		shards = append(shards, supervisor.Child{
			ID: fmt.Sprint("shard-", i), Body: supervisor.Body(supervisor.Spec{Children: parts}),
		})
	}
	s, err := supervisor.Start(t, supervisor.Spec{Name: "app", Children: []supervisor.Child{
		{ID: "front", Body: supervisor.Body(supervisor.Spec{Children: []supervisor.Child{
			{ID: "sessions", Body: supervisor.Body(supervisor.Spec{Intensity: 3, Children: sessions,
				Backoff: supervisor.Backoff{Min: time.Minute}})},
		}})},
		{ID: "store", Body: supervisor.Body(supervisor.Spec{Children: shards})},
	}})
	if err != nil {
		panic(err)
	}
	t.Sleep(10 * time.Second)
	return s
}

// Tasklets that are stuck, restart or are full are seen in a tree of 1,000, and the rest is
// counted.
func TestTreeOfAThousand(t *testing.T) {
	virtual(t, "sample", func(t0 *actor.Tasklet) error {
		s := big(t0)
		golden(t, "thousand_20", text(s.Tasklet(), tree.MaxRows(20)))
		golden(t, "thousand_20_40", text(s.Tasklet(), tree.MaxRows(20), tree.Width(40)))
		all := tree.Snapshot(s.Tasklet())
		require.Len(t, all, 1014)
		for _, rows := range []int{4, 7, 20, 200, 1000, 1013, 1014, 2000} {
			out := text(s.Tasklet(), tree.MaxRows(rows))
			lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")[1:]
			require.LessOrEqual(t, len(lines), rows)
			shown := 0
			for _, line := range lines {
				var n int
				if _, err := fmt.Sscanf(line, "(+%d more", &n); err == nil {
					shown += n
				} else {
					shown++
				}
			}
			require.Equal(t, len(all), shown)
			if rows >= 20 {
				require.Contains(t, out, "session-700")
				require.Contains(t, out, "session-800  RESTARTING")
				require.Contains(t, out, "parked 10s in send to /sample/app/front/sessions/session-700")
			}
			if rows > 20 && rows < 1000 {
				require.Greater(t, len(lines), rows*9/10, "room is used")
			}
		}
		_, jsons, _, out := loggers()
		tree.Log(jsons, s.Tasklet())
		var e struct {
			Tasklets, Full, Restarting int
			Tree                       []map[string]any
			Folded                     []struct {
				Under string
				Count int
				Idle  int
			}
		}
		require.NoError(t, json.Unmarshal(out.Bytes(), &e))
		n := len(e.Tree)
		require.LessOrEqual(t, n+len(e.Folded), 200)
		for _, f := range e.Folded {
			n += f.Count
			require.Equal(t, f.Count, f.Idle, f.Under)
		}
		require.Equal(t, 1014, n)
		require.LessOrEqual(t, out.Len(), 8<<10)
		require.Equal(t, "restarting", e.Tree[0]["state"], "problems first")
		require.Equal(t, true, e.Tree[1]["full"], "problems first")
		require.Equal(t, 1, e.Full)
		require.Equal(t, 1, e.Restarting)
		return nil
	})
}

// While a tasklet keeps the scheduler nothing else can run there, and the tree can be had all the
// same.
func TestTreeOfAStall(t *testing.T) {
	stalls := make(chan actor.EventRecord, 8)
	sys, err := actor.Start(actor.Config{
		Name: "sample", Logger: zap.NewNop(), StallAfter: 4 * time.Millisecond,
		OnEvent: func(e actor.EventRecord) {
			if e.Kind == event.Stall || e.Kind == event.StallOver {
				stalls <- e
			}
		},
	})
	require.NoError(t, err)
	release := make(chan struct{})
	busy := actor.NewRef[Charge](actor.MailboxLen(4))
	top, err := supervisor.Start(sys, supervisor.Spec{Name: "shop", Children: []supervisor.Child{
		{ID: "worker", Body: actor.ReceiverBody(busy, func(*actor.Tasklet, Charge) error { <-release; return nil })},
		{ID: "mailer", Body: actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil })},
	}})
	require.NoError(t, err)
	require.NoError(t, busy.Send(context.Background(), Charge{1}))
	for e := range stalls {
		if e.Kind == event.Stall && strings.HasSuffix(e.Path, "worker") {
			break
		}
	}
	out := text(top.Tasklet())
	require.Regexp(t, regexp.MustCompile(`(?m)^supervision tree  system=sample tasklets=3 restarts=0 stalled=1$`), out)
	require.Regexp(t, regexp.MustCompile(`(?m)^├─ worker  STALLED  receiver    busy \d+ms on tree_test.Charge`), out)
	_, jsons, _, js := loggers()
	tree.Log(jsons, sys.Root())
	require.Regexp(t, `"path":"/sample/shop/worker","kind":"receiver","state":"stalled"`, js.String())
	close(release)
	for e := range stalls {
		if e.Kind == event.StallOver && strings.HasSuffix(e.Path, "worker") {
			break
		}
	}
	require.NotContains(t, text(top.Tasklet()), "STALLED")
	require.NoError(t, sys.Stop(context.Background()))
	require.Contains(t, text(sys.Root()), "finished")
}

// Trees may be looked at from anywhere while they change.
func TestTreeWhileItChanges(t *testing.T) {
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop(), StallAfter: -1})
	require.NoError(t, err)
	idle := func(id string) supervisor.Child {
		return supervisor.Child{ID: id, Restart: supervisor.Temporary,
			Body: actor.ReceiverBody(actor.NewRef[int](), func(t *actor.Tasklet, n int) error { return errors.New("crash") })}
	}
	crash := actor.NewRef[int]()
	s, err := supervisor.Start(sys, supervisor.Spec{Name: "changing", Intensity: 1 << 20, Children: []supervisor.Child{
		{ID: "crash", Body: actor.ReceiverBody(crash, func(t *actor.Tasklet, _ int) error { t.SetLabel("at", "work"); panic("crash") })},
		{ID: "inner", Body: supervisor.Body(supervisor.Spec{Strategy: supervisor.OneForAll, Children: []supervisor.Child{idle("x")}})},
	}})
	require.NoError(t, err)
	var wg sync.WaitGroup
	quit := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			_, jsons, _, out := loggers()
			for {
				select {
				case <-quit:
					return
				default:
				}
				for _, r := range tree.Snapshot(sys.Root()) {
					if r.Path == "" || r.Name == "" || r.Depth > 3 {
						t.Errorf("strange row %+v", r)
					}
				}
				_ = text(sys.Root(), tree.Width(60), tree.MaxRows(5))
				tree.Log(jsons, s.Tasklet())
				out.Reset()
				runtime.Gosched() // on one processor too
			}
		})
	}
	ctx := context.Background()
	rounds := 300
	if runtime.GOMAXPROCS(0) == 1 {
		rounds = 10 // each hand-over waits for the slices of time of those who look
	}
	for i := range rounds {
		id := fmt.Sprint("child-", i)
		_, err := s.StartChild(ctx, idle(id))
		require.NoError(t, err)
		require.NoError(t, crash.Send(ctx, i))
		if i%3 > 0 {
			require.NoError(t, s.StopChild(ctx, id))
		}
	}
	close(quit)
	wg.Wait()
	require.NoError(t, sys.Stop(ctx))
}

// The encoders behind a logger decide what it writes.
func TestTreeEncoders(t *testing.T) {
	virtual(t, "sample", func(t0 *actor.Tasklet) error {
		s, err := supervisor.Start(t0, supervisor.Spec{Name: "shop", Children: []supervisor.Child{
			{ID: "a", Body: actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil })},
		}})
		require.NoError(t, err)
		const row = "\n└─ a  receiver "
		t.Run("both", func(t *testing.T) {
			console, jsons, consoleOut, jsonOut := loggers()
			both := zap.New(zapcore.NewTee(console.Core(), jsons.Core()))
			tree.Log(both, s.Tasklet())
			require.Contains(t, consoleOut.String(), row)
			require.NotContains(t, consoleOut.String(), `"tree": [`)
			require.Equal(t, 1, strings.Count(jsonOut.String(), "\n"))
			require.Contains(t, jsonOut.String(), `"tree":[{"depth":0`)
		})
		t.Run("lazy and sampled", func(t *testing.T) {
			console, jsons, consoleOut, jsonOut := loggers()
			wrap := func(l *zap.Logger) *zap.Logger {
				return zap.New(zapcore.NewSamplerWithOptions(l.Core(), time.Second, 1, 0)).WithLazy(zap.String("path", "/mine"))
			}
			tree.Log(wrap(console), s.Tasklet())
			require.Contains(t, consoleOut.String(), row)
			require.NotContains(t, consoleOut.String(), `"tree": [`)
			tree.Log(wrap(jsons), s.Tasklet())
			require.Contains(t, jsonOut.String(), `"tree":[{"depth":0`)
			require.Contains(t, jsonOut.String(), `"path":"/mine","event":"tree"`)
		})
		t.Run("observer", func(t *testing.T) {
			core, logs := observer.New(zap.InfoLevel)
			tree.Log(zap.New(core), s.Tasklet())
			e := logs.All()[0]
			require.Equal(t, "supervision tree  system=sample tasklets=2 restarts=0 stalled=0", e.Message)
			require.Len(t, e.ContextMap()["tree"], 2)
			require.Equal(t, "tree", e.ContextMap()["event"])
		})
		t.Run("level off", func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			tree.Log(zap.New(core), s.Tasklet())
			require.Zero(t, logs.Len())
		})
		t.Run("once", func(t *testing.T) { // the keys that the logger has already
			_, jsons, _, out := loggers()
			tree.Log(jsons.With(zap.String("system", "mine"), zap.String("tasklet", "x")), s.Tasklet())
			for _, key := range []string{"system", "event", "kind"} {
				require.Equal(t, 1, strings.Count(strings.Split(out.String(), `"tree":[`)[0], `"`+key+`":`), key)
			}
		})
		return nil
	})
}

// A pool has its number of children, with or without names, also those that wait to be restarted.
func TestTreeOfAPool(t *testing.T) {
	virtual(t, "sample", func(t0 *actor.Tasklet) error {
		pool, err := supervisor.StartPool(t0, supervisor.PoolSpec[int]{
			Name: "orders", Intensity: 5, Period: time.Minute,
			Child: func(n int) supervisor.Child {
				id := ""
				if n > 0 {
					id = fmt.Sprint("worker-", n)
				}
				starts := 0
				return supervisor.Child{ID: id, Body: actor.GoBody(func(t *actor.Tasklet) error {
					t.Sleep(10 * time.Second)
					if starts++; n == 2 && starts == 1 {
						panic("slipped")
					}
					t.Sleep(time.Hour)
					return nil
				})}
			},
		})
		require.NoError(t, err)
		for _, n := range []int{1, 2, 0} {
			_, err := pool.Start(t0, n)
			require.NoError(t, err)
		}
		t0.Sleep(51 * time.Second)
		golden(t, "pool", text(pool.Tasklet()))
		rows := tree.Snapshot(t0)
		require.Equal(t, "pool", rows[1].Kind)
		require.Equal(t, 3, rows[1].Supervision.Children)
		return nil
	})
}

// A kill that was recovered, and one that does not end its tasklet, are seen.
func TestTreeOfTheKilled(t *testing.T) {
	virtual(t, "sample", func(t0 *actor.Tasklet) error {
		tough := actor.Go(t0, func(t *actor.Tasklet) error {
			func() {
				defer func() { _ = recover() }()
				t.Sleep(time.Hour)
			}()
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("tough"))
		slow := actor.Go(t0, func(t *actor.Tasklet) error {
			t.Defer(func() { t.Sleep(30 * time.Second) })
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("slow"))
		t0.Yield()
		tough.Kill()
		slow.Kill()
		t0.Sleep(3200 * time.Millisecond)
		out := text(t0)
		require.Regexp(t, regexp.MustCompile(`(?m)^├─ tough +task +sleeping 59m56s +killed 3.2s ago$`), out)
		require.Regexp(t, regexp.MustCompile(`(?m)^└─ slow +task +stopping +killed 3.2s ago$`), out)
		return nil
	})
}

// A nil tasklet has no tree.
func TestSnapshotOfNobody(t *testing.T) {
	require.Empty(t, tree.Snapshot(nil))
	var b strings.Builder
	require.NoError(t, tree.Write(&b, nil))
	require.Empty(t, b.String())
	tree.Log(zap.NewExample(), nil)
}

// The tree says who runs on another scheduler than its parent; as JSON, where everybody runs.
func TestTreeOverSchedulers(t *testing.T) {
	runWith(t, actor.Config{Name: "shop", Schedulers: 3}, func(t0 *actor.Tasklet) {
		nothing := func(*actor.Tasklet, int) error { return nil }
		a := actor.Go(t0, func(a *actor.Tasklet) error {
			actor.Receiver(a, nothing, actor.Name("near"))
			actor.Receiver(a, nothing, actor.Name("far"), actor.OnScheduler(2))
			a.Sleep(time.Hour)
			return nil
		}, actor.Name("a"), actor.OnScheduler(1))
		t0.Sleep(time.Millisecond)
		require.Contains(t, lineOf(text(t0), "─ a "), "on scheduler 1")
		require.NotContains(t, lineOf(text(t0), "near"), "on scheduler")
		require.Contains(t, lineOf(text(t0), "far"), "on scheduler 2")
		var rows []int
		for _, r := range tree.Snapshot(a) {
			require.Equal(t, 3, r.Schedulers)
			rows = append(rows, r.Scheduler)
		}
		require.Equal(t, []int{1, 1, 2}, rows)
	})
}

// lineOf gives the line of text with part in it.
func lineOf(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}
