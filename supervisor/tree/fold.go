package tree

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// defaultRows is the maximal number of lines of a tree in the log.
const defaultRows = 200

// shown is a tree cut to a number of lines: places that are shown, and folds that count the others.
type shown struct {
	nodes []int // indexes, in pre-order
	folds []fold
}

// fold counts the rows below a shown place that are not shown.
type fold struct {
	under  int // the index of the place
	count  int
	states [states]int
	full, dropping,
	restarted int
}

// fold cuts w to at most limit lines. Each place is shown, or counted by the fold of the lowest
// shown place above it. A fold is a line too. The places with noise are shown first, in order of
// their noise. Then the quiet places are shown: those high in the tree and at the beginning of a
// long family before the others. A place is shown only with all places above it.
func (w *survey) fold(limit int) shown { return w.foldFor(limit, nil, false) }

// foldFor is like fold, for the places that want selects, or all if it is nil. A place that want
// does not select is shown if one below it is. If all is true, the idle children of pools are shown
// like other places.
func (w *survey) foldFor(limit int, want func(i int) bool, all bool) shown {
	var s shown
	if len(w.nodes) == 0 {
		return s
	}
	var spares map[int32]bool
	if !all {
		spares = w.spares()
	}
	if len(w.nodes) <= limit && spares == nil && want == nil {
		for i := range w.nodes {
			s.nodes = append(s.nodes, i)
		}
		return s
	}
	in := make([]bool, len(w.nodes))
	hidden := make([]int32, len(w.nodes)) // of each shown place, its children that are not
	lines := 0
	var chain []int
	// try shows i and all places above it, if there is room.
	try := func(i int) {
		chain = chain[:0]
		for j := i; j >= 0 && !in[j]; j = int(w.nodes[j].parent) {
			chain = append(chain, j)
		}
		if len(chain) == 0 {
			return
		}
		// Each place needs a line, and another one if its other children need a fold. The fold of
		// the place above the first may become unnecessary.
		more := 0
		for k, j := range chain {
			more++
			left := w.nodes[j].children
			if k > 0 {
				left--
			}
			if left > 0 {
				more++
			}
		}
		top := chain[len(chain)-1]
		p := int(w.nodes[top].parent)
		if p >= 0 && hidden[p] == 1 {
			more--
		}
		if lines+more > limit && p >= 0 { // a place at the top is always shown
			return
		}
		lines += more
		for k, j := range chain {
			in[j] = true
			hidden[j] = w.nodes[j].children
			if k > 0 {
				hidden[j]--
			}
		}
		if p >= 0 {
			hidden[p]--
		}
	}
	for i := range w.nodes {
		if w.nodes[i].parent < 0 {
			try(i)
		}
	}
	for _, i := range w.byNoise(limit, spares, want) {
		try(i)
	}
	for i := range w.nodes {
		if in[i] {
			s.nodes = append(s.nodes, i)
		}
	}
	s.folds = w.folds(in)
	return s
}

// spares returns the pools with more than one idle child, each with true. Their idle children are
// one line whatever the limit, because they are alike and say nothing. It returns nil if there are
// none.
func (w *survey) spares() map[int32]bool {
	var pools map[int32]bool
	for i := range w.nodes {
		if n := &w.nodes[i]; w.isSpare(n) {
			if pools == nil {
				pools = make(map[int32]bool)
			}
			_, second := pools[n.parent]
			pools[n.parent] = second
		}
	}
	for p, several := range pools {
		if !several {
			delete(pools, p)
		}
	}
	if len(pools) == 0 {
		return nil
	}
	return pools
}

// isSpare reports whether n is an idle child of a pool, needs no attention, and has no children.
func (w *survey) isSpare(n *node) bool {
	if n.parent < 0 || n.noise > 0 || n.state != Idle || n.children > 0 {
		return false
	}
	p := w.nodes[n.parent].over
	return p != nil && p.Strategy == ""
}

// byNoise returns the places in the order in which they should be shown, with at most limit quiet
// places of each kind, without the idle children of the pools and those that want does not select.
func (w *survey) byNoise(limit int, pools map[int32]bool, want func(i int) bool) []int {
	order := make([]int, 0, limit)
	quiet := make(map[int32]int) // how many quiet places of each cost and state were met
	for i := range w.nodes {
		n := &w.nodes[i]
		if pools[n.parent] && w.isSpare(n) || want != nil && !want(i) {
			continue
		}
		if n.noise == 0 {
			// At most limit of them can be shown. So it is not necessary to sort all places of a
			// large tree.
			k := n.cost()<<8 | int32(n.state)
			if quiet[k]++; quiet[k] > limit {
				continue
			}
		}
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &w.nodes[a], &w.nodes[b]
		return cmp.Or(
			cmp.Compare(y.noise, x.noise),
			cmp.Compare(x.cost(), y.cost()),
			cmp.Compare(x.state, y.state),
		)
	})
	return order
}

// cost returns the distance of a quiet place: its depth, and for the later children of a long
// family one more for each doubling of the family, from child 33, 65, 129 and so on.
func (n *node) cost() int32 {
	if n.noise > 0 {
		return 0
	}
	return n.depth + int32(bits.Len32(uint32(n.rank)/32))
}

// folds returns the folds of the places that are not in.
func (w *survey) folds(in []bool) []fold {
	var fs []fold
	at := make(map[int]int) // of each place, the index of its fold in fs
	var under []int         // of each level, the lowest shown place above the current one
	for i := range w.nodes {
		n := &w.nodes[i]
		under = under[:n.depth]
		if in[i] {
			under = append(under, i)
			continue
		}
		u := under[n.depth-1]
		under = append(under, u)
		k, ok := at[u]
		if !ok {
			k = len(fs)
			at[u] = k
			fs = append(fs, fold{under: u})
		}
		fs[k].add(n)
	}
	slices.SortFunc(fs, func(a, b fold) int { return cmp.Compare(a.under, b.under) })
	return fs
}

func (f *fold) add(n *node) {
	f.count++
	f.states[n.state]++
	if n.flags&flagFull != 0 {
		f.full++
	}
	if n.flags&flagDropping != 0 {
		f.dropping++
	}
	if n.flags&flagRestarted != 0 {
		f.restarted++
	}
}

// parts calls each for every number that is not 0, the loudest first.
func (f *fold) parts(each func(word string, n int)) {
	for _, p := range []struct {
		word string
		n    int
	}{{"full", f.full}, {"dropping", f.dropping}, {"restarted", f.restarted}} {
		if p.n > 0 {
			each(p.word, p.n)
		}
	}
	for s, n := range f.states {
		if n > 0 {
			each(State(s).String(), n)
		}
	}
}

// String says what the folded ones do: "all idle", or "2 full, 1 parked, 115 idle".
func (f *fold) String() string {
	var words []string
	f.parts(func(word string, n int) { words = append(words, fmt.Sprintf("%d %s", n, word)) })
	if len(words) == 1 {
		return "all " + strings.TrimPrefix(words[0], fmt.Sprint(f.count, " "))
	}
	return strings.Join(words, ", ")
}
