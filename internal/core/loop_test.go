package core

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// trace is what happened in a run, in order.
type trace []string

func (l *trace) add(format string, args ...any) { *l = append(*l, fmt.Sprintf(format, args...)) }

func (l *trace) want(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(*l, " "); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func virtual() *Scheduler { return New(Config{Clock: NewVirtualClock(time.Time{})}) }

// stopAt ends s at d on its clock.
func stopAt(s *Scheduler, d time.Duration) {
	spawn(s, 1<<39, func(t *Task) {
		t.Sleep(d)
		s.Stop()
	})
}

// elapsed is the time on s's clock since s was made.
func elapsed(s *Scheduler) time.Duration { return time.Duration(s.Nanotime() - s.origin) }

func TestReadyTasksRunFirstComeFirstServed(t *testing.T) {
	s := virtual()
	var log trace
	for i := range 5 {
		spawn(s, uint64(i+1), func(t *Task) {
			log.add("%d", t.ID())
			if i == 1 {
				// to the tail; the starter goes on (rule 25)
				spawn(s, 9, func(t *Task) { log.add("%d", t.ID()) })
				log.add("started")
			}
		})
	}
	stopAt(s, time.Second)
	mustEnd(t, s)
	log.want(t, "1 2 started 3 4 5 9")
}

func TestYieldGoesToTheTail(t *testing.T) {
	s := virtual()
	var log trace
	for i := range 3 {
		spawn(s, uint64(i+1), func(t *Task) {
			for round := range 3 {
				log.add("%d.%d", t.ID(), round)
				if round == 1 {
					t.Sleep(-time.Second) // rule 15: d <= 0 is Yield
				} else {
					t.Yield()
				}
			}
		})
	}
	spawn(s, 9, func(t *Task) {
		for range 5 {
			t.Yield()
		}
		if elapsed(s) != 0 {
			fail(s, "yielding took time")
		}
		s.Stop()
	})
	mustEnd(t, s)
	log.want(t, "1.0 2.0 3.0 1.1 2.1 3.1 1.2 2.2 3.2")
}

func TestWakeByState(t *testing.T) {
	for _, test := range []struct {
		state State // when it is woken
		want  string
	}{
		{Idle, "called"},
		{Ready, "called"}, // once: wake-ups don't count
		{Running, "called called"},
		{Parked, "called resumed"},
		{Finished, "called"},
	} {
		t.Run(test.state.String(), func(t *testing.T) {
			s := virtual()
			var log trace
			var x Task
			calls := 0
			x.Init(s, 1, runFunc(func(t *Task) {
				log.add("called")
				if calls++; calls > 1 {
					return
				}
				switch test.state {
				case Running:
					t.Wake()
					t.Wake()
				case Parked:
					park(t)
					log.add("resumed")
				case Finished:
					t.Finish()
				}
			}))
			if test.state != Idle {
				x.Wake()
			}
			wake := func() {
				if x.State() != test.state {
					fail(s, "is %v", x.State())
				}
				x.Wake()
				x.Wake()
			}
			if test.state == Ready {
				wake()
			} else if test.state != Running {
				spawn(s, 2, func(*Task) { wake() })
			}
			stopAt(s, time.Second)
			mustEnd(t, s)
			log.want(t, test.want)
		})
	}
}

// A wake-up of a running task that then parks is not lost and does not end the wait: the task is
// called again.
func TestWakeOfRunningTaskThatParks(t *testing.T) {
	s := virtual()
	var log trace
	var x Task
	x.Init(s, 1, runFunc(func(t *Task) {
		log.add("called")
		if len(log) == 1 {
			t.Wake()
			t.Sleep(time.Second)
			log.add("slept")
		}
	}))
	x.Wake()
	stopAt(s, time.Minute)
	mustEnd(t, s)
	log.want(t, "called slept called")
}

// Finish of a task in the run queue: it is not called again.
func TestFinishWhileReady(t *testing.T) {
	s := virtual()
	var x Task
	x.Init(s, 1, runFunc(func(*Task) { fail(s, "called after it has finished") }))
	spawn(s, 2, func(*Task) { x.Finish() })
	x.Wake()
	x.Finish()
	x.Wake()
	stopAt(s, time.Second)
	mustEnd(t, s)
	if x.State() != Finished {
		t.Errorf("is %v", x.State())
	}
}

// Rule 15: timers round up to the next tick of 1 ms, counted from the scheduler's start; a deadline
// on a tick fires on it.
func TestSleepEndsOnATick(t *testing.T) {
	clock := NewVirtualClock(time.Time{})
	clock.jump(1234567) // the scheduler's start is not a tick of the clock
	s := New(Config{Clock: clock})
	spawn(s, 1, func(t *Task) {
		var at time.Duration
		for _, test := range []struct{ sleep, want time.Duration }{
			{time.Nanosecond, time.Millisecond},
			{time.Millisecond, time.Millisecond},
			{time.Millisecond + 1, 2 * time.Millisecond},
			{2*time.Millisecond - 1, 2 * time.Millisecond},
			{63 * time.Millisecond, 63 * time.Millisecond},
			{64 * time.Millisecond, 64 * time.Millisecond},
			{time.Hour, time.Hour},
			{365 * 24 * time.Hour, 365 * 24 * time.Hour},
		} {
			t.Sleep(test.sleep)
			if got := elapsed(s) - at; got != test.want {
				fail(s, "Sleep(%v) took %v, want %v", test.sleep, got, test.want)
			}
			at = elapsed(s)
		}
		s.Stop()
	})
	mustEnd(t, s)
}

// Rule 15, with the real clock.
func TestSleepIsExactInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		spawn(s, 1, func(t *Task) {
			for _, d := range []time.Duration{time.Hour, time.Millisecond, 7 * time.Second, 1000 * time.Hour} {
				begin := time.Now()
				t.Sleep(d)
				if got := time.Since(begin); got != d {
					fail(s, "Sleep(%v) took %v", d, got)
				}
			}
			s.Stop()
		})
		mustEnd(t, s)
	})
}

