package main

import (
	"context"
	"errors"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/flow"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor/work"
)

const (
	queueLen    = 256                    // payments in the queue; the others wait in the database
	outboxEvery = 100 * time.Millisecond // how often the outbox is looked through
	chargeLimit = 2 * time.Second        // for one call of the provider
)

// payment is the work for one order.
type payment struct {
	order  string
	amount int64
}

// payments have the orders paid. The outbox in the database says what is to be done, and the queue
// has only a part of it, so memory is bounded and a crash loses nothing. A payment may be tried
// twice, for example if the process ends between the charge and markPaid. The provider recognizes
// the order, and charges once.
type payments struct {
	store    *store
	provider *provider
	breaker  *flow.Breaker
	queue    *work.Queue[payment]
	failed   actor.Ref[work.Dead[payment]]
	// inHand has the orders that were handed to the queue and have not come to an end there.
	// Several tasklets use it without a lock, because they are on one scheduler, where only one
	// runs at a time.
	inHand map[string]bool
}

func newPayments(sys *actor.System, s *store, p *provider, workers int) (*payments, error) {
	breaker, err := flow.NewBreaker(sys, flow.BreakerConfig{Window: 5 * time.Second, Calls: 20, Share: 0.7, Open: time.Second})
	if err != nil {
		return nil, err
	}
	ps := &payments{
		store: s, provider: p, breaker: breaker,
		failed: actor.NewRef[work.Dead[payment]](),
		inHand: make(map[string]bool),
	}
	ps.queue = work.New(work.Spec[payment]{
		Name:    "payments",
		Workers: workers,
		Cap:     queueLen,
		Handle:  ps.pay,
		Retry:   flow.Retry{Attempts: 4, Min: 50 * time.Millisecond, Max: time.Second, Jitter: 0.5},
		Dead:    ps.failed,
	})
	return ps, nil
}

// feed hands orders from the outbox to the queue, until it is full. What does not fit is found
// again the next time.
func (p *payments) feed(t *actor.Tasklet) error {
	if p.breaker.State() == flow.Open {
		return nil // the provider is down
	}
	unpaid, err := p.store.unpaid(t, 2*queueLen) // more than can be in hand
	if err != nil {
		return err
	}
	for _, order := range unpaid {
		if p.inHand[order.order] {
			continue
		}
		err := p.queue.TrySend(t, order)
		if errors.Is(err, mailbox.ErrFull) {
			return nil
		} else if err != nil {
			return err
		}
		p.inHand[order.order] = true
	}
	return nil
}

// pay is the handler of the workers. An error makes the queue try the payment again.
func (p *payments) pay(t *actor.Tasklet, order payment) error {
	err := p.breaker.Do(t, func(ctx context.Context) error {
		ctx, cancel := actor.WithTimeout(ctx, chargeLimit)
		defer cancel()
		_, err := actor.Await(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, p.provider.charge(ctx, order.order, order.amount)
		})
		return err
	})
	if err != nil {
		return err
	}
	if err := p.store.markPaid(t, order.order); err != nil {
		return err
	}
	delete(p.inHand, order.order)
	return nil
}

// postpone gets the payments that have used up their tries. It puts them at the end of the outbox,
// so that they do not hold up the others, and feed finds them again.
func (p *payments) postpone(t *actor.Tasklet, dead work.Dead[payment]) error {
	for _, order := range dead.Messages {
		err := p.store.moveBack(t, order.order)
		delete(p.inHand, order.order)
		if err != nil {
			return err
		}
	}
	return nil
}

// crashWorker kills a worker, and reports whether there was one. The queue starts another one,
// which tries the payment again.
func (p *payments) crashWorker(n int) bool {
	workers := p.queue.Tasklet().Children()
	if len(workers) == 0 {
		return false
	}
	workers[n%len(workers)].Kill()
	return true
}
