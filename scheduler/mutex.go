package scheduler

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// Mutex is a lock between the tasklets of one scheduler. (A wait for a sync.Mutex would block the
// whole scheduler.) A tasklet needs a Mutex only for state that must not change while the tasklet
// is parked: between two blocking points no other tasklet runs.
//
// A locked Mutex has a holder, the tasklet that locked it, so a deadlock is detected when it forms:
// the Lock that would close a cycle returns a *[DeadlockError]. Waiting tasklets are served first
// come, first served. Unlock hands the lock to the first of them, so no other can overtake it.
//
// If a tasklet ends without calling Unlock, the Mutex stays locked, because the state that it
// protects may be inconsistent. Call Unlock in a defer statement: deferred calls run in a killed
// tasklet too.
//
// The zero Mutex is unlocked, and ready to use. A Mutex belongs to one scheduler, and only the
// tasklets of that scheduler may call its methods. A Mutex must not be copied after first use.
type Mutex struct {
	home home

	// Owned by the scheduler.
	lock core.Resource // its holder is the holder of the Mutex
	line core.Line
}

// Lock locks m. It parks the calling tasklet while another tasklet holds m.
//
// Lock returns a *[DeadlockError] at once if the holder waits, directly or through others, for the
// caller and no wait in that cycle has a time limit, or if the caller itself holds m. It returns
// [ErrTimeout] or the cause of ctx if ctx ends first. If the error is not nil, the caller does not
// hold m. A kill is raised when Lock is called or while it is parked. If the lock was handed over
// before the kill, Lock returns nil, and the kill is raised at the next blocking point. ctx must
// belong to the running tasklet.
func (m *Mutex) Lock(ctx context.Context) error {
	t, limit := m.home.enter(ctx, "Mutex.Lock")
	for m.lock.Holder != nil {
		ok, err := t.Stand(&m.line, core.Wait{Kind: core.InMutex, On: &m.lock, Ctx: limit})
		if ok || err != nil {
			return err
		}
	}
	m.lock.Holder = t
	return nil
}

// TryLock locks m if no tasklet holds it, and reports whether it did. It never parks. ctx must
// belong to the running tasklet, which becomes the holder.
func (m *Mutex) TryLock(ctx context.Context) bool {
	t, _ := core.Caller(ctx, "Mutex.TryLock")
	m.home.check(t, "Mutex.TryLock")
	if m.lock.Holder != nil {
		return false
	}
	m.lock.Holder = t
	return true
}

// Unlock unlocks m, or hands it to the first waiting tasklet. It never parks. It panics if the
// running tasklet does not hold m.
func (m *Mutex) Unlock() {
	t := m.lock.Holder
	if t == nil {
		misuse("Mutex.Unlock of a Mutex that nobody holds")
	}
	if t.Scheduler().Current() != t {
		misuse("Mutex.Unlock while %s runs, but %s holds the Mutex", t.Scheduler().Current(), t)
	}
	if m.line.Empty() {
		m.lock.Holder = nil
		return
	}
	m.lock.Holder = m.line.First().Task()
	m.line.Hand()
}
