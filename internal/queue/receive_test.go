package queue

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

func TestNext(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{})
		soon, cancel := core.WithTimeout(d, time.Second)
		defer cancel()
		_, err := m.Next(soon)
		wantErr("Next of an empty one", err, ErrTimeout)
		m.Send(d, 1)
		v, err := m.Next(soon)
		wantErr("Next with a message and a done context", err, nil) // rule 13
		want("message", v, 1)

		why := errors.New("why")
		ctx, stop := context.WithCancelCause(d)
		go func() { stop(why) }()
		_, err = m.Next(ctx)
		wantErr("Next", err, why)

		go func() { m.Send(background, 2); m.Close() }()
		v, err = m.Next(d)
		wantErr("Next", err, nil)
		want("message", v, 2)
		_, err = m.Next(d)
		wantErr("Next of a closed one", err, ErrClosed)
		_, ok := m.TryNext()
		want("TryNext", ok, false)
	})
}

// Receive ends when the mailbox is closed and nothing is left.
func TestReceive(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{Cap: 2})
		spawn(d.Scheduler(), func(t *core.Task) {
			for i := range 7 {
				m.Send(t, i)
			}
			m.Close()
		})
		sum := 0
		for v := range m.Receive() {
			sum += v
		}
		want("sum", sum, 21)
		for range m.Receive() {
			fail("a message after the end")
		}
	})
}

// Rule 10: d counts anew for each message; the last pair is (zero, ErrTimeout); closing ends it
// without a pair.
func TestReceiveTimeout(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{})
		spawn(d.Scheduler(), func(t *core.Task) {
			for i := 1; i <= 4; i++ {
				t.Sleep(900 * time.Millisecond)
				m.Send(t, i)
			}
		})
		begin := d.Scheduler().Now()
		var got []int
		for v, err := range m.ReceiveTimeout(time.Second) {
			if err != nil {
				wantErr("the last", err, ErrTimeout)
				want("the last", v, 0)
			}
			got = append(got, v)
		}
		want("messages", got, []int{1, 2, 3, 4, 0})
		want("time", d.Scheduler().Now().Sub(begin), 4600*time.Millisecond)

		spawn(d.Scheduler(), func(*core.Task) { m.Close() })
		for v, err := range m.ReceiveTimeout(time.Second) {
			fail("a pair (%v, %v) of a closed mailbox", v, err)
		}
	})
}

// With d <= 0 nothing is waited for, but the others have their turn.
func TestReceiveTimeoutZero(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{})
		m.Send(d, 1)
		m.Send(background, 2)
		spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, 3) })
		begin := d.Scheduler().Now()
		for _, limit := range []time.Duration{0, -1} {
			var got []int
			for v, err := range m.ReceiveTimeout(limit) {
				if err == nil {
					got = append(got, v)
				}
			}
			if limit == 0 {
				want("messages", got, []int{1, 2, 3})
			} else {
				want("messages", got, []int(nil))
			}
		}
		want("time", d.Scheduler().Now().Sub(begin), 0)
		m.Close()
		for range m.ReceiveTimeout(0) {
			fail("a pair of a closed mailbox")
		}
	})
}

// Rule 8: the effective max is that of the capacity; after the first message the batch waits for
// more, at most wait.
func TestReceiveBatch(t *testing.T) {
	type step struct {
		after time.Duration
		sent  int
	}
	for _, c := range []struct {
		name     string
		max, cap int
		wait     time.Duration
		steps    []step
		sizes    []int
		times    []time.Duration // since the start
	}{
		{"what is there", 10, 100, 0, []step{{0, 3}, {time.Second, 2}, {0, 12}}, []int{3, 2, 10, 2}, []time.Duration{0, time.Second, time.Second, time.Second}},
		{"until the time is over", 10, 100, time.Second, []step{{0, 1}, {900 * time.Millisecond, 1}, {200 * time.Millisecond, 1}},
			[]int{2, 1}, []time.Duration{time.Second, 2100 * time.Millisecond}},
		{"until it is full", 3, 100, time.Hour, []step{{0, 2}, {time.Minute, 5}}, []int{3, 3, 1}, []time.Duration{time.Minute, time.Minute, 61 * time.Minute}},
		{"for ever", 2, 100, -1, []step{{0, 1}, {1000 * time.Hour, 1}}, []int{2}, []time.Duration{1000 * time.Hour}},
		{"cut to the capacity", 1000, 4, -1, []step{{0, 9}}, []int{4, 4}, []time.Duration{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			home(t, func(d *core.Task) {
				m := opened[int](d, Config{Cap: c.cap})
				begin := d.Scheduler().Now()
				sent := 0
				spawn(d.Scheduler(), func(t *core.Task) {
					for _, s := range c.steps {
						t.Sleep(s.after)
						for range s.sent {
							m.Send(t, sent)
							sent++
						}
					}
				})
				var sizes []int
				var times []time.Duration
				read := 0
				for batch := range m.ReceiveBatch(c.max, c.wait) {
					for _, v := range batch {
						want("message", v, read)
						read++
					}
					sizes = append(sizes, len(batch))
					times = append(times, d.Scheduler().Now().Sub(begin))
					if len(sizes) == len(c.sizes) {
						break
					}
				}
				want("sizes", sizes, c.sizes)
				want("times", times, c.times)
			})
		})
	}
}

