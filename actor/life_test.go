package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

var errBoom = errors.New("boom")

// journal keeps the events of a system, and what a test notes between them.
type journal struct {
	mu     sync.Mutex
	events []actor.EventRecord
	notes  []string
}

// config is a system on a virtual clock that tells j of its events.
func (j *journal) config() actor.Config {
	return actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), OnEvent: j.event}
}

func (j *journal) event(e actor.EventRecord) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
	if e.Kind == event.Exit {
		j.notes = append(j.notes, "exit "+shortPath(e.Path))
	}
}

// note adds a line to the notes, which have a line for each exit too.
func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes = append(j.notes, fmt.Sprintf(format, args...))
}

func (j *journal) taken() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.notes...)
}

// of gives the events of kind k that concern a tasklet whose path ends with name.
func (j *journal) of(k event.Kind, name string) (found []actor.EventRecord) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Kind == k && strings.HasSuffix(e.Path, name) {
			found = append(found, e)
		}
	}
	return found
}

// exits gives the paths of those that have finished, without the root's name, in order.
func (j *journal) exits() (paths []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Kind == event.Exit {
			paths = append(paths, shortPath(e.Path))
		}
	}
	return paths
}

func shortPath(path string) string {
	if p := strings.TrimPrefix(path, "/tasklet"); p != "" {
		return p
	}
	return path
}

// clock is the time on t's clock since the system's start.
func elapsed(t *actor.Tasklet) time.Duration {
	return t.System().Now().Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
}

