package actortest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

var errTest = errors.New("boom")

// fails runs f, which must fail, and gives what the test was told.
func fails(t *testing.T, f func(t *actor.Tasklet), opts ...actortest.Option) string {
	t.Helper()
	rec := actortest.Recorded(t, func(tb testing.TB) { actortest.Run(tb, f, opts...) })
	require.True(t, rec.Failed(), "the run should have failed: %s", rec.Text())
	return rec.Text()
}

// An hour takes no time, and what f leaves is stopped.
func TestRun(t *testing.T) {
	began := time.Now()
	stopped := false
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		require.Equal(tb, "/test", t.Path())
		start := t.System().Now()
		t.Sleep(time.Hour)
		require.Equal(tb, time.Hour, t.System().Now().Sub(start))
		actor.Go(t, func(t *actor.Tasklet) error {
			t.Defer(func() { stopped = true })
			t.Sleep(time.Hour)
			return nil
		})
	})
	require.True(t, stopped)
	require.Less(t, time.Since(began), time.Minute)
}

// What was sent is handled before the run ends, although f does not wait for it.
func TestRunSettles(t *testing.T) {
	sum := 0
	actortest.Run(t, func(t *actor.Tasklet) {
		add := actor.Receiver(t, func(t *actor.Tasklet, n int) error { sum += n; return nil })
		for n := range 5 {
			require.NoError(actortest.TB(t), add.Send(t, n))
		}
	})
	require.Equal(t, 10, sum)
}

// Run fails for each of the things that it says it fails for, with the reason and the last events.
func TestRunFails(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(t *actor.Tasklet)
		want string
	}{
		{"panic of f", func(t *actor.Tasklet) { panic(errTest) }, "panic: boom"},
		{"panic of a child", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error { panic("child") }, actor.Name("a"))
		}, `exit /test/a panic error="panic: child"`},
		{"panic in a handler", func(t *actor.Tasklet) {
			r := actor.Receiver(t, func(t *actor.Tasklet, n int) error { panic("handler") }, actor.Name("a"))
			_ = r.Send(t, 1)
		}, `failure /test/a error="panic: handler"`},
		{"dead letter", func(t *actor.Tasklet) {
			r := actor.NewRef[int](actor.Name("nobody"))
			k := actor.StartTasklet(t, actor.ReceiverBody(r, func(t *actor.Tasklet, n int) error { return nil }))
			_ = r.Send(t, 1)
			k.Kill()
		}, "dead_letter /test/nobody"},
		{"deadlock of two", func(t *actor.Tasklet) {
			var a, b *actor.Tasklet
			a = actor.Go(t, func(t *actor.Tasklet) error { return b.Join(t) }, actor.Name("a"))
			b = actor.Go(t, func(t *actor.Tasklet) error { return a.Join(t) }, actor.Name("b"))
		}, "deadlock /test/b"},
		{"f waits for ever", func(t *actor.Tasklet) {
			var ev scheduler.Event
			_ = ev.Wait(t)
		}, "tasklets wait for something that can never happen: 0s deadlock"},
		{"does not stop", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error {
				for {
					func() {
						defer func() { _ = recover() }()
						t.Sleep(time.Hour)
					}()
				}
			}, actor.Name("stubborn"))
		}, "a tasklet did not stop: 6s stop_timeout /test/stubborn"},
		{"goroutine", func(t *actor.Tasklet) {
			go leave(make(chan int))
		}, "goroutines are left after the end: 1 in"},
		{"goroutine after pprof.Do", func(t *actor.Tasklet) {
			pprof.Do(t, pprof.Labels("k", "v"), func(context.Context) {})
			go leave(make(chan int))
		}, "goroutines are left after the end: 1 in"},
		{"goroutine without labels", func(t *actor.Tasklet) {
			pprof.SetGoroutineLabels(context.Background())
			go leave(make(chan int))
		}, "goroutines are left after the end: 1 in"},
		{"goroutine of a goroutine without labels", func(t *actor.Tasklet) {
			pprof.SetGoroutineLabels(context.Background())
			go func() {
				go leave(make(chan int))
				leave(make(chan int))
			}()
		}, "goroutines are left after the end: 1 in"},
		{"goroutine of one that has ended", func(t *actor.Tasklet) {
			over := make(chan bool)
			go func() {
				go leave(make(chan int))
				close(over)
			}()
			<-over
		}, "goroutines are left after the end: 1 in"},
		{"goroutine of an Await without labels", func(t *actor.Tasklet) {
			_, _ = actor.Await(t, func(context.Context) (int, error) {
				pprof.SetGoroutineLabels(context.Background())
				go leave(make(chan int))
				return 0, nil
			})
		}, "goroutines are left after the end: 1 in"},
		{"parks with a locked thread", func(t *actor.Tasklet) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			t.Sleep(time.Second)
		}, "blocks while its goroutine is locked to an OS thread"},
		{"parks with a locked thread, which stays so", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error { runtime.LockOSThread(); t.Yield(); return nil })
		}, "blocks while its goroutine is locked to an OS thread"},
		{"returns with a locked thread", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error { runtime.LockOSThread(); runtime.LockOSThread(); return nil })
		}, "returned with its goroutine locked to an OS thread"},
		{"panics with a locked thread", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error { runtime.LockOSThread(); panic("locked") })
		}, "panic: locked"},
		{"a handler returns with a locked thread", func(t *actor.Tasklet) {
			r := actor.Receiver(t, func(*actor.Tasklet, int) error { runtime.LockOSThread(); return nil })
			_ = r.Send(t, 1)
		}, "returned with its goroutine locked to an OS thread"},
		{"a deferred call returns with a locked thread", func(t *actor.Tasklet) {
			t.Defer(runtime.LockOSThread)
		}, "returned with its goroutine locked to an OS thread"},
		{"iter.Pull without its stop", func(t *actor.Tasklet) {
			pprof.SetGoroutineLabels(context.Background())
			next, _ := iter.Pull(func(yield func(int) bool) { yield(1) })
			next()
		}, "goroutines are left after the end: 1 in"},
		{"goroutine of a child", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error { go leave(make(chan int)); return nil })
		}, "actortest_test.leave"},
		{"panic outside of a tasklet", func(t *actor.Tasklet) {
			core.TaskOf(t).Scheduler().InjectFunc(func() { panic("injected") })
			t.Yield()
		}, "actortest: panic: injected"},
		{"FailNow", func(t *actor.Tasklet) { actortest.TB(t).Fatal("no more") }, "no more"},
		{"FailNow of a child", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error { require.Equal(actortest.TB(t), 1, 2); return nil })
			t.Sleep(time.Hour)
			actortest.TB(t).Log("not reached")
		}, "expected: 1"},
		{"FailNow in a handler", func(t *actor.Tasklet) {
			r := actor.Receiver(t, func(t *actor.Tasklet, n int) error { actortest.TB(t).FailNow(); return nil })
			_ = r.Send(t, 1)
			t.Sleep(time.Hour)
			actortest.TB(t).Log("not reached")
		}, "runtime.Goexit"},
		{"Goexit", func(t *actor.Tasklet) { runtime.Goexit() }, "runtime.Goexit was called, and not by this test's FailNow"},
		{"killed", func(t *actor.Tasklet) { t.Kill(); t.Yield() }, "did not return: actor: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := fails(t, c.f)
			require.Contains(t, text, c.want)
			require.Contains(t, text, "the last ")
			require.NotContains(t, text, "not reached")
		})
	}
}

