package queue

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		text string
	}{
		{Config{Cap: -1}, "Config.Cap"},
		{Config{Cap: MaxCap + 1}, "Config.Cap"},
		{Config{Cap: 1, Overflow: Unbounded}, "Config.Cap with Unbounded"},
		{Config{Overflow: Unbounded + 1}, "Config.Overflow"},
	} {
		wantPanic(func() { New[int](c.cfg) }, "mailbox: ", c.text)
	}
	m := New[int](Config{})
	if m.Cap() != DefaultCap || DefaultCap != 1024 || m.Overflow() != Block {
		t.Errorf("the zero Config gives %d and %v", m.Cap(), m.Overflow())
	}
	if m := New[int](Config{Cap: MaxCap}); m.Cap() != MaxCap {
		t.Errorf("Cap() = %d, want MaxCap", m.Cap())
	}
	if got := fmt.Sprint(Block, Fail, DropNewest, DropOldest, Unbounded, Unbounded+1); got != "Block Fail DropNewest DropOldest Unbounded Policy(?)" {
		t.Error(got)
	}
	if !errors.Is(ErrTimeout, scheduler.ErrTimeout) {
		t.Error("there are two ErrTimeout")
	}
}

// Close: what is queued, or on its way, is still read; whoever waits gets ErrClosed, from
// everywhere; twice does nothing.
func TestClose(t *testing.T) {
	for _, from := range []string{"reader", "goroutine"} {
		bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
			lost := &losses{}
			m := opened[int](d, Config{Cap: 4, Losses: lost})
			m.Send(d, 0)
			m.Send(background, 1)
			m.Send(d, 2)
			d.Yield()
			m.Send(background, 3)
			refused := 0
			waiting := func(err error) {
				wantErr("a waiting Send", err, ErrClosed)
				d.Scheduler().InjectFunc(func() { refused++ })
			}
			for range 2 {
				spawn(d.Scheduler(), func(t *core.Task) { waiting(m.Send(t, -1)) })
				go func() { waiting(m.Send(background, -1)) }()
				other.InjectFunc(func() { spawn(other, func(t *core.Task) { waiting(m.Send(t, -1)) }) })
				rest()
			}
			e := new(Envelope[int])
			want("Deliver waits", m.Deliver(d.Scheduler(), e, -1, false), true)
			want("it waits", e.Waits(), true)

			if from == "reader" {
				m.Close()
			} else {
				go m.Close()
				rest()
			}
			want("Closed", m.Closed(), true)
			want("Drained", m.Drained(), false)
			wantErr("Send", m.Send(d, -1), ErrClosed)
			wantErr("Send", m.Send(background, -1), ErrClosed)
			want("Deliver waits", m.Deliver(d.Scheduler(), new(Envelope[int]), -1, true), false)
			var read []int
			for v := range m.Receive() {
				read = append(read, v)
				m.Close()
			}
			want("read", read, []int{0, 2, 1, 3})
			want("Drained", m.Drained(), true)
			rest()
			want("refused", refused, 6)
			want("lost", lost.count(ErrClosed), 2)
		})
	}
}

// The reader learns of the close itself, before home has looked: what was on its way is still read.
func TestDrainedWithMessagesOnTheirWay(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{})
		m.Send(background, 1)
		m.Close()
		want("Await", m.Await(1), false)
		want("Drained", m.Drained(), false)
		v, err := m.Next(d)
		wantErr("Next", err, nil)
		want("read", v, 1)
		want("Drained", m.Drained(), true)
		want("Await", m.Await(1), false)
	})
}

// Close wakes a waiting reader, with messages on their way first.
func TestCloseWakesTheReader(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := New[int](Config{})
		var read []int
		r := spawn(d.Scheduler(), func(t *core.Task) {
			m.Open(t)
			defer m.Discard()
			for v := range m.Receive() {
				read = append(read, v)
			}
		})
		rest()
		m.Send(background, 1)
		m.Close()
		rest()
		want("read", read, []int{1})
		want("state", r.State(), core.Finished)
	})
}

// Closed before it was opened: whoever waits is told at once.
func TestCloseNeverOpened(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := New[int](Config{Cap: 1})
		m.Send(background, 1)
		refused := 0
		go func() {
			wantErr("Send", m.Send(background, 2), ErrClosed)
			d.Scheduler().InjectFunc(func() { refused++ })
		}()
		spawn(d.Scheduler(), func(t *core.Task) { wantErr("Send", m.Send(t, 3), ErrClosed); refused++ })
		rest()
		m.Close()
		rest()
		want("refused", refused, 2)
		wantErr("Send", m.Send(d, 1), ErrClosed)
		m.Open(d)
		want("read", queued(m), []int{1})
		want("Drained", m.Drained(), true)
	})
}

// Discard of one that was never opened, from a goroutine.
func TestDiscardNeverOpened(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		lost := &losses{}
		m := New[any](Config{Cap: 2, Losses: lost})
		m.Send(background, "a")
		m.Send(background, 1)
		go func() { wantErr("Send", m.Send(background, 2), ErrClosed) }()
		rest()
		go m.Discard()
		rest()
		want("lost", lost.count(ErrClosed), 2)
		want("type", lost.all[0].Type.String(), "string")
		wantErr("Send", m.Send(d, 1), ErrClosed)
		want("Len", m.Len(), 0)
	})
}

