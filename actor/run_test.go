package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// Rule 24: what Run returns.
func TestRunResults(t *testing.T) {
	type key struct{}
	cause := errors.New("why")
	wait := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
	for name, c := range map[string]struct {
		end  bool // of ctx, by main
		main func(*actor.Tasklet) error
		want error // the very value
		is   error
	}{
		"nil":            {main: func(*actor.Tasklet) error { return nil }},
		"an error":       {main: func(*actor.Tasklet) error { return errBoom }, want: errBoom},
		"ErrStop":        {main: func(*actor.Tasklet) error { return actor.ErrStop }},
		"ErrShutdown":    {main: func(*actor.Tasklet) error { return actor.ErrShutdown }, want: actor.ErrShutdown},
		"a panic":        {main: func(*actor.Tasklet) error { panic(errBoom) }, is: errBoom},
		"Goexit":         {main: func(*actor.Tasklet) error { runtime.Goexit(); return nil }, want: actor.ErrGoexit},
		"killed":         {main: func(t *actor.Tasklet) error { t.Kill(); return wait(t) }, want: actor.ErrKilled},
		"killed by root": {main: func(t *actor.Tasklet) error { t.System().Root().Kill(); return wait(t) }, want: actor.ErrKilled},
		"ctx done": {end: true, want: cause, main: func(t *actor.Tasklet) error {
			for {
				t.Yield()
			}
		}},
		"ctx done, main has an error of its own": {end: true, want: errBoom, main: func(t *actor.Tasklet) (err error) {
			defer func() { _ = recover(); err = errBoom }()
			for {
				t.Yield()
			}
		}},
		"ctx done, main recovers and ends well": {end: true, main: func(t *actor.Tasklet) error {
			defer func() { _ = recover() }()
			for {
				t.Yield()
			}
		}},
		"the values of ctx": {main: func(t *actor.Tasklet) error {
			require.Equal(t0ErrorT{}, 7, t.Value(key{}))
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, 7))
			ended := false
			var j journal
			err := actor.Run(ctx, j.config(), func(t *actor.Tasklet) error {
				actor.Go(t, func(t *actor.Tasklet) error {
					defer func() { ended = true }()
					for {
						t.Yield()
					}
				})
				t.Yield()
				if c.end {
					cancel(cause)
				}
				return c.main(t)
			})
			cancel(nil)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			} else {
				require.Equal(t, c.want, err)
			}
			require.True(t, ended)
			require.Equal(t, "/tasklet", j.exits()[len(j.exits())-1])
		})
	}
	t.Run("ctx done before: main is not called", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		for range 100 {
			var j journal
			require.Equal(t, cause, actor.Run(ctx, j.config(), func(*actor.Tasklet) error { panic("called") }))
		}
	})
	t.Run("a deadline of ctx", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			begin := time.Now()
			err := actor.Run(ctx, actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
				at, ok := t.Deadline()
				want, _ := ctx.Deadline()
				require.True(t0ErrorT{}, ok && at.Equal(want))
				return wait(t)
			})
			require.Equal(t, context.DeadlineExceeded, err)
			require.Equal(t, time.Minute, time.Since(begin))
		})
	})
	t.Run("a leak is joined to it", func(t *testing.T) {
		var j journal
		err := actor.Run(context.Background(), j.config(), func(t *actor.Tasklet) error {
			actor.Go(t, func(t *actor.Tasklet) error {
				for {
					survive(t)
				}
			}, actor.Name("stuck"))
			t.Yield()
			return errBoom
		})
		var se *actor.StopError
		require.ErrorAs(t, err, &se)
		require.ErrorIs(t, err, errBoom)
		require.Equal(t, "/tasklet/stuck", se.Leaked[0].Path)
	})
	t.Run("misuse", func(t *testing.T) {
		require.Contains(t, recovering(func() { _ = actor.Run(noContext, actor.Config{}, wait) }), "nil context")
		require.Contains(t, recovering(func() { _ = actor.Run(context.Background(), actor.Config{}, nil) }), "nil function")
		require.Contains(t, recovering(func() { _, _ = actor.Start(actor.Config{Name: "a/b"}) }), "slash")
		require.Contains(t, recovering(func() { _, _ = actor.Start(actor.Config{Schedulers: -1}) }), "Schedulers")
		require.Contains(t, recovering(func() { _, _ = actor.Start(actor.Config{Schedulers: 1025}) }), "Schedulers")
	})
}

