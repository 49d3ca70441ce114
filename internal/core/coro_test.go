package core

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair is an iter.Pull as seats use it: both halves can be called by whoever holds it.
type pair struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
}

func newPair(body func()) *pair {
	p := &pair{}
	p.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		p.yield = yield
		body()
	})
	return p
}

func wantSteps(t *testing.T, got []string, want string) {
	t.Helper()
	if s := strings.Join(got, " "); s != want {
		t.Errorf("steps:\n got %s\nwant %s", s, want)
	}
}

// The first fact of iter.Pull that seats rely on: next and yield of a pair must alternate, but any
// goroutine may call them. The caller takes the place of the one that is parked in the pair, and
// that one goes on, whether it is the pair's own goroutine or not. If this test fails on a new
// version of Go, build with the tag tasklet_trampoline.
func TestPullMayBeSwappedByAnyGoroutine(t *testing.T) {
	var steps []string
	step := func(s string) { steps = append(steps, s) }
	var p, q *pair
	p = newPair(func() {
		step("p1")
		q.next() // p's goroutine is parked in q, q's runs
		step("p2")
		p.yield(struct{}{})
		step("p3")
		q.next()
		step("p4")
	})
	q = newPair(func() {
		step("q1")
		p.yield(struct{}{}) // q's goroutine is parked in p, and the test goes on, not p's goroutine
		step("q2")
		q.yield(struct{}{})
		step("q3")
	})
	p.next()
	step("t1")
	p.next() // wakes q, which sits in p
	step("t2")
	p.next()
	step("t3")
	wantSteps(t, steps, "p1 q1 t1 q2 p2 t2 p3 q3 p4 t3")
}

// The second fact: when a pair's goroutine ends, the one that is parked in the pair goes on,
// whoever that is. If it called yield, it gets nothing but false, even when the goroutine ended by
// runtime.Goexit.
func TestPullEndWakesOccupant(t *testing.T) {
	for _, goexit := range []bool{false, true} {
		t.Run(fmt.Sprintf("goexit=%v", goexit), func(t *testing.T) {
			var steps []string
			step := func(s string) { steps = append(steps, s) }
			var p, q *pair
			p = newPair(func() {
				step("p1")
				q.next()
				step("p2")
				if goexit {
					runtime.Goexit()
				}
			})
			q = newPair(func() {
				step("q1")
				alive := p.yield(struct{}{}) // now q sits in p
				step(fmt.Sprint("q2 ", alive))
			})
			p.next()
			step("t1")
			// wakes p, which ends, which wakes q, which ends, which wakes the test
			alive := q.yield(struct{}{})
			step(fmt.Sprint("t2 ", alive))
			wantSteps(t, steps, "p1 q1 t1 p2 q2 false t2 false")
		})
	}
}

// The other half of the second fact: the Goexit goes on in an occupant that called next. That is
// why an heir first takes the place in a dying worker's seat by yield.
func TestPullGoexitSpreadsToCallerOfNext(t *testing.T) {
	spread := make(chan bool)
	go func() {
		returned := false
		defer func() { spread <- !returned }()
		newPair(runtime.Goexit).next()
		returned = true
	}()
	if !<-spread {
		t.Error("next returned after the Goexit of the iterator")
	}
}

// countSwaps counts the swaps of all seats from now on.
func countSwaps(s *Scheduler, n *int) {
	for _, c := range s.coros {
		next, yield := c.own.next, c.own.yield
		c.own.next = func() (struct{}, bool) { *n++; return next() }
		c.own.yield = func(v struct{}) bool { *n++; return yield(v) }
	}
}

