package actortest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The goroutines of a run must be distinguished from all others, since counting them would blame a
// test for those of a parallel one. There are two ways, because each misses some. The runtime tells
// which goroutine has created another, and the run knows the numbers of those on which its tasklets
// run. A program cannot change that, but the chain breaks where a goroutine in between has ended.
// The other way is a profiler label, which is inherited by new goroutines, but which a program may
// replace.
const labelKey = "actortest"

// labels is the number of labels given so far.
var labels atomic.Uint64

// ancestry holds what is known about the goroutines of one run.
type ancestry struct {
	label string // set when it is made, then read-only

	// mu protects the following.
	mu    sync.Mutex
	known map[uint64]bool // the numbers of goroutines on which tasklets and their helpers have run
}

func newAncestry() *ancestry {
	return &ancestry{label: fmt.Sprint("run ", labels.Add(1)), known: map[uint64]bool{}}
}

// context returns a context with the label, with which tasklets begin.
func (a *ancestry) context(ctx context.Context) context.Context {
	return pprof.WithLabels(ctx, pprof.Labels(labelKey, a.label))
}

// note is called on each goroutine of the run.
func (a *ancestry) note() {
	var buf [64]byte
	id, _, _ := header(string(buf[:runtime.Stack(buf[:], false)]))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[id] = true
}

// header parses the first line of a goroutine's stack: "goroutine 7 [running]:".
func header(stack string) (id uint64, rest string, ok bool) {
	rest, ok = strings.CutPrefix(stack, "goroutine ")
	if !ok {
		return 0, "", false
	}
	number, rest, _ := strings.Cut(rest, " ")
	id, err := strconv.ParseUint(number, 10, 64)
	return id, rest, err == nil
}

// left returns a text for each group of goroutines of the run that do not end within patience.
func (a *ancestry) left(patience time.Duration) (left []string) {
	for pause := time.Millisecond; ; pause *= 2 {
		if left = a.find(); left == nil || patience <= 0 {
			return left
		}
		// They may be about to end. There is nothing to wait for.
		runtime.Gosched()
		time.Sleep(pause)
		patience -= pause
	}
}

// find returns a text for each group of goroutines of the run that exist now.
func (a *ancestry) find() (found []string) {
	var order []string
	counts := map[string]int{}
	add := func(stack string, n int) {
		if counts[stack] == 0 {
			order = append(order, stack)
		}
		counts[stack] += n
	}
	for _, stack := range a.descendants() {
		add(stack, 1)
	}
	for stack, n := range a.labelled() {
		if more := n - counts[stack]; more > 0 {
			add(stack, more)
		}
	}
	slices.Sort(order)
	for _, stack := range order {
		found = append(found, fmt.Sprint(counts[stack], " in", stack))
	}
	return found
}

// labelled counts the goroutines with the label, by their stacks.
func (a *ancestry) labelled() map[string]int {
	var buf bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&buf, 1) // a Buffer takes everything
	mark := fmt.Sprintf("%q:%q", labelKey, a.label)
	counts := map[string]int{}
	for group := range strings.SplitSeq(buf.String(), "\n\n") {
		lines := strings.Split(group, "\n")
		if len(lines) < 2 || !strings.HasPrefix(lines[1], "# labels:") || !strings.Contains(lines[1], mark) {
			continue
		}
		number, _, _ := strings.Cut(lines[0], " ")
		n, _ := strconv.Atoi(number)
		var text strings.Builder
		for _, l := range lines[2:] {
			if f := strings.Split(l, "\t"); len(f) >= 4 {
				name, _, _ := strings.Cut(f[2], "+0x")
				frame(&text, name, f[len(f)-1])
			}
		}
		counts[text.String()] += n
	}
	return counts
}

// maxStacks bounds the text about all goroutines, in bytes.
const maxStacks = 64 << 20

// descendants returns the stacks of the goroutines on which tasklets and helpers of the run have
// run, and of all goroutines that these have started, directly or through others.
func (a *ancestry) descendants() (stacks []string) {
	var all []byte
	for n := 1 << 16; ; n *= 4 {
		buf := make([]byte, n)
		if written := runtime.Stack(buf, true); written < n || n >= maxStacks {
			all = buf[:written]
			break
		}
	}
	type goroutine struct {
		id, creator uint64
		stack       string
	}
	var gs []goroutine
	creators := map[uint64]uint64{}
	for group := range strings.SplitSeq(string(all), "\n\n") {
		id, _, ok := header(group)
		if !ok {
			continue
		}
		g := goroutine{id: id}
		var text strings.Builder
		lines := strings.Split(strings.TrimRight(group, "\n"), "\n")
		for i := 1; i+1 < len(lines); i += 2 {
			if of, ok := strings.CutPrefix(lines[i], "created by "); ok {
				_, number, _ := strings.Cut(of, " in goroutine ")
				g.creator, _ = strconv.ParseUint(number, 10, 64)
				break
			}
			if strings.HasPrefix(lines[i], "...") { // frames that were left out: one line
				i--
				continue
			}
			name := lines[i]
			if end := strings.LastIndexByte(name, '('); end > 0 {
				name = name[:end]
			}
			place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
			frame(&text, name, place)
		}
		g.stack = text.String()
		creators[id] = g.creator
		gs = append(gs, g)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range gs {
		for id := g.id; id != 0; id = creators[id] {
			if a.known[id] {
				stacks = append(stacks, g.stack)
				break
			}
		}
	}
	return stacks
}

// frame adds one call to the text about a goroutine. It leaves out calls of the runtime, on which
// the two sources do not agree.
func frame(text *strings.Builder, name, place string) {
	if !strings.HasPrefix(name, "runtime.") {
		text.WriteString("\n    " + name + " " + place)
	}
}
