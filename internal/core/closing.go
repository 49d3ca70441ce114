package core

import (
	"context"
	"sync/atomic"
)

// closing is how far a scheduler is with its end: what Run does after Stop, and what others may
// know of it. Owned by whoever has control, unless it says otherwise.
type closing struct {
	stopping bool // since Stop or a panic: the loop ends
	asked    bool // Stop was called
	ending   bool // after that: unwind has what is ready served, see last
	calls    int  // of tasks without a coroutine while ending
	// the first panic that a Runner, injected work, a timer or Quiescent let out
	fatal   *PanicError
	endings []Work // see WhenOver

	// unwound is written by the scheduler's goroutine, and read by those who ask: see Unwound.
	unwound atomic.Bool

	// Made in New, then read-only. gone is done when nobody needs to wait for the scheduler any
	// more: see Gone.
	gone   context.Context
	giveUp context.CancelFunc
}

// maxCalls is how many calls tasks without a coroutine get after Stop, all together: tasks that
// wake themselves, or start each other, must not keep Run from ending.
const maxCalls = 1 << 20

// Gone returns a context that is done when nobody needs to wait any more for what s would do: Run
// is about to return, or [Scheduler.GiveUp] was called. Those who wait for a task of s, or for its
// mailbox, from a goroutine or from a scheduler that is no kin of s, wait for this too. From any
// goroutine.
func (s *Scheduler) Gone() context.Context { return s.gone }

// GiveUp ends the context of Gone: a task holds s, and its owner waits no longer. The scheduler
// itself goes on if the task gives up control after all. From any goroutine.
func (s *Scheduler) GiveUp() { s.giveUp() }

// Unwound reports whether s has been asked to stop, has nothing left to do, and waits for the other
// members of its team. From any goroutine; it may be false again if another member brings
// something.
func (s *Scheduler) Unwound() bool { return s.unwound.Load() }

// last is next after Stop. While unwind asks for it, what is ready is still served, under a hard
// kill: a stackless task may have deferred calls too, and what unwinds may wake others. Nobody
// sleeps any more.
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

// lost tells the owner of t that t can't be brought to its end.
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

// unwind ends what Stop found: first the tasks that are parked, by a hard kill, until none is left
// but those that were given up, then what Hooks.Left finds, then the free coroutines. The door is
// shut when nothing is left to do on any member of the team, and what came in until then is done.
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
			// A panic has ended it. What others have to do with its tasks is still done, and so is
			// what its timers are for, or they would wait for ever.
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

// killParked wakes everybody who is parked, by a hard kill, and reports whether there was anybody.
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

// tellLost tells of those that were given up since it was called last, and reports whether there
// were any.
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

// restAtEnd is called when nothing is left to do on s, which was asked to stop. It reports whether
// that holds for all who have to end with s; if not, it returns when something has come.
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

// Leaked gives the tasks that Run could not end: they recover every kill and block again. After Run
// has returned.
func (s *Scheduler) Leaked() []*Task {
	var ts []*Task
	for _, c := range s.coros {
		if c.task != nil {
			ts = append(ts, c.task)
		}
	}
	return ts
}

// crash ends the loop because something that must not panic did.
func (s *Scheduler) crash(v any) {
	s.stopping = true
	if s.fatal == nil {
		if e, guarded := v.(*PanicError); guarded { // with the stack of where it was
			s.fatal = e
		} else {
			s.fatal = NewPanicError(v)
		}
		if h := s.hooks.Crashed; h != nil {
			h(s.fatal)
		}
	}
}

// caught is deferred around what the loop calls besides tasks. The loop runs on the stack of
// whoever gave up control: without this, a panic would unwind a task that has nothing to do with
// it.
func (s *Scheduler) caught() {
	if v := recover(); v != nil {
		s.crash(v)
	}
}

// WhenOver has w done at the end of Run, when no task is left and nothing is injected any more: for
// goroutines that work for a scheduler and are to be gone with it. Run returns after it. On the
// scheduler, or before Run.
func (s *Scheduler) WhenOver(w Work) { s.endings = append(s.endings, w) }
