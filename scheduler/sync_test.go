package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// A gate is one of the tools, in a state in which a task that wants to pass parks. What follows
// holds for each of them.
type gate struct {
	pass func(ctx context.Context) error
	// open lets one pass, or all: the first in line, or whoever comes next. To be called once for
	// each.
	open func()
	// left is called by who has passed and makes way for the next, where that is needed.
	left func()
}

func nothing() {}

// firstOnly lets only the first call through.
func firstOnly(f func()) func() {
	return func() {
		f()
		f = nothing
	}
}

var gates = []struct {
	name string
	kind core.Kind
	make func(keeper *core.Task) gate
}{
	{name: "Chan.Send", kind: core.InChan, make: func(*core.Task) gate {
		c := scheduler.NewChan[int](1)
		c.TrySend(1)
		return gate{func(ctx context.Context) error { return c.Send(ctx, 1) }, func() { c.TryReceive() }, nothing}
	}},
	{name: "Chan.Receive", kind: core.InChan, make: func(*core.Task) gate {
		c := scheduler.NewChan[int](10)
		return gate{func(ctx context.Context) error { _, err := c.Receive(ctx); return err }, func() { c.TrySend(1) }, nothing}
	}},
	{name: "Mutex", kind: core.InMutex, make: func(keeper *core.Task) gate {
		var m scheduler.Mutex
		m.TryLock(keeper)
		return gate{m.Lock, firstOnly(m.Unlock), m.Unlock}
	}},
	{name: "Semaphore", kind: core.InSemaphore, make: func(*core.Task) gate {
		s := scheduler.NewSemaphore(3)
		s.TryAcquire(3)
		return gate{func(ctx context.Context) error { return s.Acquire(ctx, 2) }, firstOnly(func() { s.Release(2) }), func() { s.Release(2) }}
	}},
	{name: "Event", kind: core.InEvent, make: func(*core.Task) gate {
		var e scheduler.Event
		return gate{e.Wait, firstOnly(e.Set), nothing}
	}},
	{name: "WaitGroup", kind: core.InWaitGroup, make: func(*core.Task) gate {
		var g scheduler.WaitGroup
		g.Add(1)
		return gate{g.Wait, firstOnly(g.Done), nothing}
	}},
}

// forEachGate plays f, which is the keeper of the gate, for each of them, and compares the log. %s
// in want is the kind.
func forEachGate(t *testing.T, f func(p *play, g gate, keeper *core.Task), want ...string) {
	for _, c := range gates {
		t.Run(c.name, func(t *testing.T) {
			p := newPlay(t, 0)
			p.task("keeper", func(keeper *core.Task) { f(p, c.make(keeper), keeper) })
			p.expect(want...)
			if n := len(p.s.Leaked()); n != 0 {
				t.Errorf("%d tasks leaked", n)
			}
		})
	}
}

// passer starts a task that passes g once, then yields, which is a blocking call too.
func (p *play) passer(name string, g gate) *core.Task {
	return p.task(name, func(t *core.Task) { p.pass(t, g, t) })
}

func (p *play) pass(t *core.Task, g gate, ctx context.Context) {
	if err := g.pass(ctx); err != nil {
		p.note(t, "%v at %v", err, time.Duration(p.s.Nanotime()))
		return
	}
	p.note(t, "through")
	defer g.left()
	t.Yield()
}

func TestGateParksUntilOpen(t *testing.T) {
	for _, c := range gates {
		t.Run(c.name, func(t *testing.T) {
			p := newPlay(t, 0)
			p.task("keeper", func(keeper *core.Task) {
				g := c.make(keeper)
				a := p.passer("a", g)
				keeper.Sleep(time.Second)
				if kind, _, _ := a.Waits(); a.State() != core.Parked || kind != c.kind {
					t.Errorf("a is %v in %v, want parked in %v", a.State(), kind, c.kind)
				}
				p.note(keeper, "opens")
				g.open()
			})
			p.expect("keeper: opens", "a: through")
		})
	}
}

