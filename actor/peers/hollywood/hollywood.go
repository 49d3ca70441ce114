// Command hollywood does the work of the comparison with github.com/anthdm/hollywood.
package main

import (
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	hollywood "github.com/anthdm/hollywood/actor"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

func main() { work.Main(peer) }

var peer = work.Peer{
	Name:   "hollywood",
	Module: "github.com/anthdm/hollywood",
	Do: map[string]work.Func{
		"ping-pong": pingPong,
		"counting":  counting,
		"ring":      ring,
		"big":       big,
		"fork-join": forkJoin,
		"idle":      idle,
		"call":      call,
		"teardown":  teardown,
		"restart":   restart,
		"fan-in":    fanIn,
	},
}

// ball is a message. It is sent as a pointer, because a message is an any, which would allocate for
// most other values too.
type ball struct{ n int }

// start is the message that makes an actor begin to send.
type start struct{}

func engine() *hollywood.Engine {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	e, err := hollywood.NewEngine(hollywood.NewEngineConfig())
	if err != nil {
		panic(err)
	}
	return e
}

// counter starts an actor that counts balls, and closes full when it has counted the last.
func counter(e *hollywood.Engine, n int, counted *int, full chan<- struct{}) *hollywood.PID {
	return e.SpawnFunc(func(c *hollywood.Context) {
		if _, ok := c.Message().(*ball); ok {
			if *counted++; *counted == n {
				close(full)
			}
		}
	}, "counter")
}

func pingPong(m *work.Meter, p work.Params) int {
	e := engine()
	done := make(chan struct{})
	var pings, pongs int
	pong := e.SpawnFunc(func(c *hollywood.Context) {
		if b, ok := c.Message().(*ball); ok {
			pings++
			c.Send(c.Sender(), b)
		}
	}, "pong")
	ping := e.SpawnFunc(func(c *hollywood.Context) {
		if b, ok := c.Message().(*ball); ok {
			pongs++
			if b.n == 0 {
				close(done)
				return
			}
			c.Send(pong, &ball{b.n - 1})
		}
	}, "ping")
	m.Start()
	e.SendWithSender(pong, &ball{p.Operations/2 - 1}, ping)
	<-done
	m.Stop()
	<-e.Poison(ping).Done()
	<-e.Poison(pong).Done()
	return pings + pongs
}

func counting(m *work.Meter, p work.Params) (counted int) {
	e := engine()
	full := make(chan struct{})
	to := counter(e, p.Operations, &counted, full)
	from := e.SpawnFunc(func(c *hollywood.Context) {
		if _, ok := c.Message().(start); ok {
			for i := range p.Operations {
				c.Send(to, &ball{i})
			}
		}
	}, "sender")
	m.Start()
	e.Send(from, start{})
	<-full
	m.Stop()
	<-e.Poison(from).Done()
	<-e.Poison(to).Done()
	return counted
}

func ring(m *work.Meter, p work.Params) (hops int) {
	e := engine()
	done := make(chan struct{})
	pids := make([]*hollywood.PID, p.Actors)
	for i := range pids {
		pids[i] = e.SpawnFunc(func(c *hollywood.Context) {
			if b, ok := c.Message().(*ball); ok {
				hops++ // the message is the right to write it
				if b.n == 0 {
					close(done)
					return
				}
				c.Send(pids[(i+1)%len(pids)], &ball{b.n - 1})
			}
		}, "place")
	}
	m.Start()
	e.Send(pids[0], &ball{p.Operations - 1})
	<-done
	m.Stop()
	for _, pid := range pids {
		<-e.Poison(pid).Done()
	}
	return hops
}

type (
	ping struct{}
	pong struct{}
)

func big(m *work.Meter, p work.Params) (handled int) {
	e := engine()
	each := p.Operations / (2 * p.Actors)
	pids := make([]*hollywood.PID, p.Actors)
	counts := make([]int, p.Actors)
	var left sync.WaitGroup
	left.Add(p.Actors)
	for i := range pids {
		draw, answers := i, 0
		send := func(c *hollywood.Context) {
			next, to := work.Draw(draw, len(pids))
			draw = next
			c.Send(pids[to], &ping{})
		}
		pids[i] = e.SpawnFunc(func(c *hollywood.Context) {
			switch c.Message().(type) {
			case start:
				send(c)
			case *ping:
				counts[i]++
				c.Send(c.Sender(), &pong{})
			case *pong:
				counts[i]++
				if answers++; answers == each {
					left.Done()
					return
				}
				send(c)
			}
		}, "worker")
	}
	m.Start()
	for _, pid := range pids {
		e.Send(pid, start{})
	}
	left.Wait()
	m.Stop()
	for i, pid := range pids {
		<-e.Poison(pid).Done()
		handled += counts[i]
	}
	return handled
}

func forkJoin(m *work.Meter, p work.Params) int {
	e := engine()
	var handled atomic.Int64
	var ended sync.WaitGroup
	ended.Add(p.Operations)
	m.Start()
	for i := range p.Operations {
		pid := e.SpawnFunc(func(c *hollywood.Context) {
			switch c.Message().(type) {
			case *ball:
				handled.Add(1)
				c.Engine().Stop(c.PID())
			case hollywood.Stopped:
				ended.Done()
			}
		}, "child")
		e.Send(pid, &ball{i})
	}
	ended.Wait()
	m.Stop()
	return int(handled.Load())
}

func idle(m *work.Meter, p work.Params) (ended int) {
	e := engine()
	var handled sync.WaitGroup
	handled.Add(p.Operations)
	m.Start()
	pids := make([]*hollywood.PID, p.Operations)
	for i := range pids {
		pids[i] = e.SpawnFunc(func(c *hollywood.Context) {
			if _, ok := c.Message().(*ball); ok {
				handled.Done()
			}
		}, "idle")
		e.Send(pids[i], &ball{i})
	}
	handled.Wait()
	m.Stop()
	for _, pid := range pids {
		<-e.Poison(pid).Done()
		ended++
	}
	return ended
}

func call(m *work.Meter, p work.Params) (answers int) {
	e := engine()
	pid := e.SpawnFunc(func(c *hollywood.Context) {
		if b, ok := c.Message().(*ball); ok {
			c.Respond(&ball{b.n + 1})
		}
	}, "server")
	m.Start()
	for i := range p.Operations {
		v, err := e.Request(pid, &ball{i}, time.Minute).Result()
		if err != nil {
			panic(err)
		}
		if v.(*ball).n == i+1 {
			answers++
		}
	}
	m.Stop()
	<-e.Poison(pid).Done()
	return answers
}

func teardown(m *work.Meter, p work.Params) int {
	e := engine()
	var handled sync.WaitGroup
	var ended atomic.Int64
	handled.Add(p.Operations)
	child := func(c *hollywood.Context) {
		switch c.Message().(type) {
		case *ball:
			handled.Done()
		case hollywood.Stopped:
			ended.Add(1)
		}
	}
	top := e.SpawnFunc(func(c *hollywood.Context) {
		if _, ok := c.Message().(hollywood.Started); !ok {
			return
		}
		for first := 0; first < p.Operations; first += work.TreeWidth {
			c.SpawnChildFunc(func(c *hollywood.Context) {
				if _, ok := c.Message().(hollywood.Started); !ok {
					return
				}
				for range min(work.TreeWidth, p.Operations-first) {
					c.Send(c.SpawnChildFunc(child, "child"), &ball{})
				}
			}, "parent")
		}
	}, "top")
	handled.Wait()
	m.Start()
	<-e.Poison(top).Done()
	m.Stop()
	return int(ended.Load())
}

func restart(m *work.Meter, p work.Params) (restarts int) {
	e := engine()
	var incarnation atomic.Int64
	pid := e.Spawn(func() hollywood.Receiver { return &fragile{me: incarnation.Add(1)} }, "fragile",
		hollywood.WithMaxRestarts(math.MaxInt32), hollywood.WithRestartDelay(0))
	m.Start()
	for i := range p.Operations {
		e.Send(pid, crash{})
		v, err := e.Request(pid, &ball{i}, time.Minute).Result()
		if err != nil {
			panic(err)
		}
		if v.(int64) == int64(i)+2 {
			restarts++
		}
	}
	m.Stop()
	<-e.Poison(pid).Done()
	return restarts
}

type crash struct{}

// fragile is one incarnation of the actor that crashes.
type fragile struct{ me int64 }

func (f *fragile) Receive(c *hollywood.Context) {
	switch c.Message().(type) {
	case crash:
		panic("crash")
	case *ball:
		c.Respond(f.me)
	}
}

func fanIn(m *work.Meter, p work.Params) (counted int) {
	e := engine()
	full := make(chan struct{})
	to := counter(e, p.Operations, &counted, full)
	senders := make([]*hollywood.PID, p.Actors)
	for i := range senders {
		senders[i] = e.SpawnFunc(func(c *hollywood.Context) {
			if _, ok := c.Message().(start); ok {
				for i := range p.Operations / p.Actors {
					c.Send(to, &ball{i})
				}
			}
		}, "sender")
	}
	m.Start()
	for _, s := range senders {
		e.Send(s, start{})
	}
	<-full
	m.Stop()
	for _, pid := range append(senders, to) {
		<-e.Poison(pid).Done()
	}
	return counted
}
