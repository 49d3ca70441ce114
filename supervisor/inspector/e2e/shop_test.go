package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// shop is a loaded program, in which a test makes things go wrong.
type shop struct {
	sys    *actor.System
	orders actor.Ref[string] // an order makes the worker busy: "crash", "stall" or "slow"
	mail   actor.Ref[string] // its mailbox is small
	spare  actor.Ref[string]
	buyer  actor.Ref[int] // a message makes buyer and seller wait for each other
	seller actor.Ref[int]

	streams atomic.Int32 // that browsers have open
}

// letter is a message between the nodes of cluster.
type letter struct{ Text string }

func init() { cluster.Type[letter]("shop.letter", 1) }

// cluster makes the system a cluster of two nodes on a simulated network.
func (s *shop) cluster() error {
	done := make(chan error, 1)
	actor.Go(s.sys, func(t *actor.Tasklet) error {
		net := clustertest.New(t, clustertest.Faults{})
		err := s.join(t, net)
		done <- err
		if err == nil {
			t.Sleep(time.Hour)
		}
		return err
	}, actor.Name("cluster"))
	return <-done
}

// join joins the nodes. One has a name, and the other one has sent to it.
func (s *shop) join(t *actor.Tasklet, net *clustertest.Network) error {
	a, err := cluster.Join(t, t, cluster.Config{Name: "shop-1", Connect: net})
	if err != nil {
		return err
	}
	b, err := cluster.Join(t, t, cluster.Config{Name: "shop-2", Connect: net})
	if err != nil {
		return err
	}
	slow := actor.Receiver(t, func(t *actor.Tasklet, _ letter) error { t.Sleep(time.Hour); return nil }, actor.Name("letters"))
	if _, err := cluster.Claim(t, a, "shop.mail", slow); err != nil {
		return err
	}
	ref, err := cluster.WaitFor[letter](t, b, "shop.mail")
	if err != nil {
		return err
	}
	for range 10 {
		if err := ref.Send(t, letter{"hello"}); err != nil {
			return err
		}
	}
	return nil
}

var errCard = errors.New("the card was refused")

func (s *shop) start() error {
	s.orders, s.mail, s.spare = actor.NewRef[string](), actor.NewRef[string](actor.MailboxLen(8)), actor.NewRef[string]()
	s.buyer, s.seller = actor.NewRef[int](actor.MailboxLen(1)), actor.NewRef[int](actor.MailboxLen(1))
	stage := func(ref actor.Ref[int], next actor.Sender[int], busy time.Duration) actor.Body {
		return actor.ReceiverBody(ref, func(t *actor.Tasklet, n int) error {
			work(busy)
			if next != nil {
				return next.Send(t, n)
			}
			return nil
		})
	}
	parse, price, store := actor.NewRef[int](), actor.NewRef[int](), actor.NewRef[int]()
	_, err := supervisor.Start(s.sys, supervisor.Spec{
		Name: "shop", Intensity: 100, Period: time.Minute, Backoff: supervisor.Backoff{Min: 3 * time.Second, Max: 5 * time.Second},
		Children: []supervisor.Child{
			{ID: "payments", Body: actor.ReceiverBody(s.orders, func(t *actor.Tasklet, order string) error {
				inspector.Publish(t, func() any { return map[string]any{"provider": "bank", "open": 3} })
				switch order {
				case "crash":
					return errCard
				case "stall":
					work(6 * time.Second)
				}
				return nil
			}), Options: []actor.Option{registry.As(registry.Of(s.sys), "payments", s.orders)}},
			{ID: "mail", Body: actor.ReceiverBody(s.mail, func(t *actor.Tasklet, _ string) error { t.Sleep(time.Hour); return nil })},
			{ID: "parse", Body: stage(parse, price, 20*time.Microsecond)},
			{ID: "price", Body: stage(price, store, 50*time.Microsecond)},
			{ID: "store", Body: stage(store, nil, 30*time.Microsecond)},
			{ID: "orders", Body: actor.IntervalBody(2*time.Millisecond, func(t *actor.Tasklet) error { return parse.Send(t, 1) })},
			{ID: "<img src=x onerror=alert(1)>", Body: actor.ReceiverBody(s.spare, func(*actor.Tasklet, string) error { return nil })},
		},
	})
	if err != nil {
		return err
	}
	for name, refs := range map[string][2]actor.Ref[int]{"buyer": {s.buyer, s.seller}, "seller": {s.seller, s.buyer}} {
		actor.StartTasklet(s.sys, actor.ReceiverBody(refs[0], func(t *actor.Tasklet, _ int) error {
			t.Sleep(100 * time.Millisecond)
			ctx, cancel := actor.WithTimeout(t, time.Hour)
			defer cancel()
			for refs[1].Send(ctx, 1) == nil {
			}
			return nil
		}), actor.Name(name))
	}
	pool, err := supervisor.StartPool(s.sys, supervisor.PoolSpec[int]{Name: "sessions", Child: func(i int) supervisor.Child {
		return supervisor.Child{ID: fmt.Sprintf("session-%d", i), Body: actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil })}
	}})
	if err != nil {
		return err
	}
	for i := range 500 {
		if _, err := pool.Start(context.Background(), i); err != nil {
			return err
		}
	}
	return nil
}

// work keeps the scheduler for d.
func work(d time.Duration) {
	for begin := time.Now(); time.Since(begin) < d; {
	}
}
