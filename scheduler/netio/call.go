package netio

import (
	"net"
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
)

// op is an operation on a connection or a listener.
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

// call is one call of a connection's method. A helper makes it while the task is parked.
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

	returned sync.WaitGroup // done when the helper no longer uses the call

	// Owned by the scheduler.
	t     *core.Task // nil when no task waits any more
	place core.Waiter
	done  bool
	cut   bool // the call was interrupted and had no result
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

// make makes the call on the current goroutine.
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

// Do ends the wait. It runs on the scheduler.
func (c *call) Do() {
	c.sd.h.keep(c.w)
	c.done = true
	if c.t != nil {
		c.t.Wake()
	}
}

// Interrupt is called when the task is killed while it waits.
func (c *call) Interrupt() { c.sd.interrupt() }

// help lets a helper make the call, and parks t until the call has returned. A kill interrupts the
// call; cut is then set, unless the call had a result all the same. A kill is raised at once only
// when the scheduler ends.
func (c *call) help(t *core.Task) {
	sd := c.sd
	c.n, c.conn, c.err = 0, nil, nil
	c.t, c.done, c.cut = t, false, false
	c.place.SetItem(c)
	c.returned.Add(1)
	sd.begin()
	sd.h.hand(c)
	defer func() {
		c.t = nil
		if !c.done { // a kill was raised, and the helper still uses the buffer
			c.returned.Wait()
			sd.spare = nil // because c.Do has not run yet
		}
		if sd.finish() {
			c.settle()
		}
	}()
	for !c.done {
		_ = t.Park(core.Wait{Kind: core.InIO, In: &c.place})
	}
}

// settle evaluates a call that was interrupted, so that data that was read, or a connection that
// was accepted, is not lost.
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
