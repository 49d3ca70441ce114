package main

import (
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/gotasklet/tasklet/actor"
	kind "github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
)

// books account for every line that is sent to a client. Only tasklets of the system write them,
// and these run one at a time.
type books struct {
	came, left int // clients
	said       int // lines, by clients
	told       int // lines to clients: a line counts once for each client that it goes to

	// The fates of the lines that were told.
	written  int
	refused  int // the client was too slow and was disconnected, or it was leaving
	dropped  int // the client was too slow; counted by events
	leftOver int // the client had left; counted by events
	lost     int // being written when the client left; counted by events

	missed int // lines that clients were told they had missed
}

func (b *books) onEvent(e actor.EventRecord) {
	if e.Message != reflect.TypeFor[line]() {
		return
	}
	switch {
	case e.Kind == kind.MessageLost:
		b.lost += max(1, e.Count)
	case e.Kind == kind.DeadLetter && errors.Is(e.Err, mailbox.ErrDropped):
		b.dropped += e.Count
	case e.Kind == kind.DeadLetter:
		b.leftOver += e.Count
	}
}

func (b *books) summary(w io.Writer) {
	fmt.Fprintf(w, "%d clients said %d lines\n", b.came, b.said)
	fmt.Fprintf(w, "%d lines to tell: %d written, %d dropped, %d refused, %d left over, %d lost\n",
		b.told, b.written, b.dropped, b.refused, b.leftOver, b.lost)
}

// check returns an error if a line is not accounted for.
func (b *books) check() error {
	if n := b.told - b.written - b.dropped - b.refused - b.leftOver - b.lost; n != 0 {
		return fmt.Errorf("%d lines are not accounted for", n)
	}
	if b.missed > b.dropped {
		return fmt.Errorf("clients were told that they missed %d lines, but %d were dropped", b.missed, b.dropped)
	}
	if b.came != b.left {
		return fmt.Errorf("%d clients came, and %d left", b.came, b.left)
	}
	return nil
}
