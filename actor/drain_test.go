package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// Rule 40: what the end of each body waits for, when it is told after 5 s.
func TestDrainOfEachBody(t *testing.T) {
	var log []string
	work := func(t *actor.Tasklet) error {
		log = append(log, "begin")
		t.Sleep(10 * time.Second)
		log = append(log, "end")
		return nil
	}
	for name, c := range map[string]struct {
		body func(ref actor.Ref[int]) actor.Body
		want []string
		took time.Duration
	}{
		"go": {func(actor.Ref[int]) actor.Body { return actor.GoBody(work) },
			[]string{"begin", "end"}, 5 * time.Second},
		"interval": {func(actor.Ref[int]) actor.Body { return actor.IntervalBody(time.Second, work) },
			[]string{"begin", "end"}, 6 * time.Second},
		"interval between two calls": {func(actor.Ref[int]) actor.Body { return actor.IntervalBody(time.Minute, work) }, nil, 0},
		"rate": {func(actor.Ref[int]) actor.Body {
			return actor.RateBody(1, func(t *actor.Tasklet, _ time.Time) error { return work(t) })
		}, []string{"begin", "end"}, 6 * time.Second},
		"loop": {func(actor.Ref[int]) actor.Body { return actor.LoopBody(work) },
			[]string{"begin", "end"}, 5 * time.Second},
		"later": {func(actor.Ref[int]) actor.Body { return actor.LaterBody(time.Second, work) },
			[]string{"begin", "end"}, 6 * time.Second},
		"later that is not due": {func(actor.Ref[int]) actor.Body { return actor.LaterBody(time.Minute, work) }, nil, 0},
		"receiver": {func(ref actor.Ref[int]) actor.Body {
			return actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
				log = append(log, fmt.Sprint(m))
				return work(t)
			})
		}, []string{"0", "begin", "end", "1", "begin", "end"}, 15 * time.Second},
		"batch receiver": {func(ref actor.Ref[int]) actor.Body {
			return actor.BatchReceiverBody(ref, 3, time.Hour, func(t *actor.Tasklet, m []int) error {
				log = append(log, fmt.Sprint(m))
				return nil
			})
		}, []string{"[0 1]"}, 0},
		"reader": {func(ref actor.Ref[int]) actor.Body {
			return actor.SpawnBody(ref, func(t *actor.Tasklet, box *mailbox.Mailbox[int]) error {
				for m := range box.Receive() {
					log = append(log, fmt.Sprint(m))
					t.Sleep(3 * time.Second)
				}
				log = append(log, "end")
				return nil
			})
		}, []string{"0", "1", "end"}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			log = nil
			actortest.Run(t, func(t *actor.Tasklet) {
				tb, ref := actortest.TB(t), actor.NewRef[int]()
				for m := range 2 {
					require.NoError(tb, ref.Send(t, m))
				}
				child := actor.StartTasklet(t, c.body(ref))
				t.Sleep(5 * time.Second)
				start := t.System().Now()
				require.NoError(tb, child.Drain(t))
				require.Equal(tb, c.want, log)
				require.Equal(tb, c.took, t.System().Now().Sub(start))
				require.NoError(tb, child.Drain(t), "of one that has finished")
			})
		})
	}
}

// A tasklet that drains hands on to its children, which drain after it, the newest first.
func TestDrainOfASubtree(t *testing.T) {
	actortest.Explore(t, runs(100), func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var log []string
		var workers []actor.Ref[int]
		front := actor.NewRef[int]()
		top := actor.StartTasklet(t, actor.ReceiverInitBody(front, func(t *actor.Tasklet) (actor.Handler[int], error) {
			for i := range 2 {
				workers = append(workers, actor.Receiver(t, func(t *actor.Tasklet, m int) error {
					t.Sleep(time.Second)
					log = append(log, fmt.Sprint("worker ", i, ": ", m))
					return nil
				}))
			}
			t.Defer(func() { log = append(log, "closed") })
			return func(t *actor.Tasklet, m int) error {
				t.Sleep(time.Second)
				return workers[m%2].Send(t, m)
			}, nil
		}))
		for m := range 4 {
			require.NoError(tb, front.Send(t, m))
		}
		require.NoError(tb, top.Drain(t))
		require.ElementsMatch(tb, []string{"worker 0: 0", "worker 1: 1", "worker 0: 2", "worker 1: 3", "closed"}, log)
		require.Equal(tb, "closed", log[4])
	})
}

