package actor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/scheduler"
)

var errQuota = errors.New("over quota")

// sleeper is a tasklet that sleeps until it is killed, and ends with the kill.
func sleeper(t *actor.Tasklet, name string) *actor.Tasklet {
	return actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name(name))
}

// Rule 17: the cause and the sender of a kill are the same in the panic, for deferred calls, in the
// notice, in the error of a join, and in the log.
func TestKillCauseIsSeenEverywhere(t *testing.T) {
	var fromPanic, inDefer, inGoDefer *actor.Killed
	var notice, exit actor.Exit
	var events []actor.EventRecord
	hear := func(e actor.EventRecord) {
		if (e.Kind == event.Kill || e.Kind == event.Exit) && strings.HasSuffix(e.Path, "/victim") {
			events = append(events, e)
		}
	}
	require.NoError(t, actor.Run(t.Context(), actor.Config{Name: "shop", OnEvent: hear, Clock: scheduler.NewVirtualClock(time.Time{})}, func(t0 *actor.Tasklet) error {
		victim := actor.Go(t0, func(t *actor.Tasklet) error {
			t.Defer(func() { inDefer = t.Killed() })
			defer func() {
				inGoDefer = t.Killed()
				fromPanic = recover().(*actor.Killed)
				panic(fromPanic)
			}()
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("victim"))
		watcher := actor.Receiver(t0, func(_ *actor.Tasklet, e actor.Exit) error { notice = e; return nil })
		actor.Watch(t0, victim, watcher, func(e actor.Exit) actor.Exit { return e })
		require.Nil(t, victim.Killed())
		t0.Yield()
		actor.Go(t0, func(t *actor.Tasklet) error {
			ctx, cancel := actor.WithTimeout(t, time.Second) // a derived context names t too
			defer cancel()
			victim.KillCause(ctx, errQuota)
			victim.KillCause(ctx, errors.New("later"))
			victim.Kill()
			return nil
		}, actor.Name("guard"))
		err := victim.Join(t0)
		require.ErrorIs(t, err, actor.ErrKilled)
		require.ErrorIs(t, err, errQuota)
		var k *actor.Killed
		require.ErrorAs(t, err, &k)
		require.Equal(t, "/shop/guard", k.By)
		require.EqualError(t, err, "/shop/victim: /shop/victim killed by /shop/guard: over quota")
		exit, _ = victim.Exit()
		t0.Sleep(time.Second)
		require.Same(t, k, victim.Killed())
		return nil
	}))
	for name, k := range map[string]*actor.Killed{"panic": fromPanic, "Defer": inDefer, "go defer": inGoDefer, "notice": notice.Err.(*actor.Killed)} {
		require.Equal(t, errQuota, k.Cause, name)
		require.Equal(t, "/shop/guard", k.By, name)
		require.Equal(t, "victim", k.Tasklet.Name(), name)
	}
	require.Equal(t, reason.Killed, notice.Kind)
	require.Equal(t, exit, notice)
	require.Len(t, events, 2)
	for _, e := range events {
		require.Equal(t, "/shop/guard", e.Err.(*actor.Killed).By)
	}
}

// The cause belongs to the kill that had an effect: a later one changes nothing until it was
// recovered, and a recovered one leaves nothing behind.
func TestKillCauseFirstWins(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	kill := func(err error) func(*actor.Tasklet) { return func(t *actor.Tasklet) { t.KillCause(t, err) } }
	plain := (*actor.Tasklet).Kill
	for name, c := range map[string]struct {
		first, second, third func(*actor.Tasklet) // first and second at once, third after a recover
		recovered, result    error
	}{
		"two causes":            {kill(a), kill(b), plain, a, nil},
		"a kill, then a cause":  {plain, kill(b), plain, nil, nil},
		"a cause, then a kill":  {kill(a), plain, kill(b), a, b},
		"a cause again":         {kill(a), kill(a), kill(b), a, b},
		"a nil cause is one":    {kill(nil), kill(b), kill(nil), nil, nil},
		"a kill, then with one": {plain, plain, kill(b), nil, b},
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Run(t, func(t0 *actor.Tasklet) {
				v := actor.Go(t0, func(t1 *actor.Tasklet) error {
					func() {
						defer func() { require.Equal(t, c.recovered, recover().(*actor.Killed).Cause) }()
						t1.Sleep(time.Hour)
					}()
					t1.Sleep(time.Second)
					require.Nil(t, t1.Killed())
					t1.Sleep(time.Hour)
					return nil
				})
				t0.Yield()
				c.first(v)
				c.second(v)
				t0.Sleep(2 * time.Second)
				c.third(v)
				err := v.Join(t0)
				require.ErrorIs(t, err, actor.ErrKilled)
				var k *actor.Killed
				require.ErrorAs(t, err, &k)
				require.Equal(t, c.result, k.Cause)
			})
		})
	}
}

