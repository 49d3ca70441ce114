package channels

import (
	"testing"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

var library = work.Library{PingPong: pingPong, Stream: stream}

func TestWork(t *testing.T)      { library.Test(t) }
func BenchmarkWork(b *testing.B) { library.Benchmark(b) }

type ball struct{ n int }

func pingPong(n int) (handled int) {
	there, back := make(chan ball), make(chan ball)
	go func() {
		for m := range there {
			handled++
			back <- m
		}
		close(back)
	}()
	for i := range n {
		there <- ball{i}
		<-back
		handled++
	}
	close(there)
	<-back
	return handled
}

func stream(n int) (handled int) {
	c := make(chan ball, 1024)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range c {
			handled++
		}
	}()
	for i := range n {
		c <- ball{i}
	}
	close(c)
	<-done
	return handled
}
