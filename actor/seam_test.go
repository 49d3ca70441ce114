package actor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// Rules 1, 2, 31: a supervisor of one's own, by hand, takes a ref through all its states.
func TestStatesOfARef(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		var got []int
		var exits []actor.Exit
		ref := actor.NewRef[int](actor.MailboxLen(3), actor.Name("r"))
		body := actor.ReceiverBody(ref, func(t *actor.Tasklet, n int) error {
			switch n {
			case -1:
				return errBoom
			case -2:
				return actor.ErrStop
			}
			got = append(got, n)
			return nil
		})
		slot, start := starter(t, t0, body, func(e actor.Exit) { exits = append(exits, e) })

		// Open.
		first := start()
		require.Same(t, first, ref.Tasklet())
		require.NoError(t, ref.Send(t0, 1))
		joiner := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Join(t) }, actor.Name("joiner"))

		// Held, from the body's end.
		require.NoError(t, ref.Send(t0, -1))
		require.ErrorIs(t, first.Join(t0), errBoom, "OnFailure defaults to Stop")
		require.Len(t, exits, 1)
		require.Equal(t, actor.Exit{Tasklet: first, Path: "/tasklet/r", Kind: reason.Error, Err: errBoom}, exits[0])
		require.Nil(t, ref.Tasklet())
		require.False(t, actor.Finished(ref))
		ref.Kill() // does nothing
		for i := range 3 {
			require.NoError(t, ref.Send(t0, 10+i))
		}
		require.ErrorIs(t, ref.TrySend(t0, 9), mailbox.ErrFull)
		var parked []*actor.Tasklet
		for i := range 4 {
			parked = append(parked, actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 13+i) }))
		}
		t0.Sleep(time.Minute) // a backoff
		require.Equal(t, 3, ref.Len())

		// Open again: another Tasklet with the same name and path and a new ID; the order is kept.
		second := start()
		require.NotSame(t, first, second)
		require.Equal(t, first.Path(), second.Path())
		require.NotEqual(t, first.ID(), second.ID())
		require.Same(t, second, ref.Tasklet())
		require.True(t, first.HasFinished())
		require.ErrorIs(t, first.Join(t0), errBoom, "the old one stays what it was")
		for _, p := range parked {
			require.NoError(t, p.Join(t0))
		}
		t0.Sleep(time.Second)
		require.Equal(t, []int{1, 10, 11, 12, 13, 14, 15, 16}, got)

		// Held and then closed.
		second.Kill()
		require.ErrorIs(t, second.Join(t0), actor.ErrKilled)
		for i := range 3 {
			require.NoError(t, ref.Send(t0, 20+i))
		}
		waits := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 9) })
		t0.Yield()
		slot.Close()
		require.ErrorIs(t, waits.Join(t0), mailbox.ErrClosed)
		require.ErrorIs(t, ref.Send(t0, 9), mailbox.ErrClosed)
		require.Zero(t, ref.Len())
		require.False(t, actor.Finished(ref))
		require.False(t, joiner.HasFinished())

		// A start opens it.
		third := start()
		require.NoError(t, ref.Send(t0, 30))
		require.NoError(t, ref.Send(t0, -2))
		require.NoError(t, third.Join(t0))
		require.Equal(t, reason.Normal, exits[2].Kind)
		require.NoError(t, ref.Send(t0, 31), "held after a normal end too, until the supervisor decides")

		// Dead.
		slot.Retire()
		require.True(t, actor.Finished(ref))
		require.ErrorIs(t, ref.Send(t0, 9), mailbox.ErrClosed)
		require.NoError(t, joiner.Join(t0), "the result of the last tasklet")
		require.NoError(t, ref.Join(t0))
		require.NotNil(t, recovering(func() { start() }))
		slot.Retire()
		slot.Close()
		require.True(t, actor.Finished(ref))
		require.Equal(t, []int{1, 10, 11, 12, 13, 14, 15, 16, 30}, got)
		require.Len(t, exits, 3)
		return nil
	}))
	var letters int64
	for _, e := range j.of(event.DeadLetter, "r") {
		letters += count(e)
	}
	require.Equal(t, int64(4), letters, "20, 21, 22 at the close, 31 at the end")
	require.Len(t, j.of(event.MessageLost, "r"), 1, "-1")
}

