package scheduler

import (
	"testing"
)

type goRunner func(t *Task)

func (f goRunner) Run(t *Task) {
	defer func() {
		if _, ok := recover().(*Exit); ok {
			t.Finish()
		}
	}()
	f(t)
	t.Finish()
}

// start makes a task of s that calls f once.
func start(s *Scheduler, id uint64, f func(t *Task)) *Task {
	t := new(Task)
	t.Init(s, id, goRunner(f))
	t.Wake()
	return t
}

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
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/msg")
	close(a)
}

// Two tasks that wake each other and park: the bare price of a switch with everything that the loop does.
func BenchmarkPingPongParked(b *testing.B) {
	s := New(Config{Hooks: Hooks{Stall: func(Stall) {}}})
	var x, y *Task
	ping, pong := false, false
	x = start(s, 1, func(t *Task) {
		for range b.N {
			ping = true
			y.Wake()
			for !pong {
				t.Park(Wait{Kind: InReceive})
			}
			pong = false
		}
		s.Stop()
	})
	y = start(s, 2, func(t *Task) {
		for {
			for !ping {
				t.Park(Wait{Kind: InReceive})
			}
			ping = false
			pong = true
			x.Wake()
		}
	})
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Run(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/msg")
}
