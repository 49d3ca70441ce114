package flow_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/flow"
	"github.com/gotasklet/tasklet/scheduler"
)

var errDown = errors.New("service down")

func simulate(main func(t *actor.Tasklet) error) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), StallAfter: -1}
	if err := actor.Run(context.Background(), cfg, main); err != nil {
		fmt.Println(err)
	}
}

func TestTry(t *testing.T) {
	for _, c := range []struct {
		name   string
		retry  flow.Retry
		fails  int // the first calls
		calls  int
		pauses []time.Duration
		err    string
	}{
		{"at once", flow.Retry{}, 0, 1, nil, ""},
		{"third", flow.Retry{}, 2, 3, []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}, ""},
		{"never", flow.Retry{}, 9, 3, []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}, "flow: gave up after attempt 3: service down"},
		{"once", flow.Retry{Attempts: 1}, 9, 1, nil, "service down"},
		{"max", flow.Retry{Attempts: 5, Min: time.Second, Factor: 10, Max: time.Minute}, 9, 5,
			[]time.Duration{time.Second, 10 * time.Second, time.Minute, time.Minute}, "flow: gave up after attempt 5: service down"},
		{"steady", flow.Retry{Attempts: 4, Min: time.Minute, Factor: 1}, 9, 4,
			[]time.Duration{time.Minute, time.Minute, time.Minute}, "flow: gave up after attempt 4: service down"},
		{"not worth it", flow.Retry{If: func(err error) bool { return err != errDown }}, 9, 1, nil, "service down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			actortest.Run(t, func(t *actor.Tasklet) {
				tb := actortest.TB(t)
				var at []time.Time
				v, err := flow.Try(t, c.retry, func(ctx context.Context) (int, error) {
					at = append(at, t.System().Now())
					if len(at) <= c.fails {
						return 0, errDown
					}
					return len(at), nil
				})
				require.Len(tb, at, c.calls)
				for i, d := range c.pauses {
					require.Equal(tb, d, at[i+1].Sub(at[i]))
				}
				if c.err == "" {
					require.NoError(tb, err)
					require.Equal(tb, c.calls, v)
				} else {
					require.EqualError(tb, err, c.err)
					require.ErrorIs(tb, err, errDown)
				}
			})
		})
	}
}

// The end of the context ends the pause, and both errors can be found.
func TestTryWithALimit(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ctx, cancel := actor.WithTimeout(t, time.Second)
		defer cancel()
		begin := t.System().Now()
		_, err := flow.Try(ctx, flow.Retry{Min: time.Hour}, func(context.Context) (int, error) { return 0, errDown })
		require.Equal(tb, time.Second, t.System().Now().Sub(begin))
		var re *flow.RetryError
		require.ErrorAs(tb, err, &re)
		require.Equal(tb, 1, re.Attempts)
		require.ErrorIs(tb, err, errDown)
		require.ErrorIs(tb, err, actor.ErrTimeout)
		require.EqualError(tb, err, "flow: gave up after attempt 1: service down; the pause was ended by: "+actor.ErrTimeout.Error())
	})
}

// With a seed the pauses repeat, and stay within the jitter.
func TestTryJitter(t *testing.T) {
	pauses := func(seed uint64) (all []time.Duration) {
		cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Seed: seed}
		_ = actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
			last := t.System().Now()
			_, _ = flow.Try(t, flow.Retry{Attempts: 20, Min: time.Second, Factor: 1, Jitter: 0.5}, func(context.Context) (int, error) {
				all = append(all, t.System().Now().Sub(last))
				last = t.System().Now()
				return 0, errDown
			})
			return nil
		})
		return all[1:]
	}
	first := pauses(7)
	require.Equal(t, first, pauses(7))
	require.NotEqual(t, first, pauses(8))
	for _, d := range first {
		require.True(t, d >= time.Second/2 && d <= time.Second+time.Millisecond, "%v", d)
	}
}

