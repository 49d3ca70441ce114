package actor_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
)

const ms = time.Millisecond

// Rule 15: Every counts from the end of one call to the start of the next; the first comes after d,
// or at once with Immediate.
func TestEvery(t *testing.T) {
	for name, c := range map[string]struct {
		opts []actor.Option
		work time.Duration // of each call
		want []time.Duration
	}{
		"plain":             {nil, 0, []time.Duration{100 * ms, 200 * ms, 300 * ms}},
		"immediate":         {[]actor.Option{actor.Immediate()}, 0, []time.Duration{0, 100 * ms, 200 * ms}},
		"calls take time":   {nil, 30 * ms, []time.Duration{100 * ms, 230 * ms, 360 * ms}},
		"longer than d":     {nil, 250 * ms, []time.Duration{100 * ms, 450 * ms, 800 * ms}},
		"immediate, slowly": {[]actor.Option{actor.Immediate()}, 50 * ms, []time.Duration{0, 150 * ms, 300 * ms}},
	} {
		for _, how := range []string{"Interval", "Every"} {
			t.Run(name+" "+how, func(t *testing.T) {
				run(t, func(t0 *actor.Tasklet) error {
					t0.Sleep(time.Second) // the start is not the clock's
					from := elapsed(t0)
					var at []time.Duration
					f := func(t *actor.Tasklet) error {
						at = append(at, elapsed(t)-from)
						if len(at) == len(c.want) {
							return actor.ErrStop
						}
						if c.work > 0 {
							t.Sleep(c.work)
						}
						return nil
					}
					var k *actor.Tasklet
					if how == "Every" {
						k = actor.StartTasklet(t0, actor.IntervalBody(100*ms, f), c.opts...)
					} else {
						k = actor.Interval(t0, 100*ms, f, c.opts...)
					}
					require.NoError(t, k.Join(t0))
					require.Equal(t, c.want, at)
					return nil
				})
			})
		}
	}
	t.Run("a failure is reported, and the next call comes in its time", func(t *testing.T) {
		for name, fail := range map[string]func() error{"error": func() error { return errBoom }, "panic": func() error { panic(errBoom) }} {
			for _, opts := range [][]actor.Option{nil, {actor.Immediate()}} {
				t.Run(name, func(t *testing.T) {
					var j journal
					require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
						calls := 0
						k := actor.Interval(t0, time.Second, func(*actor.Tasklet) error {
							if calls++; calls == 3 {
								return actor.ErrStop
							}
							return fail()
						}, append(opts, actor.Name("it"))...)
						require.NoError(t, k.Join(t0))
						require.Equal(t, time.Duration(3-len(opts))*time.Second, elapsed(t0))
						return nil
					}))
					failures := j.of(event.Failure, "/it")
					require.Len(t, failures, 2)
					require.ErrorIs(t, failures[0].Err, errBoom)
				})
			}
		}
	})
}