// recovering calls f and gives the panic's value, nil if there was none.
func recovering(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// survive blocks until a kill comes, and recovers it.
func survive(t *actor.Tasklet) {
	defer func() {
		if _, ok := recover().(*actor.Killed); !ok {
			panic("survive was not killed")
		}
	}()
	t.Sleep(1000 * time.Hour)
}

// Rule 20: what the body did, the exit kind, and what Join gives. Each failed end is one exit entry
// (rule 23).
func TestExitKinds(t *testing.T) {
	cases := []struct {
		name string
		body func(t *actor.Tasklet) error
		kill bool
		kind reason.Kind
		is   error // what the result is, to errors.Is
	}{
		{name: "nil", body: func(t *actor.Tasklet) error { return nil }, kind: reason.Normal},
		{name: "ErrStop", body: func(t *actor.Tasklet) error { return actor.ErrStop }, kind: reason.Normal},
		{name: "wrapped ErrStop", body: func(t *actor.Tasklet) error { return fmt.Errorf("done: %w", actor.ErrStop) }, kind: reason.Normal},
		{name: "recovered kill, then nil", body: func(t *actor.Tasklet) error { survive(t); return nil }, kill: true, kind: reason.Normal},
		{name: "recovered kill, then block, then nil", body: func(t *actor.Tasklet) error { survive(t); t.Sleep(1); return nil }, kill: true, kind: reason.Normal},
		{name: "ErrShutdown", body: func(t *actor.Tasklet) error { return actor.ErrShutdown }, kind: reason.Shutdown, is: actor.ErrShutdown},
		{name: "wrapped ErrShutdown", body: func(t *actor.Tasklet) error { return fmt.Errorf("x: %w", actor.ErrShutdown) }, kind: reason.Shutdown, is: actor.ErrShutdown},
		{name: "killed", body: func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, kill: true, kind: reason.Killed, is: actor.ErrKilled},
		{name: "kill raised again by hand", kill: true, body: func(t *actor.Tasklet) error {
			defer func() { panic(recover()) }()
			t.Sleep(time.Hour)
			return nil
		}, kind: reason.Killed, is: actor.ErrKilled},
		{name: "recovered kill, then error", body: func(t *actor.Tasklet) error { survive(t); return errBoom }, kill: true, kind: reason.Error, is: errBoom},
		{name: "wrapped end of another", body: func(t *actor.Tasklet) error {
			c := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
			c.Kill()
			return fmt.Errorf("child: %w", c.Join(t))
		}, kind: reason.Error, is: actor.ErrKilled},
		{name: "error", body: func(t *actor.Tasklet) error { return errBoom }, kind: reason.Error, is: errBoom},
		{name: "Goexit", body: func(t *actor.Tasklet) error { runtime.Goexit(); return nil }, kind: reason.Error, is: actor.ErrGoexit},
		{name: "Goexit after a wait", body: func(t *actor.Tasklet) error { t.Sleep(1); runtime.Goexit(); return nil }, kind: reason.Error, is: actor.ErrGoexit},
		{name: "Goexit in a Go defer", body: func(t *actor.Tasklet) error { defer runtime.Goexit(); return nil }, kind: reason.Error, is: actor.ErrGoexit},
		{name: "Goexit while a kill unwinds", kill: true, body: func(t *actor.Tasklet) error {
			defer runtime.Goexit()
			t.Sleep(time.Hour)
			return nil
		}, kind: reason.Error, is: actor.ErrGoexit},
		{name: "panic", body: func(t *actor.Tasklet) error { panic("x") }, kind: reason.Panic},
		{name: "panic(nil)", body: func(t *actor.Tasklet) error { panic(nil) }, kind: reason.Panic},
		{name: "panic with an error", body: func(t *actor.Tasklet) error { panic(errBoom) }, kind: reason.Panic, is: errBoom},
		{name: "panic(ErrStop)", body: func(t *actor.Tasklet) error { panic(actor.ErrStop) }, kind: reason.Panic, is: actor.ErrStop},
		{name: "panic(ErrShutdown)", body: func(t *actor.Tasklet) error { panic(actor.ErrShutdown) }, kind: reason.Panic, is: actor.ErrShutdown},
		{name: "panic while a kill unwinds", kill: true, body: func(t *actor.Tasklet) error {
			defer func() { panic(errBoom) }()
			t.Sleep(time.Hour)
			return nil
		}, kind: reason.Panic, is: errBoom},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var j journal
			err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
				k := actor.Go(t0, c.body, actor.Name("it"))
				t0.Yield()
				if c.kill {
					k.Kill()
				}
				for range 2 { // before the end, and after
					err := k.Join(t0)
					if !c.kind.Failure() {
						assert.NoError(t, err)
						continue
					}
					var je *actor.JoinError
					if assert.ErrorAs(t, err, &je) {
						assert.Same(t, k, je.Tasklet)
						assert.Equal(t, c.kind, actor.KindOf(je.Cause))
					}
					if c.is != nil {
						assert.ErrorIs(t, err, c.is)
					}
					var pe *actor.PanicError
					if c.kind == reason.Panic && assert.ErrorAs(t, err, &pe) {
						assert.Contains(t, pe.Stack.String(), "TestExitKinds")
					}
				}
				return nil
			})
			require.NoError(t, err, "a child's failure never ends a plain parent")
			exits := j.of(event.Exit, "/it")
			require.Len(t, exits, 1)
			assert.Equal(t, c.kind, actor.KindOf(exits[0].Err))
			if c.is != nil {
				assert.ErrorIs(t, exits[0].Err, c.is)
			}
			assert.Equal(t, c.kind == reason.Panic, exits[0].Stack.String() != "")
		})
	}
}

// Rule 23: a failure that nobody joins is one exit entry too, and the parent goes on.
func TestFailureIsNeverSilent(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		actor.Go(t0, func(*actor.Tasklet) error { return errBoom }, actor.Name("a"))
		actor.Go(t0, func(*actor.Tasklet) error { panic("b") }, actor.Name("b"))
		t0.Sleep(time.Second)
		return nil
	}))
	require.Len(t, j.of(event.Exit, "/a"), 1)
	require.Len(t, j.of(event.Exit, "/b"), 1)
}

