package stats_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/actor/stats"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// run runs main as the root of a system on a virtual clock that measures.
func run(tb testing.TB, main func(t *actor.Tasklet)) {
	tb.Helper()
	runWith(tb, actor.Config{Measure: true}, main)
}

func runWith(tb testing.TB, cfg actor.Config, main func(t *actor.Tasklet)) {
	tb.Helper()
	cfg.Clock = scheduler.NewVirtualClock(time.Time{})
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	require.NoError(tb, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error { main(t); return nil }))
}

// Whatever calls a handler, each call is measured, with its wait.
func TestOfEveryBody(t *testing.T) {
	const n = 5
	work := func(t *actor.Tasklet) error { t.Sleep(10 * time.Millisecond); return nil }
	send := func(t *actor.Tasklet, r actor.Ref[int]) *actor.Tasklet {
		for i := range n {
			_ = r.Send(t, i)
		}
		return r.Tasklet()
	}
	onInt := func(t *actor.Tasklet, _ int) error { return work(t) }
	for name, start := range map[string]func(t *actor.Tasklet) *actor.Tasklet{
		"receiver": func(t *actor.Tasklet) *actor.Tasklet { return send(t, actor.Receiver(t, onInt)) },
		"receiver of any": func(t *actor.Tasklet) *actor.Tasklet {
			r := actor.Receiver(t, func(t *actor.Tasklet, _ any) error { return work(t) })
			for i := range n {
				_ = r.Send(t, i)
			}
			return r.Tasklet()
		},
		"with a hook": func(t *actor.Tasklet) *actor.Tasklet {
			return send(t, actor.Receiver(t, func(*actor.Tasklet, int) error { return nil },
				actor.Around(func(ctx context.Context, _ any, next func(context.Context) error) error {
					_ = work(actor.Current(ctx))
					return next(ctx)
				})))
		},
		"init": func(t *actor.Tasklet) *actor.Tasklet {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (actor.Handler[int], error) {
				t.Sleep(time.Second)
				return onInt, nil
			}))
			return send(t, ref)
		},
		"idle": func(t *actor.Tasklet) *actor.Tasklet {
			return send(t, actor.Receiver(t, onInt, actor.IdleAfter(time.Second, func(t *actor.Tasklet) error { t.Sleep(time.Second); return nil })))
		},
		"retry": func(t *actor.Tasklet) *actor.Tasklet {
			ref := actor.NewRef[int]()
			s, _ := actor.NewSlot(t, actor.ReceiverBody(ref, onInt), func(actor.Exit) {}, actor.Retry(1))
			_, _ = s.Start(t)
			return send(t, ref)
		},
		"retry with init": func(t *actor.Tasklet) *actor.Tasklet {
			ref := actor.NewRef[int]()
			b := actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (actor.Handler[int], error) { return onInt, nil })
			s, _ := actor.NewSlot(t, b, func(actor.Exit) {}, actor.Retry(1))
			_, _ = s.Start(t)
			return send(t, ref)
		},
		"batch": func(t *actor.Tasklet) *actor.Tasklet {
			return send(t, actor.BatchReceiver(t, 1, 0, func(t *actor.Tasklet, _ []int) error { return work(t) }))
		},
		"interval": func(t *actor.Tasklet) *actor.Tasklet {
			return actor.Interval(t, 90*time.Millisecond, work, actor.Immediate())
		},
		"rate": func(t *actor.Tasklet) *actor.Tasklet {
			return actor.Rate(t, 10, func(t *actor.Tasklet, _ time.Time) error { return work(t) }, actor.Immediate())
		},
		"loop": func(t *actor.Tasklet) *actor.Tasklet {
			i := 0
			return actor.Loop(t, func(t *actor.Tasklet) error {
				if i++; i > n {
					t.Sleep(time.Hour)
				}
				return work(t)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(root *actor.Tasklet) {
				task := start(root)
				root.Sleep(n*100*time.Millisecond - 45*time.Millisecond)
				if name == "init" {
					root.Sleep(time.Second)
				}
				got, ok := stats.Of(task)
				require.True(t, ok)
				calls := uint64(n)
				if name == "loop" {
					calls++ // the one that sleeps
				}
				require.Equal(t, calls, got.Calls)
				require.EqualValues(t, n, got.Handler.Count)
				require.InDelta(t, 10*n, got.Handler.Sum.Milliseconds(), n) // sleeps end on ticks
				require.Equal(t, got.Handler.Max, got.Handler.Quantile(1))
				require.InDelta(t, 10, got.Handler.Mean().Milliseconds(), 1)
			})
		})
	}
}

