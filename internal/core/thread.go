package core

import (
	"bytes"
	"runtime"
)

// A goroutine that is locked to its OS thread cannot hand over control. Go ends the program then,
// with "fatal error: coro: OS thread locking must match locking at coroutine creation". So a task
// may neither park nor return while its thread is locked. It may be locked by runtime.LockOSThread,
// or because a C function that the task has called has called back into Go. Go shows whether a
// thread is locked only in the text of a stack, which costs microseconds. So only schedulers that
// can afford it check: those of tests, and those in builds that check everything.

// mustNotBeLocked panics if the caller's goroutine is locked to its thread, in a scheduler that
// checks. It is called before a call parks.
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

// Unlock unlocks the caller's goroutine from its OS thread, in a scheduler that checks
// (Config.CheckThreads), and reports whether it was locked. It is for the end of a body that did
// not return. It must be called on the running task.
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

// MustBeUnlocked is for a body that has returned. It panics if the thread was locked, and unlocks
// it.
//
// It is called at each activation. In a scheduler that does not check it is one comparison,
// inlined.
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

// maxLocks is more than the depth to which any program nests runtime.LockOSThread.
const maxLocks = 1000

// lockedToThread reports whether the caller's goroutine is locked to its thread. It returns false
// in a scheduler that does not check.
func (s *Scheduler) lockedToThread() bool {
	if s.header == nil {
		return false
	}
	first, _, _ := bytes.Cut(s.header[:runtime.Stack(s.header, false)], []byte("\n"))
	return bytes.Contains(first, []byte("locked to thread"))
}