// Rule 3: Close and restarts.
func TestCloseAndRestart(t *testing.T) {
	for name, c := range map[string]struct {
		end  int // what the message after the close does: -1 fails, -2 ends normally
		want error
	}{
		"then a crash: the restart goes on draining":        {-1, mailbox.ErrClosed},
		"then a normal end: the restart opens it":           {-2, nil},
		"then the drained end: the restart opens it":        {0, nil},
		"then a shutdown, no failure: the restart opens it": {-3, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				var got []int
				ref := actor.NewRef[int]()
				body := actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error {
					switch n {
					case -1:
						return errBoom
					case -2:
						return actor.ErrStop
					case -3:
						return actor.ErrShutdown
					}
					got = append(got, n)
					return nil
				})
				_, start := starter(t, t0, body, nil)
				k := start()
				for _, n := range []int{1, c.end, 2} {
					require.NoError(t, ref.Send(t0, n))
				}
				ref.Close()
				_ = k.Join(t0)
				require.ErrorIs(t, ref.Send(t0, 9), mailbox.ErrClosed, "until the restart")
				k = start()
				require.Equal(t, c.want, ref.Send(t0, 3))
				if c.want == nil {
					t0.Sleep(1)
					require.False(t, k.HasFinished())
					require.Equal(t, 3, got[len(got)-1])
					k.Kill()
					return nil
				}
				require.NoError(t, k.Join(t0))
				require.Equal(t, []int{1, 2}, got)
				return nil
			})
		})
	}
}

