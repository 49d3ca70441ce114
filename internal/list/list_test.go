package list

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two lists against two slices: the same entries in the same order, both ways, whatever is added,
// moved between them, removed, removed twice and taken.
func TestAgainstASlice(t *testing.T) {
	for seed := range uint64(200) {
		draw := rand.New(rand.NewPCG(seed, 0))
		var lists [2]List[int]
		var want [2][]*Entry[int]
		out := []*Entry[int]{{V: -1}, {V: -2}, {V: -3}, {V: -4}, {V: -5}, {V: -6}}
		for step := range 200 {
			i := draw.IntN(len(lists))
			l, w := &lists[i], &want[i]
			switch n := draw.IntN(20); {
			case n < 10 && len(out) > 0:
				k := draw.IntN(len(out))
				e := out[k]
				out = slices.Delete(out, k, k+1)
				e.V = step
				l.Add(e)
				*w = append(*w, e)
			case n < 17 && len(*w) > 0:
				k := draw.IntN(len(*w))
				require.True(t, l.Remove((*w)[k]))
				out = append(out, (*w)[k])
				*w = slices.Delete(*w, k, k+1)
			case n < 19 && len(out) > 0:
				require.False(t, l.Remove(out[draw.IntN(len(out))]))
			case n == 19:
				taken := l.Take()
				require.True(t, l.Empty())
				for _, e := range *w { // a removal that comes too late
					require.False(t, l.Remove(e))
				}
				var got []int
				for v := range taken {
					k := slices.IndexFunc(*w, func(e *Entry[int]) bool { return e.V == v })
					require.False(t, (*w)[k].In())
					if draw.IntN(4) == 0 { // what was taken goes to the other list at once
						lists[1-i].Add((*w)[k])
						want[1-i] = append(want[1-i], (*w)[k])
					} else {
						out = append(out, (*w)[k])
					}
					got = append(got, v)
				}
				require.Equal(t, values(*w), got)
				*w = nil
			}
			for i := range lists {
				requireSame(t, want[i], &lists[i])
			}
			for _, e := range out {
				require.False(t, e.In())
				require.Nil(t, e.Next())
				require.Nil(t, e.Prev())
			}
		}
	}
}

func requireSame(t *testing.T, want []*Entry[int], l *List[int]) {
	t.Helper()
	var there, back []*Entry[int]
	for e := l.First(); e != nil; e = e.Next() {
		require.True(t, e.In())
		there = append(there, e)
	}
	for e := l.Last(); e != nil; e = e.Prev() {
		back = append(back, e)
	}
	slices.Reverse(back)
	require.True(t, l.Sound())
	require.Equal(t, len(want), l.Len())
	require.Equal(t, values(want), slices.Collect(l.All()))
	require.Equal(t, len(want) == 0, l.Empty())
	require.True(t, slices.Equal(want, there), "forwards: %v, want %v", values(there), values(want))
	require.True(t, slices.Equal(want, back), "backwards: %v, want %v", values(back), values(want))
}

func values(es []*Entry[int]) (vs []int) {
	for _, e := range es {
		vs = append(vs, e.V)
	}
	return vs
}

func TestRemoveWhileGoingThroughAll(t *testing.T) {
	var l List[int]
	entries := make([]Entry[int], 5)
	for i := range entries {
		entries[i].V = i
		l.Add(&entries[i])
	}
	var got []int
	for v := range l.All() {
		got = append(got, v)
		if v%2 == 0 {
			l.Remove(&entries[v])
		}
	}
	require.Equal(t, []int{0, 1, 2, 3, 4}, got)
	require.Equal(t, []int{1, 3}, slices.Collect(l.All()))
	for range l.All() {
		break
	}
}

// Nothing that moves an entry allocates.
func TestAllocatesNothing(t *testing.T) {
	var l List[int]
	var a, b Entry[int]
	require.Zero(t, testing.AllocsPerRun(100, func() {
		l.Add(&a)
		l.Add(&b)
		l.Remove(&a)
		for range l.Take() {
		}
	}))
}

func TestSoundSeesEveryLink(t *testing.T) {
	var l List[int]
	var a, b, out Entry[int]
	l.Add(&a)
	l.Add(&b)
	for name, word := range map[string]**Entry[int]{
		"first": &l.first, "last": &l.last,
		"next of the first": &a.next, "next of the last": &b.next,
		"prev of the first": &a.prev, "prev of the last": &b.prev,
	} {
		right := *word
		for _, wrong := range []*Entry[int]{nil, &a, &b, &out} {
			if wrong == right || name == "next of the first" && wrong == &a {
				continue // what is right, and a ring, which the prev of an entry tells
			}
			*word = wrong
			require.False(t, l.Sound(), name)
		}
		*word = right
		require.True(t, l.Sound())
	}
}

// One goroutine may iterate over what Take has taken, while another removes the entries: the race
// detector sees it otherwise.
func TestRemoveDuringTake(t *testing.T) {
	var l List[int]
	entries := make([]Entry[int], 1000)
	for i := range entries {
		l.Add(&entries[i])
	}
	taken := l.Take()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range taken {
		}
	}()
	for i := range entries {
		if l.Remove(&entries[i]) {
			t.Error("was in the list")
		}
	}
	<-done
}
