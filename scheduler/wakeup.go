package scheduler

// WakeUp ends one certain wait of a task, the one that begins next after NextWait; if it comes when that wait is over, it does
// nothing. It is Work, for those who end waits from elsewhere: t.Scheduler().Inject(w).
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

// MustRun panics unless t is the running task: op names what its context was given to.
func (t *Task) MustRun(op string) { t.mustRun(op) }

// IsRunning reports whether t has control. On its scheduler.
func (t *Task) IsRunning() bool { return t.s.current == t }

// Runner is the one given to Init.
func (t *Task) Runner() Runner { return t.runner }

// IdleOn is for a stackless task that waits for the holder of on and is about to return from Run: a search for deadlocks goes on
// there. soft: the wait has an end of its own. Until the next activation. On t's scheduler.
func (t *Task) IdleOn(kind Kind, on *Resource, soft bool) { t.kind, t.waitsOn, t.soft = kind, on, soft }

// Redirect changes what t, which is parked, waits on: the one that it waits for has handed its duty to somebody else. On t's
// scheduler.
func (t *Task) Redirect(on *Resource) {
	if t.state != Parked {
		return
	}
	t.waitsOn = on
	if on != nil && on.Holder.s != t.s {
		t.s.strayed() // as if the wait began now
	}
}

// View is what can be seen of a task from any goroutine; each field by itself, not all at one moment.
type View struct {
	State State
	Kind  Kind
	On    *Task // the holder of what it waits on, if it is parked
	Since int64 // ns on the clock: since when it is idle or parked
	Until int64 // ns on the clock: when its timer wakes it, or ends its wait; 0: no timer runs
}

// Glance looks at t without stopping it, from any goroutine; see [Peek].
func (t *Task) Glance() View {
	v := View{State: Peek(&t.state), Kind: Peek(&t.kind), Since: Peek(&t.since)}
	if on := Peek(&t.waitsOn); on != nil && v.State == Parked {
		v.On = Peek(&on.Holder)
	}
	if when := Peek(&t.timer.when); when != 0 {
		v.Until = t.s.origin + when*tickNS
	}
	return v
}
