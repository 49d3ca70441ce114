package core

// WakeUp ends one particular wait of a task: the one that begins next after NextWait. It has no
// effect if that wait is over. It is Work, so that other goroutines can end waits:
// t.Scheduler().Inject(w).
type WakeUp struct {
	t   *Task
	seq uint32
}

// NextWait returns the wake-up for the next wait of t, which must be the running task.
func (t *Task) NextWait() WakeUp { return WakeUp{t, t.waitSeq + 1} }

// Do wakes the task, with the awaited result. It must be called on the task's scheduler.
func (w *WakeUp) Do() {
	if w.t.state == Parked && w.t.waitSeq == w.seq {
		w.t.wake(awaited)
	}
}

// Send injects the wake-up. It may be called from any goroutine.
func (w *WakeUp) Send() bool { return w.t.s.Inject(w) }
