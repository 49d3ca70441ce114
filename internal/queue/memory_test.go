package queue

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/gotasklet/tasklet/internal/core"
)

// A mailbox owns no memory before it is used, and little later.
func TestMemoryGrowsWithUse(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{Cap: MaxCap})
		want("buffer", cap(m.queue.buf), 0)
		want("the part for others", m.ext.Load() == nil, true)
		m.Send(d, 1)
		m.TryNext()
		want("buffer", cap(m.queue.buf) <= 4, true)
		want("the part for others", m.ext.Load() == nil, true)
	})
	if n := unsafe.Sizeof(Queue[int]{}); n > 112 {
		t.Errorf("a Queue takes %d bytes", n)
	}
}

// What a burst took is given back a second later if the mailbox is empty then: the buffers, and the
// places of parked senders.
func TestMemoryIsGivenBack(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 300})
		soon := func() { m.ReceiveTimeout(time.Millisecond)(func(int, error) bool { return false }) }
		fill := func() {
			for range 4 { // every ring has its turn
				for range 70 {
					m.TrySend(background, 1)
				}
				d.Yield()
			}
			for range 400 {
				spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, 1) })
			}
			d.Yield()
			for range m.ReceiveTimeout(time.Millisecond) {
			}
		}
		memory := func() int {
			x := m.ext.Load()
			n := len(m.queue.buf) + len(x.in.buf) + len(x.spare.buf)
			for e := x.free; e != nil; e = e.next {
				n++
			}
			return n
		}
		fill()
		want("memory after a burst", memory() > 600, true)
		d.Sleep(900 * time.Millisecond)
		soon()
		want("memory a bit later", memory() > 600, true)
		d.Sleep(200 * time.Millisecond)
		want("memory after a second", memory(), 0)

		// A message that is there then keeps it.
		fill()
		d.Sleep(500 * time.Millisecond)
		m.Send(d, 1)
		d.Sleep(time.Second)
		want("memory with a message in it", memory() > 600, true)
		want("read", queued(m), []int{1})
		soon()
		d.Sleep(2 * time.Second)
		want("memory", memory(), 0)
		m.Send(d, 2)
		m.Send(background, 3)
		rest()
		want("read", queued(m), []int{2, 3})
	})
}

// A message that was taken, or let in, or has left, is not held on to.
func TestMessagesAreNotHeld(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		freed := 0
		message := func() *[64]byte {
			v := new([64]byte)
			v[0] = 1
			runtime.AddCleanup(v, func(*core.Scheduler) { d.Scheduler().InjectFunc(func() { freed++ }) }, nil)
			return v
		}
		m := opened[*[64]byte](d, Config{Cap: 1})
		for range 3 {
			spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, message()) })
			go m.Send(background, message())
			rest()
		}
		soon, cancel := core.WithTimeout(d, time.Second)
		m.Send(soon, message())
		cancel()
		gone := spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, message()) })
		rest()
		gone.Kill(false)
		rest()
		gone = nil
		for range 6 {
			m.Next(d)
		}
		for i := 0; freed < 8; i++ {
			if i == 100 {
				fail("%d of 8 messages were collected", freed)
			}
			runtime.GC()
			rest()
		}
		runtime.KeepAlive(m)
	})
}

// allocations runs f, a task's body that does warm-up rounds until it calls begin, then n rounds,
// and gives what a round allocated.
func allocations(t *testing.T, n int, start func(s *core.Scheduler, begin, end func())) float64 {
	t.Helper()
	var before, after runtime.MemStats
	s := core.New(core.Config{})
	start(s, func() { runtime.ReadMemStats(&before) }, func() { runtime.ReadMemStats(&after); s.Stop() })
	mustEnd(t, s)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

func TestNoAllocations(t *testing.T) {
	const rounds = 20_000
	// A collection in between may empty pools of the runtime: a few in total are none per message.
	const none = 0.01
	for name, start := range map[string]func(s *core.Scheduler, begin, end func()){
		"at home": func(s *core.Scheduler, begin, end func()) {
			got := 0
			r := newReceiver(s, Config{}, func(message) {
				switch got++; got {
				case rounds:
					begin()
				case 2 * rounds:
					end()
				}
			})
			spawn(s, func(t *core.Task) {
				for i := range 2 * rounds {
					r.box.Send(t, message{n: i})
				}
			})
		},
		"from a goroutine": func(s *core.Scheduler, begin, end func()) {
			got := 0
			room := make(chan struct{}, 1)
			r := newReceiver(s, Config{}, func(message) {
				switch got++; {
				case got == rounds:
					begin()
				case got == 2*rounds:
					end()
				}
				if got%100 == 0 {
					room <- struct{}{}
				}
			})
			go func() {
				for i := range 2 * rounds {
					r.box.Send(background, message{n: i})
					if i%100 == 99 {
						<-room
					}
				}
			}()
		},
		"parked senders": func(s *core.Scheduler, begin, end func()) {
			m := New[message](Config{Cap: 1})
			spawn(s, func(t *core.Task) {
				m.Open(t)
				defer m.Discard()
				for i := range 2 * rounds {
					m.Next(t)
					if i == rounds {
						begin()
					}
				}
				end()
			})
			for range 4 {
				spawn(s, func(t *core.Task) {
					for m.Send(t, message{}) == nil {
					}
				})
			}
		},
		"with tickets": func(s *core.Scheduler, begin, end func()) {
			m := New[message](Config{Cap: 10})
			k := new(ticketCount)
			spawn(s, func(t *core.Task) {
				m.Open(t)
				defer m.Discard()
				for i := range 2 * rounds {
					m.Next(t)
					if i == rounds {
						begin()
					}
				}
				end()
			})
			spawn(s, func(t *core.Task) {
				for m.SendTicket(t, message{}, k) == nil {
				}
			})
		},
		"batches": func(s *core.Scheduler, begin, end func()) {
			m := New[message](Config{Cap: 64})
			spawn(s, func(t *core.Task) {
				m.Open(t)
				defer m.Discard()
				got := 0
				for batch := range m.ReceiveBatch(20, -1) {
					if got < rounds && got+len(batch) >= rounds {
						begin()
					}
					if got += len(batch); got >= 2*rounds {
						break
					}
				}
				end()
			})
			spawn(s, func(t *core.Task) {
				for m.Send(t, message{}) == nil {
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if n := allocations(t, rounds, start); n > none {
				t.Errorf("%.3f allocations a message", n)
			}
		})
	}
}

// Memory is freed also while the reader has a message with a ticket in hand, which it may put back.
func TestMemoryWithATicketInHand(t *testing.T) {
	bubble(t, func(d *core.Task, _ *core.Scheduler, _ func()) {
		m := opened[int](d, Config{})
		tickets := make([]ticketCount, 41)
		for i := range 40 {
			wantErr("SendTicket", m.SendTicket(d, i, &tickets[i]), nil)
		}
		want("read", len(queued(m)), 40)
		want("awaits", m.Await(1), true) // and so begins to wait for the second
		m.StopAwait()
		wantErr("SendTicket", m.SendTicket(d, 40, &tickets[40]), nil)
		v, _ := m.TryNext()
		d.Sleep(2 * time.Second)
		want("memory", len(m.queue.buf), 0)
		wantErr("Check", m.Check(), nil)
		m.PutBack(v)
		wantErr("Send", m.Send(d, 41), nil)
		wantErr("Check", m.Check(), nil)
		want("settled", tickets[40], 0)
		want("read", queued(m), []int{40, 41}) // and settled
		want("settled", tickets[40], 1)
	})
}
