package actor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

// benchOn is bench with n schedulers.
func benchOn(b *testing.B, n int, main func(t *actor.Tasklet)) {
	b.Helper()
	b.ReportAllocs()
	err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop(), Schedulers: n}, func(t *actor.Tasklet) error {
		b.ResetTimer()
		main(t)
		b.StopTimer()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBetweenSchedulersPingPong is BenchmarkReceiverPingPong with the two on different
// schedulers.
func BenchmarkBetweenSchedulersPingPong(b *testing.B) {
	benchOn(b, 2, func(t *actor.Tasklet) {
		first := actor.NewRef[ball]()
		pong := actor.Receiver(t, func(t *actor.Tasklet, m ball) error {
			return m.from.Send(t, ball{m.n, first})
		}, actor.OnScheduler(1))
		actor.StartTasklet(t, actor.ReceiverBody(first, func(t *actor.Tasklet, m ball) error {
			if m.n == b.N {
				return actor.ErrStop
			}
			return pong.Send(t, ball{m.n + 1, first})
		}))
		_ = pong.Send(t, ball{0, first})
		_ = first.Join(t)
	})
	perMessage(b, 2*b.N)
}

// BenchmarkBetweenSchedulersStream is BenchmarkOneWay with the receiver on another scheduler.
func BenchmarkBetweenSchedulersStream(b *testing.B) {
	n := 0
	benchOn(b, 2, func(t *actor.Tasklet) {
		r := actor.Receiver(t, func(t *actor.Tasklet, m int) error { n++; return nil }, actor.OnScheduler(1))
		for i := range b.N {
			_ = r.Send(t, i)
		}
		r.Close()
		_ = r.Join(t)
	})
	if n != b.N {
		b.Fatal(n)
	}
	perMessage(b, b.N)
}

// BenchmarkManyToMany is 64 receivers, spread over the schedulers, that send each other messages
// with some work to do: each message goes on to a receiver drawn by chance until its hops are used
// up.
func BenchmarkManyToMany(b *testing.B) {
	for _, work := range []int{0, 1000} {
		for _, schedulers := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("work=%d/schedulers=%d", work, schedulers), func(b *testing.B) {
				const size, tokens = 64, 256
				benchOn(b, schedulers, func(t *actor.Tasklet) {
					refs := make([]actor.Ref[int], size)
					done := actor.NewRef[int]()
					for i := range refs {
						refs[i] = actor.NewRef[int]()
					}
					for i := range refs {
						rng := rand.New(rand.NewPCG(uint64(i), 1))
						sum := uint64(0)
						actor.StartTasklet(t, actor.ReceiverBody(refs[i], func(t *actor.Tasklet, hops int) error {
							for range work {
								sum = sum*31 + uint64(hops)
							}
							if hops == 0 {
								return done.Send(t, 0)
							}
							return refs[rng.IntN(size)].Send(t, hops-1)
						}), actor.OnScheduler(i%schedulers))
					}
					left := tokens
					actor.StartTasklet(t, actor.ReceiverBody(done, func(*actor.Tasklet, int) error {
						if left--; left == 0 {
							return actor.ErrStop
						}
						return nil
					}))
					for i := range tokens {
						_ = refs[i%size].Send(t, b.N/tokens)
					}
					_ = done.Join(t)
				})
				perMessage(b, max(1, b.N/tokens)*tokens)
			})
		}
	}
}
