// Command tasklets does the work of the comparison with this library. All that touches its API is
// in this file.
package main

import (
	"context"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/peers/work"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

func main() { work.Main(peer) }

var peer = work.Peer{
	Name:   "tasklets",
	Module: "github.com/gotasklet/tasklet",
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
		"many":      many,
		"many-busy": many,
	},
}

func config(p work.Params) actor.Config {
	return actor.Config{Logger: zap.NewNop(), Schedulers: p.Schedulers}
}

func run(p work.Params, main func(t *actor.Tasklet) error) {
	must(actor.Run(context.Background(), config(p), main))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func pingPong(m *work.Meter, p work.Params) int {
	var pings, pongs int
	run(p, func(t *actor.Tasklet) error {
		var ping, pong actor.Ref[int]
		ping = actor.Receiver(t, func(t *actor.Tasklet, left int) error {
			pongs++
			if left == 0 {
				return actor.ErrStop
			}
			return pong.Send(t, left-1)
		})
		pong = actor.Receiver(t, func(t *actor.Tasklet, left int) error {
			pings++
			return ping.Send(t, left)
		})
		m.Start()
		defer m.Stop()
		must(pong.Send(t, p.Operations/2-1))
		return ping.Join(t)
	})
	return pings + pongs
}

func counting(m *work.Meter, p work.Params) (counted int) {
	run(p, func(t *actor.Tasklet) error {
		counter := actor.Receiver(t, func(*actor.Tasklet, int) error { counted++; return nil })
		m.Start()
		defer m.Stop()
		for i := range p.Operations {
			must(counter.Send(t, i))
		}
		counter.Close()
		return counter.Join(t)
	})
	return counted
}

func ring(stride func(n int) int) work.Func {
	return func(m *work.Meter, p work.Params) (hops int) {
		n, step := p.Actors, stride(p.Actors)
		greeted := 0
		run(p, func(t *actor.Tasklet) error {
			refs := make([]actor.Ref[int], n)
			for i := range refs {
				refs[i] = actor.Receiver(t, func(t *actor.Tasklet, left int) error {
					if left < 0 {
						greeted++
						return nil
					}
					hops++
					if left == 0 {
						return actor.ErrStop
					}
					return refs[(i+step)%n].Send(t, left-1)
				})
				must(refs[i].Send(t, -1)) // what it makes for its first message is not measured
			}
			for greeted < n {
				t.Yield()
			}
			m.Start()
			defer m.Stop()
			must(refs[0].Send(t, p.Operations-1))
			return refs[(p.Operations-1)*step%n].Join(t)
		})
		return hops
	}
}

type letter struct {
	kind int // kick, ping or pong
	from actor.Ref[letter]
}

const (
	kick = iota
	ping
	pong
)

func big(m *work.Meter, p work.Params) (handled int) {
	each := p.Operations / (2 * p.Actors)
	run(p, func(t *actor.Tasklet) error {
		refs := make([]actor.Ref[letter], p.Actors)
		left := p.Actors
		sink := actor.Receiver(t, func(*actor.Tasklet, int) error {
			if left--; left == 0 {
				return actor.ErrStop
			}
			return nil
		})
		for i := range refs {
			draw, answers := i, 0
			refs[i] = actor.Receiver(t, func(t *actor.Tasklet, m letter) error {
				switch m.kind {
				case ping:
					handled++
					return m.from.Send(t, letter{pong, refs[i]})
				case pong:
					handled++
					if answers++; answers == each {
						return sink.Send(t, i)
					}
				}
				next, to := work.Draw(draw, len(refs))
				draw = next
				return refs[to].Send(t, letter{ping, refs[i]})
			})
		}
		m.Start()
		defer m.Stop()
		for _, r := range refs {
			must(r.Send(t, letter{kind: kick}))
		}
		return sink.Join(t)
	})
	return handled
}

func forkJoin(m *work.Meter, p work.Params) (handled int) {
	run(p, func(t *actor.Tasklet) error {
		refs := make([]actor.Ref[int], p.Operations)
		m.Start()
		defer m.Stop()
		for i := range refs {
			refs[i] = actor.Receiver(t, func(*actor.Tasklet, int) error { handled++; return actor.ErrStop })
			must(refs[i].Send(t, i))
		}
		for _, r := range refs {
			must(r.Join(t))
		}
		return nil
	})
	return handled
}

func idle(m *work.Meter, p work.Params) (handled int) {
	run(p, func(t *actor.Tasklet) error {
		m.Start()
		defer m.Stop()
		refs := make([]actor.Ref[int], p.Operations)
		for i := range refs {
			refs[i] = actor.Receiver(t, func(*actor.Tasklet, int) error { handled++; return nil })
			must(refs[i].Send(t, i))
		}
		for handled < p.Operations {
			t.Yield()
		}
		return nil
	})
	return handled
}

type question struct {
	n     int
	reply actor.Reply[int]
}

func call(m *work.Meter, p work.Params) (answers int) {
	ctx := context.Background()
	sys, err := actor.Start(config(p))
	must(err)
	r := actor.Receiver(sys, func(t *actor.Tasklet, q question) error { return q.reply.Send(t, q.n+1) })
	m.Start()
	for i := range p.Operations {
		n, err := actor.Call(ctx, r, func(r actor.Reply[int]) question { return question{i, r} })
		must(err)
		if n == i+1 {
			answers++
		}
	}
	m.Stop()
	must(sys.Stop(ctx))
	return answers
}

func teardown(m *work.Meter, p work.Params) (ended int) {
	run(p, func(t *actor.Tasklet) error {
		var refs []actor.Ref[int]
		var never scheduler.Event
		handled := 0
		top := actor.Go(t, func(t *actor.Tasklet) error {
			for first := 0; first < p.Operations; first += work.TreeWidth {
				actor.Go(t, func(t *actor.Tasklet) error {
					for range min(work.TreeWidth, p.Operations-first) {
						r := actor.Receiver(t, func(*actor.Tasklet, int) error { handled++; return nil })
						refs = append(refs, r)
						must(r.Send(t, 0))
					}
					return never.Wait(t)
				})
			}
			return never.Wait(t)
		})
		for handled < p.Operations {
			t.Yield()
		}
		m.Start()
		top.Kill()
		_ = top.Join(t) // reports the kill
		m.Stop()
		for _, r := range refs {
			if r.IsDead() {
				ended++
			}
		}
		return nil
	})
	return ended
}

type job struct {
	crash bool
	reply actor.Reply[int]
}

func restart(m *work.Meter, p work.Params) (restarts int) {
	run(p, func(t *actor.Tasklet) error {
		ref := actor.NewRef[job]()
		incarnation := 0
		body := actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, job) error, error) {
			incarnation++
			me := incarnation
			return func(t *actor.Tasklet, j job) error {
				if j.crash {
					panic("crash")
				}
				return j.reply.Send(t, me)
			}, nil
		})
		_, err := supervisor.Start(t, supervisor.Spec{
			Intensity: 1 << 30, Period: 1, Children: []supervisor.Child{{ID: "a", Body: body}},
		})
		must(err)
		m.Start()
		defer m.Stop()
		for i := range p.Operations {
			must(ref.Send(t, job{crash: true}))
			n, err := actor.Call(t, ref, func(r actor.Reply[int]) job { return job{reply: r} })
			must(err)
			if n == i+2 {
				restarts++
			}
		}
		return nil
	})
	return restarts
}

