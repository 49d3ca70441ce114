package actor_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// Rule 17: where a tasklet is when it is killed. Each body notes what it comes to; all end killed.
func TestKillWhereverItIs(t *testing.T) {
	full := func(t0 *actor.Tasklet) actor.Ref[int] {
		r := actor.NewRef[int](actor.MailboxLen(1))
		_ = r.Send(t0, 0)
		return r
	}
	never := func(t0 *actor.Tasklet) *actor.Tasklet {
		return actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(1000 * time.Hour); return nil })
	}
	var mu scheduler.Mutex
	cases := map[string]func(t0, t *actor.Tasklet){
		"sleep": func(t0, t *actor.Tasklet) { t.Sleep(time.Hour) },
		"send":  func(t0, t *actor.Tasklet) { _ = full(t).Send(t, 1) },
		"send with a timeout": func(t0, t *actor.Tasklet) {
			ctx, cancel := actor.WithTimeout(t, time.Hour)
			defer cancel()
			_ = full(t).Send(ctx, 1)
		},
		"send under a foreign context": func(t0, t *actor.Tasklet) {
			ctx, cancel := context.WithCancel(t)
			defer cancel()
			_ = full(t).Send(ctx, 1)
		},
		"join":       func(t0, t *actor.Tasklet) { _ = never(t).Join(t) },
		"join a ref": func(t0, t *actor.Tasklet) { _ = actor.NewRef[int]().Join(t) },
		"call": func(t0, t *actor.Tasklet) {
			_, _ = actor.Call(t, actor.NewRef[int](), func(actor.Reply[int]) int { return 0 })
		},
		"join children": func(t0, t *actor.Tasklet) { never(t); _, _ = t.JoinChildren(t) },
		"await": func(t0, t *actor.Tasklet) {
			_, err := actor.Await(t, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) })
			panic(err)
		},
		"chan":  func(t0, t *actor.Tasklet) { _, _ = scheduler.NewChan[int](0).Receive(t) },
		"event": func(t0, t *actor.Tasklet) { var e scheduler.Event; _ = e.Wait(t) },
		"mutex": func(t0, t *actor.Tasklet) { _ = mu.Lock(t) },
	}
	for name, block := range cases {
		t.Run(name, func(t *testing.T) {
			var j journal
			require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
				mu = scheduler.Mutex{}
				require.NoError(t, mu.Lock(t0))
				var exit *actor.Killed
				k := actor.Go(t0, func(t *actor.Tasklet) error {
					defer func() {
						v := recover()
						exit, _ = v.(*actor.Killed)
						panic(v)
					}()
					block(t0, t)
					return nil
				}, actor.Name("it"))
				before := time.Second
				if name == "await" || name == "send under a foreign context" {
					before = 0 // virtual time stands still meanwhile
				}
				t0.Sleep(before)
				k.Kill()
				require.Nil(t, exit, "no code of it runs on the caller's stack")
				require.False(t, k.HasFinished())
				err := k.Join(t0)
				require.ErrorIs(t, err, actor.ErrKilled)
				require.NotNil(t, exit)
				require.Same(t, k, exit.Tasklet)
				require.ErrorIs(t, exit, actor.ErrKilled)
				require.Equal(t, "/tasklet/it killed", exit.Error())
				require.Equal(t, before, elapsed(t0))
				mu.Unlock()
				return nil
			}))
			require.Len(t, j.of(event.Kill, "/it"), 1)
			require.Empty(t, j.of(event.KillRecovered, ""))
		})
	}
}

