package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
)

// work is a kind of work.
type work struct {
	name    string
	base    int // the place in works of what it is compared with
	first   int // how many in the first round
	n       int // how many in each other one
	callers int // 0 for a stream
	run     func(d *driver, k work, n int) error
}

var works = []work{
	{name: "stream, nats.go publish to callback", base: 0, first: 200000, run: plainStream},
	{name: "stream, binary message", base: 0, first: 200000, run: stream(func(d *driver) actor.Ref[binary] { return d.binary }, binary{})},
	{name: "stream, CBOR with integer keys", base: 0, first: 200000, run: stream(func(d *driver) actor.Ref[encoded] { return d.encoded }, newEncoded())},
	{name: "call, nats.go request, 1 caller", base: 3, first: 2000, callers: 1, run: plainCalls},
	{name: "call, 1 caller", base: 3, first: 2000, callers: 1, run: calls},
	{name: "call, nats.go request, 64 callers", base: 5, first: 10000, callers: 64, run: plainCalls},
	{name: "call, 64 callers", base: 5, first: 10000, callers: 64, run: calls},
}

// driver is the process that sends.
type driver struct {
	server, there *process
	nc            *nats.Conn
	sys           *actor.System
	binary        actor.Ref[binary]
	encoded       actor.Ref[encoded]
	question      actor.Ref[question]
}

func newDriver() (d *driver, err error) {
	d = &driver{}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.server, err = start("server", ""); err != nil {
		return d, err
	}
	url, err := d.server.line()
	if err != nil {
		return d, err
	}
	if d.there, err = start("there", url); err != nil {
		return d, err
	}
	if _, err = d.there.line(); err != nil {
		return d, err
	}
	if d.nc, err = nats.Connect(url); err != nil {
		return d, err
	}
	if d.sys, err = actor.Start(actor.Config{Logger: zap.NewNop()}); err != nil {
		return d, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	node, err := cluster.Join(ctx, d.sys, cluster.Config{Name: "here", Connect: cluster.NATS(url)})
	if err != nil {
		return d, err
	}
	if d.binary, err = cluster.WaitFor[binary](ctx, node, "binary"); err != nil {
		return d, err
	}
	if d.encoded, err = cluster.WaitFor[encoded](ctx, node, "encoded"); err != nil {
		return d, err
	}
	d.question, err = cluster.WaitFor[question](ctx, node, "question")
	return d, err
}

// close ends the processes.
func (d *driver) close() {
	if d.nc != nil {
		d.nc.Close()
	}
	if d.sys != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = d.sys.Stop(ctx)
	}
	for _, p := range []*process{d.there, d.server} {
		if p != nil {
			_ = p.stdin.Close() // it ends
			_ = p.cmd.Wait()
		}
	}
}

// work does some work and measures it.
func (d *driver) work(k work, n int) (result, error) {
	before, err := d.cpu()
	if err != nil {
		return result{}, err
	}
	if k.callers == 0 {
		d.there.say("count %d", n)
		if _, err := d.there.line(); err != nil {
			return result{}, err
		}
	}
	begin := time.Now()
	if err := k.run(d, k, n); err != nil {
		return result{}, err
	}
	if k.callers == 0 {
		if _, err := d.there.line(); err != nil { // it has handled all
			return result{}, err
		}
	}
	took := time.Since(begin)
	after, err := d.cpu()
	r := result{n: n, took: took}
	for i := range after {
		r.cpu[i] = after[i] - before[i]
	}
	return r, err
}

// profile makes each process write a profile of what follows, to a file whose name is path and what
// the process is; or none, if path is empty.
func (d *driver) profile(path string) error {
	of := func(process string) string {
		if path == "" {
			return ""
		}
		return path + "-" + process
	}
	for name, p := range map[string]*process{"server": d.server, "there": d.there} {
		p.say("profile %s", of(name))
		if text, err := p.line(); err != nil || text != "ok" {
			return fmt.Errorf("profile: %s %w", text, err)
		}
	}
	return profile(of("here"))
}

// cpu returns the processor time of each process: this one, the one that messages are sent to, and
// the server.
func (d *driver) cpu() (times [3]time.Duration, err error) {
	times[0] = used()
	for i, p := range []*process{d.there, d.server} {
		p.say("cpu")
		text, err := p.line()
		if err != nil {
			return times, err
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return times, err
		}
		times[1+i] = time.Duration(n)
	}
	return times, nil
}

// used returns the processor time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func plainStream(d *driver, _ work, n int) error {
	data := make([]byte, size)
	for range n {
		if err := d.nc.Publish("plain.stream", data); err != nil {
			return err
		}
	}
	return d.nc.Flush()
}

// stream returns what sends a message n times.
func stream[M any](ref func(*driver) actor.Ref[M], m M) func(*driver, work, int) error {
	return func(d *driver, _ work, n int) error {
		to := ref(d)
		return d.inside(func(t *actor.Tasklet) error {
			for range n {
				if err := to.Send(t, m); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// inside runs f in a tasklet, and waits for it.
func (d *driver) inside(f func(*actor.Tasklet) error) error {
	return actor.Go(d.sys, f).Join(context.Background())
}

func plainCalls(d *driver, k work, n int) error {
	data := make([]byte, size)
	errs := make([]error, k.callers)
	var wg sync.WaitGroup
	for i := range k.callers {
		wg.Go(func() {
			for range n / k.callers {
				if _, err := d.nc.Request("plain.call", data, 10*time.Second); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func calls(d *driver, k work, n int) error {
	return d.inside(func(t *actor.Tasklet) error {
		var all []*actor.Tasklet
		for range k.callers {
			all = append(all, actor.Go(t, func(t *actor.Tasklet) error {
				for i := range n / k.callers {
					v, err := actor.Call(t, d.question, func(r actor.Reply[int]) question { return question{i, filler(), r} })
					if err != nil {
						return err
					}
					if v != i {
						return fmt.Errorf("the answer to %d is %d", i, v)
					}
				}
				return nil
			}))
		}
		for _, c := range all {
			if err := c.Join(t); err != nil {
				return err
			}
		}
		return nil
	})
}

// process is another process, which is told what to do by lines.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

func start(role, argument string) (*process, error) {
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role+" "+argument)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

func (p *process) say(format string, args ...any) { fmt.Fprintf(p.stdin, format+"\n", args...) }

// line waits for a line of the process.
func (p *process) line() (string, error) {
	text, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("a process has ended: %w", err)
	}
	return strings.TrimSuffix(text, "\n"), nil
}