// Rule 5: first come first served.
func TestGateServesInOrder(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		for _, name := range []string{"a", "b", "c", "d"} {
			p.passer(name, g)
		}
		keeper.Yield()
		for range 4 {
			g.open()
		}
	}, "a: through", "b: through", "c: through", "d: through")
}

// Rule 5: who is killed leaves the line without passing, wherever he stands in it, and the next one
// is served: also when the gate is opened before the killed one has run.
func TestGateKillWhileParked(t *testing.T) {
	for _, has := range []string{"not yet", "already"} {
		t.Run("killed task has run "+has, func(t *testing.T) {
			forEachGate(t, func(p *play, g gate, keeper *core.Task) {
				a, _, c, _ := p.passer("a", g), p.passer("b", g), p.passer("c", g), p.passer("d", g)
				keeper.Yield()
				a.Kill(false)
				c.Kill(true)
				// now the kills are done, and their tasks behind the keeper in the run queue
				keeper.Yield()
				if has == "already" {
					keeper.Yield()
				}
				g.open()
				g.open()
			}, "a: killed", "c: killed", "b: through", "d: through")
		})
	}
}

// Rule 17: what was handed over when the kill comes is the task's, and the kill is raised at its
// next blocking call.
func TestGateHandOverBeforeKill(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		a := p.passer("a", g)
		keeper.Yield()
		g.open()
		a.Kill(false)
		keeper.Yield()
		g.open()
		p.passer("b", g)
	}, "a: through", "a: killed", "b: through")
}

// Rule 13: what was handed over when the context ends is the task's.
func TestGateHandOverBeforeCancel(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		var cancel func()
		p.task("a", func(t *core.Task) {
			var ctx context.Context
			ctx, cancel = core.WithTimeout(t, time.Second)
			p.pass(t, g, ctx)
		})
		keeper.Yield()
		g.open()
		cancel()
	}, "a: through")
}

// Rule 13: ErrTimeout, at the deadline; nothing was taken, and the place in line is gone.
func TestGateTimeout(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		p.task("a", func(t *core.Task) {
			ctx, cancel := core.WithTimeout(t, 5*time.Millisecond)
			defer cancel()
			p.pass(t, g, ctx)
		})
		p.passer("b", g)
		keeper.Sleep(10 * time.Millisecond)
		g.open()
	}, "a: timeout at 5ms", "b: through")
}

// Rule 13: the cause of a context that ends while the task is parked, or before.
func TestGateCancelled(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		var cancel context.CancelCauseFunc
		p.task("a", func(t *core.Task) {
			var ctx context.Context
			ctx, cancel = context.WithCancelCause(t)
			p.pass(t, g, ctx)
			p.pass(t, g, ctx)
		})
		b := p.passer("b", g)
		keeper.Yield()
		cancel(errors.New("changed my mind"))
		for b.State() == core.Parked && len(p.log) < 2 {
			keeper.Yield() // until the context's goroutine has told the scheduler
		}
		g.open()
	}, "a: changed my mind at 0s", "a: changed my mind at 0s", "b: through")
}

// Rule 13: if the way is free, the result wins over a context that has ended.
func TestGateOpenAndContextDone(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		g.open()
		p.task("a", func(t *core.Task) {
			ctx, cancel := context.WithCancel(t)
			cancel()
			p.pass(t, g, ctx)
		})
	}, "a: through")
}

// Rule 17: a kill that is pending is raised at the entry, though the way is free, and nothing is
// taken.
func TestGateRaisesPendingKill(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		g.open()
		p.task("a", func(t *core.Task) {
			t.Kill(false)
			p.pass(t, g, t)
		})
		p.passer("b", g)
	}, "a: killed", "b: through")
}

// Rule 17: who recovers a soft kill lives on, a hard one is raised at every blocking call.
func TestGateAfterRecoveredKill(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		again := func(t *core.Task) {
			p.note(t, "recovers %v", panics(func() { p.pass(t, g, t) }))
			p.pass(t, g, t)
		}
		a, b := p.task("a", again), p.task("b", again)
		keeper.Yield()
		a.Kill(false)
		b.Kill(true)
		keeper.Yield()
		keeper.Yield()
		g.open()
	}, "a: recovers scheduler: task killed", "b: recovers scheduler: task killed", "b: killed", "a: through")
}

