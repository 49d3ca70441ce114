//go:build linux

package rolling_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/embedded"
	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/rolling"
)

// builds is where TestMain has put the programs.
var builds string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tasklet-rolling-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		builds = dir
		build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./old", "./new")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// process is a running process of a build.
type process struct {
	t     *testing.T
	node  string
	cmd   *exec.Cmd
	stdin io.Writer
	out   *bufio.Reader
}

// start starts a build as a node, and returns when it has joined.
func start(t *testing.T, build, node, url string) *process {
	t.Helper()
	p := &process{t: t, node: node, cmd: exec.Command(filepath.Join(builds, build), node, url)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	require.Equal(t, rolling.Answer{Text: "ready"}, p.read())
	return p
}

func (p *process) read() (a rolling.Answer) {
	p.t.Helper()
	line, err := p.out.ReadBytes('\n')
	require.NoError(p.t, err, p.node)
	require.NoError(p.t, json.Unmarshal(line, &a), "%s", line)
	return a
}

// do makes the process do something, and returns what has come of it.
func (p *process) do(command string) (string, error) {
	p.t.Helper()
	_, err := io.WriteString(p.stdin, command+"\n")
	require.NoError(p.t, err)
	a := p.read()
	if a.Err != "" {
		return a.Text, errors.New(a.Err)
	}
	return a.Text, nil
}

// report returns the account of the process: now, or when it has left.
func (p *process) report(command string) *rolling.Report {
	p.t.Helper()
	_, err := io.WriteString(p.stdin, command+"\n")
	require.NoError(p.t, err)
	a := p.read()
	require.NotNil(p.t, a.Report, a.Err)
	return a.Report
}

// server starts a server, and a node that makes the directory and does nothing else.
func server(t *testing.T) string {
	e := embedded.Server(embedded.Config{Listen: "127.0.0.1:0"})
	t.Cleanup(e.Close)
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, sys.Stop(context.Background())) })
	_, err = cluster.Join(context.Background(), sys, cluster.Config{Name: "server", Connect: e})
	require.NoError(t, err)
	return e.URL()
}

// An old build and a new one talk to each other, as far as their messages allow.
func TestTwoBuilds(t *testing.T) {
	url := server(t)
	a, b := start(t, "old", "a", url), start(t, "new", "b", url)
	for _, c := range []struct {
		name    string
		from    *process
		command string
		text    string
		err     string
		seen    string // over there
		letter  string // over there
	}{
		{"field added, one removed, type renamed in Go, to new", a, "order b", "", "", `purchase 1, note ""`, ""},
		{"field added, one removed, type renamed in Go, to old", b, "order a", "", "", "order 2, gift false", ""},
		{"fields of an answer, from new", a, "offer b", "{Cents:100 Weight:0}", "", "offer for tea", ""},
		{"fields of an answer, from old", b, "offer a", "{Cents:100 Tax:0}", "", "offer for tea", ""},
		{"version raised, to new", a, "price b", "100", "", `price of tea in ""`, ""},
		{"version raised, to old", b, "price a", "", `type "shop.price" has version 2, the reader knows 1`, "", ""},
		{"version raised, found by old", a, "till b", "100", "", "", ""},
		{"version raised, found by new", b, "till a", "",
			`cluster: "till/a" takes messages of type shop.price/1, not shop.price/2`, "", ""},
		{"kind that new has not, called", a, "stock b", "", `type "shop.stock" is unknown`, "", ""},
		{"kind that new has not, sent", a, "stock-cast b", "", "", "",
			`refused main.message: type "shop.stock" is unknown`},
		{"kind that old has not, called", b, "cancel a", "", `type "shop.cancel" is unknown`, "", ""},
		{"kind that old has not, sent", b, "cancel-cast a", "", "", "",
			`refused main.message: type "shop.cancel" is unknown`},
	} {
		there := a
		if c.from == a {
			there = b
		}
		before := there.report("report")
		text, err := c.from.do(c.command)
		assert.Equal(t, c.text, text, c.name)
		if c.err == "" {
			assert.NoError(t, err, c.name)
		} else {
			assert.EqualError(t, err, c.err, c.name)
		}
		want := slices.Clone(before.Seen)
		if c.seen != "" {
			want = append(want, c.seen)
		}
		letters := slices.Clone(before.Letters)
		if c.letter != "" {
			letters = append(letters, c.letter)
		}
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			r := there.report("report")
			assert.Equal(t, want, r.Seen, c.name)
			assert.Equal(t, letters, r.Letters, c.name)
		}, 10*time.Second, 5*time.Millisecond)
	}
	assert.Empty(t, a.report("report").Sent)
	assert.Equal(t, 1, a.report("leave").Certain, "only what was refused")
	assert.Equal(t, 1, b.report("leave").Certain)
}

