// Command cluster is a bank on three processes. Each account is a tasklet, which lives on the
// process that its key belongs to. Money moves between random accounts; in the middle one process
// is killed and started again; and at the end the sum of all accounts must be what it was.
//
//	go -C examples/cluster run .
//
// This process is the parent: it starts the others, and keeps the ledger, which stands for a
// database. See ledger.go for how it refuses owners of the past, and node.go for the accounts.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	child := flag.String("child", "", "for the program itself: be a node with this configuration")
	nodes := flag.Int("nodes", 3, "the number of processes: 3 or 5")
	seconds := flag.Int("seconds", 10, "how long money moves, 2 or more")
	kill := flag.Bool("kill", true, "kill a process in the middle with kill -9, and start it again")
	accounts := flag.Int("accounts", 60, "the number of accounts, 2 or more")
	flag.Parse()
	if *child != "" {
		var c nodeConfig
		if err := json.Unmarshal([]byte(*child), &c); err != nil {
			fail(err)
		}
		if err := runNode(c, os.Stdin, os.Stdout); err != nil {
			fail(err)
		}
		return
	}
	if flag.NArg() > 0 || *nodes != 3 && *nodes != 5 || *seconds < 2 || *accounts < 2 {
		fmt.Fprintf(os.Stderr, "cluster: -nodes is 3 or 5, -seconds and -accounts are 2 or more, and there are no arguments\n")
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, *nodes, *accounts, time.Duration(*seconds)*time.Second, *kill); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cluster:", err)
	os.Exit(1)
}

// opening is what each account begins with.
const opening = 100

// printer writes whole lines of several processes.
type printer struct {
	mu sync.Mutex // protects w
	w  io.Writer
}

func (p *printer) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// process is a node in a process of its own.
type process struct {
	config nodeConfig
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	ready  chan struct{} // closed when the node has joined
	done   chan struct{} // closed when the process has ended
	err    error         // how; written before done is closed
	report string        // its last line that begins with "report "
}

// run runs the cluster, and returns an error if the sum is wrong.
func run(w io.Writer, nodes, accounts int, d time.Duration, kill bool) (err error) {
	out := &printer{w: w}
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	books := newLedger()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: books}
	go func() { _ = server.Serve(l) }()
	defer server.Close()

	ports, err := freePorts(2 * nodes)
	if err != nil {
		return err
	}
	var all []*process
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	defer func() {
		for _, p := range all {
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}()
	for i := range nodes {
		c := nodeConfig{
			Name: fmt.Sprint("shop-", i+1), Dir: filepath.Join(dir, fmt.Sprint(i+1)), Self: ports[i], Listen: ports[nodes+i], Seeds: ports[:nodes],
			Ledger: "http://" + l.Addr().String(), Accounts: accounts,
		}
		p, err := start(out, c)
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	for _, p := range all {
		if err := wait(stop, p.ready, p.done, time.Minute); err != nil {
			return fmt.Errorf("%s: %w", p.config.Name, err)
		}
	}
	out.printf("%d processes have joined; %d accounts of %d each; money moves for %v", nodes, accounts, opening, d)
	begin := time.Now()
	if kill {
		if err := wait(stop, nil, nil, d/2); err != errTime {
			return err
		}
		victim := all[len(all)-1]
		out.printf("kill -9 of %s", victim.config.Name)
		_ = victim.cmd.Process.Kill()
		<-victim.done
		if err := wait(stop, nil, nil, min(d/4, 3*time.Second)); err != errTime {
			return err
		}
		out.printf("%s is started again", victim.config.Name)
		p, err := start(out, victim.config)
		if err != nil {
			return err
		}
		all[len(all)-1] = p
		if err := wait(stop, p.ready, p.done, time.Minute); err != nil {
			return fmt.Errorf("%s: %w", p.config.Name, err)
		}
	}
	if rest := d - time.Since(begin); rest > 0 {
		if err := wait(stop, nil, nil, rest); err != errTime {
			return err
		}
	}
	out.printf("no more transfers; what is under way arrives")
	for _, p := range all {
		fmt.Fprintln(p.stdin, "stop")
	}
	books.close()
	for end := time.Now().Add(90 * time.Second); books.pending() > 0 && time.Now().Before(end); {
		if err := wait(stop, nil, nil, 100*time.Millisecond); err != errTime {
			return err
		}
	}
	for _, p := range all {
		fmt.Fprintln(p.stdin, "leave")
		if err := wait(stop, p.done, nil, time.Minute); err != nil {
			return fmt.Errorf("%s: %w", p.config.Name, err)
		}
		if p.err != nil {
			return fmt.Errorf("%s: %w", p.config.Name, p.err)
		}
	}
	s := books.summary()
	out.printf("ledger: %d transfers, %d accounts, %d not arrived, %d changes by owners of the past refused", s.transfers, s.accounts, s.pending, s.refused)
	for _, p := range all {
		out.printf("%s: %s", p.config.Name, p.report)
	}
	want := int64(s.accounts) * opening
	out.printf("sum of all accounts: %d, as it was: %v", s.sum, s.sum == want)
	if s.sum != want || s.pending > 0 || s.transfers == 0 {
		return fmt.Errorf("the sum is %d and not %d, and %d of %d transfers have not arrived", s.sum, want, s.pending, s.transfers)
	}
	return nil
}

var (
	errTime    = errors.New("the time is over")
	errEnded   = errors.New("the process has ended")
	errStopped = errors.New("stopped by a signal")
)

// wait returns nil when ready is closed, and otherwise why it does not wait longer.
func wait(stop <-chan os.Signal, ready, done <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ready:
		return nil
	case <-done:
		return errEnded
	case <-timer.C:
		return errTime
	case <-stop:
		return errStopped
	}
}

// start starts a process, and prints what it writes.
func start(out *printer, c nodeConfig) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	p := &process{config: c, cmd: exec.Command(self, "-child", string(text)), ready: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "CLUSTER_CHILD="+string(text)) // for the test binary
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			switch line := lines.Text(); {
			case line == "ready":
				close(p.ready)
			case strings.HasPrefix(line, "report "):
				p.report = strings.TrimPrefix(line, "report ")
			default:
				out.printf("  [%s] %s", c.Name, line)
			}
		}
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// freePorts returns addresses of the loopback whose ports nobody else gets for a minute.
func freePorts(n int) (all []string, err error) {
	for range n {
		addr, err := freePort()
		if err != nil {
			return nil, err
		}
		all = append(all, addr)
	}
	return all, nil
}

// freePort makes a connection that the listener ends. The kernel remembers that for a minute, and
// gives the port only to those who ask for it.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return "", err
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		return "", err
	}
	server.Close()
	_, err = client.Read(make([]byte, 1)) // the end
	if err != io.EOF {
		return "", fmt.Errorf("no end of a connection: %w", err)
	}
	return l.Addr().String(), nil
}