// Rule 23: OnFailure. Escalate kills the parent with a *ChildError, which is its result, over as
// many levels as ask for it.
func TestOnFailure(t *testing.T) {
	boom := func(*actor.Tasklet) error { return errBoom }
	wait := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }

	t.Run("Escalate", func(t *testing.T) {
		for name, how := range map[string]struct {
			f    func(*actor.Tasklet) error
			kill bool
			is   error
		}{
			"error": {f: boom, is: errBoom},
			"panic": {f: func(*actor.Tasklet) error { panic(errBoom) }, is: errBoom},
			"kill":  {f: wait, kill: true, is: actor.ErrKilled},
		} {
			t.Run(name, func(t *testing.T) {
				run(t, func(t0 *actor.Tasklet) error {
					var child *actor.Tasklet
					p := actor.Go(t0, func(p *actor.Tasklet) error {
						child = actor.Go(p, how.f, actor.OnFailure(actor.Escalate), actor.Name("child"))
						p.Yield()
						if how.kill {
							child.Kill()
						}
						p.Sleep(time.Hour)
						return nil
					})
					err := p.Join(t0)
					var ce *actor.ChildError
					require.ErrorAs(t, err, &ce)
					require.Same(t, child, ce.Tasklet)
					require.ErrorIs(t, ce.Cause, how.is)
					require.ErrorIs(t, err, how.is)
					require.Less(t, elapsed(t0), time.Second)
					return nil
				})
			})
		}
	})
	t.Run("Escalate over two levels, up to Run", func(t *testing.T) {
		var j journal
		err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			actor.Go(t0, func(p *actor.Tasklet) error {
				actor.Go(p, boom, actor.OnFailure(actor.Escalate))
				return wait(p)
			}, actor.OnFailure(actor.Escalate), actor.Name("mid"))
			return wait(t0)
		})
		var ce *actor.ChildError
		require.ErrorAs(t, err, &ce)
		require.Equal(t, "mid", ce.Tasklet.Name())
		require.ErrorIs(t, err, errBoom)
	})
	t.Run("Escalate is not for those who end well or with their parent", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			actor.Go(t0, func(*actor.Tasklet) error { return actor.ErrShutdown }, actor.OnFailure(actor.Escalate))
			actor.Go(t0, func(*actor.Tasklet) error { return nil }, actor.OnFailure(actor.Escalate))
			p := actor.Go(t0, func(p *actor.Tasklet) error {
				actor.Go(p, wait, actor.OnFailure(actor.Escalate))
				p.Yield()
				return nil
			})
			require.NoError(t, p.Join(t0))
			t0.Sleep(time.Second)
			return nil
		})
	})
	t.Run("a recovered escalation does not color a later kill", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			p := actor.Go(t0, func(p *actor.Tasklet) error {
				actor.Go(p, boom, actor.OnFailure(actor.Escalate))
				survive(p)
				return wait(p)
			})
			t0.Sleep(time.Second)
			p.Kill()
			err := p.Join(t0)
			require.ErrorIs(t, err, actor.ErrKilled)
			require.NotErrorIs(t, err, errBoom)
			return nil
		})
	})
	t.Run("Stop ends a receiver", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return errBoom }, actor.OnFailure(actor.End))
			require.NoError(t, r.Send(t0, 1))
			require.ErrorIs(t, r.Join(t0), errBoom)
			return nil
		})
	})
	t.Run("Resume is misuse for a body that runs once", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			resume := actor.OnFailure(actor.Resume)
			for op, f := range map[string]func(){
				"Go":           func() { actor.Go(t0, wait, resume) },
				"New":          func() { actor.New(t0, func(*actor.Tasklet) (int, error) { return 0, nil }, resume) },
				"Later":        func() { actor.Later(t0, 1, wait, resume) },
				"StartTasklet": func() { actor.StartTasklet(t0, actor.GoBody(wait), resume) },
				"Spawn": func() {
					actor.Spawn(t0, func(*actor.Tasklet, *mailbox.Mailbox[int]) error { return nil }, resume)
				},
			} {
				v := recovering(f)
				require.Contains(t, v, op)
				require.Contains(t, v, "OnFailure(Resume)")
			}
			require.Empty(t, t0.Children())
			return nil
		})
	})
	t.Run("Escalate of a daemon, which has no parent, is misuse", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			require.Contains(t, recovering(func() { actor.Go(t0, boom, actor.Daemon(), actor.OnFailure(actor.Escalate)) }), "OnFailure(Escalate)")
			require.Contains(t, recovering(func() { actor.Go(t0, boom, actor.OnFailure(actor.Escalate), actor.Daemon()) }), "OnFailure(Escalate)")
			return nil
		})
	})
}

