package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

var background = context.Background()

// Rule 5: when room appears, the first parked sender's message is moved in on its behalf, before it
// runs; neither TrySend nor a new sender overtakes.
func TestFirstParkedSenderIsMovedIn(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[string](d, Config{Cap: 1})
		m.Send(d, "a")
		returned := ""
		for _, v := range []string{"b", "c"} {
			spawn(d.Scheduler(), func(t *core.Task) {
				wantErr("Send", m.Send(t, v), nil)
				returned += v
			})
		}
		d.Yield()
		want("queued", m.Len(), 1)

		v, _ := m.TryNext()
		want("the first", v, "a")
		want("queued again at once", m.Len(), 1)
		want("returned", returned, "")
		wantErr("TrySend", m.TrySend(d, "x"), ErrFull)
		wantErr("TrySend of a goroutine", m.TrySend(background, "y"), ErrFull)
		spawn(d.Scheduler(), func(t *core.Task) { wantErr("Send", m.Send(t, "d"), nil) })
		d.Yield()
		want("returned", returned, "b")
		want("the rest", queued(m), []string{"b", "c", "d"})
	})
}

// Rule 5 across both ways in: whoever has come into the line first is served first, from wherever.
func TestOneLineForSendersFromEverywhere(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 1})
		m.Send(d, 0)
		for i := range 9 {
			v := i + 1
			send := func(t *core.Task) { wantErr("Send", m.Send(t, v), nil) }
			switch i % 3 {
			case 0:
				spawn(d.Scheduler(), send)
			case 1:
				go func() { wantErr("Send", m.Send(background, v), nil) }()
			case 2:
				other.InjectFunc(func() { spawn(other, send) })
			}
			rest()
		}
		for i := range 10 {
			v, ok := m.TryNext()
			if !ok || v != i {
				fail("%d, %v came, want %d", v, ok, i)
			}
			if i < 9 {
				wantErr("TrySend", m.TrySend(d, -1), ErrFull)
				wantErr("TrySend from elsewhere", m.TrySend(background, -1), ErrFull)
			}
		}
		rest()
	})
}

// The order is that of each sender, and of arrival among those at home: parked ones, and one that
// sends when there is room.
func TestOrderAtHome(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[[2]int](d, Config{Cap: 3})
		var arrived, read [][2]int
		for k := range 5 {
			spawn(d.Scheduler(), func(t *core.Task) {
				for i := range 20 {
					arrived = append(arrived, [2]int{k, i})
					m.Send(t, [2]int{k, i})
					if (i+k)%3 == 0 {
						t.Yield()
					}
				}
			})
		}
		for len(read) < 100 {
			v, err := m.Next(d)
			wantErr("Next", err, nil)
			read = append(read, v)
		}
		if !slices.Equal(arrived, read) {
			fail("arrived %v\nread %v", arrived, read)
		}
	})
}

// Rule 5: a sender whose context ends, or who is killed, leaves the line without sending; the
// others keep their places.
func TestSenderLeavesTheLine(t *testing.T) {
	for _, how := range []string{"timeout", "cancel", "kill"} {
		for _, where := range []string{"home", "goroutine", "other"} {
			if how == "kill" && where == "goroutine" {
				continue
			}
			t.Run(how+" "+where, func(t *testing.T) {
				bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
					m := opened[string](d, Config{Cap: 1})
					m.Send(d, "first")
					spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, "second") })
					d.Yield()

					why := errors.New("why")
					var task *core.Task
					var got error
					stop := func() {}
					send := func(ctx context.Context) {
						switch how {
						case "timeout":
							var cancel context.CancelFunc
							ctx, cancel = core.WithTimeout(ctx, time.Second)
							defer cancel()
						case "cancel":
							c, cancel := context.WithCancelCause(ctx)
							ctx, stop = c, func() { cancel(why) }
						}
						got = errors.New("killed")
						got = m.Send(ctx, "gone")
					}
					switch where {
					case "home":
						task = spawn(d.Scheduler(), func(t *core.Task) { send(t) })
					case "goroutine":
						go send(background)
					case "other":
						other.InjectFunc(func() { task = spawn(other, func(t *core.Task) { send(t) }) })
					}
					rest()
					go m.Send(background, "third")
					rest()

					switch how {
					case "timeout":
						d.Sleep(time.Second)
					case "cancel":
						stop()
					case "kill":
						task.Kill(false)
					}
					rest()
					switch how {
					case "timeout":
						wantErr("Send", got, ErrTimeout)
						wantErr("Send", got, context.DeadlineExceeded)
					case "cancel":
						wantErr("Send", got, why)
					case "kill":
						want("Send", got.Error(), "killed")
						want("state", task.State(), core.Finished)
					}
					want("read", queued(m), []string{"first", "second", "third"})
					rest()
				})
			})
		}
	}
}