// Rule 17: those that wait without a stack, or have not begun, end without any of their code being
// run.
func TestKillWithoutAStack(t *testing.T) {
	ran := 0
	f := func(*actor.Tasklet) error { ran++; return nil }
	cases := map[string]func(p actor.Spawner) *actor.Tasklet{
		"receiver": func(p actor.Spawner) *actor.Tasklet {
			return actor.Receiver(p, func(t *actor.Tasklet, _ int) error { return f(t) }).Tasklet()
		},
		"batch receiver": func(p actor.Spawner) *actor.Tasklet {
			return actor.BatchReceiver(p, 5, time.Second, func(t *actor.Tasklet, _ []int) error { return f(t) }).Tasklet()
		},
		"interval": func(p actor.Spawner) *actor.Tasklet { return actor.Interval(p, time.Hour, f) },
		"rate": func(p actor.Spawner) *actor.Tasklet {
			return actor.Rate(p, 0.001, func(t *actor.Tasklet, _ time.Time) error { return f(t) })
		},
		"later": func(p actor.Spawner) *actor.Tasklet { return actor.Later(p, time.Hour, f) },
	}
	for name, start := range cases {
		t.Run(name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				ran = 0
				k := start(t0)
				t0.Sleep(time.Second)
				k.Kill()
				require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
				require.Zero(t, ran)
				require.Equal(t, time.Second, elapsed(t0))
				return nil
			})
		})
	}
	cases["task"] = func(p actor.Spawner) *actor.Tasklet { return actor.Go(p, f) }
	cases["loop"] = func(p actor.Spawner) *actor.Tasklet { return actor.Loop(p, f) }
	cases["immediate"] = func(p actor.Spawner) *actor.Tasklet { return actor.Interval(p, time.Hour, f, actor.Immediate()) }
	cases["with OnStart"] = func(p actor.Spawner) *actor.Tasklet { return actor.Go(p, f, actor.OnStart(f)) }
	cases["daemon"] = func(p actor.Spawner) *actor.Tasklet { return actor.Go(p, f, actor.Daemon()) }
	cases["reader"] = func(p actor.Spawner) *actor.Tasklet {
		return actor.Spawn(p, func(t *actor.Tasklet, _ *mailbox.Mailbox[int]) error { return f(t) }).Tasklet()
	}
	for name, start := range cases {
		t.Run("not begun/"+name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				ran = 0
				k := start(t0)
				k.Kill()
				require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
				require.Zero(t, ran)
				return nil
			})
		})
	}
}

// Rule 17: a receiver looks at the kill before each message. Rule 3: what is queued becomes dead
// letters, closed or not.
func TestKillOfABusyReceiver(t *testing.T) {
	for _, closed := range []bool{false, true} {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			handled := 0
			r := actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
				handled++
				if n == 3 {
					t.Kill()
				}
				return nil
			}, actor.Name("r"))
			for i := range 10 {
				require.NoError(t, r.Send(t0, i+1))
			}
			if closed {
				r.Close()
			}
			require.ErrorIs(t, r.Join(t0), actor.ErrKilled)
			require.Equal(t, 3, handled)
			return nil
		}))
		letters := j.of(event.DeadLetter, "/r")
		require.Len(t, letters, 1)
		require.Equal(t, int64(7), count(letters[0]))
		require.Empty(t, j.of(event.MessageLost, "/r"))
	}
}

// count is how many messages e tells of.
func count(e actor.EventRecord) int64 { return int64(max(e.Count, 1)) }

// Rule 17: a kill is never the failure of one message: Resume does not catch it. The message in
// hand is reported as lost.
func TestKillInAHandler(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		sleep := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
		r := actor.Receiver(t0, func(t *actor.Tasklet, _ int) error { return sleep(t) }, actor.Name("r"))
		b := actor.BatchReceiver(t0, 3, 0, func(t *actor.Tasklet, _ []int) error { return sleep(t) }, actor.Name("b"))
		for range 3 {
			require.NoError(t, r.Send(t0, 1))
			require.NoError(t, b.Send(t0, 1))
		}
		ks := []*actor.Tasklet{
			r.Tasklet(), b.Tasklet(),
			actor.Interval(t0, time.Second, sleep),
			actor.Loop(t0, sleep),
			actor.Rate(t0, 1, func(t *actor.Tasklet, _ time.Time) error { return sleep(t) }),
		}
		t0.Sleep(2 * time.Second)
		for _, k := range ks {
			k.Kill()
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
		}
		return nil
	}))
	require.Empty(t, j.of(event.Failure, ""))
	for _, name := range []string{"/r", "/b"} {
		lost, letters := j.of(event.MessageLost, name), j.of(event.DeadLetter, name)
		require.Len(t, lost, 1)
		require.ErrorIs(t, lost[0].Err, actor.ErrKilled)
		require.Equal(t, "int", lost[0].Message.String())
		if name == "/b" {
			require.Empty(t, letters)
			require.Equal(t, int64(3), count(lost[0]))
		} else {
			require.Len(t, letters, 1)
			require.Equal(t, int64(2), count(letters[0]))
			require.Equal(t, int64(1), count(lost[0]))
		}
	}
}

