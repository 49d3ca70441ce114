package netio_test

import (
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// bench is a scheduler with tasks for a test. Its tasks end by themselves or by a kill; any other
// panic ends the test.
type bench struct {
	*core.Scheduler
	tb    testing.TB
	count uint64
}

// task is a task that runs once, and can be joined.
type task struct {
	core.Task
	f     func(*core.Task)
	ended scheduler.Event
	exit  *core.Exit // it was killed
}

func (k *task) Run(t *core.Task) {
	defer func() {
		v := recover()
		k.exit, _ = v.(*core.Exit)
		k.ended.Set()
		t.Finish()
		if v != nil && k.exit == nil {
			panic(v)
		}
	}()
	k.f(t)
}

// start makes a task that calls f. On the scheduler, or before it runs.
func (b *bench) start(f func(t *core.Task)) *task {
	b.count++
	k := &task{f: f}
	k.Init(b.Scheduler, b.count, k)
	k.Wake()
	return k
}

// join waits for the end of k.
func (k *task) join(t *core.Task) { _ = k.ended.Wait(t) }

func newBench(tb testing.TB, cfg core.Config) *bench {
	return &bench{Scheduler: core.New(cfg), tb: tb}
}

// run calls f in a task of a scheduler, which is stopped when f returns, and sees to it that
// nothing is left behind.
func run(tb testing.TB, f func(b *bench, t *core.Task)) {
	tb.Helper()
	runWith(tb, core.Config{StallAfter: 10 * time.Second}, f)
}

func runWith(tb testing.TB, cfg core.Config, f func(b *bench, t *core.Task)) {
	tb.Helper()
	before := runtime.NumGoroutine()
	b := newBench(tb, cfg)
	over := false
	b.start(func(t *core.Task) {
		defer b.Stop() // for FailNow too
		f(b, t)
		over = true
	})
	if err := b.Scheduler.Run(); err != nil {
		var p *scheduler.PanicError
		if errors.As(err, &p) {
			tb.Logf("%s", p.Stack)
		}
		tb.Fatal(err)
	}
	require.Empty(tb, b.Leaked())
	if !over {
		tb.FailNow()
	}
	noMoreGoroutines(tb, before)
}

// noMoreGoroutines waits until there are at most as many as before.
func noMoreGoroutines(tb testing.TB, before int) {
	tb.Helper()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			tb.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// kinds are the connections that a test is run with: in tasks both ends are *netio.Conn.
var kinds = []string{"tcp", "unix", "pipe"}

// pair gives the two ends of a connection, closed at the end of the test. Inside t.
func pair(tb testing.TB, t *core.Task, kind string) (a, b *netio.Conn) {
	tb.Helper()
	x, y := plainPair(tb, kind)
	return netio.Wrap(t, x), netio.Wrap(t, y)
}

// plainPair gives the two ends of a connection as package net makes them.
func plainPair(tb testing.TB, kind string) (a, b net.Conn) {
	tb.Helper()
	if kind == "pipe" {
		a, b = net.Pipe()
	} else {
		addr := "127.0.0.1:0"
		if kind == "unix" {
			addr = filepath.Join(tb.TempDir(), "s")
		}
		l, err := net.Listen(kind, addr)
		require.NoError(tb, err)
		defer l.Close()
		a, err = net.Dial(kind, l.Addr().String()) // there is room for it in the listener's queue
		require.NoError(tb, err)
		b, err = l.Accept()
		require.NoError(tb, err)
	}
	tb.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

// each runs f once for each kind of connection.
func each(t *testing.T, f func(tb testing.TB, b *bench, t *core.Task, kind string)) {
	for _, kind := range kinds {
		t.Run(kind, func(tb *testing.T) {
			run(tb, func(b *bench, t *core.Task) { f(tb, b, t, kind) })
		})
	}
}

// parked waits until k is parked in i/o.
func parked(t *core.Task, k *task) {
	for {
		if kind, _, _ := k.Waits(); kind == core.InIO {
			return
		}
		giveWay(t)
	}
}

// giveWay lets other tasks run, and other goroutines.
func giveWay(t *core.Task) {
	runtime.Gosched()
	t.Yield()
}