// What is not measured says so.
func TestNotMeasured(t *testing.T) {
	for name, start := range map[string]func(t *actor.Tasklet) *actor.Tasklet{
		"go": func(t *actor.Tasklet) *actor.Tasklet {
			return actor.Go(t, func(t *actor.Tasklet) error { return nil })
		},
		"spawn": func(t *actor.Tasklet) *actor.Tasklet {
			return actor.Spawn(t, func(t *actor.Tasklet, m *mailbox.Mailbox[int]) error { return nil }).Tasklet()
		},
		"supervisor": func(t *actor.Tasklet) *actor.Tasklet {
			ref := actor.NewRef[int]()
			return actor.StartTasklet(t, actor.Supervise(ref, actor.Family{Kind: "family"},
				func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					return func(*actor.Tasklet, int) error { return nil }, nil
				}))
		},
	} {
		run(t, func(root *actor.Tasklet) {
			_, ok := stats.Of(start(root))
			require.False(t, ok, name)
		})
	}
	runWith(t, actor.Config{}, func(root *actor.Tasklet) {
		r := actor.Receiver(root, func(*actor.Tasklet, int) error { return nil })
		_ = r.Send(root, 1)
		root.Sleep(time.Second)
		_, ok := stats.Of(r.Tasklet())
		require.False(t, ok)
		s := stats.Read(root.System())
		require.Empty(t, s.Kinds)
		require.EqualValues(t, 1, s.Started)
		require.Equal(t, time.Second, s.Up)
	})
	require.PanicsWithValue(t, "stats: Of with a nil *Tasklet", func() { stats.Of(nil) })
	require.PanicsWithValue(t, "stats: Read with a nil *System", func() { stats.Read(nil) })
}

// A call that does not return counts too.
func TestCallsThatFail(t *testing.T) {
	for name, fail := range map[string]func(t *actor.Tasklet) error{
		"error":  func(*actor.Tasklet) error { return errors.New("no") },
		"panic":  func(*actor.Tasklet) error { panic("no") },
		"goexit": func(*actor.Tasklet) error { runtime.Goexit(); return nil },
		"stop":   func(*actor.Tasklet) error { return actor.ErrStop },
		"kill":   func(t *actor.Tasklet) error { t.Kill(); t.Yield(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(root *actor.Tasklet) {
				r := actor.Receiver(root, func(t *actor.Tasklet, _ int) error {
					t.Sleep(time.Second)
					return fail(t)
				})
				_ = r.Send(root, 1)
				root.Sleep(time.Minute)
				got, ok := stats.Of(r.Tasklet())
				require.True(t, ok)
				require.EqualValues(t, 1, got.Calls)
				require.EqualValues(t, 1, got.Handler.Count)
				require.InDelta(t, 1, got.Handler.Sum.Seconds(), 0.01)
			})
		})
	}
}

