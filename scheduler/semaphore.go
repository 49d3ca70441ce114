package scheduler

import (
	"context"
	"errors"
	"fmt"

	"github.com/gotasklet/tasklet/internal/core"
)

// ErrTooMany is returned by Semaphore.Acquire for more units than the semaphore has in all, as no
// wait could succeed.
var ErrTooMany = errors.New("scheduler: more units than the semaphore has")

// Semaphore is a number of units that the tasklets of one scheduler acquire and release:
// connections, megabytes, simultaneous requests. Waiting tasklets are served first come, first
// served, so a large request is not overtaken by small ones that would fit.
//
// A Semaphore has no holder, because one tasklet may release what another acquired. Deadlocks on a
// Semaphore are therefore not detected.
//
// Use [NewSemaphore] to make a Semaphore; the zero Semaphore has no units. A Semaphore belongs to
// one scheduler, and only the tasklets of that scheduler may call its methods. A Semaphore must not
// be copied after first use.
type Semaphore struct {
	home home
	size int64 // set in NewSemaphore, then read-only

	// Owned by the scheduler.
	free  int64
	line  core.Line // each place holds the number of units wanted
	spare places[int64]
}

// NewSemaphore returns a semaphore with n units, all of them free. It panics if n is negative.
func NewSemaphore(n int64) *Semaphore {
	if n < 0 {
		misuse("NewSemaphore with negative size %d", n)
	}
	return &Semaphore{size: n, free: n}
}

// Acquire acquires k units in one step. It parks the calling tasklet while fewer than k units are
// free or other tasklets wait already; the latter also holds for k = 0.
//
// Acquire returns an error that wraps [ErrTooMany], at once, if s has fewer than k units in all. It
// returns [ErrTimeout] or the cause of ctx if ctx ends first. If the error is not nil, no units
// were acquired. A kill is raised when Acquire is called or while it is parked. If the units were
// handed over before the kill, Acquire returns nil, and the kill is raised at the next blocking
// point. Acquire panics if k is negative. ctx must belong to the running tasklet.
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
	// A tasklet that leaves the line, also by a kill, may have held up others that want less.
	defer s.serve()
	p := s.spare.get(k)
	s.line.Add(&p.Waiter)
	err = t.Park(core.Wait{Kind: core.InSemaphore, Ctx: limit, In: &p.Waiter})
	_, ok = s.spare.put(p)
	return ok, err
}

// TryAcquire acquires k units if they are free and no tasklet waits, and reports whether it did. It
// never parks. It panics if k is negative.
func (s *Semaphore) TryAcquire(k int64) bool {
	if k < 0 {
		misuse("Semaphore.Acquire or TryAcquire of a negative number of units, %d", k)
	}
	if k > s.free || !s.line.Empty() {
		return false
	}
	s.free -= k
	return true
}

// Release releases k units, and hands free units to waiting tasklets. It never parks. It panics if
// k is negative, or if fewer than k units are acquired.
func (s *Semaphore) Release(k int64) {
	if k < 0 || k > s.size-s.free {
		misuse("Semaphore.Release of %d units, but %d of %d are acquired", k, s.size-s.free, s.size)
	}
	s.free += k
	s.serve()
}

// serve hands free units to the waiting tasklets, in order, until the first one that wants more
// than are left.
func (s *Semaphore) serve() {
	for w := s.line.First(); w != nil; w = s.line.First() {
		p := w.Item().(*place[int64])
		if p.v > s.free {
			return
		}
		s.free -= p.v
		p.hand()
	}
}