// Rule 2: held, it queues up to its bound, and parked senders keep their places for the next
// reader.
func TestHold(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 2})
		m.Send(d, 0)
		m.Hold()
		m.Send(background, 1)
		for v := 2; v < 5; v++ {
			if v == 3 {
				go m.Send(background, v)
			} else {
				spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, v) })
			}
			rest()
		}
		want("Len", m.Len(), 2)
		wantErr("TrySend", m.TrySend(d, 9), ErrFull)
		wantPanic(func() { m.TryNext() }, "no reader")
		m.Open(d)
		var read []int
		for len(read) < 5 {
			v, _ := m.Next(d)
			read = append(read, v)
		}
		want("read", read, []int{0, 1, 2, 3, 4})
	})
}

// Reopen after Close goes on with what is queued; after CloseEmpty and Discard it begins anew.
func TestReopen(t *testing.T) {
	for _, policy := range []Policy{Block, Fail} {
		bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
			lost := &losses{}
			m := opened[int](d, Config{Cap: 2, Overflow: policy, Losses: lost})
			m.Send(d, 1)
			m.Send(d, 2)
			m.Close()
			rest()
			m.Reopen()
			wantErr("TrySend", m.TrySend(d, 3), ErrFull)
			m.CloseEmpty()
			m.CloseEmpty()
			want("lost", lost.count(ErrClosed), 2)
			wantErr("Send", m.Send(background, 3), ErrClosed)
			m.Reopen()
			wantErr("Send from elsewhere", m.TrySend(background, 3), nil)
			rest()
			want("read", queued(m), []int{3})
			m.Discard()
			m.Reopen()
			m.Reopen()
			m.Open(d)
			wantErr("Send", m.TrySend(background, 4), nil)
			rest()
			want("read", queued(m), []int{4})
		})
	}
}

// Closed and opened again before home has seen it: nothing happens to those who wait.
func TestReopenAtOnce(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 1})
		m.Send(d, 1)
		spawn(d.Scheduler(), func(t *core.Task) { wantErr("Send", m.Send(t, 2), nil) })
		d.Yield()
		m.Close()
		m.Reopen()
		rest()
		v, _ := m.Next(d)
		want("first", v, 1)
		v, _ = m.Next(d)
		want("second", v, 2)
	})
}

// The scheduler at home stops: the reader is killed and discards, senders from elsewhere get
// ErrClosed, nobody is left waiting.
func TestSchedulerStops(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		lost := &losses{}
		m := New[int](Config{Cap: 2, Losses: lost})
		stopping := core.New(core.Config{})
		spawn(stopping, func(t *core.Task) {
			m.Open(t)
			defer m.Discard()
			t.Sleep(1000 * time.Hour)
		})
		ended := make(chan error)
		go func() { ended <- stopping.Run() }()
		rest()
		refused := 0
		waiting := func(err error) {
			wantErr("Send", err, ErrClosed)
			d.Scheduler().InjectFunc(func() { refused++ })
		}
		wantErr("Send", m.Send(background, 1), nil)
		wantErr("Send", m.Send(d, 2), nil)
		go func() { waiting(m.Send(background, 3)) }()
		other.InjectFunc(func() { spawn(other, func(t *core.Task) { waiting(m.Send(t, 4)) }) })
		rest()
		want("Len", m.Len(), 2)
		stopping.Stop()
		rest()
		wantErr("Run", <-ended, nil)
		want("refused", refused, 2)
		want("lost", lost.count(ErrClosed), 2)
		wantErr("Send", m.Send(background, 5), ErrClosed)
	})
}

// A mailbox whose reader has left it as it is, on a scheduler that has stopped: the first sender
// finds out.
func TestSenderFindsTheSchedulerStopped(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		lost := &losses{}
		m := New[int](Config{Cap: 8, Losses: lost})
		stopped := core.New(core.Config{})
		spawn(stopped, func(t *core.Task) { m.Open(t); stopped.Stop() })
		wantErr("Run", stopped.Run(), nil)
		wantErr("TrySend", m.TrySend(background, 1), ErrClosed)
		wantErr("Send", m.Send(d, 1), ErrClosed)
		wantErr("Send", m.Send(background, 1), ErrClosed)
		want("Closed", m.Closed(), true)
		want("Len", m.Len(), 0)
		m.Close()
	})
}

// Stats and Len from everywhere.
func TestStats(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{Cap: 3, Overflow: DropNewest})
		for i := range 5 {
			m.Send(d, i)
		}
		full := m.Stats()
		want("full", full.FullFor > 0, true)
		full.FullFor = 0
		want("stats", full, Stats{Len: 3, Cap: 3, Peak: 3, Dropped: 2})
		queued(m)
		m.Send(background, 5)
		m.Close()
		want("stats", m.Stats(), Stats{Len: 1, Cap: 3, Peak: 3, Handled: 3, Dropped: 2, Closed: true})
	})
}
