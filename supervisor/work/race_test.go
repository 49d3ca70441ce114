package work_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/flow"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/work"
)

// Goroutines and tasklets send, workers on one and on three schedulers fail in every way and are
// killed, and every message is accounted for. With 3 schedulers each of them has workers.
func TestSendersEverywhere(t *testing.T) {
	for _, schedulers := range []int{1, 3} {
		t.Run(fmt.Sprint(schedulers, " schedulers"), func(t *testing.T) {
			const goroutines, tasklets, each = 4, 4, 300
			var lost, buried, handled atomic.Int64
			sys, err := actor.Start(actor.Config{Schedulers: schedulers, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
				if e.Kind == event.DeadLetter && e.Path == "/tasklet/s/q" {
					lost.Add(int64(e.Count))
				}
			}})
			require.NoError(t, err)
			bin := actor.Receiver(sys, func(_ *actor.Tasklet, d work.Dead[int]) error {
				buried.Add(int64(len(d.Messages)))
				return nil
			}, actor.MailboxLen(4))
			var seen [3]atomic.Bool
			q := work.New(work.Spec[int]{
				Workers: 6, Cap: 16, Spread: true, Dead: bin, Retry: flow.Retry{Attempts: 2, Min: time.Millisecond},
				Handle: func(t *actor.Tasklet, m int) error {
					seen[t.Glance().Scheduler].Store(true)
					switch m % 50 {
					case 1:
						return errBad
					case 2:
						panic("poison")
					case 3:
						runtime.Goexit()
					case 4:
						t.Sleep(time.Millisecond)
					case 5:
						defer handled.Add(1)
						return actor.ErrShutdown
					}
					handled.Add(1)
					return nil
				},
			})
			s, err := supervisor.Start(sys, supervisor.Spec{Name: "s", Intensity: supervisor.Unlimited, Children: []supervisor.Child{{ID: "q", Body: q.Body()}}})
			require.NoError(t, err)
			var wg sync.WaitGroup
			for i := range goroutines {
				wg.Add(1)
				go func() {
					defer wg.Done()
					rnd := rand.New(rand.NewPCG(1, uint64(i)))
					for m := range each {
						switch {
						case m%30 == 7:
							for _, w := range q.Tasklet().Children() {
								if rnd.IntN(3) == 0 {
									w.Kill()
								}
							}
						case m == each/2:
							q.Tasklet().Kill()
						}
						if err := q.Send(context.Background(), m); err != nil {
							t.Error(err)
						}
					}
				}()
			}
			for i := range tasklets {
				wg.Add(1)
				actor.Go(sys, func(t *actor.Tasklet) error {
					defer wg.Done()
					for m := range each {
						for {
							ctx, cancel := actor.WithTimeout(t, time.Millisecond)
							err := q.Send(ctx, m)
							cancel()
							if err == nil {
								break
							}
							if !errors.Is(err, actor.ErrTimeout) {
								panic(err)
							}
						}
					}
					return nil
				}, actor.OnScheduler(i%schedulers))
			}
			wg.Wait()
			require.NoError(t, s.Drain(context.Background()))
			bin.Close()
			require.NoError(t, bin.Join(context.Background()))
			require.NoError(t, sys.Stop(context.Background()))
			st := q.Stats()
			require.EqualValues(t, (goroutines+tasklets)*each, st.Accepted)
			require.Equal(t, st.Accepted, st.Handled+st.SetAside+st.Lost, "%+v", st)
			require.EqualValues(t, lost.Load(), st.Lost)
			require.EqualValues(t, buried.Load(), st.SetAside)
			require.GreaterOrEqual(t, handled.Load(), int64(st.Handled), "a killed worker may have handled a message that is tried again")
			require.NotZero(t, st.SetAside)
			require.NotZero(t, st.Restarts)
			for i := range schedulers {
				require.True(t, seen[i].Load(), "no worker on scheduler %d", i)
			}
		})
	}
}

// simulate runs main on a virtual clock. The log is thrown away, and the events go to on.
func simulate(t testing.TB, on func(actor.EventRecord), main func(t *actor.Tasklet) error) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), StallAfter: -1, OnEvent: on}
	require.NoError(t, actor.Run(context.Background(), cfg, main))
}

