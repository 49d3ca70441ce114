// Package list is a doubly linked list whose entries are parts of the listed values. So adding and
// removing an entry allocates nothing, and costs the same however many entries there are.
//
// An entry must not be copied while it is in a list. There are no locks: the owner of a list owns
// its entries.
package list

import "iter"

// List is a list of entries in the order in which they were added, except for inserted ones. The
// zero List is empty.
type List[T any] struct{ first, last *Entry[T] }

// Entry is a value with its place in a list. The zero Entry is in no list.
type Entry[T any] struct {
	next *Entry[T]
	// prev of the first entry is that entry, so that prev is nil only outside of a list. So an
	// entry needs no word of its own to know whether it is in a list.
	prev *Entry[T]

	V T // the owner's; the list does not touch it
}

// First returns the first entry, or nil if l is empty.
func (l *List[T]) First() *Entry[T] { return l.first }

// Last returns the last entry, or nil if l is empty.
func (l *List[T]) Last() *Entry[T] { return l.last }

// Empty reports whether l has no entries.
func (l *List[T]) Empty() bool { return l.first == nil }

// Next returns the entry behind e, or nil if e is the last one or in no list.
func (e *Entry[T]) Next() *Entry[T] { return e.next }

// Prev returns the entry before e, or nil if e is the first one or in no list.
func (e *Entry[T]) Prev() *Entry[T] {
	if e.prev == e {
		return nil
	}
	return e.prev
}

// In reports whether e is in a list.
func (e *Entry[T]) In() bool { return e.prev != nil }

// Add puts e at the end of l. e must be in no list.
func (l *List[T]) Add(e *Entry[T]) {
	e.next = nil
	if l.last == nil {
		e.prev, l.first = e, e
	} else {
		e.prev, l.last.next = l.last, e
	}
	l.last = e
}

// InsertBefore puts e before mark, which must be in l. e must be in no list.
func (l *List[T]) InsertBefore(e, mark *Entry[T]) {
	e.next = mark
	if mark.prev == mark {
		e.prev, l.first = e, e
	} else {
		e.prev, mark.prev.next = mark.prev, e
	}
	mark.prev = e
}

// Remove removes e from l, and reports whether e was in l. e must be in no other list.
func (l *List[T]) Remove(e *Entry[T]) bool {
	if e.prev == nil {
		return false
	}
	switch {
	case e.prev != e:
		e.prev.next = e.next
		if e.next == nil {
			l.last = e.prev
		} else {
			e.next.prev = e.prev
		}
	case e.next == nil:
		l.first, l.last = nil, nil
	default:
		l.first, e.next.prev = e.next, e.next
	}
	e.next, e.prev = nil, nil
	return true
}

// All returns an iterator over the values in order. The caller may remove the current entry.
func (l *List[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for e := l.first; e != nil; {
			next := e.next
			if !yield(e.V) {
				return
			}
			e = next
		}
	}
}

// Take empties l, and returns an iterator over its values in order. The entries are in no list when
// Take returns, so a Remove during the iteration does nothing. An entry may be added again when the
// iteration has come to its value.
func (l *List[T]) Take() iter.Seq[T] {
	first := l.first
	for e := first; e != nil; e = e.next {
		e.prev = nil
	}
	*l = List[T]{}
	return func(yield func(T) bool) {
		for e := first; e != nil; {
			next := e.next
			e.next = nil
			if !yield(e.V) {
				return
			}
			e = next
		}
	}
}

// Len returns the number of entries. It takes time in proportion to that.
func (l *List[T]) Len() (n int) {
	for e := l.first; e != nil; e = e.next {
		n++
	}
	return n
}

// Sound reports whether the links of l are consistent. It is for checks, and takes time in
// proportion to the number of entries.
func (l *List[T]) Sound() bool {
	var prev *Entry[T]
	for e := l.first; e != nil; prev, e = e, e.next {
		if !e.In() || e.Prev() != prev {
			return false
		}
	}
	return l.last == prev
}
