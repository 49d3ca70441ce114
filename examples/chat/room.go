package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// room knows the clients, and sends them what is said. It is a receiver of the following events.
type room struct {
	s       *server
	clients []*client // in the order in which they came
	guests  int       // so far
	closed  bool
}

// An event is something that happens in the room.
type event interface {
	happen(t *actor.Tasklet, r *room)
}

type (
	// joins: c has connected. The answer is its name, or "" if it is refused.
	joins struct {
		c    *client
		name actor.Reply[string]
	}
	// says: c has sent a line.
	says struct {
		c    *client
		text string
	}
	// leaves: c has left, or is about to. It has no effect if c has left already.
	leaves struct{ c *client }
	// closes: the server ends. The answer is the clients that were there.
	closes struct{ clients actor.Reply[[]*client] }
)

func (r *room) handle(t *actor.Tasklet, e event) error {
	e.happen(t, r)
	return nil
}

func (e joins) happen(t *actor.Tasklet, r *room) {
	if r.closed || len(r.clients) >= r.s.o.clients {
		_ = e.name.Send(t, "")
		return
	}
	r.guests++
	e.c.name = fmt.Sprint("guest", r.guests)
	r.s.books.came++
	r.tell(t, e.c, fmt.Sprintf("* you are %s of %d; /name NAME, /who, /quit", e.c.name, len(r.clients)+1))
	r.tellOthers(t, e.c, "* "+e.c.name+" comes in")
	r.clients = append(r.clients, e.c)
	_ = e.name.Send(t, e.c.name) // fails if the client has left already
}

func (e says) happen(t *actor.Tasklet, r *room) {
	if !slices.Contains(r.clients, e.c) {
		return
	}
	command, arg, _ := strings.Cut(e.text, " ")
	switch {
	case !strings.HasPrefix(command, "/"):
		r.s.books.said++
		r.tellOthers(t, e.c, e.c.name+": "+e.text)
	case command == "/who":
		var names []string
		for _, c := range r.clients {
			names = append(names, c.name)
		}
		r.tell(t, e.c, "* "+strings.Join(names, ", "))
	case command == "/name":
		r.rename(t, e.c, strings.TrimSpace(arg))
	default:
		r.tell(t, e.c, "* there is no "+command)
	}
}

func (r *room) rename(t *actor.Tasklet, c *client, name string) {
	switch {
	case name == "" || len(name) > 20 || strings.ContainsAny(name, " :*/"):
		r.tell(t, c, "* a name has 1 to 20 bytes, and none of them is a space, :, * or /")
	case slices.ContainsFunc(r.clients, func(c *client) bool { return c.name == name }):
		r.tell(t, c, "* there is a "+name+" already")
	default:
		r.tellOthers(t, c, "* "+c.name+" is now "+name)
		c.name = name
		r.tell(t, c, "* you are "+name)
	}
}

func (e leaves) happen(t *actor.Tasklet, r *room) {
	if r.remove(e.c) {
		r.tellOthers(t, e.c, "* "+e.c.name+" leaves")
	}
}

func (e closes) happen(t *actor.Tasklet, r *room) {
	r.closed = true
	clients := slices.Clone(r.clients)
	for _, c := range clients {
		r.tell(t, c, "* the server closes")
	}
	for _, c := range clients {
		r.remove(c)
	}
	_ = e.clients.Send(t, clients)
}

// remove removes c from the room. No more lines are sent to it, and its out ends when the queued
// lines are written.
func (r *room) remove(c *client) bool {
	i := slices.Index(r.clients, c)
	if i < 0 {
		return false
	}
	r.clients = slices.Delete(r.clients, i, i+1)
	r.s.books.left++
	c.out.Close()
	return true
}

func (r *room) tellOthers(t *actor.Tasklet, but *client, text string) {
	for _, c := range slices.Clone(r.clients) {
		if c != but {
			r.tell(t, c, text)
		}
	}
}

// tell sends text to c. It never waits: a mailbox without room drops a line, or refuses it.
func (r *room) tell(t *actor.Tasklet, c *client, text string) {
	r.s.books.told++
	c.told++
	err := c.out.TrySend(t, line{c.told, text})
	if err == nil {
		return
	}
	r.s.books.refused++
	if errors.Is(err, mailbox.ErrFull) && r.remove(c) {
		c.self.Kill()
		r.tellOthers(t, c, "* "+c.name+" was too slow")
	}
}