// The quantiles are those of a sorted list of the times, rounded up by half at most.
func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		var times []time.Duration
		var got stats.Timing
		limit := time.Duration(1) << (20 + r.IntN(25))
		n := 1 + r.IntN(300)
		run(t, func(root *actor.Tasklet) {
			ref := actor.Receiver(root, func(t *actor.Tasklet, d time.Duration) error {
				begin := t.System().Now()
				t.Sleep(d)
				times = append(times, t.System().Now().Sub(begin))
				return nil
			})
			for range n {
				_ = ref.Send(root, time.Duration(r.Int64N(int64(limit))))
			}
			ref.Close()
			_ = ref.Join(root)
			got, _ = stats.Of(ref.Tasklet())
		})
		slices.Sort(times)
		var sum time.Duration
		for _, d := range times {
			sum += d
		}
		require.EqualValues(t, n, got.Handler.Count)
		require.Equal(t, sum, got.Handler.Sum)
		require.Equal(t, times[n-1], got.Handler.Max)
		for _, q := range []float64{-1, 0, 0.01, 0.5, 0.9, 0.99, 0.999, 1, 2, r.Float64()} {
			exact := times[max(0, int(math.Ceil(min(q, 1)*float64(n)))-1)]
			p := got.Handler.Quantile(q)
			require.GreaterOrEqual(t, p, exact, "%v of %d", q, n)
			if exact < 1<<40 {
				require.LessOrEqual(t, p, max(64, exact*3/2), "%v of %d", q, n)
			} else {
				require.Equal(t, times[n-1], p)
			}
		}
		var count uint64
		below, last := 0, time.Duration(0)
		for limit, c := range got.Handler.Buckets() {
			require.Greater(t, limit, last)
			count += c
			below, _ = slices.BinarySearch(times, limit)
			if limit == math.MaxInt64 {
				below = n
			}
			require.EqualValues(t, below, count, "below %v", limit)
			last = limit
		}
		require.EqualValues(t, n, count)
	}
	require.Zero(t, stats.Times{}.Quantile(0.5))
	require.Zero(t, stats.Times{}.Mean())
	require.Zero(t, stats.Times{}.Quantile(math.NaN()))
}

// The time in the mailbox is that of messages, whatever reads them: a handler, a batch or a body of
// its own. It counts for the kind that the tasklet has after its first call.
func TestMailbox(t *testing.T) {
	run(t, func(root *actor.Tasklet) {
		slow := actor.Receiver(root, func(t *actor.Tasklet, _ int) error {
			t.SetLabel("kind", "slow")
			t.Sleep(time.Second)
			return nil
		})
		batches := actor.BatchReceiver(root, 2, time.Minute, func(*actor.Tasklet, []int) error { return nil })
		own := actor.Spawn(root, func(t *actor.Tasklet, box *mailbox.Mailbox[int]) error {
			for range box.Receive() {
				t.Sleep(time.Minute)
			}
			return nil
		})
		for _, r := range []actor.Ref[int]{slow, batches, own} {
			require.NoError(t, r.Send(root, 1))
			root.Sleep(time.Millisecond)
			require.NoError(t, r.Send(root, 2))
		}
		root.Sleep(time.Hour)
		for _, c := range []struct {
			of   actor.Ref[int]
			kind string
			max  time.Duration
		}{{slow, "slow", time.Second}, {batches, "batch receiver", time.Millisecond}, {own, "reader", time.Minute}} {
			n, ok := stats.Of(c.of.Tasklet())
			require.True(t, ok, c.kind)
			require.EqualValues(t, 2, n.Mailbox.Count, c.kind)
			require.InDelta(t, c.max, n.Mailbox.Max, float64(time.Millisecond), c.kind)
			require.Equal(t, n.Mailbox.Max, n.Mailbox.Sum, c.kind)
			i := slices.IndexFunc(stats.Read(root.System()).Kinds, func(k stats.Kind) bool { return k.Name == c.kind })
			require.GreaterOrEqual(t, i, 0, "%s in %v", c.kind, stats.Read(root.System()).Kinds)
			require.Equal(t, n.Mailbox, stats.Read(root.System()).Kinds[i].Mailbox, c.kind)
		}
	})
}

