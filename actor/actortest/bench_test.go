package actortest_test

import (
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
)

// BenchmarkExplore is what one seed costs: of a function that does nothing, and of one with 1000
// messages between two tasklets.
func BenchmarkExplore(b *testing.B) {
	b.Run("nothing", func(b *testing.B) {
		actortest.Explore(b, b.N, func(t *actor.Tasklet) {})
	})
	b.Run("1000 messages", func(b *testing.B) {
		actortest.Explore(b, b.N, func(t *actor.Tasklet) {
			r := actor.Receiver(t, func(t *actor.Tasklet, n int) error { return nil }, actor.MailboxLen(10))
			for n := range 1000 {
				_ = r.Send(t, n)
			}
			t.Sleep(time.Second)
		})
	})
}
