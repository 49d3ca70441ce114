package conformance

import (
	"errors"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/supervisor"
)

// gone waits until a name is free here.
func (p *Place) gone(name string) {
	p.TB.Helper()
	p.until("the name is free", func() bool {
		_, err := p.Here.find(p.T, name)
		return errors.Is(err, registry.ErrNotFound)
	})
}

// receiver returns a receiver here.
func (p *Place) receiver() actor.Ref[msg] {
	return actor.Receiver(p.T, func(*actor.Tasklet, msg) error { return nil })
}

var names = []Behaviour{
	{
		Name: "a name has one owner", Rules: "registry",
		Run: func(p *Place) {
			e, here := p.start(), p.receiver()
			p.say("of another ref: %s", nameOf(p.Here.claim(p.T, e.name, here)))
			p.say("of the same ref: %s", nameOf(p.There.claim(p.T, e.name, e.there)))
			p.say("another name of it: %s", nameOf(p.There.claim(p.T, "another", e.there)))
			again, err := p.Here.waitFor(p.T, "another")
			p.say("the same ref: %v, %s", again == e.here, nameOf(err))
			p.say("it is found: %v", found(p.Here.find(p.T, e.name)) == e.here)
		},
		Want: []string{
			"of another ref: ErrTaken", "of the same ref: nil", "another name of it: nil", "the same ref: true, nil", "it is found: true",
		},
	},
	{
		Name: "a name is free after the end of its owner", Rules: "registry",
		Run: func(p *Place) {
			e := p.start()
			e.here.Close()
			p.ok(e.here.Join(p.T))
			p.gone(e.name)
			here := p.receiver()
			p.until("it can be had", func() bool { return p.Here.claim(p.T, e.name, here) == nil })
			var there actor.Ref[msg]
			p.until("it is known there", func() bool {
				var err error
				there, err = p.There.find(p.T, e.name)
				return err == nil
			})
			p.say("it is another ref: %v", there != e.here)
		},
		Want: []string{"it is another ref: true"},
	},
	{
		Name: "names that are refused", Rules: "registry",
		Run: func(p *Place) {
			e := p.start()
			_, err := p.Here.find(p.T, "nobody")
			p.say("unknown: %s", nameOf(err))
			_, err = find[other](p.T, p.Here, e.name)
			p.say("another type: %s", nameOf(err))
			for _, name := range []string{"", "two\nlines"} {
				_, err := p.Here.find(p.T, name)
				p.say("%q: find %s, claim %s", name, nameOf(err), nameOf(p.Here.claim(p.T, name, p.receiver())))
			}
			dead := p.receiver()
			dead.Close()
			p.ok(dead.Join(p.T))
			p.say("dead: %s", nameOf(p.Here.claim(p.T, "dead", dead)))
		},
		Want: []string{
			"unknown: ErrNotFound", "another type: a *TypeError", `"": find ErrName, claim ErrName`,
			`"two\nlines": find ErrName, claim ErrName`, "dead: ErrClosed",
		},
	},
	{
		Name: "WaitFor waits", Rules: "registry",
		Run: func(p *Place) {
			var refs []actor.Ref[msg]
			var waiters []*actor.Tasklet
			for range 2 {
				waiters = append(waiters, actor.Go(p.T, func(t *actor.Tasklet) error {
					ref, err := p.Here.waitFor(t, "end/2")
					refs = append(refs, ref)
					return err
				}))
			}
			p.settle() // which is the end 1
			p.say("before: %d", len(refs))
			e := p.start()
			for _, w := range waiters {
				p.say("%s", nameOf(w.Join(p.T)))
			}
			p.say("%v %v", refs[0] == e.here, refs[1] == e.here)
		},
		Want: []string{"before: 0", "nil", "nil", "true true"},
	},
	{
		Name: "WaitFor has a limit", Rules: "registry",
		Run: func(p *Place) {
			ctx, cancel := limit(p.T)
			defer cancel()
			_, err := p.Here.waitFor(ctx, "nobody")
			p.say("%s", nameOf(err))
			_, err = p.Here.waitFor(p.T, "")
			p.say("%s", nameOf(err))
		},
		Want: []string{"ErrTimeout", "ErrName"},
	},
	{
		Name: "a name lives over restarts", Rules: "registry",
		Run: func(p *Place) {
			e := p.startSupervised(supervisor.Permanent)
			_, err := p.call(e, "error", 0)
			p.say("%s", nameOf(err))
			v, err := p.call(e, "answer starts", 0)
			p.say("incarnation %d, %s", v, nameOf(err))
			p.say("the same ref: %v", found(p.Here.find(p.T, e.name)) == e.here)
		},
		Want: []string{"a *JoinError, boom", "incarnation 2, nil", "the same ref: true"},
		Over: []string{"boom", "incarnation 2, nil", "the same ref: true"},
		Why:  travels,
	},
}

func found(ref actor.Ref[msg], _ error) actor.Ref[msg] { return ref }
