package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/supervisor"
)

const (
	senders   = 4
	toAll     = 50 // one message in toAll goes to all workers
	queueLen  = 16
	work      = time.Millisecond // the time to handle one message
	sendEvery = 500 * time.Microsecond
)

// A message has a key, or goes to all workers.
type message struct{ key string }

// router sends messages to workers. Its tasklets run one at a time, so their shared data needs no
// lock.
type router struct {
	o     options
	out   io.Writer
	books books

	pool    *supervisor.Supervisor
	workers *registry.Group[message]
	offered int // messages of all senders so far
	killed  int
}

func newRouter(o options, out io.Writer) *router {
	return &router{o: o, out: out, books: newBooks()}
}

func (r *router) main(t *actor.Tasklet) error {
	fmt.Fprintf(r.out, "workers %d, keys %d, messages %d\n", r.o.workers, r.o.keys, r.o.messages)
	if err := r.start(t); err != nil {
		return err
	}
	var all []*actor.Tasklet
	for i := range senders {
		draw := rand.New(rand.NewPCG(r.o.seed, uint64(i)))
		all = append(all, actor.Go(t, func(t *actor.Tasklet) error { return r.send(t, draw) }, actor.Name(fmt.Sprint("sender-", i+1))))
	}
	for _, s := range all {
		if err := s.Join(t); err != nil {
			return err
		}
	}
	return r.finish(t)
}

// start starts the workers. They are transient. A kill is a failure, after which they are
// restarted. When they are closed they end normally, and when all have ended, so does their
// supervisor.
func (r *router) start(t *actor.Tasklet) (err error) {
	names := registry.Of(t.System())
	if r.workers, err = registry.NewGroup[message](names, "workers"); err != nil {
		return err
	}
	spec := supervisor.Spec{Name: "pool", Intensity: r.o.kill + 1, AutoShutdown: supervisor.AllSignificant}
	var refs []actor.Ref[message]
	for i := range r.o.workers {
		name := fmt.Sprint("worker-", i+1)
		ref := actor.NewRef[message](actor.Name(name), actor.MailboxLen(queueLen), actor.Overflow(mailbox.Fail))
		refs = append(refs, ref)
		spec.Children = append(spec.Children, supervisor.Child{
			ID: name, Restart: supervisor.Transient, Significant: true,
			Body: actor.ReceiverBody(ref, r.handle), Options: []actor.Option{registry.As(names, name, ref)},
		})
	}
	if r.pool, err = supervisor.Start(t, spec); err != nil {
		return err
	}
	for _, ref := range refs {
		if err := r.workers.Join(ref); err != nil {
			return err
		}
	}
	return nil
}

// handle handles one message in a worker.
func (r *router) handle(t *actor.Tasklet, m message) error {
	t.Sleep(work)
	r.books.done(t.Name(), m)
	return nil
}

// send is the body of a sender. It tries each message once; a worker without room refuses it.
func (r *router) send(t *actor.Tasklet, draw *rand.Rand) error {
	for r.offered < r.o.messages {
		r.offered++
		if r.offered%toAll == 0 {
			r.books.offered += len(r.workers.Members())
			sent, err := r.workers.Broadcast(t, message{})
			r.books.sent += sent
			r.books.refuseAll(err)
		} else {
			m := message{key: fmt.Sprint("key-", draw.IntN(r.o.keys)+1)}
			r.books.offered++
			ref, err := r.workers.ForKey(m.key)
			if err == nil {
				err = ref.Send(t, m)
			}
			if err != nil {
				r.books.refuse(err)
			} else {
				r.books.sent++
			}
		}
		if r.killed < r.o.kill && r.offered >= r.o.messages*(r.killed+1)/(r.o.kill+1) {
			if err := r.kill(t); err != nil {
				return err
			}
		}
		t.Sleep(sendEvery)
	}
	return nil
}

// kill kills the worker with the largest load. The last one is stopped permanently.
func (r *router) kill(t *actor.Tasklet) error {
	r.killed++
	members := r.workers.Members()
	if len(members) == 0 {
		return nil
	}
	most := members[0]
	for _, ref := range members {
		if ref.Len() > most.Len() {
			most = ref
		}
	}
	if r.killed < r.o.kill {
		fmt.Fprintf(r.out, "%s is killed with %d queued, and restarted\n", most.Name(), most.Len())
		most.Kill()
		return nil
	}
	name := most.Name()
	fmt.Fprintf(r.out, "%s is stopped permanently with %d queued\n", name, most.Len())
	r.books.gone = name
	if err := r.pool.StopChild(t, name); err != nil {
		return err
	}
	return r.pool.DeleteChild(t, name)
}

// finish waits until the workers have handled their messages.
func (r *router) finish(t *actor.Tasklet) error {
	members := r.workers.Members()
	for _, ref := range members {
		ref.Close()
	}
	if len(members) == 0 {
		r.pool.Tasklet().Kill() // it has no child whose end would end it
	}
	if err := r.pool.Tasklet().Join(t); err != nil && !errors.Is(err, actor.ErrKilled) {
		return err
	}
	return nil
}
