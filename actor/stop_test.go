package actor_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// stopping runs child under a parent that ends after a second, and gives what the parent's joiner
// saw: how long the stop took.
func stopping(t *testing.T, j *journal, child func(*actor.Tasklet) error, opts ...actor.Option) (took time.Duration, err error) {
	t.Helper()
	err = actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		p := actor.Go(t0, func(p *actor.Tasklet) error {
			actor.Go(p, child, append(opts, actor.Name("child"))...)
			p.Sleep(time.Second)
			return nil
		}, actor.Name("p"))
		err := p.Join(t0)
		took = elapsed(t0) - time.Second
		return err
	})
	return took, err
}

// Rule 18: when the kill becomes hard, for each value of Shutdown. The child survives the soft kill
// and takes what time it is given.
func TestShutdownTimes(t *testing.T) {
	for name, c := range map[string]struct {
		opts []actor.Option
		want time.Duration
	}{
		"default":    {nil, 5 * time.Second},
		"0":          {[]actor.Option{actor.Shutdown(0)}, 5 * time.Second},
		"a time":     {[]actor.Option{actor.Shutdown(1500 * time.Millisecond)}, 1500 * time.Millisecond},
		"BrutalKill": {[]actor.Option{actor.Shutdown(actor.BrutalKill)}, 0},
		"Infinity":   {[]actor.Option{actor.Shutdown(actor.Infinity)}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			cleaned := 0
			took, err := stopping(t, &j, func(t *actor.Tasklet) error {
				t.Defer(func() { cleaned++ })
				defer func() { cleaned++ }()
				survive(t)
				t.Sleep(time.Hour)
				return nil
			}, c.opts...)
			require.NoError(t, err)
			require.Equal(t, c.want, took)
			require.Equal(t, 2, cleaned, "deferred calls run in every case")
			require.Empty(t, j.of(event.StopTimeout, ""))
			require.Len(t, j.of(event.Kill, "/child"), 1)
		})
	}
}

// Rule 17: a hard kill is raised at every blocking point, also in deferred calls.
func TestHardKillIsRaisedEverywhere(t *testing.T) {
	var j journal
	raised, deferred := 0, 0
	took, err := stopping(t, &j, func(t *actor.Tasklet) error {
		for range 3 {
			t.Defer(func() {
				deferred++
				t.Sleep(time.Minute)
				panic("slept")
			})
		}
		for range 20 {
			survive(t)
			raised++
		}
		return nil
	}, actor.Shutdown(actor.BrutalKill))
	require.NoError(t, err)
	require.Zero(t, took)
	require.Equal(t, 20, raised)
	require.Equal(t, 3, deferred)
	require.Empty(t, j.of(event.Failure, ""))
	require.NoError(t, j.of(event.Exit, "/child")[0].Err, "it recovered every kill and returned nil")
}

