package core

// Bell wakes a task that waits for something that happens on any goroutine. Every such event rings
// the bell, which wakes the task if it waits by the bell at that time. So the task must check, each
// time, whether the event that it waits for has happened.
type Bell struct {
	t     *Task
	waits bool // owned by t's scheduler
}

// NewBell returns a bell for waits of t.
func (t *Task) NewBell() *Bell { return &Bell{t: t} }

// Park is like Task.Park, for a wait that Ring ends.
func (b *Bell) Park(w Wait) error {
	b.waits = true
	defer func() { b.waits = false }() // a kill may be raised
	return b.t.Park(w)
}

// Ring wakes the task. from is the scheduler that the caller runs on, or nil for an ordinary
// goroutine.
func (b *Bell) Ring(from *Scheduler) {
	if from == b.t.s {
		b.Do()
	} else {
		b.t.s.Inject(b)
	}
}

// Do does what Ring does, on the task's scheduler.
func (b *Bell) Do() {
	if b.waits {
		b.t.Wake()
	}
}
