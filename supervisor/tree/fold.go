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

// fold counts the rows that are not shown below a place that is.
type fold struct {
	under  int // the index of the place
	count  int
	states [states]int
	full, dropping,
	restarted int
}

// fold cuts w to at most limit lines. Each place is shown, or counted by the fold of the lowest
// place above it that is shown, which is a line too. Rows that make noise are shown first, the
// loudest before the others; then the quiet: what is higher in the tree, and of a long family its
// beginning, before what is deeper. A place is shown only with all places above it.
func (w *survey) fold(limit int) shown {
	var s shown
	if len(w.nodes) == 0 {
		return s
	}
	if len(w.nodes) <= limit {
		for i := range w.nodes {
			s.nodes = append(s.nodes, i)
		}
		return s
	}
	in := make([]bool, len(w.nodes))
	hidden := make([]int32, len(w.nodes)) // children that are not shown, of those that are
	lines := 0
	var chain []int
	// try shows i with all above it, if there is room.
	try := func(i int) {
		chain = chain[:0]
		for j := i; j >= 0 && !in[j]; j = int(w.nodes[j].parent) {
			chain = append(chain, j)
		}
		if len(chain) == 0 {
			return
		}
		// Each is a line, and one more for the fold of its other children; of the one above, the
		// fold may go.
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
		if lines+more > limit && p >= 0 { // the tops are shown in any case
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
	for _, i := range w.byNoise(limit) {
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

// byNoise gives the places in the order in which they are to be shown, as far as limit of them go.
func (w *survey) byNoise(limit int) []int {
	order := make([]int, 0, limit)
	quiet := make(map[int32]int) // of each cost and state, how many of the quiet were met
	for i := range w.nodes {
		n := &w.nodes[i]
		if n.noise == 0 {
			// There is room for limit of them at most. That saves to sort all of a large tree.
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

// cost is how far away a quiet place is: its depth, and for the later children of a long family a
// level more each time the family has doubled: 33, 65, 129.
func (n *node) cost() int32 {
	if n.noise > 0 {
		return 0
	}
	return n.depth + int32(bits.Len32(uint32(n.rank)/32))
}

// folds counts those that are not in.
func (w *survey) folds(in []bool) []fold {
	var fs []fold
	at := make(map[int]int) // place -> index in fs
	var under []int         // of each level, the lowest place above that is shown
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

// parts calls f for each number that is not 0, the loudest first.
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
