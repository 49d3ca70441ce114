package inspector

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/stats"
	"github.com/gotasklet/tasklet/internal/view"
)

// moment is a survey that requests share, with what was computed from it.
type moment struct {
	view.Survey
	at   time.Time    // real time, when the survey was made
	cost atomic.Int64 // ns that it took, with what was computed from it since
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
	if m := h.now; m != nil && !h.sys.Virtual() && time.Since(m.at) < max(least, times*time.Duration(m.cost.Load())) {
		return m
	}
	begin := time.Now()
	m := &moment{Survey: view.Look(h.sys.Root(), &h.rates), at: begin}
	m.read = stats.Read(h.sys)
	if h.now != nil {
		m.load = loadSince(m.read, h.now.read)
	}
	m.cost.Store(int64(time.Since(begin)))
	h.now = m
	return m
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

// pays adds the time since begin to the cost of m.
func (m *moment) pays(begin time.Time) { m.cost.Add(int64(time.Since(begin))) }

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