// Other packages get the defaults and the pauses from a Retry.
func TestRetryChecked(t *testing.T) {
	r, err := flow.Retry{Min: time.Second, Factor: 10}.Checked()
	require.NoError(t, err)
	require.Equal(t, flow.Retry{Attempts: 3, Min: time.Second, Max: 30 * time.Second, Factor: 10}, r)
	_, err = flow.Retry{Jitter: 2}.Checked()
	require.EqualError(t, err, "flow: Retry.Jitter is 2: must be from 0 to 1")
	actortest.Run(t, func(t *actor.Tasklet) {
		for n, want := range []time.Duration{time.Second, 10 * time.Second, 30 * time.Second, 30 * time.Second} {
			require.Equal(actortest.TB(t), want, r.Pause(t.System(), n+1))
		}
	})
}

func TestRetryMisuse(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		for want, r := range map[string]flow.Retry{
			"flow: Retry.Attempts is -1: negative":                      {Attempts: -1},
			"flow: Retry.Min is -1ns: negative":                         {Min: -1},
			"flow: Retry.Max is 1s: less than Min, 1m0s":                {Min: time.Minute, Max: time.Second},
			"flow: Retry.Factor is 0.5: must be at least 1 and finite":  {Factor: 0.5},
			"flow: Retry.Factor is NaN: must be at least 1 and finite":  {Factor: math.NaN()},
			"flow: Retry.Factor is +Inf: must be at least 1 and finite": {Factor: math.Inf(1)},
			"flow: Retry.Jitter is 2: must be from 0 to 1":              {Jitter: 2},
		} {
			_, err := flow.Try(t, r, func(context.Context) (int, error) { panic("called") })
			require.EqualError(actortest.TB(t), err, want)
		}
	})
	require.Panics(t, func() {
		_, _ = flow.Try(context.Background(), flow.Retry{}, func(context.Context) (int, error) { return 0, nil })
	})
}

func call(b *flow.Breaker, ctx context.Context, err error) error {
	return b.Do(ctx, func(context.Context) error { return err })
}

func TestBreakerLife(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		changes := actortest.NewProbe[flow.BreakerChange](t)
		b, err := flow.NewBreaker(t.System(), flow.BreakerConfig{Calls: 4, Probes: 2, Changed: changes.Ref()})
		require.NoError(tb, err)
		expect := func(from, to flow.BreakerState) {
			changes.Expect(flow.BreakerChange{From: from, To: to, At: t.System().Now()})
		}
		for _, result := range []error{nil, errDown, nil} {
			require.Equal(tb, result, call(b, t, result))
		}
		require.Equal(tb, flow.Closed, b.State())
		require.Equal(tb, errDown, call(b, t, errDown)) // 2 of 4
		require.Equal(tb, flow.Open, b.State())
		expect(flow.Closed, flow.Open)

		var open *flow.OpenError
		require.ErrorAs(tb, call(b, t, nil), &open)
		require.Equal(tb, t.System().Now().Add(5*time.Second), open.Until)
		t.Sleep(5 * time.Second)
		require.Equal(tb, flow.Probing, b.State())
		require.NoError(tb, b.Do(t, func(context.Context) error {
			require.ErrorAs(tb, call(b, t, nil), &open, "one probe at a time")
			return nil
		}))
		expect(flow.Open, flow.Probing)
		require.Equal(tb, errDown, call(b, t, errDown)) // the second probe fails
		expect(flow.Probing, flow.Open)
		t.Sleep(5 * time.Second)
		require.NoError(tb, call(b, t, nil))
		expect(flow.Open, flow.Probing)
		require.NoError(tb, call(b, t, nil))
		expect(flow.Probing, flow.Closed)
		require.Equal(tb, errDown, call(b, t, errDown), "what was counted before is forgotten")
		require.Equal(tb, flow.Closed, b.State())
		changes.ExpectNone(time.Hour)
	})
}

