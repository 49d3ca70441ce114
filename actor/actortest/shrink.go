package actortest

import (
	"maps"
	"slices"
	"time"
)

// The search for a smaller run is bounded, because a person waits for it.
const (
	shrinkRuns = 500
	shrinkTime = 5 * time.Second
)

// shrunk returns the smallest run found that fails in the same way as a, with only some of its
// decisions. It is the delta debugging of A. Zeller and R. Hildebrandt ("Simplifying and isolating
// failure-inducing input", 2002): leave out one half of the decisions, then one quarter, and so on,
// and continue from every run that still fails. In the end no single decision can be left out.
func (e *exploration) shrunk(a *attempt) *attempt {
	switch a.kind {
	case foreign, "time limit", "stall", "leak", "goroutine":
		return a // each run would take seconds, or fail the test itself
	}
	end, runs := time.Now().Add(shrinkTime), 0
	try := func(ns []int) bool {
		if runs++; runs > shrinkRuns || time.Now().After(end) {
			return false
		}
		only := map[int]bool{}
		for _, n := range ns {
			only[n] = true
		}
		b := e.try(a.seed.seed, only)
		if b.kind != a.kind {
			return false
		}
		a = b
		return true
	}
	if try(nil) {
		return a
	}
	ns := numbers(a.acts)
	if !try(ns) {
		return a // the run can't be repeated, or there is no time
	}
	for parts := 2; len(ns) > 1 && parts <= len(ns); {
		smaller := false
		size := (len(ns) + parts - 1) / parts
		for i := 0; i < len(ns); i += size {
			rest := slices.Concat(ns[:i], ns[min(i+size, len(ns)):])
			if try(rest) {
				// Some of the decisions left may not have come up, as the run is another one now.
				ns = numbers(a.acts)
				smaller = true
				break
			}
		}
		switch {
		case smaller:
			parts = max(2, parts-1)
		case parts == len(ns):
			return e.exact(a)
		default:
			parts = min(2*parts, len(ns))
		}
	}
	return e.exact(a)
}

// exact returns a with only the decisions that made a difference in it.
func (e *exploration) exact(a *attempt) *attempt {
	a.seed.only = map[int]bool{}
	for _, act := range a.acts {
		a.seed.only[act.n] = true
	}
	return a
}

func numbers(acts []act) (ns []int) {
	for _, a := range acts {
		ns = append(ns, a.n)
	}
	return ns
}

func sorted(set map[int]bool) []int { return slices.Sorted(maps.Keys(set)) }
