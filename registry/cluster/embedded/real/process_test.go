//go:build linux

package real_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roleEnv is the environment variable that has the orders of a process, as JSON. Without it the
// test binary is the parent.
const roleEnv = "TASKLET_REAL_ORDERS"

// orders is what a process is to be.
type orders struct {
	Node string // its name
	Proc string // its name and a number, another one for each start
	TTL  time.Duration
	// URL is where a node without a server connects.
	URL string
	// Dir, Listen, Seeds and Self are those of embedded.Config, for a process with a server.
	Dir, Listen, Self string
	Seeds             []string
}

// line is what a process tells its parent.
type line struct {
	What string // up, won, held, op, alive, report, note
	Proc string `json:",omitempty"`
	At   int64  `json:",omitempty"` // by now

	Incarnation string  `json:",omitempty"` // up, alive
	Until       int64   `json:",omitempty"` // alive: the end of the session
	Name        string  `json:",omitempty"` // won: of the claim
	To          string  `json:",omitempty"` // held: the incarnation that was called
	Err         string  `json:",omitempty"` // held, note
	Op          *op     `json:",omitempty"`
	Report      *report `json:",omitempty"`
}

// report is the account of a process.
type report struct {
	Now      string         // its incarnation, or "" if its node is no member
	Busy     map[string]int // senders and callers that have not stopped yet, and whom they send to
	Sent     map[string]int // casts that were accepted, by the incarnation they were sent to
	Handled  map[string]int // casts that have come, by the incarnations they came to and from
	Certain  map[string]int // casts reported as not handled, by the incarnation they were sent to
	Perhaps  map[string]int // casts reported as perhaps handled
	Here     int            // casts that have come and were for no mailbox
	Answered map[string]int // calls, by the incarnation that has answered
	Failed   map[string]int // calls that have failed, by the incarnation and the error
	Wrong    []string       // what may never be
}

// now returns the nanoseconds of a clock that is the same for all processes of the machine, and
// does not jump.
func now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

func TestMain(m *testing.M) {
	if text := os.Getenv(roleEnv); text != "" {
		var o orders
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			panic(err)
		}
		newProcess(o).run()
		return
	}
	os.Exit(m.Run())
}

// child is a process that the parent has started.
type child struct {
	orders
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed when it has ended and its lines are read
	lives int           // how many incarnations it had; run.mu protects it

	mu sync.Mutex // protects the following
	// Owned by mu.
	last   *report // the last one
	killed bool
}

// spawn starts the test binary again. Its lines go to read, one at a time, and those that are no
// lines, such as a panic, to the log of the test.
func spawn(t *testing.T, o orders, read func(*child, line)) *child {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{orders: o, done: make(chan struct{})}
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), roleEnv+"="+string(text))
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		r := bufio.NewReaderSize(out, 1<<20)
		for {
			text, err := r.ReadBytes('\n')
			if err != nil { // a line without an end is that of a process that was killed
				break
			}
			var l line
			if json.Unmarshal(text, &l) != nil {
				fmt.Fprintf(os.Stderr, "%s: %s", o.Proc, text)
				continue
			}
			read(c, l)
		}
		_ = c.cmd.Wait()
	}()
	t.Cleanup(c.kill)
	return c
}

// kill ends the process as kill -9 does, and returns when all its lines are read.
func (c *child) kill() {
	c.mu.Lock()
	c.killed = true
	c.mu.Unlock()
	_ = c.cmd.Process.Kill()
	<-c.done
}

// signal sends a signal.
func (c *child) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Errorf("%s: %v", c.Proc, err)
	}
}

// tell writes a word to the process. A process that has ended does not read it.
func (c *child) tell(word string) { _, _ = io.WriteString(c.stdin, word+"\n") }

// over reports whether the process has ended.
func (c *child) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
