package cluster_test

import (
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
)

var (
	seeds = flag.Int("cluster.seeds", 0, "the number of seeds of TestSimulation; 0 means a share that takes some seconds")
	first = flag.Uint64("cluster.first", 1, "the first seed of TestSimulation")
)

// cast is a message whose fate is counted. Its sender is one tasklet, and its number counts from 1
// for each sender and target.
type cast struct {
	Sender string
	Target string // an incarnation
	N      int
	Back   actor.Ref[pong]
}

// pong is what the target of a cast with a Back sends there, and is counted as well.
type pong struct {
	Sender string
	N      int
}

// request is the request of a call; Hops says how often it is to be passed on.
type request struct {
	N, Hops int
	What    byte
	Reply   actor.Reply[int]
}

var errRefused = errors.New("refused")

func init() {
	cluster.Type[cast]("test.cast", 1)
	cluster.Type[pong]("test.pong", 1)
	cluster.Type[request]("test.request", 1)
	cluster.Error("test.refused", errRefused)
}

// world is one run of the simulation: several nodes, each with a target for casts, a server for
// calls, and tasklets that send, call and watch.
type world struct {
	tb    testing.TB
	t     *actor.Tasklet
	net   *clustertest.Network
	names []string
	hosts map[string]*host
	stop  bool // nobody begins anything new

	sent, handled map[string]int // messages by type
	certain       map[string]int // reported as not handled
	perhaps       map[string]int // reported as perhaps handled
	seen          map[string]int // the last number, by type, sender and target
	twice         []string
	calls         int // that have not ended
	answers       int
	wrong         []string
	watched       []*watching
	incarnations  int
	throne        cluster.Token // the last one
	thrones       int
	holds         map[string]*cluster.Claimed
	downs         int
}

type watching struct {
	target  *bool // it is alive
	watcher *bool
	notices int
}

// host is one incarnation of a node.
type host struct {
	name  string
	id    string
	t     *actor.Tasklet
	node  *cluster.Node
	alive bool
}

func (w *world) rand(n int) int { return w.t.System().Rand().IntN(n) }

func (w *world) chance(percent int) bool { return w.rand(100) < percent }

// onEvent counts losses.
func (w *world) onEvent(e actor.EventRecord) {
	if e.Kind == cluster.EventNodeDown {
		w.downs++
	}
	if (e.Kind != event.DeadLetter && e.Kind != event.MessageLost) || e.Message == nil {
		return
	}
	typ := e.Message.Name()
	for _, f := range e.Fields {
		if f.Key == "reason" && f.String == "unknown" {
			w.perhaps[typ] += e.Count
			return
		}
	}
	w.certain[typ] += e.Count
}

// arrived counts a message as handled, and checks its order.
func (w *world) arrived(typ, sender, target string, n int) {
	w.handled[typ]++
	key := typ + " " + sender + " " + target
	if last := w.seen[key]; n <= last {
		w.twice = append(w.twice, fmt.Sprintf("%s: %d after %d", key, n, last))
	} else {
		w.seen[key] = n
	}
}

// start starts a new incarnation of a node.
func (w *world) start(name string) {
	w.incarnations++
	h := &host{name: name, id: fmt.Sprintf("%s.%d", name, w.incarnations)}
	w.hosts[name] = h
	h.t = actor.Go(w.t, func(t *actor.Tasklet) error {
		n, err := cluster.Join(t, t, cluster.Config{Name: name, Connect: w.net, TTL: 3 * time.Second})
		if err != nil {
			return err // the directory did not answer
		}
		h.node, h.alive = n, true
		t.Defer(func() { h.alive = false })
		w.serve(t, h)
		for i := range 1 + w.rand(3) {
			actor.Go(t, func(t *actor.Tasklet) error { return w.send(t, h, i) }, actor.Name("sender"))
		}
		for range 1 + w.rand(2) {
			actor.Go(t, func(t *actor.Tasklet) error { return w.call(t, h) }, actor.Name("caller"))
		}
		actor.Go(t, func(t *actor.Tasklet) error { return w.contend(t, h) }, actor.Name("contender"))
		return n.Tasklet().Join(t)
	}, actor.Name("host-"+name))
}

