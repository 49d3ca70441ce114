package queue

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// waitFunc is a WaitReporter.
type waitFunc func(ns int64, weight uint64)

func (f waitFunc) MessageWaited(ns int64, weight uint64) { f(ns, weight) }

// Each message that is taken for the first time is reported with the time since it came, whatever
// happens to the mailbox in between: other messages are dropped, taken back, put back, stashed or
// read before it, and the reader changes. Nothing else is reported.
func TestWaits(t *testing.T) {
	for seed := range uint64(800) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			home(t, func(d *core.Task) { playWaits(d, rand.New(rand.NewPCG(seed, 5))) })
		})
		if t.Failed() {
			return
		}
	}
}

func playWaits(d *core.Task, r *rand.Rand) {
	cfg := []Config{{Cap: 3, Overflow: Fail}, {Cap: 8, Overflow: DropNewest}, {Cap: 8, Overflow: DropOldest}, {Overflow: Unbounded}}[r.IntN(4)]
	m := opened[int](d, cfg)
	var got []int64
	m.MeasureWaits(waitFunc(func(ns int64, weight uint64) {
		got = append(got, ns)
		want("the weight", weight, uint64(1))
	}), uint32(r.Uint32()), true)
	m.MeasureWaits(nil, 0, true) // has no effect
	var (
		now     int64
		ids     int
		came    = map[int]int64{} // when those came that were not taken yet
		tickets = map[int]*ticketCount{}
	)
	taken := func(vs ...int) {
		var waits []int64
		for _, v := range vs {
			if at, ok := came[v]; ok {
				waits = append(waits, now-at)
				delete(came, v)
			}
		}
		if !slices.Equal(got, waits) {
			fail("took %v, reported %v, want %v", vs, got, waits)
		}
		got = nil
	}
	urgent := func(id int) bool { return id%3 == 0 }
	for range 20 + r.IntN(150) {
		switch r.IntN(11) {
		case 0, 1, 2:
			for range 1 + r.IntN(4) {
				ids++
				var ticket Ticket
				if r.IntN(8) == 0 {
					tickets[ids] = new(ticketCount)
					ticket = tickets[ids]
				}
				came[ids] = now
				switch {
				case r.IntN(3) == 0:
					_ = m.sendFromElsewhere(nil, background, ids, ticket, true)
				case ticket == nil && m.Put(d, ids):
				default:
					_ = m.send(d, ids, ticket, true)
				}
			}
		case 3:
			d.Sleep(time.Duration(1 + r.IntN(5)))
			now = d.Scheduler().Nanotime()
		case 4:
			m.Unstash()
			m.Settle(nil)
			if v, ok := m.TryNext(); ok {
				taken(v)
				if r.IntN(4) == 0 {
					m.PutBack(v)
				}
			}
		case 5:
			m.Unstash()
			m.Settle(nil)
			taken(m.TakeBatch(nil, 1+r.IntN(5))...)
		case 6:
			m.Unstash()
			m.Settle(nil)
			if cfg.Overflow != DropOldest {
				if v, ok := m.TakeUrgent(urgent); ok {
					taken(v)
				}
			}
		case 7:
			m.Settle(nil)
			if v, ok := m.TakeFresh(); ok {
				taken(v)
				if m.Stash(v); r.IntN(3) == 0 {
					m.Unstash()
				}
			}
		case 8:
			m.Unstash()
			m.Settle(nil)
			if n := m.Len(); n > 0 {
				skip := r.IntN(n)
				v, err := m.Match(d, func(int) bool { skip--; return skip < 0 })
				if err == nil {
					taken(v)
				}
			}
		case 9:
			for _, k := range tickets {
				if *k == 0 {
					m.Revoke(k)
					d.Yield()
					break
				}
			}
		case 10:
			m.Hold()
			m.Open(d)
			if r.IntN(10) == 0 {
				m.CloseEmpty()
				m.Reopen()
			}
		}
		want("reports", len(got), 0)
		wantErr("Check", m.Check(), nil)
	}
	m.Unstash()
	m.Settle(nil)
	taken(queued(m)...)
	m.Discard()
}

