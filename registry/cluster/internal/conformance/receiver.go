package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/supervisor"
)

// msg is the message of all receivers. Do says what its handler does.
type msg struct {
	Do    string           `cbor:"1,keyasint"`
	N     int              `cbor:"2,keyasint"`
	To    actor.Ref[msg]   `cbor:"3,keyasint"`
	Reply actor.Reply[int] `cbor:"4,keyasint"`
}

// other is a message of another type.
type other struct {
	N int `cbor:"1,keyasint"`
}

var errBoom = errors.New("boom")

func init() {
	cluster.Type[msg]("conformance.msg", 1)
	cluster.Type[other]("conformance.other", 1)
	cluster.Error("conformance.boom", errBoom)
}

// End is a receiver there.
type End struct {
	p     *Place
	name  string
	here  actor.Ref[msg] // its ref here
	there actor.Ref[msg] // and where it lives

	open   atomic.Bool // lets the handlers go on that wait
	starts atomic.Int64

	mu      sync.Mutex // protects the following
	numbers []int      // of the messages whose handling has begun
	noted   []string
}

// start starts a receiver there, and finds it here.
func (p *Place) start(opts ...actor.Option) *End {
	p.TB.Helper()
	e := p.newEnd()
	p.There.do(p.T, func(ctx context.Context) { e.there = actor.Receiver(actor.Current(ctx), e.handle, opts...) })
	p.find(e)
	return e
}

// startSupervised starts a receiver there as the child of a supervisor.
func (p *Place) startSupervised(restart supervisor.Restart) *End {
	p.TB.Helper()
	e := p.newEnd()
	e.there = actor.NewRef[msg]()
	p.There.do(p.T, func(ctx context.Context) {
		supervisor.Start(actor.Current(ctx), supervisor.Spec{Intensity: 10, Children: []supervisor.Child{{
			ID: "child", Restart: restart,
			Body: actor.ReceiverInitBody(e.there, func(*actor.Tasklet) (actor.Handler[msg], error) {
				e.starts.Add(1)
				return e.handle, nil
			}),
		}}})
	})
	p.find(e)
	return e
}

func (p *Place) newEnd() *End {
	p.ends++
	return &End{p: p, name: fmt.Sprintf("end/%d", p.ends)}
}

// find gives an end a name there, and finds it here.
func (p *Place) find(e *End) {
	p.TB.Helper()
	p.ok(p.There.claim(p.T, e.name, e.there))
	var err error
	e.here, err = p.Here.waitFor(p.T, e.name)
	p.ok(err)
}

// got returns the numbers of the messages whose handling has begun.
func (e *End) got() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.numbers)
}

// note notes what a handler sees.
func (e *End) note(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.noted = append(e.noted, what)
}

func (e *End) notes() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.noted)
}

// handled waits until the handling of n messages has begun.
func (e *End) handled(n int) {
	e.p.TB.Helper()
	e.p.until(fmt.Sprintf("%d messages are handled", n), func() bool { return len(e.got()) >= n })
}

func (e *End) send(do string, n int) error { return e.here.Send(e.p.T, msg{Do: do, N: n}) }

// hold makes its handler wait, with message 0 in hand.
func (e *End) hold() {
	e.p.TB.Helper()
	e.p.ok(e.send("wait", 0))
	e.handled(1)
}

// fill sends messages with the number 0 to one that is held until no more fit.
func (e *End) fill() (sent int) {
	e.p.TB.Helper()
	for refused := 0; refused < 3; {
		if e.here.TrySend(e.p.T, msg{}) == nil {
			sent++
			refused = 0
			continue
		}
		refused++
		e.p.settle() // what is under way makes room
	}
	return sent
}

// call calls it, and returns what it answers.
func (p *Place) call(e *End, do string, n int) (int, error) { return callIn(p.T, e, do, n) }

func callIn(t *actor.Tasklet, e *End, do string, n int) (int, error) {
	return actor.Call(t, e.here, func(r actor.Reply[int]) msg { return msg{Do: do, N: n, Reply: r} })
}

func (e *End) handle(t *actor.Tasklet, m msg) error {
	e.mu.Lock()
	e.numbers = append(e.numbers, m.N)
	e.mu.Unlock()
	switch m.Do {
	case "wait":
		for !e.open.Load() {
			t.Sleep(time.Millisecond)
		}
	case "answer":
		return m.Reply.Send(t, m.N)
	case "answer starts":
		return m.Reply.Send(t, int(e.starts.Load()))
	case "fail":
		return m.Reply.Fail(t, errBoom)
	case "error":
		return errBoom
	case "end of another":
		child := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		child.Kill()
		return child.Join(t)
	case "shutdown of another":
		return fmt.Errorf("the child: %w", &actor.JoinError{Tasklet: t, Cause: actor.ErrShutdown})
	case "panic":
		panic(errBoom)
	case "stop":
		return actor.ErrStop
	case "shutdown":
		return actor.ErrShutdown
	case "answer twice":
		e.note(nameOf(m.Reply.Send(t, m.N)))
		e.note(nameOf(m.Reply.Send(t, m.N+1)))
		e.note(nameOf(m.Reply.Fail(t, errBoom)))
	case "wait for the caller":
		for m.Reply.Awaited() {
			t.Sleep(time.Millisecond)
		}
		e.note("the caller has left")
		e.note(nameOf(m.Reply.Send(t, m.N)))
	case "delegate":
		m.Reply.Delegate(actor.Go(t, func(t *actor.Tasklet) error {
			t.Sleep(time.Millisecond)
			return m.Reply.Send(t, m.N)
		}))
	case "delegate to one that ends":
		m.Reply.Delegate(actor.Go(t, func(t *actor.Tasklet) error { return nil }))
	case "pass on":
		m.Reply.Delegate(t)
		return m.To.Send(t, msg{Do: "answer", N: m.N, Reply: m.Reply})
	case "tell":
		return m.To.Send(t, msg{N: m.N, To: m.To})
	case "tell and stop":
		for i := range m.N {
			if err := m.To.Send(t, msg{N: i + 1}); err != nil {
				return err
			}
		}
		return actor.ErrStop
	case "call back":
		v, err := actor.Call(t, m.To, func(r actor.Reply[int]) msg { return msg{Do: "answer", N: m.N, Reply: r} })
		e.note(nameOf(err))
		if err != nil {
			return m.Reply.Fail(t, err)
		}
		return m.Reply.Send(t, v)
	}
	return nil
}
