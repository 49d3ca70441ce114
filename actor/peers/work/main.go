package work

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// Result is what a peer prints on its standard output, as one line of JSON.
type Result struct {
	Version string  `json:"version"`
	Done    int     `json:"done"`   // operations, as counted by the actors
	NS      float64 `json:"ns"`     // all of them took
	Bytes   float64 `json:"bytes"`  // of heap and stacks that they left in use
	Allocs  float64 `json:"allocs"` // all of them made; -1 if unknown
}

// Meter measures what happens between Start and Stop.
type Meter struct {
	memory bool // collect the garbage at the end too
	before runtime.MemStats
	begin  time.Time
	result Result
}

// Start collects the garbage, so that what was there before is not paid for, and starts the
// measurement.
func (m *Meter) Start() {
	runtime.GC()
	runtime.ReadMemStats(&m.before)
	m.begin = time.Now()
}

// Stop ends the measurement.
func (m *Meter) Stop() {
	m.result.NS = float64(time.Since(m.begin).Nanoseconds())
	if m.memory {
		runtime.GC()
	}
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	inUse := func(s *runtime.MemStats) float64 { return float64(s.HeapInuse) + float64(s.StackInuse) }
	m.result.Bytes = inUse(&after) - inUse(&m.before)
	m.result.Allocs = float64(after.Mallocs - m.before.Mallocs)
}

// Peer is one library with the work that it can do.
type Peer struct {
	Name   string // of its program
	Module string // whose version is reported; "" for Go itself
	Do     map[string]Func
}

// Run does the workload, and returns what came out. It does not judge whether all was done.
func (p Peer) Run(workload string, params Params) (Result, error) {
	do, ok := p.Do[workload]
	if !ok {
		return Result{}, fmt.Errorf("%s has no workload %q", p.Name, workload)
	}
	if params.Warmup > 0 {
		warm := params
		warm.Operations = params.Warmup
		do(new(Meter), warm)
	}
	m := Meter{memory: params.Warmup == 0}
	m.result.Done = do(&m, params)
	m.result.Version = p.version()
	return m.result, nil
}

func (p Peer) version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path != p.Module {
				continue
			}
			if dep.Replace != nil {
				return "this checkout"
			}
			return dep.Version
		}
	}
	return runtime.Version()
}

// Main is the main function of a peer's program. Its arguments are those of [Arguments]; it prints
// a [Result].
func Main(p Peer) {
	workload, params, err := parse(os.Args[1:])
	if err == nil {
		var r Result
		if r, err = p.Run(workload, params); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(r)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		os.Exit(2)
	}
}

// Arguments are the arguments of a peer's program.
func Arguments(workload string, p Params) []string {
	return []string{
		workload, strconv.Itoa(p.Actors), strconv.Itoa(p.Operations), strconv.Itoa(p.Warmup), strconv.Itoa(p.Schedulers),
		strconv.Itoa(p.Busy),
	}
}

// parse is the inverse of Arguments. Step and Cold do not cross: Scaled has put them into
// Operations and Warmup.
func parse(args []string) (workload string, p Params, err error) {
	if len(args) != 6 {
		return "", p, errors.New("the arguments are WORKLOAD ACTORS OPERATIONS WARMUP SCHEDULERS BUSY")
	}
	for i, to := range []*int{&p.Actors, &p.Operations, &p.Warmup, &p.Schedulers, &p.Busy} {
		if *to, err = strconv.Atoi(args[i+1]); err != nil || *to < 0 {
			return "", p, fmt.Errorf("argument %q is no number from 0 up", args[i+1])
		}
	}
	return args[0], p, nil
}
