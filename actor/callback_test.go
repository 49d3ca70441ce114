package actor_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// Functions of the user's that the library calls outside of the tasklet's own body. One that
// panics, or ends its goroutine, is one event of the kind failure, and hurts nobody; one that wants
// to park a tasklet is refused.
func TestCallbacksThatFail(t *testing.T) {
	places := map[string]func(t0 *actor.Tasklet, where actor.Option, fails func()){
		"OnEnd": func(t0 *actor.Tasklet, where actor.Option, fails func()) {
			second := false
			r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, where)
			r.OnEnd(fails)
			r.OnEnd(func() { second = true })
			r.Close()
			if err := r.Join(t0); err != nil || !second {
				panic(fmt.Sprint("the other function was not called, or Join: ", err))
			}
		},
		"Watch": func(t0 *actor.Tasklet, where actor.Option, fails func()) {
			to := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
			k := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Millisecond); return nil }, where)
			actor.Watch(t0, k, to, func(actor.Exit) int { fails(); return 1 })
			_ = k.Join(t0)
			t0.Sleep(time.Millisecond)
		},
		"Watch of one that has ended": func(t0 *actor.Tasklet, where actor.Option, fails func()) {
			to := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
			k := actor.Go(t0, nop, where)
			_ = k.Join(t0)
			actor.Watch(t0, k, to, func(actor.Exit) int { fails(); return 1 })
		},
		"Pipe": func(t0 *actor.Tasklet, _ actor.Option, fails func()) {
			to := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
			f := func(context.Context) (int, error) { return 1, nil }
			actor.Pipe(t0, f, to, func(int, error) int { fails(); return 1 })
			t0.Sleep(time.Millisecond)
		},
	}
	var parks func()
	for how, fails := range map[string]func(){
		"panic": panicsNow, "Goexit": runtime.Goexit, "bad panic": func() { panic(&faultyValue{}) },
		"parks": func() { parks() },
	} {
		for name, place := range places {
			for _, schedulers := range []int{1, 2} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, how, schedulers), func(t *testing.T) {
					var mu sync.Mutex
					var failures []error
					cfg := actor.Config{Schedulers: schedulers, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
						if e.Kind == event.Failure {
							mu.Lock()
							defer mu.Unlock()
							failures = append(failures, e.Err)
						}
					}}
					cfg.Clock = scheduler.NewVirtualClock(time.Time{})
					require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
						parks = func() { t0.Sleep(time.Hour) }
						place(t0, actor.OnScheduler(schedulers-1), fails)
						n, err := actor.Call(t0, actor.Receiver(t0, answer), askOne)
						require.NoError(t, err)
						require.Equal(t, 1, n)
						return nil
					}))
					require.Len(t, failures, 1)
					var p *actor.PanicError
					if how == "Goexit" {
						require.Equal(t, actor.ErrGoexit, failures[0])
					} else {
						require.ErrorAs(t, failures[0], &p)
						require.NotEmpty(t, p.Stack)
						require.NotEmpty(t, p.Error())
					}
				})
			}
		}
	}
}

func panicsNow() { panic("boom") }

// A supervisor whose callback fails has lost count of its children: that is a crash, also by a
// Goexit. Run returns, and says why.
func TestOnEndOfASlotThatFails(t *testing.T) {
	for how, fails := range map[string]func(){"panic": panicsNow, "Goexit": runtime.Goexit} {
		for _, schedulers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%d", how, schedulers), func(t *testing.T) {
				var mu sync.Mutex
				var crashes []actor.EventRecord
				cfg := actor.Config{Schedulers: schedulers, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
					if e.Kind == event.Crash {
						mu.Lock()
						defer mu.Unlock()
						crashes = append(crashes, e)
					}
				}}
				err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
					_, start := starter(t, t0, actor.GoBody(nop), func(actor.Exit) { fails() }, actor.OnScheduler(schedulers-1))
					start()
					t0.Sleep(time.Hour)
					return nil
				})
				var p *actor.PanicError
				require.ErrorAs(t, err, &p)
				require.Len(t, crashes, 1)
				if how == "panic" {
					require.Contains(t, crashes[0].Stack.String(), "panicsNow")
				}
			})
		}
	}
}

// A crash of a scheduler, by what it calls besides tasklets, is an event at once, before anybody
// stops the system.
func TestCrashIsAnEvent(t *testing.T) {
	for _, schedulers := range []int{1, 2} {
		crashed := make(chan actor.EventRecord, 10)
		cfg := actor.Config{Schedulers: schedulers, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
			if e.Kind == event.Crash {
				crashed <- e
			}
		}}
		s, err := actor.Start(cfg)
		require.NoError(t, err)
		actor.Go(s, func(t *actor.Tasklet) error {
			core.TaskOf(t).Scheduler().InjectFunc(panicsNow)
			t.Sleep(time.Hour)
			return nil
		}, actor.OnScheduler(schedulers-1))
		e := <-crashed
		require.Contains(t, e.Stack.String(), "panicsNow")
		require.EqualError(t, e.Err, "panic: boom")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.Error(t, s.Stop(ctx))
		require.Empty(t, crashed, "once")
	}
}
