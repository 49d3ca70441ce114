// Command protoactor does the work of the comparison with github.com/asynkron/protoactor-go.
package main

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	proto "github.com/asynkron/protoactor-go/actor"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

func main() { work.Main(peer) }

var peer = work.Peer{
	Name:   "protoactor",
	Module: "github.com/asynkron/protoactor-go",
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

func newSystem() *proto.ActorSystem {
	quiet := slog.New(slog.DiscardHandler)
	return proto.NewActorSystem(proto.WithLoggerFactory(func(*proto.ActorSystem) *slog.Logger { return quiet }))
}

// stop waits for the end of each actor, and ends the system.
func stop(s *proto.ActorSystem, pids ...*proto.PID) {
	for _, pid := range pids {
		if err := s.Root.StopFuture(pid).Wait(); err != nil {
			panic(err)
		}
	}
	s.Shutdown()
}

// counter starts an actor that counts balls, and closes full when it has counted the last.
func counter(s *proto.ActorSystem, n int, counted *int, full chan<- struct{}) *proto.PID {
	return s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if _, ok := c.Message().(*ball); ok {
			if *counted++; *counted == n {
				close(full)
			}
		}
	}))
}

func pingPong(m *work.Meter, p work.Params) int {
	s := newSystem()
	done := make(chan struct{})
	var pings, pongs int
	pong := s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if b, ok := c.Message().(*ball); ok {
			pings++
			c.Send(c.Sender(), b)
		}
	}))
	ping := s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if b, ok := c.Message().(*ball); ok {
			pongs++
			if b.n == 0 {
				close(done)
				return
			}
			c.Request(pong, &ball{b.n - 1})
		}
	}))
	m.Start()
	s.Root.RequestWithCustomSender(pong, &ball{p.Operations/2 - 1}, ping)
	<-done
	m.Stop()
	stop(s, ping, pong)
	return pings + pongs
}

func counting(m *work.Meter, p work.Params) (counted int) {
	s := newSystem()
	full := make(chan struct{})
	to := counter(s, p.Operations, &counted, full)
	from := s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if _, ok := c.Message().(start); ok {
			for i := range p.Operations {
				c.Send(to, &ball{i})
			}
		}
	}))
	m.Start()
	s.Root.Send(from, start{})
	<-full
	m.Stop()
	stop(s, from, to)
	return counted
}

func ring(m *work.Meter, p work.Params) (hops int) {
	s := newSystem()
	done := make(chan struct{})
	pids := make([]*proto.PID, p.Actors)
	for i := range pids {
		pids[i] = s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
			if b, ok := c.Message().(*ball); ok {
				hops++ // the message is the right to write it
				if b.n == 0 {
					close(done)
					return
				}
				c.Send(pids[(i+1)%len(pids)], &ball{b.n - 1})
			}
		}))
	}
	m.Start()
	s.Root.Send(pids[0], &ball{p.Operations - 1})
	<-done
	m.Stop()
	stop(s, pids...)
	return hops
}

type (
	ping struct{}
	pong struct{}
)

func big(m *work.Meter, p work.Params) (handled int) {
	s := newSystem()
	each := p.Operations / (2 * p.Actors)
	pids := make([]*proto.PID, p.Actors)
	counts := make([]int, p.Actors)
	var left sync.WaitGroup
	left.Add(p.Actors)
	for i := range pids {
		draw, answers := i, 0
		send := func(c proto.Context) {
			next, to := work.Draw(draw, len(pids))
			draw = next
			c.Request(pids[to], &ping{})
		}
		pids[i] = s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
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
		}))
	}
	m.Start()
	for _, pid := range pids {
		s.Root.Send(pid, start{})
	}
	left.Wait()
	m.Stop()
	stop(s, pids...)
	for _, n := range counts {
		handled += n
	}
	return handled
}

func forkJoin(m *work.Meter, p work.Params) int {
	s := newSystem()
	var handled atomic.Int64
	var ended sync.WaitGroup
	ended.Add(p.Operations)
	m.Start()
	for i := range p.Operations {
		pid := s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
			switch c.Message().(type) {
			case *ball:
				handled.Add(1)
				c.Stop(c.Self())
			case *proto.Stopped:
				ended.Done()
			}
		}))
		s.Root.Send(pid, &ball{i})
	}
	ended.Wait()
	m.Stop()
	stop(s)
	return int(handled.Load())
}

