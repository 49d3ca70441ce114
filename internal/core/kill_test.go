package core

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// caughtKill runs f and reports whether a kill of t was raised in it.
func caughtKill(t *Task, f func()) (raised bool) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *Exit:
			if v.Task != t {
				panic(testFailure("somebody else's kill"))
			}
			raised = true
		default:
			panic(v)
		}
	}()
	f()
	return false
}

// Rule 17, soft: raised once, at the blocking point where the task is parked.
func TestSoftKillIsRaisedWhereTheTaskIsParked(t *testing.T) {
	for name, block := range map[string]func(t *Task){
		"park":       park,
		"sleep":      func(t *Task) { t.Sleep(time.Hour) },
		"until":      func(t *Task) { t.Park(Wait{Kind: InReceive, Until: t.s.After(time.Hour)}) },
		"in a line":  func(t *Task) { t.Park(Wait{Kind: InSend, In: &Waiter{}}) },
		"on context": func(t *Task) { c, cancel := WithTimeout(t, time.Hour); defer cancel(); t.Park(Wait{Ctx: c}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := virtual()
			x := spawn(s, 1, func(t *Task) {
				if !caughtKill(t, func() { block(t) }) {
					fail(s, "the kill was not raised")
				}
				if elapsed(s) != time.Second {
					fail(s, "raised at %v", elapsed(s))
				}
				if t.timer.Active() {
					fail(s, "the wait's timer still runs")
				}
				t.Sleep(time.Second) // once: the second time it parks
			})
			spawn(s, 2, func(t *Task) {
				t.Sleep(time.Second)
				if !x.Kill(false) {
					fail(s, "the kill changed nothing")
				}
				if x.Kill(false) {
					fail(s, "a second kill changed something")
				}
				t.Sleep(time.Minute)
				s.Stop()
			})
			mustEnd(t, s)
		})
	}
}

// Rule 17: a kill that comes while the task runs, or is ready with a result, is raised at its next
// blocking point; the result wins.
func TestKillWhileReadyLetsTheResultWin(t *testing.T) {
	s := virtual()
	var log trace
	for i, kill := range []func(x *Task){
		func(x *Task) { x.Wake(); x.Kill(false) },
		func(x *Task) { x.Wake(); x.Kill(true) },
		// the kill is a piece of work: the wake-up is first
		func(x *Task) { x.Kill(false); x.Wake() },
	} {
		x := spawn(s, uint64(i+1), func(t *Task) {
			raised := caughtKill(t, func() {
				log.add("%v", t.Park(Wait{Kind: InReceive}))
				t.Yield()
			})
			log.add("raised=%v", raised)
		})
		spawn(s, uint64(i+11), func(*Task) { kill(x) })
	}
	y := spawn(s, 21, func(t *Task) {
		log.add("yields")
		raised := caughtKill(t, t.Yield) // ready while it yields
		log.add("raised=%v", raised)
		raised = caughtKill(t, func() { t.Sleep(0) })
		log.add("raised=%v", raised)
	})
	spawn(s, 22, func(*Task) { y.Kill(false) })
	stopAt(s, time.Second)
	mustEnd(t, s)
	log.want(t, "yields <nil> raised=true <nil> raised=true <nil> raised=true raised=false raised=true")
}

// A time that is over, then a kill, before the task runs: the first wins too.
func TestKillAfterTimeout(t *testing.T) {
	s := virtual()
	var got error
	var raised bool
	x := spawn(s, 1, func(t *Task) {
		got = t.Park(Wait{Kind: InReceive, Until: s.After(time.Second)})
		raised = caughtKill(t, t.Yield)
	})
	s.StartTimer(&Timer{}, s.After(time.Second), expireFunc(func() { x.Kill(false) }))
	stopAt(s, time.Minute)
	mustEnd(t, s)
	if got != ErrTimeout || !raised {
		t.Errorf("got %v, raised %v", got, raised)
	}
}

// Rule 17, hard: raised at every blocking point.
func TestHardKillIsRaisedAtEveryBlockingPoint(t *testing.T) {
	s := virtual()
	raised := 0
	x := spawn(s, 1, func(t *Task) {
		for range 5 {
			for _, block := range []func(){
				func() { park(t) },
				t.Yield,
				t.Checkpoint,
				func() { t.Sleep(time.Hour) },
			} {
				if caughtKill(t, block) {
					raised++
				}
			}
		}
	})
	spawn(s, 2, func(t *Task) {
		if !x.Kill(true) || x.Kill(true) || x.Kill(false) {
			fail(s, "only the first hard kill changes anything")
		}
	})
	stopAt(s, time.Second)
	mustEnd(t, s)
	if raised != 20 {
		t.Errorf("raised at %d of 20 blocking points", raised)
	}
}

