package actor_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// bench runs main as the root of a system whose log is off, with the timer of b running.
func bench(b *testing.B, main func(t *actor.Tasklet)) {
	b.Helper()
	benchWith(b, actor.Config{Logger: zap.NewNop()}, main)
}

func benchWith(b *testing.B, cfg actor.Config, main func(t *actor.Tasklet)) {
	b.Helper()
	b.ReportAllocs()
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		b.ResetTimer()
		main(t)
		b.StopTimer()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func perMessage(b *testing.B, messages int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(messages), "ns/msg")
}

// BenchmarkChanHop is what the others are compared with: one hand-over of an unbuffered channel
// between two goroutines.
func BenchmarkChanHop(b *testing.B) {
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v
		}
		close(back)
	}()
	for i := range b.N {
		there <- i
		<-back
	}
	close(there)
	perMessage(b, 2*b.N)
}

// BenchmarkChanBuffered is one send and receive of a buffered channel of 1024.
func BenchmarkChanBuffered(b *testing.B) {
	c := make(chan int, 1024)
	done := make(chan int)
	go func() {
		n := 0
		for range c {
			n++
		}
		done <- n
	}()
	for i := range b.N {
		c <- i
	}
	close(c)
	<-done
	perMessage(b, b.N)
}

type ball struct {
	n    int
	from actor.Ref[ball]
}

func BenchmarkReceiverPingPong(b *testing.B) { pingPong(b, actor.Config{Logger: zap.NewNop()}) }

// BenchmarkReceiverPingPongMeasured may cost a tenth more than BenchmarkReceiverPingPong.
func BenchmarkReceiverPingPongMeasured(b *testing.B) {
	pingPong(b, actor.Config{Logger: zap.NewNop(), Measure: true})
}

// BenchmarkReceiverPingPongLabelled may cost 0.15 more than BenchmarkReceiverPingPong.
func BenchmarkReceiverPingPongLabelled(b *testing.B) {
	pingPong(b, actor.Config{Logger: zap.NewNop(), ProfileLabels: true})
}

func pingPong(b *testing.B, cfg actor.Config) {
	benchWith(b, cfg, func(t *actor.Tasklet) {
		var ping, pong actor.Ref[ball]
		ping = actor.Receiver(t, func(t *actor.Tasklet, m ball) error {
			if m.n == b.N {
				return actor.ErrStop
			}
			return m.from.Send(t, ball{m.n + 1, ping})
		})
		pong = actor.Receiver(t, func(t *actor.Tasklet, m ball) error {
			return m.from.Send(t, ball{m.n, pong})
		})
		_ = pong.Send(t, ball{0, ping})
		_ = ping.Join(t)
	})
	perMessage(b, 2*b.N)
}

func BenchmarkOneWay(b *testing.B) { oneWay(b) }

// BenchmarkOneWayUrgent shows what Urgent costs when every eighth message is urgent.
func BenchmarkOneWayUrgent(b *testing.B) {
	oneWay(b, actor.Urgent(func(m int) bool { return m%8 == 0 }))
}

func oneWay(b *testing.B, opts ...actor.Option) {
	n := 0
	bench(b, func(t *actor.Tasklet) {
		r := actor.Receiver(t, func(t *actor.Tasklet, m int) error { n++; return nil }, opts...)
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

func BenchmarkParkedPingPong(b *testing.B) {
	bench(b, func(t *actor.Tasklet) {
		var pong actor.Ref[int]
		ping := actor.Spawn(t, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
			for n := range in.Receive() {
				if n == b.N {
					return nil
				}
				_ = pong.Send(t, n+1)
			}
			return nil
		})
		pong = actor.Spawn(t, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
			for n := range in.Receive() {
				_ = ping.Send(t, n)
			}
			return nil
		})
		_ = ping.Send(t, 0)
		_ = ping.Join(t)
	})
	perMessage(b, 2*b.N)
}

func BenchmarkParkedRing(b *testing.B) {
	const size = 100
	bench(b, func(t *actor.Tasklet) {
		refs := make([]actor.Ref[int], size)
		for i := range refs {
			refs[i] = actor.Spawn(t, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
				for n := range in.Receive() {
					if n >= b.N {
						return nil
					}
					_ = refs[(i+1)%size].Send(t, n+1)
				}
				return nil
			})
		}
		_ = refs[0].Send(t, 0)
		_ = refs[b.N%size].Join(t)
	})
	perMessage(b, b.N)
}

func BenchmarkFromGoroutine(b *testing.B) {
	bench(b, func(t *actor.Tasklet) {
		n := 0
		r := actor.Receiver(t, func(t *actor.Tasklet, m int) error { n++; return nil })
		_, _ = actor.Await(t, func(ctx context.Context) (int, error) {
			for i := range b.N {
				_ = r.Send(ctx, i)
			}
			return 0, nil
		})
		r.Close()
		_ = r.Join(t)
		if n != b.N {
			b.Fatal(n)
		}
	})
	perMessage(b, b.N)
}

