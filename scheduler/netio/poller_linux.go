package netio

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
)

// poller waits for many connections with one goroutine. A connection is registered with the
// scheduler's epoll descriptor, edge-triggered and for both directions, when a task waits for it
// for the first time, and stays registered until it is closed. Go's runtime polls that descriptor,
// so the goroutine waits for it as for a connection. It hands events to the scheduler in batches,
// and fetches the next batch when the scheduler is done with the last.
//
// No edge is lost: a task tries its call first, and parks only if no signal has come since. The
// try, the decision to park and the delivery of signals all happen on the scheduler. A signal that
// comes late, for data that was read already, costs one attempt.
type poller struct {
	// Set in newPoller, then read-only.
	h    *home
	fd   int             // the epoll descriptor
	file *os.File        // owns fd
	conn syscall.RawConn // of file

	// Owned by the goroutine while it polls, by the scheduler while a batch is injected.
	events [256]syscall.EpollEvent
	n      int
	next   chan struct{} // capacity 1; filled when the scheduler is done with a batch

	// Owned by the scheduler.
	entries []*watched // by id
	free    []int32    // unused ids
	seq     int32      // of the connection registered last
}

// watched is the registration of a connection. It does not refer to the connection, so that one
// that is dropped without Close can be collected, and is then closed by package net.
type watched struct {
	p       *poller
	in, out signal
	id      int32
	seq     int32 // distinguishes it from earlier ones with the same id

	// Atomic: set by Close or by the garbage collector, whichever comes first, which then returns
	// the id.
	forgotten atomic.Bool
}

// watch registers c if necessary, and reports whether signals come for it. It must be called on the
// scheduler.
func (h *home) watch(c *link) bool {
	if c.in.signal != nil {
		return true
	}
	if c.unwatched {
		return false
	}
	if h.poller == nil && !h.newPoller() {
		return false
	}
	w := h.poller.add(c.in.raw.fd)
	if w == nil {
		c.unwatched = true
		return false
	}
	c.in.signal, c.out.signal = &w.in, &w.out
	c.watched.Store(w)
	runtime.AddCleanup(c, (*watched).forget, w)
	return true
}

// forget is called when the connection is closed or collected, on any goroutine.
func (w *watched) forget() {
	if w != nil && !w.forgotten.Swap(true) {
		w.p.h.s.Inject(w)
	}
}

// Do returns the id. It runs on the scheduler.
func (w *watched) Do() {
	w.p.entries[w.id] = nil
	w.p.free = append(w.p.free, w.id)
}

func (h *home) newPoller() bool {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	_ = syscall.SetNonblock(fd, true) // Go's runtime polls only non-blocking descriptors
	p := &poller{h: h, fd: fd, file: os.NewFile(uintptr(fd), "epoll"), next: make(chan struct{}, 1)}
	if p.conn, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return false
	}
	h.poller = p
	h.running.Go(p.run)
	return true
}

// These are the event bits that concern each direction. A bit that concerns both wakes both, and
// the next try returns the result.
const (
	both  = syscall.EPOLLERR | syscall.EPOLLHUP
	last  = both | syscall.EPOLLRDHUP | syscall.EPOLLPRI
	reads = last | syscall.EPOLLIN
	sends = both | syscall.EPOLLOUT
	edge  = 1 << 31 // syscall.EPOLLET, which is negative
)

// add registers a descriptor. It returns nil if that fails.
func (p *poller) add(conn syscall.RawConn) *watched {
	p.seq++
	w := &watched{p: p, id: int32(len(p.entries)), seq: p.seq}
	reused := len(p.free) > 0
	if reused {
		w.id = p.free[len(p.free)-1]
	}
	event := syscall.EpollEvent{Events: reads | sends | edge, Fd: w.id, Pad: w.seq}
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, int(fd), &event)
	})
	switch {
	case err != nil || failed != nil:
		return nil
	case reused:
		p.free = p.free[:len(p.free)-1]
		p.entries[w.id] = w
	default:
		p.entries = append(p.entries, w)
	}
	return w
}

// run fetches one batch of events after the other.
func (p *poller) run() {
	fetch := func(uintptr) bool {
		n, _ := syscall.EpollWait(p.fd, p.events[:], 0)
		p.n = max(n, 0)
		return n > 0
	}
	for p.conn.Read(fetch) == nil && p.h.s.Inject(p) {
		<-p.next
	}
}

// Do delivers the signals of a batch. It runs on the scheduler.
func (p *poller) Do() {
	for _, e := range p.events[:p.n] {
		w := p.entries[e.Fd]
		if w == nil || w.seq != e.Pad {
			continue // closed since the event was fetched
		}
		if e.Events&reads != 0 {
			w.in.final = w.in.final || e.Events&last != 0
			w.in.Do()
		}
		if e.Events&sends != 0 {
			w.out.Do()
		}
	}
	p.next <- struct{}{}
}

// close ends the goroutine. It is called at the end of the scheduler.
func (p *poller) close() {
	if p != nil {
		_ = p.file.Close()
	}
}
