package actor_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor"
)

// BenchmarkCallOutside is a call from ordinary goroutines, which is what the handlers of an HTTP
// server do, beside a request and its reply by channels.
func BenchmarkCallOutside(b *testing.B) {
	type ask struct {
		n     int
		reply chan int
	}
	for _, callers := range []struct {
		name string
		n    int
	}{{"one", 1}, {"64", 64}} {
		for _, limit := range []string{"", "/timeout"} {
			share := func(b *testing.B, call func(ctx context.Context, n int)) {
				var wg sync.WaitGroup
				for i := range callers.n {
					wg.Go(func() {
						for n := i; n < b.N; n += callers.n {
							if limit == "" {
								call(context.Background(), n)
								continue
							}
							ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
							call(ctx, n)
							cancel()
						}
					})
				}
				wg.Wait()
			}
			b.Run(callers.name+limit+"/tasklet", func(b *testing.B) {
				bench(b, func(t *actor.Tasklet) {
					r := actor.Receiver(t, func(t *actor.Tasklet, q question) error { return q.reply.Send(t, q.n+1) })
					_, _ = actor.Await(t, func(context.Context) (int, error) {
						share(b, func(ctx context.Context, n int) {
							v, err := actor.Call(ctx, r, func(r actor.Reply[int]) question { return question{n, r} })
							if err != nil || v != n+1 {
								b.Error(v, err)
							}
						})
						return 0, nil
					})
				})
			})
			b.Run(callers.name+limit+"/channels", func(b *testing.B) {
				b.ReportAllocs()
				asks := make(chan ask, 1024)
				go func() {
					for q := range asks {
						q.reply <- q.n + 1
					}
				}()
				pool := sync.Pool{New: func() any { return make(chan int, 1) }}
				share(b, func(ctx context.Context, n int) {
					reply := pool.Get().(chan int)
					asks <- ask{n, reply}
					var v int
					if end := ctx.Done(); end == nil {
						v = <-reply
					} else {
						select {
						case v = <-reply:
						case <-end:
							b.Error(ctx.Err())
						}
					}
					if v != n+1 {
						b.Error(v)
					}
					pool.Put(reply)
				})
				close(asks)
			})
		}
	}
}

// BenchmarkFanIn is eight senders to one mailbox of 1024: receivers that are told to send, beside
// goroutines and a channel.
func BenchmarkFanIn(b *testing.B) {
	const senders = 8
	b.Run("tasklet", func(b *testing.B) {
		n := 0
		bench(b, func(t *actor.Tasklet) {
			r := actor.Receiver(t, func(t *actor.Tasklet, m int) error { n++; return nil })
			each := make([]*actor.Tasklet, senders)
			for i := range each {
				each[i] = actor.Go(t, func(t *actor.Tasklet) error {
					for k := i; k < b.N; k += senders {
						_ = r.Send(t, k)
					}
					return nil
				})
			}
			for _, s := range each {
				_ = s.Join(t)
			}
			r.Close()
			_ = r.Join(t)
		})
		if n != b.N {
			b.Fatal(n)
		}
		perMessage(b, b.N)
	})
	b.Run("channels", func(b *testing.B) {
		b.ReportAllocs()
		c := make(chan int, 1024)
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				for k := i; k < b.N; k += senders {
					c <- k
				}
			})
		}
		go func() { wg.Wait(); close(c) }()
		n := 0
		for range c {
			n++
		}
		perMessage(b, b.N)
	})
}