// A switch is one swap, however many are parked and in whatever order they wake each other.
func TestRingOfParkedTasksSwitchesOnce(t *testing.T) {
	const tasks, rounds = 100, 50
	s := New(Config{Clock: NewVirtualClock(time.Time{})})
	ring := make([]*Task, tasks)
	order := rand.New(rand.NewPCG(1, 1)).Perm(tasks)
	hops, swaps := 0, 0
	for i := range ring {
		ring[i] = spawn(s, uint64(i+1), func(t *Task) {
			for {
				park(t)
				if hops++; hops == tasks*rounds {
					s.Stop()
				}
				ring[order[i]].Wake()
			}
		})
	}
	// One ring through all: order[i] is the successor of i.
	perm := slices.Clone(order)
	for i := range perm {
		order[perm[i]] = perm[(i+1)%tasks]
	}
	spawn(s, 1000, func(*Task) {
		countSwaps(s, &swaps)
		ring[0].Wake()
	})
	mustEnd(t, s)
	if hops < tasks*rounds {
		t.Fatalf("%d hops", hops)
	}
	// Besides the hops, stopping swaps: at most three times for each worker.
	if limit := swapsPerSwitch*hops + 4*tasks; swaps > limit {
		t.Errorf("%d swaps for %d hops, want at most %d", swaps, hops, limit)
	}
}

// In a chain of nested resumers this would unwind all the others (27 ms at 100,000).
func TestWakeFirstOfManyParkedFromLast(t *testing.T) {
	n := 100_000
	if raceEnabled {
		n = 5_000
	}
	if testing.Short() {
		n /= 10
	}
	s := New(Config{Clock: NewVirtualClock(time.Time{})})
	swaps, got := 0, -1
	var first *Task
	for i := range n {
		task := spawn(s, uint64(i+1), func(t *Task) {
			park(t)
			got = swaps
			s.Stop()
		})
		if i == 0 {
			first = task
		}
	}
	spawn(s, uint64(n+1), func(t *Task) {
		countSwaps(s, &swaps)
		first.Wake()
		park(t)
	})
	mustEnd(t, s)
	if got < 0 || got > swapsPerSwitch {
		t.Errorf("%d swaps from the last of %d parked tasks to the first, want %d", got, n, swapsPerSwitch)
	}
}

// Stop unwinds whatever is parked, and no goroutine stays: synctest.Test fails if one does.
func TestStopWithThousandsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3000
		s := New(Config{})
		deferred := 0
		for i := range n {
			spawn(s, uint64(i+1), func(t *Task) {
				defer func() { deferred++ }()
				if i%3 == 0 {
					t.Sleep(time.Hour)
				}
				park(t)
			})
		}
		spawn(s, n+1, func(t *Task) {
			t.Sleep(time.Second)
			s.Stop()
		})
		mustEnd(t, s)
		if deferred != n {
			t.Errorf("%d of %d tasks ran their deferred calls", deferred, n)
		}
		if len(s.coros) != 0 || len(s.free) != 0 {
			t.Errorf("%d coroutines are left, %d of them free", len(s.coros), len(s.free))
		}
	})
}

// A burst of parked tasks does not keep its coroutines.
func TestFreeCoroutinesAreBounded(t *testing.T) {
	s := New(Config{Clock: NewVirtualClock(time.Time{})})
	for i := range 4 * maxFree {
		spawn(s, uint64(i+1), func(t *Task) { t.Sleep(time.Second) })
	}
	spawn(s, 5000, func(t *Task) {
		t.Sleep(time.Second / 2)
		if n := len(s.coros); n < 4*maxFree {
			fail(s, "%d coroutines for %d parked tasks", n, 4*maxFree)
		}
		t.Sleep(time.Second)
		if n := len(s.coros); n > maxFree+2 {
			fail(s, "%d coroutines are kept, want %d at most", n, maxFree+2)
		}
		s.Stop()
	})
	mustEnd(t, s)
}

// Nor is the list of them.
func TestListOfCoroutinesShrinks(t *testing.T) {
	s := virtual()
	for i := range 3 * maxSpare / 2 {
		spawn(s, uint64(i+1), func(t *Task) { t.Sleep(time.Second) })
	}
	stopAt(s, time.Minute)
	mustEnd(t, s)
	if n := cap(s.coros); n > maxSpare {
		t.Errorf("room for %d coroutines is kept", n)
	}
}

