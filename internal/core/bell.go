package core

// Bell wakes a task that waits for something that others do, on whatever goroutine: they ring as
// often as it happens, and it wakes the task if that is waiting by the bell then. Hence the task
// looks, each time, whether what it waits for is there.
type Bell struct {
	t     *Task
	waits bool // owned by t's scheduler
}

// NewBell gives a bell for the waits of t.
func (t *Task) NewBell() *Bell { return &Bell{t: t} }

// Park is Task.Park for a wait that Ring ends.
func (b *Bell) Park(w Wait) error {
	b.waits = true
	defer func() { b.waits = false }() // a kill may be raised
	return b.t.Park(w)
}

// Ring wakes the task. from is the scheduler that the caller runs on, nil for an ordinary
// goroutine.
func (b *Bell) Ring(from *Scheduler) {
	if from == b.t.s {
		b.Do()
	} else {
		b.t.s.Inject(b)
	}
}

// Do is Ring on the task's scheduler.
func (b *Bell) Do() {
	if b.waits {
		b.t.Wake()
	}
}
