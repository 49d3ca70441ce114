package core

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// checkLine checks that l holds exactly these, linked both ways.
func checkLine(t testing.TB, l *Line, want ...*Waiter) {
	t.Helper()
	if problem := lineProblem(l, want); problem != "" {
		t.Fatal(problem)
	}
}

func lineProblem(l *Line, want []*Waiter) string {
	var got []*Waiter
	for w := l.First(); w != nil; w = w.Next() {
		if w.V.line != l || !w.Waits() {
			return "a waiter does not know its line"
		}
		got = append(got, w)
	}
	if !l.list.Sound() || l.Empty() != (len(got) == 0) || !slices.Equal(got, want) {
		return fmt.Sprintf("the line has %d waiters, want %d, or in another order", len(got), len(want))
	}
	return ""
}

// The line against a slice.
func TestLineAgainstSlice(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var l Line
		var want []*Waiter
		var all [20]Waiter
		for range 1000 {
			w := &all[r.IntN(len(all))]
			i := slices.Index(want, w)
			switch {
			case i < 0:
				w.Leave() // does nothing
				l.Add(w)
				want = append(want, w)
			case r.IntN(2) == 0:
				w.Leave()
				want = slices.Delete(want, i, i+1)
			default:
				l.First().Release() // nobody to wake
				want = want[1:]
			}
			checkLine(t, &l, want...)
		}
		l.ReleaseAll()
		checkLine(t, &l)
		for i := range all {
			if w := &all[i]; w.Waits() || w.Next() != nil || w.entry().In() {
				t.Fatal("a waiter that has left keeps its links")
			}
		}
	}
}

func TestLineAddTwice(t *testing.T) {
	var l, other Line
	var w Waiter
	l.Add(&w)
	wantPanic(t, "scheduler: internal error: waiter stands in a line already", func() { other.Add(&w) })
}

// Release wakes the task, with the result that it waited for; whatever else ends a wait takes the
// waiter out first.
func TestWaiterLeavesByWhateverEndsItsWait(t *testing.T) {
	s := virtual()
	var line Line
	var log trace
	places := make([]Waiter, 4)
	wait := func(i int, w Wait) {
		spawn(s, uint64(i+1), func(t *Task) {
			line.Add(&places[i])
			w.In = &places[i]
			if w.Ctx != nil {
				ctx, cancel := WithTimeout(t, time.Second)
				defer cancel()
				w.Ctx = ctx
			}
			log.add("%d: %v", i, t.Park(w))
			if places[i].Waits() || places[i].Task() != nil {
				fail(s, "task %d still stands in the line", i)
			}
		})
	}
	stand := func(want ...*Waiter) {
		if problem := lineProblem(&line, want); problem != "" {
			fail(s, "%s", problem)
		}
	}
	wait(0, Wait{Until: s.After(time.Second)})
	wait(1, Wait{Ctx: context.Background()})
	wait(2, Wait{})
	wait(3, Wait{})
	spawn(s, 9, func(t *Task) {
		stand(&places[0], &places[1], &places[2], &places[3])
		if places[0].Task().ID() != 1 {
			fail(s, "whose place is it?")
		}
		s.StartTimer(&Timer{}, s.After(time.Second), expireFunc(func() {
			// This timer was started last: the waits of 0 and 1 have timed out, and neither has run
			// yet.
			stand(&places[2], &places[3])
			line.ReleaseAll()
		}))
	})
	stopAt(s, time.Minute)
	mustEnd(t, s)
	log.want(t, "0: timeout 1: timeout 2: <nil> 3: <nil>")
}

// Lines without items of their own use the scheduler's free places: waiting allocates nothing.
func TestFreePlaces(t *testing.T) {
	s := virtual()
	a := s.waiter()
	b := s.waiter()
	if a == b {
		t.Fatal("one place for two")
	}
	a.SetItem(1)
	s.putWaiter(a)
	s.putWaiter(b)
	if s.waiter() != b || s.waiter() != a || a.Item() != nil || a.entry().In() || !s.spare.Empty() {
		t.Error("places are not used again, or not clean")
	}
}

// The free places of a burst are not kept for ever.
func TestFreePlacesAreBounded(t *testing.T) {
	s := virtual()
	for range 3 * maxSpare {
		s.putWaiter(&Waiter{})
	}
	if n := s.spare.Len(); n != maxSpare || s.spares != n {
		t.Errorf("%d free places are kept, %d counted", n, s.spares)
	}
}