// Rules 31, 32: Slot.Start and Started return when init is done, or with its error.
func TestStarted(t *testing.T) {
	handler := func(*actor.Tasklet, int) error { return nil }
	ok := func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return handler, nil }
	type init = func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error)
	t.Run("init may park, and no message is handled before it returns", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var log []string
			ref := actor.NewRef[int]()
			require.NoError(t, ref.Send(t0, 1))
			k, err := startChild(t0, t0, actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				log = append(log, "init")
				t.Sleep(time.Minute)
				log = append(log, "init done")
				return func(*actor.Tasklet, int) error { log = append(log, "message"); return nil }, nil
			}), actor.OnStart(func(*actor.Tasklet) error { log = append(log, "OnStart 1"); return nil }),
				actor.OnStart(func(t *actor.Tasklet) error { t.Sleep(time.Minute); log = append(log, "OnStart 2"); return nil }))
			require.NoError(t, err)
			require.False(t, k.HasFinished())
			require.Equal(t, 2*time.Minute, elapsed(t0))
			t0.Sleep(1)
			require.Equal(t, []string{"OnStart 1", "OnStart 2", "init", "init done", "message"}, log)
			return nil
		})
	})
	t.Run("fresh state at every start", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			ref := actor.NewRef[int]()
			var seen []int
			b := actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				sum := 0
				return func(_ *actor.Tasklet, n int) error {
					if sum += n; n == 0 {
						return errBoom
					}
					seen = append(seen, sum)
					return nil
				}, nil
			})
			_, start := starter(t, t0, b, nil)
			for range 2 {
				k := start()
				for _, n := range []int{1, 2, 0} {
					require.NoError(t, ref.Send(t0, n))
				}
				require.Error(t, k.Join(t0))
			}
			require.Equal(t, []int{1, 3, 1, 3}, seen)
			return nil
		})
	})
	t.Run("a failing start: deferred calls run, the ref stays held, onEnd is not called", func(t *testing.T) {
		for name, c := range map[string]struct {
			init init
			is   error
			kill bool
		}{
			"error": {init: func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, errBoom }, is: errBoom},
			"panic": {init: func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { panic(errBoom) }, is: errBoom},
			"killed": {init: func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, forever(t) },
				is: actor.ErrKilled, kill: true},
			"ErrStop: ignore": {init: func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, actor.ErrStop }, is: actor.ErrStop},
			"ErrShutdown":     {init: func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, actor.ErrShutdown }, is: actor.ErrShutdown},
		} {
			for _, where := range []string{"init", "OnStart"} {
				t.Run(name+" in "+where, func(t *testing.T) {
					var j journal
					require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
						cleaned := false
						ref := actor.NewRef[int](actor.Name("r"))
						require.NoError(t, ref.Send(t0, 1))
						fail := func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
							t.Defer(func() { cleaned = true })
							actor.Go(t, forever, actor.Name("child"))
							return c.init(t)
						}
						var opts []actor.Option
						b := actor.ReceiverInitBody(ref, fail)
						if where == "OnStart" {
							b = actor.ReceiverInitBody(ref, ok)
							opts = append(opts, actor.OnStart(func(t *actor.Tasklet) error { _, err := fail(t); return err }))
						}
						if c.kill {
							actor.Later(t0, time.Second, func(*actor.Tasklet) error { ref.Tasklet().Kill(); return nil })
						}
						slot, _ := starter(t, t0, b, func(actor.Exit) { panic("onEnd") }, opts...)
						k, err := slot.Start(t0)
						require.ErrorIs(t, err, c.is)
						require.True(t, k.HasFinished(), "when all is undone")
						require.True(t, cleaned)
						require.False(t, actor.Finished(ref))
						require.Nil(t, ref.Tasklet())
						require.Equal(t, 1, ref.Len())
						require.NoError(t, ref.Send(t0, 2))
						return nil
					}))
				})
			}
		}
	})
	t.Run("without a slot a failed start is an exit as any other, and the ref is dead", func(t *testing.T) {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			ref := actor.NewRef[int](actor.Name("r"))
			_, err := startChild(t0, t0, actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, errBoom }))
			require.Equal(t, errBoom, err)
			require.True(t, actor.Finished(ref))
			return nil
		}))
		require.Len(t, j.of(event.Exit, "/r"), 1)
	})
	t.Run("no handler", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			c, err := startChild(t0, t0, actor.ReceiverInitBody(actor.NewRef[int](),
				func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, nil }))
			exit, over := c.Exit()
			require.True(t, over)
			require.Equal(t, reason.Panic, exit.Kind)
			require.Equal(t, reason.Error, actor.KindOf(err), "of the caller, if it returns the error")
			require.ErrorContains(t, err, "no handler")
			return nil
		})
	})
	t.Run("its context ends first: the start goes on", func(t *testing.T) {
		for _, fails := range []bool{false, true} {
			var j journal
			require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
				ref := actor.NewRef[int](actor.Name("r"))
				var ends []actor.Exit
				ctx, cancel := actor.WithTimeout(t0, time.Second)
				defer cancel()
				slot, _ := starter(t, t0, actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					t.Sleep(time.Minute)
					if fails {
						return nil, errBoom
					}
					return handler, nil
				}), func(e actor.Exit) { ends = append(ends, e) })
				k, err := slot.Start(ctx)
				require.ErrorIs(t, err, actor.ErrTimeout)
				require.Equal(t, time.Second, elapsed(t0))
				require.False(t, k.HasFinished())
				require.NoError(t, ref.Send(t0, 1))
				t0.Sleep(2 * time.Minute)
				require.Equal(t, fails, k.HasFinished())
				if fails {
					require.Len(t, ends, 1, "nobody else is told of the failure any more")
					require.Equal(t, errBoom, ends[0].Err)
				} else {
					require.Empty(t, ends)
					require.Zero(t, ref.Len())
				}
				return nil
			}))
			if fails {
				require.Len(t, j.of(event.Exit, "/r"), 1)
			}
		}
	})
	t.Run("the starter is killed: so is the init, and all is undone", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			cleaned := false
			p := actor.Go(t0, func(p *actor.Tasklet) error {
				_, err := startChild(p, p, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					defer func() { cleaned = true }()
					return nil, forever(t)
				}))
				return err
			})
			t0.Sleep(time.Second)
			p.Kill()
			require.ErrorIs(t, p.Join(t0), actor.ErrKilled)
			require.True(t, cleaned)
			require.Equal(t, time.Second, elapsed(t0))
			return nil
		})
	})
	t.Run("a call from init to the one that starts it is a deadlock", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var err error
			sup := actor.NewRef[func()]()
			actor.StartTasklet(t0, actor.ReceiverBody(sup, func(p *actor.Tasklet, _ func()) error {
				_, err = startChild(p, p, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					_, err := actor.Call(t, sup, func(actor.Reply[int]) func() { return nil })
					return nil, err
				}))
				return nil
			}))
			require.NoError(t, sup.Send(t0, nil))
			t0.Sleep(time.Second)
			var de *actor.DeadlockError
			require.ErrorAs(t, err, &de)
			return nil
		})
	})
	t.Run("a body without an init has started when it exists", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			ran := false
			k, err := startChild(t0, t0, actor.GoBody(func(*actor.Tasklet) error { ran = true; return errBoom }))
			require.NoError(t, err)
			require.False(t, ran)
			require.ErrorIs(t, k.Join(t0), errBoom)
			return nil
		})
	})
	t.Run("from a goroutine", func(t *testing.T) {
		s, err := actor.Start(actor.Config{Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})})
		require.NoError(t, err)
		k, err := startChild(context.Background(), s, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			t.Sleep(time.Minute)
			return handler, nil
		}))
		require.NoError(t, err)
		require.False(t, k.HasFinished())
		_, err = startChild(context.Background(), s, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			t.Sleep(time.Minute)
			return nil, errBoom
		}))
		require.Equal(t, errBoom, err)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		ch := make(chan struct{})
		k, err = startChild(ctx, s, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			_, err := actor.Await(t, func(context.Context) (int, error) { <-ch; return 0, nil })
			return handler, err
		}))
		require.Equal(t, context.Canceled, err)
		close(ch)
		require.False(t, k.HasFinished())
		require.NoError(t, s.Stop(context.Background()))
	})
}