// Two nodes are replaced by those of another build, one after the other, while orders flow from
// each node to itself, to the other one, and to a singleton: each order is handled once or
// reported.
func TestUpgrade(t *testing.T) {
	url := server(t)
	flow := func(build, node string) *process {
		p := start(t, build, node, url)
		_, err := p.do("flow singleton/orders shop/x shop/y")
		require.NoError(t, err)
		return p
	}
	handled := func(r *rolling.Report) map[string]int { // by what they were sent to
		all := map[string]int{}
		for from, numbers := range r.Handled {
			_, to, _ := strings.Cut(from, " to ")
			all[to] += len(numbers)
		}
		return all
	}
	// progress waits until processes have handled 100 more of all that somebody handles.
	progress := func(all ...*process) {
		t.Helper()
		now := func() map[string]int {
			sum := map[string]int{}
			for _, p := range all {
				for to, n := range handled(p.report("report")) {
					sum[to] += n
				}
			}
			return sum
		}
		want := map[string]int{"singleton/orders": 100}
		for _, p := range all {
			want["shop/"+p.node] = 100
		}
		for to, n := range now() {
			want[to] += n
		}
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			have := now()
			for to, n := range want {
				assert.GreaterOrEqual(t, have[to], n, to)
			}
		}, time.Minute, 20*time.Millisecond)
	}
	x := flow("old", "x")
	progress(x) // the singleton is at x now
	y := flow("old", "y")
	progress(x, y)
	reports := map[string]*rolling.Report{"old x": x.report("leave")}
	progress(y)
	x = flow("new", "x")
	progress(x, y)
	reports["old y"] = y.report("leave")
	progress(x)
	y = flow("new", "y")
	progress(x, y)
	_, err := x.do("cancel y") // now that all can read it
	require.NoError(t, err)
	for _, p := range []*process{x, y} {
		_, err := p.do("quiet")
		require.NoError(t, err)
	}
	reports["new x"], reports["new y"] = x.report("leave"), y.report("leave")

	sent, certain, perhaps := map[string]int{}, 0, 0
	count := map[string]map[int]int{} // how often each was handled, by who sends
	for name, r := range reports {
		assert.Len(t, r.Sent, 3, name)
		for from, n := range r.Sent {
			sent[from] = n
		}
		for from, numbers := range r.Handled {
			assert.True(t, slices.IsSorted(numbers), "orders of %s at %s", from, name)
			if count[from] == nil {
				count[from] = map[int]int{}
			}
			for _, n := range numbers {
				count[from][n]++
			}
		}
		certain += r.Certain
		perhaps += r.Perhaps
		for _, letter := range r.Letters {
			assert.NotContains(t, letter, "refused", name)
		}
	}
	all, lost := 0, 0
	for from, n := range sent {
		all += n
		lost += n - len(count[from])
		for number, times := range count[from] {
			assert.Equal(t, 1, times, "order %d of %s", number, from)
			assert.LessOrEqual(t, number, n)
		}
	}
	t.Logf("%d orders, %d not handled; reported as not handled %d, as unknown %d", all, lost, certain, perhaps)
	assert.LessOrEqual(t, certain, lost, "what is reported as not handled was not")
	assert.LessOrEqual(t, lost, certain+perhaps, "nothing is lost in silence")
	for _, build := range []string{"old x", "old y", "new x"} {
		assert.GreaterOrEqual(t, handled(reports[build])["singleton/orders"], 100, "the singleton was at %s", build)
	}
}
