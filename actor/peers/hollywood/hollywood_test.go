package hollywood

import (
	"testing"

	hollywood "github.com/anthdm/hollywood/actor"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

var library = work.Library{PingPong: pingPong, Stream: stream}

func TestWork(t *testing.T)      { library.Test(t) }
func BenchmarkWork(b *testing.B) { library.Benchmark(b) }

type ball struct{ n int }

func hollywoodEngine() *hollywood.Engine {
	e, err := hollywood.NewEngine(hollywood.NewEngineConfig())
	if err != nil {
		panic(err)
	}
	return e
}

func pingPong(n int) int {
	e := hollywoodEngine()
	done := make(chan int)
	pong := e.SpawnFunc(func(c *hollywood.Context) {
		if m, ok := c.Message().(*ball); ok {
			c.Send(c.Sender(), m)
		}
	}, "pong")
	ping := e.SpawnFunc(func(c *hollywood.Context) {
		if m, ok := c.Message().(*ball); ok {
			if m.n == n {
				done <- 2 * m.n
				return
			}
			c.Send(pong, &ball{m.n + 1})
		}
	}, "ping")
	e.SendWithSender(pong, &ball{1}, ping)
	handled := <-done
	<-e.Poison(ping).Done()
	<-e.Poison(pong).Done()
	return handled
}

func stream(n int) int {
	e := hollywoodEngine()
	done := make(chan int)
	handled := 0
	counter := e.SpawnFunc(func(c *hollywood.Context) {
		if _, ok := c.Message().(*ball); ok {
			if handled++; handled == n {
				done <- handled
			}
		}
	}, "counter")
	for i := range n {
		e.Send(counter, &ball{i})
	}
	got := <-done
	<-e.Poison(counter).Done()
	return got
}