// A probe that never returns an error value gives its lease back, however it ends; and one that
// does not come back in time counts as failed.
func TestBreakerProbeThatDoesNotReturn(t *testing.T) {
	for name, c := range map[string]struct {
		probe func(t *actor.Tasklet)
		kill  bool
		after flow.BreakerState
	}{
		"panic":  {func(*actor.Tasklet) { panic("probe") }, false, flow.Open},
		"goexit": {func(*actor.Tasklet) { runtime.Goexit() }, false, flow.Open},
		"kill":   {func(t *actor.Tasklet) { t.Sleep(time.Hour) }, true, flow.Probing},
		"lease":  {func(t *actor.Tasklet) { t.Sleep(time.Hour) }, false, flow.Open},
	} {
		t.Run(name, func(tb *testing.T) {
			cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
			require.NoError(tb, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
				b, err := flow.NewBreaker(t.System(), flow.BreakerConfig{Calls: 1, Open: time.Second, Lease: time.Minute})
				require.NoError(tb, err)
				require.Equal(tb, errDown, call(b, t, errDown))
				t.Sleep(time.Second)
				probing := actor.Go(t, func(t *actor.Tasklet) error {
					return b.Do(t, func(context.Context) error { c.probe(t); return nil })
				})
				t.Yield()
				if c.kill {
					probing.Kill()
					_ = probing.Join(t)
				}
				if name == "lease" {
					t.Sleep(time.Minute)
					var open *flow.OpenError
					require.ErrorAs(tb, call(b, t, nil), &open)
				}
				require.Equal(tb, c.after, b.State())
				t.Sleep(time.Second)
				require.NoError(tb, call(b, t, nil))
				require.Equal(tb, flow.Closed, b.State())
				t.Sleep(2 * time.Hour) // the late probe changes nothing
				require.Equal(tb, flow.Closed, b.State())
				return nil
			}))
		})
	}
}

// The result of a call that began before the breaker opened is not counted afterwards.
func TestBreakerLateResult(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		b, err := flow.NewBreaker(t.System(), flow.BreakerConfig{Calls: 2, Open: time.Second})
		require.NoError(tb, err)
		slow := actor.Go(t, func(t *actor.Tasklet) error {
			_ = b.Do(t, func(context.Context) error { t.Sleep(time.Minute); return errDown })
			return nil
		})
		t.Yield()
		_, _ = call(b, t, errDown), call(b, t, errDown)
		require.Equal(tb, flow.Open, b.State())
		t.Sleep(time.Second)
		require.NoError(tb, call(b, t, nil))
		require.NoError(tb, slow.Join(t))
		require.NoError(tb, call(b, t, nil))
		require.Equal(tb, flow.Closed, b.State(), "two calls of this era, none failed")
	})
}

// The breaker opens exactly when the obvious count says so, of results in the same tenths.
func TestBreakerAgainstAList(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		actortest.Run(t, func(t *actor.Tasklet) {
			tb := actortest.TB(t)
			cfg := flow.BreakerConfig{Window: time.Second, Calls: 1 + rnd.IntN(8), Share: 0.1 + 0.9*rnd.Float64(), Open: time.Millisecond}
			b, err := flow.NewBreaker(t.System(), cfg)
			require.NoError(tb, err)
			begin := t.System().Now()
			type one struct {
				part   int
				failed bool
			}
			var all []one
			for range 200 {
				t.Sleep(time.Duration(rnd.IntN(150)) * time.Millisecond)
				fails := rnd.Float64() < 0.4
				var result error
				if fails {
					result = errDown
				}
				require.Equal(tb, result, call(b, t, result))
				part := int(t.System().Now().Sub(begin) / (100 * time.Millisecond))
				all = append(all, one{part, fails})
				n, failed := 0, 0
				for _, o := range all {
					if o.part > part-10 {
						n++
						if o.failed {
							failed++
						}
					}
				}
				opens := n >= cfg.Calls && float64(failed) >= cfg.Share*float64(n)
				require.Equal(tb, opens, b.State() == flow.Open, "%d of %d with %+v", failed, n, cfg)
				if opens { // and is closed by a probe
					t.Sleep(time.Millisecond)
					require.NoError(tb, call(b, t, nil))
					require.Equal(tb, flow.Closed, b.State())
					all, begin = nil, t.System().Now()
				}
			}
		})
	}
}