// The sums of a kind outlive its tasklets, and there are not more than 65 of them.
func TestKinds(t *testing.T) {
	run(t, func(root *actor.Tasklet) {
		for i := range 100 {
			r := actor.Receiver(root, func(t *actor.Tasklet, _ int) error {
				t.SetLabel("kind", fmt.Sprintf("kind-%02d", i))
				t.Sleep(time.Millisecond)
				return nil
			})
			for range i {
				_ = r.Send(root, 1)
			}
			r.Close()
			_ = r.Join(root)
		}
		s := stats.Read(root.System())
		require.Len(t, s.Kinds, 65)
		require.Equal(t, "kind-01", s.Kinds[0].Name)
		require.EqualValues(t, 1, s.Kinds[0].Calls)
		var other stats.Kind = s.Kinds[64]
		require.Equal(t, "other", other.Name)
		var calls, sum uint64
		for i, k := range s.Kinds[:64] {
			require.EqualValues(t, i+1, k.Calls)
			require.EqualValues(t, i+1, k.Handler.Count)
		}
		for i := 65; i < 100; i++ {
			calls += uint64(i)
		}
		require.Equal(t, calls, other.Calls)
		for _, c := range other.Handler.Buckets() {
			sum += c
		}
		require.Equal(t, calls, sum)
	})
}

// The sums outlive restarts, and a tasklet begins with 0.
func TestRestarts(t *testing.T) {
	run(t, func(root *actor.Tasklet) {
		ref := actor.NewRef[int]()
		slot, _ := actor.NewSlot(root, actor.ReceiverBody(ref, func(t *actor.Tasklet, m int) error {
			if m%10 == 0 {
				return errors.New("ten")
			}
			return nil
		}), func(actor.Exit) {})
		_, _ = slot.Start(root)
		for i := range 25 {
			_ = ref.Send(root, i+1)
		}
		for range 2 {
			root.Sleep(time.Second)
			_, _ = slot.Start(root)
		}
		root.Sleep(time.Second)
		s := stats.Read(root.System())
		require.Len(t, s.Kinds, 1)
		require.EqualValues(t, 25, s.Kinds[0].Calls)
		require.EqualValues(t, 3, s.Started)
		require.EqualValues(t, 2, s.Ended[reason.Error])
		got, _ := stats.Of(ref.Tasklet())
		require.EqualValues(t, 5, got.Calls)
	})
}

