package queue

import (
	"context"
	"strings"
	"testing"

	"github.com/gotasklet/tasklet/internal/core"
)

// Check finds what was broken on purpose: each fault is made in a mailbox that is well, found, and
// undone.
func TestCheckFindsFaults(t *testing.T) {
	home(t, func(d *core.Task) {
		s := d.Scheduler()
		full := opened[int](d, Config{Cap: 2})
		half := opened[int](d, Config{Cap: 8})
		one := opened[int](d, Config{Cap: 9})
		for _, m := range []*Queue[int]{full, full, half} {
			wantErr("send", m.Send(d, 7), nil)
		}
		wantErr("send from elsewhere", half.Send(context.Background(), 8), nil)
		wantErr("with a ticket", half.SendTicket(d, 9, new(ticketCount)), nil)
		wantErr("one", one.Send(d, 1), nil)
		waits := spawn(s, func(t *core.Task) { _ = full.Send(t, 3) })
		d.Yield()
		x, hx := full.ext.Load(), half.ext.Load()
		e := x.line.First().Item().(*Envelope[int])
		all := func() error {
			for _, m := range []*Queue[int]{full, half, one} {
				if err := m.Check(); err != nil {
					return err
				}
			}
			return nil
		}
		wantErr("all is well", all(), nil)
		var other Envelope[int]
		var promised uint32
		for _, f := range []struct {
			name, want string
			do, undo   func()
		}{
			{"one above the capacity", "the capacity is 1", func() { full.cap-- }, func() { full.cap++ }},
			{"one above, promised", "promised, the capacity is 8", func() { half.granted += 8; hx.credits += 8 }, func() { half.granted -= 8; hx.credits -= 8 }},
			{"a wake-up is lost", "was not woken", func() { half.need = 1 }, func() { half.need = never }},
			{"nobody reads", "without a reader", func() { one.reader.Holder, one.need = nil, 9 }, func() { one.reader.Holder, one.need = d, never }},
			{"a credit is lost", "granted is", func() { hx.credits-- }, func() { hx.credits++ }},
			{"a credit too many", "granted is", func() { hx.credits++ }, func() { hx.credits-- }},
			{"nothing is promised", "nothing is promised",
				func() { promised = half.granted; half.granted, hx.credits = 0, 0 },
				func() { half.granted, hx.credits = promised, promised }},
			{"home was not notified", "home was not notified",
				func() { wantErr("send from elsewhere", half.Send(context.Background(), 8), nil); hx.knocked = false },
				func() { hx.knocked = true }},
			{"there is room for the first in line", "a sender waits for room", func() { full.cap++ }, func() { full.cap-- }},
			{"an envelope of another", "not that of its envelope", func() { e.place.SetItem(&other) }, func() { e.place.SetItem(e) }},
			{"decided, and in line", "decided on", func() { e.err = nil }, func() { e.err = errUndecided }},
			{"a leak", "holds something", func() { half.queue.buf[half.queue.index(half.queue.n)] = 5 },
				func() { half.queue.buf[half.queue.index(half.queue.n)] = 0 }},
			{"tickets", "tickets beside", func() { half.queue.aside.slots = append(half.queue.aside.slots, nil) },
				func() { half.queue.aside.slots = half.queue.aside.slots[:len(half.queue.buf)] }},
			{"room that nobody has asked for", "without a sender", func() { one.granted++ }, func() { one.granted-- }},
		} {
			f.do()
			err := all()
			f.undo()
			if err == nil || !strings.Contains(err.Error(), f.want) {
				fail("%s: Check gave %v, want %q in it", f.name, err, f.want)
			}
			wantErr(f.name+", undone", all(), nil)
		}
		half.PutBack(1)
		waits.Kill(false)
		for _, m := range []*Queue[int]{full, half, one} {
			m.Discard()
			wantErr("discarded", m.Check(), nil)
		}
	})
}