// Rule 15: the k-th call of RateBody aims at start + k/hz; a late one is made at once, and missed
// ones are skipped and counted.
func TestAtRate(t *testing.T) {
	for name, c := range map[string]struct {
		hz     float64
		opts   []actor.Option
		work   map[int]time.Duration // of the n-th call
		want   []time.Duration
		missed int64
	}{
		"plain":               {hz: 10, want: []time.Duration{100 * ms, 200 * ms, 300 * ms}},
		"immediate":           {hz: 10, opts: []actor.Option{actor.Immediate()}, want: []time.Duration{0, 100 * ms, 200 * ms}},
		"errors don't add up": {hz: 3, want: []time.Duration{334 * ms, 667 * ms, 1000 * ms, 1334 * ms, 1667 * ms, 2000 * ms}},
		"slow":                {hz: 0.1, want: []time.Duration{10 * time.Second, 20 * time.Second}},
		"calls take time":     {hz: 10, work: map[int]time.Duration{0: 90 * ms}, want: []time.Duration{100 * ms, 200 * ms, 300 * ms}},
		"late":                {hz: 10, work: map[int]time.Duration{0: 150 * ms}, want: []time.Duration{100 * ms, 250 * ms, 300 * ms}},
		"missed": {hz: 10, work: map[int]time.Duration{0: 350 * ms}, want: []time.Duration{100 * ms, 450 * ms, 500 * ms, 600 * ms},
			missed: 2},
		"exactly one period": {hz: 10, work: map[int]time.Duration{0: 100 * ms}, want: []time.Duration{100 * ms, 200 * ms, 300 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
				t0.Sleep(time.Second)
				from := elapsed(t0)
				var at []time.Duration
				k := actor.Rate(t0, c.hz, func(t *actor.Tasklet, now time.Time) error {
					require.Equal(t0ErrorT{}, t.System().Now(), now)
					at = append(at, elapsed(t)-from)
					if len(at) == len(c.want) {
						return actor.ErrStop
					}
					if d := c.work[len(at)-1]; d > 0 {
						t.Sleep(d)
					}
					return nil
				}, append(c.opts, actor.Name("it"))...)
				require.NoError(t, k.Join(t0))
				require.Equal(t, c.want, at)
				return nil
			}))
			var missed int64
			for _, e := range j.of(event.TicksMissed, "/it") {
				missed += e.Fields[0].Integer
			}
			require.Equal(t, c.missed, missed)
		})
	}
	t.Run("a failing call counts", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			var at []time.Duration
			k := actor.Rate(t0, 10, func(t *actor.Tasklet, _ time.Time) error {
				if at = append(at, elapsed(t)); len(at) == 3 {
					return actor.ErrStop
				}
				panic("x")
			})
			require.NoError(t, k.Join(t0))
			require.Equal(t, []time.Duration{100 * ms, 200 * ms, 300 * ms}, at)
			return nil
		})
	})
	t.Run("on the real clock", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			require.NoError(t, actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
				n := 0
				return actor.Rate(t0, 1000, func(*actor.Tasklet, time.Time) error {
					if n++; n == 5000 {
						return actor.ErrStop
					}
					return nil
				}).Join(t0)
			}))
			require.Equal(t, 5*time.Second, time.Since(begin))
		})
	})
}

// Later: once, after d; 0 and less is at once, behind those that are ready.
func TestLater(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		for _, d := range []time.Duration{-time.Second, 0, 1, time.Millisecond, time.Hour} {
			from := elapsed(t0)
			calls := 0
			k := actor.Later(t0, d, func(t *actor.Tasklet) error {
				calls++
				t.Sleep(time.Minute) // it may wait
				return errBoom
			})
			require.ErrorIs(t, k.Join(t0), errBoom)
			require.Equal(t, 1, calls)
			want := max(d, 0)
			if d == 1 {
				want = ms
			}
			require.Equal(t, want+time.Minute, elapsed(t0)-from)
		}
		return nil
	})
}

// Rule 15: Loop yields after each call. After a failure it waits a second.
func TestLoop(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var order []string
		for _, name := range []string{"a", "b"} {
			n := 0
			actor.Loop(t0, func(*actor.Tasklet) error {
				order = append(order, name)
				if n++; n == 3 {
					return actor.ErrStop
				}
				return nil
			})
		}
		for range 4 {
			t0.Yield()
		}
		require.Equal(t, []string{"a", "b", "a", "b", "a", "b"}, order)
		var at []time.Duration
		k := actor.Loop(t0, func(t *actor.Tasklet) error {
			at = append(at, elapsed(t))
			switch len(at) {
			case 1:
				return errBoom
			case 2:
				panic("x")
			case 4:
				return actor.ErrShutdown
			}
			return nil
		})
		require.NoError(t, k.Join(t0))
		require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 2 * time.Second}, at)
		k = actor.Loop(t0, func(*actor.Tasklet) error { return errBoom }, actor.OnFailure(actor.End))
		require.ErrorIs(t, k.Join(t0), errBoom)
		return nil
	})
}

