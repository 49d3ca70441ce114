package supervisor_test

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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
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
func text(t *actor.Tasklet, opts ...supervisor.FormatOption) string {
	var b strings.Builder
	if err := supervisor.Format(&b, t, opts...); err != nil {
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
	console = zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(cfg), zapcore.AddSync(consoleOut), zap.InfoLevel))
	jsons = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(cfg), zapcore.AddSync(jsonOut), zap.InfoLevel))
	return console, jsons, consoleOut, jsonOut
}

// Charge is a message.
type Charge struct{ ID int }

// shop is the tree of the design: a database that others depend on, workers of which one is new and one can't keep up, a mailer that
// waits for the latter, and an interval.
type shop struct {
	*supervisor.Supervisor
	workers [3]actor.Ref[Charge]
	conn    actor.Ref[int]
	cache   actor.Ref[string]
	mailer  actor.Ref[string]
	hog     chan struct{} // the third worker waits here when it gets a Charge below 0, as no tasklet should
	hogs    chan struct{} // and tells so here
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
		return actor.Handle(s.workers[i], func(t *actor.Tasklet, c Charge) error {
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
					{ID: "conn", Body: actor.Handle(s.conn, func(*actor.Tasklet, int) error { return nil })},
					{ID: "cache", Body: actor.Handle(s.cache, func(*actor.Tasklet, string) error { return nil }),
						Options: []actor.Option{label("name", "cache"), label("groups", "stores,readers")}},
				},
			})},
			{ID: "orders", Body: supervisor.Body(supervisor.Spec{
				Intensity: 5, Period: time.Minute, Backoff: supervisor.Backoff{Min: 0},
				Children: []supervisor.Child{
					{ID: "worker-1", Body: work(0)}, {ID: "worker-2", Body: work(1)}, {ID: "worker-3", Body: work(2)},
				},
			})},
			{ID: "mailer", Body: actor.Handle(s.mailer, func(t *actor.Tasklet, _ string) error {
				return s.workers[2].Send(t, Charge{7})
			})},
			{ID: "audit", Body: actor.Handle(drops, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil })},
			{ID: "metrics", Body: actor.Every(time.Second, func(*actor.Tasklet) error { return nil })},
			{ID: "flaky", Restart: supervisor.Transient, Body: supervisor.Body(supervisor.Spec{
				Backoff: supervisor.Backoff{Min: 40 * time.Second, Factor: 1}, Intensity: 10,
				Children: []supervisor.Child{{ID: "feed", Body: actor.Func(func(t *actor.Tasklet) error {
					t.Sleep(33 * time.Second)
					return errors.New("feed: dial tcp 10.0.0.7:443:\n\tconnection refused")
				})}},
			})},
			{ID: "import", Restart: supervisor.Transient, Body: actor.Func(func(*actor.Tasklet) error { return nil })},
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
		golden(t, "shop_100", text(s.Tasklet(), supervisor.Width(100)))
		golden(t, "shop_40", text(s.Tasklet(), supervisor.Width(40)))
		golden(t, "shop_root", text(t0))

		console, jsons, consoleOut, jsonOut := loggers()
		supervisor.LogTree(console, s.Tasklet())
		golden(t, "shop_console", consoleOut.String())
		supervisor.LogTree(jsons, s.Tasklet())
		golden(t, "shop_json", strings.ReplaceAll(jsonOut.String(), `{"depth"`, "\n{\"depth\""))
		return nil
	})
}

var _ = []any{sync.Mutex{}, observer.New, regexp.Compile, json.Marshal, fmt.Sprint}