// Rule 31: StopChild is kill, wait, harden, detach.
func TestStopChild(t *testing.T) {
	stubborn := func(d time.Duration) func(*actor.Tasklet) error {
		return func(t *actor.Tasklet) error { survive(t); t.Sleep(d); return nil }
	}
	for name, c := range map[string]struct {
		f     func(*actor.Tasklet) error
		limit time.Duration
		want  time.Duration
		leaks bool
	}{
		"ends at once":        {forever, 0, 0, false},
		"in its time":         {stubborn(3 * time.Second), 0, 3 * time.Second, false},
		"hard after 5 s":      {stubborn(time.Hour), 0, 5 * time.Second, false},
		"hard after its time": {stubborn(time.Hour), time.Minute, time.Minute, false},
		"brutal":              {stubborn(time.Hour), actor.BrutalKill, 0, false},
		"infinity":            {stubborn(time.Hour), actor.Infinity, time.Hour, false},
		"given up": {func(t *actor.Tasklet) error {
			for {
				survive(t)
			}
		}, 2 * time.Second, 3 * time.Second, true},
		"given up, brutal": {func(t *actor.Tasklet) error {
			for {
				survive(t)
			}
		}, actor.BrutalKill, time.Second, true},
		"has ended":               {func(*actor.Tasklet) error { return nil }, 0, 0, false},
		"ends while it is waited": {func(t *actor.Tasklet) error { survive(t); t.Sleep(time.Second); return errBoom }, 0, time.Second, false},
		"slow deferred call": {func(t *actor.Tasklet) error {
			t.Defer(func() { t.Sleep(2 * time.Second) })
			return forever(t)
		}, 0, 2 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
				ends := 0
				_, start := starter(t, t0, actor.GoBody(c.f), func(actor.Exit) { ends++ }, actor.Name("it"))
				k := start()
				t0.Yield()
				require.NoError(t, actor.StopChild(t0, k, c.limit))
				require.Equal(t, c.want, elapsed(t0))
				require.Equal(t, !c.leaks, k.HasFinished())
				require.Empty(t, t0.Children())
				if !c.leaks {
					require.Equal(t, 1, ends)
				}
				require.NoError(t, actor.StopChild(t0, k, time.Second), "again")
				return nil
			})
			var se *actor.StopError
			require.Equal(t, c.leaks, errors.As(err, &se))
			if c.leaks {
				require.Len(t, j.of(event.StopTimeout, "/it"), 1)
			}
		})
	}
	t.Run("an idle receiver, with what hangs on it", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var ends []reason.Kind
			ref := actor.NewRef[int]()
			_, start := starter(t, t0, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil }),
				func(e actor.Exit) { ends = append(ends, e.Kind) })
			k := start()
			joiner := actor.Go(t0, func(t *actor.Tasklet) error { return k.Join(t) })
			t0.Yield()
			require.NoError(t, actor.StopChild(t0, k, 0))
			require.True(t, k.HasFinished())
			require.ErrorIs(t, joiner.Join(t0), actor.ErrKilled)
			require.Equal(t, []reason.Kind{reason.Killed}, ends)
			require.NoError(t, ref.Send(t0, 1), "held")
			return nil
		})
	})
	t.Run("under a context", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, stubborn(time.Hour))
			t0.Yield()
			ctx, cancel := actor.WithTimeout(t0, time.Second)
			defer cancel()
			require.ErrorIs(t, actor.StopChild(ctx, k, actor.Infinity), actor.ErrTimeout)
			require.Equal(t, time.Second, elapsed(t0))
			require.ErrorIs(t, actor.StopChild(ctx, k, time.Minute), actor.ErrTimeout)
			require.False(t, k.HasFinished())
			require.NoError(t, actor.StopChild(t0, k, time.Minute))
			return nil
		})
	})
	t.Run("the one that stops is killed meanwhile", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, stubborn(time.Minute), actor.Shutdown(actor.Infinity))
			p := actor.Go(t0, func(p *actor.Tasklet) error { return actor.StopChild(p, k, actor.Infinity) })
			t0.Sleep(time.Second)
			p.Kill()
			require.ErrorIs(t, p.Join(t0), actor.ErrKilled)
			require.Equal(t, time.Second, elapsed(t0))
			require.NoError(t, k.Join(t0))
			return nil
		})
	})
	t.Run("misuse", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, forever)
			require.NotNil(t, recovering(func() { _ = actor.StopChild(context.Background(), k, 0) }))
			return nil
		})
	})
}

// Rule 2: the ref of a supervised tasklet that is given up is held for the next one.
func TestRefOfOneThatLeaks(t *testing.T) {
	var j journal
	err := actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int](actor.Name("r"))
		stuck := true
		var got []int
		body := actor.ReceiverBody(ref, func(t *actor.Tasklet, n int) error {
			for stuck {
				survive(t)
			}
			got = append(got, n)
			return nil
		})
		_, start := starter(t, t0, body, nil)
		k := start()
		for i := range 3 {
			require.NoError(t, ref.Send(t0, i))
		}
		t0.Yield()
		require.NoError(t, actor.StopChild(t0, k, time.Second))
		require.False(t, k.HasFinished())
		require.Nil(t, ref.Tasklet())
		stuck = false
		start()
		t0.Sleep(1)
		require.Equal(t, []int{1, 2}, got)
		return nil
	})
	var se *actor.StopError
	require.ErrorAs(t, err, &se)
}
