// Package work is what all libraries have to do: n round trips between two actors; and a stream of n messages from a goroutine to an
// actor, which counts them. Each package beside it does that with one of them, since two in one program don't get along.
package work

import "testing"

// Library does n times one kind of work, and returns the number of messages that were handled.
type Library struct {
	PingPong func(n int) int
	Stream   func(n int) int
}

// Test checks that all of the work is done.
func (l Library) Test(t *testing.T) {
	if got := l.PingPong(1000); got != 2000 {
		t.Errorf("%d messages of 2000 in ping-pong", got)
	}
	if got := l.Stream(5000); got != 5000 {
		t.Errorf("%d messages of 5000 in the stream", got)
	}
}

// Benchmark measures both.
func (l Library) Benchmark(b *testing.B) {
	b.Run("PingPong", func(b *testing.B) {
		b.ReportAllocs()
		l.PingPong(b.N)
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/msg")
	})
	b.Run("Stream", func(b *testing.B) {
		b.ReportAllocs()
		l.Stream(b.N)
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/msg")
	})
}
