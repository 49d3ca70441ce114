package core

import (
	"sync"
	"sync/atomic"
)

// Work is something that is done on a scheduler between two activations of its tasks. At that time
// nothing else touches what the scheduler owns. Do must be short, and must neither park nor call
// runtime.Goexit, as t.FailNow does, because it runs on the stack that gave up control. A panic of
// Do ends the scheduler.
type Work interface{ Do() }

// door is the only way in for other goroutines. Everything else of a scheduler is its own and needs
// no lock.
type door struct {
	mu    sync.Mutex
	work  []Work // mu protects it; in order of arrival
	spare []Work // owned by the scheduler: the slice to fill next; nil during takeIn
	busy  bool   // owned by the scheduler: injected work is being done
	shut  bool   // mu protects it; nothing is accepted any more

	// pending is atomic: written under mu, and read by the scheduler before each activation.
	// Without it every activation would take the lock.
	pending atomic.Bool
	// sleeping is atomic: set by the scheduler before it blocks on wake, and set back to false by
	// compare-and-swap. An injector that sets it back must send one value to wake. If the scheduler
	// sets it back, because its timer was first, it takes no value from wake.
	sleeping atomic.Bool
	wake     chan struct{} // made in New, then read-only; has room for one value
}

// Inject passes w to the scheduler. Injected work is done in order of arrival, before the next task
// is called or resumed. Inject returns false if the scheduler has stopped, and then w will not be
// done. It never blocks, and may be called from any goroutine, including tasks.
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

// InjectFunc is like Inject, for a function.
func (s *Scheduler) InjectFunc(f func()) bool { return s.Inject(workFunc(f)) }

type workFunc func()

func (f workFunc) Do() { f() }

// ring wakes the scheduler if it sleeps.
func (d *door) ring() {
	if d.sleeping.Load() && d.sleeping.CompareAndSwap(true, false) {
		d.wake <- struct{}{}
	}
}

// takeIn does the injected work.
func (s *Scheduler) takeIn() {
	d := &s.door
	d.mu.Lock()
	work := d.work
	d.work, d.spare = d.spare[:0], nil
	d.pending.Store(false)
	d.mu.Unlock()
	s.do(work)
	if cap(work) > 1<<14 {
		work = nil // frees the memory of a burst
	}
	d.spare = work[:0]
}

// do does all of work, in order, and clears it.
func (s *Scheduler) do(work []Work) {
	s.door.busy = true
	for done := 0; done < len(work); {
		done = s.doSome(work, done)
	}
	s.door.busy = false
}

// doSome does work from the i-th piece on, up to the first that panics. It returns the number of
// pieces that are done.
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

// close makes Inject refuse work, and returns the work that was not done.
func (d *door) close() []Work {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	work := d.work
	d.work = nil
	d.pending.Store(false)
	return work
}
