package queue

import (
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// sleeper counts the calls of Rouse.
type sleeper struct{ roused int }

func (s *sleeper) MessagesLost(Loss) {}
func (s *sleeper) Rouse()            { s.roused++ }

// A mailbox that sleeps asks for a reader once: for the first message, from wherever it comes, or
// when it is closed. It does not sleep while there is something to read.
func TestSleep(t *testing.T) {
	home(t, func(d *core.Task) {
		var s sleeper
		m := New[int](Config{Losses: &s, Cap: 2})
		want("sleeps", m.Sleep(d.Scheduler()), true)
		want("its home", m.Home(), d.Scheduler())
		wantErr("its state", m.Check(), nil)
		want("roused", s.roused, 0)
		for i, send := range []func(v int) error{
			func(v int) error { return m.Send(d, v) },
			func(v int) error { return m.TrySend(d, v) },
			func(v int) error { return m.TrySend(background, v) },
		} {
			s.roused = 0
			wantErr("send", send(1), nil)
			d.Yield()
			want("roused", s.roused, 1)
			wantErr("its state", m.Check(), nil)
			wantErr("send", send(2), nil)
			d.Yield()
			want("roused once", s.roused, 1)
			want("does not sleep", m.Sleep(d.Scheduler()), false)
			m.Open(d)
			want("the messages", len(m.TakeBatch(nil, 3)), 2)
			want("sleeps again", m.Sleep(d.Scheduler()), true)
			if i == 0 { // another reader comes without a message
				m.Open(d)
				wantErr("its state", m.Check(), nil)
				wantErr("send", m.Send(d, 3), nil)
				want("roused", s.roused, 1)
				m.TakeBatch(nil, 1)
				want("sleeps again", m.Sleep(d.Scheduler()), true)
			}
		}
		s.roused = 0
		m.Close()
		d.Yield()
		want("roused", s.roused, 1)
		want("does not sleep when closed", m.Sleep(d.Scheduler()), false)
	})
}
