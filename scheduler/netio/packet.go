package netio

import (
	"context"
	"net"
)

// PacketConn sends and receives datagrams for the tasks of one scheduler. It is a net.PacketConn.
type PacketConn struct {
	link
	conn net.PacketConn // set when it is made, then read-only
}

// ListenPacket is net.ListenPacket for the tasks of the scheduler that ctx belongs to. It parks
// while it looks up a host's name. ctx must belong to the running task; what ends it before
// ListenPacket has returned ends that, and does nothing afterwards.
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

// NetConn gives the connection below; see [Conn.NetConn].
func (c *PacketConn) NetConn() net.PacketConn { return c.conn }

// ReadFrom is net.PacketConn's: it parks until a datagram is there. Kills are as for [Conn.Read].
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

// WriteTo is net.PacketConn's: it parks while there is no room for the datagram. When a kill is
// raised nothing was sent.
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

// opError is err as package net has it.
func (c *PacketConn) opError(op string, addr net.Addr, err error) error {
	if err == nil {
		return nil
	}
	local := c.conn.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: addr, Err: err}
}
