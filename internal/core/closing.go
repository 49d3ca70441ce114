package core

import (
	"context"
	"sync/atomic"
)

// closing is the state of a scheduler's end: what Run does after Stop, and what others may know of
// it. Owned by the goroutine that has control, unless it says otherwise.
type closing struct {
	stopping bool // since Stop or a panic; the loop ends
	asked    bool // Stop was called
	ending   bool // after that: unwind makes ready tasks run; see last
	calls    int  // the number of calls of tasks without a coroutine while ending
	// fatal is the first panic of a Runner, injected work, a timer or Quiescent, or nil.
	fatal   *PanicError
	endings []Work // see WhenOver

	// unwound is atomic: written by the scheduler's goroutine, and read by callers of Unwound.
	unwound atomic.Bool

	// Made in New, then read-only. gone is done when waiting for the scheduler makes no sense any
	// more; see Gone.
	gone   context.Context
	giveUp context.CancelFunc
}

// maxCalls is the number of calls that all tasks without a coroutine together get after Stop. Tasks
// that wake themselves, or start each other, must not keep Run from ending.
const maxCalls = 1 << 20

// Gone returns a context that is done when waiting for s makes no sense any more, because Run is
// about to return or [Scheduler.GiveUp] was called. A goroutine that waits for a task of s, or for
// its mailbox, also waits for this context, and so does a scheduler that is no kin of s. Gone may
// be called from any goroutine.
func (s *Scheduler) Gone() context.Context { return s.gone }

// GiveUp ends the context of Gone, because a task holds s and its owner waits no longer. The
// scheduler itself continues if the task gives up control after all. GiveUp may be called from any
// goroutine.
func (s *Scheduler) GiveUp() { s.giveUp() }

// Unwound reports whether s was asked to stop, has nothing left to do, and waits for the other
// members of its team. It may become false again if another member brings something. It may be
// called from any goroutine.
func (s *Scheduler) Unwound() bool { return s.unwound.Load() }

// last is next after Stop. While unwind makes it, it returns the ready tasks, which have a hard
// kill. A stackless task may have deferred calls too, and tasks that unwind may wake others. The
// scheduler does not sleep any more.
func (s *Scheduler) last() *Task {
	for s.ending {
		t := s.pop()
		if t == nil {
			break
		}
		if t.co == nil {
			if s.calls++; s.calls > maxCalls {
				continue
			}
		} else if t.givenUp() {
			continue
		}
		t.kill.Or(killHard)
		s.current = t
		s.watch.note(t.id, s.tick)
		return t
	}
	return nil
}

// lost notifies the owner of t that t cannot be brought to its end.
func (s *Scheduler) lost(t *Task) {
	if h := s.hooks.Lost; h != nil {
		defer s.caught()
		h(t)
	}
}

// left asks the owner for what is left to do.
func (s *Scheduler) left() {
	if h := s.hooks.Left; h != nil {
		defer s.caught()
		h()
	}
}

// unwind ends what Stop found: first the parked tasks, by a hard kill, until only those are left
// that were given up, then what Hooks.Left finds, then the free coroutines. The door is closed when
// no member of the team has anything left to do. Everything that came in before is done.
func (s *Scheduler) unwind() {
	s.stopping, s.ending = true, true
	for shut := false; ; {
		switch {
		case s.killParked() || s.ready.n > 0:
			s.switchTo(s.driver, s.freeWorker())
		case s.door.pending.Load():
			s.takeIn()
		case s.tellLost():
		case s.team != nil && !s.asked && !shut:
			// A panic has ended s. What others have to do with its tasks is still done, and its
			// timers still fire, because otherwise others would wait forever.
			if d := s.untilTimer(); d >= 0 {
				s.sleep(d)
				s.expire()
			} else {
				s.rest(-1)
			}
			s.takeIn()
		case !shut:
			if s.restAtEnd() {
				shut = true
				s.do(s.door.close())
			}
		default:
			for n := len(s.free); n > 0; n = len(s.free) {
				c := s.free[n-1]
				s.free = s.free[:n-1]
				s.retire(c)
			}
			return
		}
	}
}

// killParked wakes all parked tasks with a hard kill, and reports whether there were any.
func (s *Scheduler) killParked() (any bool) {
	for i := 0; i < len(s.coros); i++ {
		t := s.coros[i].task
		if t == nil || t.state != Parked || t.givenUp() {
			continue
		}
		any = true
		t.kill.Or(killHard)
		if t.waiter != nil {
			if i, ok := t.waiter.Item().(Interrupter); ok {
				s.interrupt(i)
			}
		}
		t.wake(killed)
	}
	return any
}

// tellLost reports the tasks that were given up since its last call, and reports whether there were
// any.
func (s *Scheduler) tellLost() (any bool) {
	for i := 0; i < len(s.coros); i++ {
		if t := s.coros[i].task; t != nil && t.givenUp() && t.kill.Load()&killTold == 0 {
			any = true
			t.kill.Or(killTold)
			s.lost(t)
		}
	}
	return any
}

// restAtEnd is called when s was asked to stop and has nothing left to do. It returns true if that
// holds for all members of the team. Otherwise it returns false when something has come.
func (s *Scheduler) restAtEnd() (over bool) {
	if s.team != nil {
		return s.team.restAtEnd(s)
	}
	s.left()
	return s.ready.n == 0 && !s.door.pending.Load()
}

func (s *Scheduler) interrupt(i Interrupter) {
	defer s.caught()
	i.Interrupt()
}

// Leaked returns the tasks that Run could not end, because they recover every kill and block again.
// It must be called after Run has returned.
func (s *Scheduler) Leaked() []*Task {
	var ts []*Task
	for _, c := range s.coros {
		if c.task != nil {
			ts = append(ts, c.task)
		}
	}
	return ts
}

// crash ends the loop because something that must not panic has panicked.
func (s *Scheduler) crash(v any) {
	s.stopping = true
	if s.fatal == nil {
		if e, guarded := v.(*PanicError); guarded { // it has the stack of its own panic
			s.fatal = e
		} else {
			s.fatal = NewPanicError(v)
		}
		if h := s.hooks.Crashed; h != nil {
			h(s.fatal)
		}
	}
}

// caught is deferred around everything besides tasks that the loop calls. The loop runs on the
// stack that gave up control. Without caught, a panic would unwind a task that has nothing to do
// with it.
func (s *Scheduler) caught() {
	if v := recover(); v != nil {
		s.crash(v)
	}
}

// WhenOver makes the scheduler do w at the end of Run, when no task is left and nothing is injected
// any more. It is for goroutines that work for a scheduler and must end with it. Run returns after
// w. WhenOver must be called on the scheduler, or before Run.
func (s *Scheduler) WhenOver(w Work) { s.endings = append(s.endings, w) }
