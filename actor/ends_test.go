package actor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// endTrial is one way in which a system may end.
type endTrial struct {
	// at and parent: where the tasklet that does not end is, and its parent
	schedulers, at, parent int
	stuck                  string
	stop                   string
	crash                  int // the scheduler that a panic ends before; negative: none
	daemon                 bool
}

// What the tasklet does that does not end: nothing of the kind; a function on another goroutine
// that ignores its context; it recovers every kill; it holds its scheduler.
var stuckWays = []string{"no", "await", "recovers", "hog"}

// How the system is stopped: with a context that is done; by many at once; with all the time; by
// the context of Run.
var stopWays = []string{"expired", "many", "patient", "run"}

func (c endTrial) possible() bool {
	patient := c.stop == "patient" || c.stop == "run"
	return !patient || c.stuck == "no" || c.stuck == "hog" // else it waits for ever, as it should
}

// endBooks are what is known of a system from outside.
type endBooks struct {
	mu       sync.Mutex
	spawned  []*actor.Tasklet
	ends     map[*actor.Tasklet][]event.Kind
	reported int // messages, of type endMsg
	handled  atomic.Int64
	sent     atomic.Int64
}

type endMsg struct{ n int }

type endAsk struct{ reply actor.Reply[int] }

func (b *endBooks) event(e actor.EventRecord) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e.Kind {
	case event.Spawn:
		b.spawned = append(b.spawned, e.Tasklet)
	case event.Exit, event.Leak, event.StopTimeout:
		b.ends[e.Tasklet] = append(b.ends[e.Tasklet], e.Kind)
	case event.DeadLetter, event.MessageLost:
		if e.Message != nil && e.Message.Name() == "endMsg" {
			b.reported += max(1, e.Count)
		}
	}
}

// endedOnce returns the tasklets of which there is not just one report. A tasklet below one that
// was reported as left behind may be reported with that one.
func (b *endBooks) endedOnce() (wrong []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.spawned {
		if n := len(b.ends[t]); n > 1 || n == 0 && !b.belowReported(t) {
			wrong = append(wrong, fmt.Sprint(t.Path(), b.ends[t]))
		}
	}
	return wrong
}

// belowReported reports whether a tasklet above t was reported as left behind.
func (b *endBooks) belowReported(t *actor.Tasklet) bool {
	for p := t.Parent(); p != nil; p = p.Parent() {
		if slices.ContainsFunc(b.ends[p], func(k event.Kind) bool { return k != event.Exit }) {
			return true
		}
	}
	return false
}

func (b *endBooks) account() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("sent %d, handled %d, reported %d", b.sent.Load(), b.handled.Load(), b.reported)
}

// tree starts, below p, on each scheduler one of each kind of tasklet that waits in its own way,
// and the stuck one.
func (c endTrial) tree(p *actor.Tasklet, b *endBooks, began, release chan struct{}, ran *atomic.Int32) (stuck actor.Ref[endMsg], asked actor.Ref[endAsk], scheds []*core.Scheduler) {
	deferred := actor.OnStart(func(t *actor.Tasklet) error {
		ran.Add(-1)
		t.Defer(func() { ran.Add(1) })
		return nil
	})
	collect := func(_ *actor.Tasklet, ms []endMsg) error { b.handled.Add(int64(len(ms))); return nil }
	hold := func(t *actor.Tasklet) error {
		for n := range c.schedulers { // these are left with it
			child := actor.BatchReceiver(t, 10, time.Hour, collect, actor.OnScheduler(n), deferred)
			if child.Send(t, endMsg{}) == nil {
				b.sent.Add(1)
			}
		}
		close(began)
		switch c.stuck {
		case "await":
			_, err := actor.Await(t, func(context.Context) (int, error) { <-release; return 0, nil })
			return err
		case "recovers":
			for {
				survive(t)
			}
		case "hog":
			<-release
		}
		return nil
	}
	opts := []actor.Option{actor.Name("stuck"), actor.OnScheduler(c.at), actor.MailboxLen(3), actor.Shutdown(actor.Infinity)}
	if c.daemon {
		opts = append(opts, actor.Daemon())
	}
	for n := range c.schedulers {
		on := actor.OnScheduler(n)
		r := actor.Receiver(p, func(*actor.Tasklet, endMsg) error { b.handled.Add(1); return nil }, on, deferred)
		scheds = append(scheds, core.TaskOf(r.Tasklet()).Scheduler())
		batch := actor.BatchReceiver(p, 10, time.Hour, collect, on, deferred)
		for i := range 3 {
			_ = r.Send(p, endMsg{i})
			_ = batch.Send(p, endMsg{i})
			b.sent.Add(2)
		}
		actor.Interval(p, time.Hour, func(*actor.Tasklet) error { return nil }, on, deferred)
		actor.Later(p, time.Hour, func(*actor.Tasklet) error { return nil }, on, deferred)
		actor.Go(p, func(t *actor.Tasklet) error {
			actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.OnScheduler((n+1)%c.schedulers), deferred)
			t.Sleep(time.Hour)
			return nil
		}, on, deferred, actor.Shutdown(actor.Infinity))
	}
	for range c.schedulers * 10 {
		p.Yield()
	}
	stuck = actor.Receiver(p, func(t *actor.Tasklet, m endMsg) error {
		if m.n == 0 {
			if err := hold(t); err != nil {
				return err
			}
		}
		b.handled.Add(1)
		return nil
	}, opts...)
	asked = actor.Receiver(p, func(_ *actor.Tasklet, a endAsk) error { a.reply.Delegate(stuck.Tasklet()); return nil },
		actor.OnScheduler(c.at), actor.MailboxLen(1))
	for i := range 3 { // a Send could wait for a scheduler that is held
		if stuck.TrySend(p, endMsg{i}) == nil {
			b.sent.Add(1)
		}
	}
	return stuck, asked, scheds
}