// Rule 18: who never ends is given up a second after its kill became hard: event stop_timeout, and
// a *StopError at the end. The rest goes on and ends in order.
func TestDetach(t *testing.T) {
	for name, c := range map[string]struct {
		limit, want time.Duration
	}{
		"default": {0, 6 * time.Second}, "a time": {time.Minute, 61 * time.Second}, "BrutalKill": {actor.BrutalKill, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			took, err := stopping(t, &j, func(t *actor.Tasklet) error {
				actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }, actor.Name("grandchild"))
				for {
					survive(t)
				}
			}, actor.Shutdown(c.limit))
			require.Equal(t, c.want, took)
			var se *actor.StopError
			require.ErrorAs(t, err, &se)
			require.Equal(t, []actor.Leak{{Path: "/tasklet/p/child"}}, se.Leaked)
			require.Equal(t, "actor: did not stop: /tasklet/p/child", err.Error())
			require.Len(t, j.of(event.StopTimeout, "/p/child"), 1)
			require.Empty(t, j.of(event.Exit, "child"))
			require.Equal(t, []string{"/p", "/tasklet"}, j.exits())
		})
	}
	t.Run("then it is out of the tree with all below, and may end later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var j journal
			cfg := j.config()
			cfg.Clock = nil
			release := make(chan struct{})
			var child, grandchild *actor.Tasklet
			err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
				p := actor.Go(t0, func(p *actor.Tasklet) error {
					child = actor.Go(p, func(c *actor.Tasklet) error {
						grandchild = actor.Go(c, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("grandchild"))
						_, err := actor.Await(c, func(context.Context) (int, error) { <-release; return 0, nil })
						return err
					}, actor.Name("child"))
					p.Sleep(time.Second)
					return nil
				}, actor.Name("p"))
				begin := t0.System().Now()
				require.NoError(t, p.Join(t0))
				require.Equal(t, 7*time.Second, t0.System().Now().Sub(begin))
				require.False(t, child.HasFinished())
				require.False(t, grandchild.HasFinished())
				require.Equal(t, "/tasklet/p/child/grandchild", grandchild.Path())
				require.Error(t, child.Err(), "its context is done")
				require.Empty(t, p.Children())
				for x := range t0.Tree() {
					require.NotSame(t, x, child)
					require.NotSame(t, x, grandchild)
				}
				close(release)
				require.ErrorIs(t, child.Join(t0), actor.ErrKilled)
				require.True(t, grandchild.HasFinished())
				return nil
			})
			var se *actor.StopError
			require.ErrorAs(t, err, &se, "it did not stop in its time")
			require.Equal(t, []actor.Leak{{Path: "/tasklet/p/child"}}, se.Leaked)
			require.Equal(t, []string{"/p", "/p/child/grandchild", "/p/child", "/tasklet"}, j.exits())
		})
	})
}

// Rule 18: the time that a child waits for its own children is not counted: each has its own. What
// its deferred calls take is.
func TestShutdownDoesNotCountTheChildren(t *testing.T) {
	chain := func(t *actor.Tasklet, d time.Duration) {
		actor.Go(t, func(t *actor.Tasklet) error { survive(t); t.Sleep(time.Hour); return nil }, actor.Shutdown(d), actor.Name("slow"))
	}
	for name, c := range map[string]struct {
		limit    time.Duration // of the child
		deferred time.Duration // what its deferred call asks for
		want     time.Duration // after the grandchild's 21 s
	}{
		"nothing to do after that": {time.Second, 0, 0},
		"deferred call in time":    {2 * time.Second, 1900 * time.Millisecond, 1900 * time.Millisecond},
		"deferred call too long":   {2 * time.Second, time.Hour, 2 * time.Second},
		"default":                  {0, time.Hour, 5 * time.Second},
		"longer than the children": {time.Minute, time.Hour, time.Minute},
		"BrutalKill":               {actor.BrutalKill, time.Hour, 0},
		"Infinity":                 {actor.Infinity, time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			took, err := stopping(t, &j, func(t *actor.Tasklet) error {
				chain(t, 21*time.Second)
				t.Defer(func() { t.Sleep(c.deferred) })
				t.Sleep(time.Hour)
				return nil
			}, actor.Shutdown(c.limit))
			require.NoError(t, err)
			require.Equal(t, 21*time.Second+c.want, took)
			require.Empty(t, j.of(event.StopTimeout, ""))
			require.Equal(t, []string{"/p/child/slow", "/p/child", "/p", "/tasklet"}, j.exits())
		})
	}
	t.Run("a body that has its time and then children", func(t *testing.T) {
		var j journal
		took, err := stopping(t, &j, func(t *actor.Tasklet) error {
			chain(t, 3*time.Second)
			survive(t)
			t.Sleep(time.Hour)
			return nil
		}, actor.Shutdown(2*time.Second))
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, took)
	})
	t.Run("what the body used of its time is gone", func(t *testing.T) {
		var j journal
		took, err := stopping(t, &j, func(t *actor.Tasklet) error {
			chain(t, 7*time.Second)
			t.Defer(func() { t.Sleep(time.Hour) })
			survive(t)
			t.Sleep(4 * time.Second)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 4*time.Second+7*time.Second+time.Second, took)
	})
	t.Run("given up in a deferred call, after its children", func(t *testing.T) {
		var j journal
		took, err := stopping(t, &j, func(t *actor.Tasklet) error {
			chain(t, 21*time.Second)
			t.Defer(func() {
				for {
					survive(t)
				}
			})
			t.Sleep(time.Hour)
			return nil
		}, actor.Shutdown(2*time.Second))
		var se *actor.StopError
		require.ErrorAs(t, err, &se)
		require.Equal(t, 24*time.Second, took)
	})
}