// Rule 21: the end, step by step.
func TestEndOrder(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		notice := actor.Receiver(t0, func(_ *actor.Tasklet, s string) error { j.note("%s", s); return nil }, actor.Name("watcher"))
		var ref actor.Ref[int]
		ref = actor.Spawn(t0, func(t *actor.Tasklet, m *mailbox.Mailbox[int]) error {
			defer func() { j.note("go defer, done=%v", t.Err() != nil) }()
			for _, name := range []string{"c1", "c2"} {
				actor.Go(t, func(c *actor.Tasklet) error {
					c.Defer(func() { j.note("deferred call of %s, ref dead=%v", c.Name(), ref.TrySend(c, 0) == mailbox.ErrClosed) })
					c.Sleep(time.Hour)
					return nil
				}, actor.Name(name))
			}
			t.Defer(func() { j.note("deferred call 1, children=%d", len(t.Children())) })
			t.Defer(func() { j.note("deferred call 2, done=%v", t.Err() != nil) })
			actor.SendAfter(t, 2*time.Second, notice, "a timer that should be gone")
			t.Sleep(time.Second)
			require.NoError(t0ErrorT{}, notice.Send(t, "last words"))
			return errBoom
		}, actor.MailboxLen(1), actor.Name("it"))
		it := ref.Tasklet()
		watch := actor.Go(t0, func(t *actor.Tasklet) error {
			actor.Watch(t, it, notice, func(e actor.Exit) string { return "notice: " + e.Kind.String() })
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("w"))
		require.NoError(t, ref.Send(t0, 1))
		actor.Go(t0, func(t *actor.Tasklet) error {
			j.note("parked sender: %v", ref.Send(t, 2))
			return nil
		}, actor.Name("sender"))
		for i := range 2 {
			actor.Go(t0, func(t *actor.Tasklet) error {
				err := it.Join(t)
				j.note("joiner %d: %v", i, err)
				return nil
			}, actor.Name(fmt.Sprint("joiner", i)))
		}
		t0.Sleep(5 * time.Second)
		watch.Kill()
		notice.Close()
		return notice.Join(t0)
	}))
	require.Equal(t, []string{
		"go defer, done=false",
		"last words",
		"parked sender: mailbox: closed",
		"exit /sender",
		"deferred call of c2, ref dead=true",
		"exit /it/c2",
		"deferred call of c1, ref dead=true",
		"exit /it/c1",
		"deferred call 2, done=true",
		"deferred call 1, children=0",
		"exit /it",
		"joiner 0: /tasklet/it: boom",
		"exit /joiner0",
		"joiner 1: /tasklet/it: boom",
		"exit /joiner1",
		"notice: error",
		"exit /w",
		"exit /watcher",
		"exit /tasklet",
	}, j.taken())
	letters := j.of(event.DeadLetter, "/it")
	require.Len(t, letters, 1, "the queue is reported once")
}

// t0ErrorT panics where a test inside a tasklet fails.
type t0ErrorT struct{}

func (t0ErrorT) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t0ErrorT) FailNow()                          { panic("failed") }

// Rule 21: the finish is one step: whoever hears of it finds the tasklet out of the tree and
// finished.
func TestFinishIsOneStep(t *testing.T) {
	var it *actor.Tasklet
	var root *actor.Tasklet
	seen := 0
	j := &journal{}
	cfg := j.config()
	cfg.OnEvent = func(e actor.EventRecord) {
		if e.Tasklet == it && it != nil && e.Kind == event.Exit {
			seen++
			assert.True(t, it.HasFinished())
			assert.Empty(t, root.Children())
			assert.Equal(t, "/tasklet/it", e.Path)
		}
	}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		root = t0
		_, start := starter(t, t0, actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(1); return nil }),
			func(e actor.Exit) {
				seen++
				assert.Same(t, it, e.Tasklet)
				assert.Equal(t, actor.Exit{Tasklet: it, Path: "/tasklet/it", Kind: reason.Normal}, e)
				assert.True(t, it.HasFinished())
				assert.Empty(t, t0.Children())
			}, actor.Name("it"))
		it = start()
		return it.Join(t0)
	}))
	require.Equal(t, 2, seen)
}

