// Package conformance runs golang.org/x/net/nettest.TestConn on the connections of package netio.
//
// TestConn calls a connection from goroutines of its own. So it is run in two ways: with each call
// made by a task of its own on the connection's scheduler, while the goroutine waits for that; and
// with the calls as they are, from ordinary goroutines.
package conformance

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// loop is a scheduler that runs.
type loop struct {
	s     *core.Scheduler
	count uint64 // of tasks; owned by the scheduler
	over  chan error
}

func start() *loop {
	l := &loop{s: core.New(core.Config{}), over: make(chan error, 1)}
	go func() { l.over <- l.s.Run() }()
	return l
}

func (l *loop) stop(t *testing.T) {
	l.s.Stop()
	if err := <-l.over; err != nil {
		t.Error(err)
	}
}

// once is a task that calls f.
type once struct {
	core.Task
	f func(t *core.Task)
}

func (o *once) Run(t *core.Task) {
	defer t.Finish()
	defer func() {
		if v := recover(); v != nil {
			if _, killed := v.(*core.Exit); !killed {
				panic(v)
			}
		}
	}()
	o.f(t)
}

// do has f called by a task, and returns when that has, or was killed because the loop stops.
func (l *loop) do(f func(t *core.Task)) {
	done := make(chan struct{})
	l.s.InjectFunc(func() {
		l.count++
		o := &once{f: func(t *core.Task) {
			defer close(done)
			f(t)
		}}
		o.Init(l.s, l.count, o)
		o.Wake()
	})
	<-done
}

// byTasks is a connection of which each call is made by a task.
type byTasks struct {
	*netio.Conn
	l *loop
}

func (c byTasks) Read(b []byte) (n int, err error) {
	err = net.ErrClosed // if it is killed
	c.l.do(func(*core.Task) { n, err = c.Conn.Read(b) })
	return n, err
}

func (c byTasks) Write(b []byte) (n int, err error) {
	err = net.ErrClosed // if it is killed
	c.l.do(func(*core.Task) { n, err = c.Conn.Write(b) })
	return n, err
}

func (c byTasks) Close() (err error) {
	c.l.do(func(*core.Task) { err = c.Conn.Close() })
	return err
}

func (c byTasks) SetDeadline(at time.Time) (err error) {
	c.l.do(func(*core.Task) { err = c.Conn.SetDeadline(at) })
	return err
}

func (c byTasks) SetReadDeadline(at time.Time) (err error) {
	c.l.do(func(*core.Task) { err = c.Conn.SetReadDeadline(at) })
	return err
}

func (c byTasks) SetWriteDeadline(at time.Time) (err error) {
	c.l.do(func(*core.Task) { err = c.Conn.SetWriteDeadline(at) })
	return err
}

// pair makes the two ends of a connection: by Listen, Dial and Accept, or by Wrap.
func (l *loop) pair(t *testing.T, network string) (a, b *netio.Conn) {
	if network == "pipe" {
		x, y := net.Pipe()
		l.do(func(t *core.Task) { a, b = netio.Wrap(t, x), netio.Wrap(t, y) })
		return a, b
	}
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l.do(func(task *core.Task) {
		ln, err := netio.Listen(task, network, addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer ln.Close()
		if a, err = netio.Dial(task, network, ln.Addr().String()); err != nil {
			t.Error(err)
			return
		}
		accepted, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		b = accepted.(*netio.Conn)
	})
	return a, b
}

func TestConn(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "pipe"} {
		for _, way := range []string{"tasks", "goroutines", "both"} {
			t.Run(network+" by "+way, func(t *testing.T) {
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					l := start()
					a, b := l.pair(t, network)
					c1, c2 = a, b
					if way != "goroutines" {
						c1 = byTasks{a, l}
					}
					if way == "tasks" {
						c2 = byTasks{b, l}
					}
					return c1, c2, func() {
						a.Close()
						b.Close()
						l.stop(t)
					}, nil
				})
			})
		}
	}
}