// The functions of OnDrain: for a listener, for a manager that only waits, for one that drains
// already; one that fails does no harm.
func TestOnDrain(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		handled, late, order := 0, false, ""
		manager := actor.Go(t0, func(t *actor.Tasklet) error {
			worker := actor.Receiver(t, func(t *actor.Tasklet, m int) error {
				t.Sleep(time.Second)
				handled++
				return nil
			})
			for m := range 3 {
				if err := worker.Send(t, m); err != nil {
					return err
				}
			}
			t.OnDrain(func() { order += "a"; panic("of a hook") })
			t.OnDrain(runtime.Goexit)
			t.OnDrain(func() { order += "b" })
			t.OnDrain(t.Kill)
			defer func() { t.OnDrain(func() { late = true }) }()
			t.Sleep(time.Hour)
			return nil
		})
		t0.Yield()
		require.ErrorIs(t, manager.Drain(t0), actor.ErrKilled)
		require.Equal(t, 3, handled)
		require.Equal(t, "ab", order)
		require.True(t, late)
		require.Less(t, t0.System().Now().Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), time.Minute)
		return nil
	})
}

// A drain ends by a second kill, by the stop of the parent and by the end of its context, wherever
// it has come to: no tasklet is left.
func TestDrainIsCut(t *testing.T) {
	for name, cut := range map[string]func(t, top *actor.Tasklet){
		"kill": func(t, top *actor.Tasklet) { top.Kill(); t.Sleep(time.Millisecond); top.Kill() },
		"stop of the parent": func(t, top *actor.Tasklet) {
			top.Parent().Kill()
		},
		"context": func(t, top *actor.Tasklet) {
			ctx, cancel := actor.WithTimeout(t, time.Millisecond)
			defer cancel()
			err := top.Drain(ctx)
			if err != nil && !errors.Is(err, scheduler.ErrTimeout) {
				panic(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			actortest.Explore(t, runs(100), func(t *actor.Tasklet) {
				tb, rand := actortest.TB(t), t.System().Rand()
				var top *actor.Tasklet
				slow := func(t *actor.Tasklet, m int) error { t.Sleep(time.Hour); return nil }
				parent := actor.Go(t, func(t *actor.Tasklet) error {
					ref := actor.NewRef[int]()
					top = actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (actor.Handler[int], error) {
						for range 3 {
							r := actor.Receiver(t, func(t *actor.Tasklet, m int) error {
								actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
								return slow(t, m)
							})
							for m := range rand.IntN(2) {
								if err := r.Send(t, m); err != nil {
									return nil, err
								}
							}
						}
						return slow, nil
					}))
					for m := range rand.IntN(2) {
						if err := ref.Send(t, m); err != nil {
							return err
						}
					}
					t.Sleep(24 * time.Hour)
					return nil
				})
				t.Sleep(time.Millisecond)
				actor.Go(t, func(t *actor.Tasklet) error { _ = top.Drain(t); return nil })
				t.Sleep(time.Duration(rand.IntN(3)) * 45 * time.Minute)
				cut(t, top)
				start := t.System().Now()
				_ = top.Join(t)
				require.Less(tb, t.System().Now().Sub(start), time.Minute)
				parent.Kill()
				_ = parent.Join(t)
				require.LessOrEqual(tb, len(t.Children()), 1)
			}, actortest.Allow(event.Exit), actortest.Allow(event.Kill), actortest.Allow(event.MessageLost), actortest.Allow(event.DeadLetter))
		})
	}
}

// A drain of a subtree on several schedulers, begun on one of them or outside.
func TestDrainOnSeveralSchedulers(t *testing.T) {
	for range 20 {
		handled := make(chan int, 1000)
		sys, err := actor.Start(actor.Config{Schedulers: 3, Logger: zap.NewNop()})
		require.NoError(t, err)
		var refs []actor.Ref[int]
		for i := range 9 {
			ref := actor.NewRef[int]()
			actor.StartTasklet(sys, actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
				t.Sleep(time.Millisecond)
				handled <- m
				if i > 0 {
					_ = refs[i-1].Send(t, m+1) // is drained after this one
				}
				return nil
			}), actor.OnScheduler(i%3))
			refs = append(refs, ref)
		}
		for range 20 {
			require.NoError(t, refs[8].Send(context.Background(), 0))
		}
		require.NoError(t, sys.Drain(context.Background()))
		require.Len(t, handled, 180)
	}
}

// System.Drain: main runs on until the others have ended, daemons come last, failures and what is
// left are told.
func TestDrainOfASystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		sys, err := actor.Start(actor.Config{Logger: zap.NewNop()})
		require.NoError(t, err)
		note := func(name string) func(*actor.Tasklet, int) error {
			return func(t *actor.Tasklet, m int) error {
				t.Sleep(time.Second)
				log = append(log, fmt.Sprint(name, m))
				if name == "failing" {
					return errors.New("broken")
				}
				return nil
			}
		}
		journal := actor.Receiver(sys, note("journal"), actor.Daemon())
		first := actor.Receiver(sys, note("first"))
		second := actor.Receiver(sys, func(t *actor.Tasklet, m int) error {
			if err := first.Send(t, m+10); err != nil {
				return err
			}
			return journal.Send(t, m)
		})
		failing := actor.Receiver(sys, note("failing"), actor.OnFailure(actor.End))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, failing.Send(ctx, 1))
		for m := range 2 {
			require.NoError(t, second.Send(ctx, m))
		}
		err = sys.Drain(ctx)
		require.ErrorContains(t, err, "broken")
		require.Subset(t, log, []string{"first10", "first11", "journal0", "journal1", "failing1"})
		require.Len(t, log, 5)
		require.ErrorIs(t, first.Send(ctx, 1), mailbox.ErrClosed)
		require.NoError(t, sys.Drain(ctx), "of one that has stopped")
	})
}

