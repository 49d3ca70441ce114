package actor

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// crowds are what many hang onto one thing and take back again, the last first, or all at the same
// moment.
var crowds = []struct {
	name string
	do   func(t *Tasklet, n int)
}{
	{"Watch", func(t *Tasklet, n int) {
		target := Receiver(t, func(*Tasklet, int) error { return nil })
		to := Receiver(t, func(*Tasklet, int) error { return nil })
		cancels := make([]func(), n)
		for i := range cancels {
			cancels[i] = unwatcher(t, target.Tasklet(), to)
		}
		slices.Reverse(cancels)
		takeBack(cancels)
		target.Kill()
		to.Kill()
	}},
	{"OnEnd", func(t *Tasklet, n int) {
		r := Receiver(t, func(*Tasklet, int) error { return nil })
		cancels := make([]func(), n)
		for i := range cancels {
			cancels[i] = r.OnEnd(func() {})
		}
		slices.Reverse(cancels)
		takeBack(cancels)
		r.Kill()
	}},
	{"SendAfter", func(t *Tasklet, n int) {
		r := Receiver(t, func(*Tasklet, int) error { return nil })
		timers := make([]*Timer, n)
		for i := range timers {
			timers[i] = SendAfter(t, time.Hour, r, i)
		}
		slices.Reverse(timers)
		for _, tm := range timers {
			tm.Stop()
		}
		r.Kill()
	}},
	{"Tasklet.Join on another scheduler", func(t *Tasklet, n int) {
		target := Go(t, func(t *Tasklet) error { t.Sleep(time.Hour); return nil }, OnScheduler(1))
		together(t, n, target.Join)
		target.Kill()
	}},
	{"Ref.Join on another scheduler", func(t *Tasklet, n int) {
		target := Receiver(t, func(*Tasklet, int) error { return nil }, OnScheduler(1))
		together(t, n, func(ctx context.Context) error { return WaitDead(target, ctx) })
		target.Kill()
	}},
}

func unwatcher(t, target *Tasklet, to Ref[int]) func() {
	cancel := Watch(t, target, to, func(Exit) int { return 0 })
	return func() { cancel() }
}

func takeBack(cancels []func()) {
	for _, cancel := range cancels {
		cancel()
	}
}

// together lets n tasklets wait, all with the same deadline.
func together(t *Tasklet, n int, wait func(context.Context) error) {
	deadline := t.System().Now().Add(10 * time.Millisecond)
	ts := make([]*Tasklet, n)
	for i := range ts {
		ts[i] = Go(t, func(t *Tasklet) error {
			ctx, cancel := WithDeadline(t, deadline)
			defer cancel()
			_ = wait(ctx)
			return nil
		})
	}
	for _, k := range ts {
		_ = k.Join(t)
	}
}

// The cost of taking one back from a crowd, by the size of the crowd. It must not grow with that.
func BenchmarkTakeBack(b *testing.B) {
	for _, c := range crowds {
		for _, n := range []int{100, 1000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				var spent time.Duration
				crowd(b, func(t *Tasklet) {
					for b.Loop() {
						begin := time.Now()
						c.do(t, n)
						spent += time.Since(begin)
					}
				})
				b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/float64(n), "ns/each")
			})
		}
	}
}

func crowd(tb testing.TB, f func(t *Tasklet)) {
	tb.Helper()
	require.NoError(tb, Run(context.Background(), Config{Logger: zap.NewNop(), Schedulers: 2, StallAfter: -1}, func(t *Tasklet) error {
		f(t)
		return nil
	}))
}
