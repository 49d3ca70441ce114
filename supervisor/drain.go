package supervisor

import (
	"context"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/list"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/mailbox"
)

// drainRequest makes the supervisor drain.
type drainRequest struct{ own.Mark }

// drain is called when the tasklet must drain. The send fails only if the supervisor has ended.
func (s *Supervisor) drain() {
	_ = s.ref.TrySend(context.Background(), drainRequest{})
}

func (drainRequest) do(c *core) error {
	if c.drains == nil {
		c.drains = &drains{at: c.children.Last()}
	}
	return nil
}

// drains is the state of a supervisor's drain. Owned by its tasklet.
type drains struct {
	// at is the place of the child that is being drained, or nil after the last. The children
	// behind it have stopped. In a pool they may still drain.
	at *list.Entry[*child]
	// told says that all children of a pool were told to drain.
	told bool
}

// handle handles a request, and then continues the drain.
func (c *core) handle(r request) error {
	if err := r.do(c); err != nil || c.drains == nil {
		return err
	}
	return c.drainNext()
}

// drainNext drains the next child when the one before it has ended, and ends the supervisor after
// the last.
func (c *core) drainNext() error {
	d := c.drains
	if c.s.pool != nil && !d.told {
		d.told = true
		for ch := range c.children.All() {
			ch.slot.Drain()
		}
	}
	for d.at != nil {
		ch := d.at.V
		switch {
		case ch.state == Running:
			ch.slot.Drain() // which has no effect the second time
			return nil
		case ch.held, ch.state == Restarting && (c.held > 0 || ch.hasMessages()):
			return nil // it is drained when it has started
		}
		d.at = d.at.Prev()
		if ch.state == Restarting { // for which it has no reason any more
			c.stop(ch)
			c.leaveStopped(ch)
		}
	}
	return actor.ErrShutdown
}

// drainsChild reports whether it is ch's turn to drain.
func (c *core) drainsChild(ch *child) bool {
	return c.drains != nil && (c.drains.told || c.drains.at == &ch.place)
}

// hasMessages reports whether the child, which has ended, has left messages in its mailbox.
func (ch *child) hasMessages() bool { return ch.slot.Queued() > 0 }

// mayStart returns the error of a call that would start a child during a drain.
func (c *core) mayStart() error {
	if c.drains != nil {
		return mailbox.ErrClosed
	}
	return nil
}
