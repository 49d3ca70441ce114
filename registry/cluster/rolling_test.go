package cluster_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
)

// shopMsg is what a shop takes. The types are those of two builds: orders differ in fields and in
// their names in Go, the version of a price was raised, and only the later build knows a cancel.
type shopMsg interface{ isShopMsg() }

type oldOrder struct {
	N    int  `cbor:"1,keyasint"`
	Gift bool `cbor:"2,keyasint"`
}

type newOrder struct {
	N    int    `cbor:"1,keyasint"`
	Note string `cbor:"3,keyasint"`
}

type oldPrice struct {
	N     int              `cbor:"1,keyasint"`
	Reply actor.Reply[int] `cbor:"2,keyasint"`
}

type newPrice struct {
	N        int              `cbor:"1,keyasint"`
	Reply    actor.Reply[int] `cbor:"2,keyasint"`
	Currency string           `cbor:"3,keyasint"`
}

type cancelOrder struct {
	N int `cbor:"1,keyasint"`
}

func (oldOrder) isShopMsg()    {}
func (newOrder) isShopMsg()    {}
func (oldPrice) isShopMsg()    {}
func (newPrice) isShopMsg()    {}
func (cancelOrder) isShopMsg() {}

// twoBuilds returns the types of the two builds.
func twoBuilds() (before, after *cluster.Types) {
	before, after = cluster.NewTypes(), cluster.NewTypes()
	cluster.Register[oldOrder](before, "shop.order", 1)
	cluster.Register[oldPrice](before, "shop.price", 1)
	cluster.Register[cancelOrder](after, "shop.cancel", 1)
	cluster.Register[newPrice](after, "shop.price", 2)
	cluster.Register[newOrder](after, "shop.order", 1)
	return before, after
}

// build is a node of one of the builds, and what its shop has got.
type build struct {
	node   *cluster.Node
	orders []int
	prices int
	gifts  int    // fields that only the old build has
	notes  string // and the new one
}

func (b *build) join(t *actor.Tasklet, net *clustertest.Network, name string, types *cluster.Types) error {
	shop := actor.Receiver(t, func(t *actor.Tasklet, m shopMsg) error {
		switch m := m.(type) {
		case oldOrder:
			b.orders = append(b.orders, m.N)
			if m.Gift {
				b.gifts++
			}
		case newOrder:
			b.orders = append(b.orders, m.N)
			b.notes += m.Note
		case oldPrice:
			b.prices++
			return m.Reply.Send(t, m.N)
		case newPrice:
			b.prices++
			b.notes += m.Currency
			return m.Reply.Send(t, m.N)
		}
		return nil
	}, actor.MailboxLen(4))
	var err error
	b.node, err = cluster.Join(t, t, cluster.Config{Name: name, Connect: net}.WithTypes(types))
	if err == nil {
		_, err = cluster.Claim(t, b.node, "shop/"+name, shop)
	}
	return err
}

// Two builds talk to each other over a bad network: what the other one can read arrives once and in
// order, and everything else is a dead letter over there, or the error of its call.
func TestRollingTypes(t *testing.T) {
	var refused, others int
	onEvent := func(e actor.EventRecord) {
		for _, f := range e.Fields {
			switch {
			case e.Kind != event.DeadLetter || f.Key != "reason":
			case f.String == "refused" && e.Count == 1:
				refused++
			default:
				others++
			}
		}
	}
	actortest.Explore(t, shortened(150), func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		refused, others = 0, 0
		net := clustertest.New(t, clustertest.Faults{Loss: 0.1, Double: 0.1, Delay: 50 * time.Millisecond})
		before, after := twoBuilds()
		var a, b build
		require.NoError(tb, a.join(t, net, "a", before))
		require.NoError(tb, b.join(t, net, "b", after))
		toB, err := cluster.WaitFor[shopMsg](t, a.node, "shop/b")
		require.NoError(tb, err)
		toA, err := cluster.WaitFor[shopMsg](t, b.node, "shop/a")
		require.NoError(tb, err)
		const n = 20
		want := []int{}
		for i := range n {
			require.NoError(tb, toB.Send(t, oldOrder{N: i, Gift: true}))
			require.NoError(tb, toA.Send(t, newOrder{N: i, Note: "x"}))
			require.NoError(tb, toA.Send(t, cancelOrder{N: i}))
			want = append(want, i)
		}
		for i := range n / 4 {
			v, err := actor.Call(t, toB, func(r actor.Reply[int]) shopMsg { return oldPrice{i, r} })
			require.NoError(tb, err)
			require.Equal(tb, i, v)
			_, err = actor.Call(t, toA, func(r actor.Reply[int]) shopMsg { return newPrice{i, r, "USD"} })
			require.EqualError(tb, err, `type "shop.price" has version 2, the reader knows 1`)
		}
		t.Sleep(5 * time.Second)
		require.Equal(tb, want, a.orders)
		require.Equal(tb, want, b.orders)
		require.Equal(tb, []int{0, n / 4}, []int{a.prices, b.prices})
		require.Zero(tb, a.gifts, "the new build has no such field")
		require.Empty(tb, b.notes, "the old build has no such field")
		require.Equal(tb, []int{n, 0}, []int{refused, others}, "dead letters")
		require.Empty(tb, a.node.Held()+b.node.Held())
	}, actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) { c.OnEvent = onEvent }))
}

