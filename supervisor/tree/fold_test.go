package tree

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomSurvey makes a tree of n places, with one or two tops.
func randomSurvey(r *rand.Rand, n int) *survey {
	w := &survey{}
	depthOf := func(i int) int32 {
		if i < 0 {
			return -1
		}
		return w.nodes[i].depth
	}
	parent := -1
	second := r.IntN(2) == 0
	for len(w.nodes) < n {
		me := len(w.nodes)
		switch {
		case me == 0:
		case second && me > 1 && r.IntN(n) == 0:
			parent, second = -1, false
		case r.IntN(3) == 0: // deeper
			parent = me - 1
		case r.IntN(3) == 0: // higher, but not to the top
			for parent > 0 && w.nodes[parent].parent >= 0 && r.IntN(2) == 0 {
				parent = int(w.nodes[parent].parent)
			}
		}
		if me > 0 && parent < 0 && second {
			parent = 0
		}
		x := node{parent: int32(parent), depth: depthOf(parent) + 1, state: State(r.IntN(int(states)))}
		if r.IntN(5) == 0 {
			x.noise = uint8(r.IntN(100))
			x.flags = flags(r.IntN(32))
		}
		if parent >= 0 {
			x.rank = w.nodes[parent].children
			w.nodes[parent].children++
		} else if me > 0 {
			parent = me
		}
		w.nodes = append(w.nodes, x)
		if parent < 0 {
			parent = me
		}
	}
	return w
}

// Each place is shown or counted exactly once, by the fold of the lowest place above it that is
// shown; the lines are no more than the limit; whoever is shown has all above him shown; and nobody
// is folded for the sake of somebody quieter.
func TestFold(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := randomSurvey(r, 1+r.IntN(400))
		limit := 4 + r.IntN(150)
		s := w.fold(limit)
		msg := []any{"seed %d", seed}
		require.LessOrEqual(t, len(s.nodes)+len(s.folds), max(limit, 4), msg...)
		require.True(t, slices.IsSorted(s.nodes), msg...)
		in := make(map[int]bool)
		for _, i := range s.nodes {
			require.False(t, in[i], msg...)
			in[i] = true
			if p := w.nodes[i].parent; p >= 0 {
				require.True(t, in[int(p)], msg...)
			}
		}
		want := make(map[int]int) // place -> how many are folded there
		for i := range w.nodes {
			if in[i] {
				continue
			}
			p := int(w.nodes[i].parent)
			for !in[p] {
				p = int(w.nodes[p].parent)
			}
			want[p]++
		}
		for _, f := range s.folds {
			require.Equal(t, want[f.under], f.count, msg...)
			delete(want, f.under)
			sum := 0
			for _, n := range f.states {
				sum += n
			}
			require.Equal(t, f.count, sum, msg...)
		}
		require.Empty(t, want, msg...)

		// A loud one is folded only if there was no room for it beside those that are at least as
		// loud.
		for i, n := range w.nodes {
			if in[i] || n.noise == 0 {
				continue
			}
			louder := make([]bool, len(w.nodes))
			for j := range w.nodes {
				if in[j] && w.nodes[j].noise >= n.noise || w.nodes[j].parent < 0 {
					for k := j; k >= 0 && !louder[k]; k = int(w.nodes[k].parent) {
						louder[k] = true
					}
				}
			}
			for k := i; k >= 0 && !louder[k]; k = int(w.nodes[k].parent) {
				louder[k] = true
			}
			require.Greater(t, w.lines(louder), limit, "seed %d: %d is folded", seed, i)
		}
	}
}

// lines counts the lines if those in are shown: the slow, obvious way.
func (w *survey) lines(in []bool) int {
	n := 0
	folds := make(map[int32]bool)
	for i, x := range w.nodes {
		if in[i] {
			n++
		} else if in[x.parent] {
			folds[x.parent] = true
		}
	}
	return n + len(folds)
}

// Without noise the deep are folded first, and of a long family its end.
func TestFoldOfTheQuiet(t *testing.T) {
	w := &survey{}
	add := func(parent int) int {
		x := node{parent: int32(parent), state: Idle}
		if parent >= 0 {
			p := &w.nodes[parent]
			x.depth, x.rank = p.depth+1, p.children
			p.children++
		}
		w.nodes = append(w.nodes, x)
		return len(w.nodes) - 1
	}
	top := add(-1)
	deep := add(top) // a chain of 20
	for range 19 {
		deep = add(deep)
	}
	for range 300 {
		add(top)
	}
	s := w.fold(40)
	require.LessOrEqual(t, len(s.nodes)+len(s.folds), 40)
	require.Len(t, s.folds, 2)
	deepest := int32(0)
	for _, i := range s.nodes {
		deepest = max(deepest, w.nodes[i].depth)
	}
	require.Less(t, deepest, int32(5))
	require.Equal(t, "all idle", s.folds[0].String())
}
