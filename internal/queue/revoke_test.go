package queue

import (
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// A message that is revoked is not read, wherever it is by then; the others keep their order, and
// who waits for room gets it.
func TestRevoke(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{Cap: 3})
		tickets := [4]ticketCount{}
		for i := range 3 {
			wantErr("SendTicket", m.SendTicket(d, i, &tickets[i]), nil)
		}
		spawn(d.Scheduler(), func(t *core.Task) { wantErr("SendTicket", m.SendTicket(t, 3, &tickets[3]), nil) })
		d.Yield()
		m.Revoke(&tickets[1])
		m.Revoke(&tickets[1])
		m.Revoke(new(ticketCount)) // never sent
		d.Yield()
		want("settled", tickets, [4]ticketCount{0, 1, 0, 0})
		v, _ := m.Next(d)
		want("read", v, 0)
		m.Revoke(&tickets[0]) // in hand: too late
		d.Yield()
		want("settled", tickets, [4]ticketCount{0, 1, 0, 0})
		want("queued", queued(m), []int{2, 3})
	})
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{})
		ticket := new(ticketCount)
		d.Scheduler().AwaitOutside(1)
		done := make(chan error)
		go func() { done <- m.SendTicket(background, 1, ticket) }()
		wantErr("SendTicket of a goroutine", <-done, nil)
		m.Revoke(ticket) // it may still be on its way
		d.Yield()
		want("settled", *ticket, 1)
		want("Len", m.Len(), 0)
		d.Scheduler().AwaitOutside(-1)
	})
}

// A reader that looks for one message and has seen those before it misses none when one of them is
// revoked.
func TestRevokeUnderMatch(t *testing.T) {
	home(t, func(d *core.Task) {
		m := New[int](Config{})
		ticket := new(ticketCount)
		got := 0
		spawn(d.Scheduler(), func(t *core.Task) {
			m.Open(t)
			got, _ = m.Match(t, func(v int) bool { return v == 7 })
		})
		d.Yield()
		wantErr("SendTicket", m.SendTicket(d, 1, ticket), nil)
		wantErr("Send", m.Send(d, 2), nil)
		d.Yield()
		m.Revoke(ticket)
		d.Yield()
		wantErr("Send", m.Send(d, 7), nil)
		d.Yield()
		want("matched", got, 7)
	})
}