// The counters agree with the events.
func TestRead(t *testing.T) {
	seen := map[event.Kind]uint64{}
	lost := map[string]uint64{}
	var want map[event.Kind]uint64
	for _, hook := range []bool{true, false} {
		cfg := actor.Config{}
		if hook {
			cfg.OnEvent = func(e actor.EventRecord) {
				seen[e.Kind]++
				switch e.Kind {
				case event.DeadLetter:
					lost[e.Err.Error()] += uint64(e.Count)
				case event.MessageLost:
					lost["hand"] += uint64(e.Count)
				}
			}
		}
		runWith(t, cfg, func(root *actor.Tasklet) {
			sys := root.System()
			drops := actor.Receiver(root, func(t *actor.Tasklet, m int) error { t.Sleep(time.Hour); return nil },
				actor.MailboxLen(3), actor.Overflow(mailbox.DropOldest))
			root.Yield()
			for i := range 8 {
				_ = drops.Send(root, i)
			}
			root.Sleep(time.Second)
			drops.Tasklet().Kill()
			_ = drops.Join(root)
			fails := actor.Receiver(root, func(t *actor.Tasklet, m int) error { panic(m) }, actor.OnFailure(actor.End))
			_ = fails.Send(root, 1)
			_ = fails.Join(root)
			slow := actor.Receiver(root, func(t *actor.Tasklet, m actor.Reply[int]) error { t.Sleep(time.Hour); return nil })
			ctx, cancel := actor.WithTimeout(root, time.Second)
			_, err := actor.Call(ctx, slow, func(r actor.Reply[int]) actor.Reply[int] { return r })
			cancel()
			require.ErrorIs(t, err, actor.ErrTimeout)
			full := actor.Receiver(root, func(t *actor.Tasklet, m int) error { t.Sleep(time.Hour); return nil },
				actor.MailboxLen(1), actor.Overflow(mailbox.Fail))
			_ = full.Send(root, 1)
			root.Sleep(time.Second)
			_ = full.Send(root, 2)
			actor.SendAfter(root, time.Second, full, 3)
			root.Sleep(2 * time.Second)
			_ = actor.Go(root, func(*actor.Tasklet) error { return nil }).Join(root)
			_ = actor.Go(root, func(*actor.Tasklet) error { return actor.ErrShutdown }).Join(root)
			_ = actor.Go(root, func(*actor.Tasklet) error { return errors.New("x") }).Join(root)
			actor.Go(root, func(t *actor.Tasklet) error { return nil }, actor.Daemon())
			root.Sleep(time.Second)

			s := stats.Read(sys)
			require.EqualValues(t, 8, s.Started)
			require.Equal(t, map[reason.Kind]uint64{
				reason.Normal: 2, reason.Shutdown: 1, reason.Killed: 1, reason.Error: 1, reason.Panic: 1,
			}, s.Ended)
			require.Equal(t, stats.Lost{Dropped: 5, Closed: 2, Full: 1, InHand: 2}, s.Lost)
			require.Zero(t, s.Lost.Between, "there is no other node")
			require.EqualValues(t, 1, s.Events[event.CallTimeout])
			require.EqualValues(t, 5, s.Events[event.Overflow])
			require.Equal(t, []stats.Scheduler{{Tasklets: 2}}, s.Schedulers)
			require.NotContains(t, s.Events, event.Spawn)
			require.NotContains(t, s.Events, event.Exit)
			if hook {
				delete(seen, event.Spawn)
				delete(seen, event.Exit)
				want = maps.Clone(seen) // more follow at the end
				require.Equal(t, want, s.Events)
				require.Equal(t, map[string]uint64{
					mailbox.ErrDropped.Error(): s.Lost.Dropped, mailbox.ErrClosed.Error(): s.Lost.Closed,
					mailbox.ErrFull.Error(): s.Lost.Full, "hand": s.Lost.InHand,
				}, lost)
			} else {
				require.Equal(t, want, s.Events)
			}
		})
	}
}

// The numbers can be read at any time, while several schedulers are at work on a real clock.
func TestReadWhileBusy(t *testing.T) {
	sys, err := actor.Start(actor.Config{Measure: true, Schedulers: 2, Logger: zap.NewNop()})
	require.NoError(t, err)
	const n = 20_000
	var wg sync.WaitGroup
	for i := range 4 {
		r := actor.Receiver(sys, func(t *actor.Tasklet, m int) error { return nil }, actor.OnScheduler(i%2))
		wg.Go(func() {
			for m := range n {
				_ = r.Send(context.Background(), m)
			}
			r.Close()
			_ = r.Join(context.Background())
			got, ok := stats.Of(r.Tasklet())
			if !ok || got.Calls != n {
				t.Errorf("%d calls", got.Calls)
			}
		})
	}
	stop := make(chan struct{})
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		var last stats.System
		for {
			s := stats.Read(sys)
			if s.Started < last.Started || len(s.Kinds) > 0 && len(last.Kinds) > 0 && s.Kinds[0].Calls < last.Kinds[0].Calls {
				t.Error("a counter went back")
			}
			for _, c := range sys.Root().Children() {
				if got, ok := stats.Of(c); !ok || got.Handler.Max < 0 {
					t.Error("not measured")
				}
			}
			last = s
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-looked
	s := stats.Read(sys)
	require.EqualValues(t, 4*n, s.Kinds[0].Calls)
	require.InDelta(t, 4*n, s.Kinds[0].Handler.Count, 4*64)
	require.Positive(t, s.Kinds[0].Handler.Sum)
	for _, h := range s.Schedulers {
		require.Positive(t, h.Busy)
		require.LessOrEqual(t, h.Busy, s.Up)
		require.Zero(t, h.Ready)
	}
	require.NoError(t, sys.Stop(context.Background()))
}

// A scheduler without work is not busy, and one that a tasklet holds is. In a bubble work takes no
// time.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := actor.Start(actor.Config{Measure: true, Logger: zap.NewNop(), StallAfter: -1, Schedulers: 2})
		require.NoError(t, err)
		check := func(up, busy time.Duration) {
			t.Helper()
			synctest.Wait()
			s := stats.Read(sys)
			require.Equal(t, up, s.Up)
			require.InDelta(t, busy.Seconds(), s.Schedulers[1].Busy.Seconds(), 0.1)
			require.InDelta(t, 0, s.Schedulers[0].Busy.Seconds(), 0.1)
		}
		time.Sleep(time.Hour)
		check(time.Hour, 0)
		actor.Go(sys, func(*actor.Tasklet) error { time.Sleep(20 * time.Minute); return nil }, actor.OnScheduler(1))
		time.Sleep(10 * time.Minute)
		check(70*time.Minute, 10*time.Minute)
		time.Sleep(50 * time.Minute)
		check(2*time.Hour, 20*time.Minute)
		actor.Go(sys, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.OnScheduler(1))
		time.Sleep(time.Hour)
		check(3*time.Hour, 20*time.Minute)
		require.NoError(t, sys.Stop(context.Background()))
		time.Sleep(time.Hour)
		check(4*time.Hour, 20*time.Minute)
	})
}

