package queue

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// slowRing is the obvious version of a ring.
type slowRing []slowEntry

type slowEntry struct {
	v      int
	ticket Ticket
	at     int64 // of its stamp; 0 means that it has none
}

type mark int

func (mark) Settled(error) {}

// ringStep does to both what one byte of a script says, and compares. limit is the most that there
// may be after a push.
func ringStep(t *testing.T, r *ring[int], s *slowRing, op byte, next, limit int) {
	t.Helper()
	var ticket Ticket
	if op&0x80 != 0 {
		ticket = mark(next)
	}
	take := func(i int, v int, got Ticket, at stamp) {
		t.Helper()
		if want := (*s)[i]; v != want.v || got != want.ticket || at.at != want.at || (at.weight > 0) != (at.at > 0) {
			t.Fatalf("took %d with ticket %v and stamp %v, want %v", v, got, at, want)
		}
		*s = slices.Delete(*s, i, i+1)
	}
	switch op & 7 {
	case 0, 1, 2:
		if len(*s) < limit {
			r.push(next, ticket)
			*s = append(*s, slowEntry{next, ticket, 0})
			if op&0x40 != 0 {
				if r.aside == nil {
					r.aside = newAside()
				}
				i := int(op>>3&7) % len(*s) // not always the last, as when lanes move it
				if (*s)[i].at == 0 {
					r.aside.add(uint32(i), int64(next), 1)
					(*s)[i].at = int64(next)
				}
			}
		}
	case 3:
		i := int(op>>3&15) % (len(*s) + 1)
		r.insert(uint32(i), next, ticket)
		*s = slices.Insert(*s, i, slowEntry{next, ticket, 0})
	case 4, 5:
		if len(*s) > 0 {
			v, got, at := r.popAll()
			take(0, v, got, at)
		}
	case 6:
		if len(*s) > 0 {
			i := int(op>>3) % len(*s)
			v, got, at := r.remove(uint32(i))
			take(i, v, got, at)
		}
	case 7:
		switch {
		case len(*s) == 0:
		case r.aside == nil:
			take(0, r.pop(), nil, stamp{})
		default: // a message moves, as an urgent one does
			from, to := int(op>>3)%len(*s), 0
			v, ticket, at := (*s)[from].v, (*s)[from].ticket, (*s)[from]
			_, _, k := r.remove(uint32(from))
			r.insert(uint32(to), v, ticket)
			if k.weight > 0 {
				r.aside.add(uint32(to), k.at, k.weight)
			}
			*s = slices.Insert(slices.Delete(*s, from, from+1), to, at)
		}
	}
	checkRing(t, r, *s)
}

func checkRing(t *testing.T, r *ring[int], s slowRing) {
	t.Helper()
	if int(r.n) != len(s) {
		t.Fatalf("n = %d, want %d", r.n, len(s))
	}
	used := map[uint32]bool{}
	for i, want := range s {
		at := r.index(uint32(i))
		used[at] = true
		if r.buf[at] != want.v {
			t.Fatalf("message %d is %d, want %d", i, r.buf[at], want.v)
		}
		var got Ticket
		if r.ticketed() {
			got = r.aside.slots[at]
		}
		if got != want.ticket {
			t.Fatalf("message %d has ticket %v, want %v", i, got, want.ticket)
		}
	}
	for at := range r.buf {
		if used[uint32(at)] {
			continue
		}
		if r.buf[at] != 0 || (r.ticketed() && r.aside.slots[at] != nil) {
			t.Fatalf("place %d is free but holds on to its message", at)
		}
	}
	if text := ringProblem(r); text != "" {
		t.Fatal(text)
	}
	if r.ticketed() && len(r.aside.slots) != len(r.buf) {
		t.Fatalf("%d places for tickets of %d messages", len(r.aside.slots), len(r.buf))
	}
}

// A ring does what a slice would do.
func TestRingIsASlice(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 4, 5, 7, 64, 1000} {
		r := rand.New(rand.NewPCG(1, uint64(limit)))
		for round := range 20 {
			var q ring[int]
			var s slowRing
			for i := range 400 {
				op := byte(r.Uint32())
				if round%2 == 0 {
					op &^= 0x80 // no tickets
				}
				ringStep(t, &q, &s, op, i+1, limit)
			}
		}
	}
}

func FuzzRing(f *testing.F) {
	f.Add(uint8(3), []byte{0, 1, 2, 4, 0x80, 6, 3, 7})
	f.Add(uint8(1), []byte{0, 4, 0, 4, 3, 3, 5, 5})
	f.Fuzz(func(t *testing.T, limit uint8, script []byte) {
		if limit == 0 {
			return
		}
		var q ring[int]
		var s slowRing
		for i, op := range script {
			ringStep(t, &q, &s, op, i+1, int(limit))
		}
	})
}

// The buffer starts at nothing and never becomes longer than it has to be.
func TestRingGrows(t *testing.T) {
	var q ring[int]
	if q.buf != nil {
		t.Fatal("the zero ring has memory")
	}
	for i := range 2000 {
		q.push(i, nil)
		if n := len(q.buf); n > max(4, 2*i) {
			t.Fatalf("%d places for %d messages", n, q.n)
		}
	}
}

func TestRingPushPopAllocatesNothing(t *testing.T) {
	var q ring[[2]uint64]
	for range 7 {
		q.push([2]uint64{}, nil)
	}
	if n := testing.AllocsPerRun(1000, func() {
		q.push([2]uint64{1, 2}, nil)
		q.pop()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Even an unbounded mailbox has an end, before its counters do.
func TestRingIsNotEndless(t *testing.T) {
	r := ring[struct{}]{n: 1 << 31}
	wantPanic(r.grow, "mailbox: more than 2147483648 messages")
}