// Rule 24: daemons hang under a hidden node and are stopped after the root, newest first.
func TestDaemons(t *testing.T) {
	var j journal
	wait := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
	var sys *actor.System
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		sys = t0.System()
		var fromChild *actor.Tasklet
		c := actor.Go(t0, func(t *actor.Tasklet) error {
			fromChild = actor.Go(t, func(t *actor.Tasklet) error {
				actor.Go(t, wait, actor.Name("below"))
				return wait(t)
			}, actor.Daemon(), actor.Name("d1"))
			require.Nil(t0ErrorT{}, fromChild.Parent())
			return nil
		}, actor.Name("creator"))
		require.NoError(t, c.Join(t0))
		r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.Daemon(), actor.Name("d2"))
		d3 := actor.Go(sys, wait, actor.Daemon(), actor.Name("d3"))
		actor.Go(t0, wait, actor.Name("child"))
		t0.Yield()
		require.Equal(t, []*actor.Tasklet{fromChild, r.Tasklet(), d3}, sys.Daemons())
		require.False(t, fromChild.HasFinished(), "it survives its creator")
		require.Equal(t, "/(daemons)/d1", fromChild.Path())
		require.Equal(t, "/(daemons)/d1/below", fromChild.Children()[0].Path())
		require.Same(t, fromChild, fromChild.Children()[0].Parent())
		require.Nil(t, r.Tasklet().Parent())
		require.Nil(t, t0.Parent())
		for x := range t0.Tree() {
			require.NotContains(t, x.Path(), "daemon")
		}
		d3.Kill()
		require.ErrorIs(t, d3.Join(t0), actor.ErrKilled)
		require.Len(t, sys.Daemons(), 2)
		return nil
	}))
	require.Equal(t, []string{"/creator", "/(daemons)/d3", "/child", "/tasklet", "/(daemons)/d2", "/(daemons)/d1/below", "/(daemons)/d1"}, j.exits())
	require.Empty(t, sys.Daemons())
}

// Rule 24: a daemon that does not stop leaks as others do; one that fails is reported and ends
// nobody.
func TestDaemonsThatFail(t *testing.T) {
	var j journal
	err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		actor.Go(t0, func(*actor.Tasklet) error { return errBoom }, actor.Daemon(), actor.Name("fails"))
		actor.Go(t0, func(t *actor.Tasklet) error {
			for {
				survive(t)
			}
		}, actor.Daemon(), actor.Name("stuck"))
		t0.Sleep(time.Second)
		return nil
	})
	var se *actor.StopError
	require.ErrorAs(t, err, &se)
	require.Equal(t, []actor.Leak{{Path: "/(daemons)/stuck"}}, se.Leaked)
	require.Len(t, j.of(event.Exit, "/fails"), 1)
}

// Rules 22, 24: starts through the System from goroutines, while it stops. Whoever was started
// ends, once, after it began; who came too late has finished with ErrStopped.
func TestStartsRaceWithStop(t *testing.T) {
	for round := range 20 {
		var j journal
		s, err := actor.Start(j.config())
		require.NoError(t, err)
		var mu sync.Mutex
		var all []*actor.Tasklet
		var wg sync.WaitGroup
		var enough atomic.Bool
		for g := range 4 {
			wg.Go(func() {
				late := 0
				for i := 0; late < 10; i++ {
					var k *actor.Tasklet
					switch (i + g) % 4 {
					case 0:
						k = actor.Receiver(s, func(*actor.Tasklet, int) error { return nil }).Tasklet()
					case 1:
						k = actor.Go(s, func(t *actor.Tasklet) error { t.Defer(t.Yield); t.Sleep(time.Hour); return nil })
					case 2:
						k = actor.Go(s, func(t *actor.Tasklet) error { return nil }, actor.Daemon())
					case 3:
						k, _ = startChild(context.Background(), s, actor.ReceiverInitBody(actor.NewRef[int](),
							func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
								t.Yield()
								return func(*actor.Tasklet, int) error { return nil }, nil
							}))
					}
					mu.Lock()
					all = append(all, k)
					mu.Unlock()
					if i == 10+round {
						enough.Store(true)
					}
					if k.HasFinished() && errors.Is(k.Join(context.Background()), actor.ErrStopped) {
						late++
					}
				}
			})
		}
		for !enough.Load() {
			runtime.Gosched()
		}
		require.NoError(t, s.Stop(context.Background()))
		wg.Wait()
		began, ended := map[*actor.Tasklet]int{}, map[*actor.Tasklet]int{}
		for _, e := range j.events {
			switch e.Kind {
			case event.Spawn:
				began[e.Tasklet]++
				require.Zero(t, ended[e.Tasklet], "%s begins after its end", e.Path)
			case event.Exit:
				ended[e.Tasklet]++
			}
		}
		for _, k := range all {
			require.True(t, k.HasFinished(), k.Path())
			if err := k.Join(context.Background()); errors.Is(err, actor.ErrStopped) {
				require.Equal(t, began[k], ended[k])
				continue
			}
			require.Equal(t, 1, began[k])
			require.Equal(t, 1, ended[k])
		}
		require.Empty(t, s.Root().Children())
		require.Empty(t, s.Daemons())
	}
}