// Rule 22: deferred calls.
func TestDefer(t *testing.T) {
	t.Run("last first, however it ends", func(t *testing.T) {
		for name, f := range map[string]func(*actor.Tasklet) error{
			"return": func(*actor.Tasklet) error { return nil },
			"error":  func(*actor.Tasklet) error { return errBoom },
			"panic":  func(*actor.Tasklet) error { panic(1) },
			"goexit": func(*actor.Tasklet) error { runtime.Goexit(); return nil },
			"killed": func(t *actor.Tasklet) error { t.Kill(); t.Sleep(1); return nil },
		} {
			t.Run(name, func(t *testing.T) {
				run(t, func(t0 *actor.Tasklet) error {
					var ran []int
					k := actor.Go(t0, func(t *actor.Tasklet) error {
						for i := range 5 {
							t.Defer(func() { ran = append(ran, i) })
						}
						return f(t)
					})
					_ = k.Join(t0)
					require.Equal(t, []int{4, 3, 2, 1, 0}, ran)
					return nil
				})
			})
		}
	})
	t.Run("of a receiver, a batch receiver and an interval", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			ran := 0
			deferring := func(t *actor.Tasklet) error { t.Defer(func() { ran++ }); return nil }
			r := actor.Receiver(t0, func(t *actor.Tasklet, _ int) error { return deferring(t) })
			b := actor.BatchReceiver(t0, 4, 0, func(t *actor.Tasklet, _ []int) error { return deferring(t) })
			e := actor.Interval(t0, time.Second, deferring)
			require.NoError(t, r.Send(t0, 1))
			require.NoError(t, r.Send(t0, 1))
			require.NoError(t, b.Send(t0, 1))
			t0.Sleep(1500 * time.Millisecond)
			require.Zero(t, ran)
			r.Close()
			b.Kill()
			e.Kill()
			require.NoError(t, r.Join(t0))
			require.Error(t, b.Join(t0))
			require.Error(t, e.Join(t0))
			require.Equal(t, 4, ran)
			return nil
		})
	})
	t.Run("may block with the tasklet's context, also after a kill", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var slept time.Duration
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				t.Defer(func() {
					from := elapsed(t)
					t.Sleep(3 * time.Second)
					v, err := actor.Await(t, func(context.Context) (int, error) { return 7, nil })
					if v == 7 && err == nil {
						slept = elapsed(t) - from
					}
				})
				t.Sleep(time.Hour)
				return nil
			})
			t0.Yield()
			k.Kill()
			require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
			require.Equal(t, 3*time.Second, slept)
			return nil
		})
	})
	t.Run("a kill that the body did not meet is not raised in them", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			slept := false
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				t.Defer(func() { t.Sleep(time.Second); slept = true })
				t.Kill()
				return nil
			})
			require.NoError(t, k.Join(t0))
			require.True(t, slept)
			return nil
		})
	})
	t.Run("a panic in one is reported, is the result if there was none, and the others run", func(t *testing.T) {
		for name, c := range map[string]struct {
			body, want error
			kind       reason.Kind
			fail       func()
		}{
			"panic after nil":    {nil, nil, reason.Panic, func() { panic("deferred") }},
			"panic after error":  {errBoom, errBoom, reason.Error, func() { panic("deferred") }},
			"Goexit after nil":   {nil, actor.ErrGoexit, reason.Error, func() { runtime.Goexit() }},
			"Goexit after error": {errBoom, errBoom, reason.Error, func() { runtime.Goexit() }},
		} {
			t.Run(name, func(t *testing.T) {
				var j journal
				require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
					ran := 0
					k := actor.Go(t0, func(t *actor.Tasklet) error {
						t.Defer(func() { ran++ })
						t.Defer(c.fail)
						t.Defer(func() { ran++ })
						t.Defer(c.fail)
						t.Defer(func() { ran++; t.Sleep(1) })
						return c.body
					}, actor.Name("it"))
					err := k.Join(t0)
					require.Equal(t, 3, ran)
					var je *actor.JoinError
					require.ErrorAs(t, err, &je)
					require.Equal(t, c.kind, actor.KindOf(je.Cause))
					if c.want != nil {
						require.ErrorIs(t, err, c.want)
					}
					return nil
				}))
				require.Len(t, j.of(event.Failure, "/it"), 2)
			})
		}
	})
	t.Run("is misuse from outside, from a deferred call and of nil", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var inner any
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				t.Defer(func() { inner = recovering(func() { t.Defer(func() {}) }) })
				t.Sleep(time.Second)
				return nil
			}, actor.Name("k"))
			t0.Yield()
			v := recovering(func() { k.Defer(func() {}) })
			require.Contains(t, v, "/tasklet/k")
			require.Contains(t, v, "but /tasklet is running")
			require.Contains(t, recovering(func() { t0.Defer(nil) }), "nil function")
			require.NoError(t, k.Join(t0))
			require.Contains(t, inner, "deferred call of /tasklet/k")
			require.NotNil(t, recovering(func() { k.Defer(func() {}) }), "after the end")
			return nil
		})
	})
	t.Run("an idle receiver that is stopped with its parent", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			ran := 0
			p := actor.Go(t0, func(t *actor.Tasklet) error {
				r := actor.Receiver(t, func(t *actor.Tasklet, _ int) error { t.Defer(func() { t.Sleep(1); ran++ }); return nil })
				_ = r.Send(t, 1)
				t.Yield()
				return nil
			})
			require.NoError(t, p.Join(t0))
			require.Equal(t, 1, ran)
			return nil
		})
	})
}