// A task that is woken by something else goes on waiting.
func TestGateWokenBySomethingElse(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		a := p.passer("a", g)
		keeper.Yield()
		a.Wake()
		keeper.Yield()
		p.note(keeper, "a is %v", a.State())
		g.open()
		keeper.Yield()
		p.passer("b", g)
		keeper.Yield()
		g.open()
	}, "keeper: a is parked", "a: through", "b: through")
}

// The same, and the way becomes free before it runs: it has no place in the line then, but looks.
func TestGateWokenAndOpened(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		a := p.passer("a", g)
		keeper.Yield()
		a.Wake()
		g.open()
	}, "a: through")
}

// Rule 12: a context is for its own task.
func TestGateWrongContext(t *testing.T) {
	for _, c := range gates {
		t.Run(c.name, func(t *testing.T) {
			p := newPlay(t, 0)
			p.task("keeper", func(keeper *core.Task) {
				g := c.make(keeper)
				op := map[string]string{"Mutex": ".Lock", "Semaphore": ".Acquire", "Event": ".Wait", "WaitGroup": ".Wait"}[c.name]
				op = c.name + op
				other := p.passer("a", g)
				for ctx, want := range map[context.Context]string{
					other: "scheduler: " + op + " with the context of a, but keeper is running: " +
						"a context may be used only inside its own tasklet",
					context.Background(): "scheduler: " + op + " called outside a tasklet: its context belongs to none",
				} {
					if got := panics(func() { _ = g.pass(ctx) }); got != want {
						t.Errorf("panic:\n\t%s\nwant:\n\t%s", got, want)
					}
				}
				g.open()
				p.task("b", func(b *core.Task) {
					q := newPlay(t, 0)
					q.task("stranger", func(s *core.Task) {
						want := "scheduler: " + op + " by stranger of another scheduler: " +
							"a Chan, Mutex, Semaphore, Event or WaitGroup belongs to one scheduler"
						if got := panics(func() { _ = g.pass(s) }); got != want {
							t.Errorf("panic:\n\t%s\nwant:\n\t%s", got, want)
						}
					})
					q.run()
				})
			})
			p.expect("a: through")
		})
	}
}

// When the scheduler stops, who is parked unwinds.
func TestGateStop(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		p.passer("a", g)
		p.passer("b", g)
	}, "a: killed", "b: killed")
}

func TestMutexExcludes(t *testing.T) {
	p := newPlay(t, 0)
	var m scheduler.Mutex
	for _, name := range []string{"a", "b", "c"} {
		p.task(name, func(t *core.Task) {
			for range 2 {
				if err := m.Lock(t); err != nil {
					panic(err)
				}
				p.note(t, "begins")
				t.Sleep(time.Second)
				p.note(t, "ends")
				m.Unlock()
			}
		})
	}
	var want []string
	for range 2 {
		for _, name := range []string{"a", "b", "c"} {
			want = append(want, name+": begins", name+": ends")
		}
	}
	p.expect(want...)
	if got := time.Duration(p.s.Nanotime()); got != 6*time.Second {
		t.Errorf("took %v, want 6s", got)
	}
}

func TestMutexTryLock(t *testing.T) {
	p := newPlay(t, 0)
	var m scheduler.Mutex
	p.task("a", func(t *core.Task) {
		p.note(t, "%v %v", m.TryLock(t), m.TryLock(t))
		t.Sleep(time.Second)
		p.note(t, "unlocks")
		m.Unlock()
	})
	p.task("b", func(t *core.Task) {
		p.note(t, "%v", m.TryLock(t))
		_ = m.Lock(t)
		p.note(t, "has it")
		m.Unlock()
		p.note(t, "%v", m.TryLock(t))
	})
	p.expect("a: true false", "b: false", "a: unlocks", "b: has it", "b: true")
}