// A message of a goroutine waits from its send on, and not from the moment at which home takes it
// in.
func TestWaitsOutside(t *testing.T) {
	for _, inside := range []int{0, 1} { // messages that are queued before
		bubble(t, func(d *core.Task, _ *core.Scheduler, rest func()) {
			m := opened[int](d, Config{})
			var got []time.Duration
			m.MeasureWaits(waitFunc(func(ns int64, _ uint64) { got = append(got, time.Duration(ns)) }), 1, true)
			for range inside {
				wantErr("Send", m.Send(d, 9), nil)
			}
			for i := range 3 {
				wantErr("Send", m.sendFromElsewhere(nil, background, i, nil, false), nil)
				time.Sleep(time.Second) // d holds its scheduler
			}
			rest()
			want("read", queued(m)[inside:], []int{0, 1, 2})
			want("waits", got[inside:], []time.Duration{3 * time.Second, 2 * time.Second, time.Second})
		})
	}
}

// The weights of the messages that are measured add up to the number of messages, and the sum of
// their waits to that of all messages, about, however the messages come.
func TestWaitsSampled(t *testing.T) {
	for name, play := range map[string]func(r *rand.Rand, i int) (n int, gap time.Duration){
		"one by one": func(*rand.Rand, int) (int, time.Duration) { return 1, 50 },
		"slowly":     func(*rand.Rand, int) (int, time.Duration) { return 1, time.Second },
		"in bursts":  func(r *rand.Rand, _ int) (int, time.Duration) { return 1 + r.IntN(1000), time.Millisecond },
		"both": func(r *rand.Rand, i int) (int, time.Duration) {
			if i%50 == 0 {
				return 5000, 10
			}
			return 1, time.Duration(r.IntN(10_000))
		},
	} {
		for _, outside := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " outside ", outside), func(t *testing.T) {
				home(t, func(d *core.Task) {
					m := opened[int64](d, Config{Overflow: Unbounded})
					var count, all uint64
					var sum, exact float64
					m.MeasureWaits(waitFunc(func(ns int64, weight uint64) {
						count += weight
						sum += float64(ns) * float64(weight)
					}), 7, false)
					r := rand.New(rand.NewPCG(1, 2))
					for i := 0; all < 200_000 && i < 100_000; i++ {
						n, gap := play(r, i)
						for range n {
							all++
							if outside {
								_ = m.sendFromElsewhere(nil, background, d.Scheduler().Nanotime(), nil, true)
							} else {
								_ = m.send(d, d.Scheduler().Nanotime(), nil, true)
							}
						}
						d.Sleep(gap)
						for k := 0; k < n; k++ { // each takes 3 ns longer than the one before
							at, ok := m.TryNext()
							if !ok {
								break
							}
							exact += float64(d.Scheduler().Nanotime() - at)
							if n > 100 && k%7 == 0 {
								d.Sleep(3)
							}
						}
					}
					if count > all+mostWaits || count+mostWaits < all {
						fail("the weights add up to %d for %d messages", count, all)
					}
					if math.Abs(sum/exact-1) > 0.05 {
						fail("the waits add up to %g, want %g", sum, exact)
					}
				})
			})
		}
	}
}

// A message that is measured allocates nothing in the long run.
func TestWaitsAllocateNothing(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{})
		m.MeasureWaits(waitFunc(func(int64, uint64) {}), 1, true)
		turn := func() {
			for i := range 100 {
				_ = m.Send(d, i)
			}
			for range 100 {
				m.TryNext()
				m.Settle(nil)
			}
		}
		turn()
		if n := testing.AllocsPerRun(100, turn); n != 0 {
			fail("%v allocations", n)
		}
	})
}