// A worker that calls runtime.Goexit is started again, and the message is tried again.
func TestGoexit(t *testing.T) {
	kinds := map[string]int{}
	simulate(t, func(e actor.EventRecord) { kinds[e.Kind.String()]++ }, func(t0 *actor.Tasklet) error {
		bin := actor.NewRef[work.Dead[int]]()
		q, err := work.Start(t0, work.Spec[int]{Name: "q", Retry: flow.Retry{Attempts: 3}, Dead: bin, Handle: func(*actor.Tasklet, int) error {
			runtime.Goexit()
			return nil
		}})
		require.NoError(t, err)
		require.NoError(t, q.Send(t0, 1))
		require.NoError(t, q.Drain(t0))
		require.Equal(t, work.Stats{Accepted: 1, Retries: 2, SetAside: 1, Restarts: 3}, q.Stats())
		require.Equal(t, 1, bin.Len())
		return nil
	})
	require.Equal(t, 2, kinds[work.EventRetry.String()])
	require.Equal(t, 1, kinds[work.EventSetAside.String()])
	require.Equal(t, 3, kinds[supervisor.EventRestart.String()])
	require.Zero(t, kinds[event.MessageLost.String()], "the bell of a worker is no message of a user's")
}

// The first kill of a queue that drains does not end its workers, and they handle what is queued.
func TestDrainSurvivesAKill(t *testing.T) {
	simulate(t, nil, func(t0 *actor.Tasklet) error {
		n := 0
		q := work.New(work.Spec[int]{Handle: func(t *actor.Tasklet, m int) error { t.Sleep(time.Second); n++; return nil }})
		s, err := supervisor.Start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "q", Body: q.Body()}}})
		require.NoError(t, err)
		for i := range 40 { // more than a worker handles in its turn
			require.NoError(t, q.Send(t0, i))
		}
		actor.Later(t0, 3500*time.Millisecond, func(*actor.Tasklet) error { q.Tasklet().Kill(); return nil })
		require.NoError(t, s.Drain(t0))
		require.Equal(t, 40, n)
		require.EqualValues(t, 40, q.Stats().Handled)
		return nil
	})
}

// A message whose worker was woken for it and is killed first goes to another worker, and does not
// wait until the killed one has been started again.
func TestKillOfTheWorkerThatIsWoken(t *testing.T) {
	for name, batch := range map[string]*work.Batch[int]{"single": nil, "batch": {Max: 2, Wait: time.Second}} {
		simulate(t, nil, func(t0 *actor.Tasklet) error {
			spec := work.Spec[int]{Workers: 2, Restart: flow.Retry{Min: time.Hour, Max: time.Hour}, Batch: batch}
			h := func(*actor.Tasklet, int) error { return nil }
			if batch == nil {
				spec.Handle = h
			} else {
				batch.Handle = func(t *actor.Tasklet, _ []int) error { return nil }
			}
			q, err := work.Start(t0, spec)
			require.NoError(t, err)
			t0.Sleep(time.Millisecond)
			require.NoError(t, q.Send(t0, 1))
			if batch != nil {
				t0.Sleep(time.Millisecond) // the worker waits for more
			}
			q.Tasklet().Children()[0].Kill()
			t0.Sleep(2 * time.Second)
			require.EqualValues(t, 1, q.Stats().Handled, name)
			return nil
		})
	}
}

// A drain that is cut reports the messages that were left, and none is counted as anything else.
func TestDrainIsCut(t *testing.T) {
	lost := 0
	simulate(t, func(e actor.EventRecord) {
		if e.Kind == event.DeadLetter {
			lost += e.Count
		}
	}, func(t0 *actor.Tasklet) error {
		q, err := work.Start(t0, work.Spec[int]{Cap: 5, Handle: func(t *actor.Tasklet, m int) error { t.Sleep(time.Minute); return nil }})
		require.NoError(t, err)
		for i := range 5 {
			require.NoError(t, q.Send(t0, i))
		}
		waits := actor.Go(t0, func(t *actor.Tasklet) error { return q.Send(t, 5) })
		t0.Yield()
		ctx, cancel := actor.WithTimeout(t0, 90*time.Second)
		defer cancel()
		require.Error(t, q.Drain(ctx))
		_ = q.Tasklet().Join(t0)
		require.ErrorIs(t, waits.Join(t0), nil, "there was room")
		require.Equal(t, work.Stats{Accepted: 6, Handled: 1, Lost: 5, Retries: 1}, q.Stats())
		return nil
	})
	require.Equal(t, 5, lost)
}