// Rule 18: one after the other, each with its own time, the newest first.
func TestChildrenAreStoppedOneByOne(t *testing.T) {
	var j journal
	var ends []time.Duration
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		p := actor.Go(t0, func(p *actor.Tasklet) error {
			for i := range 4 {
				actor.Go(p, func(t *actor.Tasklet) error {
					defer func() { ends = append(ends, elapsed(t)) }()
					survive(t)
					t.Sleep(time.Hour)
					return nil
				}, actor.Shutdown(time.Duration(i+1)*time.Second), actor.Name(fmt.Sprint(i+1)))
			}
			p.Yield()
			return nil
		}, actor.Name("p"))
		return p.Join(t0)
	}))
	require.Equal(t, []time.Duration{4 * time.Second, 7 * time.Second, 9 * time.Second, 10 * time.Second}, ends)
	require.Equal(t, []string{"/p/4", "/p/3", "/p/2", "/p/1", "/p", "/tasklet"}, j.exits())
}

// Rule 18: the options that are not times.
func TestShutdownMisuse(t *testing.T) {
	require.Contains(t, recovering(func() { actor.Shutdown(-3) }), "Shutdown")
	require.NotPanics(t, func() { actor.Shutdown(actor.BrutalKill); actor.Shutdown(actor.Infinity) })
}

// Rule 18: only the context of System.Stop bounds Infinity.
func TestStopLimitsInfinity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		cfg := j.config()
		cfg.Clock = nil
		s, err := actor.Start(cfg)
		require.NoError(t, err)
		cleaned := make(chan struct{})
		k := actor.Go(s, func(t *actor.Tasklet) error {
			defer close(cleaned)
			survive(t)
			t.Sleep(time.Hour)
			return nil
		}, actor.Shutdown(actor.Infinity))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begin := time.Now()
		require.NoError(t, s.Stop(ctx), "in the end all have stopped")
		require.Equal(t, time.Minute, time.Since(begin))
		<-cleaned
		require.ErrorIs(t, k.Join(context.Background()), actor.ErrKilled)
		require.NoError(t, s.Stop(context.Background()), "again")
	})
}

// Rule 18: who survives that too is named by Stop, a second later, and its goroutine is left
// behind.
func TestStopNamesWhoSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := actor.Config{Logger: zap.NewNop(), Name: "shop"}
		s, err := actor.Start(cfg)
		require.NoError(t, err)
		release := make(chan struct{})
		actor.Go(s, func(t *actor.Tasklet) error {
			actor.Go(t, func(t *actor.Tasklet) error {
				_, err := actor.Await(t, func(context.Context) (int, error) { <-release; return 0, nil })
				return err
			}, actor.Name("stuck"), actor.Shutdown(actor.Infinity))
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("p"), actor.Shutdown(actor.Infinity))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begin := time.Now()
		defer close(release)
		err = s.Stop(ctx)
		require.Equal(t, time.Minute+time.Second, time.Since(begin))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, actor.ErrTimeout)
		var se *actor.StopError
		require.ErrorAs(t, err, &se)
		var paths []string
		for _, l := range se.Leaked {
			require.Nil(t, l.Stack, "nobody holds the scheduler")
			paths = append(paths, l.Path)
		}
		require.Equal(t, []string{"/shop", "/shop/p", "/shop/p/stuck"}, paths)
	})
}

// Rule 18: a tasklet that is stopped may be in a deferred call already, or may have ended by
// itself.
func TestStopOfOneThatEnds(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		p := actor.Go(t0, func(p *actor.Tasklet) error {
			actor.Go(p, func(t *actor.Tasklet) error {
				t.Defer(func() { t.Sleep(3 * time.Second) })
				return nil
			}, actor.Name("ends"))
			p.Sleep(time.Second)
			return nil
		})
		err := p.Join(t0)
		require.Equal(t, 3*time.Second, elapsed(t0), "its deferred call is not killed before its time is over")
		return err
	}))
	require.NoError(t, j.of(event.Exit, "/ends")[0].Err)
}