// A message whose handler fails is reported once: as a failure if the tasklet goes on, else as
// lost.
func TestFailedMessageIsReported(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error":  func() error { return errBoom },
		"panic":  func() error { panic(errBoom) },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		for _, policy := range []actor.FailurePolicy{actor.Resume, actor.End, actor.Escalate} {
			t.Run(fmt.Sprint(name, policy), func(t *testing.T) {
				var j journal
				require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
					p := actor.Go(t0, func(t *actor.Tasklet) error {
						r := actor.Receiver(t, func(_ *actor.Tasklet, n int) error { return fail() }, actor.OnFailure(policy), actor.Name("r"))
						b := actor.BatchReceiver(t, 2, 0, func(*actor.Tasklet, []int) error { return fail() }, actor.OnFailure(policy), actor.Name("b"))
						for range 3 {
							_ = r.Send(t, 1)
							_ = b.Send(t, 1)
						}
						r.Close()
						b.Close()
						_ = r.Join(t)
						_ = b.Join(t)
						return nil
					})
					_ = p.Join(t0)
					return nil
				}))
				resumed := policy == actor.Resume && name != "goexit"
				for _, who := range []string{"/r", "/b"} {
					sum := map[event.Kind]int64{}
					for _, k := range []event.Kind{event.Failure, event.MessageLost, event.DeadLetter} {
						for _, e := range j.of(k, who) {
							sum[k] += count(e)
						}
					}
					if resumed {
						require.Equal(t, map[event.Kind]int64{event.Failure: 3}, sum)
					} else {
						first := int64(1)
						if who == "/b" {
							first = 2
						}
						require.Equal(t, map[event.Kind]int64{event.MessageLost: first, event.DeadLetter: 3 - first}, sum)
					}
				}
			})
		}
	}
}

// A handler that ends its tasklet well has handled its message.
func TestNoMessageIsLostWithoutAFailure(t *testing.T) {
	for _, err := range []error{actor.ErrStop, actor.ErrShutdown} {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return err }, actor.Name("r"))
			_ = r.Send(t0, 1)
			_ = r.Send(t0, 2)
			return r.Join(t0)
		}))
		require.Empty(t, j.of(event.MessageLost, ""))
		require.Len(t, j.of(event.DeadLetter, "/r"), 1)
	}
}

// Rule 17: busy, in any phase.
func TestKillOfABusyTasklet(t *testing.T) {
	kill := func(t *actor.Tasklet) { // as another goroutine would while t runs
		done := make(chan struct{})
		go func() { t.Kill(); close(done) }()
		<-done
	}
	t.Run("at its next blocking point", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			reached, passed := false, false
			k := actor.Go(t0, func(t *actor.Tasklet) error { kill(t); reached = true; t.Yield(); passed = true; return nil })
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			require.True(t, reached)
			require.False(t, passed)
			return nil
		})
	})
	t.Run("a send that need not wait is no blocking point, one that must is", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			r := actor.NewRef[int](actor.MailboxLen(1))
			var first error = errBoom
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				kill(t)
				first = r.Send(t, 1)
				_ = r.Send(t, 2)
				return nil
			})
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			require.NoError(t, first)
			require.Equal(t, 1, r.Len())
			return nil
		})
	})
	t.Run("never, if it does not block", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, func(t *actor.Tasklet) error { kill(t); return nil })
			return k.Join(t0)
		})
	})
	t.Run("oneself", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			reached := false
			k := actor.Go(t0, func(t *actor.Tasklet) error { t.Kill(); reached = true; t.Sleep(1); return nil })
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			require.True(t, reached)
			return nil
		})
	})
	t.Run("before an Await: its function is not called", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			called := false
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				kill(t)
				_, err := actor.Await(t, func(context.Context) (int, error) { called = true; return 0, nil })
				return err
			})
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			require.False(t, called)
			return nil
		})
	})
}