// The longest sleep there is, more than once: time must not overflow.
func TestSleepForLongerThanTimeLasts(t *testing.T) {
	s := virtual()
	spawn(s, 1, func(t *Task) {
		for range 3 {
			before := s.Nanotime()
			t.Sleep(1<<63 - 1)
			if s.Nanotime() <= before {
				fail(s, "time stands still")
			}
		}
		s.Stop()
	})
	mustEnd(t, s)
}

// handClock is moved by hand.
type handClock struct{ VirtualClock }

func (*handClock) virtual() bool { return false }

// A task that yields for ever starves neither timers (they are looked at every 64 activations) nor
// injected work.
func TestYieldingForEverStarvesNobody(t *testing.T) {
	clock := &handClock{}
	s := New(Config{Clock: clock})
	yields, due := 0, 0
	spawn(s, 1, func(t *Task) {
		for {
			t.Yield()
			if yields++; yields == 1000 {
				clock.jump(int64(time.Second))
				due = yields
			}
		}
	})
	spawn(s, 2, func(t *Task) {
		t.Sleep(time.Second)
		if yields-due > glance {
			fail(s, "the timer fired %d activations late", yields-due)
		}
		before := yields
		s.InjectFunc(func() {
			if yields != before {
				fail(s, "injected work was done %d activations late", yields-before)
			}
			s.Stop()
		})
	})
	mustEnd(t, s)
}

// Idle, the loop does not poll: it goes round a few times an hour, for the cascades of the wheel.
func TestIdleDoesNotPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Hooks: Hooks{Stall: func(Stall) {}}})
		passes := func() uint32 { return s.tick }
		var before uint32
		x := spawn(s, 1, func(t *Task) {
			before = passes()
			t.Sleep(100 * time.Hour)
			if n := passes() - before; n > 20 {
				fail(s, "%d passes in 100 hours of sleep", n)
			}
			before = passes()
			t.Park(Wait{Kind: InAwait})
			if n := passes() - before; n > 5 {
				fail(s, "%d passes while waiting for the outside", n)
			}
			s.Stop()
		})
		go func() {
			time.Sleep(1000 * time.Hour)
			s.InjectFunc(x.Wake)
		}()
		mustEnd(t, s)
	})
}