// Failed says what a failure is: here an answer that the caller is to blame for is none.
func TestBreakerFailed(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		errBadRequest := errors.New("bad request")
		b, err := flow.NewBreaker(t.System(), flow.BreakerConfig{Calls: 2, Failed: func(err error) bool { return err != errBadRequest }})
		require.NoError(tb, err)
		for range 5 {
			require.Equal(tb, errBadRequest, call(b, t, errBadRequest))
		}
		require.Equal(tb, flow.Closed, b.State())
		for range 5 {
			require.Equal(tb, errDown, call(b, t, errDown))
		}
		require.Equal(tb, flow.Open, b.State())
	})
}

// Times as short and as long as there are neither fail nor wait for something else.
func TestOddTimesInFlow(t *testing.T) {
	for _, d := range []time.Duration{10, time.Millisecond, math.MaxInt64 / 2, math.MaxInt64} {
		actortest.Run(t, func(t *actor.Tasklet) {
			tb := actortest.TB(t)
			b, err := flow.NewBreaker(t.System(), flow.BreakerConfig{Calls: 1, Window: d, Open: d, Lease: d})
			require.NoError(tb, err)
			begin := t.System().Now()
			require.Equal(tb, errDown, call(b, t, errDown))
			var open *flow.OpenError
			if d > time.Hour {
				require.ErrorAs(tb, call(b, t, nil), &open)
				require.Equal(tb, begin.Add(d), open.Until)
			} else {
				t.Sleep(d)
				require.NoError(tb, call(b, t, nil))
				require.Equal(tb, flow.Closed, b.State())
			}
			ctx, cancel := actor.WithTimeout(t, time.Hour)
			defer cancel()
			begin = t.System().Now()
			_, err = flow.Try(ctx, flow.Retry{Attempts: 2, Min: d, Max: d}, func(context.Context) (int, error) { return 0, errDown })
			require.ErrorIs(tb, err, errDown)
			require.InDelta(tb, min(d, time.Hour), t.System().Now().Sub(begin), float64(2*time.Millisecond))
		}, actortest.Limit(2*time.Hour))
	}
}

func TestBreakerMisuse(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		for want, cfg := range map[string]flow.BreakerConfig{
			"flow: BreakerConfig.Window is -1ns: too short":                   {Window: -1},
			"flow: BreakerConfig.Calls is -1: negative":                       {Calls: -1},
			"flow: BreakerConfig.Share is 1.5: must be above 0 and at most 1": {Share: 1.5},
			"flow: BreakerConfig.Share is NaN: must be above 0 and at most 1": {Share: math.NaN()},
			"flow: BreakerConfig.Open is -1s: negative":                       {Open: -time.Second},
			"flow: BreakerConfig.Probes is -1: negative":                      {Probes: -1},
			"flow: BreakerConfig.Lease is -1s: negative":                      {Lease: -time.Second},
		} {
			_, err := flow.NewBreaker(t.System(), cfg)
			require.EqualError(actortest.TB(t), err, want)
		}
	})
}

// However calls end and whatever order they run in, the bulkhead never lets too many in, and in the
// end lets as many in as at the beginning.
func TestBulkhead(t *testing.T) {
	actortest.Explore(t, 100, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		b, err := flow.NewBulkhead(2, 3)
		require.NoError(tb, err)
		in, waiting, full := 0, 0, 0
		var all []*actor.Tasklet
		for i := range 12 {
			all = append(all, actor.Go(t, func(t *actor.Tasklet) error {
				ctx, cancel := actor.WithTimeout(t, 10*time.Second)
				defer cancel()
				waiting++
				err := b.Do(ctx, func(context.Context) error {
					waiting--
					in++
					defer func() { in-- }()
					require.LessOrEqual(tb, in, 2)
					t.Sleep(time.Duration(i) * time.Second)
					switch i % 4 {
					case 1:
						panic("call")
					}
					return nil
				})
				var fe *flow.FullError
				if errors.As(err, &fe) {
					require.Equal(tb, 3, fe.Waiting)
					full++
				}
				return nil
			}))
		}
		t.Sleep(500 * time.Millisecond)
		all[3].Kill() // which waits, or is in
		all[4].Kill()
		_, _ = actor.JoinEach(t, all...)
		require.Positive(tb, full)
		require.Zero(tb, in)
		require.NoError(tb, b.Do(t, func(context.Context) error {
			return b.Do(t, func(context.Context) error { return nil }) // both are free again
		}))
	}, actortest.Allow(event.Exit))
}