func TestSpecErrors(t *testing.T) {
	h := func(*actor.Tasklet, int) error { return nil }
	hs := func(*actor.Tasklet, []int) error { return nil }
	for want, spec := range map[string]work.Spec[int]{
		"work.Spec.Handle is one of Handle, Init and Batch, of which exactly one must be set: 0 are": {},
		"work.Spec.Handle is one of Handle, Init and Batch, of which exactly one must be set: 2 are": {Handle: h, Batch: &work.Batch[int]{}},
		"work.Spec.Workers is negative":                                                        {Handle: h, Workers: -1},
		"work.Spec.Cap is negative":                                                            {Handle: h, Cap: -1},
		fmt.Sprintf("work.Spec.Cap is above mailbox.MaxCap, %d", mailbox.MaxCap):               {Handle: h, Cap: math.MaxInt},
		"work.Spec.Policy must be Block, Fail, DropNewest or DropOldest: the queue is bounded": {Handle: h, Policy: mailbox.Unbounded},
		"work.Spec.Shutdown is negative":                                                       {Handle: h, Shutdown: -3},
		"work.Spec.Batch.Handle and Batch.Init: exactly one of the two must be set":            {Batch: &work.Batch[int]{Max: 1}},
		"work.Spec.Batch.Max must be positive":                                                 {Batch: &work.Batch[int]{Handle: hs}},
		"work.Spec.Batch.Wait is negative":                                                     {Batch: &work.Batch[int]{Handle: hs, Max: 1, Wait: -1}},
		"work.Spec.Retry is invalid: flow: Retry.Min is -1ns: negative":                        {Handle: h, Retry: flow.Retry{Min: -1}},
		"work.Spec.Restart is invalid: flow: Retry.Jitter is 2: must be from 0 to 1":           {Handle: h, Restart: flow.Retry{Jitter: 2}},
		"work.Spec.Restart.If is set: every end counts":                                        {Handle: h, Restart: flow.Retry{If: func(error) bool { return true }}},
	} {
		var e *supervisor.SpecError
		_, err := work.Start[int](nil, spec)
		require.ErrorAs(t, err, &e)
		require.EqualError(t, err, "supervisor: "+want)
		require.Panics(t, func() { work.New(spec) })
	}
}

func TestMisuse(t *testing.T) {
	h := func(*actor.Tasklet, int) error { return nil }
	require.PanicsWithValue(t, "work: Drain of a queue that was not started", func() { _ = work.New(work.Spec[int]{Handle: h}).Drain(t.Context()) })
	actortest.Run(t, func(t *actor.Tasklet) {
		for text, spec := range map[string]work.Spec[int]{
			"work: Spec.Init has returned no handler": {Init: func(*actor.Tasklet) (actor.Handler[int], error) { return nil, nil }},
			"work: Batch.Init has returned no handler": {Batch: &work.Batch[int]{Max: 2, Init: func(*actor.Tasklet) (func(*actor.Tasklet, []int) error, error) {
				return nil, nil
			}}},
		} {
			_, err := work.Start(t, spec)
			require.ErrorContains(actortest.TB(t), err, text)
		}
	}, actortest.Allow(event.Exit))
}

// Odd times are refused, or have their meaning.
func TestOddTimes(t *testing.T) {
	for _, d := range []time.Duration{0, 1, -1, -2, -3, math.MinInt64, time.Second, math.MaxInt64 - 1, math.MaxInt64} {
		for name, spec := range map[string]work.Spec[int]{
			"shutdown": {Shutdown: d, Handle: func(t *actor.Tasklet, m int) error {
				defer t.Sleep(time.Hour) // ends when the kill is hard
				t.Sleep(10 * time.Hour)
				return nil
			}},
			"wait": {Batch: &work.Batch[int]{Max: 2, Wait: d, Handle: func(*actor.Tasklet, []int) error { return nil }}},
		} {
			simulate(t, nil, func(t0 *actor.Tasklet) error {
				q, err := work.Start(t0, spec)
				if d < 0 && name == "wait" || d < actor.Infinity {
					require.Error(t, err, "%s %v", name, d)
					return nil
				}
				require.NoError(t, err)
				begin := t0.System().Now()
				require.NoError(t, q.Send(t0, 1))
				if name == "wait" {
					for q.Stats().Handled == 0 && t0.System().Now().Sub(begin) < time.Minute {
						t0.Sleep(time.Millisecond)
					}
					want := min(max(d, 0).Round(time.Millisecond), time.Minute)
					require.InDelta(t, float64(want), float64(t0.System().Now().Sub(begin)), float64(2*time.Millisecond), "%v", d)
					return nil
				}
				t0.Sleep(time.Millisecond)
				begin = t0.System().Now()
				q.Tasklet().Kill()
				_ = q.Tasklet().Join(t0)
				want := map[time.Duration]time.Duration{0: 5 * time.Second, actor.BrutalKill: 0, actor.Infinity: time.Hour}
				w, ok := want[d]
				if !ok {
					w = min(d, time.Hour)
				}
				require.InDelta(t, float64(w), float64(t0.System().Now().Sub(begin)), float64(2*time.Millisecond), "%v", d)
				return nil
			})
		}
	}
}

