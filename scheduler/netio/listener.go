package netio

import (
	"context"
	"errors"
	"iter"
	"net"
	"os"
	"sync"
	"time"
)

// Listener accepts connections for the tasks of one scheduler. It implements net.Listener. Use
// [Listen] to make one; the zero Listener is not usable.
type Listener struct {
	// Set in Listen, then read-only.
	listener net.Listener
	h        *home
	gone     chan struct{} // closed by the first Close

	side    side
	closing sync.Once
}

// Listen announces on a local network address, like net.Listen, for the tasks of the scheduler that
// ctx belongs to. The network must be "tcp", "tcp4", "tcp6", "unix" or "unixpacket". Listen parks
// while it looks up a host name. It returns the errors of net.Listen, or [scheduler.ErrTimeout] or
// the cause of ctx if ctx ends first. ctx must belong to the running task, and has no effect on the
// Listener afterwards.
func Listen(ctx context.Context, network, addr string) (*Listener, error) {
	h, t, limit := homeOf(ctx, "netio.Listen")
	l, err := outside(h, t, limit, func(ctx context.Context) (net.Listener, error) {
		return new(net.ListenConfig).Listen(ctx, network, addr)
	})
	if err != nil {
		return nil, err
	}
	ln := &Listener{listener: l, h: h, gone: make(chan struct{})}
	ln.side.init(h, l, l.(interface{ SetDeadline(time.Time) error }).SetDeadline, l.Close)
	return ln, nil
}

// Accept implements net.Listener. It parks the calling task until a client connects, and returns a
// *Conn. A kill is raised when Accept is called or while it is parked. If a client connects at the
// moment of the kill, Accept returns the connection, and the kill is raised at the next blocking
// point.
func (l *Listener) Accept() (net.Conn, error) {
	sd := &l.side
	sd.enter(opAccept)
	defer sd.turn.give()
	c := sd.call(opAccept, nil)
	sd.do(c)
	conn := c.conn
	c.conn = nil
	if c.err != nil {
		return nil, c.err
	}
	return l.h.wrap(conn), nil
}

// All returns an iterator over the accepted connections, for the loop of a server. It ends when the
// listener is closed.
//
// Other errors of Accept do not end the iterator, because most of them are temporary: the process
// has too many open files (EMFILE) until some client leaves, or a client has left before it was
// accepted. The iterator yields such an error with a nil connection. Then it waits for 5 ms of real
// time, and twice as long after each further error in a row, up to one second. The exception is
// os.ErrDeadlineExceeded, which is yielded once and ends the iterator.
//
// The loop body runs in the caller, and should start a tasklet for each connection. A break leaves
// the listener open. All parks as [Listener.Accept] does. A kill is raised at the same points, and
// in the wait after an error.
func (l *Listener) All() iter.Seq2[net.Conn, error] {
	return func(yield func(net.Conn, error) bool) {
		for pause := firstPause; ; {
			c, err := l.Accept()
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err == nil:
				pause = firstPause
			}
			if !yield(c, err) || errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				l.rest(pause)
				pause = min(2*pause, lastPause)
			}
		}
	}
}

// Pauses after errors of Accept, as in package net/http.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// rest waits for d, or until l is closed. It uses the real clock, since files are closed in real
// time.
func (l *Listener) rest(d time.Duration) {
	wait := func(ctx context.Context) (net.Listener, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.gone:
		case <-ctx.Done():
		}
		return nil, errRested
	}
	if t := l.h.caller(opAccept); t != nil {
		_, _ = outside(l.h, t, nil, wait)
	} else {
		_, _ = wait(context.Background())
	}
}

var errRested = errors.New("netio: the rest is over") // nothing needs to be closed

// Close implements net.Listener. A pending Accept returns an error that wraps net.ErrClosed. Close
// never parks, and may be called from any goroutine.
func (l *Listener) Close() error {
	err := l.listener.Close()
	l.closing.Do(func() { close(l.gone) }) // last, so that the loop of All finds it closed
	return err
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// SetDeadline sets the time at which Accept returns an error that wraps os.ErrDeadlineExceeded; see
// [Conn.SetDeadline].
func (l *Listener) SetDeadline(at time.Time) error { return l.side.setLimit(at) }