// Rule 8: while a batch is collected its messages count, and a kill leaves them; Close hands over
// what is there.
func TestReceiveBatchStaysQueued(t *testing.T) {
	home(t, func(d *core.Task) {
		m := New[int](Config{Cap: 4})
		var batches [][]int
		read := func(t *core.Task) {
			m.Open(t)
			defer m.Hold()
			for batch := range m.ReceiveBatch(4, -1) {
				batches = append(batches, append([]int(nil), batch...))
			}
		}
		r := spawn(d.Scheduler(), read)
		d.Yield()
		for i := range 3 {
			m.Send(d, i)
		}
		d.Yield()
		want("Len", m.Len(), 3)
		r.Kill(false)
		d.Sleep(time.Second)
		want("state", r.State(), core.Finished)
		want("Len after the kill", m.Len(), 3)
		want("batches", batches, [][]int(nil))

		spawn(d.Scheduler(), read)
		d.Yield()
		m.Close()
		d.Sleep(time.Second)
		want("batches after Close", batches, [][]int{{0, 1, 2}})
	})
}

func TestReceiveBatchMisuse(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{})
		wantPanic(func() { m.ReceiveBatch(0, 0) }, "mailbox: ", "max 0", "positive")
	})
}

// Rule 9: the first that matches; the others keep their order.
func TestMatch(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{Cap: 6})
		is := func(n int) func(int) bool { return func(v int) bool { return v == n } }
		for i := range 5 {
			m.Send(d, i)
		}
		for _, n := range []int{3, 0, 4} {
			v, err := m.Match(d, is(n))
			wantErr("Match", err, nil)
			want("match", v, n)
		}
		looked := 0
		go func() {
			for i := 5; i < 8; i++ {
				m.Send(background, i)
			}
		}()
		v, err := m.Match(d, func(v int) bool { looked++; return v == 7 })
		wantErr("Match", err, nil)
		want("match", v, 7)
		want("each was looked at once", looked, 5)

		soon, cancel := core.WithTimeout(d, time.Second)
		defer cancel()
		_, err = m.Match(soon, is(100))
		wantErr("Match of what does not come", err, ErrTimeout)
		go func() { m.Send(background, 8); m.Close() }()
		_, err = m.Match(d, is(100))
		wantErr("Match of a closed one", err, ErrClosed)
		want("the rest", queued(m), []int{1, 2, 5, 6, 8})
	})
}

// A message that was on its way when the mailbox was closed is still found.
func TestMatchOnTheWay(t *testing.T) {
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{Cap: 6})
		m.Send(d, 1)
		m.Send(background, 2)
		m.Close()
		v, err := m.Match(d, func(v int) bool { return v == 2 })
		wantErr("Match", err, nil)
		want("match", v, 2)
	})
}

// Rule 9: nothing matches and the mailbox is full: it could never end.
func TestMatchFull(t *testing.T) {
	for _, policy := range []Policy{Block, Fail, DropNewest} {
		home(t, func(d *core.Task) {
			m := opened[int](d, Config{Cap: 2, Overflow: policy})
			m.Send(d, 1)
			spawn(d.Scheduler(), func(t *core.Task) { m.Send(t, 2); m.Send(t, 3) })
			_, err := m.Match(d, func(v int) bool { return v == 3 })
			wantErr("Match", err, ErrFull)
			want("left", m.Len(), 2)
		})
	}
	home(t, func(d *core.Task) {
		m := opened[int](d, Config{Cap: 2, Overflow: DropOldest})
		spawn(d.Scheduler(), func(t *core.Task) {
			for i := range 20 {
				m.Send(t, i)
				if i%3 == 0 {
					t.Yield()
				}
			}
		})
		v, err := m.Match(d, func(v int) bool { return v == 17 })
		wantErr("Match", err, nil)
		want("match", v, 17)
	})
}

