package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

// fakeEnv turns the test's program into that of a peer, which does no work but prints what it is
// told to.
const fakeEnv = "PEERS_TEST_FAKE"

// orderEnv is the file in which each fake leaves its kind, if it is set.
const orderEnv = "PEERS_TEST_ORDER"

func TestMain(m *testing.M) {
	if os.Getenv(fakeEnv) == "" {
		os.Exit(m.Run())
	}
	fake(os.Args[1], os.Args[2:])
}

func fake(kind string, args []string) {
	n, err := strconv.Atoi(args[2])
	if err != nil {
		panic(err)
	}
	if file := os.Getenv(orderEnv); file != "" {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		_, _ = f.WriteString(kind)
		_ = f.Close()
	}
	r := work.Result{Version: "v1", Done: n, NS: 10 * float64(n), Bytes: 300 * float64(n), Allocs: float64(n)}
	switch kind {
	case "half":
		r.NS, r.Bytes = r.NS/2, r.Bytes/2
	case "lossy":
		r.Done--
	case "garbage":
		fmt.Println("no result")
		return
	case "crash":
		fmt.Fprintln(os.Stderr, "it broke\nin many lines")
		os.Exit(3)
	case "zero":
		r.NS, r.Bytes = 0, 0
	case "hang":
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt) // else the runtime would see a deadlock
		<-c
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

// withFakes replaces all peers by fakes of these kinds, the first of them in the place of the
// tasklets.
func withFakes(t *testing.T, kinds ...string) {
	t.Setenv(fakeEnv, "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each fake sleeps for a second at its end
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	saved := allPeers
	t.Cleanup(func() { allPeers = saved })
	fakes := slices.Clone(saved)
	for i := range fakes {
		fakes[i].prepare = func(context.Context, string) ([]string, error) {
			if i >= len(kinds) {
				return nil, errors.New("not there")
			}
			return []string{self, kinds[i]}, nil
		}
	}
	allPeers = fakes
}

func TestWrongArguments(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-rounds 0", "-rounds 0: at least 1"},
		{"-rounds -3", "-rounds -3: at least 1"},
		{"-rounds x", `invalid value "x" for flag -rounds`},
		{"-peers akka", `-peers: "akka" is none of tasklets, channels, hollywood, protoactor, erlang`},
		{"-peers=", `-peers: "" is none of`},
		{"-peers erlang,", `-peers: "" is none of`},
		{"-workloads ping,call", `-workloads: "ping" is none of ping-pong, counting, ring, big, fork-join, idle, call,`},
		{"-workloads", "flag needs an argument: -workloads"},
		{"-timeout 0s", "-timeout 0s: must be more than 0"},
		{"-timeout -1s", "-timeout -1s: must be more than 0"},
		{"-nope", "flag provided but not defined: -nope"},
		{"erlang", `unexpected argument "erlang"`},
		{"-peers tasklets -svg x.svg", "-svg: there is no ratio to plot"},
		{"-workloads spread -svg x.svg", "-svg: there is no ratio to plot"},
	} {
		var out, log bytes.Buffer
		err := command(t.Context(), strings.Fields(c.args), &out, &log)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) || out.Len()+log.Len() > 0 {
			t.Errorf("%s: %v (output %q, log %q), want %q", c.args, err, &out, &log, c.want)
		}
	}
}

func TestFilesAreCheckedBeforeTheMeasurement(t *testing.T) {
	withFakes(t, "crash") // any measurement would give another error
	dir := t.TempDir()
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("no markers\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-update", page}, "the page needs one line"},
		{[]string{"-update", filepath.Join(dir, "none.md")}, "-update: "},
		{[]string{"-svg", filepath.Join(dir, "none", "x.svg")}, "-svg: "},
		{[]string{"-svg", filepath.Join(page, "x.svg")}, "-svg: "},
	} {
		var out, log bytes.Buffer
		if err := command(t.Context(), c.args, &out, &log); err == nil || !strings.Contains(err.Error(), c.want) || log.Len() > 0 {
			t.Errorf("%v: %v, log %q", c.args, err, &log)
		}
	}
}

func TestHelp(t *testing.T) {
	var out, log bytes.Buffer
	if err := command(t.Context(), []string{"-help"}, &out, &log); err == nil || !strings.Contains(log.String(), "-workloads list") {
		t.Errorf("%v: %s", err, &log)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-peers", "erlang, channels", "-workloads", "call,ping-pong,call", "-quick"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names(o.peers, peerName), " "); got != "tasklets channels erlang" {
		t.Errorf("peers %s", got)
	}
	if got := strings.Join(names(o.workloads, workloadName), " "); got != "ping-pong call" {
		t.Errorf("workloads %s", got)
	}
	if o.rounds != 2 {
		t.Errorf("%d rounds of a quick run", o.rounds)
	}
	if o, _ := parse([]string{"-quick", "-rounds", "6"}, nil); o.rounds != 6 {
		t.Errorf("%d rounds of a quick run with 6", o.rounds)
	}
	if o, _ := parse(nil, nil); o.rounds != 6 || len(o.peers) != len(allPeers) || len(o.workloads) != len(work.Workloads) {
		t.Errorf("defaults: %d rounds, %d peers, %d workloads", o.rounds, len(o.peers), len(o.workloads))
	}
}

