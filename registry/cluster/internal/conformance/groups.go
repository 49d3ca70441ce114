package conformance

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry"
)

// members starts three members there, and returns the group as it is seen here.
func (p *Place) members() (here, there group, ends []*End) {
	p.TB.Helper()
	here, there = p.group(p.Here, "group"), p.group(p.There, "group")
	for range 3 {
		e := p.start(actor.MailboxLen(1))
		p.ok(there.Join(p.T, e.there))
		ends = append(ends, e)
	}
	p.count(here, 3)
	return here, there, ends
}

// count waits until a group has so many members.
func (p *Place) count(g group, n int) {
	p.TB.Helper()
	p.until(fmt.Sprintf("%d members", n), func() bool { return len(g.Members()) == n })
}

// which returns the place of a ref among ends.
func which(ends []*End, ref actor.Ref[msg]) int {
	return slices.IndexFunc(ends, func(e *End) bool { return e.here == ref })
}

var groups = []Behaviour{
	{
		Name: "members of a group", Rules: "registry",
		Run: func(p *Place) {
			here, there, ends := p.members()
			p.say("%v", places(ends, here.Members()))
			p.ok(there.Join(p.T, ends[0].there))
			p.ok(there.Leave(p.T, ends[1].there))
			p.count(here, 2)
			p.say("%v", places(ends, here.Members()))
			p.ok(there.Join(p.T, ends[1].there))
			p.count(here, 3)
			p.say("%v", places(ends, here.Members()))
			ends[2].here.Close()
			p.ok(ends[2].here.Join(p.T))
			p.count(here, 2)
			p.say("%v", places(ends, here.Members()))
			p.say("dead: %s", nameOf(there.Join(p.T, ends[2].there)))
		},
		Want: []string{"[0 1 2]", "[0 2]", "[0 2 1]", "[0 1]", "dead: ErrClosed"},
	},
	{
		Name: "the order of members at both ends", Rules: "registry",
		Run: func(p *Place) {
			here, there := p.group(p.Here, "mixed"), p.group(p.There, "mixed")
			e := p.start()
			first, last := p.receiver(), p.receiver()
			p.ok(here.Join(p.T, first))
			p.ok(there.Join(p.T, e.there))
			p.ok(here.Join(p.T, last))
			p.count(here, 3)
			members := here.Members()
			p.say("%d %d %d", slices.Index(members, first), slices.Index(members, e.here), slices.Index(members, last))
		},
		Want: []string{"0 1 2"},
		Over: []string{"0 2 1"},
		Why:  "the order is that of the nodes' names, and of joining on each (cluster, Group)",
	},
	{
		Name: "a broadcast", Rules: "registry",
		Run: func(p *Place) {
			here, there, ends := p.members()
			own := 0
			p.ok(here.Join(p.T, actor.Receiver(p.T, func(*actor.Tasklet, msg) error { own++; return nil })))
			p.count(here, 4)
			p.count(there, 4)
			n, err := here.Broadcast(p.T, msg{N: 5})
			p.say("%d, %s", n, nameOf(err))
			for _, e := range ends {
				e.handled(1)
			}
			p.until("the one here has it", func() bool { return own == 1 })
			p.settle()
			p.say("%v %v %v", ends[0].got(), ends[1].got(), ends[2].got())
		},
		Want: []string{"4, nil", "[5] [5] [5]"},
	},
	{
		Name: "a broadcast to a full mailbox", Rules: "registry",
		Run: func(p *Place) {
			here, _, ends := p.members()
			ends[1].hold()
			ends[1].fill()
			ctx, cancel := limit(p.T)
			defer cancel()
			n, err := here.Broadcast(ctx, msg{N: 5})
			p.say("%d, %s", n, nameOf(err))
			var failed *registry.SendError[msg]
			p.say("its ref: %v", errors.As(err, &failed) && failed.Ref == ends[1].here)
			ends[1].open.Store(true)
		},
		Want: []string{"2, a *SendError, ErrTimeout", "its ref: true"},
	},
	{
		Name: "Next takes turns", Rules: "registry",
		Run: func(p *Place) {
			here, _, ends := p.members()
			var turns []int
			for range 6 {
				ref, err := here.Next()
				p.ok(err)
				turns = append(turns, which(ends, ref))
			}
			p.say("%v", turns)
			ends[1].here.Close()
			p.ok(ends[1].here.Join(p.T))
			turns = nil
			for range 4 {
				ref, err := here.Next()
				p.ok(err)
				turns = append(turns, which(ends, ref))
			}
			slices.Sort(turns)
			p.say("%v", turns)
		},
		Want: []string{"[0 1 2 0 1 2]", "[0 0 2 2]"},
	},
	{
		Name: "ForKey stays", Rules: "registry",
		Run: func(p *Place) {
			here, there, ends := p.members()
			before := p.keys(here, ends)
			p.say("the same: %v", slices.Equal(before, p.keys(here, ends)))
			p.ok(there.Leave(p.T, ends[1].there))
			p.count(here, 2)
			moved, stayed := 0, 0
			for i, w := range p.keys(here, ends) {
				switch {
				case before[i] == 1:
					moved++
				case before[i] == w:
					stayed++
				}
			}
			p.say("those of the others stay: %v, its own move: %v", moved+stayed == len(before), moved > 0)
		},
		Want: []string{"the same: true", "those of the others stay: true, its own move: true"},
	},
	{
		Name: "ForKey is the same at both ends", Rules: "registry",
		Run: func(p *Place) {
			here, there, ends := p.members()
			p.count(there, 3)
			same := 0
			for i := range 50 {
				a, err := here.ForKey(fmt.Sprint("key/", i))
				p.ok(err)
				b, err := there.ForKey(fmt.Sprint("key/", i))
				p.ok(err)
				if ends[which(ends, a)].there == b {
					same++
				}
			}
			p.say("%d", same)
		},
		Want: []string{"50"},
	},
	{
		Name: "a group without members", Rules: "registry",
		Run: func(p *Place) {
			g := p.group(p.Here, "empty")
			_, next := g.Next()
			_, key := g.ForKey("k")
			n, err := g.Broadcast(p.T, msg{})
			p.say("%s, %s, %d %s, %d", nameOf(next), nameOf(key), n, nameOf(err), len(g.Members()))
		},
		Want: []string{"ErrNoMembers, ErrNoMembers, 0 nil, 0"},
	},
}

func places(ends []*End, refs []actor.Ref[msg]) (all []int) {
	for _, r := range refs {
		all = append(all, which(ends, r))
	}
	return all
}

// keys returns who has some keys.
func (p *Place) keys(g group, ends []*End) (all []int) {
	p.TB.Helper()
	for i := range 60 {
		ref, err := g.ForKey(fmt.Sprint("key/", i))
		p.ok(err)
		all = append(all, which(ends, ref))
	}
	return all
}
