package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// A script drives one mailbox from everywhere: the director is a task at home, and reads; others
// send from there, from goroutines, and from tasks of a second scheduler. All of it happens in a
// bubble of synctest, so after each step everybody has come to rest, and what holds then is
// checked.

type letter struct {
	class   int // classLocal, classElsewhere: the order holds within one
	arrival int // in its class
}

const (
	classLocal = iota
	classElsewhere
)

// ticketCount counts how often a ticket was settled.
type ticketCount int

func (c *ticketCount) Settled(error) { *c++ }

type script struct {
	t           *testing.T
	home, other *core.Scheduler
	director    *core.Task
	box         *Queue[letter]
	log         []string
	failed      bool

	// sent: accepted, by Send or Deliver; waiting: senders that have not come back
	sent, handled, lost, waiting int
	arrivals, last               [2]int
	backs                        int // messages put back that may be above the capacity
	envelopes                    [3]Envelope[letter]
	tickets                      []*ticketCount // of accepted messages
	parked                       []*core.Task
	inHand                       []letter
	read                         map[letter]bool
	opened                       bool
}

func (s *script) errorf(format string, args ...any) {
	if !s.failed {
		s.failed = true
		s.t.Errorf("%s\nafter %v", fmt.Sprintf(format, args...), s.log)
	}
}

func (s *script) next(class int) letter {
	s.arrivals[class]++
	return letter{class, s.arrivals[class]}
}

// sentOne counts the result of a send.
func (s *script) sentOne(err error, ok ...error) {
	if err == nil {
		s.sent++
		return
	}
	for _, e := range append(ok, ErrClosed) {
		if errors.Is(err, e) {
			return
		}
	}
	s.errorf("a send gave %v", err)
}

// took checks a message that was read; plain: it was the first in the mailbox.
func (s *script) took(v letter, plain bool) {
	s.handled++
	s.read[v] = true
	if !plain {
		return
	}
	if v.arrival <= s.last[v.class] {
		s.errorf("%v was read after %d of its class", v, s.last[v.class])
	}
	s.last[v.class] = v.arrival
}

// turn lets everybody come to rest.
func (s *script) turn() {
	for range 4 {
		s.director.Yield()
		synctest.Wait()
	}
}

// state checks what holds at any moment at home. Check allows one message above the capacity when
// any was ever put back; here it is known when.
func (s *script) state() {
	m := s.box
	if m.queue.n+m.granted <= m.cap {
		s.backs = 0
	}
	if int(m.queue.n+m.granted) > int(min(m.cap, 1<<20))+s.backs {
		s.errorf("%d messages and %d promised, the capacity is %d", m.queue.n, m.granted, m.cap)
	}
	if err := errors.Join(m.Check(), s.home.Check(nil)); err != nil {
		s.errorf("%v", err)
	}
}

// rest checks what holds when everybody is at rest.
func (s *script) rest() {
	m := s.box
	queued := int(m.queue.n)
	for i := range s.envelopes {
		if s.envelopes[i].Waits() {
			queued++
		}
	}
	waits := 0
	if x := m.ext.Load(); x != nil {
		queued += int(x.in.n)
		for w := x.line.First(); w != nil; w = w.Next() {
			if e := w.Item().(*Envelope[letter]); e.away != nil || w.Task() != nil {
				waits++
			}
		}
		for w := x.queue.First(); w != nil; w = w.Next() {
			if w.Item().(*Envelope[letter]).away != nil {
				waits++
			}
		}
	}
	if s.sent != s.handled+s.lost+queued {
		s.errorf("sent %d, but handled %d, reported %d, queued %d", s.sent, s.handled, s.lost, queued)
	}
	if s.waiting != waits {
		s.errorf("%d senders have not come back, but %d wait for room", s.waiting, waits)
	}
	if m.Closed() && waits > 0 && s.opened {
		s.errorf("senders wait for room in a closed mailbox")
	}
}