// No goroutine is left when Run and Stop have returned.
func TestNoGoroutineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if one is
		busy := func(p actor.Spawner) {
			for i := range 50 {
				r := actor.Receiver(p, func(t *actor.Tasklet, n int) error { t.Sleep(time.Duration(n)); return nil }, actor.MailboxLen(1))
				actor.Go(p, func(t *actor.Tasklet) error {
					for {
						if err := r.Send(t, (i+1)*100_000_000); err != nil {
							return err
						}
					}
				})
				actor.Go(p, func(t *actor.Tasklet) error {
					ctx, cancel := context.WithTimeout(t, time.Hour)
					defer cancel()
					_, err := actor.Await(t, func(c context.Context) (int, error) { <-c.Done(); return 0, nil })
					return errors.Join(err, ctx.Err())
				})
				actor.Go(p, func(t *actor.Tasklet) error { defer runtime.Goexit(); t.Sleep(time.Hour); return nil })
				actor.Go(p, func(t *actor.Tasklet) error { survive(t); survive(t); return nil }, actor.Shutdown(time.Second))
				actor.Go(p, func(t *actor.Tasklet) error { survive(t); return nil }, actor.Daemon())
			}
		}
		cfg := actor.Config{Logger: zap.NewNop(), StallAfter: time.Hour}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, actor.Run(ctx, cfg, func(t *actor.Tasklet) error { busy(t); t.Sleep(time.Hour); return nil }), context.DeadlineExceeded)
		require.NoError(t, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error { busy(t); t.Sleep(time.Second); return nil }))
		s, err := actor.Start(cfg)
		require.NoError(t, err)
		busy(s)
		time.Sleep(time.Second)
		require.NoError(t, s.Stop(context.Background()))
	})
}

