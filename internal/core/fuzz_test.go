package core

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// script is a script at work: whoever has control takes the next bytes, does what they say, and
// checks everything. Tasks start, park, stand in lines, sleep, yield, join, wake and kill each
// other, wait under contexts and cancel them, inject, Goexit and finish, on the virtual clock.
type script struct {
	crowd
	rest     []byte
	line     Line
	cancels  []context.CancelFunc
	bodies   int // bodies that were called
	ended    int // and have ended
	recovers int
	others   sync.WaitGroup
	finished []*Task // from outside of their Run
}

const maxTasks = 24

func (p *script) draw(n int) int {
	if len(p.rest) == 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return int(b) % n
}

func (p *script) span() time.Duration { return time.Duration(p.draw(8)) * time.Millisecond / 2 }

// somebody may be any task, a finished one too.
func (p *script) somebody() *Task { return p.tasks[p.draw(len(p.tasks))] }

func (p *script) start() {
	if len(p.tasks) == maxTasks {
		return
	}
	t := new(Task)
	p.tasks = append(p.tasks, t)
	var r Runner = runFunc(p.stackless)
	if p.draw(3) > 0 {
		r = runFunc(p.body)
	}
	t.Init(p.s, uint64(len(p.tasks)), r)
	t.Wake()
}

// body runs the script until it is at its end or says return.
func (p *script) body(t *Task) {
	p.mustNotBeFinished(t)
	p.bodies++
	defer func() {
		v := recover()
		p.ended++
		t.Finish()
		p.check()
		if _, ok := v.(*Exit); v != nil && !ok {
			panic(v)
		}
	}()
	if p.draw(4) == 0 {
		defer p.step(t) // a deferred call that may block, and be killed
	}
	for len(p.rest) > 0 && p.draw(24) > 0 {
		if p.draw(4) == 0 && p.recovers < 50 {
			p.recovers++
			caughtKill(t, func() { p.step(t) })
		} else {
			p.step(t)
		}
		p.check()
	}
}

// stackless is called for each wake-up.
func (p *script) stackless(t *Task) {
	p.mustNotBeFinished(t)
	defer p.check()
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(*Exit); !ok {
				panic(v)
			}
			t.Finish()
		}
	}()
	if pending, _ := t.TakeKill(); pending {
		t.Finish()
		return
	}
	if len(p.rest) == 0 {
		return
	}
	switch p.draw(8) {
	case 0:
		t.WakeAt(p.s.After(p.span()))
	case 1:
		t.Wake()
	case 2:
		t.WakeStop()
	case 3:
		t.Finish()
	default:
		p.step(t)
	}
}

func (p *script) mustNotBeFinished(t *Task) {
	if slices.Contains(p.finished, t) {
		panic(testFailure("called after it has finished"))
	}
}

