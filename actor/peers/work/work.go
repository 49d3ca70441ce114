// Package work defines the work that all peers of the comparison do, and the program around it.
// Each peer is a program of its own, because two of the libraries cannot be linked into one: both
// register the same protocol buffer file.
package work

import (
	"fmt"
	"slices"
)

// Params is the size of one run of a workload.
type Params struct {
	// Actors is how many take part where that differs from Operations; 0 if the workload has no use
	// for it.
	Actors int
	// Operations is how many operations are measured: messages, calls, starts, restarts.
	Operations int
	// Step divides Operations; 0 is 1.
	Step int
	// Warmup is how many operations are done before, in the same process and unmeasured; 0 is none.
	// Scaled sets it.
	Warmup int
	// Cold is for workloads without warm-up, because what it leaves would be measured too.
	Cold bool
	// Schedulers is how many schedulers the tasklets have; 0 is 1. The other peers use what they
	// use by default.
	Schedulers int
	// Busy is how many turns of an empty loop each message costs its receiver besides.
	Busy int
}

// Scaled returns p with a share of its operations, in whole steps and at least one, and a tenth of
// these as warm-up. The number of actors stays, because it is part of what is measured.
func (p Params) Scaled(share float64) Params {
	step := max(1, p.Step)
	whole := func(n float64) int { return max(step, int(n)/step*step) }
	p.Operations = whole(float64(p.Operations) * share)
	p.Warmup = whole(float64(p.Operations) / 10)
	if p.Cold {
		p.Warmup = 0
	}
	return p
}

// Size is one size of a workload, with the words for it in the table of growth.
type Size struct {
	Label string
	Params
}

// Unit is what a workload measures.
type Unit string

// The units.
const (
	Nanoseconds Unit = "ns"
	Bytes       Unit = "bytes"
)

// Workload is one kind of work. With one size it is a row of the comparison; with several, the
// first of which the others are compared with, it shows how cost grows.
type Workload struct {
	Name  string // on the command line
	Title string // in the tables
	Per   string // what one operation is
	Unit  Unit
	Peers []string // that do it; nil is all
	Bound string   // what bounds the growth; only with several sizes
	Sizes []Size
}

// Grows reports whether w compares sizes instead of peers.
func (w Workload) Grows() bool { return len(w.Sizes) > 1 }

// DoneBy reports whether the named peer does w.
func (w Workload) DoneBy(peer string) bool { return w.Peers == nil || slices.Contains(w.Peers, peer) }

// TreeWidth is how many children each parent of the tree in the workload "teardown" has.
const TreeWidth = 1000

func one(p Params) []Size { return []Size{{Params: p}} }