// While the outside is awaited, virtual time stands still: by a task parked with one of the kinds
// for it, or by AwaitOutside.
func TestVirtualTimeWaitsForTheOutside(t *testing.T) {
	for _, kind := range []Kind{InAwait, InIO, NotParked} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := virtual()
				var log trace
				begin := make(chan func())
				spawn(s, 1, func(t *Task) {
					if kind == NotParked {
						s.AwaitOutside(1)
						begin <- func() {
							s.AwaitOutside(-1)
							log.add("outside at %v", elapsed(s))
						}
						return
					}
					begin <- t.Wake
					t.Park(Wait{Kind: kind})
					log.add("outside at %v", elapsed(s))
				})
				spawn(s, 2, func(t *Task) {
					t.Sleep(time.Millisecond)
					log.add("slept at %v", elapsed(s))
					s.Stop()
				})
				go func() {
					f := <-begin
					time.Sleep(time.Hour) // of the bubble
					s.InjectFunc(f)
				}()
				mustEnd(t, s)
				log.want(t, "outside at 0s slept at 1ms")
			})
		})
	}
}

// Rule 16, virtual clock: the hook is called at once and once, and may make something ready; then
// it is called again.
func TestQuiescentWithVirtualClock(t *testing.T) {
	var s *Scheduler
	var x *Task
	calls := 0
	s = New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{Quiescent: func() {
		switch calls++; calls {
		case 1, 2:
			x.Wake()
		case 3:
			s.Stop()
		}
	}}})
	x = spawn(s, 1, func(t *Task) {
		park(t)
		if calls != 1 {
			fail(s, "%d calls", calls)
		}
		t.Sleep(time.Hour) // a timer runs: not quiescent
		if calls != 1 {
			fail(s, "%d calls after a sleep", calls)
		}
		park(t)
	})
	mustEnd(t, s)
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
}

// Rule 16, real clock: after one second, once, and again only when something has happened.
func TestQuiescentWithRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *Scheduler
		var log trace
		begin := time.Now()
		s = New(Config{Hooks: Hooks{Quiescent: func() { log.add("quiet at %v", time.Since(begin)) }}})
		x := spawn(s, 1, func(t *Task) {
			park(t)
			t.Sleep(10 * time.Second)
			t.Park(Wait{Kind: InAwait})
			park(t)
		})
		go func() {
			for range 5 {
				time.Sleep(500 * time.Millisecond)
				s.InjectFunc(func() {}) // the second counts anew
			}
			time.Sleep(time.Minute)
			s.InjectFunc(x.Wake)
			time.Sleep(time.Minute)
			s.InjectFunc(x.Wake)
			time.Sleep(time.Minute)
			s.Stop()
		}()
		mustEnd(t, s)
		log.want(t, "quiet at 3.5s quiet at 2m3.5s")
	})
}

// Rule 39: with a seed the order is drawn, and the same seed draws the same, whatever the number of
// processors.
func TestSeedDecidesTheOrder(t *testing.T) {
	run := func(seed uint64) string {
		s := New(Config{Clock: NewVirtualClock(time.Time{}), Seed: seed})
		var log trace
		for i := range 10 {
			spawn(s, uint64(i+1), func(t *Task) {
				for range 5 {
					log.add("%d", t.ID())
					if i%3 == 0 {
						t.Sleep(time.Duration(i) * time.Millisecond)
					} else {
						t.Yield()
					}
				}
			})
		}
		stopAt(s, time.Second)
		mustEnd(t, s)
		return strings.Join(log, " ")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	first := run(1)
	for _, procs := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(procs)
		for range 10 {
			if got := run(1); got != first {
				t.Fatalf("GOMAXPROCS %d: the same seed gave\n%s\nand\n%s", procs, first, got)
			}
		}
	}
	seen := map[string]bool{}
	for seed := range uint64(10) {
		seen[run(seed)] = true // 0: first come, first served
	}
	if len(seen) != 10 {
		t.Errorf("10 seeds gave %d orders", len(seen))
	}
}