// Rule 17: a kill in the moment when an Await begins ends its context too, and the function has
// returned when it is raised.
func TestKillWhenAwaitBegins(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		for range 300 {
			over := false
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				defer func() {
					if !over {
						panic("raised while the function runs")
					}
				}()
				_, err := actor.Await(t, func(ctx context.Context) (int, error) {
					t.Kill()
					<-ctx.Done()
					over = true
					return 0, context.Cause(ctx)
				})
				return err
			})
			err := k.Join(t0)
			require.ErrorIs(t, err, actor.ErrKilled)
			var pe *actor.PanicError
			require.NotErrorAs(t, err, &pe)
		}
		return nil
	})
}

// Rule 17: the same, in the one moment that a goroutine hardly ever meets: after the Await has
// looked for a kill.
func TestKillBeforeAnInterruptibleWait(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var told, raised bool
		k := actor.Go(t0, func(t *actor.Tasklet) error {
			var place core.Waiter
			place.SetItem(interrupted(func() {
				told = true
				core.TaskOf(t).Scheduler().InjectFunc(place.Release)
			}))
			t.Kill()
			raised = true
			_ = core.TaskOf(t).Park(core.Wait{Kind: core.InAwait, In: &place})
			raised = false
			t.Yield()
			return nil
		})
		require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
		require.True(t, told)
		require.False(t, raised)
		return nil
	})
}

type interrupted func()

func (f interrupted) Interrupt() { f() }

// Rule 17: a recovered kill is over: the tasklet goes on, which is an event, and can be killed
// again.
func TestRecoveredKill(t *testing.T) {
	t.Run("and a later one", func(t *testing.T) {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			recovered := 0
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				for range 3 {
					survive(t)
					recovered++
				}
				t.Sleep(time.Hour)
				return nil
			}, actor.Name("it"))
			for i := range 4 {
				t0.Sleep(time.Second)
				require.False(t, k.HasFinished())
				require.Equal(t, i, recovered)
				k.Kill()
				k.Kill() // does nothing
			}
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			return nil
		}))
		require.Len(t, j.of(event.Kill, "/it"), 4)
		require.Len(t, j.of(event.KillRecovered, "/it"), 3)
	})
	t.Run("kills before it has parked again do nothing", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				survive(t)
				t.Kill()
				t.Sleep(time.Second) // parks again
				t.Kill()
				t.Sleep(time.Second)
				return nil
			})
			t0.Yield()
			k.Kill()
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			require.Equal(t, time.Second, elapsed(t0))
			return nil
		})
	})
	t.Run("while it unwinds further ones do nothing, and deferred Go calls may block", func(t *testing.T) {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				defer func() {
					t.Kill()
					t.Sleep(time.Second)
				}()
				t.Sleep(time.Hour)
				return nil
			}, actor.Name("it"))
			t0.Yield()
			k.Kill()
			t0.Sleep(500 * time.Millisecond)
			k.Kill()
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			require.Equal(t, time.Second, elapsed(t0))
			return nil
		}))
		require.Len(t, j.of(event.Kill, "/it"), 1)
		require.Empty(t, j.of(event.KillRecovered, "/it"))
	})
	t.Run("in a handler that does not block again", func(t *testing.T) {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			handled := 0
			survivor := func() func(*actor.Tasklet) error { // survives one kill
				calls := 0
				return func(t *actor.Tasklet) error {
					if calls++; calls == 1 {
						survive(t)
						handled++
					}
					return nil
				}
			}
			f := survivor()
			ref := actor.Receiver(t0, func(t *actor.Tasklet, _ int) error { return f(t) })
			ks := []*actor.Tasklet{
				ref.Tasklet(),
				actor.Interval(t0, time.Second, survivor(), actor.Immediate()),
				actor.Later(t0, 0, func(t *actor.Tasklet) error { survive(t); handled++; t.Sleep(time.Hour); return nil }),
			}
			require.NoError(t, ref.Send(t0, 1))
			t0.Yield()
			for _, k := range ks {
				k.Kill()
			}
			t0.Sleep(time.Millisecond)
			require.Equal(t, 3, handled)
			for _, k := range ks {
				require.False(t, k.HasFinished())
				k.Kill()
				require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			}
			require.Equal(t, time.Millisecond, elapsed(t0))
			return nil
		}))
		require.Len(t, j.of(event.KillRecovered, ""), 3)
	})
	t.Run("is not seen in the deferred calls of one that was killed", func(t *testing.T) {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				t.Defer(func() { t.Sleep(time.Second) })
				t.Sleep(time.Hour)
				return nil
			})
			t0.Yield()
			k.Kill()
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			require.Equal(t, time.Second, elapsed(t0))
			return nil
		}))
		require.Empty(t, j.of(event.KillRecovered, ""))
	})
}

