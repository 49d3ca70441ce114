package protoactor

import (
	"io"
	"log/slog"
	"testing"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

var library = work.Library{PingPong: pingPong, Stream: stream}

func TestWork(t *testing.T)      { library.Test(t) }
func BenchmarkWork(b *testing.B) { library.Benchmark(b) }

type ball struct{ n int }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func protoSystem() *proto.ActorSystem {
	return proto.NewActorSystem(proto.WithLoggerFactory(func(*proto.ActorSystem) *slog.Logger { return quiet }))
}

func pingPong(n int) (handled int) {
	system := protoSystem()
	done := make(chan int)
	pong := system.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if m, ok := c.Message().(*ball); ok {
			c.Send(c.Sender(), m)
		}
	}))
	ping := system.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if m, ok := c.Message().(*ball); ok {
			if m.n == n {
				done <- 2 * m.n
				return
			}
			c.Request(pong, &ball{m.n + 1})
		}
	}))
	system.Root.RequestWithCustomSender(pong, &ball{1}, ping)
	handled = <-done
	system.Root.Stop(ping)
	system.Root.Stop(pong)
	system.Shutdown()
	return handled
}

func stream(n int) int {
	system := protoSystem()
	done := make(chan int)
	handled := 0
	counter := system.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if _, ok := c.Message().(*ball); ok {
			if handled++; handled == n {
				done <- handled
			}
		}
	}))
	for i := range n {
		system.Root.Send(counter, &ball{i})
	}
	got := <-done
	system.Root.Stop(counter)
	system.Shutdown()
	return got
}