// Rule 8: batches.
func TestHandleBatch(t *testing.T) {
	for name, c := range map[string]struct {
		max   int
		wait  time.Duration
		box   int
		sends []time.Duration // when, from the start; then Close after the last
		want  string          // sizes and times
	}{
		"what is there":               {max: 10, sends: []time.Duration{0, 0, 0}, want: "[3@0s]"},
		"at most max":                 {max: 2, sends: []time.Duration{0, 0, 0, 0, 0}, want: "[2@0s 2@0s 1@0s]"},
		"waits for more":              {max: 3, wait: time.Second, sends: []time.Duration{0, 100 * ms, 200 * ms, 300 * ms}, want: "[3@200ms 1@300ms]"},
		"at most wait from the first": {max: 3, wait: time.Second, sends: []time.Duration{100 * ms, 600 * ms, 1200 * ms, 9 * time.Second}, want: "[2@1.1s 1@2.2s 1@9s]"},
		"no limit":                    {max: 3, wait: -1, sends: []time.Duration{0, time.Hour, 2 * time.Hour}, want: "[3@2h0m0s]"},
		"max is cut to the capacity":  {max: 100, wait: time.Hour, box: 2, sends: []time.Duration{0, ms, 2 * ms}, want: "[2@1ms 1@2ms]"},
		"Close hands over":            {max: 100, wait: time.Hour, sends: []time.Duration{0, time.Second}, want: "[2@1s]"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				var opts []actor.Option
				if c.box > 0 {
					opts = append(opts, actor.MailboxLen(c.box))
				}
				var got []string
				next := 0
				r := actor.BatchReceiver(t0, c.max, c.wait, func(t *actor.Tasklet, ns []int) error {
					for _, n := range ns {
						require.Equal(t0ErrorT{}, next, n)
						next++
					}
					got = append(got, fmt.Sprint(len(ns), "@", elapsed(t)))
					return nil
				}, opts...)
				for i, at := range c.sends {
					if d := at - elapsed(t0); d > 0 {
						t0.Sleep(d)
					}
					require.NoError(t, r.Send(t0, i))
				}
				if c.max == 100 && c.box > 0 {
					t0.Yield()
				}
				r.Close()
				require.NoError(t, r.Join(t0))
				require.Equal(t, c.want, fmt.Sprint(got))
				return nil
			})
		})
	}
	t.Run("a failing batch is reported with its count, and the next is handled", func(t *testing.T) {
		var j journal
		require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
			calls := 0
			r := actor.BatchReceiver(t0, 3, 0, func(_ *actor.Tasklet, ns []int) error {
				switch calls++; calls {
				case 1:
					return errBoom
				case 2:
					panic("x")
				}
				return nil
			}, actor.Name("b"))
			for i := range 8 {
				require.NoError(t, r.Send(t0, i))
			}
			r.Close()
			require.NoError(t, r.Join(t0))
			require.Equal(t, 3, calls)
			return nil
		}))
		failures := j.of(event.Failure, "/b")
		require.Len(t, failures, 2)
		for _, f := range failures {
			require.Equal(t, int64(3), count(f))
			require.Equal(t, "int", f.Message.String())
		}
	})
}

// A receiver handles in order, each message once, with the same state, and gives others their turn.
func TestHandle(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got []int
		r := actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
			got = append(got, n)
			switch n % 4 {
			case 1:
				return errBoom
			case 2:
				panic(errBoom)
			case 3:
				t.Sleep(ms)
			}
			return nil
		}, actor.MailboxLen(7))
		for i := range 1000 {
			require.NoError(t, r.Send(t0, i))
		}
		r.Close()
		require.NoError(t, r.Join(t0))
		require.Len(t, got, 1000)
		for i, n := range got {
			require.Equal(t, i, n)
		}
		return nil
	})
	t.Run("a flood does not shut others out", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			handled, turns := 0, 0
			r := actor.Receiver(t0, func(*actor.Tasklet, int) error { handled++; return nil }, actor.MailboxLen(10_000))
			for range 10_000 {
				require.NoError(t, r.Send(t0, 1))
			}
			for handled < 10_000 {
				t0.Yield()
				turns++
			}
			require.Greater(t, turns, 100)
			return nil
		})
	})
	t.Run("ErrStop and ErrShutdown end it, Goexit too", func(t *testing.T) {
		run(t, func(t0 *actor.Tasklet) error {
			for _, c := range []struct {
				f    func() error
				kind reason.Kind
			}{
				{func() error { return actor.ErrStop }, reason.Normal},
				{func() error { return fmt.Errorf("x: %w", actor.ErrStop) }, reason.Normal},
				{func() error { return actor.ErrShutdown }, reason.Shutdown},
				{func() error { runtime.Goexit(); return nil }, reason.Error},
			} {
				var kind reason.Kind = 99
				n := 0
				ref := actor.NewRef[int]()
				_, start := starter(t, t0, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { n++; return c.f() }),
					func(e actor.Exit) { kind = e.Kind }, actor.OnFailure(actor.Resume))
				k := start()
				require.NoError(t, ref.Send(t0, 1))
				require.NoError(t, ref.Send(t0, 2))
				_ = k.Join(t0)
				require.Equal(t, c.kind, kind)
				require.Equal(t, 1, n)
				require.Equal(t, 1, ref.Len())
			}
			return nil
		})
	})
}