func TestBulkheadMisuse(t *testing.T) {
	_, err := flow.NewBulkhead(0, 1)
	require.EqualError(t, err, "flow: NewBulkhead with 0 calls: must be positive")
	_, err = flow.NewBulkhead(1, -1)
	require.EqualError(t, err, "flow: NewBulkhead with -1 waiting calls: negative")
}

func ExampleTry() {
	simulate(func(t *actor.Tasklet) error {
		begin, n := t.System().Now(), 0
		answer, err := flow.Try(t, flow.Retry{Attempts: 5, Min: time.Second}, func(context.Context) (string, error) {
			if n++; n < 4 {
				return "", errDown
			}
			return "hello", nil
		})
		fmt.Println(answer, err, "after", t.System().Now().Sub(begin))
		return nil
	})
	// Output: hello <nil> after 7s
}

func ExampleBreaker() {
	simulate(func(t *actor.Tasklet) error {
		breaker, err := flow.NewBreaker(t.System(), flow.BreakerConfig{Calls: 3, Open: time.Minute})
		if err != nil {
			return err
		}
		down := true
		ask := func(context.Context) error {
			if down {
				return errDown
			}
			return nil
		}
		for range 4 {
			fmt.Println(breaker.State(), breaker.Do(t, ask))
		}
		down = false
		t.Sleep(time.Minute)
		fmt.Println(breaker.State(), breaker.Do(t, ask), breaker.State())
		return nil
	})
	// Output:
	// closed service down
	// closed service down
	// closed service down
	// open flow: the breaker is open until 2000-01-01T00:01:00Z
	// probing <nil> closed
}

func ExampleBulkhead() {
	simulate(func(t *actor.Tasklet) error {
		bulkhead, err := flow.NewBulkhead(1, 1)
		if err != nil {
			return err
		}
		for name := range 3 {
			actor.Go(t, func(t *actor.Tasklet) error {
				err := bulkhead.Do(t, func(context.Context) error { t.Sleep(time.Second); return nil })
				fmt.Println(name, err)
				return nil
			})
		}
		_, err = t.JoinChildren(t)
		return err
	})
	// Output:
	// 2 flow: the bulkhead is full: 1 calls wait
	// 0 <nil>
	// 1 <nil>
}

// The program of the package comment.
func Example() {
	simulate(func(t *actor.Tasklet) error {
		breaker, err := flow.NewBreaker(t.System(), flow.BreakerConfig{})
		if err != nil {
			return err
		}
		bulkhead, err := flow.NewBulkhead(4, 16)
		if err != nil {
			return err
		}
		retry := flow.Retry{If: func(err error) bool {
			var open *flow.OpenError
			return !errors.As(err, &open)
		}}
		n := 0
		fetch := func(context.Context) ([]byte, error) {
			if n++; n == 1 {
				return nil, errDown
			}
			return []byte("hello"), nil
		}

		body, err := flow.Try(t, retry, func(ctx context.Context) ([]byte, error) {
			var body []byte
			err := breaker.Do(ctx, func(ctx context.Context) error {
				return bulkhead.Do(ctx, func(ctx context.Context) (err error) {
					body, err = actor.Await(ctx, fetch)
					return err
				})
			})
			return body, err
		})
		fmt.Println(string(body), err)
		return nil
	})
	// Output: hello <nil>
}
