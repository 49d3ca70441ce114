// Command channels does the work of the comparison with goroutines and channels, without any
// library.
package main

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

func main() { work.Main(peer) }

var peer = work.Peer{
	Name: "channels",
	Do: map[string]work.Func{
		"ping-pong": pingPong,
		"counting":  counting,
		"ring":      ring(func(int) int { return 1 }),
		"big":       big,
		"fork-join": forkJoin,
		"idle":      idle,
		"call":      call,
		"teardown":  teardown,
		"restart":   restart,
		"fan-in":    fanIn,
		"spread":    ring(work.Stride),
		"chain":     chain,
	},
}

// bound is that of the buffered channels: as many as a tasklet's mailbox holds.
const bound = 1024

func pingPong(m *work.Meter, p work.Params) int {
	there, back := make(chan int), make(chan int)
	var pings, pongs int
	go func() {
		for v := range there {
			pings++
			back <- v
		}
		close(back)
	}()
	m.Start()
	for i := range p.Operations / 2 {
		there <- i
		<-back
		pongs++
	}
	m.Stop()
	close(there)
	<-back
	return pings + pongs
}

func counting(m *work.Meter, p work.Params) (counted int) {
	c := make(chan int, bound)
	done := make(chan struct{})
	go func() {
		for range c {
			counted++
		}
		close(done)
	}()
	m.Start()
	for i := range p.Operations {
		c <- i
	}
	close(c)
	<-done
	m.Stop()
	return counted
}

func ring(stride func(n int) int) work.Func {
	return func(m *work.Meter, p work.Params) (hops int) {
		n, step := p.Actors, stride(p.Actors)
		places := make([]chan int, n)
		for i := range places {
			places[i] = make(chan int)
		}
		over := make(chan struct{})
		var all sync.WaitGroup
		for i, in := range places {
			out := places[(i+step)%n]
			all.Go(func() {
				for {
					select {
					case left := <-in:
						if left < 0 {
							continue
						}
						hops++ // the message is the right to write it
						if left == 0 {
							close(over)
							return
						}
						out <- left - 1
					case <-over:
						return
					}
				}
			})
		}
		for _, c := range places {
			c <- -1 // what a goroutine needs for its first message is not measured
		}
		m.Start()
		places[0] <- p.Operations - 1
		<-over
		m.Stop()
		all.Wait()
		return hops
	}
}

type letter struct {
	kind int // kick, ping or pong
	from int
}

const (
	kick = iota
	ping
	pong
)

func big(m *work.Meter, p work.Params) (handled int) {
	each := p.Operations / (2 * p.Actors)
	places := make([]chan letter, p.Actors)
	for i := range places {
		places[i] = make(chan letter, bound)
	}
	counts := make([]int, p.Actors)
	var left, all sync.WaitGroup
	left.Add(p.Actors)
	for i, in := range places {
		all.Go(func() {
			draw, answers, n := i, 0, 0
			for m := range in {
				switch m.kind {
				case ping:
					n++
					places[m.from] <- letter{pong, i}
					continue
				case pong:
					n++
					if answers++; answers == each {
						left.Done()
						continue
					}
				}
				next, to := work.Draw(draw, len(places))
				draw = next
				places[to] <- letter{ping, i}
			}
			counts[i] = n
		})
	}
	m.Start()
	for _, c := range places {
		c <- letter{kind: kick}
	}
	left.Wait()
	m.Stop()
	for _, c := range places {
		close(c)
	}
	all.Wait()
	for _, n := range counts {
		handled += n
	}
	return handled
}

func forkJoin(m *work.Meter, p work.Params) int {
	var handled atomic.Int64
	var all sync.WaitGroup
	m.Start()
	for i := range p.Operations {
		c := make(chan int, 1)
		all.Go(func() {
			<-c
			handled.Add(1)
		})
		c <- i
	}
	all.Wait()
	m.Stop()
	return int(handled.Load())
}