// Only the reader may read; the text names both.
func TestReadMisuse(t *testing.T) {
	home(t, func(d *core.Task) {
		m := New[int](Config{})
		wantPanic(func() { m.TryNext() }, "mailbox: TryNext", "no reader")
		reader := spawn(d.Scheduler(), func(t *core.Task) { m.Open(t); t.Sleep(time.Hour) })
		d.Yield()
		for op, f := range map[string]func(){
			"TryNext":        func() { m.TryNext() },
			"Next":           func() { m.Next(d) },
			"Match":          func() { m.Match(d, nil) },
			"TakeBatch":      func() { m.TakeBatch(nil, 1) },
			"Receive":        func() { m.Receive()(nil) },
			"ReceiveTimeout": func() { m.ReceiveTimeout(1)(nil) },
			"ReceiveBatch":   func() { m.ReceiveBatch(1, 1)(nil) },
		} {
			wantPanic(f, "mailbox: "+op, d.String(), reader.String(), "one reader")
		}
		wantPanic(func() { m.Open(d) }, "mailbox: opened by "+d.String(), reader.String())
	})
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		m := opened[int](d, Config{})
		m.Hold()
		stranger := new(core.Task)
		stranger.Init(other, lastID.Add(1), runFunc(func(*core.Task) {}))
		wantPanic(func() { m.Open(stranger) }, "another scheduler")
	})
}

// Rule 17 and the glossary: a read is a blocking point, whether it has to wait or not; the message
// stays.
func TestKillOfABusyReader(t *testing.T) {
	home(t, func(d *core.Task) {
		for _, read := range []func(*Queue[int], *core.Task){
			func(m *Queue[int], t *core.Task) { m.Next(t) },
			func(m *Queue[int], t *core.Task) { m.Match(t, func(int) bool { return true }) },
			func(m *Queue[int], t *core.Task) { m.ReceiveBatch(1, 0)(func([]int) bool { return false }) },
			func(m *Queue[int], t *core.Task) { m.ReceiveTimeout(1)(func(int, error) bool { return false }) },
		} {
			m := New[int](Config{})
			m.Send(d, 1)
			spawn(d.Scheduler(), func(t *core.Task) {
				m.Open(t)
				defer m.Hold()
				t.Kill(false)
				read(m, t)
				fail("the kill was not raised")
			})
			d.Yield()
			want("Len", m.Len(), 1)
		}
	})
}

// A reader that was killed while it waited is not woken from another wait by a message.
func TestNoWakeUpAfterAKill(t *testing.T) {
	home(t, func(d *core.Task) {
		m := New[int](Config{})
		slept := time.Duration(0)
		r := spawn(d.Scheduler(), func(t *core.Task) {
			m.Open(t)
			defer func() {
				begin := t.Scheduler().Now()
				t.Sleep(time.Minute)
				slept = t.Scheduler().Now().Sub(begin)
			}()
			m.Next(t)
		})
		d.Yield()
		r.Kill(false)
		d.Sleep(time.Second)
		m.Send(d, 1)
		d.Sleep(time.Hour)
		want("slept", slept, time.Minute)
	})
}

// A stackless reader is called when there is something, and only then.
func TestAwait(t *testing.T) {
	bubble(t, func(d *core.Task, other *core.Scheduler, rest func()) {
		calls, sum := 0, 0
		m := New[int](Config{Cap: 8})
		r := new(core.Task)
		r.Init(d.Scheduler(), lastID.Add(1), runFunc(func(t *core.Task) {
			calls++
			m.StopAwait()
			for range 8 {
				for _, v := range queued(m) {
					sum += v
				}
				if m.Await(3) {
					return
				}
				if m.Drained() {
					m.Discard()
					t.Finish()
					return
				}
			}
			fail("Await is of two minds")
		}))
		m.Open(r)
		r.Wake()
		rest()
		want("calls", calls, 1)
		m.Send(d, 1)
		m.Send(background, 2)
		rest()
		want("calls with two of three", calls, 1)
		r.Wake()
		rest()
		want("sum", sum, 3)
		for i := range 3 {
			m.Send(background, i)
		}
		rest()
		want("calls", calls, 3)
		m.Send(d, 10)
		m.Close()
		rest()
		want("sum", sum, 16)
		want("state", r.State(), core.Finished)
	})
}