func leave(c chan int) { <-c }

// A tasklet that keeps the scheduler is a stall.
func TestRunFailsOnStall(t *testing.T) {
	seen := make(chan struct{})
	var once sync.Once
	// blocks the scheduler: that is what is tested
	text := fails(t, func(t *actor.Tasklet) { <-seen }, actortest.Configure(func(c *actor.Config) {
		c.StallAfter = 20 * time.Millisecond
		c.OnEvent = func(e actor.EventRecord) {
			if e.Kind == event.Stall {
				once.Do(func() { close(seen) })
			}
		}
	}))
	require.Contains(t, text, "stall /test")
	require.Contains(t, text, "TestRunFailsOnStall")
}

// A run that never ends is stopped, and says who was at what.
func TestRunLimit(t *testing.T) {
	text := fails(t, func(t *actor.Tasklet) {
		actor.Loop(t, func(t *actor.Tasklet) error { return nil }, actor.Name("busy"))
		t.Sleep(time.Hour)
	}, actortest.Limit(500*time.Millisecond))
	require.Contains(t, text, "the run is not over after 500ms")
	require.Contains(t, text, "/test: parked in sleep")
	require.Contains(t, text, "/test/busy: ")
}

// An Await whose function does not return can't be stopped: the run is left behind, and the test
// fails all the same.
func TestRunLeavesBehind(t *testing.T) {
	actortest.SetGrace(t, 100*time.Millisecond)
	release := make(chan struct{})
	defer close(release)
	text := fails(t, func(t *actor.Tasklet) {
		_, _ = actor.Await(t, func(context.Context) (int, error) { <-release; return 0, nil })
	}, actortest.Limit(500*time.Millisecond))
	require.Contains(t, text, "the system does not stop, and is left behind")
	require.Contains(t, text, "/test: parked in await")
}

