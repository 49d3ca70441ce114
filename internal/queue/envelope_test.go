package queue

import (
	"errors"
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// Rule 7: without room, a message that nobody waits for takes its place among the parked senders,
// in order, and isn't counted.
func TestDeliver(t *testing.T) {
	for _, early := range []bool{false, true} {
		bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
			m := New[int](Config{Cap: 2})
			if !early {
				m.Open(d)
			}
			var e, f, g Envelope[int]
			want("Deliver with room waits", m.Deliver(d.Scheduler(), &e, 0, false), false)
			want("it waits", e.Waits(), false)
			m.Send(d, 1)
			want("Deliver waits", m.Deliver(d.Scheduler(), &e, 2, false), true)
			spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, 3) })
			rest()
			want("Deliver waits", m.Deliver(d.Scheduler(), &f, 4, false), true)
			go m.Send(background, 5)
			rest()
			want("Deliver waits", m.Deliver(d.Scheduler(), &g, 6, false), true)
			want("they wait", e.Waits() && f.Waits() && g.Waits(), true)
			want("Len", m.Len(), 2)
			m.Withdraw(d.Scheduler(), &f)
			m.Withdraw(d.Scheduler(), &f)
			want("it waits", f.Waits(), false)
			if early {
				m.Open(d)
			}
			var read []int
			for len(read) < 6 {
				v, _ := m.Next(d)
				read = append(read, v)
			}
			want("read", read, []int{0, 1, 2, 3, 5, 6})
			want("they wait", e.Waits() || g.Waits(), false)
			want("the envelope again waits", m.Deliver(d.Scheduler(), &e, 7, false), false)
			want("read", queued(m), []int{7})
		})
	}
}

// Decided is called once, for a message that had to wait: not if there was room, not if it was
// taken back.
func TestDecided(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{Cap: 1})
		decided := 0
		e := Envelope[int]{Decided: func(on *core.Scheduler) {
			want("on", on, d.Scheduler())
			decided++
		}}
		m.Deliver(d.Scheduler(), &e, 0, false)
		want("with room", decided, 0)
		m.Deliver(d.Scheduler(), &e, 1, false)
		want("waiting", decided, 0)
		m.TryNext()
		want("moved in", decided, 1)
		m.Deliver(d.Scheduler(), &e, 2, false)
		m.Withdraw(d.Scheduler(), &e)
		want("taken back", decided, 1)
		m.Deliver(d.Scheduler(), &e, 3, false)
		m.Close()
		d.Yield()
		want("refused", decided, 2)
	})
}

// Rule 7: under Fail and DropNewest it is lost, except one that must wait; under DropOldest and
// Unbounded it never waits.
func TestDeliverPolicies(t *testing.T) {
	for _, early := range []bool{false, true} {
		for _, c := range []struct {
			policy Policy
			must   bool
			waits  bool
			loss   error
		}{
			{Block, false, true, nil},
			{Fail, false, false, ErrFull},
			{Fail, true, true, nil},
			{DropNewest, false, false, ErrDropped},
			{DropNewest, true, true, nil},
			{DropOldest, false, false, ErrDropped},
			{DropOldest, true, false, ErrDropped},
			{Unbounded, true, false, nil},
		} {
			home(t, func(d *core.Task) {
				lost := &losses{}
				cfg := Config{Cap: 1, Overflow: c.policy, Losses: lost}
				if c.policy == Unbounded {
					cfg.Cap = 0
				}
				m := New[int](cfg)
				if !early {
					m.Open(d)
				}
				m.Send(d, 0)
				var e Envelope[int]
				want(c.policy.String()+" waits", m.Deliver(d.Scheduler(), &e, 1, c.must), c.waits)
				want(c.policy.String()+" stands", e.Waits(), c.waits)
				total := 0
				for _, l := range lost.all {
					total += l.Count
					want("reason", errors.Is(l.Reason, c.loss), true)
				}
				want("lost", total > 0, c.loss != nil)
				if early {
					m.Open(d)
				}
				if c.waits {
					want("read", queued(m), []int{0, 1})
				}
				m.Discard()
			})
		}
	}
}

