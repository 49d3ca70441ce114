package conformance

import (
	"slices"
	"strings"
	"sync"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

// watcher is a receiver here with what has come, as text.
type watcher struct {
	ref actor.Ref[msg]
	mu  sync.Mutex // protects the following
	all []string
}

func (p *Place) watcher() *watcher {
	w := &watcher{}
	w.ref = actor.Receiver(p.T, func(_ *actor.Tasklet, m msg) error { w.add(m.Do); return nil })
	return w
}

func (w *watcher) add(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, what)
}

func (w *watcher) got() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// notice is the message of a watch.
func notice(e actor.Exit) msg { return msg{Do: e.Kind.String() + " " + nameOf(e.Err)} }

var ends = []Behaviour{
	{
		Name: "what is queued is handled after Close", Rules: "3",
		Run: func(p *Place) {
			e := p.start()
			e.hold()
			for i := range 3 {
				p.ok(e.send("", i+1))
			}
			e.here.Close()
			e.here.Close()
			e.open.Store(true)
			p.say("Join: %s", nameOf(e.here.Join(p.T)))
			p.say("handled %v, lost %d", e.got(), p.Lost.n.Load())
			p.say("Send: %s, TrySend: %s", nameOf(e.send("", 4)), nameOf(e.here.TrySend(p.T, msg{})))
			p.say("dead: %v, closed: %v", e.here.IsDead(), e.here.IsClosed())
		},
		Want: []string{"Join: nil", "handled [0 1 2 3], lost 0", "Send: ErrClosed, TrySend: ErrClosed", "dead: true, closed: true"},
	},
	{
		Name: "Send right after Close", Rules: "3",
		Run: func(p *Place) {
			e := p.start()
			e.here.Close()
			p.say("closed: %v", e.here.IsClosed())
			p.say("Send: %s", nameOf(e.send("", 1)))
			p.ok(e.here.Join(p.T))
			p.settle()
			p.say("handled or reported: %d", len(e.got())+int(p.Lost.n.Load()))
		},
		Want: []string{"closed: true", "Send: ErrClosed", "handled or reported: 0"},
		Over: []string{"closed: false", "Send: nil", "handled or reported: 1"},
		Why:  "the close goes there (cluster, Refs to another node)",
	},
	{
		Name: "how a tasklet ends", Rules: "20, 21",
		Run: func(p *Place) {
			for _, do := range []string{"stop", "shutdown", "error", "end of another", "shutdown of another", "panic", "kill", "kill with a cause"} {
				e, w := p.start(actor.OnFailure(actor.End)), p.watcher()
				actor.Watch(p.T, e.here, w.ref, notice)
				switch do {
				case "kill":
					e.here.Kill()
				case "kill with a cause":
					e.here.KillCause(p.T, errBoom)
				default:
					p.ok(e.send(do, 1))
				}
				p.say("%s: Join: %s", do, nameOf(e.here.Join(p.T)))
				p.until("a notice", func() bool { return len(w.got()) > 0 })
				p.say("notice: %s", w.got()[0])
			}
		},
		Want: []string{
			"stop: Join: nil", "notice: normal nil",
			"shutdown: Join: nil", "notice: shutdown ErrShutdown",
			"error: Join: a *JoinError, boom", "notice: error boom",
			"end of another: Join: a *JoinError, a *Killed, ErrKilled", "notice: error a *JoinError, a *Killed, ErrKilled",
			"shutdown of another: Join: a *JoinError, ErrShutdown", "notice: error a *JoinError, ErrShutdown",
			"panic: Join: a *JoinError, a *PanicError, boom", "notice: panic a *PanicError, boom",
			"kill: Join: a *JoinError, a *Killed, ErrKilled", "notice: killed ErrKilled",
			"kill with a cause: Join: a *JoinError, a *Killed, boom, ErrKilled", "notice: killed a *Killed, boom, ErrKilled",
		},
		Over: []string{
			"stop: Join: nil", "notice: normal nil",
			"shutdown: Join: nil", "notice: shutdown ErrShutdown",
			"error: Join: a *JoinError, boom", "notice: error boom",
			"end of another: Join: a *JoinError, ErrKilled", "notice: error ErrKilled",
			"shutdown of another: Join: a *JoinError, ErrShutdown", "notice: error ErrShutdown",
			"panic: Join: a *JoinError, boom", "notice: error boom",
			"kill: Join: a *JoinError, a *Killed, ErrKilled", "notice: killed ErrKilled",
			"kill with a cause: Join: a *JoinError, a *Killed, ErrKilled", "notice: killed ErrKilled",
		},
		Why: "only registered errors and texts travel, a panic is an error, and a kill has no cause (cluster, Refs to another node)",
	},
	{
		Name: "the cause of a kill", Rules: "17",
		Run: func(p *Place) {
			e := p.start()
			t := e.there.Tasklet()
			e.here.KillCause(p.T, errBoom)
			_ = e.here.Join(p.T)
			k := t.Killed()
			p.say("killed: %s", nameOf(k))
			p.say("it has the text: %v, by this tasklet: %v", strings.Contains(k.Error(), "boom"), strings.Contains(k.Error(), p.T.Path()))
		},
		Want: []string{"killed: a *Killed, boom, ErrKilled", "it has the text: true, by this tasklet: true"},
		Over: []string{"killed: a *Killed, ErrKilled", "it has the text: true, by this tasklet: true"},
		Why:  "the text of the cause is sent (actor, Ref.KillCause)",
	},
	{
		Name: "what is queued at a kill is reported", Rules: "3, 17",
		Run: func(p *Place) {
			e := p.start()
			e.hold()
			for i := range 3 {
				p.ok(e.send("", i+1))
			}
			p.settle()
			e.here.Kill()
			p.say("Join: %s", nameOf(e.here.Join(p.T)))
			p.settle()
			p.say("handled %v, lost %d", e.got(), p.Lost.n.Load())
			p.say("Send: %s", nameOf(e.send("", 4)))
		},
		Want: []string{"Join: a *JoinError, a *Killed, ErrKilled", "handled [0], lost 3", "Send: ErrClosed"},
	},
	{
		Name: "a failure of one message", Rules: "23",
		Run: func(p *Place) {
			e := p.start()
			for _, do := range []string{"error", "panic"} {
				p.ok(e.send(do, 1))
			}
			v, err := p.call(e, "answer", 2)
			p.say("it goes on: %d %s", v, nameOf(err))
		},
		Want: []string{"it goes on: 2 nil"},
	},
	{
		Name: "Join and Watch of what has ended", Rules: "1, 21",
		Run: func(p *Place) {
			e, w := p.start(actor.OnFailure(actor.End)), p.watcher()
			p.ok(e.send("error", 1))
			_ = e.here.Join(p.T)
			p.say("Join: %s", nameOf(e.here.Join(p.T)))
			actor.Watch(p.T, e.here, w.ref, notice)
			p.until("a notice", func() bool { return len(w.got()) > 0 })
			p.say("notice: %s", w.got()[0])
		},
		Want: []string{"Join: a *JoinError, boom", "notice: error boom"},
	},
	{
		Name: "a join has a limit", Rules: "13",
		Run: func(p *Place) {
			e := p.start()
			ctx, cancel := limit(p.T)
			defer cancel()
			p.say("Join: %s", nameOf(e.here.Join(ctx)))
		},
		Want: []string{"Join: ErrTimeout"},
	},
	{
		Name: "a watch is cancelled", Rules: "1",
		Run: func(p *Place) {
			e, w := p.start(), p.watcher()
			cancel := actor.Watch(p.T, e.here, w.ref, notice)
			p.say("in time: %v", cancel())
			e.here.Close()
			p.ok(e.here.Join(p.T))
			p.settle()
			p.say("notices: %d, in time: %v", len(w.got()), cancel())
		},
		Want: []string{"in time: true", "notices: 0, in time: false"},
	},
	{
		Name: "one notice for each watch", Rules: "1",
		Run: func(p *Place) {
			e, w := p.start(), p.watcher()
			for range 2 {
				actor.Watch(p.T, e.here, w.ref, notice)
			}
			e.here.Close()
			p.until("two notices", func() bool { return len(w.got()) >= 2 })
			p.settle()
			p.say("%q", w.got())
		},
		Want: []string{`["normal nil" "normal nil"]`},
	},
	{
		Name: "messages come before the notice of the end", Rules: "21",
		Run: func(p *Place) {
			e := p.start()
			w := &watcher{}
			w.ref = actor.Receiver(p.T, func(_ *actor.Tasklet, m msg) error {
				if m.Do == "" {
					m.Do = "message"
				}
				w.add(m.Do)
				return nil
			})
			actor.Watch(p.T, e.here, w.ref, notice)
			p.ok(e.here.Send(p.T, msg{Do: "tell and stop", N: 3, To: w.ref}))
			p.until("all come", func() bool { return len(w.got()) == 4 })
			got, last := w.got(), "not promised"
			if p.There.Node == nil {
				last = got[3]
			}
			slices.Sort(got)
			p.say("%q, the last: %s", got, last)
		},
		Want: []string{`["message" "message" "message" "normal nil"], the last: normal nil`},
		Over: []string{`["message" "message" "message" "normal nil"], the last: not promised`},
		Why:  "the notice does not wait for messages that go to other refs (cluster, What is not guaranteed)",
	},
	{
		Name: "a ref lives over restarts", Rules: "1, 2",
		Run: func(p *Place) {
			e, w := p.startSupervised(supervisor.Transient), p.watcher()
			actor.Watch(p.T, e.here, w.ref, notice)
			for range 2 {
				v, err := p.call(e, "answer starts", 0)
				p.say("incarnation %d: %s", v, nameOf(err))
				p.ok(e.send("error", 0))
			}
			p.ok(e.send("", 0))
			v, err := p.call(e, "answer starts", 0)
			p.say("incarnation %d: %s", v, nameOf(err))
			p.say("dead: %v, notices: %d", e.here.IsDead(), len(w.got()))
			p.ok(e.send("stop", 0))
			p.say("Join: %s", nameOf(e.here.Join(p.T)))
			p.until("a notice", func() bool { return len(w.got()) > 0 })
			p.say("notice: %s", w.got()[0])
		},
		Want: []string{
			"incarnation 1: nil", "incarnation 2: nil", "incarnation 3: nil", "dead: false, notices: 0",
			"Join: nil", "notice: normal nil",
		},
	},
	{
		Name: "a lineage is watched", Rules: "41",
		Run: func(p *Place) {
			e, w := p.startSupervised(supervisor.Transient), p.watcher()
			actor.WatchLineage(p.T, e.here, w.ref, func(l actor.Life) msg {
				switch {
				case l.Over:
					return msg{Do: "over"}
				case l.Ended:
					return msg{Do: "ended, " + nameOf(l.Exit.Err)}
				}
				return msg{Do: "started"}
			})
			_, err := p.call(e, "error", 0)
			p.say("call: %s", nameOf(err))
			v, err := p.call(e, "answer starts", 0)
			p.say("incarnation %d: %s", v, nameOf(err))
			p.settle()
			p.say("%q", w.got())
		},
		Want: []string{"call: a *JoinError, boom", "incarnation 2: nil", `["started" "ended, boom" "started"]`},
		Over: []string{"call: boom", "incarnation 2: nil", `["started"]`},
		Why:  "the tasklet of the ref is the outbox, which lives over restarts (cluster, Refs to another node)",
	},
	{
		Name: "the tasklet of a ref", Rules: "1",
		Run: func(p *Place) {
			e := p.start()
			p.say("it is the one that handles: %v", e.here.Tasklet() == e.there.Tasklet())
		},
		Want: []string{"it is the one that handles: true"},
		Over: []string{"it is the one that handles: false"},
		Why:  "it is the outbox (actor, Ref.Tasklet)",
	},
	{
		Name: "a link when the tasklet there fails", Rules: "42",
		Run: func(p *Place) {
			e := p.start(actor.OnFailure(actor.End))
			here := actor.Receiver(p.T, func(*actor.Tasklet, msg) error { return nil })
			p.settle()
			_, err := actor.Link(here, e.here)
			p.say("Link: %s", nameOf(err))
			p.ok(e.send("error", 0))
			p.say("the one here: %s", nameOf(here.Join(p.T)))
		},
		Want: []string{"Link: nil", "the one here: a *JoinError, a *LinkError, a *Killed, boom"},
	},
	{
		Name: "a link when the tasklet here fails", Rules: "42",
		Run: func(p *Place) {
			e := p.start(actor.OnFailure(actor.End))
			here := actor.Receiver(p.T, func(*actor.Tasklet, msg) error { return errBoom }, actor.OnFailure(actor.End))
			p.settle()
			_, err := actor.Link(here, e.here)
			p.say("Link: %s", nameOf(err))
			p.ok(here.Send(p.T, msg{}))
			p.say("the ref of the one there: %s", nameOf(e.here.Join(p.T)))
			p.say("it is dead there: %v", e.there.IsDead())
		},
		Want: []string{"Link: nil", "the ref of the one there: a *JoinError, a *LinkError, a *Killed, boom", "it is dead there: true"},
		Over: []string{"Link: nil", "the ref of the one there: a *JoinError, a *Killed, ErrKilled", "it is dead there: true"},
		Why:  "the kill goes there (actor, Link)",
	},
}