func TestWakeAtCallsAnIdleTask(t *testing.T) {
	s := virtual()
	var log trace
	var x, y Task
	x.Init(s, 1, runFunc(func(t *Task) {
		log.add("x at %v", elapsed(s))
		switch len(log) {
		case 1:
			t.WakeAt(s.After(time.Hour))
			t.WakeAt(s.After(time.Second)) // instead
		case 2:
			t.WakeAt(s.After(time.Second))
			t.WakeStop()
		}
	}))
	x.Wake()
	y.Init(s, 2, runFunc(func(t *Task) {
		t.WakeAt(s.After(time.Second))
		t.Finish() // takes it back
	}))
	y.Wake()
	stopAt(s, 2*time.Hour)
	mustEnd(t, s)
	log.want(t, "x at 0s x at 1s")
}

// WakeAt and a wait with a limit use the same timer. Neither disturbs the other.
func TestWakeAtDoesNotDisturbAWait(t *testing.T) {
	for name, wait := range map[string]func(t *Task){
		"sleep": func(t *Task) { t.Sleep(5 * time.Second) },
		"yield": func(t *Task) {
			for elapsed(t.s) < 5*time.Second {
				t.Yield()
			}
		},
		"park":          func(t *Task) { t.s.InjectFunc(func() {}); park(t) },
		"short":         func(t *Task) { t.Sleep(500 * time.Millisecond); t.Sleep(4500 * time.Millisecond) },
		"kill":          func(t *Task) { defer func() { _ = recover() }(); park(t) },
		"several waits": func(t *Task) { t.Sleep(time.Second); t.Sleep(time.Second); t.Sleep(3 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			clock := &handClock{}
			s := New(Config{Clock: clock})
			var log trace
			var x Task
			x.Init(s, 1, runFunc(func(t *Task) {
				log.add("called at %v", elapsed(s))
				if len(log) > 1 {
					s.Stop()
					return
				}
				t.WakeAt(s.After(time.Second))
				wait(t)
				log.add("waited till %v", elapsed(s))
			}))
			x.Wake()
			spawn(s, 2, func(t *Task) {
				for {
					for range 3 * glance {
						t.Yield()
					}
					clock.jump(clock.since() + int64(500*time.Millisecond))
					if elapsed(s) == 5*time.Second {
						if name == "kill" {
							x.Kill(false)
						} else if name == "park" {
							x.Wake()
						}
					}
				}
			})
			mustEnd(t, s)
			log.want(t, "called at 0s waited till 5s called at 5s")
		})
	}
}

// What the loop calls besides tasks runs on the stack of whoever gave up control. If it panics, the
// scheduler ends, and the task sees nothing but the kill of the end.
func TestPanicOutsideOfTasks(t *testing.T) {
	for _, test := range []struct {
		name  string
		begin func(s *Scheduler)
	}{
		{"injected", func(s *Scheduler) { s.InjectFunc(func() { panic("boom") }) }},
		{"timer", func(s *Scheduler) { s.StartTimer(&Timer{}, s.After(time.Second), expireFunc(func() { panic("boom") })) }},
		{"quiescent", func(*Scheduler) {}},
	} {
		for _, clock := range []string{"virtual", "real"} {
			t.Run(test.name+", "+clock, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var cfg Config
					if clock == "virtual" {
						cfg.Clock = NewVirtualClock(time.Time{})
					}
					if test.name == "quiescent" {
						cfg.Hooks.Quiescent = func() { panic("boom") }
					}
					s := New(cfg)
					var seen any
					done := false
					var x Task
					x.Init(s, 1, runFunc(func(t *Task) {
						defer t.Finish()
						defer func() { seen = recover() }()
						test.begin(s)
						// what comes after the panic is done too
						s.InjectFunc(func() { done = true })
						park(t)
					}))
					x.Wake()
					var p *PanicError
					if err := s.Run(); !errors.As(err, &p) || p.Value != "boom" {
						t.Errorf("Run() = %v", err)
					}
					if e, ok := seen.(*Exit); !ok || e.Task != &x {
						t.Errorf("the task saw %v", seen)
					}
					if !done {
						t.Error("accepted work was not done")
					}
				})
			})
		}
	}
}

func TestRunTwiceIsMisuse(t *testing.T) {
	s := virtual()
	s.Stop() // before Run is fine
	mustEnd(t, s)
	defer func() {
		if v := recover(); v != "scheduler: Run called twice" {
			t.Error(v)
		}
	}()
	_ = s.Run()
}