// sendFrom sends one message from task t of a scheduler or, without one, from a goroutine.
func (s *script) sendFrom(sched *core.Scheduler, limit time.Duration) {
	s.waiting++
	class := classElsewhere
	if sched == s.home && s.opened {
		class = classLocal
	}
	v := s.next(class)
	over := func(err error) {
		s.waiting--
		if err == errKilled && !s.arrived(v) {
			return
		} else if err == errKilled {
			err = nil // home let it in before it heard of the kill
		}
		s.sentOne(err, ErrTimeout, ErrFull)
	}
	if sched == nil {
		go func() {
			ctx := context.Background()
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, limit)
				defer cancel()
			}
			err := s.box.Send(ctx, v)
			s.home.InjectFunc(func() { over(err) })
		}()
		return
	}
	f := func() {
		t := spawn(sched, func(t *core.Task) {
			err := errKilled // it stays so if a kill is raised
			defer func() { s.home.InjectFunc(func() { over(err) }) }()
			ctx := context.Context(t)
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = core.WithTimeout(t, limit)
				defer cancel()
			}
			err = s.box.Send(ctx, v)
		})
		s.parked = append(s.parked, t)
	}
	if sched == s.home {
		f()
		s.director.Yield() // so that it arrives now
	} else {
		sched.InjectFunc(f)
		synctest.Wait()
	}
}

var errKilled = errors.New("killed")

// arrived reports whether v was handled or is queued.
func (s *script) arrived(v letter) bool {
	for i := range s.box.queue.n {
		if s.box.queue.buf[s.box.queue.index(i)] == v {
			return true
		}
	}
	return s.read[v]
}

// step does what one byte says.
func (s *script) step(b byte) {
	op, arg := b&31, int(b>>5)
	d, m := s.director, s.box
	limit := time.Duration(arg%4) * time.Millisecond
	soon, cancel := core.WithTimeout(d, time.Millisecond)
	defer cancel()
	if !s.opened && op >= 12 && op <= 26 {
		op %= 12
	}
	s.log = append(s.log, fmt.Sprintf("%d/%d", op, arg))
	switch op {
	case 0, 1, 2: // somebody at home, without waiting
		class := classLocal
		if !s.opened {
			class = classElsewhere
		}
		if v := s.next(class); op == 0 {
			s.sentOne(m.TrySend(d, v), ErrFull)
		} else if m.Put(d, v) {
			s.sent++
		}
	case 3, 4, 5: // a goroutine, without waiting
		s.sentOne(m.TrySend(context.Background(), s.next(classElsewhere)), ErrFull)
	case 6, 7:
		s.sendFrom(s.home, limit)
	case 8, 9:
		s.sendFrom(s.other, limit)
	case 10, 11:
		s.sendFrom(nil, limit)
		synctest.Wait()
	case 12, 13, 14:
		if v, ok := m.TryNext(); ok {
			s.took(v, true)
			s.inHand = append(s.inHand[:0], v)
		}
	case 15:
		if v, err := m.Next(soon); err == nil {
			s.took(v, true)
		} else if err != ErrTimeout && err != ErrClosed {
			s.errorf("Next gave %v", err)
		}
	case 16:
		n := 0
		if m.queue.n == 0 {
			break // it would wait for ever
		}
		for batch := range m.ReceiveBatch(1+arg, time.Millisecond) {
			for _, v := range batch {
				s.took(v, true)
			}
			if n++; n == 2 || m.queue.n == 0 {
				break
			}
		}
	case 17:
		v, err := m.Match(soon, func(v letter) bool { return v.arrival%4 == arg%4 })
		switch {
		case err == nil && v.arrival%4 == arg%4:
			s.took(v, false)
		case err != ErrTimeout && err != ErrClosed && (err != ErrFull || int(m.queue.n) < m.Cap()):
			s.errorf("Match gave %v, %v", v, err)
		}
	case 18:
		for v, err := range m.ReceiveTimeout(limit) {
			if err == nil {
				s.took(v, true)
			} else if err != ErrTimeout {
				s.errorf("ReceiveTimeout gave %v", err)
			}
			if arg > 4 {
				break
			}
		}
	case 19: // take it back
		if len(s.inHand) == 1 && s.last[s.inHand[0].class] == s.inHand[0].arrival {
			v := s.inHand[0]
			s.handled--
			s.last[v.class] = v.arrival - 1
			s.backs++
			m.PutBack(v)
		}
	case 20:
		m.Close()
	case 21:
		m.Reopen()
	case 22: // the next reader
		m.Hold()
		if arg&1 == 0 {
			s.turn()
		}
		if arg&2 == 0 {
			m.CloseEmpty()
		}
		m.Open(d)
	case 23:
		m.Discard()
		m.Reopen()
		m.Open(d)
	case 24: // a reader that is killed while it waits
		m.Hold()
		r := spawn(s.home, func(t *core.Task) {
			m.Open(t)
			defer m.Hold()
			v, err := m.Next(t)
			if err == nil {
				s.took(v, true)
			}
		})
		d.Yield()
		r.Kill(false)
		for r.State() != core.Finished {
			d.Yield()
		}
		m.Open(d)
	case 25: // a message of nobody's
		e := &s.envelopes[arg%3]
		if !e.Waits() {
			s.sent++ // or lost
			m.Deliver(d.Scheduler(), e, s.next(classLocal), arg > 4)
		}
	case 26:
		e := &s.envelopes[arg%3]
		if e.Waits() {
			s.sent--
		}
		m.Withdraw(d.Scheduler(), e)
	case 27:
		if len(s.parked) > 0 {
			s.parked[arg%len(s.parked)].Kill(false)
			s.turn()
		}
	case 28: // the sender wants to know
		c := new(ticketCount)
		var err error
		if arg&1 == 0 && s.opened {
			err = m.SendTask(d, nil, s.next(classLocal), c, true)
		} else {
			err = m.sendFromElsewhere(nil, context.Background(), s.next(classElsewhere), c, true)
		}
		s.sentOne(err, ErrFull)
		if err == nil {
			s.tickets = append(s.tickets, c)
		} else if *c != 0 {
			s.errorf("the ticket of a message that was not sent was settled")
		}
	case 29:
		if !s.opened {
			s.open()
		}
	case 30:
		m.Stats()
		time.Sleep(0)
	default:
		s.inHand = s.inHand[:0]
		s.turn()
	}
	if op != 12 && op != 13 && op != 14 {
		s.inHand = s.inHand[:0]
	}
	s.state()
	if arg&1 == 0 {
		s.turn()
		s.state()
		s.rest()
	}
}

