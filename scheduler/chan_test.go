package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// A play is a scheduler on a virtual clock with named tasks, and a log of what they do. It ends
// when nobody can go on.
type play struct {
	t     *testing.T
	s     *core.Scheduler
	names map[*core.Task]string
	log   []string
	dead  []string // what the hook Deadlock was told
}

func newPlay(t *testing.T, seed uint64) *play {
	p := &play{t: t, names: map[*core.Task]string{}}
	p.s = core.New(core.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}),
		Seed:  seed,
		Hooks: core.Hooks{
			Name: func(t *core.Task) string { return p.names[t] },
			Deadlock: func(_ *core.Task, e *scheduler.DeadlockError, soft bool) {
				p.dead = append(p.dead, fmt.Sprintf("%v soft=%v", e, soft))
			},
			Quiescent: func() { p.s.Stop() },
		},
	})
	return p
}

// role is the Runner of a play's tasks: it runs once, and a kill ends it.
type role struct {
	p *play
	f func(t *core.Task)
}

func (a role) Run(t *core.Task) {
	defer func() {
		if v := recover(); v != nil {
			if _, ok := v.(*core.Exit); !ok {
				panic(v)
			}
			a.p.note(t, "killed")
		}
		t.Finish()
	}()
	a.f(t)
}

// task starts a task; they run in the order of their start, unless there is a seed.
func (p *play) task(name string, f func(t *core.Task)) *core.Task {
	t := new(core.Task)
	p.names[t] = name
	t.Init(p.s, uint64(len(p.names)), role{p, f})
	t.Wake()
	return t
}

// note adds a line to the log: "name: what happened".
func (p *play) note(t *core.Task, format string, args ...any) {
	p.log = append(p.log, p.names[t]+": "+fmt.Sprintf(format, args...))
}

// run runs the play to its end.
func (p *play) run() {
	p.t.Helper()
	if err := p.s.Run(); err != nil {
		p.t.Fatalf("Run: %v\n%s", err, err.(*scheduler.PanicError).Stack)
	}
}

