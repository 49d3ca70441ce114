package core

import (
	"errors"
	"fmt"
	"iter"
	"runtime"

	"github.com/gotasklet/tasklet/internal/list"
)

// Check returns an error that lists the invariants of s that do not hold between two steps, or nil.
// A scheduler itself knows only the tasks that are ready or parked. So tasks, if it is not nil,
// returns the tasks that the caller knows. For each it also returns whether a kill that came while
// the task is idle must have called it by now.
//
// Check is for tests; nothing calls it unless the build has the tag tasklet_check. It changes
// nothing, and takes time in proportion to the number of tasks and timers. It must be called on the
// scheduler, by a running task or injected work, and not by a hook or a timer.
//
// The invariants are:
//
//   - A task is in the run queue, once, if and only if it is ready. At most one task is running,
//     and that one is Current.
//   - A parked task keeps a coroutine, which refers to it. Every coroutine runs, is free or is
//     kept. No two are in one seat.
//   - The place with which a task is parked is in its line, whose links agree in both directions. A
//     task that is not parked has no place in a line.
//   - A timer is in the bucket of its tick, and the bits say which buckets are not empty. No timer
//     is late. A task that has finished has no timer, and a task that sleeps has one.
//   - The bits of a kill agree with the table of kills, and with the state of the task.
//   - The kill of a parked task is about to be raised. A task that waits for a Mutex waits for its
//     holder.
//   - No task waits in a cycle in which no wait can end.
func (s *Scheduler) Check(tasks iter.Seq2[*Task, bool]) error {
	c := check{s: s, queued: map[*Task]int{}, lines: map[*Line]bool{}, walks: map[*Task]*Task{}, known: map[*Task]bool{}}
	c.runQueue()
	for t := range c.queued {
		c.task(t, false)
	}
	for _, co := range s.coros {
		if co.task != nil {
			c.task(co.task, false)
		}
	}
	if tasks != nil {
		for t, acts := range tasks {
			c.task(t, acts)
		}
	}
	c.coroutines()
	c.wheel()
	c.rest()
	if len(c.problems) == 0 {
		return nil
	}
	return errors.Join(c.problems...)
}

// check is the state of one Check.
type check struct {
	s        *Scheduler
	queued   map[*Task]int  // how often each task is in the run queue
	known    map[*Task]bool // the tasks that were examined
	lines    map[*Line]bool
	walks    map[*Task]*Task // the task from which the chain through a task was walked
	outside  int             // the number of parked tasks that wait for the outside
	problems []error
}

func (c *check) bad(format string, args ...any) {
	if len(c.problems) < 10 { // one fault has many consequences
		c.problems = append(c.problems, fmt.Errorf("scheduler: "+format, args...))
	}
}

func (c *check) runQueue() {
	q := &c.s.ready
	for i := range uint(len(q.ring)) {
		t := q.ring[(q.head+i)&uint(len(q.ring)-1)]
		if (t != nil) != (i < q.n) {
			c.bad("run queue: place %d of %d: %v", i, q.n, t)
		}
		if t != nil {
			c.queued[t]++
		}
	}
}

func (c *check) task(t *Task, acts bool) {
	s := c.s
	if c.known[t] {
		if acts {
			c.idleKill(t)
		}
		return
	}
	c.known[t] = true
	if t.s != s {
		c.bad("%v belongs to another scheduler", t)
		return
	}
	n := c.queued[t]
	switch {
	case n > 1:
		c.bad("%v stands in the run queue %d times", t, n)
	case (n == 1) != (t.state == Ready) && t.state != Finished:
		c.bad("%v is %v, and in the run queue: %v", t, t.state, n == 1)
	case (t.state == Running) != (s.current == t) && t.state != Finished:
		c.bad("%v is %v, and %v has control", t, t.state, s.current)
	case t.state == Idle && t.again:
		c.bad("%v is idle though it was woken", t)
	}
	switch {
	case t.co != nil && t.co.task != t:
		c.bad("%v keeps a coroutine that serves %v", t, t.co.task)
	case (t.state == Parked) != (t.co != nil) && t.state != Ready:
		c.bad("%v is %v, and has a coroutine: %v", t, t.state, t.co != nil)
	case t.co == nil && t.waiter != nil:
		c.bad("%v is %v and has a place in a line", t, t.state)
	}
	c.kill(t)
	c.place(t)
	c.timer(t)
	if t.state == Parked {
		c.parked(t)
	}
	if acts {
		c.idleKill(t)
	}
}

