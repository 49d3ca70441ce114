package conformance

import (
	"slices"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// inOrder reports whether the numbers grow by 1.
func inOrder(numbers []int) bool {
	for i, n := range numbers[1:] {
		if n != numbers[i]+1 {
			return false
		}
	}
	return true
}

var mailboxes = []Behaviour{
	{
		Name: "the messages of a sender come in order", Rules: "39",
		Run: func(p *Place) {
			e := p.start(actor.MailboxLen(2))
			for i := range 1000 {
				p.ok(e.send("", i))
			}
			e.handled(1000)
			p.say("%d, in order: %v", len(e.got()), inOrder(e.got()))
		},
		Want: []string{"1000, in order: true"},
	},
	{
		Name: "a full mailbox parks its senders and nobody else", Rules: "5, 6",
		Run: func(p *Place) {
			e, free := p.start(actor.MailboxLen(1)), p.start()
			e.hold()
			sent := 0
			sender := p.goAndPark("send to", func(t *actor.Tasklet) error {
				for ; sent < 6000; sent++ {
					if err := e.here.Send(t, msg{N: sent + 1}); err != nil {
						return err
					}
				}
				return nil
			})
			for i := range 500 {
				p.ok(free.send("", i))
			}
			free.handled(500)
			p.until("it parks for good", func() bool { return parked(sender, "send to") })
			p.say("all are sent: %v", sent == 6000)
			e.open.Store(true)
			p.say("the sender: %s", nameOf(sender.Join(p.T)))
			e.handled(6001)
			p.say("%d, in order: %v", len(e.got()), inOrder(e.got()))
		},
		Want: []string{"all are sent: false", "the sender: nil", "6001, in order: true"},
	},
	{
		Name: "no sender overtakes", Rules: "5",
		Run: func(p *Place) {
			e := p.start(actor.MailboxLen(1))
			e.hold()
			sent := 1 + e.fill()
			for i := range 3 {
				p.goAndPark("send to", func(t *actor.Tasklet) error { return e.here.Send(t, msg{N: i + 1}) })
			}
			p.say("TrySend: %s", nameOf(e.here.TrySend(p.T, msg{N: 4})))
			e.open.Store(true)
			e.handled(sent + 3)
			p.settle()
			p.say("%v", e.got()[sent:])
		},
		Want: []string{"TrySend: ErrFull", "[1 2 3]"},
	},
	{
		Name: "a parked sender leaves when its context ends", Rules: "5, 13",
		Run: func(p *Place) {
			e := p.start(actor.MailboxLen(1))
			e.hold()
			e.fill()
			ctx, cancel := limit(p.T)
			defer cancel()
			p.say("Send: %s", nameOf(e.here.Send(ctx, msg{N: 1})))
			e.open.Store(true)
			p.ok(e.send("", 2))
			p.until("the last one is handled", func() bool { return slices.Contains(e.got(), 2) })
			p.say("handled: %v", slices.Contains(e.got(), 1))
		},
		Want: []string{"Send: ErrTimeout", "handled: false"},
	},
	{
		Name: "a parked sender leaves when it is killed", Rules: "5, 17",
		Run: func(p *Place) {
			e := p.start(actor.MailboxLen(1))
			e.hold()
			e.fill()
			sender := p.goAndPark("send to", func(t *actor.Tasklet) error { return e.here.Send(t, msg{N: 1}) })
			sender.Kill()
			p.say("the sender: %s", nameOf(sender.Join(p.T)))
			e.open.Store(true)
			p.ok(e.send("", 2))
			p.until("the last one is handled", func() bool { return slices.Contains(e.got(), 2) })
			p.say("handled: %v", slices.Contains(e.got(), 1))
		},
		Want: []string{"the sender: a *JoinError, a *Killed, ErrKilled", "handled: false"},
	},
	{
		Name: "TrySend Len and Cap", Rules: "6",
		Run: func(p *Place) {
			e := p.start(actor.MailboxLen(2))
			p.say("Cap is that of the mailbox: %v", e.here.Cap() == 2)
			e.hold()
			p.ok(e.send("", 0))
			p.settle()
			p.say("Len with one message queued: %d", e.here.Len())
			p.say("as many as fit: %v", e.fill() == 1)
			p.say("TrySend: %s", nameOf(e.here.TrySend(p.T, msg{})))
			p.say("Len is Cap: %v", e.here.Len() == e.here.Cap())
			e.open.Store(true)
			p.until("there is room", func() bool { return e.here.TrySend(p.T, msg{}) == nil })
		},
		Want: []string{
			"Cap is that of the mailbox: true", "Len with one message queued: 1", "as many as fit: true",
			"TrySend: ErrFull", "Len is Cap: true",
		},
		Over: []string{
			"Cap is that of the mailbox: false", "Len with one message queued: 0", "as many as fit: false",
			"TrySend: ErrFull", "Len is Cap: true",
		},
		Why: "they speak of the outbox (cluster, Refs to another node)",
	},
	{
		Name: "overflow policies", Rules: "6",
		Run: func(p *Place) {
			for _, policy := range []mailbox.Policy{mailbox.Fail, mailbox.DropNewest, mailbox.DropOldest} {
				e := p.start(actor.MailboxLen(1), actor.Overflow(policy))
				lost := p.Lost.n.Load()
				e.hold()
				p.ok(e.send("", 1))
				p.settle()
				second := e.send("", 2)
				p.settle()
				e.open.Store(true)
				p.until("it is idle", func() bool { return len(e.got()) == 2 && e.there.Len() == 0 })
				p.say("%v: %s, handled %v, lost %d", policy, nameOf(second), e.got()[1:], p.Lost.n.Load()-lost)
			}
		},
		Want: []string{
			"Fail: ErrFull, handled [1], lost 0", "DropNewest: nil, handled [1], lost 1", "DropOldest: nil, handled [2], lost 1",
		},
		Over: []string{
			"Fail: nil, handled [1], lost 1", "DropNewest: nil, handled [1], lost 1", "DropOldest: nil, handled [2], lost 1",
		},
		Why: "the message is on its way when the mailbox refuses it, so it is a dead letter (cluster, What is guaranteed)",
	},
	{
		Name: "calls to a mailbox that drops", Rules: "6, 30",
		Run: func(p *Place) {
			for _, policy := range []mailbox.Policy{mailbox.Fail, mailbox.DropNewest, mailbox.DropOldest} {
				e := p.start(actor.MailboxLen(1), actor.Overflow(policy))
				e.hold()
				first := "not called"
				caller := p.goAndPark("call to", func(t *actor.Tasklet) error {
					_, err := callIn(t, e, "answer", 1)
					first = nameOf(err)
					return nil
				})
				p.settle()
				second := "not called"
				other := actor.Go(p.T, func(t *actor.Tasklet) error {
					_, err := callIn(t, e, "answer", 2)
					second = nameOf(err)
					return nil
				})
				p.settle()
				e.open.Store(true)
				p.ok(caller.Join(p.T))
				p.ok(other.Join(p.T))
				p.say("%v: %s, %s", policy, first, second)
			}
		},
		Want: []string{"Fail: nil, ErrFull", "DropNewest: nil, ErrDropped", "DropOldest: ErrDropped, nil"},
	},
	{
		Name: "an unbounded mailbox parks nobody for long", Rules: "6",
		Run: func(p *Place) {
			e := p.start(actor.Overflow(mailbox.Unbounded))
			e.hold()
			for i := range 6000 {
				p.ok(e.send("", i+1))
			}
			p.say("all are sent")
			e.open.Store(true)
			e.handled(6001)
			p.say("in order: %v", inOrder(e.got()))
		},
		Want: []string{"all are sent", "in order: true"},
	},
}
