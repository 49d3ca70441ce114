package core

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