// expect runs the play and compares its log.
func (p *play) expect(want ...string) {
	p.t.Helper()
	p.run()
	if !slices.Equal(p.log, want) {
		p.t.Errorf("log:\n\t%s\nwant:\n\t%s", strings.Join(p.log, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// panics gives the text of f's panic.
func panics(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return
}

func TestChanRendezvous(t *testing.T) {
	p := newPlay(t, 0)
	var c scheduler.Chan[int] // zero
	p.task("a", func(t *core.Task) {
		for i := range 3 {
			p.note(t, "sends %d", i)
			_ = c.Send(t, i)
		}
		p.note(t, "len %d cap %d", c.Len(), c.Cap())
		c.Close()
	})
	p.task("b", func(t *core.Task) {
		for v := range c.All(t) {
			p.note(t, "has %d", v)
		}
		_, err := c.Receive(t)
		p.note(t, "%v", err)
	})
	p.expect("a: sends 0", "b: has 0", "a: sends 1", "a: sends 2", "b: has 1", "b: has 2", "a: len 0 cap 0",
		"b: scheduler: closed channel")
}

func TestChanBuffered(t *testing.T) {
	p := newPlay(t, 0)
	c := scheduler.NewChan[int](2)
	p.task("a", func(t *core.Task) {
		for i := range 5 {
			_ = c.Send(t, i)
			p.note(t, "sent %d, len %d", i, c.Len())
		}
	})
	p.task("b", func(t *core.Task) {
		for range 5 {
			v, _ := c.Receive(t)
			p.note(t, "has %d, len %d", v, c.Len())
		}
		p.note(t, "cap %d", c.Cap())
	})
	p.expect("a: sent 0, len 1", "a: sent 1, len 2",
		"b: has 0, len 2", "b: has 1, len 1", "b: has 2, len 0", // 2 was moved in for a
		"a: sent 2, len 0", "a: sent 3, len 0", "a: sent 4, len 1", // 3 was handed to b
		"b: has 3, len 1", "b: has 4, len 0", "b: cap 2")
}

// Rule 5: neither a new sender nor TrySend overtakes a parked one; for receivers alike.
func TestChanNobodyOvertakes(t *testing.T) {
	p := newPlay(t, 0)
	c := scheduler.NewChan[string](1)
	d := scheduler.NewChan[string](1)
	p.task("a", func(t *core.Task) {
		c.TrySend("first")
		_ = c.Send(t, "second")
	})
	p.task("b", func(t *core.Task) { v, _ := d.Receive(t); p.note(t, "has %s", v) })
	p.task("c", func(t *core.Task) {
		p.note(t, "%v", c.TrySend("third"))
		v, _ := c.TryReceive()
		p.note(t, "has %s", v)
		p.note(t, "%v", c.TrySend("third")) // the room is that of second
		v, _ = c.Receive(t)
		p.note(t, "has %s", v)

		d.TrySend("hello")
		_, ok := d.TryReceive() // hello is b's
		p.note(t, "%v", ok)
	})
	p.expect("c: false", "c: has first", "c: false", "c: has second", "c: false", "b: has hello")
}

func TestChanTry(t *testing.T) {
	c := scheduler.NewChan[int](2)
	var got []any
	got = append(got, c.TrySend(1), c.TrySend(2), c.TrySend(3))
	v, ok := c.TryReceive()
	got = append(got, v, ok, c.TrySend(4))
	c.Close()
	got = append(got, c.TrySend(5))
	for range 3 {
		v, ok := c.TryReceive()
		got = append(got, v, ok)
	}
	if want := []any{true, true, false, 1, true, true, false, 2, true, 4, true, 0, false}; !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got, want := panics(func() { scheduler.NewChan[int](-1) }), "scheduler: NewChan with negative capacity -1"; got != want {
		t.Errorf("panic: %s\nwant:  %s", got, want)
	}
}

// Close refuses parked senders and lets receivers have what is buffered.
func TestChanCloseWithParkedSenders(t *testing.T) {
	p := newPlay(t, 0)
	c := scheduler.NewChan[int](1)
	for i, name := range []string{"a", "b", "c"} {
		p.task(name, func(t *core.Task) { p.note(t, "%v", c.Send(t, i)) })
	}
	p.task("d", func(t *core.Task) {
		c.Close()
		c.Close()
		p.note(t, "%v", c.Send(t, 9))
		for range 2 {
			v, err := c.Receive(t)
			p.note(t, "%d %v", v, err)
		}
	})
	p.expect("a: <nil>", "d: scheduler: closed channel", "d: 0 <nil>", "d: 0 scheduler: closed channel",
		"b: scheduler: closed channel", "c: scheduler: closed channel")
}

func TestChanCloseWithParkedReceivers(t *testing.T) {
	p := newPlay(t, 0)
	c := scheduler.NewChan[int](1)
	for _, name := range []string{"a", "b", "c"} {
		p.task(name, func(t *core.Task) {
			v, err := c.Receive(t)
			p.note(t, "%d %v", v, err)
		})
	}
	p.task("d", func(t *core.Task) {
		_ = c.Send(t, 1)
		c.Close()
	})
	p.expect("a: 1 <nil>", "b: 0 scheduler: closed channel", "c: 0 scheduler: closed channel")
}

// All ends with its context, which then tells why.
func TestChanAllUnderTimeout(t *testing.T) {
	p := newPlay(t, 0)
	c := scheduler.NewChan[int](5)
	p.task("a", func(t *core.Task) {
		c.TrySend(1)
		c.TrySend(2)
		ctx, cancel := core.WithTimeout(t, time.Second)
		defer cancel()
		for v := range c.All(ctx) {
			p.note(t, "%d", v)
		}
		p.note(t, "%v at %v", core.ContextError(ctx), time.Duration(p.s.Nanotime()))
		c.TrySend(3)
		c.TrySend(4)
		for range c.All(t) {
			break
		}
		p.note(t, "len %d", c.Len())
	})
	p.expect("a: 1", "a: 2", "a: timeout at 1s", "a: len 1")
}

// A value that was received is not kept alive by the channel.
func TestChanKeepsNothing(t *testing.T) {
	p := newPlay(t, 0)
	c := scheduler.NewChan[*[1024]byte](1)
	var sent []weak.Pointer[[1024]byte]
	p.task("a", func(t *core.Task) {
		for range 5 { // one is handed over, one buffered, the others wait
			v := new([1024]byte)
			sent = append(sent, weak.Make(v))
			_ = c.Send(t, v)
		}
	})
	p.task("b", func(t *core.Task) {
		for range 5 {
			_, _ = c.Receive(t)
		}
		t.Sleep(time.Second) // a has run to its end
		runtime.GC()
		for i, w := range sent {
			if w.Value() != nil {
				p.t.Errorf("value %d is still reachable", i)
			}
		}
		runtime.KeepAlive(c)
	})
	p.run()
}

// A closed channel's error is its own.
func TestErrClosed(t *testing.T) {
	if !errors.Is(scheduler.ErrChanClosed, scheduler.ErrChanClosed) || scheduler.ErrChanClosed.Error() != "scheduler: closed channel" {
		t.Error(scheduler.ErrChanClosed)
	}
}

// model is the obvious channel: two lists of who waits, one of values. It is told each call when it
// begins and says how it must end, at once or later.
type model struct {
	now       func() time.Duration
	cap       int
	buf       []int
	senders   []*call
	receivers []*call
	closed    bool
}

// call is one blocking call, of Send or Receive.
type call struct {
	v        int
	deadline time.Duration // 0: none
	end      string        // how it must end; "" while it waits
	sleeps   bool          // it is no call of the channel
}

func (m *model) send(c *call) {
	m.expire()
	switch {
	case m.closed:
		c.end = "closed"
	case len(m.receivers) > 0:
		m.receivers[0].end = fmt.Sprint(c.v)
		m.receivers = m.receivers[1:]
		c.end = "sent"
	case len(m.buf) < m.cap:
		m.buf = append(m.buf, c.v)
		c.end = "sent"
	case c.deadline != 0 && c.deadline <= m.now():
		c.end = "timeout"
	default:
		m.senders = append(m.senders, c)
	}
}

func (m *model) receive(c *call) {
	m.expire()
	if len(m.senders) > 0 { // as if the buffer were longer by the senders
		m.buf = append(m.buf, m.senders[0].v)
		m.senders[0].end = "sent"
		m.senders = m.senders[1:]
	}
	switch {
	case len(m.buf) > 0:
		c.end = fmt.Sprint(m.buf[0])
		m.buf = m.buf[1:]
	case m.closed:
		c.end = "closed"
	case c.deadline != 0 && c.deadline <= m.now():
		c.end = "timeout"
	default:
		m.receivers = append(m.receivers, c)
	}
}

func (m *model) close() {
	m.expire()
	m.closed = true
	for _, c := range append(m.senders, m.receivers...) {
		c.end = "closed"
	}
	m.senders, m.receivers = nil, nil
}

// kill ends a call that waits.
func (m *model) kill(c *call) {
	m.expire()
	c.end = "killed"
	m.leave(func(x *call) bool { return x == c })
}

// expire lets calls time out: all that are due do so before any task runs.
func (m *model) expire() {
	due := func(c *call) bool { return c.deadline != 0 && c.deadline <= m.now() }
	for _, c := range append(slices.Clone(m.senders), m.receivers...) {
		if due(c) {
			c.end = "timeout"
		}
	}
	m.leave(due)
}

func (m *model) leave(who func(*call) bool) {
	m.senders = slices.DeleteFunc(m.senders, who)
	m.receivers = slices.DeleteFunc(m.receivers, who)
}

// Random scripts: many tasks send, receive, try, time out, are killed and close; each call must end
// as the model says, and the channel must always hold as many values as the model.
func TestChanLikeModel(t *testing.T) {
	seeds := uint64(500)
	if testing.Short() {
		seeds = 100
	}
	ends := map[string]int{}
	for seed := uint64(1); seed <= seeds && !t.Failed(); seed++ {
		playModel(t, seed, ends)
	}
	for _, end := range []string{"sent", "timeout", "killed", "closed", "try sent", "try full", "try received", "try empty"} {
		if ends[end] < 50 {
			t.Errorf("only %d calls ended with %q: %v", ends[end], end, ends)
		}
	}
}

func playModel(t *testing.T, seed uint64, ends map[string]int) {
	p := newPlay(t, seed)
	r := rand.New(rand.NewPCG(seed, 2))
	now := func() time.Duration { return time.Duration(p.s.Nanotime()) }
	m := &model{now: now, cap: r.IntN(4)}
	c := scheduler.NewChan[int](m.cap)

	const nTasks = 8
	var tasks [nTasks]*core.Task
	var calls [nTasks]*call // the blocking call that each is in, nil if none
	var pending [nTasks]bool
	next := 0
	fail := func(format string, args ...any) {
		t.Errorf("seed %d at %v: %s", seed, now(), fmt.Sprintf(format, args...))
	}

	// blocking makes one blocking call of task i and compares how it ended.
	blocking := func(i int, k *call, begin func(*call), do func() (int, error)) {
		if pending[i] {
			pending[i] = false
			k.end = "killed" // at the entry
		} else {
			begin(k)
		}
		calls[i] = k
		got := func() (got string) {
			defer func() {
				if recover() != nil {
					got = "killed"
				}
			}()
			v, err := do()
			switch {
			case err == scheduler.ErrTimeout:
				return "timeout"
			case err == scheduler.ErrChanClosed:
				return "closed"
			case err != nil:
				return err.Error()
			case v < 0:
				return "sent"
			}
			return fmt.Sprint(v)
		}()
		m.expire()
		calls[i] = nil
		if got != k.end {
			fail("a call of task %d ended with %q, want %q", i, got, k.end)
		}
		ends[got]++
	}

	for i := range nTasks {
		tasks[i] = p.task(fmt.Sprint(i), func(t *core.Task) {
			for range 20 {
				if c.Len() != len(m.buf) {
					fail("Len() = %d, want %d", c.Len(), len(m.buf))
				}
				next++
				k := &call{v: next}
				var ctx context.Context = t
				if r.IntN(2) == 0 {
					d := time.Duration(r.IntN(5)) * time.Millisecond
					var cancel func()
					ctx, cancel = core.WithTimeout(t, d)
					defer cancel()
					k.deadline = max(now()+d, 1)
					if d == 0 {
						k.deadline = now()
						if k.deadline == 0 {
							ctx = t // "never" to the model
						}
					}
				}
				switch n := r.IntN(100); {
				case n < 35:
					blocking(i, k, m.send, func() (int, error) { return -1, c.Send(ctx, k.v) })
				case n < 70:
					blocking(i, k, m.receive, func() (int, error) { return c.Receive(ctx) })
				case n < 77:
					m.expire()
					want := !m.closed && (len(m.receivers) > 0 || len(m.buf) < m.cap)
					if want {
						m.send(&call{v: k.v})
					}
					got := c.TrySend(k.v)
					if got != want {
						fail("TrySend: %v, want %v", got, want)
					}
					ends[map[bool]string{true: "try sent", false: "try full"}[got]]++
				case n < 84:
					m.expire()
					want := &call{}
					if len(m.buf)+len(m.senders) > 0 {
						m.receive(want)
					}
					got, ok := c.TryReceive()
					if text := fmt.Sprint(got); ok && text != want.end || !ok && want.end != "" {
						fail("TryReceive: %v %v, want %q", got, ok, want.end)
					}
					ends[map[bool]string{true: "try received", false: "try empty"}[ok]]++
				case n < 99:
					k.sleeps = true
					blocking(i, k, func(k *call) { k.end = "sent" }, func() (int, error) {
						t.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
						return -1, nil
					})
				case r.IntN(4) == 0:
					m.close()
					c.Close()
				}
			}
		})
	}
	p.task("killer", func(t *core.Task) {
		for range 10 {
			t.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
			i := r.IntN(nTasks)
			if tasks[i].State() == core.Finished || !tasks[i].Kill(false) {
				continue
			}
			m.expire()
			switch k := calls[i]; {
			case k != nil && k.sleeps && tasks[i].State() == core.Parked:
				k.end = "killed"
			case k != nil && k.end == "":
				m.kill(k)
			default:
				pending[i] = true
			}
			t.Yield() // the kill is done before any other task runs
		}
	})
	p.task("closer", func(t *core.Task) { // so that nobody waits for ever
		t.Sleep(time.Hour)
		m.close()
		c.Close()
	})
	p.run()
	for i, task := range tasks {
		if task.State() != core.Finished {
			fail("task %d is %v at the end", i, task.State())
		}
	}
}
