package core

import (
	"math"
	"math/bits"

	"github.com/gotasklet/tasklet/internal/list"
)

// The wheel has wheelLevels levels of wheelSlots slots. Its reach, 64^7 ticks, is 139 years of
// milliseconds.
const (
	wheelSlotBits = 6 // a level's slots are the bits of one word
	wheelSlots    = 1 << wheelSlotBits
	wheelLevels   = 7
	wheelBits     = wheelLevels * wheelSlotBits
)

// A wheel has the timers of one scheduler. It is a hierarchical timing wheel (G. Varghese and T.
// Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 7). Start and stop take
// constant time. A timer is moved at most wheelLevels times between its start and its end, however
// many timers there are. The zero wheel is empty and at tick 0.
//
// Read ticks as numbers of base 64. A timer belongs to the level of the highest digit in which its
// tick differs from now, and there to the slot which that digit names:
//
//	now  0 0 0 0 2 5 9
//	     0 0 0 0 2 5 63    level 0, slot 63: this very tick
//	     0 0 0 0 2 7 1     level 1, slot 7: one of 64 ticks
//	     0 0 0 1 0 0 0     level 3, slot 1: one of 262,144 ticks
//
// When now comes to the first tick of a slot above level 0, the digit differs no longer, and the
// timers of that slot move down: they cascade. A timer whose tick differs from now above all these
// digits waits in a list of its own, far.
//
// This is the invariant: between two calls every timer is where [wheel.place] puts its tick. All
// else follows.
//
//   - A timer need not remember where it is: stop computes it.
//   - An occupied slot is ahead of now's own digit (on level 0 it may be at it, see advance), never
//     behind. So the bits of a level are in order of time, without rotation, and all timers of a
//     level come before all those of the next.
//   - When a slot cascades, all lower levels are empty: their timers were due before the slot's
//     first tick.
//   - Timers of one tick are always together in one list. A new one goes to its end and a cascade
//     keeps its order, so they fire in the order in which they were started.
//
// A wheel in which the level follows from the distance when-now has none of this: there a timer
// started late can sit at level 0 while an earlier one for the same tick waits above.
type wheel struct {
	// Owned by the scheduler.

	// now is the tick up to which everything has fired. Only advance moves it.
	now      int64
	n        int                                        // the number of timers that are started
	occupied [wheelLevels]uint64                        // bit s of word l: slots[l][s] is not empty
	slots    [wheelLevels][wheelSlots]list.List[timing] // 7 kB
	far      list.List[timing]                          // timers beyond the reach of the top level
	// farTick is a tick before which no timer of far fires. It is meaningless if far is empty.
	farTick int64
}

// init makes w an empty wheel at tick 0, as the zero wheel is.
func (w *wheel) init() { *w = wheel{} }

// place returns the level and the slot of a timer that fires at when, as seen from now. The level
// is wheelLevels or more for a timer that belongs to far.
func (w *wheel) place(when int64) (level, slot uint) {
	// The 1 gives the current tick a highest digit too: the last one.
	level = uint(bits.Len64(uint64(when^w.now)|1)-1) / wheelSlotBits
	return level, uint(when>>(level*wheelSlotBits)) % wheelSlots
}

// start makes t, which must be stopped and have a target, fire at the tick when. If that is not
// after now, t fires at the next tick. A timer for tick math.MaxInt64 never fires. Budget of a stop
// and a start among 1,000,000: 40 ns when t and its neighbours are in the cache, and no allocation.
func (w *wheel) start(t *Timer, when int64) {
	if t.Active() {
		panic("scheduler: internal error: start of a timer that is active")
	}
	if t.V.target == nil {
		panic("scheduler: internal error: start of a timer without a target")
	}
	t.V.when = max(when, w.now+1) // no overflow: advance stops short of the last tick
	w.insert(t)
	w.n++
}

// stop makes t, if it is active, never fire, and reports whether it was.
func (w *wheel) stop(t *Timer) bool {
	if !t.Active() {
		return false
	}
	if level, slot := w.place(t.V.when); level < wheelLevels {
		l := &w.slots[level][slot]
		l.Remove(t.entry())
		if l.Empty() {
			w.occupied[level] &^= 1 << slot
		}
	} else {
		w.far.Remove(t.entry()) // farTick may now be too early, which costs one useless look at far
	}
	t.V.when = 0
	w.n--
	return true
}

