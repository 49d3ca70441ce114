package tree_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// What a tree costs whose rows do not fit into the log: a look at each tasklet, and words for 200.
func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint("children=", n), func(b *testing.B) {
			sys, err := actor.Start(actor.Config{Logger: zap.NewNop(), StallAfter: -1})
			if err != nil {
				b.Fatal(err)
			}
			children := make([]supervisor.Child, n)
			for i := range children {
				children[i] = supervisor.Child{
					ID: fmt.Sprint("child-", i), Body: actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil }),
				}
			}
			s, err := supervisor.Start(sys, supervisor.Spec{Children: children})
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for b.Loop() {
				if err := tree.Write(io.Discard, s.Tasklet()); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if err := sys.Stop(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// A look at a million tasklets in one family, and how long a start of a tasklet waits meanwhile at
// most.
func BenchmarkSnapshotOfAMillion(b *testing.B) {
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop(), StallAfter: -1})
	if err != nil {
		b.Fatal(err)
	}
	built, stop := make(chan struct{}), make(chan struct{})
	actor.Go(sys, func(t *actor.Tasklet) error {
		for range 1_000_000 {
			actor.Receiver(t, func(*actor.Tasklet, int) error { return nil })
		}
		close(built)
		t.Sleep(time.Hour)
		return nil
	})
	<-built
	var longest time.Duration
	starter := actor.Go(sys, func(t *actor.Tasklet) error {
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			begin := time.Now()
			actor.Go(t, func(*actor.Tasklet) error { return nil })
			longest = max(longest, time.Since(begin))
			t.Sleep(time.Millisecond)
		}
	})
	for b.Loop() {
		if n := len(tree.Snapshot(sys.Root())); n < 1_000_000 {
			b.Fatal(n)
		}
	}
	close(stop)
	_ = starter.Join(context.Background())
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest-start")
	if err := sys.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
}
