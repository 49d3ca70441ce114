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

// Listener accepts connections for the tasks of one scheduler. It is a net.Listener.
type Listener struct {
	// Set in Listen, then read-only.
	listener net.Listener
	h        *home
	gone     chan struct{} // closed by the first Close

	side    side
	closing sync.Once
}

// Listen is net.Listen for the tasks of the scheduler that ctx belongs to: for "tcp", "tcp4",
// "tcp6", "unix" and "unixpacket". It parks while it looks up a host's name. ctx must belong to the
// running task; what ends it before Listen has returned ends that, and does nothing afterwards.
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

// Accept is net.Listener's: it parks until somebody connects. The connection is a *Conn. A kill is
// raised at the entry, or while it is parked; a connection that came at the same moment is
// returned, and the kill is raised at the next blocking point.
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

// All returns an iterator over the connections: the loop of a server. It accepts one after the
// other, and ends when the listener is closed. No other error of Accept ends it, since most of them
// pass: the process may have too many open files (EMFILE) until some client leaves, or a client may
// be gone before it was accepted. Such an error is yielded in place of a connection, which is nil
// then; after it the iterator waits for 5 ms of real time, and twice as long after each further
// error in a row, up to a second. Only os.ErrDeadlineExceeded, if there is a deadline, is yielded
// once and ends the loop.
//
// The body of the loop runs in the caller, and should start a tasklet for each connection. A break
// leaves the listener open. All parks as Accept does, and a kill is raised at the same places, and
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

// Pauses after errors of Accept, as package net/http makes them.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// rest waits for d, or until l is closed. By the real clock, since files are closed in real time.
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

var errRested = errors.New("netio: the rest is over") // so that there is nothing to close

// Close is net.Listener's. An Accept that is under way returns with net.ErrClosed. From any
// goroutine; it does not park.
func (l *Listener) Close() error {
	err := l.listener.Close()
	l.closing.Do(func() { close(l.gone) }) // after it, so that the loop of All finds it closed
	return err
}

// Addr is net.Listener's.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// SetDeadline lets Accept end with os.ErrDeadlineExceeded; see [Conn.SetDeadline].
func (l *Listener) SetDeadline(at time.Time) error { return l.side.setLimit(at) }
