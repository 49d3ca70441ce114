package core

// Line is a line of waiters, first come first served: those that want room in a mailbox, a mutex,
// somebody's end. The zero Line is empty. Owned by one scheduler; or protected by a mutex, if
// nobody parks with a place in it. It is no list of internal/list: a place knows its line, and
// an entry would need a word more to know the place.
type Line struct{ first, last *Waiter }

// Waiter is a place in a Line. The zero Waiter stands in none; it may be used again after it has
// left, and must not be copied while it stands. Owned by one scheduler.
//
// A place belongs to the task that is parked with it (Wait.In). When anything but the awaited ends
// the wait (a kill, a time, a context), the waiter leaves its line at that moment, before its task
// runs: an entry left behind would take a hand-over that is meant for the next in line.
type Waiter struct {
	next, prev *Waiter
	line       *Line
	task       *Task // parked with this place; nil: nobody has to be woken

	// Item is what the place is for, as the owner of the line needs it: the message of a parked
	// sender, for example. If it is an [Interrupter], a kill calls it and does not end the wait.
	Item any
}

// Interrupter is the Item of a wait that a kill can't simply end, because somebody outside works on
// the task's behalf. Interrupt asks that one to finish soon.
type Interrupter interface{ Interrupt() }

// Empty reports whether nobody stands in l.
func (l *Line) Empty() bool { return l.first == nil }

// First is the one that has waited longest, nil if l is empty.
func (l *Line) First() *Waiter { return l.first }

// Add puts w at the end of l. It panics if w stands in a line.
func (l *Line) Add(w *Waiter) {
	if w.line != nil {
		bug("waiter stands in a line already")
	}
	w.line, w.prev = l, l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
}

// Next is the one behind w, nil if w is the last.
func (w *Waiter) Next() *Waiter { return w.next }

// Waits reports whether w stands in a line.
func (w *Waiter) Waits() bool { return w.line != nil }

// Task is the one parked with w, nil if there is none.
func (w *Waiter) Task() *Task { return w.task }

// Leave takes w out of its line; if it stands in none, nothing happens.
func (w *Waiter) Leave() {
	l := w.line
	if l == nil {
		return
	}
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev, w.line = nil, nil, nil
}

// Release takes w out of its line and lets its task go on, with the result that it waited for. On
// the scheduler of the task.
func (w *Waiter) Release() {
	w.Leave()
	if w.task != nil {
		w.task.Wake()
	}
}

// ReleaseAll lets everybody in l go on, in order.
func (l *Line) ReleaseAll() {
	for l.first != nil {
		l.first.Release()
	}
}

// waiter gives a free place: lines without items of their own (a mutex, a join) use these, so that
// waiting allocates nothing.
func (s *Scheduler) waiter() *Waiter {
	w := s.waiters
	if w == nil {
		return &Waiter{}
	}
	s.waiters, w.next = w.next, nil
	s.spare--
	return w
}

func (s *Scheduler) putWaiter(w *Waiter) {
	w.Item = nil
	if s.spare == maxSpare {
		return
	}
	w.next, s.waiters = s.waiters, w
	s.spare++
}

// maxSpare is how many free places in lines are kept. A list of coroutines of this length does not
// shrink.
const maxSpare = 1 << 12
