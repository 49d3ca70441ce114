// Command performance measures the rows of the performance budget and prints them as a table, for
// docs/performance.md:
//
//	go -C .ci/tools run ./performance [-rounds 6] [-benchtime 1s]
//
// Each row is a pair of benchmarks, ours and the plain Go that it is compared with. In each round
// the two run one after the other in processes of their own, and only their ratio is kept: the
// machine's speed drifts, and both sides drift together. The table has the median ratio, with the
// lowest and the highest.
package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

type side struct{ bench, unit string }

type row struct {
	work   string
	pkg    string
	ours   side
	theirs side    // bench "": the figure itself is the measure
	budget float64 // 0: none
	unit   string  // of the measure, after the number
}

var (
	hop      = side{"BenchmarkChanHop", "ns/msg"}
	buffered = side{"BenchmarkChanBuffered", "ns/msg"}
)

var rows = []row{
	{"receiver to receiver, same scheduler, per message", "actor", side{"BenchmarkReceiverPingPong", "ns/msg"}, hop, 0.15, "hop"},
	{"one way into a receiver, bound 1024, per message", "actor", side{"BenchmarkOneWay", "ns/msg"}, buffered, 0.30, "buffered channel"},
	{"parked to parked, ping-pong, per message", "actor", side{"BenchmarkParkedPingPong", "ns/msg"}, hop, 0.70, "hop"},
	{"parked to parked, ring of 100, per message", "actor", side{"BenchmarkParkedRing", "ns/msg"}, hop, 0.70, "hop"},
	{"from a goroutine, streaming, per message", "actor", side{"BenchmarkFromGoroutine", "ns/msg"}, buffered, 0.8, "buffered channel"},
	{"from another scheduler, streaming, per message", "actor", side{"BenchmarkBetweenSchedulersStream", "ns/msg"}, buffered, 0.8, "buffered channel"},
	{"ping-pong between two schedulers, per message", "actor", side{"BenchmarkBetweenSchedulersPingPong", "ns/msg"}, hop, 3.0, "hop"},
	{"many to many with 1 us of work, 2 schedulers, per message", "actor", side{"BenchmarkManyToMany/work=1000/schedulers=2", "ns/msg"}, side{"BenchmarkManyToMany/work=1000/schedulers=1", "ns/msg"}, 0, "of 1 scheduler"},
	{"the same with 4 schedulers", "actor", side{"BenchmarkManyToMany/work=1000/schedulers=4", "ns/msg"}, side{"BenchmarkManyToMany/work=1000/schedulers=1", "ns/msg"}, 0, "of 1 scheduler"},
	{"call and reply, parked caller", "actor", side{"BenchmarkCall", "ns/op"}, hop, 1.25, "hop"},
	{"start, run and finish a stackless child", "actor", side{"BenchmarkStart/tasklet", "ns/op"}, side{"BenchmarkStart/goroutine", "ns/op"}, 0.8, "`go` + `WaitGroup`"},
	{"the same for a child that parks once", "actor", side{"BenchmarkStart/tasklet-parking", "ns/op"}, side{"BenchmarkStart/goroutine", "ns/op"}, 1.7, "`go` + `WaitGroup`"},
	{"idle receiver in a tree of 1,000,000", "actor", side{"BenchmarkMillion", "B/receiver"}, side{}, 450, "bytes"},
	{"idle parked tasklet", "actor", side{"BenchmarkParkedMemory/tasklet", "B/each"}, side{"BenchmarkParkedMemory/goroutine", "B/each"}, 2.0, "parked goroutine"},
	{"stop and start a timer among 1,000,000", "internal/core", side{"BenchmarkTimerStopStart/wheel", "ns/op"}, side{}, 40, "ns"},
	{"crash by an error, restart, next message", "supervisor", side{"BenchmarkRestart/error", "ns/op"}, side{"BenchmarkHop", "ns/hop"}, 12, "hop"},
	// A throughput of 0.9 is 1/0.9 of the time.
	{"TCP echo, 1,000 connections, client in another process, 2 schedulers, per message", "scheduler/netio", side{"BenchmarkEcho/netio-on-2", "ns/msg"}, side{"BenchmarkEcho/goroutines", "ns/msg"}, 1.11, "goroutine per connection"},
	{"TCP echo, 1,000 connections, client in another process, 1 scheduler, per message", "scheduler/netio", side{"BenchmarkEcho/netio-on-1", "ns/msg"}, side{"BenchmarkEcho/goroutines", "ns/msg"}, 1.11, "goroutine per connection"},
	{"stop a tree of 1,000,000 idle receivers", "actor", side{"BenchmarkMillion", "stop-s"}, side{}, 0.5, "s"},
}