// Rule 17: who is stopping or has finished can't be killed again.
func TestKillOfOneThatEnds(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		k := actor.Go(t0, func(t *actor.Tasklet) error {
			t.Defer(func() { t.Sleep(time.Second) })
			actor.Go(t, func(c *actor.Tasklet) error {
				c.Defer(func() { c.Sleep(time.Second) })
				c.Sleep(time.Hour)
				return nil
			})
			t.Yield()
			return nil
		}, actor.Name("it"))
		for i := range 4 {
			t0.Sleep(600 * time.Millisecond)
			require.Equal(t, i == 3, k.HasFinished())
			k.Kill() // its child is in a deferred call, then it is itself, then it has finished
		}
		return k.Join(t0)
	}))
	require.Empty(t, j.of(event.Kill, "/it"))
	require.Len(t, j.of(event.Exit, "/it"), 1)
}

// Rule 17: from goroutines, many at once, in all phases of a life. For the race detector.
func TestKillFromGoroutines(t *testing.T) {
	var j journal
	s, err := actor.Start(j.config())
	require.NoError(t, err)
	var ks []*actor.Tasklet
	for i := range 60 {
		f := func(t *actor.Tasklet) error {
			t.Defer(func() { t.Yield() })
			for range i % 7 {
				t.Yield()
			}
			switch i % 3 {
			case 0:
				survive(t)
			case 1:
				actor.Go(t, func(t *actor.Tasklet) error { survive(t); return nil })
			}
			t.Sleep(time.Duration(i) * time.Millisecond)
			return nil
		}
		ks = append(ks, actor.Go(s, f), actor.Interval(s, time.Millisecond, f),
			actor.Receiver(s, func(*actor.Tasklet, int) error { return nil }).Tasklet())
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range ks {
				k := ks[(i*7+g*13)%len(ks)]
				for !k.HasFinished() {
					k.Kill()
					runtime.Gosched()
				}
				_ = k.Join(context.Background())
				_ = k.Err()
				_ = k.Info()
				<-k.Done()
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Stop(context.Background()))
	for _, k := range ks {
		require.Len(t, slices.DeleteFunc(slices.Clone(j.events), func(e actor.EventRecord) bool {
			return e.Tasklet != k || e.Kind != event.Exit
		}), 1)
	}
}

// A kill reaches the subtree in reverse order of start: the order of the ends is golden.
func TestKillReachesTheSubtree(t *testing.T) {
	var j journal
	wait := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
	node := func(name string, children ...func(actor.Spawner)) func(actor.Spawner) {
		return func(p actor.Spawner) {
			actor.Go(p, func(t *actor.Tasklet) error {
				for _, c := range children {
					c(t)
				}
				return wait(t)
			}, actor.Name(name))
		}
	}
	receiver := func(p actor.Spawner) {
		actor.Receiver(p, func(*actor.Tasklet, int) error { return nil }, actor.Name("r"))
	}
	interval := func(p actor.Spawner) { actor.Interval(p, time.Second, wait, actor.Name("i")) }
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		node("a", node("b", receiver, node("c")), interval, node("d", node("e"), receiver), receiver)(t0)
		node("x")(t0)
		t0.Sleep(time.Minute)
		t0.Children()[0].Kill()
		t0.Sleep(time.Second)
		return nil
	}))
	require.Equal(t, []string{
		"/a/r", "/a/d/r", "/a/d/e", "/a/d", "/a/i", "/a/b/c", "/a/b/r", "/a/b", "/a", "/x", "/tasklet",
	}, j.exits())
}

