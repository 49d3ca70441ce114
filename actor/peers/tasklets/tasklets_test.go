package tasklets

import (
	"context"
	"testing"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/peers/work"
)

var library = work.Library{PingPong: pingPong, Stream: stream}

func TestWork(t *testing.T)      { library.Test(t) }
func BenchmarkWork(b *testing.B) { library.Benchmark(b) }

type ball struct{ n int }

func run(main func(t *actor.Tasklet) error) {
	if err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, main); err != nil {
		panic(err)
	}
}

func pingPong(n int) (handled int) {
	run(func(t *actor.Tasklet) error {
		var ping, pong actor.Ref[ball]
		ping = actor.Receiver(t, func(t *actor.Tasklet, m ball) error {
			handled++
			if m.n == n {
				return actor.ErrStop
			}
			return pong.Send(t, ball{m.n + 1})
		})
		pong = actor.Receiver(t, func(t *actor.Tasklet, m ball) error {
			handled++
			return ping.Send(t, m)
		})
		if err := pong.Send(t, ball{1}); err != nil {
			return err
		}
		return ping.Join(t)
	})
	return handled
}

func stream(n int) (handled int) {
	run(func(t *actor.Tasklet) error {
		counter := actor.Receiver(t, func(*actor.Tasklet, ball) error { handled++; return nil })
		_, err := actor.Await(t, func(ctx context.Context) (int, error) {
			for i := range n {
				if err := counter.Send(ctx, ball{i}); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		if err != nil {
			return err
		}
		counter.Close()
		return counter.Join(t)
	})
	return handled
}