// A send with a context that cannot be used panics before its message is accepted. The mutex is
// free then, and also while a context of the user's is examined.
func TestContextThatCannotBeUsed(t *testing.T) {
	simulate(t, nil, func(t0 *actor.Tasklet) error {
		q, err := work.Start(t0, work.Spec[int]{Cap: 1, Handle: func(t *actor.Tasklet, _ int) error { t.Sleep(time.Second); return nil }})
		require.NoError(t, err)
		other := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		t0.Yield()
		for range 2 { // the second time the queue is full
			for name, ctx := range map[string]context.Context{"nil": nil, "another tasklet's": other} {
				require.Panics(t, func() { _ = q.Send(ctx, 1) }, name)
				require.Panics(t, func() { _ = q.TrySend(ctx, 1) }, name)
			}
			require.Equal(t, 0, q.Len()+q.Stats().InHand-int(q.Stats().Accepted))
			for q.TrySend(t0, 1) == nil {
				t0.Yield()
			}
		}
		require.EqualValues(t, 2, q.Stats().Accepted)
		looks := 0
		require.ErrorIs(t, q.Send(strange{t0, func() { looks++; q.Len() }}, 1), errBad)
		require.NotZero(t, looks)
		other.Kill()
		return q.Drain(t0)
	})
}

// strange is the context of a tasklet that has ended and looks at something else first.
type strange struct {
	context.Context
	look func()
}

func (s strange) Value(key any) any { s.look(); return s.Context.Value(key) }
func (s strange) Err() error        { return errBad }

// The error of a drain that is cut names the queue, with the number of messages whose end is not
// decided: those that are queued, in hand, and waiting for another try.
func TestCutDrainNamesTheQueue(t *testing.T) {
	simulate(t, nil, func(t0 *actor.Tasklet) error {
		q, err := work.Start(t0, work.Spec[int]{Name: "q", Retry: flow.Retry{Attempts: 2, Min: time.Hour, Max: time.Hour}, Handle: func(t *actor.Tasklet, m int) error {
			if m == 0 {
				return errBad
			}
			t.Sleep(time.Minute)
			return nil
		}})
		require.NoError(t, err)
		for m := range 4 {
			require.NoError(t, q.Send(t0, m))
		}
		ctx, cancel := actor.WithTimeout(t0, 10*time.Second)
		defer cancel()
		var left *actor.DrainError
		require.ErrorAs(t, q.Drain(ctx), &left)
		require.Equal(t, 4, left.Left["/tasklet/q"], "%v", left)
		_ = q.Tasklet().Join(t0)
		return nil
	})
}

// A queue that is killed in the drain of its supervisor is started again for the messages that
// wait for another try.
func TestKillInADrainKeepsPausedMessages(t *testing.T) {
	lost := 0
	simulate(t, func(e actor.EventRecord) {
		if e.Kind == event.DeadLetter {
			lost += e.Count
		}
	}, func(t0 *actor.Tasklet) error {
		tries := 0
		q := work.New(work.Spec[int]{Retry: flow.Retry{Attempts: 3, Min: time.Minute, Max: time.Minute}, Handle: func(t *actor.Tasklet, m int) error {
			if tries++; tries < 3 {
				return errBad
			}
			return nil
		}})
		s, err := supervisor.Start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "q", Body: q.Body()}}})
		require.NoError(t, err)
		require.NoError(t, q.Send(t0, 1))
		actor.Later(t0, 10*time.Second, func(*actor.Tasklet) error { q.Tasklet().Kill(); return nil })
		require.NoError(t, s.Drain(t0))
		require.Equal(t, work.Stats{Accepted: 1, Handled: 1, Retries: 2}, q.Stats())
		return nil
	})
	require.Zero(t, lost)
}

// A crash of a worker is an entry about the message and one about the worker, with the stack and
// the type of the message, and none names a type of the library.
func TestOneCrashOfAWorker(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core)}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		q, err := work.Start(t0, work.Spec[int]{Name: "q", Retry: flow.Retry{Attempts: 2}, Handle: func(*actor.Tasklet, int) error {
			panic("slipped")
		}})
		require.NoError(t, err)
		require.NoError(t, q.Send(t0, 1))
		t0.Sleep(time.Second)
		var got []string
		for _, e := range logs.TakeAll() {
			f := e.ContextMap()
			require.NotContains(t, fmt.Sprint(f["message"]), "work.")
			if e := f["event"]; e == "restart" || e == "exit" {
				require.Equal(t, "int", f["message"])
				require.NotEmpty(t, f["stack"])
			}
			got = append(got, fmt.Sprint(e.Level, " ", f["event"]))
		}
		require.Equal(t, []string{
			"info system_start", "error work_retry", "error restart", "error dead_letter", "error restart",
		}, got)
		return nil
	}))
}
