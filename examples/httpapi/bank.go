package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/supervisor"
)

var (
	errOverdraft = errors.New("there is not enough in the account")
	errReused    = errors.New("the id was used for something else")
	errShut      = errors.New("the bank is shut")
)

// bank is the state that its tasklets share.
type bank struct {
	options
	sys      *actor.System
	names    *registry.Registry
	top      *supervisor.Supervisor
	accounts *supervisor.Pool[*account]
	desk     actor.Ref[transfer]
	writing  func(*actor.Tasklet) // returns when a posting is written; a test has its own

	// Owned by the scheduler.
	books   *books
	open    map[*account]struct{} // accounts that have a tasklet
	skipped int                   // requests whose callers had gone before they were handled
	crashes int
}

// account is the tasklet of one account. It exists from the first request until it has been idle
// for some time.
type account struct {
	name string
	ref  actor.Ref[request]
	used time.Time // owned by the scheduler
}

// A request adds amount, which may be negative, to an account, once for each id. The reply is the
// balance. A request without an id only asks for the balance.
type request struct {
	id     string
	amount int64
	reply  actor.Reply[int64]
}

// openBank starts the tasklets of a bank under s:
//
//	bank            one_for_one
//	├─ accounts     a pool: a receiver for each account in use
//	└─ idle         closes accounts that have not been used for some time
//	transfers       a reader, with a child for each transfer under way
func openBank(s *actor.System, o options) (*bank, error) {
	b := &bank{options: o, sys: s, names: registry.Of(s), books: newBooks(), open: make(map[*account]struct{})}
	b.writing = func(t *actor.Tasklet) { t.Sleep(o.write) }
	b.accounts = supervisor.NewPool(supervisor.PoolSpec[*account]{
		// Crashes of single accounts should not end the pool.
		Intensity: 1000, Period: time.Second,
		Child: func(a *account) supervisor.Child {
			return supervisor.Child{
				ID: a.name, Body: actor.ReceiverInitBody(a.ref, func(t *actor.Tasklet) (func(*actor.Tasklet, request) error, error) { return b.serve(t, a) }),
				Restart: supervisor.Transient, // restart after a crash, not after Close
				Options: []actor.Option{registry.As(b.names, a.name, a.ref)},
			}
		},
	})
	var err error
	b.top, err = supervisor.Start(s, supervisor.Spec{
		Name: "bank", Intensity: 5,
		Children: []supervisor.Child{
			{ID: "accounts", Body: b.accounts.Body()},
			{ID: "idle", Body: actor.IntervalBody(max(o.idle/4, time.Millisecond), b.closeIdle)},
		},
	})
	if err != nil {
		return nil, err
	}
	b.desk = actor.Spawn(s, b.transfers, actor.Name("transfers"), actor.MailboxLen(o.mailbox), actor.Overflow(mailbox.Fail))
	return b, nil
}

// serve is the init of an account's tasklet. A crash loses only the request in hand. The next
// incarnation reads the balance again, and handles the requests that wait in the mailbox.
func (b *bank) serve(t *actor.Tasklet, a *account) (func(*actor.Tasklet, request) error, error) {
	balance := b.books.balances[a.name]
	a.used = t.System().Now()
	b.open[a] = struct{}{}
	t.Defer(func() { delete(b.open, a) })

	return func(t *actor.Tasklet, q request) error {
		a.used = t.System().Now()
		if !q.reply.Awaited() {
			// The client has gone, or the time is over: the request was not done, and will not be.
			b.skipped++
			return nil
		}
		switch done, found := b.books.postings[q.id]; {
		case q.id == "":
			return answer(q.reply.Send(t, balance))
		case found && (done.account != a.name || done.amount != q.amount):
			return answer(q.reply.Fail(t, errReused))
		case found:
			return answer(q.reply.Send(t, done.balance))
		case balance+q.amount < 0:
			return answer(q.reply.Fail(t, errOverdraft))
		}
		b.mayCrash("before it was written")
		// A real database would be called in actor.Await. Other tasklets run during the call,
		// but no other request for this account.
		b.writing(t)
		balance += q.amount
		b.books.write(q.id, posting{a.name, q.amount, balance})
		b.mayCrash("after it was written")
		return answer(q.reply.Send(t, balance))
	}, nil
}

// answer ignores the error that the caller no longer waits: that is no failure of the account.
func answer(err error) error {
	if errors.Is(err, actor.ErrNotAwaited) {
		return nil
	}
	return err
}

// mayCrash sometimes panics. It is called twice for each request, so it uses half of the
// probability.
func (b *bank) mayCrash(when string) {
	if rand.Float64() < b.crash/2 {
		b.crashes++
		panic("crashed " + when)
	}
}

// closeIdle closes accounts that have not been used for some time. Messages in their mailboxes are
// still handled.
func (b *bank) closeIdle(t *actor.Tasklet) error {
	for a := range b.open {
		if t.System().Now().Sub(a.used) >= b.idle {
			a.ref.Close()
		}
	}
	return nil
}

// ask sends a request to an account, and returns the reply. It starts the account if it has no
// tasklet. It may be called by HTTP handlers and by tasklets.
func (b *bank) ask(ctx context.Context, name, id string, amount int64) (int64, error) {
	for {
		ref, err := registry.Lookup[request](b.names, name)
		if errors.Is(err, registry.ErrNotFound) {
			ref, err = b.openAccount(ctx, name)
			if errors.Is(err, registry.ErrTaken) {
				continue // another caller was faster
			}
		}
		if err != nil {
			return 0, err
		}
		balance, err := actor.Call(ctx, ref, func(r actor.Reply[int64]) request { return request{id, amount, r} })
		if !errors.Is(err, mailbox.ErrClosed) {
			return balance, err
		}
		// It was idle, and is ending without the request. When it has ended, its name is free.
		if err := ref.Join(ctx); err != nil && ctx.Err() != nil {
			return 0, err
		}
	}
}

// openAccount starts the tasklet of an account.
func (b *bank) openAccount(ctx context.Context, name string) (actor.Ref[request], error) {
	a := &account{name: name, ref: actor.NewRef[request](actor.MailboxLen(b.mailbox), actor.Overflow(mailbox.Fail))}
	_, err := b.accounts.Start(ctx, a)
	if errors.Is(err, mailbox.ErrClosed) {
		err = fmt.Errorf("%w: %w", errShut, err) // the accounts have crashed too often
	}
	return a.ref, err
}
