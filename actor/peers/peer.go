package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

// reference is the name of the peer that the others are compared with.
const reference = "tasklets"

// peer is one of those that are compared.
type peer struct {
	name  string // on the command line
	title string // in the tables
	// prepare builds the peer's program in dir, and returns the command that runs it. The error
	// says what is missing.
	prepare func(ctx context.Context, dir string) (argv []string, err error)
}

// allPeers are all of them, the reference first.
var allPeers = []peer{
	{reference, "tasklets", built(reference)},
	{"channels", "channels", built("channels")},
	{"hollywood", "hollywood", built("hollywood")},
	{"protoactor", "protoactor-go", built("protoactor")},
	{"erlang", "Erlang", erlang},
}

// built builds the program of this module with the name.
func built(name string) func(ctx context.Context, dir string) ([]string, error) {
	return func(ctx context.Context, dir string) ([]string, error) {
		binary := filepath.Join(dir, name)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/gotasklet/tasklet/actor/peers/"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build in the module of actor/peers: %w: %s", err, lastLine(out))
		}
		return []string{binary}, nil
	}
}

//go:embed erlang/work.escript
var escript []byte

func erlang(_ context.Context, dir string) ([]string, error) {
	program, err := exec.LookPath("escript")
	if err != nil {
		return nil, errors.New("escript is not installed (in Debian: erlang-base)")
	}
	file := filepath.Join(dir, "work.escript")
	if err := os.WriteFile(file, escript, 0o600); err != nil {
		return nil, err
	}
	return []string{program, file}, nil
}

// runnable is a peer whose program is there.
type runnable struct {
	peer
	argv []string
}

// run runs the peer's program once, and checks that all of the work was done.
func (r runnable) run(ctx context.Context, w work.Workload, p work.Params, timeout time.Duration) (work.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	args := append(r.argv[1:len(r.argv):len(r.argv)], work.Arguments(w.Name, p)...)
	cmd := exec.CommandContext(ctx, r.argv[0], args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	var result work.Result
	if err := cmd.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return result, fmt.Errorf("not done after %v", timeout)
		}
		return result, fmt.Errorf("%w: %s", err, firstLine(stderr.Bytes()))
	}
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		return result, fmt.Errorf("its output is no result: %w: %s", err, firstLine(stdout.Bytes()))
	}
	if result.Done != p.Operations {
		return result, fmt.Errorf("%d operations of %d were done", result.Done, p.Operations)
	}
	if v := value(w, p, result); !(v > 0) {
		return result, fmt.Errorf("a measurement of %v %s is none", v, w.Unit)
	}
	return result, nil
}

// value is what one operation cost.
func value(w work.Workload, p work.Params, r work.Result) float64 {
	if w.Unit == work.Bytes {
		return r.Bytes / float64(p.Operations)
	}
	return r.NS / float64(p.Operations)
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