// A whole run with fakes: the figures come out, the plot and the page are written, and peers that
// are missing are named.
func TestCommand(t *testing.T) {
	withFakes(t, "good", "half", "good")
	dir := t.TempDir()
	page, image := filepath.Join(dir, "page.md"), filepath.Join(dir, "plot.svg")
	if err := os.WriteFile(page, []byte("# Title\n"+beginMarker+"\nstale\n"+endMarker+"\nend\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	err := command(t.Context(), []string{"-rounds", "3", "-workloads", "ping-pong,idle,chain", "-update", page, "-svg", image}, &out, &log)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| **ping-pong**: two actors send a message to and fro | **0.50** (0.50 to 0.50) | 1.00 (1.00 to 1.00) |",
		"| idle | bytes per actor | 300 (300 to 300) | 150 (150 to 150) | 300 (300 to 300) |",
		"|  | 1,000 deep | 10.0 (10.0 to 10.0); 1.00 (1.00 to 1.00) | 5.00 (5.00 to 5.00); 1.00 (1.00 to 1.00) |  |",
		"- *idle*: channels 0.50",
		"Not measured: protoactor-go, which could not be run.\nNot measured: Erlang",
	} {
		if !strings.Contains(out.String(), want) || !strings.Contains(string(written), want) {
			t.Errorf("no %q in the output or the page:\n%s", want, written)
		}
	}
	if !strings.HasPrefix(string(written), "# Title\n") || !strings.HasSuffix(string(written), "\nend\n") || strings.Contains(string(written), "stale") {
		t.Errorf("the page is now:\n%s", written)
	}
	if svg, err := os.ReadFile(image); err != nil || !bytes.Contains(svg, []byte("<svg")) {
		t.Errorf("the plot: %v", err)
	}
	for _, want := range []string{"skipped Erlang: not there\n", "ping-pong, channels: 5.00 (5.00 to 5.00) ns per message\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, &log)
		}
	}
}

// A peer that fails does not end the run: the others are measured, and the error at the end names
// what failed.
func TestFailingPeers(t *testing.T) {
	for kind, want := range map[string]string{
		"lossy":   "ring, channels: 999999 operations of 1000000 were done",
		"garbage": "ring, channels: its output is no result: ",
		"crash":   "ring, channels: exit status 3: it broke",
		"zero":    "ring, channels: a measurement of 0 ns is none",
		"hang":    "ring, channels: not done after 200ms",
	} {
		t.Run(kind, func(t *testing.T) {
			withFakes(t, "good", kind, "good")
			args := []string{"-rounds", "2", "-workloads", "ring", "-timeout", "1m"}
			if kind == "hang" {
				args = append(args, "-timeout", "200ms", "-peers", "channels")
			}
			var out, log bytes.Buffer
			err := command(t.Context(), args, &out, &log)
			if kind == "hang" { // on a busy machine even the good one may take that long
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			if !strings.Contains(out.String(), "| failed | 1.00 (1.00 to 1.00) |") || !strings.Contains(out.String(), "Failed: "+want) {
				t.Errorf("the output:\n%s", &out)
			}
		})
	}
}

func TestReferenceMustBeThere(t *testing.T) {
	withFakes(t)
	var out, log bytes.Buffer
	if err := command(t.Context(), nil, &out, &log); err == nil || err.Error() != "not there" {
		t.Error(err)
	}
}

func TestInterrupt(t *testing.T) {
	withFakes(t, "hang")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	var out, log bytes.Buffer
	if err := command(ctx, []string{"-workloads", "ring"}, &out, &log); !errors.Is(err, context.Canceled) || out.Len() > 0 {
		t.Errorf("%v: %s", err, &out)
	}
}

// In each round every cell is measured once, and each round begins with another one.
func TestRoundsTakeTurns(t *testing.T) {
	order := filepath.Join(t.TempDir(), "order")
	t.Setenv(orderEnv, order)
	withFakes(t, "a", "b", "c", "d", "e")
	var r report
	for _, p := range allPeers {
		argv, _ := p.prepare(t.Context(), "")
		r.peers = append(r.peers, runnable{p, argv})
	}
	row := r.newRow(work.Workloads[0], false)
	for round := range 3 {
		if err := r.round(t.Context(), &row, round, options{timeout: time.Minute}); err != nil {
			t.Fatal(err)
		}
		for j, c := range row.cells[0] {
			if len(c.values) != round+1 || c.err != nil {
				t.Errorf("round %d, peer %d: %d values, %v", round, j, len(c.values), c.err)
			}
		}
	}
	if got, err := os.ReadFile(order); err != nil || string(got) != "abcde"+"bcdea"+"cdeab" {
		t.Errorf("the order was %s, %v", got, err)
	}
}
