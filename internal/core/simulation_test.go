package core

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// popAt against a slice.
func TestRunQueuePopAt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q runQueue
	var want []*Task
	for range 5000 {
		if n := len(want); n > 0 && r.IntN(2) == 0 {
			i := r.IntN(n)
			if q.popAt(uint(i)) != want[i] {
				t.Fatalf("not number %d of %d", i, n)
			}
			want = slices.Delete(want, i, i+1)
		} else {
			task := new(Task)
			q.push(task)
			want = append(want, task)
		}
	}
	for _, task := range want {
		if q.pop() != task {
			t.Fatal("the others did not keep their order")
		}
	}
}

// Hooks.Order says who is next, is asked for one alone too, and only with a seed.
func TestHookOrder(t *testing.T) {
	for _, seed := range []uint64{0, 1} {
		var asked []int
		s := New(Config{Clock: NewVirtualClock(time.Time{}), Seed: seed, Hooks: Hooks{Order: func(n int) int {
			asked = append(asked, n)
			return min(2, n-1)
		}}})
		var ran []uint64
		for id := range uint64(4) {
			spawn(s, id+1, func(*Task) {
				if ran = append(ran, id+1); len(ran) == 4 {
					s.Stop()
				}
			})
		}
		mustEnd(t, s)
		wantRan, wantAsked := []uint64{1, 2, 3, 4}, []int(nil)
		if seed != 0 {
			wantRan, wantAsked = []uint64{3, 4, 2, 1}, []int{4, 3, 2, 1}
		}
		if !slices.Equal(ran, wantRan) || !slices.Equal(asked, wantAsked) {
			t.Errorf("seed %d: %v ran, want %v; asked %v, want %v", seed, ran, wantRan, asked, wantAsked)
		}
	}
}

// A hook that panics ends the scheduler, as others do, and not by going on for ever.
func TestHookOrderPanics(t *testing.T) {
	s := New(Config{Clock: NewVirtualClock(time.Time{}), Seed: 1, Hooks: Hooks{Order: func(int) int { panic("order") }}})
	spawn(s, 1, func(t *Task) { t.Sleep(time.Hour) })
	if err := s.Run(); err == nil {
		t.Error("Run gave no error")
	}
}

// Hooks.Settled is called once when nothing is ready, before time goes on, not while something
// outside is awaited, and may make something ready.
func TestHookSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *Scheduler
		var at []time.Duration
		var waiting *Task
		start := NewVirtualClock(time.Time{}).Now()
		s = New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{Settled: func() {
			at = append(at, s.Now().Sub(start))
			if waiting != nil {
				waiting.Wake()
				waiting = nil
			}
		}}})
		spawn(s, 1, func(t *Task) {
			waiting = t
			park(t) // woken by the hook, at 0
			t.Sleep(time.Second)
			go func() {
				synctest.Wait() // until the scheduler sleeps
				s.InjectFunc(t.Wake)
			}()
			_ = t.Park(Wait{Kind: InAwait}) // nothing is settled meanwhile
			t.Sleep(time.Second)
			s.Stop()
		})
		mustEnd(t, s)
		want := []time.Duration{0, 0, time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("settled at %v, want %v", at, want)
		}
	})
}

// Hooks.Late makes timers late, never early, and they keep their order.
func TestHookLate(t *testing.T) {
	late := []time.Duration{0, 30 * time.Millisecond, 0}
	s := New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{Late: func() (d time.Duration) {
		d, late = late[0], late[1:]
		return d
	}}})
	start := s.Now()
	var at []time.Duration
	for id, d := range []time.Duration{10, 20, 40, 60} {
		spawn(s, uint64(id+1), func(t *Task) {
			t.Sleep(d * time.Millisecond)
			at = append(at, s.Now().Sub(start)/time.Millisecond)
			if d == 60 {
				s.Stop()
			}
		})
	}
	mustEnd(t, s)
	if want := []time.Duration{10, 50, 50, 60}; !slices.Equal(at, want) {
		t.Errorf("woken at %v ms, want %v", at, want)
	}
}