// What ends with an error is a result, and what was allowed is no failure.
func TestRunPasses(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(t *actor.Tasklet)
		opts []actortest.Option
	}{
		{"an error is a result", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error { return errTest })
		}, nil},
		{"an allowed panic", func(t *actor.Tasklet) {
			actor.Go(t, func(t *actor.Tasklet) error { panic(errTest) }, actor.Name("a"))
		}, []actortest.Option{actortest.Allow(event.Exit, "/test/a")}},
		{"an allowed dead letter", func(t *actor.Tasklet) {
			r := actor.Receiver(t, func(t *actor.Tasklet, n int) error { return nil }, actor.Name("drops"),
				actor.MailboxLen(1), actor.Overflow(mailbox.DropNewest))
			_, _ = r.Send(t, 1), r.Send(t, 2)
		}, []actortest.Option{actortest.Allow(event.DeadLetter)}},
		{"an allowed deadlock", func(t *actor.Tasklet) {
			require.Error(actortest.TB(t), t.Join(t))
		}, []actortest.Option{actortest.Allow(event.Deadlock)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			actortest.Run(t, c.f, c.opts...)
			if c.opts != nil {
				fails(t, c.f)
				fails(t, c.f, actortest.Allow(event.Stall), actortest.Allow(event.Exit, "/test/other*"))
			}
		})
	}
}

// SkipNow inside a tasklet skips the test.
func TestRunSkips(t *testing.T) {
	rec := actortest.Recorded(t, func(tb testing.TB) {
		actortest.Run(tb, func(t *actor.Tasklet) { actortest.TB(t).Skip("not here") })
		tb.Error("not reached")
	})
	require.True(t, rec.Skipped())
	require.False(t, rec.Failed(), rec.Text())
}

// FailNow inside a tasklet ends the test, after the system.
func TestRunFailNowEndsTheTest(t *testing.T) {
	ended := false
	rec := actortest.Recorded(t, func(tb testing.TB) {
		actortest.Run(tb, func(t *actor.Tasklet) {
			t.Defer(func() { ended = true })
			actortest.TB(t).FailNow()
		})
		tb.Error("not reached")
	})
	require.True(t, rec.Failed())
	require.True(t, ended)
	require.NotContains(t, rec.Text(), "not reached")
}

// Warnings and what tasklets log go to the log of the test, and nothing comes after its end.
func TestRunLog(t *testing.T) {
	var late *zap.Logger
	rec := actortest.Recorded(t, func(tb testing.TB) {
		actortest.Run(tb, func(t *actor.Tasklet) {
			late = t.Log()
			t.Sleep(time.Second)
			t.Log().Info("hello", zap.Int("n", 7), zap.Duration("d", time.Minute))
			t.Log().Debug("not shown")
			actor.Go(t, func(t *actor.Tasklet) error { return errTest }, actor.Name("a"))
		})
		late.Info("too late")
	})
	require.Equal(t, "INFO 1s hello n=7 d=1m0s\nWARN 1s /test/a failed error=boom", rec.Text())
}

// Inside a synctest bubble a run does not wait for the machine either.
func TestRunInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		actortest.Run(t, func(t *actor.Tasklet) {
			p := actortest.NewProbe[string](t)
			actor.Pipe(t, func(context.Context) (string, error) {
				time.Sleep(time.Hour) // of the bubble
				return "done", nil
			}, p.Ref(), func(s string, err error) string { return s })
			p.Expect("done")
		}, actortest.Limit(2*time.Hour))
	})
}

// Runs in parallel and within each other don't see each other's goroutines.
func TestRunNested(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			actortest.Run(t, func(outer *actor.Tasklet) {
				actor.Go(outer, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
				actortest.Run(t, func(t *actor.Tasklet) { t.Sleep(time.Hour) })
				text := fails(t, func(t *actor.Tasklet) { panic("inner") })
				require.Contains(actortest.TB(outer), text, "inner")
			})
		})
	}
}

// Settle returns when nothing moves, without time going on, and waits for what is awaited outside.
func TestSettle(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		start := t.System().Now()
		var log []string
		actor.Go(t, func(t *actor.Tasklet) error {
			for range 100 {
				t.Yield()
			}
			log = append(log, "yielded")
			_, _ = actor.Await(t, func(context.Context) (int, error) { return 0, nil })
			log = append(log, "awaited")
			t.Sleep(time.Millisecond)
			log = append(log, "slept")
			return nil
		})
		actortest.Settle(t)
		require.Equal(tb, []string{"yielded", "awaited"}, log)
		require.Equal(tb, start, t.System().Now())
		t.Sleep(time.Millisecond)
		actortest.Settle(t)
		require.Len(tb, log, 3)
	})
}

