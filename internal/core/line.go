package core

import "github.com/gotasklet/tasklet/internal/list"

// Line is a line of waiters, first come, first served: those that wait for room in a mailbox, for a
// mutex or for the end of a task. The zero Line is empty. A Line is owned by one scheduler, or
// protected by a mutex if no task parks with a place in it.
type Line struct{ list list.List[standing] }

// Waiter is a place in a Line. The zero Waiter is in no line. It may be used again after it has
// left, and must not be copied while it is in a line. Owned by one scheduler.
//
// A place belongs to the task that is parked with it (Wait.In). If anything but the awaited event
// ends the wait (a kill, a time, a context), the waiter leaves its line at that moment, before its
// task runs. A waiter that stayed would take a hand-over that is meant for the next in line.
type Waiter list.Entry[standing]

// standing is the part of a place besides its links.
type standing struct {
	line *Line // nil if it is in no line
	task *Task // the task that is parked with this place; nil if none must be woken
	item any   // see Waiter.Item
}

func (w *Waiter) entry() *list.Entry[standing] { return (*list.Entry[standing])(w) }

// maxSpare is the number of free places in lines that are kept. A list of coroutines of this length
// does not shrink.
const maxSpare = 1 << 12

// Interrupter is the Item of a wait that a kill cannot simply end, because the outside works on the
// task's behalf. Interrupt asks that work to finish soon.
type Interrupter interface{ Interrupt() }

// Item returns the argument of the last SetItem.
func (w *Waiter) Item() any { return w.V.item }

// SetItem sets what the owner of the line needs to know of the place, such as the message of a
// parked sender. If item is an [Interrupter], a kill calls it and does not end the wait.
func (w *Waiter) SetItem(item any) { w.V.item = item }

// Empty reports whether l has no waiters.
func (l *Line) Empty() bool { return l.list.Empty() }

// First returns the waiter that has waited longest, or nil if l is empty.
func (l *Line) First() *Waiter { return (*Waiter)(l.list.First()) }

// Add puts w at the end of l. It panics if w is in a line.
func (l *Line) Add(w *Waiter) {
	if w.V.line != nil {
		bug("waiter stands in a line already")
	}
	w.V.line = l
	l.list.Add(w.entry())
}

// Next returns the waiter behind w, or nil if w is the last.
func (w *Waiter) Next() *Waiter { return (*Waiter)(w.entry().Next()) }

// Waits reports whether w is in a line.
func (w *Waiter) Waits() bool { return w.V.line != nil }

// Task returns the task that is parked with w, or nil.
func (w *Waiter) Task() *Task { return w.V.task }

// Leave takes w out of its line. It has no effect if w is in none.
func (w *Waiter) Leave() {
	if l := w.V.line; l != nil {
		w.V.line = nil
		l.list.Remove(w.entry())
	}
}

// Release takes w out of its line and makes its task continue, with the awaited result. It must be
// called on the scheduler of the task.
func (w *Waiter) Release() {
	w.Leave()
	if w.V.task != nil {
		w.V.task.Wake()
	}
}

// ReleaseAll releases all waiters in l, in order.
func (l *Line) ReleaseAll() {
	for !l.Empty() {
		l.First().Release()
	}
}

// waiter returns a free place. Lines whose places have no items of their own (those of mutexes and
// joins) use these, so that waiting allocates nothing.
func (s *Scheduler) waiter() *Waiter {
	e := s.spare.Last() // most likely in the cache
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