// Stop ends what would go on for ever, and leaves no goroutine.
func TestStopEnds(t *testing.T) {
	for name, begin := range map[string]func(s *Scheduler){
		"nothing": func(*Scheduler) {},
		"a task that yields for ever": func(s *Scheduler) {
			spawn(s, 1, func(t *Task) {
				for {
					t.Yield()
				}
			})
		},
		"a task that wakes itself for ever": func(s *Scheduler) {
			x := &Task{}
			x.Init(s, 1, runFunc(func(t *Task) { t.Wake() }))
			x.Wake()
		},
		"tasks that start each other for ever": func(s *Scheduler) {
			var begin func()
			begin = func() {
				spawn(s, 1, func(t *Task) {
					begin()
					t.Yield()
				})
			}
			begin()
		},
		"deferred calls that start tasks that park": func(s *Scheduler) {
			spawn(s, 1, func(t *Task) {
				defer spawn(s, 2, func(t *Task) {
					defer spawn(s, 3, park)
					park(t)
				})
				park(t)
			})
		},
		"a deferred call that parks again and again": func(s *Scheduler) {
			spawn(s, 1, func(t *Task) {
				for range 50 {
					defer t.Sleep(time.Hour)
				}
				park(t)
			})
		},
		"one that recovers some kills": func(s *Scheduler) {
			spawn(s, 1, func(t *Task) {
				for range 50 {
					recovering(func() { park(t) })
				}
			})
		},
		"deferred calls that inject": func(s *Scheduler) {
			spawn(s, 1, func(t *Task) {
				defer s.InjectFunc(func() { spawn(s, 2, park) })
				park(t)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := virtual()
				begin(s)
				spawn(s, 100, func(t *Task) {
					for range 10 {
						t.Yield()
					}
					s.Stop()
				})
				mustEnd(t, s)
			})
		})
	}
}

func recovering(f func()) {
	defer func() { _ = recover() }()
	f()
}

// Whoever recovers every kill and blocks again is given up and named; all others unwind.
func TestLeakedAreThoseThatRecoverEveryKill(t *testing.T) {
	before := runtime.NumGoroutine()
	s := virtual()
	for i, block := range []func(t *Task){
		park,
		(*Task).Yield,
		func(t *Task) { t.Sleep(time.Hour) },
		func(t *Task) { t.Park(Wait{Kind: InChan, In: &Waiter{}, Until: s.After(time.Hour)}) },
	} {
		spawn(s, uint64(i+1), func(t *Task) {
			for {
				recovering(func() { block(t) })
			}
		})
		spawn(s, uint64(i+11), func(t *Task) {
			defer func() {
				for { // no recover seen from outside: the first kill is still on its way
					recovering(func() { block(t) })
				}
			}()
			park(t)
		})
		spawn(s, uint64(i+21), block)
	}
	spawn(s, 100, func(t *Task) {
		t.Yield()
		s.Stop()
	})
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, l := range s.Leaked() {
		got = append(got, l.ID())
	}
	slices.Sort(got)
	if want := []uint64{1, 2, 3, 4, 11, 12, 13, 14}; !reflect.DeepEqual(got, want) {
		t.Errorf("leaked %v, want %v", got, want)
	}
	if n := runtime.NumGoroutine() - before; n > len(got) {
		t.Errorf("%d goroutines stay for %d leaked tasks", n, len(got))
	}
}

// Housekeeping before a sleep may make something ready, and its panic is nobody's.
func TestChores(t *testing.T) {
	clock := &handClock{}
	s := New(Config{Clock: clock})
	var x *Task
	x = spawn(s, 1, func(t *Task) {
		s.WhenCalm(workFunc(x.Wake))
		clock.jump(2 * calmAfter)
		park(t)
		s.WhenCalm(workFunc(func() { panic("boom") }))
		clock.jump(4 * calmAfter)
		park(t)
	})
	var p *PanicError
	if err := s.Run(); !errors.As(err, &p) || p.Value != "boom" {
		t.Errorf("Run() = %v", err)
	}
	if x.State() != Finished {
		t.Errorf("is %v", x.State())
	}
}
