package core

import (
	"fmt"
	"iter"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// here is what Here says at some place.
type here struct {
	t      *Task
	inside bool
}

func look(s *Scheduler) (h here) {
	h.t, h.inside = s.Here()
	return h
}

// below calls f below n frames.
func below(n int, f func()) {
	if n == 0 {
		f()
		return
	}
	below(n-1, f)
	runtime.KeepAlive(&n)
}

func TestHere(t *testing.T) {
	s := New(Config{})
	require.Equal(t, here{}, look(s), "before Run")
	var on, goroutine, pulled, injected, parked, deferred here
	var deep []here
	task := spawn(s, 1, func(t *Task) {
		defer s.Stop()
		on = look(s)
		done := make(chan here)
		go func() { done <- look(s) }()
		goroutine = <-done
		next, stop := iter.Pull(iter.Seq[here](func(yield func(here) bool) { yield(look(s)) }))
		pulled, _ = next()
		stop()
		for _, n := range []int{1, 7, 40, 60, 64, 65, 100, 1000, 3, 0} {
			below(n, func() { deep = append(deep, look(s)) })
		}
		s.InjectFunc(func() { injected = look(s) }) // on the stack of the task that parks
		t.Yield()
		parked = look(s)
		func() {
			defer func() {
				deferred = look(s)
				_ = recover()
			}()
			panic("x")
		}()
	})
	mustEnd(t, s)
	self := here{task, true}
	require.Equal(t, []here{self, {}, {}, {nil, true}, self, self}, []here{on, goroutine, pulled, injected, parked, deferred})
	for i, h := range deep {
		require.Equal(t, self, h, i)
	}
	require.Equal(t, here{}, look(s), "after Run")
}

// What is known of the frames does not depend on where it was first asked for: here inside the task
// of a scheduler with the number 2.
func TestMarks(t *testing.T) {
	want := *marks()
	n := takeNumber()
	defer giveBack(n)
	s := New(Config{})
	spawn(s, 1, func(*Task) {
		defer s.Stop()
		if got := *findMarks(); got != want {
			fail(s, "%v, want %v", got, want)
		}
	})
	mustEnd(t, s)
}

// Each of many schedulers that run at the same time knows its own tasks, and only those; later ones
// have the same numbers again.
func TestHereOfOtherSchedulers(t *testing.T) {
	for range 3 {
		const n = 9
		var ss []*Scheduler
		for range n {
			ss = append(ss, New(Config{}))
		}
		var ready, over sync.WaitGroup
		ready.Add(n)
		var mu sync.Mutex
		numbers := map[uint32]bool{}
		for i, s := range ss {
			spawn(s, uint64(i)+1, func(t *Task) {
				ready.Done()
				ready.Wait() // all run
				for j, other := range ss {
					want := here{nil, true}
					if i == j {
						want.t = t
					}
					if got := look(other); got != want {
						fail(s, "on %d, Here of %d = %v", i, j, got)
					}
				}
				mu.Lock()
				numbers[s.number.Load()] = true
				mu.Unlock()
				s.Stop()
			})
			over.Go(func() {
				if err := s.Run(); err != nil {
					t.Error(err)
				}
			})
		}
		over.Wait()
		require.Len(t, numbers, n)
		for i := range n {
			require.Contains(t, numbers, uint32(i+1), fmt.Sprint(numbers))
		}
	}
}

// Number 65 is in the second word.
func TestNumbers(t *testing.T) {
	var ns []uint32
	for i := range 130 {
		ns = append(ns, takeNumber())
		require.Equal(t, uint32(i+1), ns[i])
	}
	giveBack(70)
	giveBack(3)
	require.Equal(t, uint32(3), takeNumber())
	require.Equal(t, uint32(70), takeNumber())
	for _, n := range ns {
		giveBack(n)
	}
}

// Checkpoint raises a kill, also one that a hand-over has left for the next blocking point, in the
// killed task and nowhere else.
func TestCheckpoint(t *testing.T) {
	s := New(Config{})
	var killed []string
	task := func(id uint64, name string, f func(t *Task)) *Task {
		return spawn(s, id, func(t *Task) {
			raised := true
			defer func() {
				if raised {
					killed = append(killed, name)
				}
			}()
			f(t)
			raised = false
		})
	}
	var c handOver
	waiter := task(1, "waiter", func(t *Task) {
		v, err := c.Receive(t) // has its value in the end
		if v != 7 || err != nil {
			fail(s, "received %d, %v", v, err)
		}
		s.Checkpoint()
	})
	other := task(2, "other", func(t *Task) {
		s.Checkpoint()
		t.Yield()
		s.Checkpoint() // the kill of waiter is not for it
	})
	task(3, "self", func(t *Task) {
		c.Give(7)
		waiter.Kill(false)
		s.Checkpoint()
		t.Yield()
		t.Kill(false)
		done := make(chan bool)
		go func() { s.Checkpoint(); done <- true }() // an ordinary goroutine
		<-done
		s.Checkpoint()
	})
	task(4, "last", func(t *Task) {
		for other.State() != Finished || waiter.State() != Finished {
			t.Yield()
		}
		s.Stop()
	})
	mustEnd(t, s)
	require.Equal(t, []string{"waiter", "self"}, killed)
}

func TestWhenOver(t *testing.T) {
	s := New(Config{})
	var order []string
	s.WhenOver(workFunc(func() { order = append(order, "first") }))
	spawn(s, 1, func(t *Task) {
		defer func() { order = append(order, "unwound") }()
		s.WhenOver(workFunc(func() {
			order = append(order, fmt.Sprint("refused: ", !s.InjectFunc(func() {})))
		}))
		s.Stop()
		park(t)
	})
	mustEnd(t, s)
	require.Equal(t, []string{"unwound", "first", "refused: true"}, order)
}
