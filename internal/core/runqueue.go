package core

import "math/rand/v2"

// runQueue has the ready tasks, first in, first out. It is a ring whose length is a power of two.
// Owned by the scheduler.
type runQueue struct {
	ring []*Task
	head uint
	n    uint
}

func (q *runQueue) push(t *Task) {
	if q.n == uint(len(q.ring)) {
		q.resize(max(256, 2*len(q.ring)))
	}
	q.ring[(q.head+q.n)&uint(len(q.ring)-1)] = t
	q.n++
}

// pop takes the oldest task, or returns nil if there is none.
func (q *runQueue) pop() *Task {
	if q.n == 0 {
		return nil
	}
	t := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & uint(len(q.ring)-1)
	q.n--
	return t
}

// popAny takes a task drawn from r. All orders in which the tasks could have become ready are
// equally likely.
func (q *runQueue) popAny(r *rand.Rand) *Task {
	if q.n > 1 {
		i := (q.head + uint(r.Uint64N(uint64(q.n)))) & uint(len(q.ring)-1)
		q.ring[i], q.ring[q.head] = q.ring[q.head], q.ring[i]
	}
	return q.pop()
}

// popAt takes the i-th oldest task, which must exist. The others keep their order. It takes time in
// proportion to i.
func (q *runQueue) popAt(i uint) *Task {
	mask := uint(len(q.ring) - 1)
	t := q.ring[(q.head+i)&mask]
	for ; i > 0; i-- {
		q.ring[(q.head+i)&mask] = q.ring[(q.head+i-1)&mask]
	}
	q.ring[q.head] = t
	return q.pop()
}

// trim frees the memory of a burst. It is called when the scheduler is about to sleep, so the queue
// is empty.
func (q *runQueue) trim() {
	if len(q.ring) > 1<<14 && q.n == 0 {
		q.ring, q.head = nil, 0
	}
}

func (q *runQueue) resize(size int) {
	ring := make([]*Task, size)
	for i := range q.n {
		ring[i] = q.ring[(q.head+i)&uint(len(q.ring)-1)]
	}
	q.ring, q.head = ring, 0
}