func (s *script) open() {
	s.opened = true
	s.box.Open(s.director)
}

func runScript(t *testing.T, policy Policy, capacity int, code []byte) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, home: core.New(core.Config{}), other: core.New(core.Config{}), read: map[letter]bool{}}
		if policy == Unbounded {
			capacity = 0
		}
		s.box = New[letter](Config{Cap: capacity, Overflow: policy, Losses: LossFunc(func(l Loss) { s.lost += l.Count })})
		s.log = append(s.log, fmt.Sprintf("%v %d:", policy, capacity))
		spawn(s.home, func(d *core.Task) {
			s.director = d
			for _, b := range code {
				if s.step(b); s.failed {
					break
				}
			}
			s.turn()
			s.rest()
			if !s.opened {
				s.open()
				s.turn()
				s.state()
				s.rest()
			}
			s.box.Discard()
			s.turn()
			s.state()
			s.rest()
			if s.waiting > 0 || s.box.Len() > 0 {
				s.errorf("%d senders and %d messages are left", s.waiting, s.box.Len())
			}
			for _, c := range s.tickets {
				if *c != 1 {
					s.errorf("a ticket was settled %d times", *c)
				}
			}
			s.home.Stop()
			s.other.Stop()
		})
		done := make(chan error, 1)
		go func() { done <- s.other.Run() }()
		mustEnd(t, s.home)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Scripts drawn at random, for each policy and small and large capacities.
func TestScripts(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 10
	}
	for policy := Block; policy <= Unbounded; policy++ {
		for _, capacity := range []int{1, 2, 3, 8, 100} {
			r := rand.New(rand.NewPCG(uint64(policy), uint64(capacity)))
			for range rounds {
				code := make([]byte, 60)
				for i := range code {
					code[i] = byte(r.Uint32())
				}
				code[r.IntN(10)] = 29
				if runScript(t, policy, capacity, code); t.Failed() {
					t.Fatalf("code %v", code)
				}
			}
		}
	}
}

func FuzzMailbox(f *testing.F) {
	f.Add(uint8(0), uint8(1), []byte{29, 6, 10, 8, 12, 12, 12})
	f.Add(uint8(3), uint8(1), []byte{3, 3, 3, 29, 3, 12, 3, 3, 12})
	f.Fuzz(func(t *testing.T, policy, capacity uint8, code []byte) {
		if policy > uint8(Unbounded) || capacity == 0 || len(code) > 200 {
			return
		}
		runScript(t, Policy(policy), int(capacity), code)
	})
}