// A kill with a cause ends each kind of body, also one without a stack, and the kind of the end
// does not depend on the cause.
func TestKillCauseKind(t *testing.T) {
	for _, cause := range []error{nil, errQuota, actor.ErrStop, actor.ErrShutdown, context.Canceled, &actor.PanicError{Value: 1},
		fmt.Errorf("wrapped: %w", actor.ErrStop), (*panickingError)(nil), goexits{}, uncomparable{1}} {
		t.Run(fmt.Sprintf("%T", cause), func(t *testing.T) {
			actortest.Run(t, func(t0 *actor.Tasklet) {
				r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.Name("reader"))
				targets := []*actor.Tasklet{r.Tasklet(), sleeper(t0, "sleeper"), sleeper(t0, "new")}
				t0.Sleep(time.Second)
				r.KillCause(context.Background(), cause)
				for _, target := range targets[1:] {
					target.KillCause(context.Background(), cause)
				}
				for _, target := range targets {
					err := target.Join(t0)
					e, _ := target.Exit()
					require.Equal(t, reason.Killed, e.Kind)
					require.Equal(t, reason.Error, actor.KindOf(err))
					require.Empty(t, target.Killed().By)
					require.Contains(t, e.Err.Error(), " killed")
				}
			})
		})
	}
}

type (
	panickingError struct{ text string }
	goexits        struct{}
	uncomparable   []int
)

func (e *panickingError) Error() string { return e.text }
func (e *panickingError) Unwrap() error { panic(e.text) }
func (goexits) Error() string           { panic("no text") }
func (uncomparable) Error() string      { return "uncomparable" }

// Text of a user in a cause cannot forge a line.
func TestKillCauseIsEscaped(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		v := sleeper(t0, "a\nb")
		v.KillCause(t0, errors.New("x\nERROR forged \x1b[2J"))
		err := v.Join(t0)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "\x1b")
		require.NotContains(t, v.Killed().Error(), "\n")
		return nil
	})
}

// The fields by and cause of the entries in the log are there once, and whoever chose the name of
// the sender and the text of the cause has no line of its own.
func TestKillCauseInTheLog(t *testing.T) {
	const hostile = "x\n2026-01-01\tERROR\tforged \x1b[2J\u202e"
	core, logs := observer.New(zap.DebugLevel)
	cfg := actor.Config{Name: "shop", Logger: zap.New(core), Clock: scheduler.NewVirtualClock(time.Time{})}
	require.NoError(t, actor.Run(t.Context(), cfg, func(t0 *actor.Tasklet) error {
		v := sleeper(t0, "victim")
		t0.Yield()
		actor.Go(t0, func(t *actor.Tasklet) error { v.KillCause(t, errors.New(hostile)); return nil }, actor.Name(hostile))
		_ = v.Join(t0)
		sleeper(t0, "other").KillCause(context.Background(), nil)
		return nil
	}))
	seen := 0
	for _, e := range logs.All() {
		fs := e.ContextMap()
		cause, by := fs["cause"], fs["by"]
		if cause == nil {
			require.Nil(t, by)
			continue
		}
		seen++
		for _, text := range []any{cause, by, e.Message} {
			require.NotContains(t, text, "\n")
			require.NotContains(t, text, "\t")
			require.NotContains(t, text, "\x1b")
			require.NotContains(t, text, "\u202e")
		}
		require.Contains(t, cause, "forged")
		require.Contains(t, by, "/shop/x")
		require.Contains(t, fs["path"], "/shop/victim")
	}
	require.Positive(t, seen)
}

