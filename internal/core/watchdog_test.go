package core

import (
	"bytes"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// stalls collects what the hook is called with. In a bubble a task hogs by time.Sleep, which blocks
// the scheduler.
type stalls struct {
	begin time.Time
	all   []seen // owned by the watchdog's goroutine until Run has ended
}

type seen struct {
	Stall
	at time.Duration
}

func (l *stalls) hook(x Stall) { l.all = append(l.all, seen{x, time.Since(l.begin)}) }

// want checks that there were just these stalls: begin and end of each, for a limit of 100 ms. A
// stall is reported between the limit and a quarter of it later, if the samples fall badly after
// another; its end within a quarter.
func (l *stalls) want(t *testing.T, id uint64, want ...[2]time.Duration) {
	t.Helper()
	const limit, quarter = 100 * time.Millisecond, 25 * time.Millisecond
	if len(l.all) != 2*len(want) {
		t.Fatalf("%d reports, want %d", len(l.all), 2*len(want))
	}
	for i, w := range want {
		begin, end := l.all[2*i], l.all[2*i+1]
		if begin.Over || begin.ID != id || begin.at < w[0]+limit || begin.at > w[0]+limit+quarter {
			t.Errorf("report of %d at %v (over: %v), want %d, %v after %v", begin.ID, begin.at, begin.Over, id, limit, w[0])
		}
		if !end.Over || end.ID != id || end.at < w[1] || end.at > w[1]+quarter {
			t.Errorf("report of %d at %v (over: %v), want the end of %d at %v", end.ID, end.at, end.Over, id, w[1])
		}
		if begin.For != limit || end.For < begin.For || end.For > w[1]-w[0]+quarter {
			t.Errorf("For is %v and %v for a stall of %v", begin.For, end.For, w[1]-w[0])
		}
	}
}

func watched(after time.Duration, clock Clock) (*Scheduler, *stalls) {
	l := &stalls{begin: time.Now()}
	return New(Config{Clock: clock, StallAfter: after, Hooks: Hooks{Stall: l.hook}}), l
}

func hogFor(d time.Duration) { time.Sleep(d) }

func TestStallIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := watched(100*time.Millisecond, nil)
		spawn(s, 7, func(t *Task) {
			hogFor(time.Second)
			t.Yield() // takes control away, and gives it back
			hogFor(90 * time.Millisecond)
			t.Yield()
			hogFor(200 * time.Millisecond)
			t.Sleep(time.Minute)
			s.Stop()
		})
		mustEnd(t, s)
		const ms = time.Millisecond
		l.want(t, 7, [2]time.Duration{0, 1000 * ms}, [2]time.Duration{1090 * ms, 1290 * ms})
		stack := l.all[0].Stack
		for _, name := range []string{"core.hogFor", "TestStallIsReportedOnce"} {
			if !bytes.Contains(stack, []byte(name)) {
				t.Errorf("the stack does not show %s:\n%s", name, stack)
			}
		}
		if n := bytes.Count(stack, []byte("core.(*Scheduler).call(")); n != 1 {
			t.Errorf("the stack shows %d activations:\n%s", n, stack)
		}
	})
}

// While the scheduler sleeps, so does the watchdog; it is awake when the stall follows right after.
func TestStallRightAfterIdleSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := watched(0, nil) // 100 ms
		spawn(s, 1, func(t *Task) {
			for range 3 {
				t.Sleep(time.Hour)
				hogFor(200 * time.Millisecond)
			}
			s.Stop()
		})
		awake := 0
		quit := make(chan struct{})
		go func() {
			defer close(quit)
			for range 36 {
				time.Sleep(5*time.Minute - time.Millisecond)
				synctest.Wait()
				if !s.watch.asleep.Load() {
					awake++
				}
			}
		}()
		mustEnd(t, s)
		<-quit
		if awake > 1 { // the last time everything has ended
			t.Errorf("the watchdog was awake %d times while the scheduler slept", awake)
		}
		const hog = 200 * time.Millisecond
		l.want(t, 1, [2]time.Duration{time.Hour, time.Hour + hog},
			[2]time.Duration{2*time.Hour + hog, 2*time.Hour + 2*hog}, [2]time.Duration{3*time.Hour + 2*hog, 3*time.Hour + 3*hog})
	})
}

// A stall that lasts until Run ends is over then.
func TestStallAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := watched(100*time.Millisecond, nil)
		spawn(s, 3, func(t *Task) {
			s.Stop()
			hogFor(210 * time.Millisecond)
		})
		mustEnd(t, s)
		l.want(t, 3, [2]time.Duration{0, 210 * time.Millisecond})
	})
}

// Rule 39: off under a virtual clock unless StallAfter is set; then real time is what it watches.
func TestWatchdogIsOffByDefaultOnTheVirtualClock(t *testing.T) {
	for _, test := range []struct {
		after   time.Duration
		virtual bool
		on      bool
	}{
		{0, false, true},
		{-1, false, false},
		{0, true, false},
		{time.Second, true, true},
		{-1, true, false},
	} {
		var clock Clock
		if test.virtual {
			clock = NewVirtualClock(time.Time{})
		}
		synctest.Test(t, func(t *testing.T) {
			s, l := watched(test.after, clock)
			spawn(s, 1, func(t *Task) {
				hogFor(time.Minute)
				if id, word := s.Busy(); id != 1 || word == 0 { // on or off
					fail(s, "Busy() = %d, %d", id, word)
				}
				s.Stop()
			})
			mustEnd(t, s)
			if on := len(l.all) > 0; on != test.on {
				t.Errorf("StallAfter %v, virtual %v: %d reports", test.after, test.virtual, len(l.all))
			}
		})
	}
	if s := New(Config{}); s.watch.limit > 0 {
		t.Error("on without a hook")
	}
}

// A hog that computes, among many parked tasks: its stack and nobody else's.
func TestStallOfABusyTask(t *testing.T) {
	var report atomic.Pointer[Stall]
	s := New(Config{StallAfter: 4 * time.Millisecond, Hooks: Hooks{Stall: func(x Stall) {
		if !x.Over && x.ID == 1000 { // others are a slow machine
			report.CompareAndSwap(nil, &x)
		}
	}}})
	for i := range 100 {
		spawn(s, uint64(i+1), park)
	}
	spawn(s, 1000, func(*Task) {
		spinUntil(func() bool { return report.Load() != nil })
		s.Stop()
	})
	mustEnd(t, s)
	x := report.Load()
	if x == nil {
		t.Fatal("no report")
	}
	if !bytes.Contains(x.Stack, []byte("core.spinUntil")) || bytes.Contains(x.Stack, []byte("core.park+")) {
		t.Errorf("task %d\n%s", x.ID, x.Stack)
	}
}

// spinUntil computes until done, or for a long time.
func spinUntil(done func() bool) {
	for limit := time.Now().Add(time.Minute); !done() && time.Now().Before(limit); {
	}
}
