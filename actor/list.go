package actor

import "iter"

// list is a doubly linked list, in the order in which entries were added. Adding an entry and
// taking one out of the middle cost the same however many there are: a crowd that gives up together
// must not pay for each other. The zero list is empty. It has no lock: whoever owns the list owns
// its entries.
type list[T any] struct{ first, last *entry[T] }

// entry is a value with its place in a list. The zero entry is in none.
type entry[T any] struct {
	v          T
	next, prev *entry[T]
	in         bool
}

// add puts e, which is in no list, at the end of l.
func (l *list[T]) add(e *entry[T]) {
	e.in = true
	e.prev = l.last
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last = e
}

// remove takes e out of l, and reports whether it was in.
func (l *list[T]) remove(e *entry[T]) bool {
	if !e.in {
		return false
	}
	if e.prev == nil {
		l.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.next, e.prev, e.in = nil, nil, false
	return true
}

// take empties l and returns the values that were in it. Their entries are out of l when take
// returns: a remove that comes while the caller goes through the values does nothing.
func (l *list[T]) take() iter.Seq[T] {
	first := l.first
	for e := first; e != nil; e = e.next {
		e.in = false
	}
	*l = list[T]{}
	return func(yield func(T) bool) {
		for e := first; e != nil && yield(e.v); e = e.next {
		}
	}
}

// len counts the entries. For tests.
func (l *list[T]) len() (n int) {
	for e := l.first; e != nil; e = e.next {
		n++
	}
	return n
}
