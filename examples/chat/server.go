package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// server is the state that its tasklets share. They run one at a time, so it needs no lock.
type server struct {
	o     options
	log   io.Writer
	room  actor.Ref[event]
	books books
}

// maxLine is the maximal length of a client's line, in bytes.
const maxLine = 64 << 10

// main accepts connections until ctx is done, and then says goodbye.
func (s *server) main(t *actor.Tasklet, ctx context.Context) error {
	l, err := netio.Listen(t, "tcp", s.o.addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.log, "listening on", l.Addr())
	r := &room{s: s}
	s.room = actor.Receiver(t, r.handle, actor.Name("room"))
	actor.Go(t, func(t *actor.Tasklet) error {
		_, _ = actor.Await(t, func(killed context.Context) (struct{}, error) {
			select {
			case <-ctx.Done():
			case <-killed.Done():
			}
			return struct{}{}, nil
		})
		return l.Close() // ends Accept
	}, actor.Name("interrupt"))

	for c, err := range l.All() {
		if err != nil { // for example, too many open files: the loop pauses and continues
			fmt.Fprintln(s.log, err)
			continue
		}
		actor.Go(t, func(t *actor.Tasklet) error { return s.serve(t, c) }, actor.Name("client"))
	}
	return s.close(t)
}

// close lets queued lines be written, for a limited time. Then main ends, and with it everything
// else.
func (s *server) close(t *actor.Tasklet) error {
	clients, err := actor.Call(t, s.room, func(r actor.Reply[[]*client]) event { return closes{r} })
	if err != nil {
		return err
	}
	ctx, cancel := actor.WithTimeout(t, s.o.grace)
	defer cancel()
	for _, c := range clients {
		_ = c.out.Join(ctx) // nothing more can be done if it fails
	}
	return nil
}

// client is one connection.
type client struct {
	conn net.Conn
	self *actor.Tasklet
	out  actor.Ref[line] // the receiver that writes to the connection

	// Used by the room.
	name string
	told int // lines so far

	seen int // the number of the last line that out got
}

// line is a line that is sent to a client. Its number shows how many were dropped before it.
type line struct {
	number int
	text   string
}

// serve is the body of a client's tasklet. It reads lines until the connection ends, out fails to
// write, or the tasklet is killed.
func (s *server) serve(t *actor.Tasklet, conn net.Conn) error {
	defer conn.Close()
	overflow := mailbox.DropOldest
	if s.o.slow == "disconnect" {
		overflow = mailbox.Fail
	}
	c := &client{conn: conn, self: t}
	c.out = actor.Receiver(t, func(_ *actor.Tasklet, l line) error { return s.write(c, l) }, actor.Name("out"),
		actor.MailboxLen(s.o.queue), actor.Overflow(overflow), actor.OnFailure(actor.Escalate))
	t.Defer(func() { _ = s.room.Send(t, leaves{c}) }) // for every kind of end
	name, err := actor.Call(t, s.room, func(r actor.Reply[string]) event { return joins{c, r} })
	if err != nil {
		return err
	}
	if name == "" {
		_, err := io.WriteString(conn, "* the room is full\n")
		return err
	}
	in := bufio.NewScanner(conn)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		text := strings.TrimRight(in.Text(), "\r")
		if text == "/quit" {
			break
		}
		if err := s.room.Send(t, says{c, text}); err != nil {
			return err
		}
	}
	// All its lines were sent, but lines of others may still be queued for it.
	if err := s.room.Send(t, leaves{c}); err != nil {
		return err
	}
	ctx, cancel := actor.WithTimeout(t, s.o.grace)
	defer cancel()
	return errors.Join(in.Err(), c.out.Join(ctx))
}

// write writes one line, and before it the number of lines that were dropped.
func (s *server) write(c *client, l line) error {
	text := l.text + "\n"
	missed := l.number - c.seen - 1
	if missed > 0 {
		text = fmt.Sprintf("* you missed %d lines\n", missed) + text
	}
	c.seen = l.number
	if _, err := io.WriteString(c.conn, text); err != nil {
		return err
	}
	s.books.missed += missed
	s.books.written++
	return nil
}
