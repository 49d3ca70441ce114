package netio

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
)

// poller waits for many connections with one goroutine. Each connection for which a task has once
// waited is registered with an epoll descriptor of the scheduler's own, edge-triggered and for both
// directions, until it is closed. That descriptor can itself be polled by Go's runtime, so the
// goroutine waits for it as for a connection, and hands what it finds to the scheduler, a batch at
// a time: the next one is fetched when this one is done with.
//
// No edge is lost: a task tries its call first, and parks only if no signal has come since. Both
// happen on the scheduler, and so does the giving of signals. One that comes late, for something
// that was read already, costs one attempt.
type poller struct {
	// Set in newPoller, then read-only.
	h    *home
	fd   int             // the epoll descriptor
	file *os.File        // which is its owner
	conn syscall.RawConn // of file

	// Owned by the goroutine while it polls, by the scheduler while a batch is injected.
	events [256]syscall.EpollEvent
	n      int
	next   chan struct{} // the scheduler is done with a batch; holds one

	// Owned by the scheduler.
	entries []*watched // by their id
	free    []int32    // ids
	seq     int32      // of the last that was registered
}

// watched is a connection that is registered. It does not refer to that: one that is forgotten
// without Close can be collected, and package net closes it then.
type watched struct {
	p       *poller
	in, out signal
	id      int32
	seq     int32 // tells it from others that had its id

	forgotten atomic.Bool // by Close, or by the garbage collector; the first gives the id back
}

// watch sees to it that signals are given for c, and reports whether they are. On the scheduler.
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

// forget is called when the connection is closed or collected. From any goroutine.
func (w *watched) forget() {
	if w != nil && !w.forgotten.Swap(true) {
		w.p.h.s.Inject(w)
	}
}

// Do gives the id back.
func (w *watched) Do() {
	w.p.entries[w.id] = nil
	w.p.free = append(w.p.free, w.id)
}

func (h *home) newPoller() bool {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	_ = syscall.SetNonblock(fd, true) // or Go's runtime does not poll it
	p := &poller{h: h, fd: fd, file: os.NewFile(uintptr(fd), "epoll"), next: make(chan struct{}, 1)}
	if p.conn, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return false
	}
	h.poller = p
	h.running.Go(p.run)
	return true
}

// The bits of an event that concern a direction; what concerns both wakes both, and the next try
// tells.
const (
	both  = syscall.EPOLLERR | syscall.EPOLLHUP
	last  = both | syscall.EPOLLRDHUP | syscall.EPOLLPRI
	reads = last | syscall.EPOLLIN
	sends = both | syscall.EPOLLOUT
	edge  = 1 << 31 // syscall.EPOLLET, which is negative
)

// add registers a descriptor; nil if that can't be done.
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

// Do gives the signals of a batch.
func (p *poller) Do() {
	for _, e := range p.events[:p.n] {
		w := p.entries[e.Fd]
		if w == nil || w.seq != e.Pad {
			continue // forgotten meanwhile
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

// close ends the goroutine. At the end of the scheduler.
func (p *poller) close() {
	if p != nil {
		_ = p.file.Close()
	}
}