func fanIn(m *work.Meter, p work.Params) (counted int) {
	run(p, func(t *actor.Tasklet) error {
		counter := actor.Receiver(t, func(*actor.Tasklet, int) error { counted++; return nil })
		m.Start()
		defer m.Stop()
		senders := make([]*actor.Tasklet, p.Actors)
		for i := range senders {
			senders[i] = actor.Go(t, func(t *actor.Tasklet) error {
				for i := range p.Operations / p.Actors {
					if err := counter.Send(t, i); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for _, s := range senders {
			must(s.Join(t))
		}
		counter.Close()
		return counter.Join(t)
	})
	return counted
}

func chain(m *work.Meter, p work.Params) (started int) {
	run(p, func(t *actor.Tasklet) error {
		var start func(t *actor.Tasklet, below int) *actor.Tasklet
		start = func(t *actor.Tasklet, below int) *actor.Tasklet {
			return actor.StartTasklet(t, actor.ReceiverInitBody(actor.NewRef[int](),
				func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					if started++; below > 0 {
						start(t, below-1)
					}
					return func(*actor.Tasklet, int) error { return nil }, nil
				}))
		}
		m.Start()
		defer m.Stop()
		for want := p.Actors; want <= p.Operations; want += p.Actors {
			top := start(t, p.Actors-1)
			for started < want {
				t.Yield()
			}
			top.Kill()
			_ = top.Join(t) // reports the kill
		}
		return nil
	})
	return started
}

func many(m *work.Meter, p work.Params) (handled int) {
	const tokens = 256
	counts := make([]struct{ handled, spun, _, _, _, _, _, _ int }, p.Actors) // one cache line each
	run(p, func(t *actor.Tasklet) error {
		refs := make([]actor.Ref[int], p.Actors)
		for i := range refs {
			refs[i] = actor.NewRef[int]()
		}
		left := tokens
		done := actor.Receiver(t, func(*actor.Tasklet, int) error {
			if left--; left == 0 {
				return actor.ErrStop
			}
			return nil
		})
		for i, ref := range refs {
			draw, mine := i, &counts[i]
			actor.StartTasklet(t, actor.ReceiverBody(ref, func(t *actor.Tasklet, hops int) error {
				mine.handled++
				mine.spun = work.Spin(p.Busy, mine.spun)
				if hops == 0 {
					return done.Send(t, 0)
				}
				next, to := work.Draw(draw, len(refs))
				draw = next
				return refs[to].Send(t, hops-1)
			}), actor.OnScheduler(i%max(1, p.Schedulers)))
		}
		m.Start()
		defer m.Stop()
		for i := range tokens {
			must(refs[i%len(refs)].Send(t, p.Operations/tokens-1))
		}
		return done.Join(t)
	})
	for _, c := range counts {
		handled += c.handled
	}
	return handled
}