// Rule 19: a tasklet that never blocks holds its scheduler. A stop names it, with its stack, and
// returns; when it blocks at last, it unwinds, and all the others do.
func TestHog(t *testing.T) {
	short := func() (restore func()) { return actor.SetPatience(50 * time.Millisecond) }
	type hog struct {
		release atomic.Bool
		holds   chan struct{}
	}
	hold := func(h *hog) {
		close(h.holds)
		for !h.release.Load() {
			runtime.Gosched()
		}
	}
	check := func(t *testing.T, err error, path string) {
		t.Helper()
		var se *actor.StopError
		require.ErrorAs(t, err, &se)
		require.Equal(t, path, se.Leaked[0].Path)
		require.Contains(t, string(se.Leaked[0].Stack), "TestHog")
		require.Contains(t, err.Error(), path+" (holds its scheduler)")
		for _, l := range se.Leaked[1:] {
			require.Nil(t, l.Stack)
		}
	}
	bodies := map[string]func(p actor.Spawner, h *hog){
		"handler": func(p actor.Spawner, h *hog) {
			r := actor.Receiver(p, func(*actor.Tasklet, int) error { hold(h); return nil }, actor.Name("hog"))
			_ = r.TrySend(context.Background(), 1)
		},
		"body": func(p actor.Spawner, h *hog) {
			actor.Go(p, func(t *actor.Tasklet) error { hold(h); t.Sleep(1); return nil }, actor.Name("hog"))
		},
		"init": func(p actor.Spawner, h *hog) {
			actor.Go(p, func(t *actor.Tasklet) error { return nil }, actor.Name("hog"), actor.OnStart(func(*actor.Tasklet) error { hold(h); return nil }))
		},
		"deferred call": func(p actor.Spawner, h *hog) {
			actor.Go(p, func(t *actor.Tasklet) error { t.Defer(func() { hold(h) }); return nil }, actor.Name("hog"))
		},
		"tick": func(p actor.Spawner, h *hog) {
			actor.Interval(p, time.Millisecond, func(t *actor.Tasklet) error { hold(h); return nil }, actor.Name("hog"), actor.Immediate())
		},
	}
	for name, body := range bodies {
		for clock, c := range map[string]func() scheduler.Clock{
			"real": func() scheduler.Clock { return nil }, "virtual": func() scheduler.Clock { return scheduler.NewVirtualClock(time.Time{}) },
		} {
			t.Run(name+"/Run/"+clock, func(t *testing.T) {
				before := runtime.NumGoroutine()
				restore := short()
				h := &hog{holds: make(chan struct{})}
				ctx, cancel := context.WithCancelCause(context.Background())
				go func() { <-h.holds; cancel(errBoom) }()
				var sys *actor.System
				err := actor.Run(ctx, actor.Config{Logger: zap.NewNop(), Clock: c(), StallAfter: -1}, func(t *actor.Tasklet) error {
					sys = t.System()
					body(t.System(), h)
					t.Sleep(time.Hour)
					return nil
				})
				check(t, err, "/tasklet/hog")
				restore()
				h.release.Store(true)
				require.NoError(t, sys.Stop(context.Background()), "it unwound when it blocked")
				settle(t, before)
			})
			t.Run(name+"/Stop/"+clock, func(t *testing.T) {
				before := runtime.NumGoroutine()
				restore := short()
				h := &hog{holds: make(chan struct{})}
				s, err := actor.Start(actor.Config{Logger: zap.NewNop(), Clock: c(), StallAfter: -1})
				require.NoError(t, err)
				other := actor.Receiver(s, func(*actor.Tasklet, int) error { return nil })
				body(s, h)
				<-h.holds
				check(t, s.Stop(context.Background()), "/tasklet/hog")
				done, cancel := context.WithCancel(context.Background())
				cancel()
				err = s.Stop(done)
				check(t, err, "/tasklet/hog")
				require.ErrorIs(t, err, context.Canceled)
				require.False(t, actor.Finished(other))
				restore()
				h.release.Store(true)
				require.NoError(t, s.Stop(context.Background()))
				require.True(t, actor.Finished(other))
				settle(t, before)
			})
		}
	}
	t.Run("main", func(t *testing.T) {
		before := runtime.NumGoroutine()
		restore := short()
		h := &hog{holds: make(chan struct{})}
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-h.holds; cancel() }()
		check(t, actor.Run(ctx, actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error { hold(h); return nil }), "/tasklet")
		restore()
		h.release.Store(true)
		settle(t, before)
	})
	t.Run("a hog is reported, and is a leak", func(t *testing.T) {
		var j journal
		cfg := j.config()
		restore := short()
		h := &hog{holds: make(chan struct{})}
		s, err := actor.Start(cfg)
		require.NoError(t, err)
		bodies["body"](s, h)
		<-h.holds
		require.Error(t, s.Stop(context.Background()))
		leaks := j.of(event.Leak, "/hog")
		require.Len(t, leaks, 1)
		require.Contains(t, leaks[0].Stack.String(), "TestHog")
		restore()
		h.release.Store(true)
		require.NoError(t, s.Stop(context.Background()))
	})
}

// settle waits until no more than n goroutines are left.
func settle(t *testing.T, n int) {
	t.Helper()
	for range 1_000_000 {
		if runtime.NumGoroutine() <= n {
			return
		}
		runtime.Gosched()
	}
	buf := make([]byte, 1<<20)
	t.Fatalf("%d goroutines are left, there were %d:\n%s", runtime.NumGoroutine(), n, buf[:runtime.Stack(buf, true)])
}

