package scheduler

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// Mutex is a lock between the tasks of one scheduler; a sync.Mutex would block all of them. A task
// needs it only for what must stay as it is while the task parks: between two blocking calls nobody
// else runs anyway.
//
// It has a holder, the task that locked it. So a deadlock is found when it forms: the Lock that
// would close a ring gets a *[DeadlockError]. Who waits is served first come first served, and
// Unlock hands the lock over: nobody overtakes.
//
// A task that ends without Unlock leaves the Mutex locked for ever, for nobody knows in which state
// it left what the Mutex protects. Those who wait then are parked on a finished task, which
// [Task.Waits] names. Use defer: deferred calls run in a killed task too.
//
// The zero Mutex is unlocked. A Mutex belongs to one scheduler and must not be copied.
type Mutex struct {
	home home

	// Owned by the scheduler.
	lock core.Resource // its holder is that of the Mutex
	line core.Line
}

// Lock locks m. While another task holds it, Lock parks.
//
// It returns a *[DeadlockError], at once, if the holder waits, over some steps, for the caller, and
// nobody on the way has a time limit; so too if the caller itself holds m. It returns [ErrTimeout]
// or the cause of ctx if ctx ends first. After an error m was not locked. A kill is raised at the
// entry or while parked; a lock that was handed over before the kill came is the caller's, and the
// kill is raised at its next blocking call. ctx must belong to the running task.
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

// TryLock locks m if nobody holds it, and reports whether it did. It never parks; it needs the
// context, which must belong to the running task, to know the holder.
func (m *Mutex) TryLock(ctx context.Context) bool {
	t, _ := core.Caller(ctx, "Mutex.TryLock")
	m.home.check(t, "Mutex.TryLock")
	if m.lock.Holder != nil {
		return false
	}
	m.lock.Holder = t
	return true
}

// Unlock hands m to the first that waits for it. It never parks. It panics unless the running task
// holds m.
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