// Rule 22: who may start children when.
func TestStartWhileEnding(t *testing.T) {
	t.Run("not from a deferred call", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var vs []any
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				t.Defer(func() {
					vs = append(vs, recovering(func() { actor.Go(t, func(*actor.Tasklet) error { return nil }) }))
					vs = append(vs, recovering(func() { actor.Go(t, func(*actor.Tasklet) error { return nil }, actor.Daemon()) }))
				})
				return nil
			})
			require.NoError(t, k.Join(t0))
			for _, v := range vs {
				require.Contains(t, v, "deferred call")
			}
			require.Len(t, vs, 2)
			return nil
		})
	})
	t.Run("while a kill unwinds: stopped with the rest", func(t *testing.T) {
		for _, limit := range []time.Duration{0, actor.BrutalKill} {
			var j journal
			require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
				p := actor.Go(t0, func(t *actor.Tasklet) error {
					actor.Go(t, func(t *actor.Tasklet) error {
						defer func() {
							actor.Receiver(t, func(t *actor.Tasklet, _ int) error { return nil }, actor.Name("first"))
							actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("late"))
						}()
						t.Sleep(time.Hour)
						return nil
					}, actor.Name("it"), actor.Shutdown(limit))
					t.Sleep(1)
					return nil
				}, actor.Name("p"))
				return p.Join(t0)
			}))
			require.Equal(t, []string{"/p/it/late", "/p/it/first", "/p/it", "/p", "/tasklet"}, j.exits())
		}
	})
	t.Run("under another tasklet", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			nop := func(*actor.Tasklet) error { return nil }
			k := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(1); return nil }, actor.Name("k"))
			v := recovering(func() { actor.Go(k, nop) })
			require.Contains(t, v, "/tasklet/k")
			require.Contains(t, v, "/tasklet is running")
			require.NoError(t, k.Join(t0))
			require.Contains(t, recovering(func() { actor.Go(k, nop) }), "finished")
			return nil
		})
	})
	t.Run("on a stopped system", func(t *testing.T) {
		var j journal
		s, err := actor.Start(j.config())
		require.NoError(t, err)
		require.NoError(t, s.Stop(context.Background()))
		called := false
		k := actor.Go(s, func(*actor.Tasklet) error { called = true; return nil })
		require.True(t, k.HasFinished())
		require.ErrorIs(t, k.Join(context.Background()), actor.ErrStopped)
		require.Error(t, k.Err())
		<-k.Done()
		k.Kill()
		r := actor.Receiver(s, func(*actor.Tasklet, int) error { called = true; return nil })
		require.True(t, actor.Finished(r))
		require.ErrorIs(t, r.Send(context.Background(), 1), mailbox.ErrClosed)
		require.ErrorIs(t, r.Join(context.Background()), actor.ErrStopped)
		d := actor.Go(s, func(*actor.Tasklet) error { called = true; return nil }, actor.Daemon())
		require.True(t, d.HasFinished())
		n := actor.New(s, func(*actor.Tasklet) (int, error) { called = true; return 7, nil })
		v, err := n.Join(context.Background())
		require.Zero(t, v)
		require.ErrorIs(t, err, actor.ErrStopped)
		c, err := startChild(context.Background(), s, actor.GoBody(func(*actor.Tasklet) error { called = true; return nil }))
		require.ErrorIs(t, err, actor.ErrStopped)
		require.True(t, c.HasFinished())
		require.Empty(t, s.Root().Children())
		require.False(t, called)
		require.NotNil(t, recovering(func() { actor.Go(k, func(*actor.Tasklet) error { return nil }) }))
	})
}

