package core

import (
	"math"
	"math/bits"
)

// The wheel has wheelLevels levels of wheelSlots slots. Its reach, 64^7 ticks, is 139 years of
// milliseconds.
const (
	wheelSlotBits = 6 // a level's slots are the bits of one word
	wheelSlots    = 1 << wheelSlotBits
	wheelLevels   = 7
	wheelBits     = wheelLevels * wheelSlotBits
)

// A wheel holds the timers of one scheduler: a hierarchical timing wheel (G. Varghese and T. Lauck,
// "Hashed and hierarchical timing wheels", SOSP 1987, scheme 7). Start and stop take constant time;
// a timer is moved at most wheelLevels times between its start and its end, however many there are.
// The zero wheel is empty and stands at tick 0.
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

	// the tick up to which everything has fired; only advance moves it
	now      int64
	n        int                                // timers that are started
	occupied [wheelLevels]uint64                // bit s of word l: slots[l][s] is not empty
	slots    [wheelLevels][wheelSlots]timerList // 7 kB
	far      timerList                          // timers beyond the reach of the top level
	// no timer of far is before this tick; meaningless if there is none
	farTick int64
}

// init makes w an empty wheel at tick 0, which the zero wheel is already.
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
	if t.target == nil {
		panic("scheduler: internal error: start of a timer without a target")
	}
	t.when = max(when, w.now+1) // no overflow: advance stops short of the last tick
	w.insert(t)
	w.n++
}

// stop makes t, if it is active, never fire, and reports whether it was.
func (w *wheel) stop(t *Timer) bool {
	if !t.Active() {
		return false
	}
	if level, slot := w.place(t.when); level < wheelLevels {
		list := &w.slots[level][slot]
		list.remove(t)
		if list.first == nil {
			w.occupied[level] &^= 1 << slot
		}
	} else {
		w.far.remove(t) // farTick may now be too early: that costs one look at far in vain
	}
	t.when = 0
	w.n--
	return true
}

// insert puts t at the end of the list in which its tick belongs.
func (w *wheel) insert(t *Timer) {
	if level, slot := w.place(t.when); level < wheelLevels {
		w.slots[level][slot].push(t)
		w.occupied[level] |= 1 << slot
		return
	}
	tick := t.when >> wheelBits << wheelBits // the first from which the top level reaches it
	if w.far.first == nil || tick < w.farTick {
		w.farTick = tick
	}
	w.far.push(t)
}

// next returns the tick at which the wheel wants to be advanced, -1 if it has no timers. There a
// timer fires or a slot cascades, so it may be before the earliest timer, but never after. It takes
// constant time: use it for a sleep which may be cut short. The price is to wake in vain once for
// each occupied slot above level 0 that comes up.
func (w *wheel) next() int64 {
	for level, occupied := range w.occupied {
		if occupied != 0 {
			shift := level * wheelSlotBits
			above := w.now >> (shift + wheelSlotBits) << (shift + wheelSlotBits)
			return above | int64(bits.TrailingZeros64(occupied))<<shift
		}
	}
	if w.far.first != nil {
		return w.farTick
	}
	return -1
}

// deadline returns the tick of the earliest timer, -1 if there is none. Unlike next it may have to
// walk one list, which is long when most of many timers are far ahead. An advance to the deadline
// makes up for that, as it takes the same list apart; asking again and again without advancing does
// not.
func (w *wheel) deadline() int64 {
	for level, occupied := range w.occupied {
		if occupied != 0 {
			list := &w.slots[level][bits.TrailingZeros64(occupied)]
			if level == 0 {
				return list.first.when // all are for this tick
			}
			return list.earliest()
		}
	}
	if w.far.first != nil {
		return w.far.earliest()
	}
	return -1
}

// advance moves now to the tick to and fires every timer up to it, in order of tick and within a
// tick in order of start. Those that are started meanwhile are included. An earlier tick than now
// does nothing. Ticks at which nothing happens cost nothing.
//
// Each step moves to the next tick or fires one timer, and then looks again. So it does not matter
// what Expire does to the others, and if it panics the wheel is whole: the rest of its tick fires
// at the next advance.
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
		t := w.slots[0][tick&(wheelSlots-1)].first
		w.stop(t)
		t.target.Expire()
	}
	// Up to here nothing is due, so no slot begins on the way.
	w.now = max(w.now, to)
}

// cascade restores the invariant when now has come to the first tick of a slot, one that next
// returned. Only one slot can begin with this tick and be occupied. The last digit of now that is
// not 0 tells its level: below it the digits are 0, and slot 0 is always empty, being never ahead;
// above it the slots named by now's digits began before.
func (w *wheel) cascade() {
	level := uint(bits.TrailingZeros64(uint64(w.now))) / wheelSlotBits
	list := &w.far
	switch {
	case level == 0:
		return // a slot of one tick: it is due, not moved
	case level < wheelLevels:
		slot := uint(w.now>>(level*wheelSlotBits)) % wheelSlots
		w.occupied[level] &^= 1 << slot
		list = &w.slots[level][slot]
	}
	t := list.first
	*list = timerList{} // before the moves, since what is still far goes back
	for t != nil {
		next := t.next
		w.insert(t)
		t = next
	}
}

// A timerList is a first-in, first-out list of timers. Its ends are here, and not in a ring that
// goes through the first timer: a push then touches one other timer, the last, and among a million
// each is a cache miss.
type timerList struct{ first, last *Timer }

// push puts t at the end. What t's links were does not matter.
func (l *timerList) push(t *Timer) {
	t.prev, t.next = l.last, nil
	if l.last == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
}

// remove takes t off the list, of which it must be a member.
func (l *timerList) remove(t *Timer) {
	if t.prev == nil {
		l.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
}

// earliest returns the lowest tick in the list, which must not be empty.
func (l *timerList) earliest() int64 {
	when := l.first.when
	for t := l.first.next; t != nil; t = t.next {
		when = min(when, t.when)
	}
	return when
}
