package netio

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// end has the methods that connections and packet connections of package net share.
type end interface {
	Close() error
	LocalAddr() net.Addr
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// link has the fields and methods that Conn and PacketConn share.
type link struct {
	// Set by init, then read-only.
	h   *home
	end end

	in, out side

	// Atomic: written by the scheduler, when a task has to wait for the first time; read by Close
	// on any goroutine.
	watched   atomic.Pointer[watched]
	unwatched bool // the connection can't be watched; owned by the scheduler
}

func (l *link) init(h *home, e end) {
	l.h, l.end = h, e
	l.in.init(h, e, e.SetReadDeadline, e.Close)
	l.out.init(h, e, e.SetWriteDeadline, e.Close)
	l.in.raw, l.out.raw = newRaw(e, false), newRaw(e, true)
}

// Close closes the connection. Pending calls of tasks and goroutines return an error that wraps
// net.ErrClosed, or the error that the underlying connection returns in this case. Close never
// parks and is not a blocking point. It may be called from any goroutine.
func (l *link) Close() error {
	err := l.end.Close()
	l.in.shut()
	l.out.shut()
	l.watched.Load().forget()
	return err
}

// LocalAddr returns the local address, as in package net.
func (l *link) LocalAddr() net.Addr { return l.end.LocalAddr() }

// SetDeadline sets the deadlines of both directions. They use the real clock, whichever clock the
// scheduler has, because the other end does. A new deadline also applies to pending calls. A call
// whose deadline has passed returns an error that wraps os.ErrDeadlineExceeded and is a net.Error
// with Timeout. SetDeadline may be called from any goroutine.
func (l *link) SetDeadline(at time.Time) error {
	return errors.Join(l.in.setLimit(at), l.out.setLimit(at))
}

// SetReadDeadline sets the deadline of read calls; see SetDeadline.
func (l *link) SetReadDeadline(at time.Time) error { return l.in.setLimit(at) }

// SetWriteDeadline sets the deadline of write calls; see SetDeadline.
func (l *link) SetWriteDeadline(at time.Time) error { return l.out.setLimit(at) }

// helped lets a helper make the call if its caller is a task; for an ordinary goroutine it makes
// the call itself.
func helped(c *call) (int, error) {
	c.sd.do(c)
	c.b = nil
	return c.sent + c.n, c.err
}
