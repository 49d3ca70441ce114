package scheduler

import (
	"context"
	"errors"
	"fmt"

	"github.com/gotasklet/tasklet/internal/core"
)

// ErrTooMany is returned by Semaphore.Acquire for more units than there are: no wait could ever
// help.
var ErrTooMany = errors.New("scheduler: more units than the semaphore has")

// Semaphore is a number of units that tasks of one scheduler take and give back: connections,
// megabytes, simultaneous requests. Who waits is served first come first served: a big request is
// not overtaken by small ones that would fit.
//
// It has no holder (a unit may be given back by another task than the one that took it), so a
// deadlock is not found.
//
// NewSemaphore makes one; the zero Semaphore has no units. A Semaphore belongs to one scheduler:
// its methods are called from that one's tasks or from what was injected there. It must not be
// copied.
type Semaphore struct {
	home home
	size int64 // set in NewSemaphore, then read-only

	// Owned by the scheduler.
	free  int64
	line  core.Line // their places hold how many they want
	spare places[int64]
}

// NewSemaphore makes a semaphore of n units, all of them free. A negative n panics.
func NewSemaphore(n int64) *Semaphore {
	if n < 0 {
		misuse("NewSemaphore with the negative size %d", n)
	}
	return &Semaphore{size: n, free: n}
}

// Acquire takes k units, all at once. It parks while they are not free or others wait already; that
// holds for 0 units too.
//
// It returns, at once, an error that is [ErrTooMany] if s has less than k units in all;
// [ErrTimeout] or the cause of ctx if ctx ends first. After an error nothing was taken. A negative
// k panics. A kill is raised at the entry or while parked; units that were handed over before the
// kill came are the caller's, and the kill is raised at its next blocking call. ctx must belong to
// the running task.
func (s *Semaphore) Acquire(ctx context.Context, k int64) error {
	t, limit := s.home.enter(ctx, "Semaphore.Acquire")
	if k > s.size {
		return fmt.Errorf("%w: %d of %d", ErrTooMany, k, s.size)
	}
	for !s.TryAcquire(k) {
		ok, err := s.stand(t, limit, k)
		if ok || err != nil {
			return err
		}
	}
	return nil
}

func (s *Semaphore) stand(t *core.Task, limit context.Context, k int64) (ok bool, err error) {
	// One that leaves the line, by a kill too, may have been in the way of others who want less.
	defer s.serve()
	p := s.spare.get(k)
	s.line.Add(&p.Waiter)
	err = t.Park(core.Wait{Kind: core.InSemaphore, Ctx: limit, In: &p.Waiter})
	_, ok = s.spare.put(p)
	return ok, err
}

// TryAcquire takes k units if they are free and nobody waits, and reports whether it did. It never
// parks and needs no context. A negative k panics.
func (s *Semaphore) TryAcquire(k int64) bool {
	if k < 0 {
		misuse("acquiring the negative number %d of units of a Semaphore", k)
	}
	if k > s.free || !s.line.Empty() {
		return false
	}
	s.free -= k
	return true
}

// Release gives k units back, and hands them to those who wait. It never parks. It panics if k is
// negative, or if less than k units are out.
func (s *Semaphore) Release(k int64) {
	if k < 0 || k > s.size-s.free {
		misuse("Semaphore.Release of %d units, but %d of %d are out", k, s.size-s.free, s.size)
	}
	s.free += k
	s.serve()
}

// serve hands free units to those who wait, in order, as far as they go.
func (s *Semaphore) serve() {
	for w := s.line.First(); w != nil; w = s.line.First() {
		p := w.Item.(*place[int64])
		if p.v > s.free {
			return
		}
		s.free -= p.v
		p.hand()
	}
}