func TestMutexMisuse(t *testing.T) {
	p := newPlay(t, 0)
	var m scheduler.Mutex
	a := p.task("a", func(t *core.Task) {
		p.note(t, "%s", panics(m.Unlock))
		_ = m.Lock(t)
		t.Sleep(time.Second)
		m.Unlock()
	})
	p.task("b", func(t *core.Task) {
		p.note(t, "%s", panics(m.Unlock))
		p.note(t, "%s", panics(func() { m.TryLock(a) }))
		q := newPlay(p.t, 0)
		q.task("stranger", func(s *core.Task) { p.note(t, "%s", panics(func() { m.TryLock(s) })) })
		q.run()
	})
	p.expect("a: scheduler: Mutex.Unlock of a Mutex that nobody holds",
		"b: scheduler: Mutex.Unlock while b runs, but a holds the Mutex",
		"b: scheduler: Mutex.TryLock with the context of a, but b is running: a context may be used only inside its own tasklet",
		"b: scheduler: Mutex.TryLock by stranger of another scheduler: a Chan, Mutex, Semaphore, Event or WaitGroup belongs to one scheduler")
}

// A holder that ends without Unlock is named as the one that others are parked on.
func TestMutexHolderEnds(t *testing.T) {
	p := newPlay(t, 0)
	var m scheduler.Mutex
	p.task("a", func(t *core.Task) { _ = m.Lock(t) })
	b := p.task("b", func(t *core.Task) { _ = m.Lock(t) })
	p.task("c", func(t *core.Task) {
		t.Sleep(time.Hour)
		kind, on, _ := b.Waits()
		p.note(t, "b is %v in %v %v, which is %v", b.State(), kind, on.Holder, on.Holder.State())
	})
	p.expect("c: b is parked in mutex held by a, which is finished", "b: killed")
}

// A holder that is killed unlocks in a deferred call, as any.
func TestMutexHolderKilled(t *testing.T) {
	p := newPlay(t, 0)
	var m scheduler.Mutex
	a := p.task("a", func(t *core.Task) {
		_ = m.Lock(t)
		defer m.Unlock()
		t.Sleep(time.Hour)
	})
	p.task("b", func(t *core.Task) {
		a.Kill(false)
		p.note(t, "%v", m.Lock(t))
		m.Unlock()
	})
	p.expect("a: killed", "b: <nil>")
}

// Rule 29: two mutexes in opposite order.
func TestDeadlockOfTwoMutexes(t *testing.T) {
	p := newPlay(t, 0)
	var m, n scheduler.Mutex
	both := func(first, second *scheduler.Mutex) func(t *core.Task) {
		return func(t *core.Task) {
			_ = first.Lock(t)
			defer first.Unlock()
			t.Yield()
			err := second.Lock(t)
			p.note(t, "%v", err)
			if err == nil {
				second.Unlock()
			}
		}
	}
	p.task("a", both(&m, &n))
	p.task("b", both(&n, &m))
	p.expect("b: deadlock: b in mutex held by a, a in mutex held by b", "a: <nil>")
	if want := []string{"deadlock: b in mutex held by a, a in mutex held by b soft=false"}; !slices.Equal(p.dead, want) {
		t.Errorf("hook: %q, want %q", p.dead, want)
	}
}

// Rule 29: one task and one mutex.
func TestDeadlockWithOneself(t *testing.T) {
	p := newPlay(t, 0)
	var m scheduler.Mutex
	p.task("a", func(t *core.Task) {
		_ = m.Lock(t)
		p.note(t, "%v", m.Lock(t))
		ctx, cancel := core.WithTimeout(t, time.Second)
		defer cancel()
		p.note(t, "%v", m.Lock(ctx))
		m.Unlock()
		p.note(t, "%v", m.Lock(t))
	})
	p.expect("a: deadlock: a in mutex held by a", "a: timeout", "a: <nil>")
}

