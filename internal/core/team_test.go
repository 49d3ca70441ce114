package core

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// newTeam makes n schedulers of one team, with an id for each: 1, 2, ...
func newTeam(n int, clock Clock, hooks Hooks) []*Scheduler {
	g := new(Team)
	var ss []*Scheduler
	for range n {
		ss = append(ss, New(Config{Clock: clock, Team: g, Hooks: hooks}))
	}
	return ss
}

// runAll runs ss and gives what each returned.
func runAll(ss []*Scheduler) []error {
	errs := make([]error, len(ss))
	var wg sync.WaitGroup
	for i, s := range ss {
		wg.Go(func() { errs[i] = s.Run() })
	}
	wg.Wait()
	return errs
}

func stopAll(ss []*Scheduler) {
	for _, s := range ss {
		s.Stop()
	}
}

// lockedTrace is a trace for several goroutines.
type lockedTrace struct {
	mu sync.Mutex
	trace
}

func (l *lockedTrace) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trace.add(format, args...)
}

// With a virtual clock time goes on when nothing is ready on any member, to the earliest of all
// their timers. A member that is woken by another runs before that.
func TestTeamTime(t *testing.T) {
	for range 20 {
		clock := NewVirtualClock(time.Time{})
		ss := newTeam(3, clock, Hooks{})
		var log lockedTrace
		begin := clock.Now()
		note := func(who string) { log.add("%s %v", who, clock.Now().Sub(begin)) }
		waiter := spawn(ss[2], 1, func(t *Task) {
			park(t) // an hour is not over before it has got the news of the first
			note("c woken")
			t.Sleep(30 * time.Minute)
			note("c slept")
		})
		spawn(ss[0], 1, func(t *Task) {
			t.Sleep(time.Hour)
			note("a")
			waiter.Scheduler().InjectFunc(waiter.Wake)
			t.Sleep(2 * time.Hour)
			note("a")
			stopAll(ss)
		})
		spawn(ss[1], 1, func(t *Task) {
			t.Sleep(90*time.Minute + time.Millisecond)
			note("b")
		})
		for i, err := range runAll(ss) {
			if err != nil {
				t.Fatal(i, err)
			}
		}
		log.want(t, "a 1h0m0s c woken 1h0m0s c slept 1h30m0s b 1h30m0.001s a 3h0m0s")
	}
}

// While one member awaits the outside, a virtual clock stands still for all.
func TestTeamTimeAndOutside(t *testing.T) {
	clock := NewVirtualClock(time.Time{})
	ss := newTeam(2, clock, Hooks{})
	begin := clock.Now()
	spawn(ss[1], 1, func(t *Task) { t.Sleep(time.Hour); stopAll(ss) })
	spawn(ss[0], 1, func(t *Task) {
		wake := t.NextWait()
		go func() {
			for range 1000 {
				runtime.Gosched() // the others have every chance to go on without it
			}
			wake.Send()
		}()
		_ = t.Park(Wait{Kind: InAwait})
		if d := clock.Now().Sub(begin); d != 0 {
			fail(ss[0], "%v have passed", d)
		}
	})
	for _, err := range runAll(ss) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Rule 16: quiescent is a team of which no member has anything to do. The hook is called once until
// something happens again, and the members stand still meanwhile.
func TestTeamQuiescent(t *testing.T) {
	for _, virtual := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var ss []*Scheduler
			var log lockedTrace
			begin := time.Now()
			var tasks []*Task
			hooks := Hooks{Quiescent: func() {
				parked := 0
				for _, x := range tasks {
					if kind, _, _ := x.Waits(); kind == InReceive {
						parked++
					}
				}
				log.add("%d parked at %v", parked, time.Since(begin))
			}}
			clock := RealClock()
			if virtual {
				clock = NewVirtualClock(time.Time{})
			}
			ss = newTeam(3, clock, hooks)
			for i, s := range ss {
				tasks = append(tasks, spawn(s, uint64(i+1), func(t *Task) { park(t); park(t) }))
			}
			go func() {
				time.Sleep(time.Minute)
				ss[1].InjectFunc(func() {}) // nothing has happened
				time.Sleep(time.Minute)
				ss[1].InjectFunc(tasks[1].Wake)
				time.Sleep(time.Minute)
				stopAll(ss)
			}()
			for _, err := range runAll(ss) {
				if err != nil {
					t.Fatal(err)
				}
			}
			if virtual {
				log.want(t, "3 parked at 0s 3 parked at 2m0s")
			} else {
				log.want(t, "3 parked at 1s 3 parked at 2m1s")
			}
		})
	}
}

// A member that a panic has ended serves the others until it is told to stop: what they have to do
// with its tasks is done.
func TestTeamCrash(t *testing.T) {
	ss := newTeam(2, RealClock(), Hooks{})
	unwound := make(chan struct{})
	spawn(ss[1], 1, func(t *Task) {
		defer close(unwound)
		park(t)
	})
	ss[1].InjectFunc(func() { panic("boom") })
	spawn(ss[0], 1, func(t *Task) {
		wake := t.NextWait()
		go func() {
			<-unwound
			wake.Send()
		}()
		_ = t.Park(Wait{Kind: InAwait})
		bell := t.NewBell()
		if !ss[1].InjectFunc(func() { bell.Ring(ss[1]) }) {
			fail(ss[0], "the door is shut")
		}
		_ = bell.Park(Wait{})
		stopAll(ss)
	})
	errs := runAll(ss)
	var p *PanicError
	if errs[0] != nil || !errors.As(errs[1], &p) || p.Value != "boom" {
		t.Errorf("%v", errs)
	}
}

// A bell wakes a task whenever it waits by it, from its own scheduler, from another and from a
// goroutine, and never from another wait.
func TestBell(t *testing.T) {
	ss := newTeam(2, NewVirtualClock(time.Time{}), Hooks{})
	spawn(ss[0], 1, func(t *Task) {
		bell := t.NewBell()
		bell.Ring(ss[0]) // nobody waits
		spawn(ss[0], 2, func(*Task) { bell.Ring(ss[0]) })
		_ = bell.Park(Wait{})
		ss[1].InjectFunc(func() { bell.Ring(ss[1]) })
		_ = bell.Park(Wait{})
		t.Scheduler().AwaitOutside(1)
		go bell.Ring(nil)
		_ = bell.Park(Wait{})
		t.Scheduler().AwaitOutside(-1)
		begin := t.Scheduler().Now()
		spawn(ss[0], 3, func(*Task) { bell.Ring(ss[0]) })
		t.Sleep(time.Second)
		if d := t.Scheduler().Now().Sub(begin); d != time.Second {
			fail(ss[0], "slept %v", d)
		}
		stopAll(ss)
	})
	for _, err := range runAll(ss) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTeamMisuse(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "the schedulers of a Team must share one Clock") {
			t.Error(got)
		}
	}()
	g := new(Team)
	New(Config{Team: g})
	New(Config{Team: g})
}

func TestKin(t *testing.T) {
	ss := newTeam(2, NewVirtualClock(time.Time{}), Hooks{})
	alone := New(Config{})
	if !ss[0].Kin(ss[1]) || !ss[0].Kin(ss[0]) || !alone.Kin(alone) || ss[0].Kin(alone) || alone.Kin(New(Config{})) || alone.Kin(nil) {
		t.Error("wrong")
	}
}