// runtime.Goexit ends its own task and nobody else's: the only one, several in a row on the same
// worker, one that was parked before, one in whose worker's seat others are parked.
func TestGoexitEndsOnlyItsTask(t *testing.T) {
	for _, before := range []int{0, 1, 2, 50} { // tasks parked before it is called
		for _, parks := range []int{0, 1, 2} { // how often it parks itself before
			for _, after := range []int{0, 1, 2, 50} { // tasks called after it has parked
				synctest.Test(t, func(t *testing.T) {
					s := New(Config{Clock: NewVirtualClock(time.Time{})})
					ended := 0
					id := uint64(0)
					other := func() {
						id++
						spawn(s, id, func(t *Task) {
							t.Sleep(time.Second)
							t.Yield()
							t.Sleep(time.Second)
							ended++
						})
					}
					for range before {
						other()
					}
					exits := 0
					for range 3 {
						id++
						spawn(s, id, func(t *Task) {
							defer func() {
								exits++
								t.Sleep(time.Millisecond) // deferred calls may park
							}()
							for range parks {
								t.Sleep(500 * time.Millisecond)
							}
							runtime.Goexit()
						})
					}
					for range after {
						other()
					}
					spawn(s, 1000, func(t *Task) {
						t.Sleep(time.Minute)
						s.Stop()
					})
					mustEnd(t, s)
					if exits != 3 || ended != before+after {
						t.Errorf("before %d, parks %d, after %d: %d of 3 exits, %d of %d ends", before, parks, after, exits, ended, before+after)
					}
				})
			}
		}
	}
}

// Tasks that sleep, yield, wake each other, are killed and Goexit, in an order drawn from a seed.
// Everyone ends exactly once and no goroutine stays.
func TestGoexitInAnyOrder(t *testing.T) {
	seeds := 300
	if raceEnabled || testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 7))
			s := New(Config{Clock: NewVirtualClock(time.Time{}), Seed: uint64(seed)})
			const n = 40
			tasks := make([]*Task, n)
			ends := make([]int, n)
			for i := range tasks {
				tasks[i] = spawn(s, uint64(i+1), func(t *Task) {
					defer func() {
						ends[i]++
						if r.IntN(4) == 0 {
							defer t.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
							if r.IntN(2) == 0 {
								runtime.Goexit() // even in a deferred call, of a Goexit too
							}
						}
					}()
					for range r.IntN(20) {
						switch r.IntN(12) {
						case 0:
							runtime.Goexit()
						case 1:
							tasks[r.IntN(n)].Kill(r.IntN(2) == 0)
						case 2, 3:
							_ = t.Park(Wait{Kind: InReceive, Until: s.After(time.Duration(r.IntN(9)) * time.Millisecond)})
						case 4, 5:
							tasks[r.IntN(n)].Wake()
						case 6, 7, 8:
							t.Yield()
						default:
							t.Sleep(time.Duration(r.IntN(9)) * time.Millisecond)
						}
						if s.current != t || s.running.task != nil {
							fail(s, "control is not where it should be")
						}
					}
				})
			}
			spawn(s, n+1, func(t *Task) {
				t.Sleep(time.Minute)
				s.Stop()
			})
			mustEnd(t, s)
			for i, k := range ends {
				if k != 1 || tasks[i].State() != Finished {
					t.Errorf("seed %d: task %d ended %d times, is %v", seed, i+1, k, tasks[i].State())
				}
			}
		})
	}
}

// One after the other on what is the same worker, as a table of failing subtests would: no stack
// grows, nothing stays.
func TestGoexitThousandsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		s := New(Config{Clock: NewVirtualClock(time.Time{})})
		exits := 0
		var boot func()
		boot = func() {
			spawn(s, uint64(exits+1), func(t *Task) {
				if exits++; exits == n {
					s.Stop()
				} else {
					boot()
				}
				runtime.Goexit()
			})
		}
		boot()
		mustEnd(t, s)
		if exits != n {
			t.Errorf("%d of %d", exits, n)
		}
	})
}

