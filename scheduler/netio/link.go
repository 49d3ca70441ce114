package netio

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// end is what connections and packet connections of package net have in common.
type end interface {
	Close() error
	LocalAddr() net.Addr
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// link is what Conn and PacketConn have in common.
type link struct {
	// Set by init, then read-only.
	h   *home
	end end

	in, out side

	// watched is written by the scheduler, when a task has to wait for the first time, and read by
	// Close on any goroutine.
	watched   atomic.Pointer[watched]
	unwatched bool // it can't be watched; owned by the scheduler
}

func (l *link) init(h *home, e end) {
	l.h, l.end = h, e
	l.in.init(h, e, e.SetReadDeadline, e.Close)
	l.out.init(h, e, e.SetWriteDeadline, e.Close)
	l.in.raw, l.out.raw = newRaw(e, false), newRaw(e, true)
}

// Close closes the connection. Calls that are under way, in whatever task or goroutine, return with
// an error that is net.ErrClosed (or what the connection below has for it). From any goroutine; it
// does not park, and is no blocking point.
func (l *link) Close() error {
	err := l.end.Close()
	l.in.shut()
	l.out.shut()
	l.watched.Load().forget()
	return err
}

// LocalAddr is as in package net.
func (l *link) LocalAddr() net.Addr { return l.end.LocalAddr() }

// SetDeadline sets both deadlines. They go by the real clock, whatever clock the scheduler has,
// since the other end does. A call that is under way is bound by a new deadline, too. The error of
// a call whose deadline has passed is os.ErrDeadlineExceeded, and a net.Error with Timeout. From
// any goroutine, as the following.
func (l *link) SetDeadline(at time.Time) error {
	return errors.Join(l.in.setLimit(at), l.out.setLimit(at))
}

// SetReadDeadline is as in package net; see SetDeadline.
func (l *link) SetReadDeadline(at time.Time) error { return l.in.setLimit(at) }

// SetWriteDeadline is as in package net; see SetDeadline.
func (l *link) SetWriteDeadline(at time.Time) error { return l.out.setLimit(at) }

// helped has a call made by a helper, or there and then for an ordinary goroutine.
func helped(c *call) (int, error) {
	c.sd.do(c)
	c.b = nil
	return c.sent + c.n, c.err
}
