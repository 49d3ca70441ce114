package work_test

import (
	"sync"
	"testing"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/work"
)

// A tasklet sends messages to a queue with 4 workers, beside a tasklet that sends to one receiver,
// and a goroutine that sends to 4 goroutines over a buffered channel.
func BenchmarkQueue(b *testing.B) {
	const room = 1024
	b.Run("queue, 4 workers", func(b *testing.B) {
		b.ReportAllocs()
		simulate(b, nil, func(t *actor.Tasklet) error {
			n := 0
			q, err := work.Start(t, work.Spec[int]{Workers: 4, Cap: room, Handle: func(*actor.Tasklet, int) error { n++; return nil }})
			if err != nil {
				return err
			}
			b.ResetTimer()
			for i := range b.N {
				if err := q.Send(t, i); err != nil {
					return err
				}
			}
			return q.Drain(t)
		})
	})
	b.Run("receiver", func(b *testing.B) {
		b.ReportAllocs()
		simulate(b, nil, func(t *actor.Tasklet) error {
			n := 0
			ref := actor.Receiver(t, func(*actor.Tasklet, int) error { n++; return nil }, actor.MailboxLen(room))
			b.ResetTimer()
			for i := range b.N {
				if err := ref.Send(t, i); err != nil {
					return err
				}
			}
			ref.Close()
			return ref.Join(t)
		})
	})
	b.Run("channel, 4 goroutines", func(b *testing.B) {
		b.ReportAllocs()
		c := make(chan int, room)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				n := 0
				for range c {
					n++
				}
			})
		}
		b.ResetTimer()
		for i := range b.N {
			c <- i
		}
		close(c)
		wg.Wait()
	})
}