// ring starts three tasks, each of which has one mutex and wants that of the next; limit[i] is the
// time limit of the i-th.
func ring(t *testing.T, limit [3]time.Duration) (*play, *[3]scheduler.Mutex) {
	p := newPlay(t, 0)
	ms := new([3]scheduler.Mutex)
	for i, name := range []string{"a", "b", "c"} {
		p.task(name, func(t *core.Task) {
			_ = ms[i].Lock(t)
			defer ms[i].Unlock()
			t.Sleep(time.Duration(i+1) * time.Millisecond)
			var ctx context.Context = t
			if limit[i] != 0 {
				var cancel func()
				ctx, cancel = core.WithTimeout(t, limit[i])
				defer cancel()
			}
			next := &ms[(i+1)%3]
			err := next.Lock(ctx)
			p.note(t, "%v", err)
			if err == nil {
				next.Unlock()
			}
		})
	}
	return p, ms
}

// Rule 29: a cycle of three. The one that would close it is refused, the others go on.
func TestDeadlockRing(t *testing.T) {
	const chain = "deadlock: c in mutex held by a, a in mutex held by b, b in mutex held by c"
	p, _ := ring(t, [3]time.Duration{})
	p.expect("c: "+chain, "b: <nil>", "a: <nil>")
	if want := []string{chain + " soft=false"}; !slices.Equal(p.dead, want) {
		t.Errorf("hook: %q, want %q", p.dead, want)
	}
}

// Rule 29: when somebody in the cycle has a time limit, nobody is refused, and the hook is told.
func TestDeadlockSoftRing(t *testing.T) {
	const chain = "deadlock: c in mutex held by a, a in mutex held by b, b in mutex held by c"
	for _, c := range []struct {
		limit [3]time.Duration
		want  []string
	}{
		{[3]time.Duration{0, time.Second, 0}, []string{"b: timeout", "a: <nil>", "c: <nil>"}},
		{[3]time.Duration{0, 0, time.Second}, []string{"c: timeout", "b: <nil>", "a: <nil>"}},
	} {
		p, _ := ring(t, c.limit)
		p.expect(c.want...)
		if want := []string{chain + " soft=true"}; !slices.Equal(p.dead, want) {
			t.Errorf("hook: %q, want %q", p.dead, want)
		}
	}
}

// Rule 29: who waits for a cycle without being part of it is not refused.
func TestDeadlockRingOfOthers(t *testing.T) {
	p, ms := ring(t, [3]time.Duration{time.Second, 0, 0})
	p.task("d", func(t *core.Task) {
		t.Sleep(10 * time.Millisecond) // the cycle has formed
		p.note(t, "waits")
		p.note(t, "%v", ms[1].Lock(t))
	})
	p.expect("d: waits", "a: timeout", "c: <nil>", "b: <nil>", "d: <nil>")
}

// Rule 29: a Chan ends the chain, and so do Semaphore, Event and WaitGroup: a long wait is no
// deadlock.
func TestDeadlockChainEnds(t *testing.T) {
	forEachGate(t, func(p *play, g gate, keeper *core.Task) {
		var m scheduler.Mutex
		p.task("a", func(t *core.Task) {
			_ = m.Lock(t)
			defer m.Unlock()
			p.pass(t, g, t)
		})
		p.task("b", func(t *core.Task) {
			p.note(t, "%v", m.Lock(t))
		})
		keeper.Sleep(time.Second)
		g.open()
	}, "a: through", "b: <nil>")
}

func TestSemaphoreOrder(t *testing.T) {
	p := newPlay(t, 0)
	s := scheduler.NewSemaphore(3)
	acquire := func(name string, k int64) {
		p.task(name, func(t *core.Task) { p.note(t, "%v", s.Acquire(t, k)) })
	}
	p.task("a", func(t *core.Task) {
		_ = s.Acquire(t, 2)
		acquire("big", 3)
		acquire("small", 1)
		acquire("none", 0)
		t.Yield()
		// One unit is free, but big is first in line.
		p.note(t, "%v %v", s.TryAcquire(1), s.TryAcquire(0))
		s.Release(1)
		t.Yield()
		p.note(t, "releases the other")
		s.Release(1)
		t.Yield()
		p.note(t, "gives back big's")
		s.Release(3)
		t.Yield()
		p.note(t, "%v %v", s.TryAcquire(3), s.TryAcquire(2))
	})
	p.expect("a: false false", "a: releases the other", "big: <nil>", "a: gives back big's", "small: <nil>", "none: <nil>",
		"a: false true")
}

