package netio

import (
	"context"
	"net"
	"time"
)

// Listener accepts connections for the tasks of one scheduler. It is a net.Listener.
type Listener struct {
	listener net.Listener // set in Listen, then read-only
	h        *home
	side     side
}

// Listen is net.Listen for the tasks of the scheduler that ctx belongs to: for "tcp", "tcp4", "tcp6", "unix" and "unixpacket". It parks
// while it looks up a host's name. ctx must belong to the running task; what ends it before Listen has returned ends that, and does
// nothing afterwards.
func Listen(ctx context.Context, network, addr string) (*Listener, error) {
	h, t, limit := homeOf(ctx, "netio.Listen")
	l, err := outside(h, t, limit, func(ctx context.Context) (net.Listener, error) {
		return new(net.ListenConfig).Listen(ctx, network, addr)
	})
	if err != nil {
		return nil, err
	}
	ln := &Listener{listener: l, h: h}
	ln.side.init(h, l, l.(interface{ SetDeadline(time.Time) error }).SetDeadline, l.Close)
	return ln, nil
}

// Accept is net.Listener's: it parks until somebody connects. The connection is a *Conn. A kill is raised at the entry, or while it is
// parked; a connection that came at the same moment is returned, and the kill is raised at the next blocking point.
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

// Close is net.Listener's. An Accept that is under way returns with net.ErrClosed. From any goroutine; it does not park.
func (l *Listener) Close() error { return l.listener.Close() }

// Addr is net.Listener's.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// SetDeadline lets Accept end with os.ErrDeadlineExceeded; see [Conn.SetDeadline].
func (l *Listener) SetDeadline(at time.Time) error { return l.side.setLimit(at) }
