package entity

import (
	"container/heap"
	"time"
)

// lru has the entities that can be evicted, the one with the oldest stamp first. An entity is not
// stamped when it is used, which would make each message slower, but when it is looked at: it has
// not been idle for longer than its stamp says. Protected by Entities.mu.
type lru[K comparable, M any] []*entity[K, M]

// maxLooks is the number of entities that one eviction examines, so that a full set in which all
// entities are busy does not hold the lock for long. A busy entity goes to the end, so the next
// eviction examines others.
const maxLooks = 256

// victim returns the entity that has been idle the longest and has no message, or nil. The entity
// is removed from c.idle.
func (c *core[K, M]) victim() *entity[K, M] {
	now := c.now()
	for range min(maxLooks, len(c.idle)+1) {
		if len(c.idle) == 0 {
			break
		}
		e := c.idle[0]
		since, idle := e.idleSince(now)
		if idle && since.Sub(e.stamp) < time.Millisecond {
			c.idle.remove(e)
			return e
		}
		e.stamp = since
		heap.Fix(&c.idle, 0)
	}
	return nil
}

// idleSince returns the time since which e is idle. If e is not idle, it returns now.
func (e *entity[K, M]) idleSince(now time.Time) (since time.Time, idle bool) {
	t := e.ref.Tasklet()
	if t == nil || !e.ready.Load() || e.ref.Load() > 0 {
		return now, false
	}
	g := t.Glance()
	if g.State != "idle" || g.Killed {
		return now, false
	}
	return now.Add(-g.For), true
}

func (l *lru[K, M]) add(e *entity[K, M]) {
	if e.at == 0 {
		heap.Push(l, e)
	}
}

func (l *lru[K, M]) remove(e *entity[K, M]) {
	if e.at > 0 {
		heap.Remove(l, e.at-1)
	}
}

// The methods of heap.Interface.

func (l lru[K, M]) Len() int           { return len(l) }
func (l lru[K, M]) Less(i, j int) bool { return l[i].stamp.Before(l[j].stamp) }

func (l lru[K, M]) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].at, l[j].at = i+1, j+1
}

func (l *lru[K, M]) Push(x any) {
	e := x.(*entity[K, M])
	*l = append(*l, e)
	e.at = len(*l)
}

func (l *lru[K, M]) Pop() any {
	last := len(*l) - 1
	e := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	e.at = 0
	return e
}