// serve starts the target and the server of a host.
func (w *world) serve(t *actor.Tasklet, h *host) {
	slow := w.chance(30)
	pongs := 0
	target := actor.Receiver(t, func(t *actor.Tasklet, m cast) error {
		if slow {
			t.Sleep(time.Duration(1+w.rand(50)) * time.Millisecond)
		}
		w.arrived("cast", m.Sender, h.id, m.N)
		if !m.Back.IsZero() {
			pongs++
			err := m.Back.Send(t, pong{h.id, pongs})
			if err == nil {
				w.sent["pong"]++
			}
		}
		return nil
	}, actor.Name("target"), actor.MailboxLen(1+w.rand(8)))
	server := actor.Receiver(t, func(t *actor.Tasklet, q request) error {
		if q.Hops > 0 {
			to := w.names[w.rand(len(w.names))]
			if next, err := cluster.Find[request](t, h.node, "server/"+to); err == nil && next != actor.Self[request](t) {
				q.Reply.Delegate(t)
				reply := q.Reply
				q.Hops--
				if err := next.Send(t, q); err != nil && reply.Awaited() {
					return reply.Fail(t, errRefused)
				}
				return nil
			}
		}
		if w.chance(20) {
			t.Sleep(time.Duration(w.rand(3000)) * time.Millisecond)
		}
		if !q.Reply.Awaited() {
			return nil
		}
		switch q.What {
		case 'f':
			_ = q.Reply.Fail(t, errRefused)
		case 'n':
		default:
			_ = q.Reply.Send(t, 2*q.N)
		}
		return nil
	}, actor.Name("server"), actor.MailboxLen(1+w.rand(8)))
	w.claim(t, h, "target/"+h.name, func(t *actor.Tasklet) (*cluster.Claimed, error) {
		return cluster.Claim(t, h.node, "target/"+h.name, target)
	})
	w.claim(t, h, "server/"+h.name, func(t *actor.Tasklet) (*cluster.Claimed, error) {
		return cluster.Claim(t, h.node, "server/"+h.name, server)
	})
}

// claim keeps a name claimed.
func (w *world) claim(t *actor.Tasklet, h *host, name string, claim func(*actor.Tasklet) (*cluster.Claimed, error)) {
	actor.Go(t, func(t *actor.Tasklet) error {
		for {
			if c, err := claim(t); err == nil {
				for c.Err() == nil {
					t.Sleep(500 * time.Millisecond)
				}
			}
			t.Sleep(time.Second)
		}
	}, actor.Name("claim"))
}

// contend claims a name that all nodes want, and checks that nobody else has it.
func (w *world) contend(t *actor.Tasklet, h *host) error {
	ref := actor.Receiver(t, func(*actor.Tasklet, request) error { return nil }, actor.Name("contender"))
	for {
		t.Sleep(time.Duration(w.rand(400)) * time.Millisecond)
		c, err := cluster.Claim(t, h.node, "throne", ref)
		if err != nil {
			continue
		}
		if !w.throne.Less(c.Token) {
			w.wrong = append(w.wrong, fmt.Sprintf("token %v of %s after %v", c.Token, h.id, w.throne))
		}
		w.throne, w.holds[h.id] = c.Token, c
		w.thrones++
		for range 1 + w.rand(10) {
			for id, other := range w.holds {
				if id != h.id && c.Err() == nil && other.Err() == nil {
					w.wrong = append(w.wrong, fmt.Sprintf("%s and %s have the throne", h.id, id))
				}
			}
			t.Sleep(time.Duration(w.rand(500)) * time.Millisecond)
		}
		if w.chance(80) {
			_ = c.Release(t)
		} else {
			for c.Err() == nil && !w.stop {
				t.Sleep(300 * time.Millisecond)
			}
			_ = c.Release(t)
		}
	}
}

