package wire

// ring is a queue. It keeps its memory, up to the most that was in it.
type ring[T any] struct {
	slots []T // a power of two
	first int
	n     int
}

func (r *ring[T]) at(i int) *T { return &r.slots[(r.first+i)&(len(r.slots)-1)] }

func (r *ring[T]) push(v T) {
	r.room(r.n + 1)
	*r.at(r.n) = v
	r.n++
}

// pop takes the first away.
func (r *ring[T]) pop() {
	var zero T
	*r.at(0) = zero
	r.first = (r.first + 1) & (len(r.slots) - 1)
	r.n--
}

// extend makes the ring n long, with zero values at its end.
func (r *ring[T]) extend(n int) {
	r.room(n)
	r.n = max(r.n, n)
}

func (r *ring[T]) room(n int) {
	if n <= len(r.slots) {
		return
	}
	size := max(8, len(r.slots))
	for size < n {
		size *= 2
	}
	slots := make([]T, size)
	for i := range r.n {
		slots[i] = *r.at(i)
	}
	r.slots, r.first = slots, 0
}

// list is a queue of things that can leave it from the middle. A thing is in one list at a time
// for each of its places.
type list[T any] struct {
	first, last *place[T]
	n           int
}

// place is a thing's place in a list. Its address is the same for the life of the thing.
type place[T any] struct {
	of         *T
	in         *list[T]
	prev, next *place[T]
}

// add puts a thing at the end of the list, and takes it out of the one that it is in.
func (l *list[T]) add(p *place[T]) {
	p.leave()
	p.in, p.prev = l, l.last
	if l.last != nil {
		l.last.next = p
	} else {
		l.first = p
	}
	l.last = p
	l.n++
}

// leave takes a thing out of the list that it is in, if it is in one.
func (p *place[T]) leave() {
	l := p.in
	if l == nil {
		return
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		l.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		l.last = p.prev
	}
	p.in, p.prev, p.next = nil, nil, nil
	l.n--
}
