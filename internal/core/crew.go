package core

import (
	"context"
	"runtime/debug"
	"runtime/pprof"
)

// crew is the coroutines of a scheduler. Owned by the goroutine that has control.
type crew struct {
	running *coro   // the coroutine that has control
	target  *coro   // the coroutine that gets control next; see switchTo
	driver  *coro   // the goroutine of Run
	victim  *coro   // a worker that dies of Goexit; see goexit
	handed  *Task   // the task that a free worker calls first
	coros   []*coro // all living coroutines
	free    []*coro // the coroutines that serve no task
	// stained says that the goroutine may have labels that a Labeller has left. They are removed
	// before anything but the next Labeller runs there.
	stained bool
}

// maxFree is the number of free coroutines that are kept. Each has a stack of about 8 KiB, and
// making one takes half a microsecond.
const maxFree = 256

// freeWorker returns a coroutine that serves no task.
func (s *Scheduler) freeWorker() *coro {
	if n := len(s.free); n > 0 {
		c := s.free[n-1]
		s.free[n-1] = nil
		s.free = s.free[:n-1]
		return c
	}
	return s.newCoro(s.work)
}

// work is the body of a coroutine. It calls ready tasks, one after the other on the same stack. A
// task that parks keeps the coroutine, and the others continue on another one.
func (s *Scheduler) work(me *coro) {
	returned := false
	defer func() {
		if returned {
			return
		}
		t := s.current
		if v := recover(); v != nil {
			s.crash(v)
			if t != nil {
				t.Finish()
				s.lost(t)
			}
		} else if t != nil {
			if s.handed == nil { // otherwise it must be called again at once; see loop
				if _, ok := t.runner.(Catcher); ok {
					t.again = true
				}
				s.afterCall(t)
			}
		} else {
			// This was in what the loop called: injected work, a timer, a hook.
			s.crash("runtime.Goexit outside of a task")
		}
		// After a panic too. It may have been in a deferred call of a Goexit, which continues
		// although the panic was recovered.
		s.goexit(me)
	}()
	s.cleanGoroutine() // it has inherited the labels of the task that had control
	if s.hooks.Worker != nil {
		s.hooks.Worker()
	}
	s.inherit(me)
	for !s.loop(me) {
		if s.handed == nil {
			s.cleanGoroutine()
			s.afterCall(s.current)
		}
	}
	returned = true
}

// loop calls tasks until the coroutine must end. It returns false if it has caught a panic of a
// Run, and must be called again. If that Run is not over, its task is in handed. Panics are caught
// here, once for all activations, because a deferred call in each costs a seventh of a message.
//
// Neither loop nor call is inlined, because Here searches for the frame of loop's call.
//
//go:noinline
func (s *Scheduler) loop(me *coro) (over bool) {
	defer func() {
		if over {
			return
		}
		// What remains of the end of a task may park, so it is not done here, on a stack that
		// unwinds.
		if c := s.catcher(); c != nil && !c.Caught(recover()) {
			s.handed = s.current
		}
	}()
	s.running = me
	for !me.quit {
		t := s.handed
		if t == nil {
			t = s.next()
		}
		s.handed = nil
		if t != nil && t.co == nil {
			if t.labels {
				s.stained = false // while t runs: it keeps its labels if it parks
				s.call(t)
				debug.SetPanicOnFault(false)
				s.stained = true
				continue
			}
			if s.stained {
				s.removeLabels()
			}
			s.call(t)
			s.cleanGoroutine()
			continue
		}
		if s.stained {
			s.removeLabels()
		}
		heir := s.driver
		if t != nil {
			heir = t.co
		}
		if len(s.free) >= maxFree && t != nil {
			s.end(me, heir)
			return true
		}
		s.free = append(s.free, me)
		s.switchTo(me, heir)
	}
	s.end(me, s.driver)
	return true
}

// catcher returns the runner of the running task if it handles what its Run lets out. It returns
// nil if it does not, or if the scheduler itself has failed between two tasks.
func (s *Scheduler) catcher() Catcher {
	if s.current == nil {
		return nil
	}
	if c, ok := s.current.runner.(Catcher); ok && c.Catches() {
		return c
	}
	return nil
}

// call activates a ready task that owns no stack.
//
//go:noinline
func (s *Scheduler) call(t *Task) {
	if t.state == Finished {
		return // it has finished while it was in the run queue
	}
	if t.waitsOn != nil {
		t.waitsOn = nil // see IdleOn
	}
	t.state = Running
	if t.kill.Load() != 0 {
		s.alarm.Store(true)
	}
	if n := s.number.Load(); n == 1 {
		t.runner.Run(t)
	} else {
		t.spell(n)
	}
	t.MustBeUnlocked()
	s.afterCall(t)
}

func (s *Scheduler) afterCall(t *Task) {
	if t.state != Running {
		return // finished
	}
	if t.kill.Load()&killRaised != 0 {
		t.recovered() // otherwise Run would not have returned
	}
	if t.again {
		t.again = false
		t.state = Ready
		s.ready.push(t)
		return
	}
	t.state = Idle
	t.since = s.now
}

// cleanGoroutine removes what a task may have left on the goroutine, so that the next task begins
// as on a new goroutine. Nothing else can remain: everything else that belongs to a goroutine ends
// with the call that caused it, and a locked thread ends the program (see docs/blocking.md).
func (s *Scheduler) cleanGoroutine() {
	pprof.SetGoroutineLabels(s.labels)
	debug.SetPanicOnFault(false)
}

// removeLabels removes the labels that a Labeller has left.
func (s *Scheduler) removeLabels() {
	s.stained = false
	pprof.SetGoroutineLabels(s.labels)
}

// labelsOf returns a context with the labels of ctx and nothing else, because they are looked up at
// each activation.
func labelsOf(ctx context.Context) context.Context {
	var list []string
	if ctx != nil {
		pprof.ForLabels(ctx, func(key, value string) bool {
			list = append(list, key, value)
			return true
		})
	}
	if list == nil {
		return context.Background()
	}
	return pprof.WithLabels(context.Background(), pprof.Labels(list...))
}