func main() {
	rounds := flag.Int("rounds", 6, "how often each pair is measured")
	benchtime := flag.String("benchtime", "1s", "as for go test")
	only := flag.String("only", "", "a regular expression: measure only rows whose work matches")
	flag.Parse()
	log.SetFlags(0)
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	check(err)
	tmp, err := os.MkdirTemp("", "performance")
	check(err)
	defer os.RemoveAll(tmp)
	top := strings.TrimSpace(string(root))

	binaries := map[string]string{}
	want := regexp.MustCompile(*only)
	var table bytes.Buffer
	for _, r := range rows {
		if !want.MatchString(r.work) {
			continue
		}
		if binaries[r.pkg] == "" {
			binaries[r.pkg] = filepath.Join(tmp, filepath.Base(r.pkg)+".test")
			cmd := exec.Command("go", "test", "-c", "-o", binaries[r.pkg], "./"+r.pkg)
			cmd.Dir, cmd.Stderr = top, os.Stderr
			check(cmd.Run())
		}
		var ratios, ours, theirs []float64
		var allocs string
		for range *rounds {
			a, al := measure(binaries[r.pkg], r.ours, *benchtime)
			allocs = al
			ours = append(ours, a)
			if r.theirs.bench == "" {
				ratios = append(ratios, a)
				continue
			}
			b, _ := measure(binaries[r.pkg], r.theirs, *benchtime)
			theirs = append(theirs, b)
			ratios = append(ratios, a/b)
		}
		m := median(ratios)
		verdict := "met"
		budget := fmt.Sprintf("%.3g %s", r.budget, r.unit)
		if r.budget == 0 {
			verdict, budget = "", "none, "+r.unit
		} else if m > r.budget {
			verdict = fmt.Sprintf("missed by %.0f %%", 100*(m/r.budget-1))
		}
		figures := fmt.Sprintf("%.4g %s", median(ours), r.ours.unit)
		if len(theirs) > 0 {
			figures += fmt.Sprintf(" to %.4g", median(theirs))
		}
		fmt.Fprintf(&table, "| %s | %s | **%.3g** (%.3g to %.3g) | %s | %s | %s |\n",
			r.work, budget, m, slices.Min(ratios), slices.Max(ratios), figures, allocs, verdict)
		log.Printf("%s: %.3g (budget %.3g)", r.work, m, r.budget)
	}
	fmt.Printf("%s, %d processors, %s/%s; %d rounds of %s a side\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, *rounds, *benchtime)
	fmt.Println("| work | budget | measured, median (lowest to highest) | figures | allocations | |")
	fmt.Println("|---|---|---|---|---|---|")
	fmt.Print(table.String())
}

// measure runs one benchmark once, in a process of its own, and returns the value with the unit.
func measure(binary string, s side, benchtime string) (value float64, allocs string) {
	parts := strings.Split(s.bench, "/")
	for i := range parts {
		parts[i] = "^" + parts[i] + "$"
	}
	out, err := exec.Command(binary, "-test.run=^$", "-test.bench="+strings.Join(parts, "/"), "-test.benchtime="+benchtime, "-test.benchmem").CombinedOutput()
	if err != nil {
		log.Fatalf("%s: %v\n%s", s.bench, err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(fields[0], s.bench) {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			switch fields[i+1] {
			case s.unit:
				value, err = strconv.ParseFloat(fields[i], 64)
				check(err)
			case "allocs/op":
				allocs = fields[i]
			}
		}
		return value, allocs
	}
	log.Fatalf("%s printed no result:\n%s", s.bench, out)
	return
}

func median(xs []float64) float64 {
	xs = slices.SortedFunc(slices.Values(xs), cmp.Compare[float64])
	if n := len(xs); n%2 == 0 {
		return (xs[n/2-1] + xs[n/2]) / 2
	}
	return xs[len(xs)/2]
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