// Rule 11: while a soft kill unwinds, deferred calls may block. Further soft kills do nothing
// meanwhile; a hard one is raised.
func TestDeferredCallsMayBlockUnderASoftKill(t *testing.T) {
	for _, hard := range []bool{false, true} {
		s := virtual()
		var log trace
		x := spawn(s, 1, func(t *Task) {
			defer func() {
				log.add("raised=%v", caughtKill(t, func() { t.Sleep(10 * time.Second) }))
				log.add("at %v", elapsed(s))
				log.add("raised=%v", caughtKill(t, t.Yield))
			}()
			park(t)
		})
		spawn(s, 2, func(t *Task) {
			x.Kill(false)
			t.Sleep(time.Second)
			if x.Kill(false) {
				fail(s, "a further soft kill changed something while the first unwinds")
			}
			t.Sleep(time.Second)
			if hard {
				x.Kill(true)
			}
		})
		stopAt(s, time.Minute)
		mustEnd(t, s)
		if hard {
			log.want(t, "raised=true at 2s raised=true")
		} else {
			log.want(t, "raised=false at 10s raised=false")
		}
	}
}

// Rule 17: further kills do nothing until the raised one was recovered and the task has parked
// again; then the hook is called, and the next kill works.
func TestRecoveredKill(t *testing.T) {
	var log trace
	var s *Scheduler
	s = New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{Recovered: func(t *Task) {
		log.add("recovered at %v", elapsed(s))
	}}})
	x := spawn(s, 1, func(t *Task) {
		for i := range 3 {
			if !caughtKill(t, func() { park(t) }) {
				fail(s, "not raised")
			}
			log.add("%d", i)
			if t.Kill(false) {
				fail(s, "a kill works although the task has not parked since the last one")
			}
		}
		t.Sleep(time.Second)
	})
	spawn(s, 2, func(t *Task) {
		for range 3 {
			t.Sleep(time.Second)
			if !x.Kill(false) {
				fail(s, "the kill does nothing though the last one was recovered")
			}
		}
	})
	stopAt(s, time.Minute)
	mustEnd(t, s)
	log.want(t, "0 recovered at 1s 1 recovered at 2s 2 recovered at 3s")
}

// A recover inside a deferred call is none of the kill that is on its way.
func TestRecoverWhileUnwindingIsNoRecovery(t *testing.T) {
	s := New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{Recovered: func(t *Task) {
		panic(testFailure("the kill was not recovered"))
	}}})
	x := spawn(s, 1, func(t *Task) {
		defer func() {
			recovering(func() { panic("another") })
			recovering(func() { deep(300, func() { t.Sleep(time.Second) }) })
			t.Sleep(time.Second)
		}()
		deep(300, func() { park(t) })
	})
	spawn(s, 2, func(*Task) { x.Kill(false) })
	stopAt(s, time.Minute)
	mustEnd(t, s)
}

func deep(n int, f func()) {
	if n == 0 {
		f()
		return
	}
	deep(n-1, f)
}

// interruptable is the Item of a wait for somebody outside.
type interruptable struct {
	n int
	f func()
}

func (i *interruptable) Interrupt() { i.n++; i.f() }

// A kill does not end a wait whose Item is an Interrupter: it asks the one outside, and is raised
// afterwards.
func TestKillOfAnInterrupterWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := virtual()
		var item interruptable
		var line Line
		var w Waiter
		w.SetItem(&item)
		asked := make(chan bool, 1)
		item.f = func() { asked <- true }
		x := spawn(s, 1, func(t *Task) {
			go func() {
				<-asked
				time.Sleep(time.Hour) // it takes its time
				s.InjectFunc(w.Release)
			}()
			line.Add(&w)
			begin := time.Now()
			if err := t.Park(Wait{Kind: InAwait, In: &w}); err != nil {
				fail(s, "the wait ended with %v", err)
			}
			if time.Since(begin) != time.Hour {
				fail(s, "it ended after %v", time.Since(begin))
			}
			if !caughtKill(t, t.Yield) {
				fail(s, "the kill was not raised afterwards")
			}
			s.Stop()
		})
		spawn(s, 2, func(*Task) { x.Kill(false); x.Kill(false) })
		mustEnd(t, s)
		if item.n != 1 {
			t.Errorf("asked %d times", item.n)
		}
	})
}

// At the end of a scheduler the one outside is asked too, but nobody waits for it.
func TestStopInterrupts(t *testing.T) {
	s := virtual()
	var line Line
	item := interruptable{f: func() {}}
	var w Waiter
	w.SetItem(&item)
	spawn(s, 1, func(t *Task) {
		line.Add(&w)
		t.Park(Wait{Kind: InAwait, In: &w})
	})
	spawn(s, 2, func(*Task) { s.Stop() })
	mustEnd(t, s)
	if item.n != 1 || !line.Empty() {
		t.Errorf("asked %d times, line empty: %v", item.n, line.Empty())
	}
}

