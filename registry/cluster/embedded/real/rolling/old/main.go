// Old is the build that is there first. See package rolling.
package main

import (
	"fmt"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/rolling"
)

// message is what a shop takes.
type message interface{ isMessage() }

// order is called purchase in the new build. That one has no Gift, and a Note.
type order struct {
	From string `cbor:"1,keyasint"`
	N    int    `cbor:"2,keyasint"`
	Gift bool   `cbor:"3,keyasint"`
}

// offer asks for a quote.
type offer struct {
	Item  string             `cbor:"1,keyasint"`
	Quote actor.Reply[quote] `cbor:"2,keyasint"`
}

// quote is an answer. The new build has no Weight, and a Tax.
type quote struct {
	Cents  int `cbor:"1,keyasint"`
	Weight int `cbor:"2,keyasint"`
}

// price has a currency in the new build, which a reader may not ignore: so its version is 2 there.
type price struct {
	Item  string           `cbor:"1,keyasint"`
	Cents actor.Reply[int] `cbor:"2,keyasint"`
}

// stock is not in the new build any more.
type stock struct {
	Item string           `cbor:"1,keyasint"`
	Left actor.Reply[int] `cbor:"2,keyasint"`
}

func (order) isMessage() {}
func (offer) isMessage() {}
func (price) isMessage() {}
func (stock) isMessage() {}

func init() {
	cluster.Type[order]("shop.order", 1)
	cluster.Type[offer]("shop.offer", 1)
	cluster.Type[price]("shop.price", 1)
	cluster.Type[stock]("shop.stock", 1)
}

func handle(t *actor.Tasklet, m message) (string, error) {
	switch m := m.(type) {
	case order:
		return fmt.Sprintf("order %d, gift %v", m.N, m.Gift), nil
	case offer:
		return "offer for " + m.Item, m.Quote.Send(t, quote{Cents: 100, Weight: 7})
	case price:
		return "price of " + m.Item, m.Cents.Send(t, 100)
	case stock:
		return "stock of " + m.Item, m.Left.Send(t, 3)
	}
	return "", fmt.Errorf("a message of type %T", m)
}

// claim claims the till, whose messages are of one type.
func claim(p *rolling.Process, t *actor.Tasklet) error {
	till := actor.Receiver(t.System(), func(t *actor.Tasklet, m price) error { return m.Cents.Send(t, 100) })
	_, err := cluster.Claim(t, p.Node, "till/"+p.Name, till)
	return err
}

func main() {
	rolling.Main(rolling.Build[message]{
		Handle:  handle,
		Order:   func(from string, n int) message { return order{From: from, N: n, Gift: true} },
		Counted: func(m message) (string, int, bool) { o, ok := m.(order); return o.From, o.N, ok },
		Claim:   claim,
		Do: map[string]func(*rolling.Process, *actor.Tasklet, string) (string, error){
			"order": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return "", rolling.Send(p, t, "shop/"+to, message(order{N: 1, Gift: true}))
			},
			"offer": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return rolling.Call(p, t, "shop/"+to, func(r actor.Reply[quote]) message { return offer{"tea", r} })
			},
			"price": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return rolling.Call(p, t, "shop/"+to, func(r actor.Reply[int]) message { return price{"tea", r} })
			},
			"till": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return rolling.Call(p, t, "till/"+to, func(r actor.Reply[int]) price { return price{"tea", r} })
			},
			"stock": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return rolling.Call(p, t, "shop/"+to, func(r actor.Reply[int]) message { return stock{"tea", r} })
			},
			"stock-cast": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return "", rolling.Send(p, t, "shop/"+to, message(stock{Item: "tea"}))
			},
		},
	})
}
