package core

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The ring against a slice, through growth and wrapping round.
func TestRunQueueAgainstSlice(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		draw := rand.New(rand.NewPCG(seed, 2))
		var q runQueue
		var want []*Task
		for range 5000 {
			switch n := r.IntN(100); {
			case n < 52:
				task := new(Task)
				q.push(task)
				want = append(want, task)
			case n < 97:
				got := q.pop()
				if len(want) == 0 {
					if got != nil {
						t.Fatal("something came out of an empty queue")
					}
					break
				}
				if got != want[0] {
					t.Fatalf("seed %d: out of order", seed)
				}
				want = want[1:]
			case n < 99: // anybody; the one that was first takes its place
				got := q.popAny(draw)
				i := slices.Index(want, got)
				if i < 0 {
					if got != nil || len(want) > 0 {
						t.Fatalf("seed %d: not in the queue", seed)
					}
					break
				}
				want[i] = want[0]
				want = want[1:]
			default:
				q.trim()
			}
			if int(q.n) != len(want) {
				t.Fatalf("seed %d: %d in the queue, want %d", seed, q.n, len(want))
			}
		}
		left := 0
		for _, task := range q.ring {
			if task != nil {
				left++
			}
		}
		if left != len(want) {
			t.Errorf("seed %d: the ring holds %d tasks, want %d", seed, left, len(want))
		}
	}
}

// popAny gives each as often.
func TestRunQueueDrawsEvenly(t *testing.T) {
	const n, rounds = 5, 20_000
	draw := rand.New(rand.NewPCG(1, 2))
	var counts [n]int
	var tasks [n]Task
	for range rounds {
		var q runQueue
		for i := range tasks {
			q.push(&tasks[i])
		}
		got := q.popAny(draw)
		for i := range tasks {
			if got == &tasks[i] {
				counts[i]++
			}
		}
	}
	for i, c := range counts {
		if c < rounds/n*9/10 || c > rounds/n*11/10 {
			t.Errorf("place %d was drawn %d times of %d, want a fifth", i, c, rounds)
		}
	}
}

// The memory of a burst goes back when the queue is empty.
func TestRunQueueTrim(t *testing.T) {
	var q runQueue
	for range 1 << 15 {
		q.push(new(Task))
	}
	q.trim()
	if q.n != 1<<15 {
		t.Fatal("trim loses tasks")
	}
	for q.pop() != nil {
	}
	q.trim()
	if len(q.ring) != 0 {
		t.Errorf("a ring of %d is kept", len(q.ring))
	}
	x := new(Task)
	q.push(x)
	if q.pop() != x {
		t.Error("does not work after trim")
	}
}
