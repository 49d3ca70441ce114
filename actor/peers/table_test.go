package main

import (
	"errors"
	"strings"
	"testing"
	"testing/quick"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

func TestFigure(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0.00", 0.0004: "0.0004", 0.018: "0.02", 0.999: "1.00", 1.234: "1.23", 9.99: "9.99", 9.996: "10.0", 12.34: "12.3",
		99.94: "99.9", 99.96: "100", 998.7: "999", 999.6: "1,000", 12_345: "12,345", 1_234_567: "1,234,567",
	} {
		if got := figure(x); got != want {
			t.Errorf("figure(%v) = %q, want %q", x, got, want)
		}
	}
}

// What is outside the markers stays byte for byte, the text comes between them, and doing it again
// changes nothing.
func TestInsertProperties(t *testing.T) {
	property := func(above, below []string, old, text string) bool {
		clean := func(s string) string { return strings.ReplaceAll(s, "<!--", "") }
		before, after := "", ""
		for _, line := range above {
			before += clean(line) + "\n"
		}
		for _, line := range below {
			after += "\n" + clean(line)
		}
		text = clean(text)
		page := before + beginMarker + "\n" + clean(old) + "\n" + endMarker + after
		once, err := insert(page, text)
		if err != nil {
			return false
		}
		twice, err := insert(once, text)
		return err == nil && once == twice && strings.HasPrefix(once, before+beginMarker+"\n") &&
			strings.HasSuffix(once, "\n"+endMarker+after) && strings.Contains(once, strings.TrimSpace(text))
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}

func TestInsertRefusesOtherPages(t *testing.T) {
	for name, page := range map[string]string{
		"none":            "text\n",
		"empty":           "",
		"only begin":      beginMarker + "\n",
		"only end":        endMarker + "\n",
		"wrong order":     endMarker + "\n" + beginMarker + "\n",
		"two begins":      beginMarker + "\n" + beginMarker + "\n" + endMarker + "\n",
		"two ends":        beginMarker + "\n" + endMarker + "\n" + endMarker + "\n",
		"two pairs":       strings.Repeat(beginMarker+"\n"+endMarker+"\n", 2),
		"begin in a line": "as in " + beginMarker + "\n" + endMarker + "\n",
		"end in a line":   beginMarker + "\nold " + endMarker + "\n",
		"end goes on":     beginMarker + "\n" + endMarker + " more\n",
	} {
		if got, err := insert(page, "text"); !errors.Is(err, errMarkers) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// made is a report with known figures: two peers, of which the second is ahead in the first
// workload and behind in the second, and has failed in the third.
func made() *report {
	two := []runnable{{peer: allPeers[0]}, {peer: allPeers[1]}}
	cellOf := func(values ...float64) cell { return cell{asked: true, values: values, allocs: 1, version: "v1"} }
	r := &report{rounds: 3, load: 0.25, peers: two, skipped: []skip{{allPeers[4], errors.New("not installed")}}}
	for i, w := range work.Workloads[:3] {
		rw := row{Workload: w, cells: [][]cell{{cellOf(10, 20, 30), cellOf(5, 40, 6)}}}
		switch i {
		case 1:
			rw.cells[0][1] = cellOf(1000, 2000, 6000)
		case 2:
			rw.cells[0][1] = cell{asked: true, err: errors.New("it broke"), allocs: -1}
		}
		rw.relate()
		r.rows = append(r.rows, rw)
	}
	grows := work.Workload{
		Name: "grow", Title: "growth", Per: "message", Unit: work.Nanoseconds, Bound: "the size", Peers: []string{reference},
		Sizes: []work.Size{{Label: "small"}, {Label: "large"}},
	}
	rw := row{Workload: grows, cells: [][]cell{{cellOf(10, 10, 10), {}}, {cellOf(20, 5, 30), {}}}}
	rw.relate()
	r.rows = append(r.rows, rw)
	return r
}

func TestMarkdown(t *testing.T) {
	got := made().markdown()
	for _, want := range []string{
		"3 rounds, the full work.\nLoad of the machine before: 0.2.\n",
		"Versions: tasklets (v1), channels (v1).\n",
		"Not measured: Erlang, which could not be run.\n",
		"| work | channels |\n|---|---|\n",
		"| **ping-pong**: two actors send a message to and fro | **0.50** (0.20 to 2.00) |\n",
		"| **counting**: one actor sends to another, which counts | 100 (100 to 200) |\n",
		"| **ring**: one message goes round a ring of 100 actors | failed |\n",
		"Tasklets are behind in 1 of 2, where the others need only this share of what tasklets need:\n\n- *ping-pong*: channels 0.50\n\n",
		"| ping-pong | ns per message | 20.0 (10.0 to 30.0) | 6.00 (5.00 to 40.0) |\n",
		"| how cost grows | size | tasklets | tasklets are bound by |\n",
		"| **grow**: growth; ns per message | small | 10.0 (10.0 to 10.0) | the size |\n",
		"|  | large | 20.0 (5.00 to 30.0); 2.00 (0.50 to 3.00) |  |\n",
		"Failed: ring, channels: it broke\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

// Where nothing is behind, the text says so; where nothing is measured, it claims nothing.
func TestMarkdownWithoutBehind(t *testing.T) {
	r := made()
	r.rows = r.rows[1:2]
	if got := r.markdown(); !strings.Contains(got, "Tasklets are behind in none of them.") {
		t.Error(got)
	}
	r.rows[0].cells[0][0].err = errors.New("broke")
	r.rows[0].cells[0][1].ratios = nil
	if got := r.markdown(); strings.Contains(got, "in none of them") || !strings.Contains(got, "no base") {
		t.Error(got)
	}
}

// A busy machine flatters tasklets, and the text says so.
func TestLoad(t *testing.T) {
	for text, want := range map[string]float64{"": -1, "x": -1, "NaN 1": -1, "-1 2": -1, "0.00 0.01 0.05 1/2 3\n": 0, "12.50 1 2": 12.5} {
		if got := loadAverage(text); got != want {
			t.Errorf("loadAverage(%q) = %v, want %v", text, got, want)
		}
	}
	const flatters = "these figures flatter tasklets"
	for load, want := range map[float64]bool{-1: false, 0: false, 1000: true} {
		r := made()
		r.load = load
		got := r.markdown()
		if strings.Contains(got, flatters) != want || strings.Contains(got, "Load of") != (load >= 0) {
			t.Errorf("with a load of %v:\n%s", load, got)
		}
	}
}