// Rule 24: Stop.
func TestStop(t *testing.T) {
	t.Run("twice, at once and from many goroutines", func(t *testing.T) {
		s, err := actor.Start(actor.Config{Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})})
		require.NoError(t, err)
		actor.Go(s, func(t *actor.Tasklet) error { survive(t); t.Sleep(time.Second); return nil })
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { require.NoError(t, s.Stop(context.Background())) })
		}
		wg.Wait()
		require.NoError(t, s.Stop(context.Background()))
		require.True(t, s.Root().HasFinished())
	})
	t.Run("of Run's system from outside: main is killed", func(t *testing.T) {
		systems := make(chan *actor.System, 1)
		go func() {
			s := <-systems
			_ = s.Stop(context.Background())
		}()
		require.Equal(t, actor.ErrKilled, actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
			systems <- t.System()
			t.Sleep(time.Hour)
			return nil
		}))
	})
	t.Run("not from inside", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			require.Contains(t, recovering(func() { _ = t0.System().Stop(t0) }), "kill the root")
			ctx, cancel := context.WithCancel(t0)
			defer cancel()
			require.Contains(t, recovering(func() { _ = t0.System().Stop(ctx) }), "kill the root")
			return nil
		})
	})
	t.Run("a root without a body can be killed, joined, and shows its children", func(t *testing.T) {
		s, err := actor.Start(actor.Config{Logger: zap.NewNop(), Name: "shop"})
		require.NoError(t, err)
		k := actor.Go(s, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		require.Equal(t, []*actor.Tasklet{k}, s.Root().Children())
		require.Same(t, s.Root(), k.Parent())
		require.Equal(t, "shop", s.Root().Name())
		s.Root().Kill()
		require.ErrorIs(t, s.Root().Join(context.Background()), actor.ErrKilled)
		require.True(t, k.HasFinished())
		require.NoError(t, s.Stop(context.Background()))
	})
}

// A panic where none may be, in the callback of a supervisor, ends the system: Run and Stop return
// it, and all end in order.
func TestPanicInASupervisor(t *testing.T) {
	crash := func(t *actor.Tasklet) {
		slot, err := actor.NewSlot(t, actor.GoBody(func(*actor.Tasklet) error { return nil }), func(actor.Exit) { panic(errBoom) })
		if err == nil {
			_, _ = slot.Start(t)
		}
	}
	cleaned := 0
	populate := func(p actor.Spawner) (ks []*actor.Tasklet) {
		ks = append(ks, actor.Receiver(p, func(*actor.Tasklet, int) error { return nil }).Tasklet())
		ks = append(ks, actor.Receiver(p, func(*actor.Tasklet, int) error { return nil }, actor.Daemon()).Tasklet())
		return append(ks, actor.Go(p, func(t *actor.Tasklet) error {
			t.Defer(func() { cleaned++ })
			actor.Receiver(t, func(*actor.Tasklet, int) error { return nil })
			_, err := scheduler.NewChan[int](0).Receive(t)
			return err
		}))
	}
	var j journal
	s, err := actor.Start(j.config())
	require.NoError(t, err)
	ks := populate(s)
	actor.Go(s, func(t *actor.Tasklet) error { crash(t); t.Sleep(1); return nil })
	for _, k := range ks {
		require.ErrorIs(t, k.Join(context.Background()), actor.ErrKilled)
	}
	require.Error(t, s.Root().Join(context.Background()))
	require.ErrorIs(t, s.Stop(context.Background()), errBoom)
	require.ErrorIs(t, actor.Go(s, forever).Join(context.Background()), actor.ErrStopped)

	ks = nil
	err = actor.Run(context.Background(), j.config(), func(t *actor.Tasklet) error {
		ks = populate(t)
		crash(t)
		return forever(t)
	})
	require.ErrorIs(t, err, errBoom)
	for _, k := range ks {
		require.True(t, k.HasFinished())
	}
	require.Equal(t, 2, cleaned)
}