// A killed task leaves its line at once, before it runs: what is handed over meanwhile goes to the
// next.
func TestKilledTaskLeavesItsLineAtOnce(t *testing.T) {
	s := virtual()
	var line Line
	var log trace
	var places [3]Waiter
	var tasks [3]*Task
	for i := range tasks {
		tasks[i] = spawn(s, uint64(i+1), func(t *Task) {
			line.Add(&places[i])
			raised := caughtKill(t, func() { t.Park(Wait{Kind: InMutex, In: &places[i]}) })
			log.add("%d raised=%v", i, raised)
		})
	}
	spawn(s, 9, func(t *Task) {
		tasks[0].Kill(false)
		s.InjectFunc(func() { // after the kill, before task 0 runs
			if line.First() != &places[1] || places[0].Waits() {
				fail(s, "the killed task still stands in the line")
			}
			line.First().Release()
		})
	})
	stopAt(s, time.Second)
	mustEnd(t, s)
	log.want(t, "0 raised=true 1 raised=false 2 raised=true")
}

// Rule 17: killing oneself raises at the next blocking point.
func TestKillOneself(t *testing.T) {
	for _, hard := range []bool{false, true} {
		s := virtual()
		steps := 0
		spawn(s, 1, func(t *Task) {
			t.Kill(hard)
			steps++
			if pending, h := t.Killed(); !pending || h != hard {
				fail(s, "Killed() = %v, %v", pending, h)
			}
			t.Yield()
			steps++
		})
		stopAt(s, time.Second)
		mustEnd(t, s)
		if steps != 1 {
			t.Errorf("hard=%v: %d steps", hard, steps)
		}
	}
}

// An idle task is called, and finds the kill by Killed or TakeKill.
func TestKillOfAnIdleTask(t *testing.T) {
	s := virtual()
	var log trace
	var x Task
	x.Init(s, 1, runFunc(func(t *Task) {
		pending, hard := t.TakeKill()
		log.add("%v,%v", pending, hard)
		pending, hard = t.Killed()
		log.add("%v,%v", pending, hard)
	}))
	spawn(s, 2, func(t *Task) {
		x.Kill(false)
		t.Sleep(time.Second)
		x.Kill(false) // TakeKill took the first
		t.Sleep(time.Second)
		x.Kill(true)
	})
	stopAt(s, time.Minute)
	mustEnd(t, s)
	log.want(t, "true,false false,false true,false false,false true,true true,true")
}

// A kill of a finished task does nothing; so does one after the scheduler has ended.
func TestKillOfAFinishedTask(t *testing.T) {
	s := virtual()
	x := spawn(s, 1, func(*Task) {})
	spawn(s, 2, func(t *Task) { t.Yield(); x.Kill(false); x.Kill(true) })
	stopAt(s, time.Second)
	mustEnd(t, s)
	x.Kill(true)
	if x.State() != Finished {
		t.Errorf("is %v", x.State())
	}
}

// The panic value is what the hook says.
func TestExitValue(t *testing.T) {
	boom := errors.New("boom")
	s := New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{ExitValue: func(*Task) any { return boom }}})
	var got any
	x := spawn(s, 1, func(t *Task) {
		defer func() { got = recover() }()
		park(t)
	})
	spawn(s, 2, func(*Task) { x.Kill(false) })
	stopAt(s, time.Second)
	mustEnd(t, s)
	if got != boom {
		t.Errorf("recovered %v", got)
	}
}

// Many goroutines kill the same tasks: each kill is raised at most once, each task ends, and the
// race detector is content.
func TestKillFromManyGoroutines(t *testing.T) {
	const tasks, goroutines = 50, 8
	s := New(Config{})
	var all [tasks]*Task
	var raised [tasks]int
	left := tasks
	for i := range all {
		all[i] = spawn(s, uint64(i+1), func(t *Task) {
			defer func() {
				if left--; left == 0 {
					s.Stop()
				}
			}()
			for raised[i] < 20 {
				if caughtKill(t, func() {
					returned := false
					defer func() {
						for range 3 { // soft kills that come meanwhile must not be raised here
							if !returned && caughtKill(t, t.Yield) {
								panic(testFailure(fmt.Sprintf("task %d: raised twice", i)))
							}
						}
					}()
					t.Yield()
					returned = true
				}) {
					raised[i]++
				}
			}
		})
	}
	quit := make(chan struct{})
	var g sync.WaitGroup
	for range goroutines {
		g.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-quit:
					return
				default:
					all[i%tasks].Kill(false)
					if i%tasks == 0 {
						runtime.Gosched()
					}
				}
			}
		})
	}
	mustEnd(t, s)
	close(quit)
	g.Wait()
}

// A wake-up belongs to one wait: if that one was refused (its context was done), the wake-up does
// not end the next.
func TestWakeUpForARefusedWait(t *testing.T) {
	var slept time.Duration
	inTask(t, Config{Clock: NewVirtualClock(time.Time{})}, func(t *Task) {
		ctx, cancel := WithTimeout(t, time.Hour)
		cancel()
		w := t.NextWait()
		w.Send()
		_ = t.Park(Wait{Kind: InReceive, Ctx: ctx})
		begin := t.s.Nanotime()
		t.Sleep(time.Minute)
		slept = time.Duration(t.s.Nanotime() - begin)
	})
	if slept != time.Minute {
		t.Errorf("slept %v", slept)
	}
}