// Main may return when a child has ended: the others drain all the same, and the daemons after
// main's own calls. A Stop cuts the drain short.
func TestMainReturnsDuringADrain(t *testing.T) {
	for name, stopped := range map[string]bool{"drained": false, "stopped": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var handled, journal, hook int
				systems := make(chan *actor.System, 1)
				result := make(chan error, 1)
				go func() {
					result <- actor.Run(t.Context(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
						t0.OnDrain(func() { hook++ })
						daemon := actor.Receiver(t0, func(t *actor.Tasklet, m int) error { t.Sleep(time.Second); journal++; return nil }, actor.Daemon())
						slow := actor.Receiver(t0, func(t *actor.Tasklet, m int) error { t.Sleep(time.Second); handled++; return nil })
						for m := range 10 {
							if err := slow.Send(t0, m); err != nil {
								return err
							}
						}
						last := actor.Receiver(t0, func(t *actor.Tasklet, m int) error { return nil })
						t0.Defer(func() {
							t0.Sleep(time.Second) // all children have ended
							_ = daemon.Send(t0, 1)
							_ = daemon.Send(t0, 2)
						})
						systems <- t0.System()
						return last.Join(t0)
					})
				}()
				sys := <-systems
				drained := make(chan error, 1)
				go func() { drained <- sys.Drain(context.Background()) }()
				if stopped {
					time.Sleep(3500 * time.Millisecond)
					require.NoError(t, sys.Stop(context.Background()))
					require.Less(t, handled, 5)
				}
				require.NoError(t, <-result)
				err := <-drained
				require.Equal(t, 1, hook)
				if !stopped {
					require.NoError(t, err)
					require.Equal(t, []int{10, 2}, []int{handled, journal})
				}
			})
		})
	}
}

func TestDrainOfASystemThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
		require.NoError(t, err)
		slow := actor.Receiver(sys, func(t *actor.Tasklet, m int) error { t.Sleep(time.Hour); return nil }, actor.Name("slow"))
		actor.Go(sys, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("job"))
		actor.Receiver(sys, func(t *actor.Tasklet, m int) error { return nil }, actor.Name("idle"))
		last := actor.Receiver(sys, func(t *actor.Tasklet, m int) error { t.Sleep(time.Hour); return nil }, actor.Name("last"))
		for m := range 3 {
			require.NoError(t, slow.Send(t.Context(), m))
		}
		require.NoError(t, last.Send(t.Context(), 0)) // nothing is queued, but it is not handled
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = sys.Drain(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var left *actor.DrainError
		require.ErrorAs(t, err, &left)
		require.Equal(t, map[string]int{"/app/slow": 2, "/app/job": 0, "/app/last": 0}, left.Left)
		require.ErrorContains(t, err, "actor: not drained in time: /app/job, /app/last, /app/slow (messages: 2)")
		require.Nil(t, sys.Root().Children())
	})
}

func TestDrainErrorText(t *testing.T) {
	require.EqualError(t, &actor.DrainError{}, "actor: not drained in time")
	left := map[string]int{"/a b\n": 1}
	for i := range 30 {
		left[fmt.Sprintf("/x%02d", i)] = 0
	}
	text := (&actor.DrainError{Left: left}).Error()
	require.Contains(t, text, `"/a b\n" (messages: 1), /x00, `)
	require.Contains(t, text, "/x18, and 11 others")
}

func ExampleSystem_Drain() {
	sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
	if err != nil {
		fmt.Println(err)
		return
	}
	letters := actor.Receiver(sys, func(t *actor.Tasklet, letter string) error {
		fmt.Println("delivered", letter)
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, letter := range []string{"a", "b", "c"} {
		if err := letters.Send(ctx, letter); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(sys.Drain(ctx))
	// Output:
	// delivered a
	// delivered b
	// delivered c
	// <nil>
}

func ExampleTasklet_OnDrain() {
	sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
	if err != nil {
		fmt.Println(err)
		return
	}
	jobs := make(chan string, 3)
	actor.Go(sys, func(t *actor.Tasklet) error {
		t.OnDrain(func() { close(jobs) })
		_, err := actor.Await(t, func(context.Context) (int, error) {
			for job := range jobs {
				fmt.Println("done", job)
			}
			return 0, nil
		})
		return err
	})
	jobs <- "a"
	jobs <- "b"
	fmt.Println(sys.Drain(context.Background()))
	// Output:
	// done a
	// done b
	// <nil>
}
