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

// MustRun panics unless t is the running task: op names what its context was given to.
func (t *Task) MustRun(op string) { t.mustRun(op) }

// IsRunning reports whether t has control, and has not lent itself to a function on another
// goroutine. On its scheduler, or in that function.
func (t *Task) IsRunning() bool { return !t.isAway() && t.s.current == t }

// SetAway says that from now on, or no longer, t does nothing but wait for a function on another
// goroutine, which may have t's contexts within reach. The running task calls it before it starts
// that goroutine, and again when it has control back.
//
// The invariant: as long as t is away, no call that belongs to t begins but the Park of kind
// InAwait in which t waits for the function. All calls look at the mark first, so one that the
// function makes is refused whether t is parked by then or not; and since the mark was set before
// the goroutine began, without a data race.
func (t *Task) SetAway(away bool) {
	if away {
		t.kill.Or(killAway)
	} else {
		t.kill.And(^uint32(killAway))
	}
}

func (t *Task) isAway() bool { return t.kill.Load()&killAway != 0 }

// MustNotBeAway panics if t is away: op names the call. From any goroutine.
func (t *Task) MustNotBeAway(op string) {
	if t.isAway() {
		t.misusedAway(op)
	}
}

func (t *Task) misusedAway(op string) {
	misuse("%s with the context of %s inside its Await: the function runs on another goroutine and has its own context",
		op, t.s.name(t))
}

// Runner is the one given to Init.
func (t *Task) Runner() Runner { return t.runner }

// IdleOn is for a stackless task that waits for the holder of on and is about to return from Run: a
// search for deadlocks goes on there. soft: the wait has an end of its own. Until the next
// activation. On t's scheduler.
func (t *Task) IdleOn(kind Kind, on *Resource, soft bool) { t.kind, t.waitsOn, t.soft = kind, on, soft }

// Redirect changes what t, which is parked, waits on: the one that it waits for has handed its duty
// to somebody else. On t's scheduler.
func (t *Task) Redirect(on *Resource) {
	if t.state != Parked {
		return
	}
	t.waitsOn = on
	if on != nil && on.Holder.s != t.s {
		t.s.strayed() // as if the wait began now
	}
}

// View is what can be seen of a task from any goroutine; each field by itself, not all at one
// moment.
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
