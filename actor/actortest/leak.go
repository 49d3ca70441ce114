package actortest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"
)

// Goroutines are told apart by a label, which goes from a goroutine to those that it starts, coroutines too: counting would blame
// a test for what another one does in parallel.
const labelKey = "actortest"

var labels atomic.Uint64 // those given so far

func newLabel() string { return fmt.Sprint("run ", labels.Add(1)) }

// setLabel gives the calling goroutine a label.
func setLabel(label string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(labelKey, label)))
}

// leftGoroutines gives a text about each group of goroutines with the label, which are to end within patience.
func leftGoroutines(label string, patience time.Duration) (left []string) {
	for pause := time.Millisecond; ; pause *= 2 {
		if left = findGoroutines(label); left == nil || patience <= 0 {
			return left
		}
		// They may be about to end. There is nothing to wait for.
		runtime.Gosched()
		time.Sleep(pause)
		patience -= pause
	}
}

func findGoroutines(label string) (found []string) {
	var buf bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&buf, 1); err != nil {
		return nil
	}
	mark := fmt.Sprintf("%q:%q", labelKey, label)
	for group := range strings.SplitSeq(buf.String(), "\n\n") {
		lines := strings.Split(group, "\n")
		if len(lines) < 2 || !strings.HasPrefix(lines[1], "# labels:") || !strings.Contains(lines[1], mark) {
			continue
		}
		count, _, _ := strings.Cut(lines[0], " ")
		text := count + " in"
		for _, l := range lines[2:] {
			if f := strings.Split(l, "\t"); len(f) >= 4 {
				name, _, _ := strings.Cut(f[2], "+0x")
				text += "\n    " + name + " " + f[len(f)-1]
			}
		}
		found = append(found, text)
	}
	return found
}
