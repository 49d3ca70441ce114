package netio

import (
	"net"
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
)

// op is what is to be done with a connection or a listener.
type op uint8

const (
	opRead op = iota
	opWrite
	opReadFrom
	opWriteTo
	opAccept
)

var opNames = [...]string{"Read", "Write", "ReadFrom", "WriteTo", "Accept"}

func (o op) String() string { return opNames[o] }

// call is one call of a connection's method, made by a helper while the task is parked.
type call struct {
	sd *side
	w  *helper

	// Owned by the task until the call is handed over, then by the helper until it has returned.
	op   op
	b    []byte
	addr net.Addr
	n    int
	sent int // by calls that were interrupted
	conn net.Conn
	err  error

	returned sync.WaitGroup // the helper lets go of the call

	// Owned by the scheduler.
	t     *core.Task // nil when nobody waits any more
	place core.Waiter
	done  bool
	cut   bool // it was interrupted, and nothing came of it
}

func (c *call) servedBy(w *helper) { c.w = w }

func (c *call) run() {
	defer c.returned.Done()
	defer func() {
		if v := recover(); v != nil {
			c.err = core.NewPanicError(v)
		}
	}()
	c.make()
}

// make makes the call, on whatever goroutine.
func (c *call) make() {
	switch e := c.sd.end; c.op {
	case opRead:
		c.n, c.err = e.(net.Conn).Read(c.b)
	case opWrite:
		c.n, c.err = e.(net.Conn).Write(c.b)
	case opReadFrom:
		c.n, c.addr, c.err = e.(net.PacketConn).ReadFrom(c.b)
	case opWriteTo:
		c.n, c.err = e.(net.PacketConn).WriteTo(c.b, c.addr)
	case opAccept:
		c.conn, c.err = e.(net.Listener).Accept()
	}
}

// Do is the end of the wait.
func (c *call) Do() {
	c.sd.h.keep(c.w)
	c.done = true
	if c.t != nil {
		c.t.Wake()
	}
}

// Interrupt is called when the task is killed while it waits.
func (c *call) Interrupt() { c.sd.interrupt() }

// help has a helper make the call, and parks t until that has returned. A kill interrupts it: then
// cut is set, unless something has come of the call all the same. Only when the scheduler ends a
// kill is raised at once.
func (c *call) help(t *core.Task) {
	sd := c.sd
	c.n, c.conn, c.err = 0, nil, nil
	c.t, c.done, c.cut = t, false, false
	c.place.Item = c
	c.returned.Add(1)
	sd.begin()
	sd.h.hand(c)
	defer func() {
		c.t = nil
		if !c.done { // raised: the buffer is the task's again only when the helper has let go of it
			c.returned.Wait()
			sd.spare = nil // c.Do is still to come
		}
		if sd.finish() {
			c.settle()
		}
	}()
	for !c.done {
		_ = t.Park(core.Wait{Kind: core.InIO, In: &c.place})
	}
}

// settle is for a call that was interrupted: what was read or accepted is not lost.
func (c *call) settle() {
	switch c.op {
	case opRead, opReadFrom:
		if c.n > 0 {
			c.err = nil
		}
		c.cut = c.n == 0 && c.err != nil
	case opAccept:
		c.cut = c.err != nil
	case opWrite, opWriteTo:
		if c.cut = c.err != nil; c.cut {
			c.sent += c.n
			c.b = c.b[c.n:]
		}
	}
}
