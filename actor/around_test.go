package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// noting returns a hook that notes when it begins and ends, and with which message.
func noting(notes *[]string, name string) actor.Hook {
	return func(ctx context.Context, m any, next func(context.Context) error) error {
		*notes = append(*notes, fmt.Sprint(name, "(", m))
		err := next(ctx)
		*notes = append(*notes, fmt.Sprint(")", name, " ", err))
		return err
	}
}

// runAround runs main on a virtual clock with the hook h of the system, and returns the events.
func runAround(tb testing.TB, seed uint64, h actor.Hook, main func(t *actor.Tasklet) error) (events []string) {
	cfg := actor.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Seed: seed, Around: h,
		OnEvent: func(e actor.EventRecord) {
			events = append(events, fmt.Sprint(e.Time.UnixNano(), e.Kind, e.Tasklet.Path(), e.Err, e.Message, e.Count))
		},
	}
	require.NoError(tb, actor.Run(context.Background(), cfg, main))
	return events
}

func TestAroundOrder(t *testing.T) {
	for name, start := range map[string]struct {
		f func(t *actor.Tasklet, handled func() error, opts ...actor.Option)
		m any
	}{
		"receiver": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			r := actor.Receiver(t, func(*actor.Tasklet, int) error { return handled() }, opts...)
			_ = r.Send(t, 7)
		}, 7},
		"receiver of any": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			r := actor.Receiver(t, func(*actor.Tasklet, any) error { return handled() }, opts...)
			_ = r.Send(t, 7)
		}, 7},
		"with init": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(*actor.Tasklet) (actor.Handler[int], error) {
				return func(*actor.Tasklet, int) error { return handled() }, nil
			}), opts...)
			_ = ref.Send(t, 7)
		}, 7},
		"with retries": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return handled() }),
				append(opts, actor.Retry(1))...)
			_ = ref.Send(t, 7)
		}, 7},
		"init with retries": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(*actor.Tasklet) (actor.Handler[int], error) {
				return func(*actor.Tasklet, int) error { return handled() }, nil
			}), append(opts, actor.Retry(1))...)
			_ = ref.Send(t, 7)
		}, 7},
		"idle": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			idle := actor.IdleAfter(time.Hour, func(*actor.Tasklet) error { return actor.ErrStop })
			r := actor.Receiver(t, func(*actor.Tasklet, int) error { return handled() }, append(opts, idle)...)
			_ = r.Send(t, 7)
			t.Sleep(2 * time.Hour)
		}, 7},
		"batches": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			r := actor.BatchReceiver(t, 2, 0, func(*actor.Tasklet, []int) error { return handled() }, opts...)
			_, _ = r.Send(t, 7), r.Send(t, 8)
		}, []int{7, 8}},
		"interval": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			actor.Interval(t, time.Second, func(*actor.Tasklet) error { return handled() }, opts...)
			t.Sleep(1500 * time.Millisecond)
		}, nil},
		"rate": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			actor.Rate(t, 1, func(*actor.Tasklet, time.Time) error { return handled() }, opts...)
			t.Sleep(1500 * time.Millisecond)
		}, nil},
		"loop": {func(t *actor.Tasklet, handled func() error, opts ...actor.Option) {
			actor.Loop(t, func(*actor.Tasklet) error { handled(); return actor.ErrStop }, opts...)
			t.Sleep(time.Second)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var notes []string
			runAround(t, 0, noting(&notes, "system"), func(t *actor.Tasklet) error {
				start.f(t, func() error { notes = append(notes, "handler"); return nil },
					actor.Around(noting(&notes, "outer")), actor.Around(noting(&notes, "inner")))
				t.Sleep(time.Millisecond)
				return nil
			})
			err := "<nil>"
			if name == "loop" {
				err = actor.ErrStop.Error()
			}
			m := fmt.Sprint(start.m)
			require.Equal(t, []string{"system(" + m, "outer(" + m, "inner(" + m, "handler",
				")inner " + err, ")outer " + err, ")system " + err}, notes)
		})
	}
}

