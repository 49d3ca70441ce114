package core

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestInjectedWorkComesBeforeTheNextActivation(t *testing.T) {
	s := virtual()
	var log trace
	spawn(s, 1, func(t *Task) {
		for i := range 3 {
			s.InjectFunc(func() {
				log.add("work%d", i)
				if s.Current() != nil {
					fail(s, "work is done inside a task")
				}
				// what arrives meanwhile is not this batch: one activation comes in between
				if i == 0 {
					s.InjectFunc(func() { log.add("late") })
				}
			})
		}
		log.add("injected")
		t.Yield()
		log.add("1")
	})
	spawn(s, 2, func(*Task) { log.add("2") })
	stopAt(s, time.Second)
	mustEnd(t, s)
	log.want(t, "injected work0 work1 work2 2 late 1")
}

func TestInjectFromManyGoroutinesKeepsEachOnesOrder(t *testing.T) {
	const goroutines, each = 8, 500
	s := New(Config{})
	next := [goroutines]int{}
	left := goroutines * each
	for g := range goroutines {
		go func() {
			for i := range each {
				s.InjectFunc(func() {
					if next[g] != i {
						panic(testFailure(fmt.Sprintf("goroutine %d: work %d after %d", g, i, next[g])))
					}
					next[g]++
					if left--; left == 0 {
						s.Stop()
					}
				})
				if i%100 == 0 {
					runtime.Gosched()
				}
			}
		}()
	}
	mustEnd(t, s)
}

// What Inject has accepted is done, and what it wakes unwinds; afterwards nothing is accepted.
func TestInjectAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := virtual()
		accepted, done := 0, 0
		inject := func() {
			if s.InjectFunc(func() { done++ }) {
				accepted++
			}
		}
		spawn(s, 1, func(t *Task) {
			defer func() {
				inject()
				defer inject()
				park(t)
			}()
			park(t)
		})
		spawn(s, 2, func(*Task) { s.Stop(); inject(); s.Stop() })
		mustEnd(t, s)
		if accepted != 3 || done != 3 {
			t.Errorf("%d accepted, %d done", accepted, done)
		}
		if s.InjectFunc(func() {}) {
			t.Error("accepted after the end")
		}
	})
}

// Goroutines inject while the scheduler ends: what was accepted is done, exactly once.
func TestInjectRacesWithStop(t *testing.T) {
	for range 20 {
		s := New(Config{})
		const goroutines = 4
		var done int // by the scheduler
		accepted := make(chan int)
		for range goroutines {
			go func() {
				n := 0
				for s.InjectFunc(func() { done++ }) {
					if n++; n == 10 {
						s.Stop()
					}
				}
				accepted <- n
			}()
		}
		mustEnd(t, s)
		sum := 0
		for range goroutines {
			sum += <-accepted
		}
		if sum != done {
			t.Fatalf("%d accepted, %d done", sum, done)
		}
	}
}

// The memory of a burst goes back, and what was done is not kept.
func TestInjectKeepsNoMemory(t *testing.T) {
	s := virtual()
	for range 1 << 15 {
		s.InjectFunc(func() {})
	}
	spawn(s, 1, func(t *Task) {
		s.InjectFunc(func() {})
		t.Yield()
		s.InjectFunc(func() {})
		t.Yield()
		d := &s.door
		if n := cap(d.work) + cap(d.spare); n > 1<<14 {
			fail(s, "room for %d pieces of work is kept", n)
		}
		for _, w := range append(d.work[:cap(d.work):cap(d.work)], d.spare[:cap(d.spare)]...) {
			if w != nil {
				fail(s, "work that was done is kept")
			}
		}
		s.Stop()
	})
	mustEnd(t, s)
}

// A scheduler that sleeps is woken by each injection, whoever is first: the timer or the injector.
func TestInjectWhileTheTimerFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		const n = 200
		done := 0
		for i := range n {
			spawn(s, uint64(i+1), func(t *Task) { t.Sleep(time.Duration(i+1) * time.Millisecond) })
		}
		go func() {
			for range n {
				time.Sleep(time.Millisecond) // at the very moment of a timer
				s.InjectFunc(func() { done++ })
			}
			s.Stop()
		}()
		mustEnd(t, s)
		if done != n || len(s.door.wake) != 0 || s.door.sleeping.Load() {
			t.Errorf("%d of %d done, wake holds %d, sleeping %v", done, n, len(s.door.wake), s.door.sleeping.Load())
		}
	})
}

// What is injected just when the scheduler falls asleep wakes it: the one that injects next is told
// by the work itself, so it comes in the moment between the last look at the door and the sleep
// again and again.
func TestInjectAsItFallsAsleep(t *testing.T) {
	rounds := 300_000
	if testing.Short() || raceEnabled {
		rounds = 100_000
	}
	s := New(Config{})
	ended := make(chan error, 1)
	go func() { ended <- s.Run() }()
	done := make(chan struct{}, 1)
	late := time.AfterFunc(10*time.Second, func() {
		t.Error("it sleeps, and what was injected waits")
		s.InjectFunc(func() {}) // rings again
	})
	for i := range rounds {
		if t.Failed() {
			break
		}
		s.InjectFunc(func() { done <- struct{}{} })
		for range i % 50 { // not always after the same time
			_ = i
		}
		<-done
	}
	late.Stop()
	s.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