// send sends casts to targets on all nodes.
func (w *world) send(t *actor.Tasklet, h *host, i int) error {
	me := fmt.Sprintf("%s/%d", h.id, i)
	back := actor.Receiver(t, func(_ *actor.Tasklet, m pong) error {
		w.arrived("pong", m.Sender, me, m.N)
		return nil
	}, actor.Name("back"), actor.MailboxLen(1+w.rand(4)))
	for n := 0; !w.stop; {
		name := w.names[w.rand(len(w.names))]
		if name == h.name {
			t.Sleep(time.Duration(w.rand(300)) * time.Millisecond)
			continue
		}
		ref, err := cluster.Find[cast](t, h.node, "target/"+name)
		if err != nil {
			t.Sleep(100 * time.Millisecond)
			continue
		}
		if w.chance(20) {
			w.watch(t, h, ref, w.hosts[name])
		}
		for range 1 + w.rand(20) {
			n++
			m := cast{Sender: me, N: n}
			if w.chance(20) {
				m.Back = back
			}
			if w.chance(10) {
				err = ref.TrySend(t, m)
			} else {
				err = ref.Send(t, m)
			}
			if err == nil {
				w.sent["cast"]++
			} else if !errors.Is(err, mailbox.ErrClosed) && !errors.Is(err, mailbox.ErrFull) {
				w.wrong = append(w.wrong, "send: "+err.Error())
			}
		}
		t.Sleep(time.Duration(w.rand(1000)) * time.Millisecond)
	}
	t.Sleep(10 * time.Minute) // for those who answer
	return nil
}

// watch watches a ref to another node.
func (w *world) watch(t *actor.Tasklet, h *host, ref actor.Ref[cast], of *host) {
	x := &watching{target: &of.alive, watcher: &h.alive}
	w.watched = append(w.watched, x)
	actor.Go(t, func(t *actor.Tasklet) error {
		_ = ref.Join(t)
		x.notices++
		return nil
	}, actor.Name("watcher"))
}

// call calls servers on all nodes.
func (w *world) call(t *actor.Tasklet, h *host) error {
	for n := 1; !w.stop; n++ {
		t.Sleep(time.Duration(w.rand(1000)) * time.Millisecond)
		name := w.names[w.rand(len(w.names))]
		ref, err := cluster.Find[request](t, h.node, "server/"+name)
		if err != nil {
			continue
		}
		what := []byte("aaaafn")[w.rand(6)]
		hops := w.rand(3)
		func() {
			w.calls++
			defer func() { w.calls-- }()
			// A request that is passed on may be lost by whom has passed it on, as at home.
			if hops > 0 || w.chance(30) {
				ctx, cancel := actor.WithTimeout(t, time.Duration(1+w.rand(4000))*time.Millisecond)
				defer cancel()
				if v, err := actor.Call(ctx, ref, func(r actor.Reply[int]) request { return request{n, hops, what, r} }); err == nil && v == 2*n {
					w.answers++
				}
				return
			}
			v, err := actor.Call(t, ref, func(r actor.Reply[int]) request { return request{n, hops, what, r} })
			if err == nil {
				w.answers++
			}
			if name != h.name && errors.As(err, new(*actor.JoinError)) {
				w.wrong = append(w.wrong, "call: the end of a tasklet of the cluster: "+err.Error())
			}
			if err == nil && v != 2*n || err == nil && what != 'a' {
				w.wrong = append(w.wrong, fmt.Sprintf("call %d %c: %d", n, what, v))
			}
		}()
	}
	return nil
}

// trouble makes one thing go wrong.
func (w *world) trouble() {
	a, b := w.names[w.rand(len(w.names))], w.names[w.rand(len(w.names))]
	switch w.rand(8) {
	case 0:
		w.net.Cut(a, b)
	case 1:
		w.net.Heal(a, b)
	case 2:
		w.net.Partition(a)
	case 3, 4:
		for _, x := range w.names {
			for _, y := range append([]string{clustertest.Directory}, w.names...) {
				w.net.Heal(x, y)
				w.net.Heal(y, x)
			}
		}
	case 5:
		w.net.Pause(a, time.Duration(w.rand(5000))*time.Millisecond)
	case 6, 7: // a crash: it is cut off first, and then killed
		h := w.hosts[a]
		w.net.Unplug(a)
		h.t.Kill()
	}
}

// nap lets time pass, and starts nodes again that have ended.
func (w *world) nap(d time.Duration) {
	for d > 0 {
		step := min(d, 500*time.Millisecond)
		w.t.Sleep(step)
		d -= step
		for _, name := range w.names {
			if w.hosts[name].t.HasFinished() {
				w.start(name)
			}
		}
	}
}

