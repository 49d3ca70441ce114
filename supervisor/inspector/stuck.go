package inspector

import (
	"strconv"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/view"
)

// maxStuck is the largest number of rows of a list of the page Stuck.
const maxStuck = 50

func (h *handler) stuckView() *result {
	m := h.look()
	defer m.pays(time.Now())
	r := &result{head: map[string]any{"system": fields.Name(h.sys.Name())}}
	pick := func(name string, value func(p view.Place) float64) []int {
		places := best(m, maxStuck, func(i int) float64 { return value(m.Place(i)) }, func(x float64) bool { return x > 0 })
		r.add(name, rowsOf(m, places))
		return places
	}
	is := func(ok bool, x float64) float64 {
		if ok {
			return x
		}
		return 0
	}
	pick("stalled", func(p view.Place) float64 { return is(p.State == "stalled", 1) })
	r.add("rings", h.rings(m))
	full := pick("full", func(p view.Place) float64 { return is(p.Full, 1) })
	// The senders in line are among the tasklets that wait for the owner of a full mailbox.
	rows := r.lists[len(r.lists)-1].rows
	at := map[*actor.Tasklet]map[string]any{}
	for k, i := range full {
		if t := m.Task(i); t != nil {
			at[t] = rows[k].fields
		}
	}
	senders := map[*actor.Tasklet][]map[string]any{}
	for i, on := range m.Waits() {
		if at[on] != nil && len(senders[on]) < 20 {
			senders[on] = append(senders[on], briefOf(m.Task(i)))
		}
	}
	for t, s := range senders {
		at[t]["senders"] = s
	}
	pick("waiting", func(p view.Place) float64 { return is(p.Noise == waitingNoise, 1) })
	pick("ending", func(p view.Place) float64 { return is(p.Killed && p.State != "finished" && p.Noise > waitingNoise, 1) })
	pick("restarting", func(p view.Place) float64 {
		return is(p.Restarted || p.State == "restarting", 1+float64(p.Restarts))
	})
	r.add("stalls", h.stalls())
	return r
}

// rings returns the rings of tasklets that wait for each other now, and the deadlocks that were
// reported.
func (h *handler) rings(m *moment) (rows []row) {
	next := map[*actor.Tasklet]*actor.Tasklet{}
	place := map[*actor.Tasklet]int{}
	for i, on := range m.Waits() {
		t := m.Task(i)
		next[t], place[t] = on, i
	}
	walked := map[*actor.Tasklet]*actor.Tasklet{} // from which tasklet it was walked
	for i := range m.Waits() {
		start := m.Task(i)
		t := start
		for t != nil && walked[t] == nil {
			walked[t] = start
			t = next[t]
		}
		if t == nil || walked[t] != start || len(rows) == maxStuck {
			continue
		}
		var links []map[string]any
		for u := t; len(links) == 0 || u != t; u = next[u] {
			link := briefOf(u)
			if _, known := place[u]; known {
				link["wait"] = u.Glance().Wait
			}
			links = append(links, link)
		}
		rows = append(rows, row{"now " + t.ID().String(), map[string]any{"links": links, "now": true}})
	}
	all, _, _ := h.rec.last()
	for _, e := range all {
		d, ok := e.event.Err.(*actor.DeadlockError)
		if !ok || e.event.Kind != event.Deadlock || len(rows) == maxStuck {
			continue
		}
		var links []map[string]any
		for _, l := range d.Chain[:min(len(d.Chain), 20)] {
			link := map[string]any{"path": fields.Name(l.Task), "wait": strings.TrimSpace(l.Kind.String())}
			if l.On != "" {
				link["on"] = fields.Name(l.On)
			}
			links = append(links, link)
		}
		rows = append(rows, row{"event " + strconv.FormatUint(e.event.Seq, 10), map[string]any{
			"links": links, "more": len(d.Chain) - len(links), "time_ms": e.event.Time.UnixMilli(),
			"soft": e.event.Soft, "ring": !d.Quiescent,
		}})
	}
	return rows
}

// stalls returns the tasklets that were reported because they kept their schedulers, with how
// often.
func (h *handler) stalls() (rows []row) {
	at := map[string]int{}
	all, _, _ := h.rec.last()
	for _, e := range all {
		if e.event.Kind != event.Stall {
			continue
		}
		path := fields.Name(e.event.Path)
		if k, ok := at[path]; ok {
			rows[k].fields["stalls"] = rows[k].fields["stalls"].(int) + 1
		} else if len(rows) < maxStuck {
			at[path] = len(rows)
			rows = append(rows, row{path, map[string]any{
				"path": path, "stalls": 1, "last_ms": e.event.Time.UnixMilli(), "seq": e.event.Seq,
			}})
		}
	}
	return rows
}