func idle(m *work.Meter, p work.Params) int {
	s := newSystem()
	var handled sync.WaitGroup
	var ended atomic.Int64
	handled.Add(p.Operations)
	m.Start()
	pids := make([]*proto.PID, p.Operations)
	for i := range pids {
		pids[i] = s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
			switch c.Message().(type) {
			case *ball:
				handled.Done()
			case *proto.Stopped:
				ended.Add(1)
			}
		}))
		s.Root.Send(pids[i], &ball{i})
	}
	handled.Wait()
	m.Stop()
	stop(s, pids...)
	return int(ended.Load())
}

func call(m *work.Meter, p work.Params) (answers int) {
	s := newSystem()
	pid := s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if b, ok := c.Message().(*ball); ok {
			c.Respond(&ball{b.n + 1})
		}
	}))
	m.Start()
	for i := range p.Operations {
		v, err := s.Root.RequestFuture(pid, &ball{i}, time.Minute).Result()
		if err != nil {
			panic(err)
		}
		if v.(*ball).n == i+1 {
			answers++
		}
	}
	m.Stop()
	stop(s, pid)
	return answers
}

func teardown(m *work.Meter, p work.Params) int {
	s := newSystem()
	var handled sync.WaitGroup
	var ended atomic.Int64
	handled.Add(p.Operations)
	child := proto.PropsFromFunc(func(c proto.Context) {
		switch c.Message().(type) {
		case *ball:
			handled.Done()
		case *proto.Stopped:
			ended.Add(1)
		}
	})
	top := s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
		if _, ok := c.Message().(*proto.Started); !ok {
			return
		}
		for first := 0; first < p.Operations; first += work.TreeWidth {
			c.Spawn(proto.PropsFromFunc(func(c proto.Context) {
				if _, ok := c.Message().(*proto.Started); !ok {
					return
				}
				for range min(work.TreeWidth, p.Operations-first) {
					c.Send(c.Spawn(child), &ball{})
				}
			}))
		}
	}))
	handled.Wait()
	m.Start()
	err := s.Root.StopFuture(top).Wait()
	m.Stop()
	if err != nil {
		panic(err)
	}
	stop(s)
	return int(ended.Load())
}

func restart(m *work.Meter, p work.Params) (restarts int) {
	s := newSystem()
	var incarnation atomic.Int64
	pid := s.Root.Spawn(proto.PropsFromProducer(func() proto.Actor { return &fragile{me: incarnation.Add(1)} },
		proto.WithGuardian(proto.NewRestartingStrategy())))
	m.Start()
	for i := range p.Operations {
		s.Root.Send(pid, crash{})
		v, err := s.Root.RequestFuture(pid, &ball{i}, time.Minute).Result()
		if err != nil {
			panic(err)
		}
		if v.(int64) == int64(i)+2 {
			restarts++
		}
	}
	m.Stop()
	stop(s, pid)
	return restarts
}

type crash struct{}

// fragile is one incarnation of the actor that crashes.
type fragile struct{ me int64 }

func (f *fragile) Receive(c proto.Context) {
	switch c.Message().(type) {
	case crash:
		panic("crash")
	case *ball:
		c.Respond(f.me)
	}
}

func fanIn(m *work.Meter, p work.Params) (counted int) {
	s := newSystem()
	full := make(chan struct{})
	to := counter(s, p.Operations, &counted, full)
	senders := make([]*proto.PID, p.Actors)
	for i := range senders {
		senders[i] = s.Root.Spawn(proto.PropsFromFunc(func(c proto.Context) {
			if _, ok := c.Message().(start); ok {
				for i := range p.Operations / p.Actors {
					c.Send(to, &ball{i})
				}
			}
		}))
	}
	m.Start()
	for _, pid := range senders {
		s.Root.Send(pid, start{})
	}
	<-full
	m.Stop()
	stop(s, append(senders, to)...)
	return counted
}
