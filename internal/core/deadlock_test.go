package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func join(t, target *Task, until int64) error {
	return t.Park(Wait{Kind: InJoin, On: target.Resource(), Until: until})
}

// Rule 29: a wait that would close a cycle of firm waits is refused, with the chain; the others go
// on waiting.
func TestDeadlockIsRefused(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 100} {
		var reports int
		s := New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{
			Name: func(t *Task) string { return fmt.Sprintf("/t%d", t.id) },
			Deadlock: func(_ *Task, _ *DeadlockError, soft bool) {
				if soft {
					panic(testFailure("reported as soft"))
				}
				reports++
			},
		}})
		ring := make([]*Task, n)
		var got error
		for i := range ring {
			ring[i] = spawn(s, uint64(i+1), func(t *Task) {
				if i < n-1 {
					join(t, ring[i+1], 0)
				} else {
					got = join(t, ring[0], 0)
				}
			})
		}
		stopAt(s, time.Second)
		mustEnd(t, s)
		var e *DeadlockError
		if !errors.As(got, &e) || len(e.Chain) != n || reports != 1 {
			t.Fatalf("cycle of %d: %v, %d reports", n, got, reports)
		}
		if want := "deadlock: /t3 in join /t1, /t1 in join /t2, /t2 in join /t3"; n == 3 && e.Error() != want {
			t.Errorf("got %q, want %q", e, want)
		}
	}
}

// What is waited for must be there for the search only while it is waited for: a stackless task
// that waited for somebody, was called again and is idle for another reason holds nobody up.
func TestIdleOnLastsUntilTheNextActivation(t *testing.T) {
	s := virtual()
	var y *Task
	var x Task
	calls := 0
	x.Init(s, 1, runFunc(func(t *Task) {
		if calls++; calls == 1 {
			t.IdleOn(InStop, y.Resource(), false)
		}
	}))
	y = spawn(s, 2, func(t *Task) {
		t.Yield()
		if err := join(t, &x, 0); err == nil {
			fail(s, "a cycle by way of an idle task was not found")
		}
		x.Wake()
		t.Yield()
		if err := join(t, &x, s.After(time.Second)); err != ErrTimeout {
			fail(s, "%v", err)
		}
		s.InjectFunc(t.Wake)
		if err := join(t, &x, 0); err != nil {
			fail(s, "%v", err)
		}
		s.Stop()
	})
	x.Wake()
	mustEnd(t, s)
}

// The search against the obvious one, in a crowd that waits for each other at random, firmly or
// not.
func TestDeadlockSearchAgainstSets(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		n := 2 + r.IntN(12)
		type report struct{ soft bool }
		var reported *report
		s := New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{
			Deadlock: func(_ *Task, e *DeadlockError, soft bool) { reported = &report{soft} },
		}})
		tasks := make([]*Task, n)
		refused, warned := 0, 0
		for i := range tasks {
			tasks[i] = spawn(s, uint64(i+1), func(t *Task) {
				for range 30 {
					target := tasks[r.IntN(n)]
					var until int64
					if r.IntN(5) == 0 {
						until = s.After(time.Duration(r.IntN(20)) * time.Millisecond)
					}
					ring, soft := ringOf(t, target, until != 0)
					reported = nil
					if ring && !soft {
						err := join(t, target, until)
						var e *DeadlockError
						if !errors.As(err, &e) || reported == nil || reported.soft {
							fail(s, "seed %d: a cycle was not refused: %v", seed, err)
						}
						refused++
					} else {
						s.InjectFunc(func() { // done when t has parked
							if t.state != Parked {
								fail(s, "seed %d: a wait without a firm cycle was refused", seed)
							}
							if (reported != nil) != ring || ring && !reported.soft {
								fail(s, "seed %d: cycle %v, report %v", seed, ring, reported)
							}
						})
						if ring {
							warned++
						}
						_ = join(t, target, until)
					}
					if r.IntN(2) == 0 {
						t.Yield()
					}
					tasks[r.IntN(n)].Wake()
				}
			})
		}
		stopAt(s, time.Second)
		mustEnd(t, s)
		if n < 5 && refused == 0 {
			t.Errorf("seed %d: no cycle in a crowd of %d", seed, n)
		}
	}
}

// ringOf follows the waits with a set of those that were seen.
func ringOf(t, target *Task, soft bool) (ring, anySoft bool) {
	seen := map[*Task]bool{}
	for x := target; !seen[x]; x = x.waitsOn.Holder {
		if x == t {
			return true, soft
		}
		seen[x] = true
		if x.state != Parked || x.waitsOn == nil {
			return false, false
		}
		soft = soft || x.soft
	}
	return false, false
}

// A stop breaks the waits that it meets: no search.
func TestStopIsNoDeadlock(t *testing.T) {
	s := virtual()
	var x, y *Task
	x = spawn(s, 1, func(t *Task) { join(t, y, 0) })
	y = spawn(s, 2, func(t *Task) {
		s.InjectFunc(t.Wake)
		if err := t.Park(Wait{Kind: InStop, On: x.Resource()}); err != nil {
			fail(s, "%v", err)
		}
	})
	stopAt(s, time.Second)
	mustEnd(t, s)
}