// With hooks that only call next, whatever the handlers do, a run is the same as without, down to
// the names of tasklets.
func TestAroundChangesNothing(t *testing.T) {
	pass := func(ctx context.Context, m any, next func(context.Context) error) error { return next(ctx) }
	main := func(opts ...actor.Option) func(t *actor.Tasklet) error {
		return func(t *actor.Tasklet) error {
			handle := func(t *actor.Tasklet, n int) error {
				switch t.System().Rand().IntN(8) {
				case 0:
					return errors.New("fails")
				case 1:
					panic("panics")
				case 2:
					runtime.Goexit()
				case 3:
					t.Kill()
				case 4:
					t.Sleep(time.Duration(n) * time.Millisecond)
				}
				return nil
			}
			for _, p := range []actor.FailurePolicy{actor.Resume, actor.End} {
				opts := append(opts, actor.OnFailure(p))
				keepsRestarting(t, actor.ReceiverBody(actor.NewRef[int](), handle), opts...)
				refs := []actor.Ref[int]{
					actor.Receiver(t, handle, opts...),
					actor.BatchReceiver(t, 3, time.Millisecond, func(t *actor.Tasklet, ns []int) error { return handle(t, ns[0]) }, opts...),
				}
				retried := actor.NewRef[int]()
				keepsRestarting(t, actor.ReceiverBody(retried, handle), append(opts, actor.Retry(1))...)
				refs = append(refs, retried)
				actor.Interval(t, time.Millisecond, func(t *actor.Tasklet) error { return handle(t, 1) }, opts...)
				for n := range 10 {
					for _, ref := range refs {
						_ = ref.TrySend(t, n)
					}
					t.Sleep(time.Millisecond)
				}
			}
			return nil
		}
	}
	for seed := uint64(1); seed <= 30; seed++ {
		var runs [2][]string
		for i, h := range []actor.Hook{nil, pass} { // one call, because it is in the names
			var opts []actor.Option
			if h != nil {
				opts = append(opts, actor.Around(h))
			}
			runs[i] = runAround(t, seed, h, main(opts...))
		}
		require.Greater(t, len(runs[0]), 20)
		require.Equal(t, runs[0], runs[1], "seed %d", seed)
	}
}

func TestAroundWithoutNext(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		ends bool
	}{"nil": {nil, false}, "ErrStop": {actor.ErrStop, true}, "error": {errTest, true}} {
		t.Run(name, func(t *testing.T) {
			handled := 0
			runAround(t, 0, nil, func(t *actor.Tasklet) error {
				ref := actor.NewRef[int]()
				r := actor.StartTasklet(t, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { handled++; return nil }),
					actor.OnFailure(actor.End), actor.Around(func(ctx context.Context, m any, next func(context.Context) error) error {
						if m.(int) == 1 {
							return c.err
						}
						return next(ctx)
					}))
				_, _ = ref.Send(t, 1), ref.Send(t, 2)
				t.Sleep(time.Second)
				if r.HasFinished() != c.ends {
					t.Kill()
				}
				return nil
			})
			if c.ends {
				require.Zero(t, handled)
			} else {
				require.Equal(t, 1, handled)
			}
		})
	}
}

// next calls the handler at most once, and only while its hook runs.
func TestAroundNext(t *testing.T) {
	var handled []int
	var kept func(context.Context) error
	var errs []string
	say := func(err error) { errs = append(errs, fmt.Sprint(err)) }
	runAround(t, 0, nil, func(t *actor.Tasklet) error {
		r := actor.Receiver(t, func(_ *actor.Tasklet, n int) error {
			handled = append(handled, n)
			return nil
		}, actor.Around(func(ctx context.Context, m any, next func(context.Context) error) error {
			switch m.(int) {
			case 1:
				kept = next
				panic("before next")
			case 2:
				say(kept(ctx))
				say(next(ctx))
				say(next(ctx))
			case 3:
				kept = next
				return next(ctx)
			case 4:
				say(kept(ctx))
			}
			return nil
		}))
		for n := range 4 {
			_ = r.Send(t, n+1)
		}
		t.Sleep(time.Second)
		say(kept(t))
		return nil
	})
	require.Equal(t, []int{2, 3}, handled)
	again, late := "actor: next was called again by a hook", "actor: next was called after its hook had ended"
	require.Equal(t, []string{late, "<nil>", again, late, late}, errs)
}

// A failure of a hook is one of the handler: with the policy, the report and the message in hand.
func TestAroundFails(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error":  func() error { return errTest },
		"panic":  func() error { panic("a hook") },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		for _, p := range []actor.FailurePolicy{actor.Resume, actor.End} {
			t.Run(fmt.Sprint(name, p), func(t *testing.T) {
				run := func(hook bool) string {
					var opts []actor.Option
					if hook {
						opts = append(opts, actor.Around(func(context.Context, any, func(context.Context) error) error { return fail() }))
					}
					events := runAround(t, 0, nil, func(t *actor.Tasklet) error {
						r := actor.Receiver(t, func(*actor.Tasklet, int) error { return fail() },
							append(opts, actor.OnFailure(p), actor.Name("r"))...)
						_, _ = r.Send(t, 1), r.Send(t, 2)
						t.Sleep(time.Second)
						return nil
					})
					return strings.Join(events, "\n")
				}
				want := run(false)
				require.Contains(t, want, "/r")
				require.Equal(t, want, run(true))
			})
		}
	}
}

// A supervisor's requests, and messages of the library, are not for hooks.
func TestAroundNotForSupervisors(t *testing.T) {
	calls := 0
	h := func(ctx context.Context, m any, next func(context.Context) error) error { calls++; return next(ctx) }
	runAround(t, 0, h, func(t *actor.Tasklet) error {
		handled := false
		ref := actor.NewRef[int]()
		actor.StartTasklet(t, actor.Supervise(ref, actor.Family{Kind: "family"}, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			return func(*actor.Tasklet, int) error { handled = true; return nil }, nil
		}))
		_ = ref.Send(t, 1)
		t.Sleep(time.Second)
		if !handled {
			t.Kill()
		}
		return nil
	})
	require.Zero(t, calls)
}
