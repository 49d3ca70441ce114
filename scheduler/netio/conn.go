package netio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// Conn is a connection whose calls park the calling task instead of blocking its scheduler. It is a
// net.Conn.
type Conn struct {
	link
	conn net.Conn // set when it is made, then read-only
}

// Wrap gives c as a connection for the tasks of the scheduler that ctx belongs to. c may be any
// net.Conn whose deadlines, or at least whose Close, end its calls; if it is a *Conn, of whatever
// scheduler, the new one stands on the same connection. ctx must belong to the running task, and is
// not kept. It never parks.
//
// TCP connections, stream connections of unix sockets and connected UDP sockets as package net
// makes them are the fast kinds. Other types have each call made by a helper goroutine. Put what
// has its own layers on top, not below: wrap a TCP connection and give the *Conn to tls.Client.
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

// NetConn gives the connection below, as tls.Conn's does. What is done with it blocks as in package
// net; its deadlines are better left alone.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Read is net.Conn's: it parks until there is something to read. A kill is raised at the entry, or
// while it is parked, and then nothing was read; but what came at the same moment is returned, and
// the kill is raised at the next blocking point.
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

// Write is net.Conn's: it parks while there is no room, and returns when all is written, or with an
// error. Calls at the same time are made one after the other. A kill is raised at the entry, or
// while it is parked: then an unknown part of b was written, and all that is left to do with the
// connection is to close it.
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

// opError is err as package net has it.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	local := c.conn.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: c.conn.RemoteAddr(), Err: err}
}

// CloseRead shuts down the reading side, if the connection below can do that: TCP and unix sockets.
// Else the error is errors.ErrUnsupported. It does not park.
func (c *Conn) CloseRead() error {
	if half, ok := c.conn.(interface{ CloseRead() error }); ok {
		return half.CloseRead()
	}
	return c.unsupported("CloseRead")
}

// CloseWrite shuts down the writing side, so that the other end reads what was written and then an
// io.EOF. As CloseRead.
func (c *Conn) CloseWrite() error {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.unsupported("CloseWrite")
}

func (c *Conn) unsupported(op string) error {
	return fmt.Errorf("netio: %s of a %T: %w", op, c.conn, errors.ErrUnsupported)
}

// RemoteAddr is net.Conn's.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }
