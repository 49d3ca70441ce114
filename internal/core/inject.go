package core

import (
	"sync"
	"sync/atomic"
)

// Work is something to be done on a scheduler, between two activations of its tasks: by then nobody
// else touches what the scheduler owns. Do must be short, and may neither park nor call
// runtime.Goexit (t.FailNow does): it runs on the stack of whoever gave up control. A panic that it
// lets out ends the scheduler.
type Work interface{ Do() }

// door is the one way in for other goroutines. Everything else of a scheduler is its own and needs
// no lock.
type door struct {
	mu    sync.Mutex
	work  []Work // mu protects; in order of arrival
	spare []Work // owned by the scheduler: the slice to fill next; nil while takeIn is at work
	busy  bool   // owned by the scheduler: what came in is being done
	shut  bool   // mu protects; nothing is taken any more

	// pending is written under mu, and read by the scheduler before each activation: without it
	// every activation would take the lock.
	pending atomic.Bool
	// sleeping is set by the scheduler before it blocks on wake. Whoever sets it back to false, by
	// compare and swap, owes one value on wake (an injector) or takes none from it (the scheduler,
	// whose timer was first).
	sleeping atomic.Bool
	wake     chan struct{} // made in New, then read-only; holds one
}

// Inject hands w to the scheduler. From any goroutine, tasks included; never blocks. Injected work
// is done in order of arrival, before the next task is called or resumed. False: the scheduler has
// stopped, and w will not be done.
func (s *Scheduler) Inject(w Work) bool {
	d := &s.door
	d.mu.Lock()
	if d.shut {
		d.mu.Unlock()
		return false
	}
	d.work = append(d.work, w)
	if len(d.work) == 1 {
		d.pending.Store(true)
	}
	d.mu.Unlock()
	d.ring()
	return true
}

// InjectFunc is Inject for a function.
func (s *Scheduler) InjectFunc(f func()) bool { return s.Inject(workFunc(f)) }

type workFunc func()

func (f workFunc) Do() { f() }

// ring wakes the scheduler if it sleeps.
func (d *door) ring() {
	if d.sleeping.Load() && d.sleeping.CompareAndSwap(true, false) {
		d.wake <- struct{}{}
	}
}

// takeIn does what was injected.
func (s *Scheduler) takeIn() {
	d := &s.door
	d.mu.Lock()
	work := d.work
	d.work, d.spare = d.spare[:0], nil
	d.pending.Store(false)
	d.mu.Unlock()
	s.do(work)
	if cap(work) > 1<<14 {
		work = nil // a burst's memory goes back
	}
	d.spare = work[:0]
}

// do does all of work, in order, and lets go of it.
func (s *Scheduler) do(work []Work) {
	s.door.busy = true
	for done := 0; done < len(work); {
		done = s.doSome(work, done)
	}
	s.door.busy = false
}

// doSome is do from the i-th on, up to the first that panics. It gives the number of those that are
// done.
func (s *Scheduler) doSome(work []Work, i int) (done int) {
	defer s.caught()
	for done = i; done < len(work); {
		w := work[done]
		work[done] = nil
		done++
		w.Do()
	}
	return done
}

// close makes Inject refuse, and gives what was not done.
func (d *door) close() []Work {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	work := d.work
	d.work = nil
	d.pending.Store(false)
	return work
}