// step does one thing that may end the task or block it.
func (p *script) step(t *Task) {
	s := p.s
	p.check()
	switch p.draw(16) {
	case 0:
		_ = t.Park(Wait{Kind: InReceive})
	case 1:
		_ = t.Park(Wait{Kind: InReceive, Until: s.After(p.span())})
	case 2:
		t.Sleep(p.span())
	case 3, 4:
		t.Yield()
	case 5:
		runtime.Goexit()
	case 6:
		w := s.waiter()
		p.line.Add(w)
		wait := Wait{Kind: InSemaphore, In: w}
		if p.draw(2) == 0 {
			wait.Until = s.After(p.span())
		}
		_ = t.Park(wait) // a kill leaves the place to the garbage collector
		if w.Waits() {
			panic(testFailure("it still stands in the line after the wait"))
		}
		s.putWaiter(w)
	case 7:
		ctx, cancel := WithTimeout(t, p.span())
		for range p.draw(3) {
			ctx, cancel = WithTimeout(ctx, p.span())
		}
		p.contexts = append(p.contexts, ctx.(*timeoutCtx))
		for c, _ := ctx.(*timeoutCtx).parent.(*timeoutCtx); c != nil; c, _ = c.parent.(*timeoutCtx) {
			p.contexts = append(p.contexts, c)
		}
		p.cancels = append(p.cancels, cancel)
		if p.draw(2) == 0 {
			ctx.Done()
		}
		if err := t.Park(Wait{Kind: InReceive, Ctx: ctx}); err != nil && ctx.Err() == nil {
			panic(testFailure("the wait ended with the context, which has not ended"))
		}
	case 8:
		w := Wait{Kind: InJoin, On: p.somebody().Resource()}
		if p.draw(2) == 0 {
			w.Until = s.After(p.span())
		}
		err := t.Park(w)
		var e *DeadlockError
		if errors.As(err, &e) && w.Until != 0 {
			panic(testFailure("a wait with a limit was refused"))
		}
	case 9:
		w := t.NextWait()
		p.others.Go(func() { // outside: virtual time stands still
			time.Sleep(time.Millisecond)
			w.Send()
		})
		_ = t.Park(Wait{Kind: InAwait})
	default:
		p.act()
	}
	if s.current != t || t.state != Running {
		panic(testFailure("control is not where it should be"))
	}
}

// act does something that neither blocks nor ends the caller: it may be injected work.
func (p *script) act() {
	s := p.s
	switch p.draw(11) {
	case 10:
		if x := p.somebody(); x.state == Idle || x.state == Ready && x.co == nil {
			x.Finish()
			p.finished = append(p.finished, x)
		}
	case 0, 1:
		p.start()
	case 2, 3, 4:
		p.somebody().Wake()
	case 5:
		p.somebody().Kill(false)
	case 6:
		p.somebody().Kill(p.draw(4) == 0)
	case 7:
		if w := p.line.First(); w != nil {
			w.Release()
		}
	case 8:
		if n := len(p.cancels); n > 0 {
			p.cancels[p.draw(n)]()
		}
	case 9:
		s.InjectFunc(func() {
			p.check()
			if len(p.rest) > 0 {
				p.act()
			}
			p.check()
		})
	}
}

// between is Hooks.Check, for builds with the tag tasklet_check.
func (p *script) between() (int, error) { return len(p.tasks), p.s.Check(p.all()) }

// quiescent goes on with the script when all are parked, and ends it.
func (p *script) quiescent() {
	p.check()
	if len(p.rest) == 0 {
		p.s.Stop()
		return
	}
	p.s.InjectFunc(func() {
		if len(p.rest) > 0 {
			p.act()
		}
	})
	p.s.quiet = false // call again if that woke nobody
}

func runScript(t *testing.T, data []byte) {
	synctest.Test(t, func(t *testing.T) {
		p := &script{rest: data}
		var seed uint64
		if p.draw(2) == 1 {
			seed = uint64(p.draw(256)) + 1
		}
		p.s = New(Config{Clock: NewVirtualClock(time.Time{}), Seed: seed, Hooks: Hooks{Quiescent: p.quiescent, Check: p.between}})
		p.lines = []*Line{&p.line}
		for range 3 {
			p.start()
		}
		mustEnd(t, p.s)
		p.others.Wait()
		if problem := p.checkEnd(); problem != "" {
			t.Fatal(problem)
		}
		if p.bodies != p.ended {
			t.Fatalf("%d bodies were called and %d have ended", p.bodies, p.ended)
		}
	})
}

// Random scripts, each with an invariant check after every step.
func TestScripts(t *testing.T) {
	n := 2000
	if raceEnabled || testing.Short() {
		n = 200
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 5))
		data := make([]byte, r.IntN(1500))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		runScript(t, data)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// Run with go test -fuzz FuzzScheduler.
func FuzzScheduler(f *testing.F) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 6))
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4000 {
			data = data[:4000]
		}
		runScript(t, data)
	})
}
