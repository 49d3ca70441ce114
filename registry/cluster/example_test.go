package cluster_test

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/scheduler"
)

// Deposit and Balance are messages of an account; each has a name on the wire.
type (
	Deposit struct{ Amount int64 }
	Balance struct{ Reply actor.Reply[int64] }
	Account interface{ isAccount() }
)

func (Deposit) isAccount() {}
func (Balance) isAccount() {}

func init() {
	cluster.Type[Deposit]("bank.deposit", 1)
	cluster.Type[Balance]("bank.balance", 1)
}

// Two nodes live in one system here, on a simulated network. In a program each is a process of its
// own, and Connect says how they reach each other.
func Example() {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		net := clustertest.New(t, clustertest.Faults{Loss: 0.1, Delay: 20 * time.Millisecond})
		bank, err := cluster.Join(t, t, cluster.Config{Name: "bank", Connect: net})
		if err != nil {
			return err
		}
		balance := int64(0)
		account := actor.Receiver(t, func(t *actor.Tasklet, m Account) error {
			switch m := m.(type) {
			case Deposit:
				balance += m.Amount
			case Balance:
				return m.Reply.Send(t, balance)
			}
			return nil
		})
		if _, err := cluster.Claim(t, bank, "account/42", account); err != nil {
			return err
		}

		shop, err := cluster.Join(t, t, cluster.Config{Name: "shop", Connect: net})
		if err != nil {
			return err
		}
		ref, err := cluster.WaitFor[Account](t, shop, "account/42")
		if err != nil {
			return err
		}
		for range 10 {
			if err := ref.Send(t, Deposit{5}); err != nil {
				return err
			}
		}
		total, err := actor.Call(t, ref, func(r actor.Reply[int64]) Account { return Balance{r} })
		if err != nil {
			return err
		}
		fmt.Println("the balance is", total)
		fmt.Println("the ref is", ref)
		return shop.Leave(t)
	})
	fmt.Println(err)
	// Output:
	// the balance is 50
	// the ref is /tasklet/(cluster)/bank/account:42
	// <nil>
}

// twoNodes runs f with two nodes on a simulated network.
func twoNodes(f func(t *actor.Tasklet, a, b *cluster.Node) error) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		net := clustertest.New(t, clustertest.Faults{})
		a, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: net})
		if err != nil {
			return err
		}
		b, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: net})
		if err != nil {
			return err
		}
		return f(t, a, b)
	})
	if err != nil {
		fmt.Println(err)
	}
}

// A group has members on all nodes. Next gives the work to them in turn.
func ExampleNewGroup() {
	twoNodes(func(t *actor.Tasklet, a, b *cluster.Node) error {
		for _, n := range []*cluster.Node{a, b} {
			printer := actor.Receiver(t, func(_ *actor.Tasklet, d Deposit) error {
				fmt.Println("on", n.Self().Name, "a deposit of", d.Amount)
				return nil
			})
			workers, err := cluster.NewGroup[Deposit](n, "workers")
			if err != nil {
				return err
			}
			if err := workers.Join(t, printer); err != nil {
				return err
			}
		}
		workers, err := cluster.NewGroup[Deposit](a, "workers")
		if err != nil {
			return err
		}
		for amount := range 4 {
			to, err := workers.Next()
			if err != nil {
				return err
			}
			if err := to.Send(t, Deposit{int64(amount)}); err != nil {
				return err
			}
			t.Sleep(time.Millisecond)
		}
		return nil
	})
	// Output:
	// on a a deposit of 0
	// on b a deposit of 1
	// on a a deposit of 2
	// on b a deposit of 3
}

// Both nodes may run the clock, and one does. When its node has left, the other one goes on, with a
// greater token.
func ExampleSingleton() {
	twoNodes(func(t *actor.Tasklet, a, b *cluster.Node) error {
		for _, n := range []*cluster.Node{a, b} {
			actor.StartTasklet(t, cluster.Singleton(n, "clock", func(claim *cluster.Claimed) actor.Body {
				fmt.Println("the clock runs on", n.Self().Name)
				return actor.IntervalBody(time.Hour, func(*actor.Tasklet) error { return nil })
			}))
			t.Sleep(time.Second)
		}
		if err := a.Leave(t); err != nil {
			return err
		}
		t.Sleep(time.Second)
		return nil
	})
	// Output:
	// the clock runs on a
	// the clock runs on b
}

// Accounts live on both nodes, one tasklet for each, and are started by their first message.
func ExampleNewSharded() {
	twoNodes(func(t *actor.Tasklet, a, b *cluster.Node) error {
		spec := cluster.ShardedSpec[Account]{
			Name: "account",
			Init: func(t *actor.Tasklet, key string, claim *cluster.Claimed) (actor.Handler[Account], error) {
				balance := int64(0)
				return func(t *actor.Tasklet, m Account) error {
					switch m := m.(type) {
					case Deposit:
						balance += m.Amount
					case Balance:
						return m.Reply.Send(t, balance)
					}
					return nil
				}, nil
			},
		}
		var accounts *cluster.Sharded[Account]
		for _, n := range []*cluster.Node{a, b} {
			var err error
			if accounts, err = cluster.NewSharded(n, spec); err != nil {
				return err
			}
			actor.StartTasklet(t, accounts.Body()) // in a program under a supervisor
		}
		t.Sleep(time.Second) // until the nodes have their shards
		for _, key := range []string{"anna", "ben", "cleo"} {
			if err := accounts.Send(t, key, Deposit{5}); err != nil {
				return err
			}
			balance, err := cluster.CallSharded(t, accounts, key, func(r actor.Reply[int64]) Account { return Balance{r} })
			if err != nil {
				return err
			}
			fmt.Println(key, "has", balance, "on", accounts.NodeOf(key))
		}
		return nil
	})
	// Output:
	// anna has 5 on a
	// ben has 5 on b
	// cleo has 5 on a
}