// simulate runs the world, and checks it.
func simulate(t *actor.Tasklet, w *world) {
	w.t, w.tb = t, actortest.TB(t)
	w.net = clustertest.New(t, clustertest.Faults{
		Loss: float64(w.rand(20)) / 100, Double: float64(w.rand(20)) / 100,
		Delay: time.Duration(w.rand(300)) * time.Millisecond, Forget: float64(w.rand(5)) / 100,
		Drift: float64(w.rand(20)) / 100,
	})
	w.names = []string{"a", "b", "c", "d", "e"}[:2+min(w.rand(4), w.rand(4))]
	for _, name := range w.names {
		w.start(name)
	}
	for range 2 + w.rand(7) {
		w.nap(time.Duration(w.rand(2000)) * time.Millisecond)
		if w.chance(70) {
			w.trouble()
		}
	}
	w.net.Calm()
	w.nap(time.Duration(w.rand(5000)) * time.Millisecond)
	w.stop = true
	t.Sleep(12 * time.Second)
	for range 30 {
		if w.held() == "" && w.calls == 0 {
			break
		}
		t.Sleep(10 * time.Second)
	}
	t.Sleep(time.Second) // for a slow target, which has up to 8 messages in its mailbox
	for range 100 {
		if w.held() == "" {
			break // otherwise a frame that only says that a node lives is on its way
		}
		t.Sleep(10 * time.Millisecond)
	}
	w.check()
}

func (w *world) check() {
	require.Empty(w.tb, w.twice, "a message came twice, or was overtaken")
	require.Empty(w.tb, w.wrong)
	require.Zero(w.tb, w.calls, "calls that have not ended")
	for _, typ := range []string{"cast", "pong"} {
		missing := w.sent[typ] - w.handled[typ]
		account := fmt.Sprintf("%s: sent %d, handled %d, reported %d and perhaps %d", typ, w.sent[typ], w.handled[typ], w.certain[typ], w.perhaps[typ])
		require.LessOrEqual(w.tb, missing, w.certain[typ]+w.perhaps[typ], "lost in silence: %s", account)
		require.LessOrEqual(w.tb, w.certain[typ], missing, "reported and handled: %s", account)
	}
	for _, x := range w.watched {
		require.LessOrEqual(w.tb, x.notices, 1)
		if *x.watcher && !*x.target {
			require.Equal(w.tb, 1, x.notices, "notices of the end of a node")
		}
		if w.downs == 0 {
			require.Zero(w.tb, x.notices, "notices although all nodes live")
		}
	}
	require.Empty(w.tb, w.held())
	w.t.Sleep(1100 * time.Millisecond) // what links show is up to a second old
	require.Empty(w.tb, w.busyLinks())
}

// busyLinks returns the links that show anything under way.
func (w *world) busyLinks() (s string) {
	for _, name := range w.names {
		h := w.hosts[name]
		if !h.alive {
			continue
		}
		for _, l := range h.node.Links() {
			if l.State == cluster.LinkUp && l.Waiting+l.Unconfirmed+l.Queued+l.Calls > 0 {
				s += fmt.Sprintf("%s: %+v\n", h.id, l)
			}
		}
	}
	return s
}

// held returns what the nodes hold.
func (w *world) held() (s string) {
	for _, name := range w.names {
		if h := w.hosts[name]; h.alive {
			if held := h.node.Held(); held != "" {
				s += h.id + ": " + held + "\n"
			}
		}
	}
	return s
}

func TestSimulation(t *testing.T) {
	n := *seeds
	switch {
	case n > 0:
	case raceEnabled || testing.Short():
		n = 25
	default:
		n = 500
	}
	var w *world
	actortest.Explore(t, n, func(t *actor.Tasklet) { simulate(t, w) },
		actortest.Configure(func(c *actor.Config) {
			w = &world{
				hosts: map[string]*host{}, sent: map[string]int{}, handled: map[string]int{}, certain: map[string]int{},
				perhaps: map[string]int{}, seen: map[string]int{}, holds: map[string]*cluster.Claimed{},
			}
			c.OnEvent = w.onEvent
		}),
		actortest.FirstSeed(*first), actortest.Allow(event.DeadLetter), actortest.Limit(5*time.Minute))
}
