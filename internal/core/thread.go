package core

import (
	"bytes"
	"runtime"
)

// A goroutine that is locked to its OS thread can't hand over control: Go ends the program then,
// with "fatal error: coro: OS thread locking must match locking at coroutine creation". So a task
// may neither park nor return while its thread is locked, be it by runtime.LockOSThread, or since a
// C function that it has called has called back into Go. Go tells whether a thread is locked in the
// text of a stack only, which costs microseconds. So only those look who can afford it: tests, and
// builds that check everything.

// mustNotBeLocked panics if the caller's goroutine is locked to its thread, in a scheduler that
// looks. A call that parks is about to begin.
func (t *Task) mustNotBeLocked() {
	if t.s.header != nil {
		t.refuseLocked()
	}
}

func (t *Task) refuseLocked() {
	if t.s.lockedToThread() {
		misuse("%s blocks while its goroutine is locked to an OS thread: lock the thread, or call C, inside Await", t.s.name(t))
	}
}

// Unlock unlocks the caller's goroutine from its OS thread, in a scheduler that looks
// (Config.CheckThreads), and reports whether it was locked. For the end of a body that did not
// return. On the running task only.
func (t *Task) Unlock() (was bool) {
	if !t.s.lockedToThread() {
		return false
	}
	for range maxLocks {
		if runtime.UnlockOSThread(); !t.s.lockedToThread() {
			break
		}
	}
	return true
}

// MustBeUnlocked is Unlock for a body that has returned: it panics if the thread was locked.
//
// It is called at each activation: where nobody looks it is one comparison, inlined.
func (t *Task) MustBeUnlocked() {
	if t.s.header != nil {
		t.refuseToEndLocked()
	}
}

func (t *Task) refuseToEndLocked() {
	if t.Unlock() {
		misuse("%s returned with its goroutine locked to an OS thread: lock the thread inside Await, and unlock it", t.s.name(t))
	}
}

// maxLocks is more than anybody nests runtime.LockOSThread.
const maxLocks = 1000

// lockedToThread reports whether the caller's goroutine is locked to its thread; false in a
// scheduler that does not look.
func (s *Scheduler) lockedToThread() bool {
	if s.header == nil {
		return false
	}
	first, _, _ := bytes.Cut(s.header[:runtime.Stack(s.header, false)], []byte("\n"))
	return bytes.Contains(first, []byte("locked to thread"))
}
