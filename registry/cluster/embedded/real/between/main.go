// Command between measures messages and calls between two processes on one machine, over one NATS
// server in a third one, beside what nats.go does over the same server.
//
//	go -C registry/cluster/embedded/real run ./between
//
// In each round all kinds of work run one after the other. The table has the medians of the ratios
// of a round, with the lowest and the highest, and of the processor time that the three processes
// need, together and each.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/internal/between"
)

func main() {
	if role := os.Getenv(between.RoleEnv); role != "" {
		if err := between.Play(role); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	rounds := flag.Int("rounds", 7, "the number of rounds")
	each := flag.Duration("each", time.Second, "about how long each kind of work takes in a round")
	only := flag.String("only", "", "run the kinds of work whose name has this, and what they are compared with")
	profile := flag.String("profile", "", "write a profile of each process for each kind of work into this folder")
	flag.Parse()
	choose(*only)
	if err := measure(os.Stdout, *rounds, *each, *profile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// work is a kind of work.
type work struct {
	name  string
	base  int // the place in works of what it is compared with
	first int // how many in the first round
	n     int // how many in each other one
	run   func(d *between.Driver, n int) error
}

var works = []work{
	{name: "stream, nats.go publish to callback", base: 0, first: 200000, run: (*between.Driver).PlainStream},
	{name: "stream, binary message", base: 0, first: 200000, run: (*between.Driver).Packed},
	{name: "stream, CBOR with integer keys", base: 0, first: 200000, run: (*between.Driver).Encoded},
	{name: "call, nats.go request, 1 caller", base: 3, first: 2000, run: from(1, (*between.Driver).PlainCalls)},
	{name: "call, 1 caller", base: 3, first: 2000, run: from(1, (*between.Driver).Calls)},
	{name: "call, nats.go request, 64 callers", base: 5, first: 10000, run: from(64, (*between.Driver).PlainCalls)},
	{name: "call, 64 callers", base: 5, first: 10000, run: from(64, (*between.Driver).Calls)},
}

func from(callers int, calls func(d *between.Driver, n, callers int) error) func(*between.Driver, int) error {
	return func(d *between.Driver, n int) error { return calls(d, n, callers) }
}

// do does some work and measures it.
func do(d *between.Driver, k work, n int) (result, error) {
	before, err := d.CPU()
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	if err := k.run(d, n); err != nil {
		return result{}, err
	}
	took := time.Since(begin)
	after, err := d.CPU()
	r := result{n: n, took: took}
	for i := range after {
		r.cpu[i] = after[i] - before[i]
	}
	return r, err
}

// result is what one kind of work needed in a round.
type result struct {
	n    int              // messages or calls
	took time.Duration    // until the last one was handled or answered
	cpu  [3]time.Duration // as Driver.CPU returns it
}

func (r result) each() float64    { return float64(r.took.Nanoseconds()) / float64(r.n) }
func (r result) cpuEach() float64 { return r.cpuOf(0) + r.cpuOf(1) + r.cpuOf(2) }

// cpuOf returns the processor time that the i-th process needed for each.
func (r result) cpuOf(i int) float64 { return float64(r.cpu[i].Nanoseconds()) / float64(r.n) }

// choose leaves those kinds of work whose name has some text, and what they are compared with.
func choose(text string) {
	var left []work
	places := map[int]int{}
	for i, k := range works {
		compared := slices.ContainsFunc(works, func(o work) bool { return o.base == i && strings.Contains(o.name, text) })
		if !compared && !strings.Contains(k.name, text) {
			continue
		}
		places[i] = len(left)
		k.base = places[k.base] // it stands before
		left = append(left, k)
	}
	works = left
}

// measure runs the rounds, and writes a table. The last round is profiled, if there is a folder.
func measure(w io.Writer, rounds int, each time.Duration, folder string) error {
	d, err := between.NewDriver()
	if err != nil {
		return err
	}
	defer d.Close()
	all := make([][]result, len(works))
	for i, k := range works { // a round that does not count finds out how much is to be done
		r, err := do(d, k, k.first)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		works[i].n = max(k.first, int(float64(k.first)*each.Seconds()/r.took.Seconds()))
	}
	for round := range rounds {
		for i, k := range works {
			if round == rounds-1 && folder != "" {
				if err := d.Profile(filepath.Join(folder, strconv.Itoa(i))); err != nil {
					return err
				}
			}
			r, err := do(d, k, k.n)
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			all[i] = append(all[i], r)
		}
	}
	if folder != "" {
		if err := d.Profile(""); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "| work | ns each | of nats.go's rate | ns of processor each | of nats.go's | sender, receiver, server |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for i, k := range works {
		base := all[k.base]
		var took, cpu, rate, cpuRate []float64
		var of [3][]float64
		for j, r := range all[i] {
			took, cpu = append(took, r.each()), append(cpu, r.cpuEach())
			rate, cpuRate = append(rate, base[j].each()/r.each()), append(cpuRate, r.cpuEach()/base[j].cpuEach())
		}
		for j := range of {
			for _, r := range all[i] {
				of[j] = append(of[j], r.cpuOf(j))
			}
		}
		fmt.Fprintf(w, "| %s | %.0f | %s | %.0f | %s | %.0f, %.0f, %.0f |\n", k.name,
			between.Median(took), between.Spread(rate), between.Median(cpu), between.Spread(cpuRate),
			between.Median(of[0]), between.Median(of[1]), between.Median(of[2]))
	}
	return nil
}