// worker is an idle goroutine with a channel: it counts messages until the context ends.
func worker(ctx context.Context, in chan int, handled *sync.WaitGroup) {
	for {
		select {
		case <-in:
			handled.Done()
		case <-ctx.Done():
			return
		}
	}
}

func idle(m *work.Meter, p work.Params) int {
	ctx, cancel := context.WithCancel(context.Background())
	var handled, all sync.WaitGroup
	var ended atomic.Int64
	handled.Add(p.Operations)
	m.Start()
	places := make([]chan int, p.Operations)
	for i := range places {
		places[i] = make(chan int)
		all.Go(func() { worker(ctx, places[i], &handled); ended.Add(1) })
		places[i] <- i
	}
	handled.Wait()
	m.Stop()
	cancel()
	all.Wait()
	return int(ended.Load())
}

type question struct {
	n     int
	reply chan int
}

func call(m *work.Meter, p work.Params) (answers int) {
	in := make(chan question)
	go func() {
		for q := range in {
			q.reply <- q.n + 1
		}
	}()
	reply := make(chan int, 1) // one for all calls: this caller never gives one up
	m.Start()
	for i := range p.Operations {
		in <- question{i, reply}
		if <-reply == i+1 {
			answers++
		}
	}
	m.Stop()
	close(in)
	return answers
}

func teardown(m *work.Meter, p work.Params) int {
	ctx, cancel := context.WithCancel(context.Background())
	var handled, parents sync.WaitGroup
	var ended atomic.Int64
	handled.Add(p.Operations)
	for first := 0; first < p.Operations; first += work.TreeWidth {
		parents.Go(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			var children sync.WaitGroup
			for range min(work.TreeWidth, p.Operations-first) {
				in := make(chan int)
				children.Go(func() { worker(ctx, in, &handled); ended.Add(1) })
				in <- 0
			}
			<-ctx.Done()
			children.Wait()
		})
	}
	handled.Wait()
	m.Start()
	cancel()
	parents.Wait()
	m.Stop()
	return int(ended.Load())
}

type job struct {
	crash bool
	reply chan int
}

func restart(m *work.Meter, p work.Params) (restarts int) {
	in := make(chan job, bound)
	incarnation := 0
	live := func() (over bool) {
		defer func() {
			if v := recover(); v != nil {
				over = false
			}
		}()
		incarnation++
		me := incarnation
		for j := range in {
			if j.crash {
				panic("crash")
			}
			j.reply <- me
		}
		return true
	}
	over := make(chan struct{})
	go func() {
		for !live() {
		}
		close(over)
	}()
	reply := make(chan int, 1)
	m.Start()
	for i := range p.Operations {
		in <- job{crash: true}
		in <- job{reply: reply}
		if <-reply == i+2 {
			restarts++
		}
	}
	m.Stop()
	close(in)
	<-over
	return restarts
}

func fanIn(m *work.Meter, p work.Params) (counted int) {
	c := make(chan int, bound)
	done := make(chan struct{})
	go func() {
		for range c {
			counted++
		}
		close(done)
	}()
	var senders sync.WaitGroup
	m.Start()
	for range p.Actors {
		senders.Go(func() {
			for i := range p.Operations / p.Actors {
				c <- i
			}
		})
	}
	senders.Wait()
	close(c)
	<-done
	m.Stop()
	return counted
}

func chain(m *work.Meter, p work.Params) int {
	var started atomic.Int64
	var level func(ctx context.Context, below int, bottom chan<- struct{})
	level = func(ctx context.Context, below int, bottom chan<- struct{}) {
		started.Add(1)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var child sync.WaitGroup
		if below > 0 {
			child.Go(func() { level(ctx, below-1, bottom) })
		} else {
			close(bottom)
		}
		<-ctx.Done()
		child.Wait()
	}
	m.Start()
	for range p.Operations / p.Actors {
		ctx, cancel := context.WithCancel(context.Background())
		bottom, top := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(top)
			level(ctx, p.Actors-1, bottom)
		}()
		<-bottom
		cancel()
		<-top
	}
	m.Stop()
	return int(started.Load())
}