// A name and a group with messages of one type: the new build leaves out readers of the old
// version.
func TestRollingNames(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		net := clustertest.New(t, clustertest.Faults{})
		before, after := twoBuilds()
		a, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: net}.WithTypes(before))
		require.NoError(tb, err)
		b, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: net}.WithTypes(after))
		require.NoError(tb, err)
		onA := actor.Receiver(t, func(t *actor.Tasklet, m oldPrice) error { return m.Reply.Send(t, m.N) })
		onB := actor.Receiver(t, func(t *actor.Tasklet, m newPrice) error { return m.Reply.Send(t, m.N) })
		_, err = cluster.Claim(t, a, "till/a", onA)
		require.NoError(tb, err)
		_, err = cluster.Claim(t, b, "till/b", onB)
		require.NoError(tb, err)
		groupA, err := cluster.NewGroup[oldPrice](a, "tills")
		require.NoError(tb, err)
		groupB, err := cluster.NewGroup[newPrice](b, "tills")
		require.NoError(tb, err)
		require.NoError(tb, groupA.Join(t, onA))
		require.NoError(tb, groupB.Join(t, onB))
		t.Sleep(time.Second)

		ref, err := cluster.Find[oldPrice](t, a, "till/b")
		require.NoError(tb, err)
		v, err := actor.Call(t, ref, func(r actor.Reply[int]) oldPrice { return oldPrice{7, r} })
		require.NoError(tb, err)
		require.Equal(tb, 7, v)
		_, err = cluster.Find[newPrice](t, b, "till/a")
		require.Equal(tb, &cluster.TypeError{Name: "till/a", Have: "shop.price/1", Want: "shop.price/2"}, err)
		_, err = cluster.WaitFor[newPrice](t, b, "till/a")
		require.ErrorAs(tb, err, new(*cluster.TypeError), "it does not wait")
		require.Len(tb, groupA.Members(), 2)
		require.Equal(tb, []actor.Ref[newPrice]{onB}, groupB.Members())
	})
}

type oldHand struct {
	To actor.Ref[oldPrice] `cbor:"1,keyasint"`
}

type newHand struct {
	To actor.Ref[newPrice] `cbor:"1,keyasint"`
}

// A ref that comes in a message is not checked: its reader decides message by message.
func TestRollingRefs(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		net := clustertest.New(t, clustertest.Faults{})
		before, after := twoBuilds()
		cluster.Register[oldHand](before, "shop.hand", 1)
		cluster.Register[newHand](after, "shop.hand", 1)
		a, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: net}.WithTypes(before))
		require.NoError(tb, err)
		b, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: net}.WithTypes(after))
		require.NoError(tb, err)
		onA := actor.Receiver(t, func(t *actor.Tasklet, m oldPrice) error { return m.Reply.Send(t, m.N) })
		got := actortest.NewProbe[newHand](t)
		onB := actor.Receiver(t, func(t *actor.Tasklet, m newHand) error { return got.Ref().Send(t, m) })
		_, err = cluster.Claim(t, b, "hand", onB)
		require.NoError(tb, err)
		ref, err := cluster.WaitFor[oldHand](t, a, "hand")
		require.NoError(tb, err)
		require.NoError(tb, ref.Send(t, oldHand{onA}))
		to := got.ExpectMatch(func(m newHand) bool { return !m.To.IsZero() }).To
		_, err = actor.Call(t, to, func(r actor.Reply[int]) newPrice { return newPrice{7, r, "USD"} })
		require.EqualError(tb, err, `type "shop.price" has version 2, the reader knows 1`)
	})
}
