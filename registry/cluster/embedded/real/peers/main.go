// Command peers measures messages and calls between two processes on one machine, beside what the
// remotes of hollywood and of protoactor-go do.
//
//	go -C registry/cluster/embedded/real/peers run .
//
// In each round all kinds of work run one after the other, each with the same number of messages or
// calls. The table has the medians of the rounds, with the lowest and the highest ratio within a
// round, and the most memory that a process has had. Each message has a number, and the receiver
// checks that all come, in order.
//
// Neither library bounds what is on its way. So a stream is measured twice: with a window that the
// sender keeps by itself, and without one. Each has processes of its own, so that the one says
// nothing about the memory of the other.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	messages := flag.Int("messages", 500000, "the number of messages of a stream")
	callsOf1 := flag.Int("calls", 5000, "the number of calls of one caller")
	callsOf64 := flag.Int("calls64", 50000, "the number of calls of 64 callers together")
	window := flag.Int("window", 16384, "how many messages of another library may be on their way, if they are bounded")
	flag.Parse()
	err := measure(os.Stdout, *rounds, sizes{messages: *messages, window: *window, calls: map[int]int{1: *callsOf1, 64: *callsOf64}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type sizes struct {
	messages, window int
	calls            map[int]int // by the number of callers
}

// pair is two processes, and perhaps a server, of one library.
type pair interface {
	stream(n int) error
	calls(n, callers int) error
	// CPU and Memory return what the sender, the receiver and the server have used.
	CPU() ([3]time.Duration, error)
	Memory() (kB [3]int64, err error)
	Close()
}

// tasklets is the pair of this library.
type tasklets struct{ *between.Driver }

func (t tasklets) stream(n int) error         { return t.Packed(n) }
func (t tasklets) calls(n, callers int) error { return t.Calls(n, callers) }

// other is the pair of another library.
type other struct {
	here, there *between.Process
	window      int
}

func newOther(program string, window int) (_ *other, err error) {
	o := &other{window: window}
	defer func() {
		if err != nil {
			o.Close()
		}
	}()
	if o.there, err = between.Start(program, "there"); err != nil {
		return nil, err
	}
	address, err := o.there.Line()
	if err != nil {
		return nil, err
	}
	if o.here, err = between.Start(program, "here "+address); err != nil {
		return nil, err
	}
	_, err = o.here.Line()
	return o, err
}

func (o *other) Close() {
	for _, p := range []*between.Process{o.here, o.there} {
		if p != nil {
			p.Close()
		}
	}
}

func (o *other) stream(n int) error {
	if err := o.there.Tell("count %d", n); err != nil {
		return err
	}
	if err := o.here.Tell("stream %d %d", n, o.window); err != nil {
		return err
	}
	return o.there.Handled()
}

func (o *other) calls(n, callers int) error { return o.here.Tell("calls %d %d", n, callers) }

func (o *other) CPU() (times [3]time.Duration, err error) {
	if times[0], err = o.here.CPU(); err != nil {
		return times, err
	}
	times[1], err = o.there.CPU()
	return times, err
}

func (o *other) Memory() (kB [3]int64, err error) {
	if kB[0], err = o.here.Number("memory"); err != nil {
		return kB, err
	}
	kB[1], err = o.there.Number("memory")
	return kB, err
}

// kind is a kind of work.
type kind struct {
	name    string
	library string // the name of its pair
	base    int    // the place of what it is compared with
	callers int    // 0 for a stream
}

func kinds(window int) []kind {
	bounded := fmt.Sprintf(", at most %d on their way", window)
	return []kind{
		{name: "stream, tasklets, binary message", library: "tasklets", base: 0},
		{name: "stream, hollywood" + bounded, library: "hollywood", base: 0},
		{name: "stream, hollywood, no bound", library: "hollywood, no bound", base: 0},
		{name: "stream, protoactor-go" + bounded, library: "protoactor", base: 0},
		{name: "stream, protoactor-go, no bound", library: "protoactor, no bound", base: 0},
		{name: "call, tasklets, 1 caller", library: "tasklets", base: 5, callers: 1},
		{name: "call, hollywood, 1 caller", library: "hollywood", base: 5, callers: 1},
		{name: "call, protoactor-go, 1 caller", library: "protoactor", base: 5, callers: 1},
		{name: "call, tasklets, 64 callers", library: "tasklets", base: 8, callers: 64},
		{name: "call, hollywood, 64 callers", library: "hollywood", base: 8, callers: 64},
		{name: "call, protoactor-go, 64 callers", library: "protoactor", base: 8, callers: 64},
	}
}

// start builds the programs of the libraries, and starts the pairs.
func start(window int) (pairs map[string]pair, err error) {
	pairs = map[string]pair{}
	defer func() {
		if err != nil {
			end(pairs)
		}
	}()
	dir, err := os.MkdirTemp("", "tasklet-peers-")
	if err != nil {
		return pairs, err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"hollywood", "protoactor"} {
		program := filepath.Join(dir, name)
		build := exec.Command("go", "build", "-o", program, "github.com/gotasklet/tasklet/registry/cluster/embedded/real/peers/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			return pairs, fmt.Errorf("go build in the module of peers: %w: %s", err, out)
		}
		for suffix, window := range map[string]int{"": window, ", no bound": 0} {
			o, err := newOther(program, window)
			if err != nil {
				return pairs, fmt.Errorf("%s: %w", name, err)
			}
			pairs[name+suffix] = o
		}
	}
	d, err := between.NewDriver()
	if err != nil {
		return pairs, err
	}
	pairs["tasklets"] = tasklets{d}
	return pairs, nil
}

func end(pairs map[string]pair) {
	for _, p := range pairs {
		p.Close()
	}
}

// result is what one kind of work needed in a round, in nanoseconds for each message or call.
type result struct {
	time float64
	cpu  [3]float64
}

func (r result) allCPU() float64 { return r.cpu[0] + r.cpu[1] + r.cpu[2] }

// do does some work and measures it.
func do(p pair, k kind, s sizes) (r result, err error) {
	before, err := p.CPU()
	if err != nil {
		return r, err
	}
	n, begin := s.messages, time.Now()
	if k.callers == 0 {
		err = p.stream(n)
	} else {
		n = s.calls[k.callers]
		err = p.calls(n, k.callers)
	}
	if err != nil {
		return r, err
	}
	r.time = float64(time.Since(begin)) / float64(n)
	after, err := p.CPU()
	for i := range after {
		r.cpu[i] = float64(after[i]-before[i]) / float64(n)
	}
	return r, err
}

// measure runs the rounds, after one that does not count, and writes a table.
func measure(w io.Writer, rounds int, s sizes) error {
	pairs, err := start(s.window)
	if err != nil {
		return err
	}
	defer end(pairs)
	all := make([][]result, len(kinds(0)))
	for round := range 1 + rounds {
		for i, k := range kinds(s.window) {
			r, err := do(pairs[k.library], k, s)
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			if round > 0 {
				all[i] = append(all[i], r)
			}
		}
	}
	fmt.Fprintln(w, "| work | ns each | of tasklets' time | ns of processor each | of tasklets' | sender, receiver, server |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for i, k := range kinds(s.window) {
		ratio := func(f func(result) float64) string {
			var x []float64
			for j, r := range all[i] {
				x = append(x, f(r)/f(all[k.base][j]))
			}
			return between.Spread(x)
		}
		median := func(f func(result) float64) float64 {
			var x []float64
			for _, r := range all[i] {
				x = append(x, f(r))
			}
			return between.Median(x)
		}
		took := func(r result) float64 { return r.time }
		fmt.Fprintf(w, "| %s | %.0f | %s | %.0f | %s |", k.name, median(took), ratio(took), median(result.allCPU), ratio(result.allCPU))
		for j, before := range []string{" ", ", ", ", "} {
			fmt.Fprintf(w, "%s%.0f", before, median(func(r result) float64 { return r.cpu[j] }))
		}
		fmt.Fprintln(w, " |")
	}
	fmt.Fprintln(w)
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		kB, err := pairs[name].Memory()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s had at most %d MB resident in the sender, %d in the receiver", name, kB[0]>>10, kB[1]>>10)
		if kB[2] != 0 {
			fmt.Fprintf(w, ", %d in the server", kB[2]>>10)
		}
		fmt.Fprintln(w)
	}
	return nil
}