// kill checks the bits of t.kill against the table.
func (c *check) kill(t *Task) {
	k := t.kill.Load()
	stack := t.co != nil || t.state == Running || t.state == Finished
	if r := wrongKill(k, stack); r != nil {
		c.bad("the bits of the kill of %v, which is %v, are %s; %s is set when %s", t, t.state, killNames(k), r.name, r.when)
	}
}

// place checks the place in a line that t is parked with.
func (c *check) place(t *Task) {
	w := t.waiter
	if w == nil {
		return
	}
	_, outside := w.Item().(Interrupter)
	switch {
	case w.V.task != t:
		c.bad("the place of %v belongs to %v", t, w.V.task)
	case w.V.line != nil && t.state != Parked:
		c.bad("%v is %v and still stands in a line", t, t.state)
	case w.V.line == nil && t.state == Parked && !outside && !t.givenUp():
		c.bad("%v is parked in %v with a place that stands in no line", t, t.kind)
	}
	if w.V.line != nil && !c.lines[w.V.line] {
		c.lines[w.V.line] = true
		c.line(w.V.line)
	}
}

func (c *check) line(l *Line) {
	if !l.list.Sound() {
		c.bad("the links of a line are wrong: that of %v", l.First().Task())
		return
	}
	for w := l.First(); w != nil; w = w.Next() {
		if w.V.line != l {
			c.bad("the place of %v does not know its line", w.V.task)
			return
		}
		if t := w.V.task; t != nil && (t.waiter != w || t.state != Parked) {
			c.bad("a place in a line belongs to %v, which is not parked with it", t)
		}
	}
}

func (c *check) timer(t *Task) {
	switch {
	case t.timer.Active() && t.state == Finished:
		c.bad("%v has finished and has a timer", t)
	case !t.timer.Active() && t.state == Parked && t.kind == InSleep && !t.givenUp():
		c.bad("%v sleeps without a timer", t)
	}
}

// parked checks the wait of t.
func (c *check) parked(t *Task) {
	if t.kind.outside() {
		c.outside++
	}
	if t.kind == InMutex && (t.waitsOn == nil || t.waitsOn.Holder == nil) {
		c.bad("%v waits for a mutex that nobody holds", t)
	}
	if k := t.kill.Load(); k&(killSoft|killHard) != 0 && !t.givenUp() && interrupter(t.waiter) == nil && !c.onItsWay(t) {
		c.bad("%v is parked in %v, and its kill is lost", t, t.kind)
	}
	if !t.soft && c.firmRing(t) {
		c.bad("%v waits in a cycle that nobody can leave", t)
	}
}

// firmRing reports whether t, which is parked, leads into a cycle of waits of which none can end.
// Each chain is walked once.
func (c *check) firmRing(t *Task) bool {
	for x := t; ; x = x.waitsOn.Holder {
		if walk, seen := c.walks[x]; seen {
			return walk == t
		}
		c.walks[x] = t
		pending, _ := x.Killed()
		if x.s != t.s || x.state != Parked || x.soft || pending || x.kind == InStop || x.waitsOn == nil || x.waitsOn.Holder == nil {
			return false
		}
	}
}

func (c *check) idleKill(t *Task) {
	if pending, _ := t.Killed(); pending && t.state == Idle && !c.onItsWay(t) {
		c.bad("%v is idle, and its kill is lost", t)
	}
}

// onItsWay reports whether t will notice the kill that is set in it. Kill first sets the bits and
// then injects work. A Kill on another goroutine may be between the two, so onItsWay waits a little
// before it returns false.
func (c *check) onItsWay(t *Task) bool {
	s := c.s
	if s.stopping || s.current == nil && s.door.busy {
		return true // all tasks are killed, or the work is being done
	}
	for range 100_000 {
		s.door.mu.Lock()
		for _, w := range s.door.work {
			if k, ok := w.(*killWork); ok && (*Task)(k) == t {
				s.door.mu.Unlock()
				return true
			}
		}
		s.door.mu.Unlock()
		if k := t.kill.Load(); k&(killSoft|killHard) == 0 {
			return true
		}
		runtime.Gosched()
	}
	return false
}

func (c *check) coroutines() {
	s := c.s
	free := map[*coro]bool{}
	for _, f := range s.free {
		if free[f] || f.task != nil || f.quit {
			c.bad("a free coroutine is listed twice, or has a task, or was told to quit")
		}
		free[f] = true
	}
	places := map[*seat]bool{}
	for i, co := range s.coros {
		switch {
		case co.pos != i:
			c.bad("coroutine %d is listed at %d", co.pos, i)
		case co.task != nil && co.task.co != co:
			c.bad("a coroutine is kept for %v, which does not know of it", co.task)
		case co.task != nil && free[co]:
			c.bad("the coroutine of %v is free", co.task)
		case co.task == nil && !free[co] && co != s.running:
			c.bad("a coroutine is lost: it does not run, is not free and serves no task")
		}
		if co != s.running {
			if places[co.at] {
				c.bad("two coroutines are parked in one seat")
			}
			places[co.at] = true
		}
		delete(free, co)
	}
	if len(free) != 0 {
		c.bad("a free coroutine is not on the list of those that live")
	}
}