// waiters are goroutines that wait, without a limit, for whatever there is to wait for.
func (c endTrial) waiters(sys *actor.System, parent, one *actor.Tasklet, stuck actor.Ref[endMsg], asked actor.Ref[endAsk], told *sync.Map) *sync.WaitGroup {
	wg := new(sync.WaitGroup)
	ctx := context.Background()
	for what, f := range map[string]func() error{
		"join of the stuck":      func() error { return one.Join(ctx) },
		"join of its parent":     func() error { return parent.Join(ctx) },
		"join of the root":       func() error { return sys.Root().Join(ctx) },
		"join of its ref":        func() error { return stuck.Join(ctx) },
		"join of the ref of all": func() error { return asked.Join(ctx) },
		"call": func() error {
			_, err := actor.Call(ctx, asked, func(r actor.Reply[int]) endAsk { return endAsk{r} })
			return err
		},
		"another call": func() error {
			_, err := actor.Call(ctx, asked, func(r actor.Reply[int]) endAsk { return endAsk{r} })
			return err
		},
		"a third call": func() error {
			_, err := actor.Call(ctx, asked, func(r actor.Reply[int]) endAsk { return endAsk{r} })
			return err
		},
		"start": func() error {
			_, err := startChild(ctx, sys, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				t.Sleep(time.Hour)
				return nil, nil
			}), actor.OnScheduler(c.at))
			return err
		},
	} {
		told.Store(what, true)
		wg.Go(func() {
			defer told.Delete(what)
			_ = f()
		})
	}
	// A tasklet of another system.
	told.Store("another system", true)
	wg.Go(func() {
		defer told.Delete("another system")
		_ = actor.Run(ctx, actor.Config{Logger: zap.NewNop(), StallAfter: -1}, func(t *actor.Tasklet) error {
			actor.Go(t, func(t *actor.Tasklet) error { return one.Join(t) })
			actor.Go(t, func(t *actor.Tasklet) error { return stuck.Join(t) })
			actor.Go(t, func(t *actor.Tasklet) error {
				_, err := actor.Call(t, asked, func(r actor.Reply[int]) endAsk { return endAsk{r} })
				return err
			})
			_, err := t.JoinChildren(t)
			return err
		})
	})
	return wg
}