// insert puts t at the end of the list in which its tick belongs.
func (w *wheel) insert(t *Timer) {
	if level, slot := w.place(t.V.when); level < wheelLevels {
		w.slots[level][slot].Add(t.entry())
		w.occupied[level] |= 1 << slot
		return
	}
	tick := t.V.when >> wheelBits << wheelBits // the first tick from which the top level reaches it
	if w.far.Empty() || tick < w.farTick {
		w.farTick = tick
	}
	w.far.Add(t.entry())
}

// next returns the tick to which the wheel must be advanced next, or -1 if it has no timers. A
// timer fires there, or a slot cascades. So it may be before the earliest timer, but never after
// it. next takes constant time, so use it for a sleep that may be cut short. The price is to wake
// once in vain for each occupied slot above level 0 that comes up.
func (w *wheel) next() int64 {
	for level, occupied := range w.occupied {
		if occupied != 0 {
			shift := level * wheelSlotBits
			above := w.now >> (shift + wheelSlotBits) << (shift + wheelSlotBits)
			return above | int64(bits.TrailingZeros64(occupied))<<shift
		}
	}
	if !w.far.Empty() {
		return w.farTick
	}
	return -1
}

// deadline returns the tick of the earliest timer, or -1 if there is none. Unlike next it may have
// to walk one list, which is long if most of many timers are far ahead. An advance to the deadline
// makes up for that, because it takes the same list apart. To call deadline repeatedly without
// advancing does not.
func (w *wheel) deadline() int64 {
	for level, occupied := range w.occupied {
		if occupied != 0 {
			l := &w.slots[level][bits.TrailingZeros64(occupied)]
			if level == 0 {
				return l.First().V.when // all are for the same tick
			}
			return earliest(l)
		}
	}
	if !w.far.Empty() {
		return earliest(&w.far)
	}
	return -1
}

// advance moves now to the tick to. It fires every timer up to it, in order of tick, and within a
// tick in order of start. Timers that are started during the call are included. It has no effect if
// to is before now. Ticks at which nothing happens cost nothing.
//
// Each step moves to the next tick or fires one timer, and then checks again. So it does not matter
// what Expire does to other timers. If it panics the wheel is consistent, and the rest of its tick
// fires at the next advance.
func (w *wheel) advance(to int64) {
	to = min(to, math.MaxInt64-1) // now+1 is always a tick
	for {
		tick := w.next()
		if tick < 0 || tick > to {
			break
		}
		if tick > w.now {
			w.now = tick
			w.cascade()
			continue
		}
		t := (*Timer)(w.slots[0][tick&(wheelSlots-1)].First())
		w.stop(t)
		t.V.target.Expire()
	}
	// Up to here nothing is due, so no slot begins in between.
	w.now = max(w.now, to)
}

// cascade restores the invariant when now has come to the first tick of a slot that next returned.
// Only one occupied slot can begin with this tick. The last digit of now that is not 0 is its
// level. Below it the digits are 0, and slot 0 is always empty, because it is never ahead. Above it
// the slots named by now's digits began before.
func (w *wheel) cascade() {
	level := uint(bits.TrailingZeros64(uint64(w.now))) / wheelSlotBits
	l := &w.far
	switch {
	case level == 0:
		return // a slot of one tick is due, and not moved
	case level < wheelLevels:
		slot := uint(w.now>>(level*wheelSlotBits)) % wheelSlots
		w.occupied[level] &^= 1 << slot
		l = &w.slots[level][slot]
	}
	moving := *l
	*l = list.List[timing]{} // before the moves, because timers that are still far go back
	for e := moving.First(); e != nil; e = moving.First() {
		moving.Remove(e)
		w.insert((*Timer)(e))
	}
}

// earliest returns the lowest tick in l, which must not be empty.
func earliest(l *list.List[timing]) int64 {
	when := l.First().V.when
	for e := l.First().Next(); e != nil; e = e.Next() {
		when = min(when, e.V.when)
	}
	return when
}