// Rule 18: 10,000 children of one parent, idle, parked, not begun: all stopped, newest first.
func TestStopTenThousand(t *testing.T) {
	n := 10_000
	if raceEnabled {
		n = 1000
	}
	run(t, func(t0 *actor.Tasklet) error {
		for _, begun := range []bool{true, false} {
			var ended []int
			calls := 0
			p := actor.Go(t0, func(p *actor.Tasklet) error {
				for i := range n {
					end := func() { ended = append(ended, i) }
					switch i % 4 {
					case 0:
						actor.Receiver(p, func(*actor.Tasklet, int) error { return nil })
					case 1:
						actor.Go(p, func(t *actor.Tasklet) error { calls++; defer end(); t.Sleep(time.Hour); return nil })
					case 2:
						actor.Interval(p, time.Hour, func(t *actor.Tasklet) error { calls++; t.Defer(end); return nil }, actor.Immediate())
					case 3:
						actor.Go(p, func(t *actor.Tasklet) error {
							calls++
							actor.Receiver(t, func(*actor.Tasklet, int) error { return nil })
							defer end()
							t.Sleep(time.Hour)
							return nil
						})
					}
				}
				if begun {
					p.Sleep(time.Second)
				}
				return nil
			})
			require.NoError(t, p.Join(t0))
			require.Empty(t, p.Children())
			if !begun {
				continue // the last has not begun; the others do while they wait for their turn
			}
			require.Equal(t, n*3/4, calls)
			require.Len(t, ended, n*3/4)
			for i := range ended[1:] {
				require.Greater(t, ended[i], ended[i+1])
			}
		}
		return nil
	})
}

// Receivers, intervals and the like own no stack while they wait.
func TestIdleTaskletsOwnNoStack(t *testing.T) {
	const n = 10_000
	run(t, func(t0 *actor.Tasklet) error {
		var refs []actor.Ref[int]
		sum := 0
		before := runtime.NumGoroutine()
		for range n {
			refs = append(refs, actor.Receiver(t0, func(_ *actor.Tasklet, v int) error { sum += v; return nil }))
			actor.Interval(t0, time.Minute, func(*actor.Tasklet) error { return nil })
			actor.BatchReceiver(t0, 3, time.Second, func(*actor.Tasklet, []int) error { return nil })
			actor.Later(t0, time.Hour, func(*actor.Tasklet) error { return nil })
			actor.Rate(t0, 0.01, func(*actor.Tasklet, time.Time) error { return nil })
		}
		for range 3 {
			for _, r := range refs {
				require.NoError(t, r.Send(t0, 1))
			}
			t0.Sleep(2 * time.Minute)
			require.Less(t, runtime.NumGoroutine()-before, 10)
		}
		require.Equal(t, 3*n, sum)
		return nil
	})
}

// A chain of 10,000 levels is stopped without a stack that grows with it, and in a time that does:
// twice the depth takes about twice as long, which is checked by counting the steps of the
// clock-free run, not by time.
func TestStopADeepChain(t *testing.T) {
	depth := 10_000
	if raceEnabled {
		depth = 1000
	}
	for name, body := range map[string]func(next func(*actor.Tasklet)) func(*actor.Tasklet) error{
		"parked": func(next func(*actor.Tasklet)) func(*actor.Tasklet) error {
			return func(t *actor.Tasklet) error { next(t); t.Sleep(time.Hour); return nil }
		},
		"joining": func(next func(*actor.Tasklet)) func(*actor.Tasklet) error {
			return func(t *actor.Tasklet) error { next(t); _, err := t.JoinChildren(t); return err }
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended := 0
			run(t, func(t0 *actor.Tasklet) error {
				level := 0
				var start func(t *actor.Tasklet)
				start = func(t *actor.Tasklet) {
					if level++; level <= depth {
						actor.Go(t, func(t *actor.Tasklet) error { defer func() { ended++ }(); return body(start)(t) })
					}
				}
				start(t0)
				if name == "joining" {
					for range depth {
						t0.Yield()
					}
				} else {
					t0.Sleep(time.Second)
				}
				n := 0
				for _, l := range t0.Tree() {
					require.Equal(t, n, l)
					n++
				}
				if name == "parked" {
					require.Equal(t, depth+1, n)
				}
				t0.Children()[0].Kill()
				_ = t0.Children()[0].Join(t0)
				require.Equal(t, depth, ended)
				return nil
			})
		})
	}
}