// wheel checks the timing wheel. Its invariant is in the comment of the type wheel.
func (c *check) wheel() {
	w := &c.s.wheel
	n := 0
	look := func(l *list.List[timing], what string, belongs func(*Timer) bool) {
		if !l.Sound() {
			c.bad("the links of %s are wrong", what)
			return
		}
		for e := l.First(); e != nil; e = e.Next() {
			n++
			t := (*Timer)(e)
			switch target := t.V.target.(type) {
			case *taskTimer:
				if &target.timer != t || target.state == Finished {
					c.bad("a timer in %s is not that of %v, or that has finished", what, (*Task)(target))
				}
			case interface{ Alive() bool }:
				if !target.Alive() {
					c.bad("the owner of a timer in %s is gone", what)
				}
			}
			if !belongs(t) {
				c.bad("a timer for tick %d does not belong in %s at tick %d", t.V.when, what, w.now)
				return
			}
			if c.s.current != nil && t.V.when <= w.now {
				c.bad("a timer for tick %d has not fired at tick %d", t.V.when, w.now)
			}
		}
	}
	for level := range w.slots {
		for slot := range w.slots[level] {
			l := &w.slots[level][slot]
			if (!l.Empty()) != (w.occupied[level]&(1<<slot) != 0) {
				c.bad("bucket %d of level %d is empty: %v; its bit says otherwise", slot, level, l.Empty())
			}
			if !l.Empty() {
				look(l, fmt.Sprintf("bucket %d of level %d", slot, level), func(t *Timer) bool {
					lv, sl := w.place(t.V.when)
					return lv == uint(level) && sl == uint(slot)
				})
			}
		}
	}
	look(&w.far, "the far list", func(t *Timer) bool {
		lv, _ := w.place(t.V.when)
		return lv >= wheelLevels && t.V.when >= w.farTick
	})
	if n != w.n {
		c.bad("%d timers run, and the wheel has counted %d", n, w.n)
	}
	for t := range c.known {
		if t.timer.Active() && !c.reachable(&t.timer) {
			c.bad("the timer of %v is in no bucket", t)
		}
	}
	if tick := (c.s.now - c.s.origin) / tickNS; w.n > 0 && (w.now > tick || c.s.current != nil && w.now < tick) {
		c.bad("the wheel is at tick %d, the time at %d", w.now, tick)
	}
}

// reachable reports whether t is in the list in which stop would search for it.
func (c *check) reachable(t *Timer) bool {
	l := &c.s.wheel.far
	if level, slot := c.s.wheel.place(t.V.when); level < wheelLevels {
		l = &c.s.wheel.slots[level][slot]
	}
	e := t.entry()
	return e.In() && (e.Prev() != nil || l.First() == e) && (e.Next() != nil || l.Last() == e)
}

func (c *check) rest() {
	s := c.s
	spare := 0
	for w := range s.spare.All() {
		spare++
		if w != (standing{}) {
			c.bad("a free place is in use")
		}
	}
	if spare != s.spares || !s.spare.Sound() {
		c.bad("%d free places, counted as %d, or their links are wrong", spare, s.spares)
	}
	if s.outside < c.outside {
		c.bad("%d are parked for something outside, and %d outside are awaited", c.outside, s.outside)
	}
	if s.door.sleeping.Load() {
		c.bad("somebody has control and the scheduler counts as sleeping")
	}
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	if (len(s.door.work) > 0) != s.door.pending.Load() {
		c.bad("%d pieces of work are at the door, and pending is %v", len(s.door.work), s.door.pending.Load())
	}
}

// stepCheck calls Hooks.Check between two activations. If there are few tasks it does so after each
// activation. Otherwise it does so less often, so that on average a few tasks are examined in each
// step.
func (s *Scheduler) stepCheck() {
	if s.hooks.Check == nil || s.fatal != nil {
		return
	}
	if s.unlooked--; s.unlooked > 0 {
		return
	}
	size, err := s.hooks.Check()
	if size > fewTasks {
		s.unlooked = size / looksPerStep
	}
	if err != nil {
		s.crash(fmt.Errorf("internal error: %w", err))
	}
}

const (
	fewTasks     = 64
	looksPerStep = 8
)
