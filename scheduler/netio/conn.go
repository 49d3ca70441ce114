package netio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// Conn is a network connection whose calls park the calling task instead of blocking its scheduler.
// It implements net.Conn. Use [Dial], [Listener.Accept] or [Wrap] to make one; the zero Conn is not
// usable. Its methods may be called from any task of its scheduler and from ordinary goroutines.
type Conn struct {
	link
	conn net.Conn // set when it is made, then read-only
}

// Wrap returns a connection over c for the tasks of the scheduler that ctx belongs to. c may be any
// net.Conn whose calls end when a deadline passes, or at least when it is closed. If c is a *Conn,
// of this or another scheduler, the new Conn uses the connection under it. ctx must belong to the
// running task, and is not kept. Wrap never parks. It panics if c is nil.
//
// Package net's TCP connections, Unix stream connections and connected UDP sockets are fast. For
// other types a helper goroutine makes each call. Layers such as TLS go on top: wrap the TCP
// connection and pass the *Conn to tls.Client.
func Wrap(ctx context.Context, c net.Conn) *Conn {
	h, _, _ := homeOf(ctx, "netio.Wrap")
	if c == nil {
		misuse("Wrap of a nil connection")
	}
	if ours, ok := c.(*Conn); ok {
		c = ours.conn
	}
	return h.wrap(c)
}

func (h *home) wrap(conn net.Conn) *Conn {
	c := &Conn{conn: conn}
	c.init(h, conn)
	return c
}

// NetConn returns the underlying connection, like the method of tls.Conn. Calls on it block as in
// package net. Do not set its deadlines, as this package sets them too.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Read implements net.Conn. It parks the calling task until there is data. A kill is raised when
// Read is called or while it is parked, and no data was read then. If data arrives at the moment of
// the kill, Read returns it, and the kill is raised at the next blocking point.
func (c *Conn) Read(b []byte) (int, error) {
	sd := &c.in
	sd.enter(opRead)
	defer sd.turn.give()
	if sd.raw.fd == nil {
		return helped(sd.call(opRead, b))
	}
	if len(b) == 0 {
		return c.conn.Read(b) // does not block
	}
	for ; ; sd.drained = false {
		if !sd.drained {
			n, err := sd.raw.one(b)
			if err != errAgain {
				sd.drained = sd.raw.stream && err == nil && n < len(b)
				return n, c.opError("read", err)
			}
		}
		t := c.h.caller(opRead)
		if t == nil || !c.h.watch(&c.link) {
			sd.drained = false
			return helped(sd.call(opRead, b))
		}
		if err := sd.wait(t); err != nil {
			return 0, c.opError("read", err)
		}
	}
}

// Write implements net.Conn. It parks the calling task while the connection has no room, and
// returns when all of b is written or with an error. Concurrent calls are made one after the other.
// A kill is raised when Write is called or while it is parked. In the latter case an unknown part
// of b was written, and the connection can only be closed.
func (c *Conn) Write(b []byte) (sent int, err error) {
	sd := &c.out
	sd.enter(opWrite)
	defer sd.turn.give()
	if sd.raw.fd == nil {
		return helped(sd.call(opWrite, b))
	}
	for {
		n, err := sd.raw.one(b[sent:])
		sent += n
		if err == nil && sent == len(b) {
			return sent, nil
		}
		if err == nil {
			continue
		}
		if err != errAgain {
			return sent, c.opError("write", err)
		}
		t := c.h.caller(opWrite)
		if t == nil || !c.h.watch(&c.link) {
			n, err = helped(sd.call(opWrite, b[sent:]))
			return sent + n, err
		}
		if err := sd.wait(t); err != nil {
			return sent, c.opError("write", err)
		}
	}
}

// opError returns err as package net would return it.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	local := c.conn.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: c.conn.RemoteAddr(), Err: err}
}

// CloseRead shuts down the reading side, if the underlying connection can do that, as TCP and Unix
// sockets can. If it cannot, the error wraps errors.ErrUnsupported. CloseRead never parks, and may
// be called from any goroutine.
func (c *Conn) CloseRead() error {
	if half, ok := c.conn.(interface{ CloseRead() error }); ok {
		return half.CloseRead()
	}
	return c.unsupported("CloseRead")
}

// CloseWrite shuts down the writing side: the other end reads the data written so far, and then
// io.EOF. It fails like [Conn.CloseRead], never parks, and may be called from any goroutine.
func (c *Conn) CloseWrite() error {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.unsupported("CloseWrite")
}

func (c *Conn) unsupported(op string) error {
	return fmt.Errorf("netio: %s of a %T: %w", op, c.conn, errors.ErrUnsupported)
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }
