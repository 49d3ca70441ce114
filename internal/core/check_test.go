package core

import (
	"strings"
	"testing"
	"time"
)

// Check finds what was broken on purpose: each fault is made in a system that is well, found, and
// undone.
func TestCheckFindsFaults(t *testing.T) {
	s := New(Config{Clock: NewVirtualClock(time.Time{})})
	var m mutex
	sleeper := spawn(s, 1, func(t *Task) { t.Sleep(time.Hour) })
	holder := spawn(s, 2, func(t *Task) { _ = m.Lock(t); defer m.Unlock(); park(t) })
	first := spawn(s, 3, func(t *Task) { _ = m.Lock(t); m.Unlock() })
	second := spawn(s, 4, func(t *Task) { _ = m.Lock(t); m.Unlock() })
	idle := new(Task)
	idle.Init(s, 5, runFunc(func(*Task) {}))
	spawn(s, 6, func(d *Task) {
		defer s.Stop()
		d.Yield()
		c := crowd{s: s, tasks: []*Task{sleeper, holder, first, second, idle, d}}
		if err := s.Check(c.all()); err != nil {
			fail(s, "all is well, but Check says %v", err)
		}
		acting := func(yield func(*Task, bool) bool) { yield(idle, true) }
		for _, f := range []struct {
			name, want string
			do, undo   func()
		}{
			{"a wake-up is lost", "in the run queue: false", func() { sleeper.state = Ready }, func() { sleeper.state = Parked }},
			{"woken twice", "in the run queue 2 times",
				func() { idle.state = Ready; s.ready.push(idle); s.ready.push(idle) },
				func() { idle.state = Idle; s.ready.n -= 2; clear(s.ready.ring[s.ready.n:]) }},
			{"woken, and idle", "idle though it was woken", func() { idle.again = true }, func() { idle.again = false }},
			{"two run", "has control", func() { idle.state = Running }, func() { idle.state = Idle }},
			{"a stale waiter", "still stands in a line", func() { first.state = Ready; s.ready.push(first) },
				func() {
					first.state = Parked
					s.ready.n--
					s.ready.ring[(s.ready.head+s.ready.n)&uint(len(s.ready.ring)-1)] = nil
				}},
			{"nobody's place", "stands in no line", func() { second.waiter.Leave() }, func() { m.line.Add(second.waiter) }},
			{"a link", "links of a line", func() { new(Line).list.Remove(second.waiter.entry()) },
				func() {
					m.line = Line{}
					for _, t := range []*Task{first, second} {
						t.waiter.V.line = nil
						m.line.list.Remove(t.waiter.entry())
						m.line.Add(t.waiter)
					}
				}},
			{"the line of a place", "does not know its line", func() { second.waiter.V.line = new(Line) }, func() { second.waiter.V.line = &m.line }},
			{"a lock that nobody holds", "nobody holds", func() { m.lock.Holder = nil }, func() { m.lock.Holder = holder }},
			{"a ring", "nobody can leave", func() { holder.waitsOn, holder.kind = first.Resource(), InJoin },
				func() { holder.waitsOn, holder.kind = nil, InReceive }},
			{"a lost kill", "its kill is lost", func() { holder.kill.Store(killSoft) }, func() { holder.kill.Store(0) }},
			{"a lost kill of an idle one", "its kill is lost", func() { idle.kill.Store(killSoft) }, func() { idle.kill.Store(0) }},
			{"a kill that was raised in nobody", "raised is set when", func() { idle.kill.Store(killRaised) }, func() { idle.kill.Store(0) }},
			{"a kill that is pending and on its way", "soft is set when", func() { holder.kill.Store(killSoft | killRaised) },
				func() { holder.kill.Store(0) }},
			{"a task that was given up without a hard kill", "lost is set when", func() { holder.kill.Store(killLost) }, func() { holder.kill.Store(0) }},
			{"a bit", "its bit says otherwise", func() { s.wheel.occupied[0] |= 1 }, func() { s.wheel.occupied[0] &^= 1 }},
			{"the number of timers", "has counted", func() { s.wheel.n++ }, func() { s.wheel.n-- }},
			{"a timer in the wrong bucket", "does not belong", func() { sleeper.timer.V.when += 1 << 30 }, func() { sleeper.timer.V.when -= 1 << 30 }},
			{"a timer that is late", "the time at", func() { s.now += int64(time.Minute) }, func() { s.now -= int64(time.Minute) }},
			{"no timer", "without a timer", func() { s.stopTimer(&sleeper.timer) }, func() { s.startTimer(&sleeper.timer, int64(time.Hour)) }},
			{"somebody outside", "outside are awaited", func() { holder.kind = InAwait }, func() { holder.kind = InReceive }},
			{"a coroutine", "serves", func() { holder.co.task = first }, func() { holder.co.task = holder }},
			{"the door", "pending is true", func() { s.door.pending.Store(true) }, func() { s.door.pending.Store(false) }},
			{"a free place", "counted as", func() { s.spares++ }, func() { s.spares-- }},
		} {
			f.do()
			tasks := c.all()
			if strings.Contains(f.name, "idle one") {
				tasks = acting
			}
			err := s.Check(tasks)
			f.undo()
			if err == nil || !strings.Contains(err.Error(), f.want) {
				fail(s, "%s: Check gave %v, want %q in it", f.name, err, f.want)
			}
			if err := s.Check(c.all()); err != nil {
				fail(s, "%s, undone: %v", f.name, err)
			}
		}
	})
	mustEnd(t, s)
}

// With the tag tasklet_check a fault ends the scheduler after the step that made it; without it
// nobody looks.
func TestCheckAfterEachStep(t *testing.T) {
	looks := 0
	s := New(Config{Hooks: Hooks{Check: func() (int, error) { looks++; return 1, nil }}})
	spawn(s, 1, func(t *Task) {
		for range 10 {
			t.Yield()
		}
		s.Stop()
	})
	mustEnd(t, s)
	if checking != (looks > 10) {
		t.Errorf("%d looks", looks)
	}
	if !checking {
		return
	}
	s = New(Config{})
	s.hooks.Check = func() (int, error) { return 1, s.Check(nil) }
	spawn(s, 1, func(t *Task) { s.spares++; t.Yield(); t.Yield() })
	if err := s.Run(); err == nil || !strings.Contains(err.Error(), "counted as") {
		t.Errorf("Run() = %v", err)
	}
}