// Read gives a body the mailbox, whose reader it is.
func TestRead(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		sum := 0
		var escaped *mailbox.Mailbox[int]
		r := actor.Spawn(t0, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
			escaped = in
			for n := range in.Receive() {
				if sum += n; n == 0 {
					return errBoom
				}
			}
			return nil
		}, actor.MailboxLen(2))
		for i := range 10 {
			require.NoError(t, r.Send(t0, i+1))
		}
		require.NotNil(t, recovering(func() { _, _ = escaped.Next(t0) }), "a mailbox has one reader")
		require.NoError(t, r.Send(t0, 0))
		require.ErrorIs(t, r.Join(t0), errBoom)
		require.Equal(t, 55, sum)
		return nil
	})
}

// OnStart functions run in order inside the tasklet, before its body, for every body.
func TestOnStart(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var order []string
		add := func(s string) func(*actor.Tasklet) error {
			return func(t *actor.Tasklet) error { t.Sleep(ms); order = append(order, s); return nil }
		}
		opts := []actor.Option{actor.OnStart(add("1")), actor.OnStart(add("2"))}
		ref := actor.NewRef[int]()
		require.NoError(t, ref.Send(t0, 1))
		for _, b := range []actor.Body{
			actor.GoBody(func(*actor.Tasklet) error { order = append(order, "body"); return actor.ErrStop }),
			actor.IntervalBody(time.Second, func(*actor.Tasklet) error { order = append(order, "body"); return actor.ErrStop }),
			actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { order = append(order, "body"); return actor.ErrStop }),
		} {
			order = nil
			require.NoError(t, actor.StartTasklet(t0, b, opts...).Join(t0))
			require.Equal(t, []string{"1", "2", "body"}, order)
		}
		order = nil
		k := actor.Go(t0, add("body"), actor.OnStart(func(*actor.Tasklet) error { return errBoom }))
		require.ErrorIs(t, k.Join(t0), errBoom)
		require.Empty(t, order)
		k = actor.Interval(t0, time.Second, add("body"), actor.OnStart(func(*actor.Tasklet) error { panic(errBoom) }))
		require.ErrorIs(t, k.Join(t0), errBoom, "Resume is not for the start")
		return nil
	})
}

// A body that waits half-way keeps its timer and its messages apart: a wake-up of one is not taken
// for the other's.
func TestBodiesThatWait(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var log []string
		note := func(t *actor.Tasklet, s string) { log = append(log, fmt.Sprint(s, "@", elapsed(t))) }
		r := actor.BatchReceiver(t0, 2, 100*ms, func(t *actor.Tasklet, ns []int) error {
			note(t, fmt.Sprint(ns))
			t.Sleep(150 * ms)
			note(t, "done")
			return nil
		})
		for i := range 5 {
			require.NoError(t, r.Send(t0, i))
			t0.Sleep(30 * ms)
		}
		t0.Sleep(time.Second)
		require.Equal(t, []string{"[0 1]@30ms", "done@180ms", "[2 3]@180ms", "done@330ms", "[4]@430ms", "done@580ms"}, log)
		return nil
	})
}