// Rule 16: nothing ready, no timer, nothing awaited outside.
func TestQuiescence(t *testing.T) {
	deadlock := func(t *testing.T, err error) *actor.DeadlockError {
		t.Helper()
		var e *actor.DeadlockError
		require.ErrorAs(t, err, &e)
		require.True(t, e.Quiescent)
		return e
	}
	t.Run("main waits for what never comes", func(t *testing.T) {
		for name, wait := range map[string]func(t *actor.Tasklet){
			"chan":          func(t *actor.Tasklet) { _, _ = scheduler.NewChan[int](0).Receive(t) },
			"idle receiver": func(t *actor.Tasklet) { _ = actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }).Join(t) },
			"a ref that is never started": func(t *actor.Tasklet) {
				_ = actor.NewRef[int]().Join(t)
			},
			"a full mailbox that nobody reads": func(t *actor.Tasklet) {
				r := actor.NewRef[int](actor.MailboxLen(1))
				_ = r.Send(t, 1)
				_ = r.Send(t, 1)
			},
		} {
			t.Run(name, func(t *testing.T) {
				var j journal
				err := actor.Run(context.Background(), j.config(), func(t *actor.Tasklet) error { wait(t); return nil })
				e := deadlock(t, err)
				require.Equal(t, "/tasklet", e.Chain[0].Task)
				events := j.of(event.Deadlock, "/tasklet")
				require.Len(t, events, 1)
				require.False(t, events[0].Soft)
				require.Equal(t, err, events[0].Err)
			})
		}
	})
	t.Run("who is parked on whom is listed", func(t *testing.T) {
		var j journal
		err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			a := actor.Go(t0, func(t *actor.Tasklet) error { _, err := scheduler.NewChan[int](0).Receive(t); return err }, actor.Name("a"))
			return a.Join(t0)
		})
		e := deadlock(t, err)
		require.Equal(t, []core.Link{
			{Task: "/tasklet", Kind: core.InJoin, On: "/tasklet/a"}, {Task: "/tasklet/a", Kind: core.InChan},
		}, e.Chain)
	})
	t.Run("main may recover and go on", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			survived := false
			func() {
				defer func() { survived = recover() != nil }()
				_, _ = scheduler.NewChan[int](0).Receive(t0)
			}()
			require.True(t, survived)
			t0.Sleep(time.Second)
			return nil
		})
	})
	t.Run("a stop that can never end", func(t *testing.T) {
		var j journal
		cleaned := false
		err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			actor.Go(t0, func(t *actor.Tasklet) error {
				defer func() { cleaned = true }()
				survive(t)
				_, err := scheduler.NewChan[int](0).Receive(t)
				return err
			}, actor.Shutdown(actor.Infinity), actor.Name("stuck"))
			t0.Yield()
			return errBoom
		})
		e := deadlock(t, err)
		require.ErrorIs(t, err, errBoom)
		require.Contains(t, e.Error(), "/tasklet/stuck")
		require.True(t, cleaned)
	})
	t.Run("a stop that can never end, of one that recovers every kill", func(t *testing.T) {
		var j journal
		err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			actor.Go(t0, func(t *actor.Tasklet) error {
				for {
					func() {
						defer func() { _ = recover() }()
						_, _ = scheduler.NewChan[int](0).Receive(t)
					}()
				}
			}, actor.Shutdown(actor.Infinity), actor.Name("stuck"))
			t0.Yield()
			return nil
		})
		deadlock(t, err)
		var se *actor.StopError
		require.ErrorAs(t, err, &se)
		require.Contains(t, se.Leaked, actor.Leak{Path: "/tasklet/stuck"})
	})
	t.Run("idle receivers and timers are no reason", func(t *testing.T) {
		var j journal
		s, err := actor.Start(j.config())
		require.NoError(t, err)
		for range 3 {
			actor.Receiver(s, func(*actor.Tasklet, int) error { return nil })
		}
		k := actor.New(s, func(t *actor.Tasklet) (int, error) { t.Sleep(time.Hour); return 7, nil })
		_, err = k.Join(context.Background())
		require.NoError(t, err)
		require.NoError(t, s.Stop(context.Background()))
		require.Empty(t, j.of(event.Deadlock, ""))
	})
	t.Run("a system without a main is told of, not killed", func(t *testing.T) {
		events := make(chan actor.EventRecord, 100)
		var j journal
		cfg := j.config()
		cfg.OnEvent = func(e actor.EventRecord) {
			if e.Kind == event.Deadlock {
				events <- e
			}
		}
		s, err := actor.Start(cfg)
		require.NoError(t, err)
		r := actor.NewRef[int]()
		k := actor.Go(s, func(t *actor.Tasklet) error { return r.Join(t) }, actor.Name("waits"))
		e := <-events
		require.True(t, e.Soft)
		require.Contains(t, e.Err.Error(), "/tasklet/waits")
		require.False(t, k.HasFinished())
		require.NoError(t, s.Stop(context.Background()))
	})
	t.Run("on the real clock: one warning after one second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var j journal
			cfg := j.config()
			cfg.Clock = nil
			begin := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			err := actor.Run(ctx, cfg, func(t *actor.Tasklet) error { _, err := scheduler.NewChan[int](0).Receive(t); return err })
			require.Equal(t, context.DeadlineExceeded, err)
			events := j.of(event.Deadlock, "/tasklet")
			require.Len(t, events, 1)
			require.True(t, events[0].Soft)
			require.Equal(t, time.Second, events[0].Time.Sub(begin))
		})
	})
}