// Children that are stopped together have one time for all of them, and each is given up a second
// after its kill became hard.
func TestStopTogether(t *testing.T) {
	for name, c := range map[string]struct {
		limit, want time.Duration
	}{
		"default": {0, 5 * time.Second}, "a time": {2 * time.Second, 2 * time.Second},
		"BrutalKill": {actor.BrutalKill, 0}, "Infinity": {actor.Infinity, 100 * time.Hour},
	} {
		for _, stuck := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " stuck=", stuck), func(t *testing.T) {
				if stuck && c.limit == actor.Infinity {
					t.Skip("waits for ever")
				}
				var j journal
				var took time.Duration
				err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
					p := together(t0, c.limit, func(p *actor.Tasklet) error {
						for range 20 {
							actor.Receiver(p, func(*actor.Tasklet, int) error { return nil })
							actor.Go(p, func(t *actor.Tasklet) error { survive(t); t.Sleep(100 * time.Hour); return nil })
							actor.Go(p, func(t *actor.Tasklet) error {
								t.Defer(func() {
									for stuck {
										survive(t)
									}
									t.Sleep(100 * time.Hour)
								})
								return nil
							})
						}
						p.Yield()
						return nil
					})
					err := p.Join(t0)
					took = elapsed(t0)
					return err
				})
				if !stuck {
					require.NoError(t, err)
					require.Equal(t, c.want, took)
					return
				}
				var se *actor.StopError
				require.ErrorAs(t, err, &se)
				require.Len(t, se.Leaked, 20)
				require.Equal(t, c.want+time.Second, took)
			})
		}
	}
}

// A stop meets everything that a tasklet can wait in.
func TestStopWhereverItIs(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		p := actor.Go(t0, func(p *actor.Tasklet) error {
			full := actor.NewRef[int](actor.MailboxLen(1))
			require.NoError(t, full.Send(p, 1))
			ch := scheduler.NewChan[int](0)
			for _, f := range []func(*actor.Tasklet){
				func(t *actor.Tasklet) { _ = full.Send(t, 1) },
				func(t *actor.Tasklet) { _, _ = ch.Receive(t) },
				func(t *actor.Tasklet) { t.Sleep(time.Hour) },
				func(t *actor.Tasklet) {
					_, _ = actor.Await(t, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil })
				},
				func(t *actor.Tasklet) {
					for {
						t.Yield()
					}
				},
			} {
				actor.Go(p, func(t *actor.Tasklet) error { f(t); return nil })
			}
			for range 10 {
				p.Yield()
			}
			return nil
		})
		err := p.Join(t0)
		require.Zero(t, elapsed(t0))
		return err
	})
}

// Rule 22: while the root waits for its children, a start from outside gives a tasklet that has
// already finished: else a stop might never come to its end.
func TestStartFromOutsideWhileTheRootStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
		require.NoError(t, err)
		hold := make(chan struct{})
		actor.Go(s, func(t *actor.Tasklet) error {
			t.Defer(func() { _, _ = actor.Await(t, func(context.Context) (int, error) { <-hold; return 0, nil }) })
			return forever(t)
		}, actor.Shutdown(actor.Infinity))
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- s.Stop(context.Background()) }()
		synctest.Wait()
		called := false
		k := actor.Go(s, func(*actor.Tasklet) error { called = true; return nil })
		require.True(t, k.HasFinished())
		require.ErrorIs(t, k.Join(context.Background()), actor.ErrStopped)
		close(hold)
		require.NoError(t, <-stopped)
		require.False(t, called)
	})
}
