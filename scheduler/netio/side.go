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

	// Owned by the caller that has the turn.
	raw raw // tries calls
	// drained says that the last read got less than it asked for, so that there is no more data
	// until a signal comes.
	drained bool
	spare   *call // nil until a helper was needed

	// streak counts the calls since the last wait. Atomic: written by every caller before it takes
	// the turn.
	streak atomic.Uint32

	signal *signal // owned by the scheduler; nil until the connection is watched

	// mu protects the following.
	mu          sync.Mutex
	deadline    time.Time
	closed      bool
	helped      bool // a helper is making a call
	interrupted bool // that call was told to return
	waits       bool // a task waits for the signal
	timer       *time.Timer
}

func (sd *side) init(h *home, end any, setDeadline func(time.Time) error, close func() error) {
	sd.h, sd.end, sd.setDeadline, sd.close = h, end, setDeadline, close
}

// patience is the number of calls that may be made in a row without a wait before the caller
// yields.
const patience = 16

// enter begins a call. It is a blocking point, and takes the turn for the caller.
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

// call returns the call to make. It is valid as long as the caller has the turn.
func (sd *side) call(o op, b []byte) *call {
	if sd.spare == nil {
		sd.spare = &call{sd: sd}
	}
	c := sd.spare
	c.op, c.b, c.sent = o, b, 0
	return c
}

// do makes c: by a helper for a task, itself for an ordinary goroutine. A kill that interrupts the
// call is raised if the call had no result, else at the next blocking point.
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

// begin notes that a helper is about to make a call.
func (sd *side) begin() {
	sd.mu.Lock()
	sd.helped = true
	sd.mu.Unlock()
}

// interrupt makes the helper's call return at once.
func (sd *side) interrupt() {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	if !sd.helped || sd.interrupted {
		return
	}
	sd.interrupted = true
	if sd.setDeadline(past) != nil {
		_ = sd.close() // the only other way to end the call
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// finish notes that the helper's call has returned, and reports whether it was interrupted.
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

// setLimit sets the deadline of this direction.
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

// nudge makes a task that waits for the signal try again. mu must be held.
func (sd *side) nudge() {
	if sd.waits {
		sd.h.s.Inject(sd.signal)
	}
}

// signal is the news that a call which would have blocked is worth another try. The scheduler owns
// it.
type signal struct {
	t     *core.Task // the task that waits for it, or nil
	ready bool       // it came while no task waited
	// final says that the stream has ended, or has urgent data or an error. No further signal need
	// come after that.
	final bool
}

// Do delivers the signal. It runs on the scheduler.
func (g *signal) Do() {
	if g.t == nil {
		g.ready = true
	} else {
		g.t.Wake()
	}
}

// wait parks t until the call is worth another try, or the deadline has passed. A kill is raised,
// and loses no data.
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
		return nil // the next try returns the error
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

// errAgain is returned by an attempt that would have blocked.
var errAgain = errors.New("netio: internal error: would block")
