package conformance

import (
	"slices"

	"github.com/gotasklet/tasklet/actor"
)

// travels is why errors differ.
const travels = "only registered errors and texts travel, in a *RemoteError (cluster, RemoteError)"

var calls = []Behaviour{
	{
		Name: "the ends of a call", Rules: "20, 30",
		Run: func(p *Place) {
			for _, do := range []string{
				"answer", "fail", "", "error", "panic", "delegate", "delegate to one that ends", "shutdown", "stop",
			} {
				e := p.start()
				v, err := p.call(e, do, 7)
				p.say("%q: %d, %s", do, v, nameOf(err))
			}
		},
		Want: []string{
			`"answer": 7, nil`, `"fail": 0, boom`, `"": 0, ErrNoReply`, `"error": 0, boom`, `"panic": 0, a *PanicError, boom`,
			`"delegate": 7, nil`, `"delegate to one that ends": 0, a *JoinError, ErrNoReply`,
			`"shutdown": 0, a *JoinError, ErrShutdown`, `"stop": 0, a *JoinError, ErrStop`,
		},
		Over: []string{
			`"answer": 7, nil`, `"fail": 0, boom`, `"": 0, ErrNoReply`, `"error": 0, boom`, `"panic": 0, boom`,
			`"delegate": 7, nil`, `"delegate to one that ends": 0, ErrNoReply`,
			`"shutdown": 0, ErrShutdown`, `"stop": 0, ErrStop`,
		},
		Why: travels,
	},
	{
		Name: "the error of a call is not the end of the caller", Rules: "20",
		Run: func(p *Place) {
			for _, do := range []string{"stop", "shutdown", "panic", "end of another"} {
				e := p.start(actor.OnFailure(actor.End))
				w := p.watcher()
				caller := actor.Go(p.T, func(t *actor.Tasklet) error {
					_, err := callIn(t, e, do, 0)
					return err
				})
				actor.Watch(p.T, caller, w.ref, func(e actor.Exit) msg { return msg{Do: e.Kind.String()} })
				p.until("a notice", func() bool { return len(w.got()) > 0 })
				p.say("%s: %s", do, w.got()[0])
			}
		},
		Want: []string{"stop: error", "shutdown: error", "panic: error", "end of another: error"},
	},
	{
		Name: "a call whose callee ends", Rules: "30",
		Run: func(p *Place) {
			e := p.start()
			results := make([]string, 2)
			var callers []*actor.Tasklet
			for i := range results {
				callers = append(callers, p.goAndPark("call to", func(t *actor.Tasklet) error {
					_, err := callIn(t, e, "wait", i)
					results[i] = nameOf(err)
					return nil
				}))
				e.handled(1)
			}
			p.settle()
			e.here.Kill()
			for i, c := range callers {
				p.ok(c.Join(p.T))
				p.say("%s: %s", []string{"in hand", "queued"}[i], results[i])
			}
			_, err := p.call(e, "answer", 1)
			p.say("afterwards: %s", nameOf(err))
		},
		Want: []string{"in hand: a *JoinError, a *Killed, ErrKilled", "queued: ErrClosed", "afterwards: ErrClosed"},
		Over: []string{"in hand: ErrKilled", "queued: ErrClosed", "afterwards: ErrClosed"},
		Why:  travels,
	},
	{
		Name: "a reply used twice", Rules: "30",
		Run: func(p *Place) {
			e := p.start()
			v, err := p.call(e, "answer twice", 1)
			p.say("%d, %s", v, nameOf(err))
			p.until("all notes", func() bool { return len(e.notes()) == 3 })
			p.say("%q", e.notes())
		},
		Want: []string{"1, nil", `["nil" "ErrNotAwaited" "ErrNotAwaited"]`},
	},
	{
		Name: "a call at its limit", Rules: "13, 30",
		Run: func(p *Place) {
			e := p.start()
			ctx, cancel := limit(p.T)
			defer cancel()
			_, err := actor.Call(ctx, e.here, func(r actor.Reply[int]) msg { return msg{Do: "wait for the caller", Reply: r} })
			p.say("%s", nameOf(err))
			p.until("the callee knows", func() bool { return len(e.notes()) == 2 })
			p.say("%q", e.notes())
			v, err := p.call(e, "answer", 2)
			p.say("the next one: %d, %s", v, nameOf(err))
		},
		Want: []string{"ErrTimeout", `["the caller has left" "ErrNotAwaited"]`, "the next one: 2, nil"},
	},
	{
		Name: "a caller that is killed", Rules: "17, 30",
		Run: func(p *Place) {
			e := p.start()
			caller := p.goAndPark("call to", func(t *actor.Tasklet) error {
				_, err := callIn(t, e, "wait for the caller", 0)
				return err
			})
			e.handled(1)
			caller.Kill()
			p.say("%s", nameOf(caller.Join(p.T)))
			p.until("the callee knows", func() bool { return len(e.notes()) == 2 })
			p.say("%q", e.notes())
		},
		Want: []string{"a *JoinError, a *Killed, ErrKilled", `["the caller has left" "ErrNotAwaited"]`},
	},
	{
		Name: "a call that is given up before it is handled", Rules: "30",
		Run: func(p *Place) {
			e := p.start()
			e.hold()
			ctx, cancel := limit(p.T)
			defer cancel()
			_, err := actor.Call(ctx, e.here, func(r actor.Reply[int]) msg { return msg{Do: "wait for the caller", N: 1, Reply: r} })
			p.say("%s", nameOf(err))
			p.settle()
			e.open.Store(true)
			p.until("it is handled", func() bool { return len(e.notes()) == 2 })
			p.say("handled %v, %q", e.got(), e.notes())
		},
		Want: []string{"ErrTimeout", `handled [0 1], ["the caller has left" "ErrNotAwaited"]`},
	},
	{
		Name: "a call that finds no room", Rules: "5, 30",
		Run: func(p *Place) {
			e := p.start(actor.MailboxLen(1))
			e.hold()
			e.fill()
			ctx, cancel := limit(p.T)
			defer cancel()
			_, err := actor.Call(ctx, e.here, func(r actor.Reply[int]) msg { return msg{Do: "answer", N: 1, Reply: r} })
			p.say("%s", nameOf(err))
			e.open.Store(true)
			p.ok(e.send("", 2))
			p.until("the last one is handled", func() bool { return slices.Contains(e.got(), 2) })
			p.say("handled: %v", slices.Contains(e.got(), 1))
		},
		Want: []string{"ErrTimeout", "handled: false"},
	},
	{
		Name: "many callers get their own answers", Rules: "30",
		Run: func(p *Place) {
			e := p.start()
			right := 0
			var callers []*actor.Tasklet
			for c := range 10 {
				callers = append(callers, actor.Go(p.T, func(t *actor.Tasklet) error {
					for i := range 20 {
						if v, err := callIn(t, e, "answer", 100*c+i); err != nil || v != 100*c+i {
							return err
						}
						right++
					}
					return nil
				}))
			}
			for _, c := range callers {
				p.ok(c.Join(p.T))
			}
			p.say("%d", right)
		},
		Want: []string{"200"},
	},
	{
		Name: "a reply that is passed on", Rules: "30",
		Run: func(p *Place) {
			e := p.start()
			here := actor.Receiver(p.T, func(t *actor.Tasklet, m msg) error { return m.Reply.Send(t, m.N) })
			v, err := actor.Call(p.T, e.here, func(r actor.Reply[int]) msg { return msg{Do: "pass on", N: 7, To: here, Reply: r} })
			p.say("%d, %s", v, nameOf(err))
		},
		Want: []string{"7, nil"},
	},
	{
		Name: "a ref in a message", Rules: "cluster, Replies and refs in messages",
		Run: func(p *Place) {
			e := p.start()
			var got []msg
			here := actor.Receiver(p.T, func(_ *actor.Tasklet, m msg) error { got = append(got, m); return nil })
			p.ok(e.here.Send(p.T, msg{Do: "tell", N: 7, To: here}))
			p.until("it tells", func() bool { return len(got) == 1 })
			p.say("%d, the same ref: %v", got[0].N, got[0].To == here)
		},
		Want: []string{"7, the same ref: true"},
	},
	{
		Name: "a ring of calls", Rules: "29",
		Run: func(p *Place) {
			e := p.start()
			var answer string
			here := actor.Receiver(p.T, func(t *actor.Tasklet, m msg) error {
				_, err := actor.Call(t, e.here, func(r actor.Reply[int]) msg { return msg{Do: "call back", To: m.To, Reply: r} })
				answer = nameOf(err)
				return nil
			})
			p.ok(here.Send(p.T, msg{To: here}))
			e.handled(1)
			p.settle()
			if answer == "" {
				answer = "it waits"
				here.Kill()
				_ = here.Join(p.T)
			}
			p.say("%s", answer)
		},
		Want: []string{"a *DeadlockError"},
		Over: []string{"it waits"},
		Why:  "no node knows what the tasklets of another one wait for (cluster, What is not guaranteed)",
	},
}
