package inspector

import (
	"encoding/binary"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/stats"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/view"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// moment is a survey that requests share, with what was computed from it.
type moment struct {
	view.Survey
	at   time.Time     // real time, when the survey was made
	cost time.Duration // that it took
	// most is the longest time in ns for which something was computed from it. It is not the sum:
	// that grows with the number of pages, and faster than the survey ages, so the survey would be
	// used for ever. Atomic: written and read by all requests.
	most atomic.Int64
	read stats.System
	load []float64 // of each scheduler since the survey before, from 0 to 1; nil if it is not known
}

// look returns the last survey, or a new one if that is too old. A survey on a virtual clock is
// never used twice, because real time says nothing about it.
func (h *handler) look() *moment { return h.lookAfter(fresh, share) }

// lookAfter returns the last survey, or a new one if it is older than least and than times its
// cost.
func (h *handler) lookAfter(least, times time.Duration) *moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.now; m != nil && !h.sys.Virtual() && time.Since(m.at) < max(least, times*(m.cost+time.Duration(m.most.Load()))) {
		return m
	}
	begin := time.Now()
	m := &moment{Survey: view.Look(h.sys.Root(), h.rates), at: begin}
	m.read = stats.Read(h.sys)
	if h.now != nil {
		m.load = loadSince(m.read, h.now.read)
	}
	m.cost = time.Since(begin)
	h.now = m
	if h.drop == nil {
		h.drop = time.AfterFunc(keep, h.forget)
	} else {
		h.drop.Reset(keep)
	}
	return m
}

// forget drops what is kept of the past, unless somebody has looked since.
func (h *handler) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.now.at) < keep {
		return
	}
	h.now, h.rates = nil, new(tree.Rates)
	h.hub.forget()
}

// loadSince returns the load of each scheduler between two readings, or nil if it is not measured.
func loadSince(now, before stats.System) (load []float64) {
	up, measured := now.Up-before.Up, false
	for i, s := range now.Schedulers {
		if up <= 0 || i >= len(before.Schedulers) {
			return nil
		}
		measured = measured || s.Busy > 0
		load = append(load, min(1, max(0, float64(s.Busy-before.Schedulers[i].Busy)/float64(up))))
	}
	if !measured {
		return nil
	}
	return load
}

// pays counts the time since begin, in which something was computed from m.
func (m *moment) pays(begin time.Time) {
	for now := int64(time.Since(begin)); ; {
		if most := m.most.Load(); now <= most || m.most.CompareAndSwap(most, now) {
			return
		}
	}
}

// number returns the number of a tasklet in its ID.
func number(id uuid.UUID) uint64 { return binary.BigEndian.Uint64(id[8:]) }

// find returns the place of the tasklet with an ID, or -1.
func (m *moment) find(id uuid.UUID) int {
	defer m.pays(time.Now())
	for i := range m.Len() {
		if t := m.Task(i); t != nil && t.ID() == id {
			return i
		}
	}
	return -1
}

// place returns the place of the tasklet with an ID, in the last survey or in a new one, because a
// tasklet that was started since the last one is asked for too.
func (h *handler) place(id string) (*moment, int, *problem) {
	u, err := uuid.Parse(id)
	if err != nil {
		return nil, 0, problemf(400, "not the ID of a tasklet")
	}
	for _, m := range [...]func() *moment{h.look, func() *moment { return h.lookAfter(0, 1) }} {
		m := m()
		if i := m.find(u); i >= 0 {
			return m, i, nil
		}
	}
	return nil, 0, problemf(404, "no tasklet has this ID now")
}

// tasklet returns the tasklet with an ID.
func (h *handler) tasklet(id string) (*actor.Tasklet, *problem) {
	m, i, err := h.place(id)
	if err != nil {
		return nil, err
	}
	return m.Place(i).Task, nil
}

// under returns the place with a path in m, or -1. It goes down name by name.
func under(m view.Survey, path string) int {
	if m.Len() == 0 {
		return -1
	}
	if m.Path(0) == path {
		return 0
	}
	if strings.ContainsAny(path, "…\\") {
		return underShown(m, path)
	}
	at := -1
	// The places on the way, each with its path as a prefix.
	for i := 0; i < m.Len(); i++ {
		p := m.Place(i)
		if p.Parent != at {
			continue
		}
		name := m.Path(i)
		if name == path {
			return i
		}
		if len(path) > len(name) && path[:len(name)] == name && path[len(name)] == '/' {
			at = i
		}
	}
	return -1
}

// longPath is a number of bytes that no path needs to be cut for.
const longPath = 240

// underShown is like under, for a path as a row shows it. The path of a row is cut if it is long,
// and has escapes for what cannot be printed.
func underShown(m view.Survey, path string) int {
	for i := range m.Len() {
		p := m.Path(i)
		if p == path {
			return i
		}
		if shown := fields.Name(p); len(p) > longPath || shown != p {
			if shown == path || rowOf(m, i).fields["path"] == path {
				return i
			}
		}
	}
	return -1
}
