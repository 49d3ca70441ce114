package netio

import (
	"context"
	"net"
)

// PacketConn sends and receives datagrams for the tasks of one scheduler. It implements
// net.PacketConn. Use [ListenPacket] to make one; the zero PacketConn is not usable.
type PacketConn struct {
	link
	conn net.PacketConn // set when it is made, then read-only
}

// ListenPacket announces on a local network address, like net.ListenPacket, for the tasks of the
// scheduler that ctx belongs to. It parks while it looks up a host name. It returns the errors of
// net.ListenPacket, or [scheduler.ErrTimeout] or the cause of ctx if ctx ends first. ctx must
// belong to the running task, and has no effect on the PacketConn afterwards.
func ListenPacket(ctx context.Context, network, addr string) (*PacketConn, error) {
	h, t, limit := homeOf(ctx, "netio.ListenPacket")
	conn, err := outside(h, t, limit, func(ctx context.Context) (net.PacketConn, error) {
		return new(net.ListenConfig).ListenPacket(ctx, network, addr)
	})
	if err != nil {
		return nil, err
	}
	c := &PacketConn{conn: conn}
	c.init(h, conn)
	return c, nil
}

// NetConn returns the underlying connection; see [Conn.NetConn].
func (c *PacketConn) NetConn() net.PacketConn { return c.conn }

// ReadFrom implements net.PacketConn. It parks the calling task until a datagram arrives. Kills are
// raised as in [Conn.Read].
func (c *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	sd := &c.in
	sd.enter(opReadFrom)
	defer sd.turn.give()
	for sd.raw.fd != nil {
		n, from, err := sd.raw.oneFrom(b)
		if err != errAgain {
			return n, from, c.opError("read", nil, err)
		}
		t := c.h.caller(opReadFrom)
		if t == nil || !c.h.watch(&c.link) {
			break
		}
		if err := sd.wait(t); err != nil {
			return 0, nil, c.opError("read", nil, err)
		}
	}
	call := sd.call(opReadFrom, b)
	n, err := helped(call)
	return n, call.addr, err
}

// WriteTo implements net.PacketConn. It parks the calling task while there is no room for the
// datagram. If a kill is raised, the datagram was not sent.
func (c *PacketConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	sd := &c.out
	sd.enter(opWriteTo)
	defer sd.turn.give()
	for sd.raw.fd != nil {
		ok, err := sd.raw.oneTo(b, addr)
		if !ok {
			break
		}
		if err == nil {
			return len(b), nil
		}
		if err != errAgain {
			return 0, c.opError("write", addr, err)
		}
		t := c.h.caller(opWriteTo)
		if t == nil || !c.h.watch(&c.link) {
			break
		}
		if err := sd.wait(t); err != nil {
			return 0, c.opError("write", addr, err)
		}
	}
	call := sd.call(opWriteTo, b)
	call.addr = addr
	return helped(call)
}

// opError returns err as package net would return it.
func (c *PacketConn) opError(op string, addr net.Addr, err error) error {
	if err == nil {
		return nil
	}
	local := c.conn.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: addr, Err: err}
}