func (c endTrial) run(t *testing.T) {
	defer actor.SetPatience(60 * time.Millisecond)()
	before := runtime.NumGoroutine()
	b := &endBooks{ends: make(map[*actor.Tasklet][]event.Kind)}
	cfg := actor.Config{Logger: zap.NewNop(), Schedulers: c.schedulers, StallAfter: -1, OnEvent: b.event}
	began, release := make(chan struct{}), make(chan struct{})
	var ran atomic.Int32 // deferred calls, less those that are to be
	var stuck actor.Ref[endMsg]
	var asked actor.Ref[endAsk]
	var scheds []*core.Scheduler
	ready := make(chan *actor.Tasklet, 1)
	body := func(p *actor.Tasklet) error {
		stuck, asked, scheds = c.tree(p, b, began, release, &ran)
		ready <- p
		p.Sleep(time.Hour)
		return nil
	}
	opts := []actor.Option{actor.Name("parent"), actor.OnScheduler(c.parent), actor.Shutdown(actor.Infinity)}
	var sys *actor.System
	result := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if c.stop == "run" {
		got := make(chan *actor.System, 1)
		go func() {
			result <- actor.Run(ctx, cfg, func(t *actor.Tasklet) error {
				got <- t.System()
				actor.Go(t, body, opts...)
				t.Sleep(time.Hour)
				return nil
			})
		}()
		sys = <-got
	} else {
		var err error
		sys, err = actor.Start(cfg)
		require.NoError(t, err)
		actor.Go(sys, body, opts...)
	}
	parent := <-ready
	<-began
	stuckOne := stuck.Tasklet()
	var told sync.Map
	waiters := c.waiters(sys, parent, stuckOne, stuck, asked, &told)
	if c.crash >= 0 {
		scheds[c.crash].InjectFunc(func() { panic("crash") })
	}
	var errs []error
	switch c.stop {
	case "patient":
		errs = append(errs, sys.Stop(context.Background()))
	case "run":
		cancel()
		errs = append(errs, <-result)
	default:
		n := 1
		if c.stop == "many" {
			n = 8
		}
		cancel()
		for range n {
			go func() { result <- sys.Stop(ctx) }()
		}
		for range n {
			errs = append(errs, <-result)
		}
	}
	// Everybody is told, though what holds a scheduler still does.
	toldAll := make(chan struct{})
	go func() { waiters.Wait(); close(toldAll) }()
	select {
	case <-toldAll:
	case <-time.After(10 * time.Second):
		told.Range(func(what, _ any) bool { t.Error("is not told: ", what); return true })
		t.FailNow()
	}
	if c.stuck != "no" && c.stuck != "await" {
		for _, err := range errs {
			var stop *actor.StopError
			require.ErrorAs(t, err, &stop)
			require.True(t, slices.ContainsFunc(stop.Leaked, func(l actor.Leak) bool { return strings.HasSuffix(l.Path, "/stuck") }), "%v", err)
		}
	}
	if c.stuck == "hog" {
		require.Empty(t, b.endedOnce(), "while a scheduler is held")
		done, cancel := context.WithCancel(context.Background())
		cancel()
		var stop *actor.StopError
		require.ErrorAs(t, sys.Stop(done), &stop, "a second time")
	}
	close(release)
	err := sys.Stop(context.Background())
	if c.stuck == "recovers" {
		var stop *actor.StopError
		require.ErrorAs(t, err, &stop)
		require.Len(t, stop.Leaked, 1)
	}
	require.Empty(t, b.endedOnce())
	for _, ended := range b.spawned {
		require.Empty(t, actor.WrongMarks(ended), ended.Path())
	}
	require.True(t, sys.Root().HasFinished())
	require.Empty(t, sys.Root().Children())
	require.Empty(t, sys.Daemons())
	require.Equal(t, c.stuck != "recovers", stuckOne.HasFinished())
	require.Zero(t, ran.Load(), "deferred calls")
	require.Equal(t, b.sent.Load(), b.handled.Load()+int64(b.reported), b.account())
	if c.stuck == "recovers" { // its goroutine stays
		return
	}
	settle(t, before)
	w := weak.Make(sys)
	sys, parent, stuckOne, stuck, asked, scheds = nil, nil, nil, actor.Ref[endMsg]{}, actor.Ref[endAsk]{}, nil
	b.mu.Lock()
	b.spawned, b.ends = nil, nil
	b.mu.Unlock()
	for range 100 {
		if runtime.GC(); w.Value() == nil {
			return
		}
	}
	require.Fail(t, "something remembers the system")
}

// However a system ends, everything in it has finished or is reported as left behind, once;
// everybody who waits is told; every message was handled or is reported; no goroutine stays that
// can go, and nothing remembers the system.
func TestEnds(t *testing.T) {
	trials := 40
	if !testing.Short() {
		trials = 300
	}
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := 0; i < trials; {
		c := endTrial{schedulers: 1 + rnd.IntN(3), crash: -1, daemon: rnd.IntN(4) == 0}
		c.at, c.parent = rnd.IntN(c.schedulers), rnd.IntN(c.schedulers)
		c.stuck, c.stop = stuckWays[rnd.IntN(len(stuckWays))], stopWays[rnd.IntN(len(stopWays))]
		if rnd.IntN(4) == 0 {
			c.crash = rnd.IntN(c.schedulers)
		}
		if !c.possible() {
			continue
		}
		i++
		if !t.Run(fmt.Sprintf("%+v", c), c.run) {
			t.Logf("seed %#x", seed)
			return
		}
	}
}

// What is below a tasklet that was detached ends with the system: deferred calls run, and what is
// queued is reported. There is no exit event: it was left behind with the one above it.
func TestEndBelowADetachedTasklet(t *testing.T) {
	for n := 1; n <= 3; n++ {
		b := &endBooks{ends: make(map[*actor.Tasklet][]event.Kind)}
		cfg := actor.Config{
			Logger: zap.NewNop(), Schedulers: n, OnEvent: b.event,
			Clock: scheduler.NewVirtualClock(time.Time{}),
		}
		var ran atomic.Int32
		var below actor.Ref[endMsg]
		collect := func(*actor.Tasklet, []endMsg) error { return nil }
		err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
			stuck := actor.Go(t, func(c *actor.Tasklet) error {
				below = actor.BatchReceiver(c, 10, time.Hour, collect, actor.OnScheduler(n-1),
					actor.OnStart(func(t *actor.Tasklet) error { t.Defer(func() { ran.Add(1) }); return nil }))
				_ = below.Send(c, endMsg{})
				for {
					survive(c)
				}
			}, actor.OnScheduler(n/2))
			t.Sleep(time.Second)
			return actor.StopChild(t, stuck, actor.BrutalKill)
		})
		var stop *actor.StopError
		require.ErrorAs(t, err, &stop)
		require.Len(t, stop.Leaked, 1)
		require.Equal(t, int32(1), ran.Load())
		require.True(t, actor.Finished(below))
		require.Equal(t, 1, b.reported)
		require.Len(t, b.ends, 2, "the root, and the one that was detached")
	}
}
