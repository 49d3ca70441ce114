package conformance

import (
	"context"
	"errors"
	"strings"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
)

var known = []struct {
	name string
	is   func(error) bool
}{
	{"a *JoinError", as[*actor.JoinError]},
	{"a *PanicError", as[*actor.PanicError]},
	{"a *LinkError", as[*actor.LinkError]},
	{"a *DeadlockError", as[*actor.DeadlockError]},
	{"a *Killed", as[*actor.Killed]},
	{"a *SendError", func(err error) bool { return as[*registry.SendError[msg]](err) }},
	{"a *NodeError", as[*cluster.NodeError]},
	{"a *TypeError", func(err error) bool { return as[*registry.TypeError](err) || as[*cluster.TypeError](err) }},
	{"boom", is(errBoom)},
	{"ErrClosed", is(mailbox.ErrClosed)},
	{"ErrFull", is(mailbox.ErrFull)},
	{"ErrDropped", is(mailbox.ErrDropped)},
	{"ErrTimeout", is(actor.ErrTimeout)},
	{"Canceled", is(context.Canceled)},
	{"ErrNoReply", is(actor.ErrNoReply)},
	{"ErrNotAwaited", is(actor.ErrNotAwaited)},
	{"ErrNoTasklet", is(actor.ErrNoTasklet)},
	{"ErrKilled", is(actor.ErrKilled)},
	{"ErrStop", is(actor.ErrStop)},
	{"ErrShutdown", is(actor.ErrShutdown)},
	{"ErrTaken", is(registry.ErrTaken)},
	{"ErrNotFound", is(registry.ErrNotFound)},
	{"ErrName", is(registry.ErrName)},
	{"ErrNoMembers", is(registry.ErrNoMembers)},
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// nameOf returns what errors.Is and errors.As find in an error, or "nil".
func nameOf(err error) string {
	if err == nil {
		return "nil"
	}
	var all []string
	for _, k := range known {
		if k.is(err) {
			all = append(all, k.name)
		}
	}
	if all == nil {
		return err.Error()
	}
	return strings.Join(all, ", ")
}