// Rule 25: a start puts the child at the tail of the run queue, and the starter goes on.
func TestStartGoesToTheTail(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var order []string
		add := func(s string) func(*actor.Tasklet) error {
			return func(*actor.Tasklet) error { order = append(order, s); return nil }
		}
		actor.Go(t0, add("a"))
		actor.Go(t0, func(t *actor.Tasklet) error {
			actor.Go(t, add("b1"))
			order = append(order, "b")
			return nil
		})
		actor.Interval(t0, time.Second, func(t *actor.Tasklet) error { order = append(order, "tick"); return actor.ErrStop }, actor.Immediate())
		order = append(order, "main")
		t0.Yield()
		order = append(order, "main again")
		t0.Yield()
		// A child of b's is stopped when b ends, before it has run: b1 never does.
		require.Equal(t, []string{"main", "a", "b", "tick", "main again"}, order)
		return nil
	})
}

// Rule 11: the tasklet as a context.
func TestTaskletAsContext(t *testing.T) {
	t.Run("a soft kill does not end it", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var at [3]error
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				ctx, cancel := context.WithCancel(t)
				defer cancel()
				at[0] = ctx.Err()
				survive(t)
				at[1] = ctx.Err()
				t.Sleep(time.Second) // the context works
				at[2] = t.Err()
				select {
				case <-t.Done():
					panic("done")
				default:
				}
				return nil
			})
			t0.Yield()
			k.Kill()
			require.NoError(t, k.Join(t0))
			require.Equal(t, [3]error{}, at)
			return nil
		})
	})
	t.Run("a hard one does, and so does the end", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var before, after error
			p := actor.Go(t0, func(p *actor.Tasklet) error {
				actor.Go(p, func(t *actor.Tasklet) error {
					survive(t)
					before = t.Err()
					survive(t)
					after = t.Err()
					return nil
				}, actor.Shutdown(time.Second))
				p.Yield()
				return nil
			})
			require.NoError(t, p.Join(t0))
			require.NoError(t, before)
			require.Equal(t, context.Canceled, after)
			require.Equal(t, time.Second, elapsed(t0))

			k := actor.Go(t0, func(t *actor.Tasklet) error { return errBoom })
			done := k.Done()
			require.NoError(t, k.Err())
			require.Error(t, k.Join(t0))
			<-done
			<-k.Done()
			require.Equal(t, context.Canceled, k.Err(), "never the result")
			return nil
		})
	})
	t.Run("the end of the body ends it, before the children are stopped", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var inChild error
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				actor.Go(t, func(c *actor.Tasklet) error {
					defer func() { inChild = t.Err() }()
					c.Sleep(time.Hour)
					return nil
				})
				t.Yield()
				return nil
			})
			require.NoError(t, k.Join(t0))
			require.Equal(t, context.Canceled, inChild)
			return nil
		})
	})
	t.Run("contexts derived from it by package context", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var ctx context.Context
			var cancel func()
			called := make(chan struct{})
			k := actor.Go(t0, func(t *actor.Tasklet) error {
				ctx, cancel = context.WithCancel(t)
				context.AfterFunc(t, func() { close(called) })
				return nil
			})
			require.NoError(t, k.Join(t0))
			_, err := actor.Await(t0, func(context.Context) (int, error) { <-ctx.Done(); <-called; return 0, nil })
			require.NoError(t, err)
			require.Equal(t, context.Canceled, ctx.Err())
			cancel()
			return nil
		})
	})
}

// Rule 12: a context of another tasklet is refused, with both names.
func TestForeignContext(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		k := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(1); return nil }, actor.Name("k"))
		r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
		ctx, cancel := context.WithCancel(k)
		defer cancel()
		for _, f := range []func(){
			func() { k.Sleep(1) },
			func() { k.Yield() },
			func() { _ = r.Send(k, 1) },
			func() { _ = r.Send(ctx, 1) },
			func() { _ = r.TrySend(k, 1) },
			func() { _ = t0.Join(k) },
			func() { _, _ = actor.Await(k, func(context.Context) (int, error) { return 0, nil }) },
			func() { _, _ = actor.Call(k, r, func(actor.Reply[int]) int { return 0 }) },
			func() { _ = actor.StopChild(k, k, 0) },
		} {
			v := fmt.Sprint(recovering(f))
			require.Contains(t, v, "/tasklet/k")
			require.Regexp(t, "/tasklet (is running|runs)", v)
		}
		return k.Join(t0)
	})
}
