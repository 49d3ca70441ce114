package netio

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// side is one direction of a connection, or the only one of a listener.
type side struct {
	turn turn

	// Set when it is made, then read-only.
	h           *home
	end         any                   // the net.Conn, net.PacketConn or net.Listener
	setDeadline func(time.Time) error // of this direction
	close       func() error

	// Owned by who has the turn.
	raw raw // tries calls
	// the last read got less than it wanted: until a signal comes, there is nothing more
	drained bool
	spare   *call // nil until a helper was needed

	// streak counts calls since the last wait. Atomic: written by each who is about to take the
	// turn.
	streak atomic.Uint32

	signal *signal // owned by the scheduler; nil until the connection is watched

	// mu protects the following.
	mu          sync.Mutex
	deadline    time.Time
	closed      bool
	helped      bool // a helper makes a call
	interrupted bool // which has been told to return
	waits       bool // a task waits for the signal
	timer       *time.Timer
}

func (sd *side) init(h *home, end any, setDeadline func(time.Time) error, close func() error) {
	sd.h, sd.end, sd.setDeadline, sd.close = h, end, setDeadline, close
}

// patience is how many calls in a row may be made without a wait before the others get their turn.
const patience = 16

// enter begins a call: it is a blocking point, and the turn is the caller's when it returns.
func (sd *side) enter(o op) {
	sd.h.s.Checkpoint()
	if sd.streak.Add(1) >= patience {
		sd.streak.Store(0)
		if t, _ := sd.h.s.Here(); t != nil {
			t.Yield()
		}
	}
	sd.turn.take(sd.h, o)
}

// call gives a call to be made. It is the turn's.
func (sd *side) call(o op, b []byte) *call {
	if sd.spare == nil {
		sd.spare = &call{sd: sd}
	}
	c := sd.spare
	c.op, c.b, c.sent = o, b, 0
	return c
}

// do makes c: for a task by a helper, for an ordinary goroutine there and then. A kill that
// interrupts it is raised if nothing has come of the call; else at the next blocking point.
func (sd *side) do(c *call) {
	t := sd.h.caller(c.op)
	if t == nil {
		c.make()
		return
	}
	sd.streak.Store(0)
	for c.help(t); c.cut; c.help(t) {
		t.Checkpoint()
	}
}

// begin: a helper is about to make a call.
func (sd *side) begin() {
	sd.mu.Lock()
	sd.helped = true
	sd.mu.Unlock()
}

// interrupt lets the helper's call return at once.
func (sd *side) interrupt() {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	if !sd.helped || sd.interrupted {
		return
	}
	sd.interrupted = true
	if sd.setDeadline(past) != nil {
		_ = sd.close() // there is no other way
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// finish ends what begin has begun, and reports whether the call was interrupted.
func (sd *side) finish() (interrupted bool) {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	interrupted = sd.interrupted
	sd.helped, sd.interrupted = false, false
	if interrupted {
		_ = sd.setDeadline(sd.deadline)
	}
	return interrupted
}

// setLimit is SetReadDeadline or SetWriteDeadline.
func (sd *side) setLimit(at time.Time) error {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	if !sd.interrupted {
		if err := sd.setDeadline(at); err != nil {
			return err
		}
	}
	sd.deadline = at
	sd.nudge()
	return nil
}

// shut notes that the connection is closed.
func (sd *side) shut() {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	sd.closed = true
	sd.nudge()
}

// nudge lets a task that waits for the signal look again. mu held.
func (sd *side) nudge() {
	if sd.waits {
		sd.h.s.Inject(sd.signal)
	}
}

// signal tells that a call that could not be made without blocking is worth another try. Owned by
// the scheduler.
type signal struct {
	t     *core.Task // waits for it; nil: nobody does
	ready bool       // it came while nobody waited
	// the end of the stream has come, or something unusual: then there need not be a further one
	final bool
}

// Do gives the signal.
func (g *signal) Do() {
	if g.t == nil {
		g.ready = true
	} else {
		g.t.Wake()
	}
}

// wait parks t until it is worth to try again, or the deadline has passed. A kill is raised, and
// nothing is lost by it.
func (sd *side) wait(t *core.Task) error {
	sd.streak.Store(0)
	g := sd.signal
	if g.ready || sd.drained && g.final {
		g.ready = false
		return nil
	}
	sd.mu.Lock()
	if sd.closed {
		sd.mu.Unlock()
		return nil // the next try tells
	}
	if !sd.deadline.IsZero() {
		d := time.Until(sd.deadline)
		if d <= 0 {
			sd.mu.Unlock()
			return os.ErrDeadlineExceeded
		}
		if sd.timer == nil {
			sd.timer = time.AfterFunc(d, sd.expire)
		} else {
			sd.timer.Reset(d)
		}
	}
	sd.waits = true
	sd.mu.Unlock()
	g.t = t
	defer sd.endWait()
	_ = t.Park(core.Wait{Kind: core.InIO})
	return nil
}

func (sd *side) endWait() {
	sd.signal.t = nil
	sd.mu.Lock()
	sd.waits = false
	if sd.timer != nil {
		sd.timer.Stop()
	}
	sd.mu.Unlock()
}

func (sd *side) expire() {
	sd.mu.Lock()
	sd.nudge()
	sd.mu.Unlock()
}

// errAgain: the call would have blocked.
var errAgain = errors.New("netio: internal error: would block")