// The first in line has left, but home hasn't heard of it: the next one is let in, and the first
// has not sent.
func TestWhoHasLeftIsNotLetIn(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 1})
		m.Send(d, 0)
		ctx, cancel := context.WithCancel(background)
		var first, second error
		go func() { first = m.Send(ctx, 1) }()
		rest()
		go func() { second = m.Send(background, 2) }()
		rest()
		cancel()
		synctest.Wait() // without giving up control
		wantErr("the first", first, context.Canceled)
		m.TryNext()
		want("queued", queued(m), []int{2})
		rest()
		wantErr("the second", second, nil)
	})
}

// The virtual clock of a sender stands still while it waits for a mailbox on another scheduler.
func TestVirtualClockWaitsForElsewhere(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 1})
		m.Send(d, 0)
		virtual := core.New(core.Config{Clock: scheduler.NewVirtualClock(time.Time{})})
		begin := virtual.Now()
		spawn(virtual, func(t *core.Task) {
			defer virtual.Stop()
			soon, cancel := core.WithTimeout(t, time.Second)
			defer cancel()
			wantErr("Send", m.Send(soon, 1), nil)
		})
		ended := make(chan error, 1)
		go func() { ended <- virtual.Run() }()
		rest()
		d.Sleep(time.Hour)
		want("read", queued(m), []int{0, 1})
		wantErr("Run", <-ended, nil)
		want("time", virtual.Now().Sub(begin), 0)
	})
}

// A done context doesn't hinder a send that needs not wait; rule 13: if the result is there too, it
// wins.
func TestSendWithADoneContext(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 2})
		for _, parent := range []context.Context{background, d} {
			ctx, cancel := context.WithCancel(parent)
			cancel()
			wantErr("with room", m.Send(ctx, 1), nil)
		}
		done, cancel := context.WithCancel(d)
		cancel()
		wantErr("without", m.Send(done, 1), context.Canceled)
		var got error
		go func() {
			ctx, cancel := context.WithCancel(background)
			cancel()
			got = m.Send(ctx, 1)
		}()
		rest()
		wantErr("without, from a goroutine", got, context.Canceled)
		want("queued", m.Len(), 2)
	})
}

// A sender on another scheduler whose message was let in before it had parked must not be woken
// from its next wait.
func TestLateWakeUp(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 1})
		m.Send(d, 0)
		var slept time.Duration
		var got error
		other.InjectFunc(func() {
			spawn(other, func(t *core.Task) {
				ctx := &endsWhenAsked{Task: t, asked: func() {
					// The task has queued up and is about to park: home lets its message in now.
					rest := make(chan struct{})
					d.Scheduler().InjectFunc(func() { m.takeIn(); m.pop(); close(rest) })
					<-rest
				}}
				got = m.Send(ctx, 1)
				begin := t.Scheduler().Now()
				t.Sleep(time.Hour)
				slept = t.Scheduler().Now().Sub(begin)
			})
		})
		d.Sleep(2 * time.Hour)
		rest()
		wantErr("Send", got, nil)
		want("slept", slept, time.Hour)
	})
}

// endsWhenAsked is a context that is done as soon as somebody asks whether it is.
type endsWhenAsked struct {
	*core.Task
	asked func()
}

func (c *endsWhenAsked) Err() error {
	if c.asked != nil {
		c.asked()
		c.asked = nil
	}
	return context.Canceled
}

// Rule 6: the policies, from home and from elsewhere.
func TestPolicies(t *testing.T) {
	for _, from := range []string{"home", "elsewhere"} {
		for _, policy := range []Policy{Fail, DropNewest, DropOldest, Unbounded} {
			for _, capacity := range []int{1, 2, 5} {
				t.Run(fmt.Sprint(from, " ", policy, " ", capacity), func(t *testing.T) {
					home(t, func(d *core.Task) {
						lost := &losses{}
						cfg := Config{Cap: capacity, Overflow: policy, Losses: lost}
						if policy == Unbounded {
							cfg.Cap = 0
						}
						m := opened[int](d, cfg)
						ctx := context.Context(d)
						if from == "elsewhere" {
							ctx = background
						}
						var sent []int
						for i := range 12 {
							send := m.Send
							if i%2 == 1 {
								send = m.TrySend
							}
							err := send(ctx, i)
							if err == nil {
								sent = append(sent, i)
							} else {
								wantErr("send", err, ErrFull)
							}
							if from == "elsewhere" {
								d.Yield() // home gives out new credits
							}
						}
						all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
						stats := m.Stats()
						read := queued(m)
						switch policy {
						case Fail:
							want("sent", sent, all[:capacity])
							want("read", read, all[:capacity])
							want("lost", lost.count(ErrDropped), 0)
						case DropNewest:
							want("sent", sent, all)
							want("read", read, all[:capacity])
							want("lost", lost.count(ErrDropped), 12-capacity)
						case DropOldest:
							want("sent", sent, all)
							want("read", read, all[12-capacity:])
							want("lost", lost.count(ErrDropped), 12-capacity)
						case Unbounded:
							want("read", read, all)
							want("Cap", m.Cap(), 0)
						}
						want("Dropped", int(stats.Dropped), lost.count(ErrDropped))
						want("Len", stats.Len, len(read))
						for _, l := range lost.all {
							want("type", l.Type.String(), "int")
						}
					})
				})
			}
		}
	}
}