// Rule 8: a kill while a batch is collected leaves it queued, so it becomes dead letters.
func TestKillWhileABatchIsCollected(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		b := actor.BatchReceiver(t0, 10, time.Minute, func(*actor.Tasklet, []int) error { panic("handled") }, actor.Name("b"))
		r := actor.Spawn(t0, func(_ *actor.Tasklet, m *mailbox.Mailbox[int]) error {
			for range m.ReceiveBatch(10, time.Minute) {
				panic("handled")
			}
			return nil
		}, actor.Name("r"))
		for range 3 {
			require.NoError(t, b.Send(t0, 1))
			require.NoError(t, r.Send(t0, 1))
		}
		t0.Sleep(time.Second)
		b.Kill()
		r.Kill()
		require.ErrorIs(t, b.Join(t0), actor.ErrKilled)
		require.ErrorIs(t, r.Join(t0), actor.ErrKilled)
		return nil
	}))
	for _, name := range []string{"/b", "/r"} {
		letters := j.of(event.DeadLetter, name)
		require.Len(t, letters, 1)
		require.Equal(t, int64(3), count(letters[0]))
	}
}

// Rule 17: a kill that comes when the body has been woken from a wait half-way and not yet run ends
// the tasklet when the body returns, not at its next round.
func TestKillBetweenWakeUpAndRun(t *testing.T) {
	slow := func(t *actor.Tasklet) error { t.Sleep(10 * time.Millisecond); return nil }
	for name, start := range map[string]func(t0 *actor.Tasklet) *actor.Tasklet{
		"interval": func(t0 *actor.Tasklet) *actor.Tasklet { return actor.Interval(t0, time.Hour, slow, actor.Immediate()) },
		"rate": func(t0 *actor.Tasklet) *actor.Tasklet {
			return actor.Rate(t0, 0.001, func(t *actor.Tasklet, _ time.Time) error { return slow(t) }, actor.Immediate())
		},
		"loop": func(t0 *actor.Tasklet) *actor.Tasklet { return actor.Loop(t0, slow) },
		"receiver": func(t0 *actor.Tasklet) *actor.Tasklet {
			ref := actor.Receiver(t0, func(t *actor.Tasklet, _ int) error { return slow(t) })
			_ = ref.Send(t0, 1)
			return ref.Tasklet()
		},
		"batch receiver": func(t0 *actor.Tasklet) *actor.Tasklet {
			ref := actor.BatchReceiver(t0, 5, time.Hour, func(t *actor.Tasklet, _ []int) error { return slow(t) }, actor.MailboxLen(1))
			_ = ref.Send(t0, 1)
			return ref.Tasklet()
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				var k *actor.Tasklet
				// Its timer is older than the child's for the same tick: so it runs first, and the
				// child is ready by then.
				killer := actor.Later(t0, 10*time.Millisecond, func(*actor.Tasklet) error { k.Kill(); return nil })
				t0.Yield()
				k = start(t0)
				require.NoError(t, killer.Join(t0))
				begin := t0.System().Now()
				require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
				require.Zero(t, t0.System().Now().Sub(begin))
				return nil
			})
		})
	}
}
