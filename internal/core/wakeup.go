package core

// WakeUp ends one certain wait of a task, the one that begins next after NextWait; if it comes when
// that wait is over, it does nothing. It is Work, for those who end waits from elsewhere:
// t.Scheduler().Inject(w).
type WakeUp struct {
	t   *Task
	seq uint32
}

// NextWait gives the wake-up for the next wait of t, which must be the running task.
func (t *Task) NextWait() WakeUp { return WakeUp{t, t.waitSeq + 1} }

// Do wakes the task, with the result that it waited for. On its scheduler.
func (w *WakeUp) Do() {
	if w.t.state == Parked && w.t.waitSeq == w.seq {
		w.t.wake(awaited)
	}
}

// Send injects the wake-up. From any goroutine.
func (w *WakeUp) Send() bool { return w.t.s.Inject(w) }
