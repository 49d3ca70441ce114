package core_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// A benchmark of two sides runs both in one process, so that the ratio means something; absolute
// times differ from machine to machine. "go" is the same with goroutines and Go's own tools.

// between runs two tasks of a scheduler with a real clock and a watchdog; the first ends it.
func between(b *testing.B, x, y func(t *core.Task)) {
	s := core.New(core.Config{Hooks: core.Hooks{Stall: func(core.Stall) {}}})
	for i, f := range []once{func(t *core.Task) { x(t); s.Stop() }, y} {
		t := new(core.Task)
		t.Init(s, uint64(i+1), quiet(f))
		t.Wake()
	}
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Run(); err != nil {
		b.Fatal(err)
	}
}

// quiet is a Runner like once that says nothing about a kill.
type quiet func(t *core.Task)

func (f quiet) Run(t *core.Task) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(*core.Exit); !ok {
				panic(v)
			}
		}
		t.Finish()
	}()
	f(t)
}

func perMessage(b *testing.B, messages int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(messages*b.N), "ns/msg")
}

// The unit that other prices are given in: there and back over unbuffered channels between two
// goroutines is two hops.
func BenchmarkHop(b *testing.B) {
	a, c := make(chan int), make(chan int)
	go func() {
		for v := range a {
			c <- v
		}
		close(c)
	}()
	for i := 0; i < b.N; i++ {
		a <- i
		<-c
	}
	perMessage(b, 2)
	close(a)
}

// Two tasks that wake each other and park: the bare price of a switch with everything that the loop
// does.
func BenchmarkPingPongParked(b *testing.B) {
	var x, y *core.Task
	ping, pong := false, false
	between(b, func(t *core.Task) {
		x = t
		t.Yield() // so that y is known
		for range b.N {
			ping = true
			y.Wake()
			for !pong {
				_ = t.Park(core.Wait{Kind: core.InReceive})
			}
			pong = false
		}
	}, func(t *core.Task) {
		y = t
		for {
			for !ping {
				_ = t.Park(core.Wait{Kind: core.InReceive})
			}
			ping = false
			pong = true
			x.Wake()
		}
	})
	perMessage(b, 2)
}

// There and back over two rendezvous.
func BenchmarkChanPingPong(b *testing.B) {
	b.Run("tasks", func(b *testing.B) {
		var there, back scheduler.Chan[int]
		between(b, func(t *core.Task) {
			for i := range b.N {
				check(there.Send(t, i))
				_, err := back.Receive(t)
				check(err)
			}
		}, func(t *core.Task) {
			for v := range there.All(t) {
				check(back.Send(t, v))
			}
		})
		perMessage(b, 2)
	})
	b.Run("go", BenchmarkHop)
}

// One sends, one receives.
func BenchmarkChanStream(b *testing.B) {
	for _, capacity := range []int{0, 1, 16, 1024} {
		b.Run(fmt.Sprintf("tasks/cap=%d", capacity), func(b *testing.B) {
			c := scheduler.NewChan[int](capacity)
			between(b, func(t *core.Task) {
				for i := range b.N {
					check(c.Send(t, i))
				}
			}, func(t *core.Task) {
				for range c.All(t) {
				}
			})
			perMessage(b, 1)
		})
		b.Run(fmt.Sprintf("go/cap=%d", capacity), func(b *testing.B) {
			c := make(chan int, capacity)
			done := make(chan bool)
			go func() {
				for range c {
				}
				close(done)
			}()
			b.ResetTimer()
			for i := range b.N {
				c <- i
			}
			close(c)
			<-done
			perMessage(b, 1)
		})
	}
}

// A pair of calls that finds nobody in the way.
func BenchmarkUncontended(b *testing.B) {
	alone := func(name string, tool func() (pair func(ctx context.Context))) {
		b.Run(name, func(b *testing.B) {
			pair := tool()
			between(b, func(t *core.Task) {
				for range b.N {
					pair(t)
				}
			}, func(*core.Task) {})
		})
	}
	alone("Mutex", func() func(context.Context) {
		m := new(scheduler.Mutex)
		return func(ctx context.Context) {
			check(m.Lock(ctx))
			m.Unlock()
		}
	})
	alone("Semaphore", func() func(context.Context) {
		s := scheduler.NewSemaphore(1)
		return func(ctx context.Context) {
			check(s.Acquire(ctx, 1))
			s.Release(1)
		}
	})
	alone("Chan", func() func(context.Context) {
		c := scheduler.NewChan[int](1)
		return func(ctx context.Context) {
			check(c.Send(ctx, 1))
			_, err := c.Receive(ctx)
			check(err)
		}
	})
}

// Two tasks that hand a Mutex to each other.
func BenchmarkMutexHandOver(b *testing.B) {
	var m scheduler.Mutex
	turn := func(t *core.Task) {
		check(m.Lock(t))
		t.Yield() // the other comes and waits
		m.Unlock()
	}
	between(b, func(t *core.Task) {
		for range b.N {
			turn(t)
		}
	}, func(t *core.Task) {
		for {
			turn(t)
		}
	})
}

// once is a Runner that runs once.
type once func(t *core.Task)

func (f once) Run(t *core.Task) {
	f(t)
	t.Finish()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
