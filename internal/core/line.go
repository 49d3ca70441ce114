package core

import "github.com/gotasklet/tasklet/internal/list"

// Line is a line of waiters, first come first served: those that want room in a mailbox, a mutex,
// somebody's end. The zero Line is empty. Owned by one scheduler; or protected by a mutex, if
// nobody parks with a place in it.
type Line struct{ list list.List[standing] }

// Waiter is a place in a Line. The zero Waiter stands in none; it may be used again after it has
// left, and must not be copied while it stands. Owned by one scheduler.
//
// A place belongs to the task that is parked with it (Wait.In). When anything but the awaited ends
// the wait (a kill, a time, a context), the waiter leaves its line at that moment, before its task
// runs: an entry left behind would take a hand-over that is meant for the next in line.
type Waiter list.Entry[standing]

// standing is what a place has beside its links.
type standing struct {
	line *Line // nil: it stands in none
	task *Task // parked with this place; nil: nobody has to be woken
	item any   // see Waiter.Item
}

func (w *Waiter) entry() *list.Entry[standing] { return (*list.Entry[standing])(w) }

// maxSpare is how many free places in lines are kept. A list of coroutines of this length does not
// shrink.
const maxSpare = 1 << 12

// Interrupter is the Item of a wait that a kill can't simply end, because somebody outside works on
// the task's behalf. Interrupt asks that one to finish soon.
type Interrupter interface{ Interrupt() }

// Item returns what SetItem was given last.
func (w *Waiter) Item() any { return w.V.item }

// SetItem says what the place is for, as the owner of the line needs it: the message of a parked
// sender, for example. If it is an [Interrupter], a kill calls it and does not end the wait.
func (w *Waiter) SetItem(item any) { w.V.item = item }

// Empty reports whether nobody stands in l.
func (l *Line) Empty() bool { return l.list.Empty() }

// First is the one that has waited longest, nil if l is empty.
func (l *Line) First() *Waiter { return (*Waiter)(l.list.First()) }

// Add puts w at the end of l. It panics if w stands in a line.
func (l *Line) Add(w *Waiter) {
	if w.V.line != nil {
		bug("waiter stands in a line already")
	}
	w.V.line = l
	l.list.Add(w.entry())
}

// Next is the one behind w, nil if w is the last.
func (w *Waiter) Next() *Waiter { return (*Waiter)(w.entry().Next()) }

// Waits reports whether w stands in a line.
func (w *Waiter) Waits() bool { return w.V.line != nil }

// Task is the one parked with w, nil if there is none.
func (w *Waiter) Task() *Task { return w.V.task }

// Leave takes w out of its line; if it stands in none, nothing happens.
func (w *Waiter) Leave() {
	if l := w.V.line; l != nil {
		w.V.line = nil
		l.list.Remove(w.entry())
	}
}

// Release takes w out of its line and lets its task go on, with the result that it waited for. On
// the scheduler of the task.
func (w *Waiter) Release() {
	w.Leave()
	if w.V.task != nil {
		w.V.task.Wake()
	}
}

// ReleaseAll lets everybody in l go on, in order.
func (l *Line) ReleaseAll() {
	for !l.Empty() {
		l.First().Release()
	}
}

// waiter gives a free place: lines without items of their own (a mutex, a join) use these, so that
// waiting allocates nothing.
func (s *Scheduler) waiter() *Waiter {
	e := s.spare.Last() // its memory is the likeliest to be in the cache
	if e == nil {
		return &Waiter{}
	}
	s.spare.Remove(e)
	s.spares--
	return (*Waiter)(e)
}

func (s *Scheduler) putWaiter(w *Waiter) {
	w.SetItem(nil)
	if s.spares < maxSpare {
		s.spare.Add(w.entry())
		s.spares++
	}
}