// ticketLog notes what its messages' senders are told.
type ticketLog struct {
	all  *[]string
	name string
}

func (l ticketLog) Settled(err error) {
	s := l.name
	if err != nil {
		s += " " + err.Error()
	}
	*l.all = append(*l.all, s)
}

// A ticket is settled once: when the reader turns to the next message, or fails, or when the
// message is lost.
func TestTickets(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		home(t, func(d *core.Task) {
			var log []string
			m := opened[string](d, Config{Cap: 8})
			send := func(v string) {
				ctx := background
				if !elsewhere {
					ctx = d
				}
				if v[0] == '-' {
					wantErr("Send", m.Send(ctx, v), nil)
				} else {
					wantErr("Send", m.SendTicket(ctx, v, ticketLog{&log, v}), nil)
				}
				d.Yield()
			}
			told := func(what string, lines ...string) {
				want(what, log, append([]string(nil), lines...))
				log = nil
			}
			for _, v := range []string{"-", "a", "b", "-", "c", "d", "e", "f"} {
				send(v)
			}
			m.Next(d)
			m.Next(d)
			told("a in hand")
			m.Next(d)
			told("b in hand", "a")
			m.PutBack("b")
			told("b put back")
			m.Next(d)
			m.Settle(errors.New("failed"))
			m.Settle(nil)
			told("b failed", "b failed")
			m.Match(d, func(v string) bool { return v == "d" })
			m.TryNext()
			told("d and - in hand")
			m.PutBack("-")
			m.TryNext()
			m.Settle(nil)
			told("settled", "d")
			batch := m.TakeBatch(nil, 2)
			want("batch", batch, []string{"c", "e"})
			m.PutBack("e")
			m.PutBack("c")
			m.Settle(nil)
			told("a batch put back")
			m.TryNext()
			m.Discard()
			told("discarded", "c "+ErrClosed.Error(), "e "+ErrClosed.Error(), "f "+ErrClosed.Error())
		})
	}
}

// A batch of which only some have tickets goes back as it was.
func TestPutBackFindsTheTicket(t *testing.T) {
	home(t, func(d *core.Task) {
		var log []string
		m := opened[string](d, Config{})
		m.SendTicket(d, "a", ticketLog{&log, "a"})
		m.Send(d, "b")
		m.TakeBatch(nil, 2)
		m.PutBack("b")
		m.Settle(nil)
		want("told", log, []string{"a"})
		m.TryNext()
		m.Settle(nil)
		want("told", log, []string{"a"})
	})
}

// Dropped messages' tickets, and those of messages that were never sent.
func TestTicketsOfTheDropped(t *testing.T) {
	home(t, func(d *core.Task) {
		for _, ctx := range []interface {
			sendTo(m *Queue[string], v string, k Ticket) error
		}{fromHome{d}, fromElsewhere{d}} {
			for _, c := range []struct {
				policy Policy
				err    error
				told   []string
			}{
				{Fail, ErrFull, nil},
				{DropNewest, nil, []string{"b " + ErrDropped.Error()}},
				{DropOldest, nil, []string{"a " + ErrDropped.Error()}},
			} {
				var log []string
				m := opened[string](d, Config{Cap: 1, Overflow: c.policy})
				wantErr("first", ctx.sendTo(m, "a", ticketLog{&log, "a"}), nil)
				wantErr("second", ctx.sendTo(m, "b", ticketLog{&log, "b"}), c.err)
				want(c.policy.String(), log, c.told)
			}
		}
	})
}

type fromHome struct{ t *core.Task }

func (f fromHome) sendTo(m *Queue[string], v string, k Ticket) error {
	return m.SendTask(f.t, nil, v, k, false)
}

type fromElsewhere struct{ t *core.Task }

func (f fromElsewhere) sendTo(m *Queue[string], v string, k Ticket) error {
	err := m.SendTicket(background, v, k)
	f.t.Yield()
	return err
}