// Two tasklets kill a third with different causes, and it recovers once: in each order the causes
// that it sees are those of the kills that had an effect, in their order, and the first of two that
// were pending at once wins.
func TestKillCauseOrders(t *testing.T) {
	outcomes := make(map[string]bool)
	actortest.Explore(t, runs(300), func(t0 *actor.Tasklet) {
		tb := actortest.TB(t0)
		var kills, seen []string
		v := actor.Go(t0, func(t *actor.Tasklet) error {
			for range 2 {
				func() {
					defer func() {
						if k, ok := recover().(*actor.Killed); ok {
							seen = append(seen, k.Cause.Error())
						}
					}()
					t.Sleep(time.Second)
				}()
			}
			return nil
		})
		for _, cause := range []string{"a", "b"} {
			actor.Go(t0, func(t *actor.Tasklet) error {
				t.Yield()
				if v.HasFinished() {
					return nil
				}
				pending := v.Killed() != nil
				v.KillCause(t, errors.New(cause))
				if !pending {
					kills = append(kills, cause)
				}
				require.Equal(tb, kills[len(kills)-1], v.Killed().Cause.Error())
				return nil
			})
		}
		err := v.Join(t0)
		t0.Sleep(time.Minute)
		if exit, _ := v.Exit(); exit.Kind == reason.Killed { // it was killed before its first step
			require.Empty(tb, seen)
			require.ErrorContains(tb, err, kills[0])
			return
		}
		require.Equal(tb, kills, seen)
		outcomes[strings.Join(seen, " ")] = true
	})
	require.True(t, outcomes["a"] && outcomes["b"], "%v", outcomes)
	require.Greater(t, len(outcomes), 2, "both also one after the other: %v", outcomes)
}

// A kill with a cause of main is the result of Run.
func TestKillCauseOfMain(t *testing.T) {
	err := actor.Run(t.Context(), actor.Config{Clock: scheduler.NewVirtualClock(time.Time{})}, func(t0 *actor.Tasklet) error {
		actor.Go(t0, func(t *actor.Tasklet) error { t.Parent().KillCause(t, errQuota); return nil })
		t0.Sleep(time.Hour)
		return nil
	})
	require.ErrorIs(t, err, errQuota)
	require.ErrorIs(t, err, actor.ErrKilled)
}

// Many goroutines kill a tasklet that recovers: each recovered kill has the cause of one kill that
// had an effect, and no more of them are recovered than were made.
func TestKillCauseFromGoroutines(t *testing.T) {
	var events []error
	hear := func(e actor.EventRecord) {
		if e.Kind == event.Kill && e.Tasklet.Name() == "victim" {
			events = append(events, e.Err.(*actor.Killed).Cause)
		}
	}
	var recovered []error
	require.NoError(t, actor.Run(t.Context(), actor.Config{OnEvent: hear}, func(t0 *actor.Tasklet) error {
		over := false
		v := actor.Go(t0, func(t *actor.Tasklet) error {
			for !over {
				func() {
					defer func() {
						if k, ok := recover().(*actor.Killed); ok {
							recovered = append(recovered, k.Cause)
						}
					}()
					t.Sleep(time.Millisecond)
				}()
			}
			return nil
		}, actor.Name("victim"))
		_, err := actor.Await(t0, func(context.Context) (int, error) {
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					for i := range 200 {
						v.KillCause(t.Context(), fmt.Errorf("%d of %d", i, g))
					}
				})
			}
			wg.Wait()
			return 0, nil
		})
		t0.Sleep(5 * time.Millisecond)
		over = true
		return errors.Join(err, v.Join(t0))
	}))
	require.ElementsMatch(t, events, recovered)
	require.NotEmpty(t, recovered)
}

func ExampleTasklet_KillCause() {
	_ = actor.Run(context.Background(), actor.Config{Name: "shop"}, func(t *actor.Tasklet) error {
		worker := actor.Go(t, func(t *actor.Tasklet) error {
			t.Defer(func() { fmt.Println("deferred:", t.Killed().Cause) })
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("worker"))
		t.Yield() // the worker begins
		worker.KillCause(t, errors.New("over quota"))
		fmt.Println(worker.Join(t))
		return nil
	})
	// Output:
	// deferred: over quota
	// /shop/worker: /shop/worker killed by /shop: over quota
}