type question struct {
	n     int
	reply actor.Reply[int]
}

func BenchmarkCall(b *testing.B) {
	bench(b, func(t *actor.Tasklet) {
		r := actor.Receiver(t, func(t *actor.Tasklet, q question) error { return q.reply.Send(t, q.n+1) })
		for i := range b.N {
			v, err := actor.Call(t, r, func(r actor.Reply[int]) question { return question{i, r} })
			if err != nil || v != i+1 {
				b.Fatal(v, err)
			}
		}
	})
}

func BenchmarkStart(b *testing.B) {
	const batch = 100
	b.Run("tasklet", func(b *testing.B) {
		n := 0
		bench(b, func(t *actor.Tasklet) {
			ts := make([]*actor.Tasklet, batch)
			for i := 0; i < b.N; i += batch {
				for j := range ts {
					ts[j] = actor.Go(t, func(t *actor.Tasklet) error { n++; return nil })
				}
				for _, c := range ts {
					_ = c.Join(t)
				}
			}
		})
	})
	b.Run("tasklet-parking", func(b *testing.B) {
		n := 0
		bench(b, func(t *actor.Tasklet) {
			ts := make([]*actor.Tasklet, batch)
			for i := 0; i < b.N; i += batch {
				for j := range ts {
					ts[j] = actor.Go(t, func(t *actor.Tasklet) error { t.Yield(); n++; return nil })
				}
				for _, c := range ts {
					_ = c.Join(t)
				}
			}
		})
	})
	b.Run("goroutine", func(b *testing.B) {
		b.ReportAllocs()
		var wg sync.WaitGroup
		var mu sync.Mutex
		n := 0
		for i := 0; i < b.N; i += batch {
			wg.Add(batch)
			for range batch {
				go func() {
					mu.Lock()
					n++
					mu.Unlock()
					wg.Done()
				}()
			}
			wg.Wait()
		}
	})
}

// million is the number of receivers of BenchmarkMillion. Ten millions need 5 GB of memory.
var million = flag.Int("receivers", 1_000_000, "the number of receivers of BenchmarkMillion")

// resident returns the bytes of memory that the process has resident, or 0 if that is not known.
func resident() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	var all, pages float64
	_, _ = fmt.Sscan(string(text), &all, &pages)
	return pages * float64(os.Getpagesize())
}

// BenchmarkMillion makes 1,000,000 idle receivers in one tree, lets each handle one message, and
// stops the tree. The flag -receivers sets another number.
func BenchmarkMillion(b *testing.B) {
	n := *million
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		handled := 0
		var stop time.Time
		err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
			refs := make([]actor.Ref[int], n)
			begin := time.Now()
			for i := range refs {
				refs[i] = actor.Receiver(t, func(t *actor.Tasklet, m int) error { handled++; return nil })
			}
			b.ReportMetric(float64(time.Since(begin).Nanoseconds())/float64(n), "start-ns")
			b.ReportMetric(time.Since(begin).Seconds(), "start-s")
			runtime.GC()
			b.ReportMetric(resident()/(1<<30), "resident-GiB")
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/float64(n), "B/receiver")
			begin = time.Now()
			for i, r := range refs {
				_ = r.Send(t, i)
				if i%1000 == 0 {
					t.Yield()
				}
			}
			t.Yield()
			b.ReportMetric(float64(time.Since(begin).Nanoseconds())/float64(n), "send-ns")
			stop = time.Now()
			return nil
		})
		b.ReportMetric(time.Since(stop).Seconds(), "stop-s")
		if err != nil || handled != n {
			b.Fatal(err, handled)
		}
	}
}

// BenchmarkParkedMemory is what 10,000 parked tasklets cost, and as many goroutines parked on a
// channel.
func BenchmarkParkedMemory(b *testing.B) {
	const n = 10_000
	first := map[string]float64{} // later rounds reuse the stacks of the first
	measure := func(b *testing.B, park func()) {
		defer func() { b.ReportMetric(first[b.Name()], "B/each") }()
		if first[b.Name()] != 0 {
			park()
			return
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		park()
		runtime.GC()
		runtime.ReadMemStats(&after)
		first[b.Name()] = float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse) / n
	}
	b.Run("tasklet", func(b *testing.B) {
		for range b.N {
			_ = actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
				var gate scheduler.Event
				measure(b, func() {
					for range n {
						actor.Go(t, func(t *actor.Tasklet) error { return gate.Wait(t) })
					}
					t.Yield()
				})
				gate.Set()
				return nil
			})
		}
	})
	b.Run("goroutine", func(b *testing.B) {
		for range b.N {
			gate := make(chan struct{})
			var parked sync.WaitGroup
			measure(b, func() {
				parked.Add(n)
				for range n {
					go func() { parked.Done(); <-gate }()
				}
				parked.Wait()
			})
			close(gate)
		}
	})
}
