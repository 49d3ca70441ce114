package cluster_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/scheduler"
)

// two runs f with two nodes and a ref from a to a receiver on b, with the log off.
func two(tb testing.TB, f func(t *actor.Tasklet, a, b *cluster.Node, ref actor.Ref[say])) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	require.NoError(tb, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		net := clustertest.New(t, clustertest.Faults{})
		a, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: net})
		require.NoError(tb, err)
		b, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: net})
		require.NoError(tb, err)
		there := actor.Receiver(t, func(t *actor.Tasklet, m say) error {
			if m.N == 1 {
				return m.Ask.Send(t, 1)
			}
			return nil
		})
		_, err = cluster.Claim(t, b, "there", there)
		require.NoError(tb, err)
		ref, err := cluster.WaitFor[say](t, a, "there")
		require.NoError(tb, err)
		f(t, a, b, ref)
		return nil
	}))
}

func TestFindOfAKnownNameAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	two(t, func(t0 *actor.Tasklet, a, b *cluster.Node, ref actor.Ref[say]) {
		for _, n := range []*cluster.Node{a, b} { // elsewhere, and here
			require.Zero(t, testing.AllocsPerRun(200, func() {
				if _, err := cluster.Find[say](t0, n, "there"); err != nil {
					panic(err)
				}
			}))
		}
	})
}

func BenchmarkFind(b *testing.B) {
	two(b, func(t *actor.Tasklet, a, _ *cluster.Node, _ actor.Ref[say]) {
		for b.Loop() {
			_, _ = cluster.Find[say](t, a, "there")
		}
	})
}

// BenchmarkCast is all that two nodes do for a message, on one scheduler and a network that copies.
func BenchmarkCast(b *testing.B) {
	two(b, func(t *actor.Tasklet, _, _ *cluster.Node, ref actor.Ref[say]) {
		for b.Loop() {
			_ = ref.Send(t, say{N: 2})
		}
	})
}

func BenchmarkCall(b *testing.B) {
	two(b, func(t *actor.Tasklet, _, _ *cluster.Node, ref actor.Ref[say]) {
		for b.Loop() {
			if _, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{N: 1, Ask: r} }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkShow is what a node does once a second so that others see its links.
func BenchmarkShow(b *testing.B) {
	for _, outboxes := range []int{1, 10_000} {
		b.Run(fmt.Sprint(outboxes), func(b *testing.B) {
			two(b, func(t *actor.Tasklet, a, n *cluster.Node, ref actor.Ref[say]) {
				for i := range outboxes - 1 {
					name := fmt.Sprint("idle/", i)
					_, err := cluster.Claim(t, n, name, actor.Receiver(t, func(*actor.Tasklet, say) error { return nil }))
					require.NoError(b, err)
					_, err = cluster.WaitFor[say](t, a, name)
					require.NoError(b, err)
				}
				for range 100 {
					require.NoError(b, ref.Send(t, say{N: 2}))
				}
				t.Yield() // the outbox has its turn, and what it sends is not confirmed yet
				for b.Loop() {
					a.ShowLinks()
				}
				b.ReportMetric(float64(a.Links()[0].Unconfirmed), "unconfirmed")
			})
		})
	}
}

// BenchmarkRefToAnotherNode shows the memory of a ref to another node, on both sides together: one
// that was never used, one that has just been used, and one that was used and sleeps.
func BenchmarkRefToAnotherNode(b *testing.B) {
	two(b, func(t *actor.Tasklet, a, n *cluster.Node, _ actor.Ref[say]) {
		const refs = 10_000
		for i := range refs {
			there := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
			_, err := cluster.Claim(t, n, fmt.Sprint("idle/", i), there)
			require.NoError(b, err)
		}
		t.Sleep(time.Second)
		memory := func() float64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc)
		}
		before := memory()
		size := func() float64 { return (memory() - before) / refs }
		var all []actor.Ref[say]
		for i := range refs {
			ref, err := cluster.Find[say](t, a, fmt.Sprint("idle/", i))
			require.NoError(b, err)
			all = append(all, ref)
		}
		t.Sleep(time.Second)
		known := size()
		for _, ref := range all {
			require.NoError(b, ref.Send(t, say{N: 2}))
		}
		t.Sleep(time.Second)
		awake := size()
		t.Sleep(20 * time.Second)
		asleep := size()
		for b.Loop() {
		}
		b.ReportMetric(known, "B/known")
		b.ReportMetric(awake, "B/awake")
		b.ReportMetric(asleep, "B/asleep")
		runtime.KeepAlive(all)
	})
}
