package core

import (
	"testing"
	"time"
)

// waitFor lets t wait for the end of other, without a line to stand in: nobody ends it.
func waitFor(t, other *Task) error { return t.Park(Wait{Kind: InJoin, On: other.Resource()}) }

// twoOfAGroup makes two schedulers with a virtual clock, and counts what they are told about rings:
// firm ones and others.
func twoOfAGroup(t *testing.T, f func(ss []*Scheduler, firm, soft func() int)) {
	t.Helper()
	var log, warned lockedTrace
	count := func(l *lockedTrace) func() int {
		return func() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.trace) }
	}
	ss := newTeam(2, NewVirtualClock(time.Time{}), Hooks{Deadlock: func(_ *Task, e *DeadlockError, soft bool) {
		if soft {
			warned.add("%v", e)
		} else {
			log.add("%v", e)
		}
	}})
	f(ss, count(&log), count(&warned))
	for _, err := range runAll(ss) {
		if err != nil {
			t.Error(err)
		}
	}
}

// A look that has more waits to look at than it may send chases for leaves none out: also those in
// which one of its parts ends and the next begins are chased.
func TestLooksLeaveNobodyOut(t *testing.T) {
	// Each of them is in a cycle of its own.
	twoOfAGroup(t, func(ss []*Scheduler, firm, _ func() int) {
		const many = 2*maxChases + 2
		var here, there [many]*Task
		for i := range here {
			here[i], there[i] = new(Task), new(Task)
			here[i].Init(ss[0], uint64(i+1), runFunc(func(t *Task) {
				defer t.Finish()
				defer func() { _ = recover() }()
				_ = waitFor(t, there[i])
			}))
			there[i].Init(ss[1], uint64(many+2+i), runFunc(func(t *Task) {
				defer t.Finish()
				defer func() { _ = recover() }()
				_ = waitFor(t, here[i])
			}))
			here[i].Wake()
			there[i].Wake()
		}
		spawn(ss[1], many+1, func(d *Task) {
			d.Sleep(30 * time.Second)
			if n := firm(); n != many {
				t.Errorf("%d rings of %d were found", n, many)
			}
			stopAll(ss)
		})
	})
}

// Those who wait for a cycle that they are not part of cost a few steps each, however long they and
// the cycle wait; and a cycle that somebody will leave is told of once, also if there are several.
func TestChasesIntoASoftRing(t *testing.T) {
	twoOfAGroup(t, func(ss []*Scheduler, firm, soft func() int) {
		var ring [2][2]*Task
		for k := range ring {
			for i := range 2 {
				ring[k][i] = new(Task)
				ring[k][i].Init(ss[i], uint64(2*k+1+i), runFunc(func(t *Task) {
					defer t.Finish()
					defer func() { _ = recover() }()
					w := Wait{Kind: InJoin, On: ring[k][1-i].Resource()}
					if i == 0 {
						w.Until = t.s.after(time.Hour)
					}
					_ = t.Park(w)
				}))
				ring[k][i].Wake()
			}
		}
		for i := range 100 {
			spawn(ss[0], uint64(10+i), func(t *Task) { _ = waitFor(t, ring[0][1]) })
		}
		spawn(ss[0], 200, func(d *Task) {
			for i := range 100 { // each of these lets the scheduler look again
				spawn(ss[0], uint64(1000+i), func(t *Task) { _ = waitFor(t, ring[0][1]) })
				d.Sleep(2 * time.Second)
			}
			if f, w := firm(), soft(); f != 0 || w < 2 || w > 4 {
				t.Errorf("%d firm rings, %d soft ones were told of", f, w)
			}
			stopAll(ss)
		})
	})
}

// A chase that leads into a cycle ends after a few rounds.
func TestChaseEndsInARing(t *testing.T) {
	s := New(Config{Team: new(Team)})
	task := func(id uint64) *Task {
		t := new(Task)
		t.Init(s, id, runFunc(func(*Task) {}))
		t.state = Parked
		return t
	}
	begin, a, b, c := task(1), task(2), task(3), task(4)
	begin.waitsOn, a.waitsOn, b.waitsOn, c.waitsOn = &a.self, &b.self, &c.self, &a.self
	p := &chase{limit: 2}
	p.follow(begin)
	if len(p.hops) > 12 {
		t.Errorf("%d hops", len(p.hops))
	}
}

// A cycle is one only if everybody in it is still in the wait in which the first round has found
// it.
func TestChaseLooksTwice(t *testing.T) {
	changes := map[string]func(b *Task){
		"nothing":                 func(*Task) {},
		"another wait":            func(b *Task) { b.waitSeq++ },
		"woken":                   func(b *Task) { b.state = Ready },
		"waits for somebody else": func(b *Task) { b.waitsOn = &b.self },
		"killed":                  func(b *Task) { b.kill.Store(killSoft) },
	}
	for what, change := range changes {
		rings := 0
		ss := newTeam(2, NewVirtualClock(time.Time{}), Hooks{Deadlock: func(*Task, *DeadlockError, bool) { rings++ }})
		a, b := new(Task), new(Task)
		a.Init(ss[0], 2, runFunc(func(*Task) {}))
		b.Init(ss[1], 1, runFunc(func(*Task) {}))
		a.state, b.state, a.waitsOn, b.waitsOn = Parked, Parked, &b.self, &a.self
		p := &chase{limit: 2}
		p.follow(a)
		ss[1].takeIn() // the first round is there
		ss[0].takeIn() // and back
		change(b)
		for range 3 {
			ss[1].takeIn()
			ss[0].takeIn()
		}
		if want := map[bool]int{true: 1}[what == "nothing"]; rings != want {
			t.Errorf("%s: %d rings were told of, want %d", what, rings, want)
		}
	}
}
