package core

// SetAway records that t only waits for a function on another goroutine, or no longer does. That
// function may have access to t's contexts. The running task calls SetAway before it starts that
// goroutine, and again when it has control back.
//
// The invariant: as long as t is away, no call that belongs to t begins, except the Park of kind
// InAwait in which t waits for the function. All calls check the mark first. So a call that the
// function makes is refused, whether t is parked by then or not. There is no data race, because the
// mark was set before the goroutine began.
func (t *Task) SetAway(away bool) {
	if away {
		t.kill.Or(killAway)
	} else {
		t.kill.And(^uint32(killAway))
	}
}

func (t *Task) isAway() bool { return t.kill.Load()&killAway != 0 }

// MustNotBeAway panics if t is away. op names the call. It may be called from any goroutine.
func (t *Task) MustNotBeAway(op string) {
	if t.isAway() {
		t.misusedAway(op)
	}
}

func (t *Task) misusedAway(op string) {
	misuse("%s with the context of %s inside its Await: the function runs on another goroutine and has its own context",
		op, t.s.name(t))
}
