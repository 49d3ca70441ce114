package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/entity"
)

// creditLimit is the sum of all orders that a customer may have, in cents.
const creditLimit = 1_000_000

// errCredit is a refusal, because nothing was stored.
const errCredit refusal = "the customer's credit limit is exceeded"

// errKey is a refusal, because the key belongs to another order.
const errKey refusal = "the Idempotency-Key belongs to an order of something else"

// newOrder is a message to a customer.
type newOrder struct {
	item   string
	amount int64
	key    string // of the request, or ""
	reply  actor.Reply[order]
}

// newCustomers returns the set of the customers that are active. All orders of a customer go
// through one tasklet, one after the other. So there are no locks, and no two orders can use the
// same number or the same rest of the credit.
func newCustomers(s *store) *entity.Entities[string, newOrder] {
	return entity.New(entity.Spec[string, newOrder]{
		Name:    "customers",
		MaxLive: 1000,
		Idle:    time.Minute,
		Evict:   true,
		Init: func(t *actor.Tasklet, name string) (actor.Handler[newOrder], error) {
			t.SetLabel("kind", "customer") // in trees, in the log and in metrics
			a, err := actor.Await(t, func(ctx context.Context) (account, error) { return s.account(ctx, name) })
			c := &customer{store: s, account: a}
			return c.place, err
		},
	})
}

// customer is the state of a customer's tasklet. It is a copy of what is in the database.
type customer struct {
	store *store
	account
}

// place numbers and stores an order.
func (c *customer) place(t *actor.Tasklet, n newOrder) error {
	if !n.reply.Awaited() {
		return nil // the client has gone, and this order was not begun
	}
	if n.key != "" {
		switch o, err := actor.Await(t, func(ctx context.Context) (order, error) { return c.store.requested(ctx, c.Customer, n.key) }); {
		case err == nil && (o.Item != n.item || o.Amount != n.amount):
			_ = n.reply.Fail(t, errKey)
			return nil
		case err == nil: // the client did not get the answer
			_ = n.reply.Send(t, o)
			return nil
		case !errors.Is(err, sql.ErrNoRows):
			_ = n.reply.Fail(t, err)
			return nil
		}
	}
	if c.Spent+n.amount > creditLimit {
		_ = n.reply.Fail(t, errCredit)
		return nil
	}
	number := c.Orders + 1
	o := order{ID: fmt.Sprintf("%s-%d", c.Customer, number), Customer: c.Customer, Number: number, Item: n.item, Amount: n.amount}
	if err := c.store.add(t, o, n.key); err != nil {
		_ = n.reply.Fail(t, err)
		if errors.Is(err, errUnpaid) {
			return nil
		}
		// It may be unknown whether the order was stored. A failure makes a new customer, whose
		// Init reads what is there.
		return err
	}
	c.Orders, c.Spent = number, c.Spent+n.amount
	_ = n.reply.Send(t, o)
	return nil
}
