// New is the build that takes the place of the old one. See package rolling.
package main

import (
	"fmt"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/rolling"
)

// message is what a shop takes.
type message interface{ isMessage() }

// purchase is the order of the old build. The key of its Gift is not used again.
type purchase struct {
	From string `cbor:"1,keyasint"`
	N    int    `cbor:"2,keyasint"`
	Note string `cbor:"4,keyasint"`
}

// offer asks for a quote.
type offer struct {
	Item  string             `cbor:"1,keyasint"`
	Quote actor.Reply[quote] `cbor:"2,keyasint"`
}

// quote is an answer. The old build has a Weight, and no Tax.
type quote struct {
	Cents int `cbor:"1,keyasint"`
	Tax   int `cbor:"3,keyasint"`
}

// price has a currency since version 2.
type price struct {
	Item     string           `cbor:"1,keyasint"`
	Cents    actor.Reply[int] `cbor:"2,keyasint"`
	Currency string           `cbor:"3,keyasint"` // "" is that of version 1, EUR
}

// cancel is not in the old build.
type cancel struct {
	N    int               `cbor:"1,keyasint"`
	Done actor.Reply[bool] `cbor:"2,keyasint"`
}

func (purchase) isMessage() {}
func (offer) isMessage()    {}
func (price) isMessage()    {}
func (cancel) isMessage()   {}

func init() {
	cluster.Type[cancel]("shop.cancel", 1) // the order of registrations need not be the same
	cluster.Type[purchase]("shop.order", 1)
	cluster.Type[offer]("shop.offer", 1)
	cluster.Type[price]("shop.price", 2)
}

func handle(t *actor.Tasklet, m message) (string, error) {
	switch m := m.(type) {
	case purchase:
		return fmt.Sprintf("purchase %d, note %q", m.N, m.Note), nil
	case offer:
		return "offer for " + m.Item, m.Quote.Send(t, quote{Cents: 100, Tax: 19})
	case price:
		return fmt.Sprintf("price of %s in %q", m.Item, m.Currency), m.Cents.Send(t, 100)
	case cancel:
		return fmt.Sprint("cancel ", m.N), m.Done.Send(t, true)
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
		Order:   func(from string, n int) message { return purchase{From: from, N: n, Note: "by hand"} },
		Counted: func(m message) (string, int, bool) { o, ok := m.(purchase); return o.From, o.N, ok },
		Claim:   claim,
		Do: map[string]func(*rolling.Process, *actor.Tasklet, string) (string, error){
			"order": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return "", rolling.Send(p, t, "shop/"+to, message(purchase{N: 2, Note: "by hand"}))
			},
			"offer": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return rolling.Call(p, t, "shop/"+to, func(r actor.Reply[quote]) message { return offer{"tea", r} })
			},
			"price": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return rolling.Call(p, t, "shop/"+to, func(r actor.Reply[int]) message { return price{"tea", r, "USD"} })
			},
			"till": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return rolling.Call(p, t, "till/"+to, func(r actor.Reply[int]) price { return price{"tea", r, "USD"} })
			},
			"cancel": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return rolling.Call(p, t, "shop/"+to, func(r actor.Reply[bool]) message { return cancel{1, r} })
			},
			"cancel-cast": func(p *rolling.Process, t *actor.Tasklet, to string) (string, error) {
				return "", rolling.Send(p, t, "shop/"+to, message(cancel{N: 1}))
			},
		},
	})
}
