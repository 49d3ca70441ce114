package core

// handed is the Item of a place in line whose task was given what it waits for.
type handed struct{}

// Stand parks t at the end of l, in a place that the scheduler lends, and reports whether
// [Line.Hand] gave t what it waits for. Waiting allocates nothing. A kill passes through as a
// panic: t has left the line by then, and the place is left to the garbage collector.
func (t *Task) Stand(l *Line, w Wait) (ok bool, err error) {
	w.In = t.s.waiter()
	l.Add(w.In)
	err = t.Park(w)
	ok = w.In.Item() != nil
	t.s.putWaiter(w.In)
	return ok, err
}

// ParkIn is like Stand, for a line in which nothing is handed over.
func (t *Task) ParkIn(l *Line, w Wait) error {
	_, err := t.Stand(l, w)
	return err
}

// Hand ends the wait of the first task in l, which must be there by Stand.
func (l *Line) Hand() {
	w := l.First()
	w.SetItem(handed{})
	w.Release()
}

// HandAll calls Hand for all tasks in l, in order.
func (l *Line) HandAll() {
	for !l.Empty() {
		l.Hand()
	}
}