// A waiter that leaves the line may have been in the way of others.
func TestSemaphoreFirstLeaves(t *testing.T) {
	p := newPlay(t, 0)
	s := scheduler.NewSemaphore(3)
	s.TryAcquire(1)
	big := p.task("big", func(t *core.Task) { p.note(t, "%v", s.Acquire(t, 3)) })
	p.task("slow", func(t *core.Task) {
		ctx, cancel := core.WithTimeout(t, time.Second)
		defer cancel()
		p.note(t, "%v", s.Acquire(ctx, 3))
	})
	p.task("small", func(t *core.Task) {
		p.note(t, "%v", s.Acquire(t, 2))
	})
	p.task("killer", func(*core.Task) { big.Kill(false) })
	p.expect("big: killed", "slow: timeout", "small: <nil>")
}

func TestSemaphoreMisuse(t *testing.T) {
	p := newPlay(t, 0)
	p.task("a", func(a *core.Task) {
		s := scheduler.NewSemaphore(3)
		err := s.Acquire(a, 4)
		if !errors.Is(err, scheduler.ErrTooMany) || err.Error() != "scheduler: more units than the semaphore has: 4 of 3" {
			t.Errorf("Acquire(4) of 3: %v", err)
		}
		if s.TryAcquire(4) {
			t.Error("TryAcquire(4) of 3")
		}
		if err := s.Acquire(a, 2); err != nil {
			t.Error(err)
		}
		for _, c := range []struct {
			f    func()
			want string
		}{
			{func() { scheduler.NewSemaphore(-1) }, "scheduler: NewSemaphore with negative size -1"},
			{func() { _ = s.Acquire(a, -1) }, "scheduler: Semaphore.Acquire or TryAcquire of a negative number of units, -1"},
			{func() { s.TryAcquire(-1) }, "scheduler: Semaphore.Acquire or TryAcquire of a negative number of units, -1"},
			{func() { s.Release(-1) }, "scheduler: Semaphore.Release of -1 units, but 2 of 3 are acquired"},
			{func() { s.Release(3) }, "scheduler: Semaphore.Release of 3 units, but 2 of 3 are acquired"},
		} {
			if got := panics(c.f); got != c.want {
				t.Errorf("panic: %s\nwant:  %s", got, c.want)
			}
		}
		var zero scheduler.Semaphore
		if err := zero.Acquire(a, 0); err != nil {
			t.Errorf("zero Semaphore: Acquire(0): %v", err)
		}
	})
	p.run()
}

// Random requests, timeouts and kills: never more units out than there are, and at the end all are
// back.
func TestSemaphoreRandom(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		p := newPlay(t, seed)
		r := rand.New(rand.NewPCG(seed, 1))
		size := 1 + r.Int64N(5)
		s := scheduler.NewSemaphore(size)
		var out int64
		var tasks []*core.Task
		for i := range 8 {
			tasks = append(tasks, p.task(fmt.Sprint(i), func(a *core.Task) {
				for range 10 {
					k := r.Int64N(size + 1)
					ctx, cancel := core.WithTimeout(a, time.Duration(r.IntN(8))*time.Millisecond)
					if r.IntN(2) == 0 {
						ctx = a
					}
					if err := s.Acquire(ctx, k); err == nil {
						out += k
						if out > size {
							t.Errorf("seed %d: %d of %d out", seed, out, size)
						}
						func() {
							defer func() { out -= k; s.Release(k) }()
							a.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
						}()
					}
					cancel()
				}
			}))
		}
		p.task("killer", func(k *core.Task) {
			for range 3 {
				k.Sleep(time.Duration(r.IntN(10)) * time.Millisecond)
				tasks[r.IntN(len(tasks))].Kill(false)
			}
		})
		p.run()
		for _, a := range tasks {
			if kind, _, _ := a.Waits(); a.State() != core.Finished || kind != core.NotParked {
				t.Fatalf("seed %d: task %v is %v in %v", seed, a, a.State(), kind)
			}
		}
		if !s.TryAcquire(size) {
			t.Fatalf("seed %d: not all units are back", seed)
		}
		if n := strings.Count(strings.Join(p.log, "\n"), "killed"); n > 3 {
			t.Fatalf("seed %d: %d were killed, some hung until the end", seed, n)
		}
	}
}

