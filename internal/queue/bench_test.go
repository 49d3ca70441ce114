package queue

import (
	"context"
	"sync"
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// Each benchmark of the package stands beside one of a Go channel that does the same; what counts
// is the ratio of the two in one run. The budgets are in docs/design.md.

// message is of two words.
type message struct {
	from *int
	n    int
}

func perMessage(b *testing.B, messages int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(messages), "ns/msg")
}

func run(b *testing.B, s *core.Scheduler, messages int) {
	b.ReportAllocs()
	b.ResetTimer()
	mustEnd(b, s)
	perMessage(b, messages)
}

// A buffered channel between two goroutines: one send and one receive a message.
func BenchmarkOneWayChannel(b *testing.B) { streamChannel(b, 1) }

// Budget: 0.30 of OneWayChannel.
func BenchmarkOneWay(b *testing.B) {
	s := core.New(core.Config{})
	got := 0
	r := newReceiver(s, Config{}, func(message) {
		if got++; got == b.N {
			s.Stop()
		}
	})
	spawn(s, func(t *core.Task) {
		for i := range b.N {
			if err := r.box.Send(t, message{n: i}); err != nil {
				fail("%v", err)
			}
		}
	})
	run(b, s, b.N)
}

// The same through Put, as package actor sends.
func BenchmarkOneWayPut(b *testing.B) {
	s := core.New(core.Config{})
	got := 0
	r := newReceiver(s, Config{}, func(message) {
		if got++; got == b.N {
			s.Stop()
		}
	})
	spawn(s, func(t *core.Task) {
		for i := range b.N {
			if m := (message{n: i}); !r.box.Put(t, m) {
				if err := r.box.SendTask(t, nil, m, nil, false); err != nil {
					fail("%v", err)
				}
			}
		}
	})
	run(b, s, b.N)
}

// An unbuffered channel between two goroutines, there and back: two hops.
func BenchmarkPingPongChannel(b *testing.B) {
	ping, pong := make(chan message), make(chan message)
	go func() {
		for m := range ping {
			pong <- m
		}
	}()
	b.ReportAllocs()
	for i := range b.N {
		ping <- message{n: i}
		<-pong
	}
	perMessage(b, 2*b.N)
	close(ping)
}

// Two receivers that send to each other. Budget: 0.15 of PingPongChannel.
func BenchmarkPingPongReceivers(b *testing.B) {
	s := core.New(core.Config{})
	var x, y *receiver[message]
	put := func(from, to *receiver[message], m message) {
		if !to.box.Put(&from.Task, m) {
			fail("full")
		}
	}
	x = newReceiver(s, Config{}, func(m message) {
		if m.n == b.N {
			s.Stop()
			return
		}
		m.n++
		put(x, y, m)
	})
	y = newReceiver(s, Config{}, func(m message) { put(y, x, m) })
	spawn(s, func(t *core.Task) { x.box.Put(t, message{}) })
	run(b, s, 2*b.N)
}

// Two tasks that read with Receive, so each message parks and resumes one. Budget: 0.70 of
// PingPongChannel.
func BenchmarkPingPongParked(b *testing.B) { ringOfTasks(b, 2) }

// Budget: 0.70 of PingPongChannel.
func BenchmarkRing100(b *testing.B) { ringOfTasks(b, 100) }

func ringOfTasks(b *testing.B, size int) {
	s := core.New(core.Config{})
	boxes := make([]*Queue[message], size)
	for i := range boxes {
		boxes[i] = New[message](Config{})
		spawn(s, func(t *core.Task) {
			boxes[i].Open(t)
			defer boxes[i].Discard()
			for m := range boxes[i].Receive() {
				if m.n == b.N {
					s.Stop()
					return
				}
				m.n++
				if err := boxes[(i+1)%size].Send(t, m); err != nil {
					fail("%v", err)
				}
			}
		})
	}
	spawn(s, func(t *core.Task) { boxes[0].Send(t, message{}) })
	run(b, s, b.N)
}

func BenchmarkStream4Channel(b *testing.B) { streamChannel(b, 4) }

func streamChannel(b *testing.B, senders int) {
	c := make(chan message, 1024)
	b.ReportAllocs()
	for k := range senders {
		go func() {
			for i := k; i < b.N; i += senders {
				c <- message{n: i}
			}
		}()
	}
	for range b.N {
		<-c
	}
	perMessage(b, b.N)
}

// From one ordinary goroutine. Budget: 0.8 of OneWayChannel.
func BenchmarkStream1(b *testing.B) { stream(b, 1) }

// From four. Budget: 0.8 of Stream4Channel.
func BenchmarkStream4(b *testing.B) { stream(b, 4) }

func stream(b *testing.B, senders int) {
	s := core.New(core.Config{})
	got := 0
	r := newReceiver(s, Config{}, func(message) {
		if got++; got == b.N {
			s.Stop()
		}
	})
	var all sync.WaitGroup
	for k := range senders {
		all.Go(func() {
			for i := k; i < b.N; i += senders {
				if err := r.box.Send(context.Background(), message{n: i}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	run(b, s, b.N)
	all.Wait()
}

// A sender that parks for each message: the mailbox holds one.
func BenchmarkCapacityOne(b *testing.B) {
	s := core.New(core.Config{})
	box := New[message](Config{Cap: 1})
	spawn(s, func(t *core.Task) {
		box.Open(t)
		defer box.Discard()
		got := 0
		for range box.Receive() {
			if got++; got == b.N {
				s.Stop()
				return
			}
		}
	})
	spawn(s, func(t *core.Task) {
		for i := range b.N {
			if err := box.Send(t, message{n: i}); err != nil {
				fail("%v", err)
			}
		}
	})
	run(b, s, b.N)
}
