package queue

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// answers gives a function that says what is in turns, then false.
func answers(in ...bool) func() bool {
	return func() bool {
		if len(in) == 0 {
			return false
		}
		a := in[0]
		in = in[1:]
		return a
	}
}

// Under Block a sender that is told that the mailbox is full parks until the next task runs, and
// nobody overtakes it.
func TestPretendFullBlock(t *testing.T) {
	home(t, func(d *core.Task) {
		var got []int
		r := newReceiver(d.Scheduler(), Config{}, func(n int) { got = append(got, n) })
		r.box.PretendFull(answers(false, true))
		var log []string
		send := func(t *core.Task, n int, who string) {
			if err := r.box.Send(t, n); err != nil {
				fail("%s: %v", who, err)
			}
			log = append(log, who)
		}
		spawn(d.Scheduler(), func(t *core.Task) {
			send(t, 1, "a1")
			send(t, 2, "a2") // parks
			send(t, 3, "a3")
		})
		spawn(d.Scheduler(), func(t *core.Task) {
			if r.box.Closed() {
				fail("it is closed")
			}
			send(t, 4, "b")
		})
		d.Sleep(time.Second)
		if want := []int{1, 2, 4, 3}; !slices.Equal(got, want) {
			fail("got %v, want %v", got, want)
		}
		if want := []string{"a1", "b", "a2", "a3"}; !slices.Equal(log, want) {
			fail("sent in the order %v, want %v", log, want)
		}
		r.box.Close()
		d.Sleep(time.Second)
		if err := r.box.Send(d, 5); err != ErrClosed {
			fail("a send after Close: %v", err)
		}
		if r.State() != core.Finished {
			fail("the reader did not end")
		}
	})
}

// As long as somebody stands in line though there is room, others have to stand there too.
func TestPretendFullNobodyOvertakes(t *testing.T) {
	home(t, func(d *core.Task) {
		m := New[int](Config{Cap: 10})
		m.Open(d)
		m.PretendFull(answers(true))
		var e, f Envelope[int]
		if !m.Deliver(d.Scheduler(), &e, 1, true) {
			fail("it does not wait")
		}
		if err := m.TrySend(d, 2); err != ErrFull {
			fail("TrySend: %v", err)
		}
		if !m.Deliver(d.Scheduler(), &f, 3, true) {
			fail("the second does not wait")
		}
		d.Yield()
		if e.Waits() || f.Waits() {
			fail("they wait although the next task runs")
		}
		if err := m.Send(d, 4); err != nil {
			fail("Send: %v", err)
		}
		var got []int
		for range 3 {
			v, _ := m.TryNext()
			got = append(got, v)
		}
		if want := []int{1, 3, 4}; !slices.Equal(got, want) {
			fail("got %v, want %v", got, want)
		}
		m.Discard()
	})
}

// The other policies do what they do at a full mailbox; Unbounded is never asked; a mailbox that is
// opened again is still asked.
func TestPretendFullPolicies(t *testing.T) {
	home(t, func(d *core.Task) {
		for _, c := range []struct {
			policy Policy
			err    error
			left   []int
			lost   int
		}{
			{Fail, ErrFull, []int{1, 3}, 0},
			{DropNewest, nil, []int{1, 3}, 1},
			{DropOldest, nil, []int{2, 3}, 1},
			{Unbounded, nil, []int{1, 2, 3}, 0},
		} {
			lost := 0
			m := New[int](Config{Overflow: c.policy, Losses: LossFunc(func(l Loss) { lost += l.Count })})
			m.Open(d)
			full := answers(false, true)
			if c.policy == DropOldest {
				full = answers(true, false) // asked only when there is one to be dropped
			}
			m.PretendFull(full)
			m.Close()
			m.Reopen()
			err := m.Send(d, 1)
			if err2 := m.Send(d, 2); err != nil || !errors.Is(err2, c.err) {
				fail("%v: %v, %v", c.policy, err, err2)
			}
			if err := m.Send(d, 3); err != nil {
				fail("%v: %v", c.policy, err)
			}
			var got []int
			for v, ok := m.TryNext(); ok; v, ok = m.TryNext() {
				got = append(got, v)
			}
			if !slices.Equal(got, c.left) || lost != c.lost {
				fail("%v: got %v, want %v; lost %d, want %d", c.policy, got, c.left, lost, c.lost)
			}
			m.Discard()
		}
	})
}

// A sender that comes while another stands in front of the line stands behind it, also if the
// mailbox is full by then.
func TestPretendFullThenFull(t *testing.T) {
	home(t, func(d *core.Task) {
		m := New[int](Config{Cap: 2})
		m.Open(d)
		m.PretendFull(answers(true))
		var es [4]Envelope[int]
		for i := range es {
			if !m.Deliver(d.Scheduler(), &es[i], i, true) {
				fail("%d does not wait", i)
			}
		}
		m.Withdraw(d.Scheduler(), &es[1])
		d.Yield()
		if es[0].Waits() || es[2].Waits() || !es[3].Waits() {
			fail("two have room")
		}
		var got []int
		for v, ok := m.TryNext(); ok; v, ok = m.TryNext() {
			got = append(got, v)
		}
		if want := []int{0, 2, 3}; !slices.Equal(got, want) {
			fail("got %v, want %v", got, want)
		}
		m.Discard()
	})
}

// A mailbox that is closed, or discarded, sends those away who stand in front of the line; one that
// is killed there leaves it.
func TestPretendFullEnds(t *testing.T) {
	home(t, func(d *core.Task) {
		for _, end := range []func(m *Queue[int], sender *core.Task){
			func(m *Queue[int], _ *core.Task) { m.Close() },
			func(m *Queue[int], _ *core.Task) { m.Discard() },
			func(m *Queue[int], sender *core.Task) { sender.Kill(false) },
		} {
			m := New[int](Config{})
			m.Open(d)
			m.PretendFull(answers(true))
			err := errors.New("it was killed")
			var sender *core.Task
			sender = spawn(d.Scheduler(), func(t *core.Task) {
				end(m, sender) // takes effect when it has parked, or it is too late
				err = m.Send(t, 1)
			})
			d.Sleep(time.Second)
			if err == nil || m.Len() != 0 {
				fail("the send gave %v, and %d are queued", err, m.Len())
			}
			m.Discard()
		}
	})
}
