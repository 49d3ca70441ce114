package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry"
)

// books account for every message. A message to all counts once for each worker. Only tasklets of
// the system write them, and these run one at a time.
type books struct {
	offered, sent, refused int // by the senders
	handled                int // by the workers
	deadLetters, lost      int // by events

	why     map[string]int    // refused messages, by error
	by      map[string]int    // handled messages, by worker
	owner   map[string]string // the worker that handled a key last
	moved   map[string]string // the worker that had a key before it moved, the first time
	strayed int               // keys that moved away from a worker that had not ended
	gone    string            // the worker that was stopped permanently, or ""
}

func newBooks() books {
	return books{why: map[string]int{}, by: map[string]int{}, owner: map[string]string{}, moved: map[string]string{}}
}

func (b *books) refuse(err error) {
	b.refused++
	b.why[reason(err)]++
}

// refuseAll accounts for a broadcast: its error has one SendError for each worker that did not get
// the message.
func (b *books) refuseAll(err error) {
	if err == nil {
		return
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		var s *registry.SendError[message]
		if errors.As(err, &s) {
			b.refuse(s.Err)
		}
	}
}

func reason(err error) string {
	if errors.Is(err, registry.ErrNoMembers) {
		return "no worker"
	}
	return err.Error()
}

// done is called by a worker that has handled m.
func (b *books) done(worker string, m message) {
	b.handled++
	b.by[worker]++
	if m.key == "" {
		return
	}
	if before := b.owner[m.key]; before != "" && before != worker {
		b.moved[m.key] = before
		if before != b.gone {
			b.strayed++
		}
	}
	b.owner[m.key] = worker
}

func (b *books) onEvent(e actor.EventRecord) {
	if e.Message != reflect.TypeFor[message]() {
		return
	}
	switch e.Kind {
	case event.DeadLetter:
		b.deadLetters += e.Count
	case event.MessageLost:
		b.lost += max(1, e.Count)
	}
}

func (b *books) summary(w io.Writer) {
	fmt.Fprintf(w, "%d for somebody: %d sent, %d refused\n", b.offered, b.sent, b.refused)
	for _, why := range slices.Sorted(maps.Keys(b.why)) {
		fmt.Fprintf(w, "  %d %s\n", b.why[why], why)
	}
	fmt.Fprintf(w, "%d sent: %d handled, %d dead letters, %d lost in hand\n", b.sent, b.handled, b.deadLetters, b.lost)
	for _, name := range slices.Sorted(maps.Keys(b.by)) {
		fmt.Fprintf(w, "  %d by %s\n", b.by[name], name)
	}
	fmt.Fprintf(w, "%d keys moved", len(b.moved))
	if b.gone != "" {
		fmt.Fprintf(w, " away from %s", b.gone)
	}
	fmt.Fprintln(w)
}

// check returns an error if a message is not accounted for.
func (b *books) check() error {
	switch {
	case b.offered != b.sent+b.refused:
		return fmt.Errorf("%d messages are neither sent nor refused", b.offered-b.sent-b.refused)
	case b.sent != b.handled+b.deadLetters+b.lost:
		return fmt.Errorf("%d messages are neither handled nor reported", b.sent-b.handled-b.deadLetters-b.lost)
	case b.strayed > 0:
		return fmt.Errorf("%d keys moved away from workers that were there", b.strayed)
	}
	return nil
}