// A panic that a Runner lets out ends Run, after all others were unwound.
func TestPanicOutOfRunnerEndsRun(t *testing.T) {
	for _, parked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{Clock: NewVirtualClock(time.Time{})})
			boom := errors.New("boom")
			unwound := 0
			for i := range 10 {
				spawn(s, uint64(i+1), func(t *Task) {
					defer func() { unwound++ }()
					park(t)
				})
			}
			bad := &Task{}
			bad.Init(s, 100, runFunc(func(t *Task) {
				if parked {
					t.Sleep(time.Second)
				}
				panic(boom)
			}))
			bad.Wake()
			err := s.Run()
			var p *PanicError
			if !errors.As(err, &p) || p.Value != boom || !errors.Is(err, boom) {
				t.Fatalf("Run() = %v, want the panic", err)
			}
			if !strings.Contains(p.Stack.String(), "TestPanicOutOfRunnerEndsRun") {
				t.Errorf("the stack does not show where:\n%s", p.Stack)
			}
			if unwound != 10 {
				t.Errorf("%d of 10 others were unwound", unwound)
			}
			if l := s.Leaked(); len(l) != 0 {
				t.Errorf("leaked %v", l)
			}
		})
	}
}

// More panics while the others unwind, even from all of them: everyone still unwinds, and the first
// panic is reported.
func TestPanicsWhileUnwinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Clock: NewVirtualClock(time.Time{})})
		unwound := 0
		for i := range 20 {
			bad := &Task{}
			bad.Init(s, uint64(i+1), runFunc(func(t *Task) {
				defer func() {
					unwound++
					if i%2 == 0 {
						panic(i)
					}
				}()
				park(t) // and lets the kill out
			}))
			bad.Wake()
		}
		first := &Task{}
		first.Init(s, 100, runFunc(func(*Task) { panic("first") }))
		first.Wake()
		var p *PanicError
		if err := s.Run(); !errors.As(err, &p) || p.Value != "first" {
			t.Errorf("Run() = %v, want the first panic", err)
		}
		if unwound != 20 || len(s.Leaked()) != 0 {
			t.Errorf("%d of 20 unwound, %d leaked", unwound, len(s.Leaked()))
		}
	})
}

// A panic on a worker on which there was a Goexit before.
func TestPanicAfterGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Clock: NewVirtualClock(time.Time{})})
		spawn(s, 1, func(*Task) { runtime.Goexit() })
		spawn(s, 2, park)
		spawn(s, 3, func(*Task) { runtime.Goexit() })
		bad := &Task{}
		bad.Init(s, 4, runFunc(func(*Task) { panic("boom") }))
		bad.Wake()
		var p *PanicError
		if err := s.Run(); !errors.As(err, &p) || p.Value != "boom" {
			t.Errorf("Run() = %v, want the panic", err)
		}
	})
}

// A panic in a deferred call of a Goexit: the Goexit goes on after the panic was recovered, and
// must not spread.
func TestPanicWhileInGoexit(t *testing.T) {
	for _, parked := range []int{0, 1, 20} {
		synctest.Test(t, func(t *testing.T) {
			s := New(Config{Clock: NewVirtualClock(time.Time{})})
			unwound := 0
			other := func(t *Task) {
				defer func() { unwound++ }()
				t.Sleep(time.Hour)
			}
			for i := range parked {
				spawn(s, uint64(i+1), other)
			}
			bad := &Task{}
			bad.Init(s, 100, runFunc(func(t *Task) {
				defer func() { panic("boom") }()
				t.Sleep(time.Second)
				runtime.Goexit()
			}))
			bad.Wake()
			for i := range parked {
				spawn(s, uint64(i+201), other)
			}
			var p *PanicError
			if err := s.Run(); !errors.As(err, &p) || p.Value != "boom" {
				t.Errorf("Run() = %v, want the panic", err)
			}
			if unwound != 2*parked || len(s.Leaked()) != 0 {
				t.Errorf("%d of %d others were unwound", unwound, 2*parked)
			}
		})
	}
}

// Injected work must not call Goexit. Where it takes no task along, it ends the scheduler in good
// order.
func TestGoexitInInjectedWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Clock: NewVirtualClock(time.Time{})})
		s.InjectFunc(runtime.Goexit)
		var p *PanicError
		if err := s.Run(); !errors.As(err, &p) || p.Value != "runtime.Goexit outside of a task" {
			t.Errorf("Run() = %v", err)
		}
	})
}
