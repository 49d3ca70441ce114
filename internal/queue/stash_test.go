package queue

import (
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// A reader without a stack that skips stashed messages is woken by the next message, whatever
// became of the stashed ones while it waited.
func TestAwaitFresh(t *testing.T) {
	for name, lose := range map[string]func(m *Queue[int], tickets []ticketCount, d *core.Task){
		"nothing": func(*Queue[int], []ticketCount, *core.Task) {},
		"the first is revoked": func(m *Queue[int], tickets []ticketCount, d *core.Task) {
			m.Revoke(&tickets[0])
			d.Yield()
			want("queued", contents(&m.queue), []int{1})
			want("stashed", m.Stashed(), 1)
		},
		"all are revoked": func(m *Queue[int], tickets []ticketCount, d *core.Task) {
			m.Revoke(&tickets[0])
			m.Revoke(&tickets[1])
			d.Yield()
			want("stashed", m.Stashed(), 0)
		},
		"a third one is revoked": func(m *Queue[int], tickets []ticketCount, d *core.Task) {
			wantErr("SendTicket", m.SendTicket(d, 3, &tickets[2]), nil)
			(&revocation[int]{m, &tickets[2]}).Do() // before the reader has its turn
			want("stashed", m.Stashed(), 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			home(t, func(d *core.Task) {
				m := New[int](Config{Cap: 8})
				var got []int
				r := new(core.Task)
				r.Init(d.Scheduler(), lastID.Add(1), runFunc(func(t *core.Task) {
					for {
						v, ok := m.TakeFresh()
						switch {
						case !ok && m.AwaitFresh():
							return
						case !ok:
							t.Finish()
							return
						case v < 2:
							m.Stash(v)
						default:
							got = append(got, v)
						}
						m.Settle(nil)
					}
				}))
				m.Open(r)
				r.Wake()
				tickets := make([]ticketCount, 3)
				for i := range 2 {
					wantErr("SendTicket", m.SendTicket(d, i, &tickets[i]), nil)
				}
				d.Yield()
				want("stashed", m.Stashed(), 2)
				want("handled", m.Stats().Handled, uint64(0))
				want("settled", tickets, []ticketCount{0, 0, 0})
				lose(m, tickets, d)
				wantErr("Check", m.Check(), nil)
				got = nil
				wantErr("Send", m.Send(d, 7), nil)
				d.Yield()
				want("read", got, []int{7})
				m.Close()
				d.Yield()
				d.Yield()
				want("finished", r.State(), core.Finished)
			})
		})
	}
}