// Workloads are all of them, in the order of the tables.
var Workloads = []Workload{
	{
		Name: "ping-pong", Title: "two actors send a message to and fro", Per: "message", Unit: Nanoseconds,
		Sizes: one(Params{Operations: 1_000_000, Step: 2}),
	},
	{
		Name: "counting", Title: "one actor sends to another, which counts", Per: "message", Unit: Nanoseconds,
		Sizes: one(Params{Operations: 2_000_000}),
	},
	{
		Name: "ring", Title: "one message goes round a ring of 100 actors", Per: "message", Unit: Nanoseconds,
		Sizes: one(Params{Actors: 100, Operations: 1_000_000}),
	},
	{
		Name: "big", Title: "each of 120 actors sends to a random one and waits for its answer", Per: "message", Unit: Nanoseconds,
		Sizes: one(Params{Actors: 120, Operations: 1_200_000, Step: 240}),
	},
	{
		Name: "fork-join", Title: "start an actor, which handles one message and ends", Per: "actor", Unit: Nanoseconds,
		Sizes: one(Params{Operations: 50_000}),
	},
	{
		Name: "idle", Title: "memory of an idle actor that has handled one message", Per: "actor", Unit: Bytes,
		Sizes: one(Params{Operations: 20_000, Cold: true}),
	},
	{
		Name: "call", Title: "a caller outside asks an actor and waits for the answer", Per: "call", Unit: Nanoseconds,
		Sizes: one(Params{Operations: 300_000}),
	},
	{
		Name: "teardown", Title: "stop a tree of 20,000 idle actors, 1,000 to a parent", Per: "actor", Unit: Nanoseconds,
		Sizes: one(Params{Operations: 20_000}),
	},
	{
		Name: "restart", Title: "a panic, the restart, and an answer from the new actor", Per: "restart", Unit: Nanoseconds,
		Sizes: one(Params{Operations: 20_000}),
	},
	{
		Name: "fan-in", Title: "eight actors send to one", Per: "message", Unit: Nanoseconds,
		Sizes: one(Params{Actors: 8, Operations: 2_000_000, Step: 8}),
	},
	{
		Name: "spread", Title: "one message visits many receivers, far apart in memory", Per: "message", Unit: Nanoseconds,
		Peers: []string{"tasklets", "channels", "erlang"},
		Bound: "the caches: each receiver has a few cache lines of its own, and with 100,000 nearly every one is a miss",
		Sizes: []Size{
			{"10 receivers", Params{Actors: 10, Operations: 1_000_000}},
			{"1,000 receivers", Params{Actors: 1000, Operations: 1_000_000}},
			{"100,000 receivers", Params{Actors: 100_000, Operations: 1_000_000}},
		},
	},
	{
		Name: "chain", Title: "start a tree in which each has one child, and stop it", Per: "actor", Unit: Nanoseconds,
		Peers: []string{"tasklets", "channels", "erlang"},
		Bound: "allocation and the collector: each level is a tasklet of its own, and a deep tree is bigger than the caches",
		Sizes: []Size{
			{"10 deep", Params{Actors: 10, Operations: 100_000, Step: 10}},
			{"1,000 deep", Params{Actors: 1000, Operations: 100_000, Step: 1000}},
			{"100,000 deep", Params{Actors: 100_000, Operations: 100_000, Step: 100_000}},
		},
	},
	{
		Name: "many", Title: "256 messages wander among 64 receivers, without work", Per: "message", Unit: Nanoseconds,
		Peers: []string{"tasklets"},
		Bound: "a lock for each message to another scheduler, a wake-up for each batch, and no work to share out",
		Sizes: schedulers(Params{Actors: 64, Operations: 1_024_000, Step: 256}),
	},
	{
		Name: "many-busy", Title: "the same with about 1 us of work for each message", Per: "message", Unit: Nanoseconds,
		Peers: []string{"tasklets"},
		Bound: "the processors: more schedulers than processors gain nothing",
		Sizes: schedulers(Params{Actors: 64, Operations: 512_000, Step: 256, Busy: 1000}),
	},
}

// schedulers is p with 1, 2 and 4 of them.
func schedulers(p Params) []Size {
	var sizes []Size
	for _, n := range []int{1, 2, 4} {
		p.Schedulers = n
		label := "1 scheduler"
		if n > 1 {
			label = fmt.Sprintf("%d schedulers", n)
		}
		sizes = append(sizes, Size{label, p})
	}
	return sizes
}

// Func does p.Operations of one kind of work and returns how many were done, as counted by the
// actors that did them. What is to be measured is between Start and Stop of the meter.
type Func func(m *Meter, p Params) (done int)

// Draw draws where a message goes, one of n places, and returns the next state of the generator,
// which is the same in every language.
func Draw(state, n int) (next, place int) {
	next = (state*1103515245 + 12345) & 0x7fffffff
	return next, (next >> 8) % n
}

// Stride is a step through n places that visits each of them, and whose neighbours are far apart.
func Stride(n int) int {
	for s := n * 618 / 1000; s > 1; s-- {
		if gcd(s, n) == 1 {
			return s
		}
	}
	return 1
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Spin is n turns of a loop that the compiler keeps, because what it returns depends on each.
func Spin(n, x int) int {
	for range n {
		x = x*31 + n
	}
	return x
}
