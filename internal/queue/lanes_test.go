package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// twoLists is the obvious version of a mailbox with urgent messages: a list of each kind, and of
// the messages that nobody has asked about.
type twoLists struct {
	urgent, ordinary, fresh []int
	in                      []int // in transit
	asked                   map[int]int
}

func (l *twoLists) all() []int { return slices.Concat(l.urgent, l.ordinary, l.fresh) }

func (l *twoLists) sort(is func(int) bool) {
	for _, id := range l.fresh {
		if is(id) {
			l.urgent = append(l.urgent, id)
		} else {
			l.ordinary = append(l.ordinary, id)
		}
	}
	l.fresh = nil
}

func (l *twoLists) take() (id int, ok bool) {
	for _, list := range []*[]int{&l.urgent, &l.ordinary, &l.fresh} {
		if len(*list) > 0 {
			id, *list = (*list)[0], (*list)[1:]
			return id, true
		}
	}
	return 0, false
}

func (l *twoLists) remove(id int) {
	for _, list := range []*[]int{&l.urgent, &l.ordinary, &l.fresh} {
		*list = slices.DeleteFunc(slices.Clone(*list), func(other int) bool { return other == id })
	}
}

type idTicket struct {
	id      int
	settled map[int]error
}

func (t *idTicket) Settled(err error) {
	if _, again := t.settled[t.id]; again {
		fail("%d was settled twice", t.id)
	}
	t.settled[t.id] = err
}

// Urgent messages are read first, each kind in its order, whatever else happens to the mailbox.
// Each message is asked about once, and each ticket stays with its message.
func TestTakeUrgentIsTwoLists(t *testing.T) {
	seeds := 4000
	if testing.Short() {
		seeds = 400
	}
	for seed := range uint64(seeds) {
		home(t, func(d *core.Task) {
			defer func() {
				if v := recover(); v != nil {
					panic(fmt.Sprintf("seed %d: %v", seed, v))
				}
			}()
			playUrgent(d, rand.New(rand.NewPCG(seed, 3)))
		})
		if t.Failed() {
			return
		}
	}
}