// Rule 15: timers round up to the next millisecond, counted from the start; an hour is an hour.
func TestTimesAreExact(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		for _, c := range []struct{ d, want time.Duration }{
			{time.Hour, time.Hour}, {1, time.Millisecond}, {time.Millisecond, time.Millisecond},
			{1500 * time.Microsecond, 2 * time.Millisecond}, {0, 0}, {-time.Second, 0},
		} {
			from := elapsed(t0)
			t0.Sleep(c.d)
			require.Equal(t, c.want, elapsed(t0)-from, c.d)
		}
		return nil
	})
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
			from := time.Now()
			t0.Sleep(time.Hour)
			require.Equal(t, time.Hour, time.Since(from))
			return nil
		}))
	})
}

// mixture is a run in which the order among ready tasklets shows, and many things happen.
func mixture(seed uint64) (string, error) {
	var b strings.Builder
	cfg := actor.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Seed: seed,
		OnEvent: func(e actor.EventRecord) {
			id := ""
			if e.Tasklet != nil {
				id = e.Tasklet.ID().String()
			}
			fmt.Fprintln(&b, e.Seq, e.Time.Format("04:05.000"), e.Kind, e.Path, id, e.Err, len(e.Fields))
		},
	}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		r := actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
			fmt.Fprintln(&b, "got", n)
			switch n % 10 {
			case 3:
				return errBoom
			case 4:
				panic("no stack here")
			}
			return nil
		}, actor.MailboxLen(2), actor.Name("r"))
		var ks []*actor.Tasklet
		for i := range 12 {
			ks = append(ks, actor.Go(t0, func(t *actor.Tasklet) error {
				for n := range 4 {
					if err := r.Send(t, 100*i+n*3); err != nil {
						return err
					}
					v, err := actor.Await(t, func(context.Context) (int, error) {
						runtime.Gosched()
						return i, nil
					})
					fmt.Fprintln(&b, "await", v, err)
					t.Sleep(time.Duration(i%3) * time.Millisecond)
				}
				actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
				t.Defer(func() { t.Sleep(1) })
				t.Sleep(time.Second)
				return nil
			}))
		}
		actor.Interval(t0, 300*time.Microsecond, func(*actor.Tasklet) error { return nil })
		t0.Sleep(500 * time.Millisecond)
		for _, k := range ks[:6] {
			k.Kill()
		}
		_, err := actor.JoinEach(t0, ks...)
		return err
	})
	return b.String(), err
}

// Rule 39: the same seed gives the same trace, whatever the number of processors; another seed
// another one.
func TestSameSeedSameTrace(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	traces := map[string]uint64{}
	for seed := uint64(1); seed <= 3; seed++ {
		first := ""
		for i := range 10 {
			runtime.GOMAXPROCS([]int{1, 2, 4}[i%3])
			trace, err := mixture(seed)
			require.NoError(t, err)
			if first == "" {
				first = trace
			}
			if trace != first {
				a, b := strings.Split(first, "\n"), strings.Split(trace, "\n")
				for l := range a {
					if l >= len(b) || a[l] != b[l] {
						t.Fatalf("seed %d, run %d, line %d: %q, was %q", seed, i, l, b[min(l, len(b)-1)], a[l])
					}
				}
			}
		}
		require.NotContains(t, traces, first)
		traces[first] = seed
	}
}

// Rule 39: without a seed the order is first come first served, and only the ids differ.
func TestWithoutASeed(t *testing.T) {
	a, err := mixture(0)
	require.NoError(t, err)
	b, err := mixture(0)
	require.NoError(t, err)
	require.NotEqual(t, a, b)
}

func TestVirtual(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		require.True(t, t0.System().Virtual())
		return nil
	})
	require.NoError(t, actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
		require.False(t, t0.System().Virtual())
		return nil
	}))
}