// Misuse panics with the rule.
func TestMisuse(t *testing.T) {
	ok := func(*actor.Tasklet) {}
	for want, f := range map[string]func(){
		"Run with a nil function":       func() { actortest.Run(t, nil) },
		"Explore with a nil function":   func() { actortest.Explore(t, 1, nil) },
		"Explore with n = 0":            func() { actortest.Explore(t, 0, ok) },
		"Explore with n = -1":           func() { actortest.Explore(t, -1, ok) },
		"a zero Option":                 func() { actortest.Run(t, ok, actortest.Option{}) },
		"Record with a nil Trace":       func() { actortest.Record(nil) },
		"Configure with a nil function": func() { actortest.Configure(nil) },
		"Victims with a nil function":   func() { actortest.Victims(nil) },
		"FirstSeed with 0":              func() { actortest.FirstSeed(0) },
		"Faults with the unknown kind":  func() { actortest.Faults(77) },
		"Allow with the pattern":        func() { actortest.Allow(event.Exit, "[") },
		"TB of a nil *Tasklet":          func() { actortest.TB(nil) },
		"Configure with 2 schedulers":   func() { actortest.Run(t, ok, actortest.Configure(func(c *actor.Config) { c.Schedulers = 2 })) },
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				v := fmt.Sprint(recover())
				require.True(t, strings.HasPrefix(v, "actortest: "+want), v)
			}()
			f()
		})
	}
	err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
		actortest.TB(t)
		return nil
	})
	require.ErrorContains(t, err, "actortest: TB of /tasklet: its system was not started by this package")
}

// With the real clock of a bubble, tasklets and goroutines have one time.
func TestRunRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		actortest.Run(t, func(t *actor.Tasklet) {
			tb := actortest.TB(t)
			start := time.Now()
			ctx, cancel := actor.WithTimeout(t, 2*time.Hour)
			defer cancel()
			_, err := actor.Await(t, func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, nil })
			require.NoError(tb, err)
			actortest.Settle(t)
			require.NoError(tb, ctx.Err())
			t.Sleep(time.Hour)
			require.ErrorIs(tb, context.Cause(ctx), context.DeadlineExceeded)
			require.Equal(tb, 2*time.Hour, time.Since(start))
		}, actortest.Limit(3*time.Hour), actortest.Configure(func(c *actor.Config) { c.Clock = scheduler.RealClock() }))
	})
}

// A user's function that panics where the system calls it fails the test, and nothing else goes
// unseen because of it.
func TestRunHooksPanic(t *testing.T) {
	text := fails(t, func(t *actor.Tasklet) {
		actor.Go(t, func(t *actor.Tasklet) error { panic("seen") })
	}, actortest.Configure(func(c *actor.Config) { c.OnEvent = func(actor.EventRecord) { panic("hook") } }))
	require.Contains(t, text, "panic: hook, in the OnEvent of Configure")
	require.Contains(t, text, "panic: seen")

	text = explored(t, 50, func(t *actor.Tasklet) {
		actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		t.Sleep(time.Second)
	}, actortest.Faults(actortest.Kill), actortest.Victims(func(*actor.Tasklet) bool { panic("victims") }))
	require.Contains(t, text, "panic: victims, in the function of Victims")

	require.PanicsWithValue(t, `actor: Config.Name with the name "a/b": a slash separates the parts of a path`, func() {
		actortest.Run(t, func(t *actor.Tasklet) {}, actortest.Configure(func(c *actor.Config) { c.Name = "a/b" }))
	})
}

// The events that a configured OnEvent gets are those of the trace.
func TestRunOnEvent(t *testing.T) {
	var tr, own actortest.Trace
	actortest.Run(t, func(t *actor.Tasklet) {
		actor.Go(t, func(t *actor.Tasklet) error { return nil })
	}, actortest.Record(&tr), actortest.Configure(func(c *actor.Config) { c.OnEvent = own.Add }))
	require.NotEmpty(t, own.Lines())
	require.Equal(t, tr.String(), own.String())
}

// The stack of a panic is shown without what is above and below the user's code; of misuse, with
// all.
func TestRunStack(t *testing.T) {
	text := fails(t, func(t *actor.Tasklet) { panics() })
	require.Contains(t, text, "actortest_test.panics")
	require.NotContains(t, text, "iter.Pull")
	text = fails(t, func(t *actor.Tasklet) { actor.Go(t, nil) })
	require.Contains(t, text, "actor: Go with a nil function")
	require.Contains(t, text, "actortest_test.TestRunStack")
}

func panics() { panic("here") }