func TestEvent(t *testing.T) {
	p := newPlay(t, 0)
	var e scheduler.Event
	wait := func(t *core.Task) { p.note(t, "%v", e.Wait(t)) }
	p.task("a", wait)
	p.task("b", wait)
	p.task("c", func(t *core.Task) {
		p.note(t, "%v", e.IsSet())
		e.Set()
		e.Set()
		p.note(t, "%v", e.IsSet())
		e.Clear() // a and b go on all the same
		p.task("d", wait)
		t.Sleep(time.Second)
		p.note(t, "sets it again")
		e.Set()
		p.note(t, "%v", e.Wait(t))
	})
	p.expect("c: false", "c: true", "a: <nil>", "b: <nil>", "c: sets it again", "c: <nil>", "d: <nil>")
}

// From an ordinary goroutine an Event is set through the door.
func TestEventFromOutside(t *testing.T) {
	p := newPlay(t, 0)
	var e scheduler.Event
	p.s.AwaitOutside(1)
	p.task("a", func(t *core.Task) {
		p.note(t, "%v", e.Wait(t))
		p.s.AwaitOutside(-1)
	})
	go p.s.InjectFunc(e.Set)
	p.expect("a: <nil>")
}

func TestWaitGroup(t *testing.T) {
	p := newPlay(t, 0)
	var g scheduler.WaitGroup
	p.task("a", func(t *core.Task) {
		p.note(t, "%v", g.Wait(t)) // nothing was added
		for i := range 3 {
			g.Add(1)
			p.task(fmt.Sprint(i), func(t *core.Task) {
				defer g.Done()
				t.Sleep(time.Duration(3-i) * time.Second)
				p.note(t, "done")
			})
		}
		p.note(t, "%v", g.Wait(t))
		g.Add(5)
		p.task("b", func(t *core.Task) { p.note(t, "%v", g.Wait(t)) })
		t.Yield()
		g.Add(-5)
		g.Add(1) // b goes on all the same
		p.note(t, "%s", panics(func() { g.Add(-2) }))
		t.Yield()
		g.Done()
		p.note(t, "%s", panics(g.Done))
	})
	p.expect("a: <nil>", "2: done", "1: done", "0: done", "a: <nil>",
		"a: scheduler: negative WaitGroup counter: 1-2", "b: <nil>",
		"a: scheduler: negative WaitGroup counter: 0-1")
}

// Waiting allocates nothing, once the first has waited.
func TestToolsDoNotAllocate(t *testing.T) {
	p := newPlay(t, 0)
	p.task("a", func(a *core.Task) {
		var m scheduler.Mutex
		s := scheduler.NewSemaphore(2)
		var e scheduler.Event
		var g scheduler.WaitGroup
		rendezvous, buffered := scheduler.NewChan[[4]int](0), scheduler.NewChan[string](2)
		// Each makes the other park in every tool.
		p.task("b", func(b *core.Task) {
			for range rendezvous.All(b) {
				check(m.Lock(b))
				check(s.Acquire(b, 2))
				b.Yield()
				s.Release(2)
				m.Unlock()
				e.Set()
				g.Done()
				for range 3 {
					check(buffered.Send(b, "x"))
				}
			}
		})
		n := testing.AllocsPerRun(100, func() {
			e.Clear()
			g.Add(1)
			check(rendezvous.Send(a, [4]int{1, 2, 3, 4}))
			a.Yield()
			check(m.Lock(a))
			m.Unlock()
			check(s.Acquire(a, 1))
			s.Release(1)
			check(e.Wait(a))
			check(g.Wait(a))
			for range 3 {
				_, err := buffered.Receive(a)
				check(err)
			}
		})
		if n != 0 {
			t.Errorf("%v allocations a round, want 0", n)
		}
	})
	p.run()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