func playUrgent(d *core.Task, r *rand.Rand) {
	cfg := Config{Cap: []int{1, 3, 8, 100}[r.IntN(4)], Overflow: Fail}
	if r.IntN(4) == 0 {
		cfg = Config{Overflow: Unbounded}
	}
	m := opened[int](d, cfg)
	l := &twoLists{asked: map[int]int{}}
	settled := map[int]error{}
	tickets := map[int]*idTicket{}
	often, ticketed := 1+r.IntN(6), r.IntN(2) == 0
	isUrgent := func(id int) bool { return id*7919%11 < often }
	panicking := 0
	is := func(id int) bool {
		if l.asked[id]++; l.asked[id] > 1 {
			fail("%d was asked about twice", id)
		}
		if id == panicking {
			panic("is")
		}
		return isUrgent(id)
	}
	ticket := func(id int) Ticket {
		if !ticketed || r.IntN(3) == 0 {
			return nil
		}
		tickets[id] = &idTicket{id, settled}
		return tickets[id]
	}
	ids, took := 0, 0
	takeIn := func() { // done by home at the latest when d yields, and before each TakeUrgent
		l.fresh = append(l.fresh, l.in...)
		l.in = nil
	}
	for range 10 + r.IntN(120) {
		settle := false
		switch r.IntN(12) {
		case 0, 1, 2:
			for range 1 + r.IntN(6) {
				ids++
				if m.send(d, ids, ticket(ids), false) == nil {
					l.fresh = append(l.fresh, ids)
				} else {
					delete(tickets, ids)
				}
			}
		case 3: // from a goroutine
			ids++
			if m.sendFromElsewhere(nil, background, ids, ticket(ids), true) == nil {
				l.in = append(l.in, ids)
			} else {
				delete(tickets, ids)
			}
		case 4, 5, 6, 7:
			m.Settle(nil)
			takeIn()
			panicking = 0
			if len(l.fresh) > 0 && r.IntN(4) == 0 {
				panicking = l.fresh[r.IntN(len(l.fresh))]
				wantPanic(func() { m.TakeUrgent(is) }, "is")
				i := slices.Index(l.fresh, panicking)
				rest := l.fresh[i+1:]
				l.fresh = l.fresh[:i]
				l.sort(isUrgent)
				l.ordinary = append(l.ordinary, panicking)
				l.fresh = rest
				panicking = 0
				break
			}
			l.sort(isUrgent)
			v, ok := m.TakeUrgent(is)
			id, some := l.take()
			if v != id || ok != some {
				fail("TakeUrgent gave %d, %v, want %d, %v", v, ok, id, some)
			}
			took, settle = id, ok
		case 8:
			if took != 0 {
				m.PutBack(took)
				l.urgent = append([]int{took}, l.urgent...)
				if len(l.asked) > 0 {
					l.asked[took] = 1
				}
			}
		case 9: // the next reader
			m.Hold()
			m.Open(d)
			takeIn()
		case 10:
			if r.IntN(8) == 0 { // another way of reading forgets what was asked
				m.Settle(nil)
				v, ok := m.TryNext()
				id, some := l.take()
				if v != id || ok != some {
					fail("TryNext gave %d, %v, want %d, %v", v, ok, id, some)
				}
				if ok {
					l.fresh, l.urgent, l.ordinary, l.asked = l.all(), nil, nil, map[int]int{}
				}
				took, settle = 0, ok
				break
			}
			for id, k := range tickets {
				if slices.Contains(l.all(), id) {
					m.Revoke(k)
					d.Yield()
					takeIn()
					l.remove(id)
					if settled[id] != ErrDropped {
						fail("%d was revoked, and settled with %v", id, settled[id])
					}
					break
				}
			}
		case 11:
			d.Yield()
			takeIn()
			if r.IntN(20) == 0 {
				m.CloseEmpty()
				m.Reopen()
				*l = twoLists{asked: l.asked}
			}
		}
		if !settle {
			took = 0
		}
		if k := m.queue.aside; k != nil && k.slots != nil {
			for i := range m.queue.n {
				at := m.queue.index(i)
				if id, has := m.queue.buf[at], tickets[m.queue.buf[at]]; has == nil && k.slots[at] != nil || has != nil && k.slots[at] != Ticket(has) {
					fail("the ticket of %d is %v", id, k.slots[at])
				}
			}
		}
		if got, want := contents(&m.queue), l.all(); !slices.Equal(got, want) {
			fail("the mailbox has %v, want %v", got, want)
		}
		wantErr("Check", m.Check(), nil)
	}
	m.Discard()
}

// A function that parks, so that others change the mailbox in the meantime, is told; the order of
// what is there stays sensible.
func TestTakeUrgentParks(t *testing.T) {
	for name, meanwhile := range map[string]func(m *Queue[int], d *core.Task, first Ticket){
		"revoked": func(m *Queue[int], d *core.Task, first Ticket) { m.Revoke(first); d.Yield() },
		"read":    func(m *Queue[int], _ *core.Task, _ Ticket) { m.TryNext() },
		"closed":  func(m *Queue[int], _ *core.Task, _ Ticket) { m.CloseEmpty() },
		"another reader": func(m *Queue[int], d *core.Task, _ Ticket) {
			m.Hold()
			m.Open(spawn(d.Scheduler(), func(*core.Task) {}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			home(t, func(d *core.Task) {
				m := opened[int](d, Config{})
				ticket := new(ticketCount)
				wantErr("SendTicket", m.SendTicket(d, 1, ticket), nil)
				wantErr("Send", m.Send(d, 2), nil)
				wantErr("Send", m.Send(d, 3), nil)
				wantPanic(func() {
					m.TakeUrgent(func(v int) bool {
						if v == 2 {
							meanwhile(m, d, ticket)
						}
						return v > 1
					})
				}, "mailbox: the function that tells urgent messages has parked")
				wantErr("Check", m.Check(), nil)
			})
		})
	}
}

// To take the urgent messages out costs no memory in steady state.
func TestTakeUrgentAllocatesNothing(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{})
		is := func(v int) bool { return v%3 == 0 }
		round := func() {
			for i := range 64 {
				m.Put(d, i)
			}
			for range 64 {
				m.TakeUrgent(is)
			}
		}
		round()
		want("allocations", testing.AllocsPerRun(100, round), 0)
	})
}