// Under DropOldest the newest are kept, also of those that are on their way, and the bound holds
// when home looks.
func TestDropOldestOnTheWay(t *testing.T) {
	home(t, func(d *core.Task) {
		lost := &losses{}
		m := opened[int](d, Config{Cap: 3, Overflow: DropOldest, Losses: lost})
		for i := range 10 {
			m.Send(background, i)
		}
		want("Len", m.Len(), 3)
		m.Send(d, 10) // from home, which has not looked yet
		want("dropped", lost.count(ErrDropped)+m.Len() >= 10, true)
		d.Yield()
		want("Len", m.Len(), 3)
		want("dropped", lost.count(ErrDropped), 8)
		want("read", len(queued(m)), 3)
	})
}

// Rule 4: a mailbox that was never opened queues up to its bound; further senders park; then it is
// opened.
func TestNeverOpened(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := New[int](Config{Cap: 4})
		for i := range 4 {
			ctx := background
			if i%2 == 0 {
				ctx = d
			}
			wantErr("Send", m.Send(ctx, i), nil)
		}
		want("Len", m.Len(), 4)
		wantErr("TrySend", m.TrySend(d, -1), ErrFull)
		wantErr("TrySend", m.TrySend(background, -1), ErrFull)
		returned := 0
		spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, 4); returned++ })
		rest()
		go func() { m.Send(background, 5); d.Scheduler().InjectFunc(func() { returned++ }) }()
		rest()
		other.InjectFunc(func() {
			spawn(other, func(t *core.Task) { m.Send(t, 6); d.Scheduler().InjectFunc(func() { returned++ }) })
		})
		rest()
		soon, cancel := core.WithTimeout(d, time.Second)
		defer cancel()
		wantErr("Send", m.Send(soon, -1), ErrTimeout)
		gone := spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, -1) })
		rest()
		gone.Kill(false)
		rest()
		want("returned", returned, 0)

		m.Open(d)
		want("Len", m.Len(), 4)
		wantErr("TrySend", m.TrySend(d, -1), ErrFull)
		var read []int
		for len(read) < 7 {
			v, _ := m.Next(d)
			read = append(read, v)
		}
		want("read", read, []int{0, 1, 2, 3, 4, 5, 6})
		rest()
		want("returned", returned, 3)
	})
}

// Rule 29: who waits for room in a mailbox that only he could empty is told.
func TestDeadlockOwnMailbox(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{Cap: 1})
		m.Send(d, 1)
		var e *scheduler.DeadlockError
		if err := m.Send(d, 2); !errors.As(err, &e) {
			fail("Send gave %v", err)
		}
		soon, cancel := core.WithTimeout(d, time.Second)
		defer cancel()
		wantErr("Send with a timeout", m.Send(soon, 2), ErrTimeout)
		want("read", queued(m), []int{1})
		wantErr("after that", m.Send(d, 3), nil)
	})
}

// Rule 29: two readers that wait for room in each other's mailbox.
func TestDeadlockRing(t *testing.T) {
	home(t, func(d *core.Task) {
		x, y := New[int](Config{Cap: 1}), New[int](Config{Cap: 1})
		var refused []error
		reader := func(own, to *Queue[int]) {
			spawn(d.Scheduler(), func(t *core.Task) {
				own.Open(t)
				defer own.Discard()
				t.Yield()
				for i := range 2 {
					if err := to.Send(t, i); err != nil {
						refused = append(refused, err)
					}
				}
			})
		}
		reader(x, y)
		reader(y, x)
		d.Sleep(time.Second)
		var e *scheduler.DeadlockError
		if len(refused) != 2 || !errors.As(refused[0], &e) || refused[1] != ErrClosed {
			fail("refused %v, want a deadlock, and then the other's mailbox closed", refused)
		}
		want("links", len(e.Chain), 2)
	})
}

// Credits: an empty mailbox takes a message from elsewhere, whatever happened before at home.
func TestElsewhereFindsRoom(t *testing.T) {
	for _, capacity := range []int{1, 2, 3, 7, 64} {
		home(t, func(d *core.Task) {
			m := opened[int](d, Config{Cap: capacity, Overflow: Fail})
			for range capacity {
				wantErr("Send", m.Send(d, 0), nil)
			}
			wantErr("full", m.Send(d, 0), ErrFull)
			wantErr("full", m.Send(background, 0), ErrFull)
			queued(m)
			wantErr("after it was full", m.Send(background, 0), nil)
			d.Yield()
			queued(m)
			// All but one taken from home.
			for range capacity - 1 {
				wantErr("Send", m.Send(d, 0), nil)
			}
			wantErr("the last place", m.Send(background, 0), nil)
			wantErr("full", m.Send(background, 0), ErrFull)
			wantErr("full", m.Send(d, 0), ErrFull)
		})
	}
}

func TestSendMisuse(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{})
		var none context.Context
		wantPanic(func() { m.Send(none, 1) }, "mailbox: ", "nil context")
		other := spawn(d.Scheduler(), func(t *core.Task) { t.Yield() })
		wantPanic(func() { m.Send(other, 1) }, "only inside its own tasklet")
	})
}