// Measuring changes nothing of a run that its seed repeats.
func TestMeasureChangesNothing(t *testing.T) {
	record := func(measure bool) (events []string) {
		cfg := actor.Config{Seed: 5, Measure: measure, OnEvent: func(e actor.EventRecord) {
			events = append(events, fmt.Sprint(e.Seq, e.Time.UnixNano(), e.Kind, e.Path, e.Err, e.Message, e.Count))
		}}
		runWith(t, cfg, func(root *actor.Tasklet) {
			var refs []actor.Ref[int]
			for i := range 5 {
				refs = append(refs, actor.Receiver(root, func(t *actor.Tasklet, m int) error {
					if m%7 == 3 {
						return fmt.Errorf("no %d", m)
					}
					if m < 40 {
						return refs[t.System().Rand().IntN(5)].Send(t, m+1)
					}
					return nil
				}, actor.Name(fmt.Sprint(i))))
			}
			for _, r := range refs {
				_ = r.Send(root, 0)
			}
			root.Sleep(time.Second)
		})
		return events
	}
	require.Equal(t, record(false), record(true))
}

func ExampleRead() {
	clock := scheduler.NewVirtualClock(time.Time{})
	cfg := actor.Config{Clock: clock, Measure: true}
	_ = actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		orders := actor.Receiver(t, func(t *actor.Tasklet, ms int) error {
			t.Sleep(time.Duration(ms) * time.Millisecond)
			return nil
		})
		for _, ms := range []int{10, 10, 10, 400} {
			_ = orders.Send(t, ms)
		}
		t.Sleep(time.Second)

		s := stats.Read(t.System())
		fmt.Println("started:", s.Started, "panics:", s.Ended[reason.Panic], "timeouts:", s.Events[event.CallTimeout])
		for _, k := range s.Kinds {
			fmt.Println(k.Name, k.Calls, "p50 <=", k.Handler.Quantile(0.5).Round(time.Millisecond), "max", k.Handler.Max.Round(time.Millisecond))
		}
		return nil
	})
	// Output:
	// started: 1 panics: 0 timeouts: 0
	// receiver 4 p50 <= 13ms max 400ms
}

func ExampleOf() {
	clock := scheduler.NewVirtualClock(time.Time{})
	_ = actor.Run(context.Background(), actor.Config{Clock: clock, Measure: true}, func(t *actor.Tasklet) error {
		tick := actor.Interval(t, time.Second, func(t *actor.Tasklet) error {
			t.Sleep(100 * time.Millisecond)
			return nil
		})
		t.Sleep(time.Minute)
		timing, measured := stats.Of(tick)
		fmt.Println(measured, timing.Calls, timing.Handler.Sum.Round(time.Second))
		return nil
	})
	// Output: true 54 5s
}
