package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/supervisor"
)

// say is a message for which N says what its handler does.
type say struct {
	From string
	N    int
	To   actor.Ref[say]
	Ask  actor.Reply[int]
}

// anything is an interface, of which say and note are messages.
type anything interface{ isAnything() }

func (say) isAnything() {}

type note struct{ Text string }

func (note) isAnything() {}

// secret is not registered.
type secret struct{ Text string }

func (secret) isAnything() {}

func init() {
	cluster.Type[say]("test.say", 1)
	cluster.Type[note]("test.note", 1)
}

// pair is two nodes, a and b, and what is needed to crash b.
type pair struct {
	t    *actor.Tasklet
	tb   testing.TB
	net  *clustertest.Network
	a, b *cluster.Node
	tb2  *actor.Tasklet // the host of b: the parent of all that lives on it
	onB  actor.Ref[func(*actor.Tasklet)]
}

// newPair joins two nodes. Tasklets of a are started under the test's tasklet, and those of b in
// functions that are sent to onB.
func newPair(t *actor.Tasklet, f clustertest.Faults) *pair {
	p := &pair{t: t, tb: actortest.TB(t), net: clustertest.New(t, f)}
	p.onB = actor.NewRef[func(*actor.Tasklet)]()
	p.tb2 = actor.StartTasklet(t, actor.ReceiverInitBody(p.onB, func(t *actor.Tasklet) (actor.Handler[func(*actor.Tasklet)], error) {
		var err error
		p.b, err = cluster.Join(t, t, cluster.Config{Name: "b", Connect: p.net, Labels: map[string]string{"zone": "2"}})
		return func(t *actor.Tasklet, f func(*actor.Tasklet)) error { f(t); return nil }, err
	}), actor.Name("host-b"))
	require.NoError(p.tb, p.tb2.Started(t))
	var err error
	p.a, err = cluster.Join(t, t, cluster.Config{Name: "a", Connect: p.net})
	require.NoError(p.tb, err)
	return p
}

// do calls f on b, and returns when it has returned.
func (p *pair) do(f func(t *actor.Tasklet)) {
	done := actortest.NewProbe[bool](p.t)
	require.NoError(p.tb, p.onB.Send(p.t, func(t *actor.Tasklet) {
		f(t)
		require.NoError(p.tb, done.Ref().Send(t, true))
	}))
	done.Expect(true)
}

// crash ends b without a goodbye.
func (p *pair) crash() {
	p.net.Unplug("b")
	p.tb2.Kill()
	_ = p.tb2.Join(p.t)
}

// claim starts a receiver with a name on b, and returns a ref to it on a, and the receiver itself.
func claim[M any](p *pair, name string, f actor.Handler[M], opts ...actor.Option) (ref, there actor.Ref[M]) {
	p.do(func(t *actor.Tasklet) {
		there = actor.Receiver(t, f, opts...)
		_, err := cluster.Claim(t, p.b, name, there)
		require.NoError(p.tb, err)
	})
	ref, err := cluster.WaitFor[M](p.t, p.a, name)
	require.NoError(p.tb, err)
	return ref, there
}

func ask(p *pair, ref actor.Ref[say], n int) (int, error) {
	return actor.Call(p.t, ref, func(r actor.Reply[int]) say { return say{N: n, Ask: r} })
}

func TestCastAndCall(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Delay: 20 * time.Millisecond})
		got := []int{}
		ref, _ := claim(p, "echo/1", func(t *actor.Tasklet, m say) error {
			got = append(got, m.N)
			switch m.N {
			case 100:
				return m.Ask.Send(t, 10000)
			case 101:
				return m.Ask.Fail(t, errRefused)
			case 102:
				return nil
			case 103:
				return m.To.Send(t, say{From: "b", N: -m.N})
			}
			return nil
		})
		again, err := cluster.Find[say](t, p.a, "echo/1")
		require.NoError(p.tb, err)
		require.Equal(p.tb, ref, again)
		want := []int{}
		for i := range 50 {
			require.NoError(p.tb, ref.Send(t, say{N: i}))
			want = append(want, i)
		}
		v, err := ask(p, ref, 100)
		require.NoError(p.tb, err)
		require.Equal(p.tb, 10000, v)
		require.Equal(p.tb, append(want, 100), got)
		_, err = ask(p, ref, 101)
		require.ErrorIs(p.tb, err, errRefused)
		require.ErrorAs(p.tb, err, new(*cluster.RemoteError))
		_, err = ask(p, ref, 102)
		require.ErrorIs(p.tb, err, actor.ErrNoReply)
		back := actortest.NewProbe[say](t)
		require.NoError(p.tb, ref.Send(t, say{N: 103, To: back.Ref()}))
		back.Expect(say{From: "b", N: -103})
		t.Sleep(time.Second)
		require.Empty(p.tb, p.a.Held())
	})
}

func TestMembers(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		actortest.Settle(t)
		require.Equal(p.tb, []cluster.Member{p.a.Self(), p.b.Self()}, p.a.Members())
		require.Equal(p.tb, "2", p.a.Members()[1].Labels["zone"])
		require.NoError(p.tb, p.a.Err())
		require.Equal(p.tb, "(cluster)", p.a.Tasklet().Name())
	})
}

// A full mailbox parks its senders, and holds up nobody who sends to another one.
func TestFullMailboxParksSenders(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		open := false
		handled, others := 0, 0
		slow, _ := claim(p, "slow", func(t *actor.Tasklet, m say) error {
			for !open {
				t.Sleep(time.Second)
			}
			handled++
			require.Equal(p.tb, handled, m.N)
			return nil
		}, actor.MailboxLen(4))
		other, _ := claim(p, "other", func(*actor.Tasklet, say) error { others++; return nil })
		sent := 0
		actor.Go(t, func(t *actor.Tasklet) error {
			for sent < 5000 {
				require.NoError(p.tb, slow.Send(t, say{N: sent + 1}))
				sent++
			}
			return nil
		})
		t.Sleep(time.Minute)
		require.Less(p.tb, sent, 1024+4096+10, "the sender is parked")
		require.Equal(p.tb, slow.Cap(), slow.Len())
		require.ErrorIs(p.tb, slow.TrySend(t, say{}), mailbox.ErrFull)
		before := sent
		for range 20000 {
			require.NoError(p.tb, other.Send(t, say{}))
		}
		t.Sleep(time.Second)
		require.Equal(p.tb, 20000, others)
		require.Equal(p.tb, before, sent)
		open = true
		t.Sleep(time.Minute)
		require.Equal(p.tb, 5000, handled)
	})
}

// Readers have their turn while frames wait, so their mailboxes don't fill up.
func TestLinkGivesWay(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		n, most := 0, 0
		var ref, there actor.Ref[say]
		ref, there = claim(p, "there", func(*actor.Tasklet, say) error {
			n++
			most = max(most, there.Len())
			return nil
		})
		for range 20_000 {
			require.NoError(p.tb, ref.Send(t, say{}))
		}
		t.Sleep(time.Minute)
		require.Equal(p.tb, 20_000, n)
		require.Less(p.tb, most, 128)
	})
}

func TestNodeIsLost(t *testing.T) {
	reasons := map[string]int{}
	core, logs := observer.New(zap.WarnLevel)
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref, _ := claim(p, "hole", func(t *actor.Tasklet, m say) error {
			t.Sleep(time.Hour)
			return nil
		}, actor.MailboxLen(1))
		var exits []actor.Exit
		watcher := actor.Receiver(t, func(_ *actor.Tasklet, e actor.Exit) error { exits = append(exits, e); return nil })
		actor.Watch(t, ref, watcher, func(e actor.Exit) actor.Exit { return e })
		calls := 0
		actor.Go(t, func(t *actor.Tasklet) error {
			_, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{Ask: r} })
			var lost *cluster.NodeError
			require.ErrorAs(p.tb, err, &lost)
			require.Equal(p.tb, "b", lost.Node)
			require.ErrorIs(p.tb, err, cluster.ErrSilent)
			calls++
			return nil
		})
		t.Sleep(time.Second)
		sent := 0
		actor.Go(t, func(t *actor.Tasklet) error {
			for ref.Send(t, say{}) == nil {
				sent++
			}
			return nil
		})
		t.Sleep(time.Second)
		p.net.Cut("a", "b") // what is sent from now on is not confirmed
		p.crash()
		t.Sleep(5 * time.Second)
		require.Equal(p.tb, 1, calls, "it fails in 5 s")
		require.Empty(p.tb, exits, "the node is a member as long as its session lasts")
		t.Sleep(15 * time.Second)
		var warned []any
		for _, e := range logs.All() {
			if kind := e.ContextMap()["event"]; kind != "dead_letter" && kind != "message_lost" {
				warned = append(warned, kind)
			}
		}
		require.Equal(p.tb, []any{"node_suspect", "node_down"}, warned, "and not the end of each ref")
		require.Len(p.tb, exits, 1)
		require.Equal(p.tb, reason.Error, exits[0].Kind)
		require.True(p.tb, ref.IsDead())
		_, err := cluster.Find[say](t, p.a, "hole")
		require.ErrorIs(p.tb, err, registry.ErrNotFound)
		require.Positive(p.tb, reasons["undelivered"])
		require.LessOrEqual(p.tb, reasons["undelivered"], sent)
		require.Equal(p.tb, []cluster.Member{p.a.Self()}, p.a.Members())
	}, actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) {
		c.Logger = zap.New(core)
		c.OnEvent = func(e actor.EventRecord) {
			for _, f := range e.Fields {
				if e.Kind == event.DeadLetter && f.Key == "reason" {
					reasons[f.String] += e.Count
				}
			}
		}
	}))
}

// While nothing comes from a node, calls to it fail, and messages wait. When it is heard again,
// both go on, and the tasklets there know which callers have given up.
func TestSilentNode(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		var got []int
		var awaited []bool
		ref, _ := claim(p, "name", func(t *actor.Tasklet, m say) error {
			if m.From == "cast" {
				got = append(got, m.N)
				return nil
			}
			if m.From == "slow" {
				t.Sleep(6 * time.Second)
			}
			awaited = append(awaited, m.Ask.Awaited())
			if !m.Ask.Awaited() {
				return nil
			}
			return m.Ask.Send(t, m.N)
		})
		call := func(t *actor.Tasklet, from string) (int, time.Duration, error) {
			begin := t.System().Now()
			n, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{From: from, N: 7, Ask: r} })
			return n, t.System().Now().Sub(begin), err
		}
		inFlight := 0
		for range 2 { // one is handled, and one is queued behind it, when the connection is cut
			actor.Go(t, func(t *actor.Tasklet) error {
				_, took, err := call(t, "slow")
				require.ErrorIs(p.tb, err, cluster.ErrSilent)
				require.EqualError(p.tb, err, `cluster: node "b" does not answer: nothing has come from it for 4 s`)
				require.LessOrEqual(p.tb, took, 6*time.Second, "5 s, and one before the cut")
				inFlight++
				return nil
			})
		}
		t.Sleep(time.Second)
		p.net.Cut("a", "b")
		p.net.Cut("b", "a")
		t.Sleep(2 * time.Second)
		actor.Go(t, func(t *actor.Tasklet) error { // it is sent, but never gets there
			_, _, err := call(t, "late")
			require.ErrorIs(p.tb, err, cluster.ErrSilent)
			inFlight++
			return nil
		})
		t.Sleep(3 * time.Second)
		require.Equal(p.tb, 3, inFlight)
		for i := range 3 {
			require.NoError(p.tb, ref.Send(t, say{From: "cast", N: i}))
			_, took, err := call(t, "new")
			require.ErrorIs(p.tb, err, cluster.ErrSilent)
			require.Zero(p.tb, took, "known to be silent")
		}
		require.Empty(p.tb, got)
		require.Len(p.tb, p.a.Members(), 2)
		p.net.Heal("a", "b")
		p.net.Heal("b", "a")
		t.Sleep(2 * time.Second)
		n, took, err := call(t, "again")
		require.NoError(p.tb, err)
		require.Equal(p.tb, 7, n)
		require.Less(p.tb, took, 6*time.Second)
		require.Equal(p.tb, []int{0, 1, 2}, got)
		require.Equal(p.tb, []bool{true, false, false, true}, awaited, "the first was answered before the notice came")
		t.Sleep(time.Second)
		require.Empty(p.tb, p.a.Held()+p.b.Held())
	}, actortest.Allow(event.DeadLetter))
}

func TestCallerGivesUp(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		awaited := []bool{}
		ref, _ := claim(p, "slow", func(t *actor.Tasklet, m say) error {
			awaited = append(awaited, m.Ask.Awaited())
			t.Sleep(2 * time.Second)
			awaited = append(awaited, m.Ask.Awaited())
			return nil
		})
		for range 2 { // the second one is told while its request is queued
			actor.Go(t, func(t *actor.Tasklet) error {
				ctx, cancel := actor.WithTimeout(t, time.Second)
				defer cancel()
				_, err := actor.Call(ctx, ref, func(r actor.Reply[int]) say { return say{Ask: r} })
				require.ErrorIs(p.tb, err, actor.ErrTimeout)
				return nil
			})
		}
		t.Sleep(10 * time.Second)
		require.Equal(p.tb, []bool{true, false, false, false}, awaited)
		require.Empty(p.tb, p.a.Held()+p.b.Held())
	})
}

// More answers at once than are sent in one turn all come, and each to its caller.
func TestManyAnswersAtOnce(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		const callers = 500
		var waiting []say
		ref, _ := claim(p, "there", func(t *actor.Tasklet, m say) error {
			m.Ask.Delegate(t)
			if waiting = append(waiting, m); len(waiting) == callers {
				for _, m := range waiting {
					require.NoError(p.tb, m.Ask.Send(t, m.N))
				}
				waiting = nil
			}
			return nil
		})
		var all []*actor.Tasklet
		for i := range callers {
			all = append(all, actor.Go(t, func(t *actor.Tasklet) error {
				for range 3 {
					n, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{N: i, Ask: r} })
					require.NoError(p.tb, err)
					require.Equal(p.tb, i, n)
				}
				return nil
			}))
		}
		for _, c := range all {
			require.NoError(p.tb, c.Join(t))
		}
	})
}

// twice encodes itself, with the bytes of both replies at hand.
type twice struct{ A, B actor.Reply[int] }

func (m twice) AppendBinary(b []byte) ([]byte, error) {
	x, err := m.A.MarshalBinary()
	if err != nil {
		return b, err
	}
	y, err := m.B.MarshalBinary()
	return append(append(append(b, byte(len(x))), x...), y...), err
}

func (m *twice) UnmarshalBinary(b []byte) error {
	n := int(b[0])
	return errors.Join(m.A.UnmarshalBinary(b[1:1+n]), m.B.UnmarshalBinary(b[1+n:]))
}

func init() { cluster.Type[twice]("test.twice", 1) }

// The bytes of one reply stay as they are when another one of the message is encoded.
func TestTwoRepliesInAMessage(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref, _ := claim(p, "there", func(t *actor.Tasklet, m twice) error {
			return errors.Join(m.A.Send(t, 1), m.B.Send(t, 2))
		})
		for range 3 {
			between := actor.Receiver(t, func(t *actor.Tasklet, r actor.Reply[int]) error {
				r.Delegate(t)
				a, err := actor.Call(t, ref, func(own actor.Reply[int]) twice { return twice{own, r} })
				require.Equal(p.tb, 1, a)
				return err
			})
			b, err := actor.Call(t, between, func(r actor.Reply[int]) actor.Reply[int] { return r })
			require.NoError(p.tb, err)
			require.Equal(p.tb, 2, b)
		}
	})
}

func TestPassedOnToAThirdNode(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Delay: 10 * time.Millisecond})
		c, err := cluster.Join(t, t, cluster.Config{Name: "c", Connect: p.net})
		require.NoError(p.tb, err)
		third := actor.Receiver(t, func(t *actor.Tasklet, m say) error {
			if !m.To.IsZero() {
				_ = m.To.Send(t, say{From: "c", N: m.N})
			}
			return m.Ask.Send(t, m.N+1)
		})
		_, err = cluster.Claim(t, c, "third", third)
		require.NoError(p.tb, err)
		var onward actor.Ref[say]
		ref, _ := claim(p, "second", func(t *actor.Tasklet, m say) error {
			m.Ask.Delegate(t)
			return onward.Send(t, m)
		})
		p.do(func(t *actor.Tasklet) {
			onward, err = cluster.WaitFor[say](t, p.b, "third")
			require.NoError(p.tb, err)
		})
		back := actortest.NewProbe[say](t)
		v, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{N: 41, Ask: r, To: back.Ref()} })
		require.NoError(p.tb, err)
		require.Equal(p.tb, 42, v)
		back.Expect(say{From: "c", N: 41})
		t.Sleep(time.Second) // for the confirmations
	})
}

// A ref that comes back to its own node is the one that it was.
func TestRefComesHome(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref, _ := claim(p, "mirror", func(t *actor.Tasklet, m say) error {
			return m.To.Send(t, say{To: m.To})
		})
		back := actortest.NewProbe[say](t)
		require.NoError(p.tb, ref.Send(t, say{To: back.Ref()}))
		require.Equal(p.tb, back.Ref(), back.ExpectMatch(func(say) bool { return true }).To)
	})
}

func TestWhatCannotBeEncoded(t *testing.T) {
	reasons := map[string]int{}
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		var got []anything
		ref, _ := claim(p, "any", func(t *actor.Tasklet, m anything) error {
			got = append(got, m)
			if s, ok := m.(say); ok && s.N == 1 {
				return s.Ask.Send(t, 1)
			}
			return nil
		})
		require.NoError(p.tb, ref.Send(t, secret{"a"}))
		require.NoError(p.tb, ref.Send(t, note{"b"}))
		v, err := actor.Call(t, ref, func(r actor.Reply[int]) anything { return say{N: 1, Ask: r} })
		require.NoError(p.tb, err)
		require.Equal(p.tb, 1, v)
		_, err = actor.Call(t, ref, func(actor.Reply[int]) anything { return secret{"c"} })
		require.ErrorAs(p.tb, err, new(*cluster.EncodingError))
		require.Equal(p.tb, note{"b"}, got[0])
		require.Len(p.tb, got, 2)
		require.Equal(p.tb, map[string]int{"encoding": 1}, reasons)

		p.do(func(t *actor.Tasklet) {
			_, err := cluster.Claim(t, p.b, "secret", actor.NewRef[secret]())
			require.Error(p.tb, err, "its type is not registered")
		})
		_, err = cluster.Find[note](t, p.a, "any2")
		require.ErrorIs(p.tb, err, registry.ErrNotFound)
		_, _ = claim(p, "say", func(*actor.Tasklet, say) error { return nil })
		_, err = cluster.Find[note](t, p.a, "say")
		require.ErrorAs(p.tb, err, new(*cluster.TypeError))
		_, err = cluster.Find[note](t, p.a, "")
		require.ErrorIs(p.tb, err, registry.ErrName)
	}, actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) {
		c.OnEvent = func(e actor.EventRecord) {
			for _, f := range e.Fields {
				if e.Kind == event.DeadLetter && f.Key == "reason" {
					reasons[f.String] += e.Count
				}
			}
		}
	}))
}

// forgetful encodes itself, and what reads it forgets the reply. If there is no N it does not touch
// N.
type forgetful struct {
	N   byte
	Ask actor.Reply[int]
}

func (m forgetful) AppendBinary(b []byte) ([]byte, error) {
	if m.N > 0 {
		b = append(b, m.N)
	}
	_, err := m.Ask.MarshalBinary()
	return b, err
}

func (m *forgetful) UnmarshalBinary(b []byte) error {
	if len(b) > 0 {
		m.N = b[0]
	}
	return nil
}

func init() { cluster.Type[forgetful]("test.forgetful", 1) }

// Messages are decoded one after the other in the same place, also after one that was refused.
func TestMessageHasNothingOfTheOneBefore(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		got := actortest.NewProbe[byte](t)
		ref, _ := claim(p, "there", func(t *actor.Tasklet, m forgetful) error { return got.Ref().Send(t, m.N) })
		_, err := actor.Call(t, ref, func(r actor.Reply[int]) forgetful { return forgetful{5, r} })
		require.ErrorContains(p.tb, err, "malformed address")
		for _, n := range []byte{0, 3, 0} {
			require.NoError(p.tb, ref.Send(t, forgetful{N: n}))
			got.Expect(n)
		}
		t.Sleep(time.Second)
	})
}

func TestClaims(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		var first *cluster.Claimed
		p.do(func(t *actor.Tasklet) {
			there := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
			var err error
			first, err = cluster.Claim(t, p.b, "one", there)
			require.NoError(p.tb, err)
			again, err := cluster.Claim(t, p.b, "one", there)
			require.NoError(p.tb, err)
			require.Equal(p.tb, first.Token, again.Token)
		})
		here := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		_, err := cluster.Claim(t, p.a, "one", here)
		require.ErrorIs(p.tb, err, registry.ErrTaken)
		var taken *cluster.TakenError
		require.ErrorAs(p.tb, err, &taken)
		require.Equal(p.tb, "b", taken.Node)
		p.crash()
		_, err = cluster.Claim(t, p.a, "one", here)
		require.ErrorIs(p.tb, err, registry.ErrTaken, "its session has not ended")
		t.Sleep(16 * time.Second)
		second, err := cluster.Claim(t, p.a, "one", here)
		require.NoError(p.tb, err)
		require.True(p.tb, first.Token.Less(second.Token))
		found, err := cluster.WaitFor[say](t, p.a, "one")
		require.NoError(p.tb, err)
		require.Equal(p.tb, here, found)

		require.NoError(p.tb, second.Release(t))
		require.NoError(p.tb, second.Release(t), "it has been released")
		third, err := cluster.Claim(t, p.a, "one", here)
		require.NoError(p.tb, err)
		require.True(p.tb, second.Token.Less(third.Token))
		here.Close() // its end releases the name
		require.NoError(p.tb, here.Join(t))
		t.Sleep(time.Second)
		_, err = cluster.Claim(t, p.a, "one", actor.NewRef[say]())
		require.NoError(p.tb, err)
		_, err = cluster.Claim(t, p.a, "two", here)
		require.ErrorIs(p.tb, err, mailbox.ErrClosed)
		require.Panics(p.tb, func() { _, _ = cluster.Claim(t, p.a, "two", actor.Ref[say]{}) })
	})
}

func TestCloseAndKillGoThere(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		n := 0
		ref, there := claim(p, "closed", func(*actor.Tasklet, say) error { n++; return nil })
		for range 100 {
			require.NoError(p.tb, ref.Send(t, say{}))
		}
		ref.Close()
		require.NoError(p.tb, ref.Join(t))
		require.True(p.tb, there.IsDead())
		require.Equal(p.tb, 100, n)

		killed, there := claim(p, "killed", func(*actor.Tasklet, say) error { return nil })
		tasklet := there.Tasklet()
		killed.KillCause(t, errRefused)
		err := killed.Join(t)
		require.ErrorIs(p.tb, err, actor.ErrKilled)
		var cause *cluster.KillError
		require.ErrorAs(p.tb, tasklet.Killed(), &cause)
		require.Equal(p.tb, &cluster.KillError{Node: "a", By: "/test", Cause: errRefused.Error()}, cause)
	})
}

// What can't be encoded does not keep a close back.
func TestCloseAfterWhatCannotBeEncoded(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		n := 0
		ref, there := claim(p, "closed", func(*actor.Tasklet, anything) error { n++; return nil })
		require.NoError(p.tb, ref.Send(t, note{}))
		t.Sleep(time.Second)
		for range 100 {
			require.NoError(p.tb, ref.Send(t, note{}))
		}
		require.NoError(p.tb, ref.Send(t, secret{}))
		ref.Close()
		t.Sleep(time.Minute)
		require.Equal(p.tb, 101, n)
		require.True(p.tb, there.IsDead())
	}, actortest.Allow(event.DeadLetter))
}

// A ref to another node lives over restarts there.
func TestRestartThere(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		starts := 0
		there := actor.NewRef[say]()
		p.do(func(t *actor.Tasklet) {
			supervisor.Start(t, supervisor.Spec{Intensity: 10, Children: []supervisor.Child{{
				ID: "child", Body: actor.ReceiverInitBody(there, func(*actor.Tasklet) (actor.Handler[say], error) {
					starts++
					return func(t *actor.Tasklet, m say) error {
						if m.N == 1 {
							return errRefused
						}
						return m.Ask.Send(t, starts)
					}, nil
				}),
			}}})
			_, err := cluster.Claim(t, p.b, "child", there)
			require.NoError(p.tb, err)
		})
		ref, err := cluster.WaitFor[say](t, p.a, "child")
		require.NoError(p.tb, err)
		for want := 1; want <= 3; want++ {
			v, err := ask(p, ref, 0)
			require.NoError(p.tb, err)
			require.Equal(p.tb, want, v)
			_, err = ask(p, ref, 1)
			require.ErrorIs(p.tb, err, errRefused)
		}
		require.False(p.tb, ref.IsDead())
	}, actortest.Allow(event.DeadLetter))
}

func TestLeave(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Loss: 0.5, Delay: 50 * time.Millisecond})
		n := 0
		ref, _ := claim(p, "sink", func(*actor.Tasklet, say) error { n++; return nil })
		for range 500 {
			require.NoError(p.tb, ref.Send(t, say{}))
		}
		require.NoError(p.tb, p.a.Leave(t))
		require.Equal(p.tb, 500, n, "everything was confirmed")
		require.ErrorIs(p.tb, p.a.Err(), cluster.ErrLeft)
		require.ErrorIs(p.tb, ref.Send(t, say{}), mailbox.ErrClosed)
		_, err := cluster.Find[say](t, p.a, "sink")
		require.ErrorAs(p.tb, err, new(*cluster.NodeError))
		require.NoError(p.tb, p.a.Leave(t), "once more")
		t.Sleep(time.Second)
		require.Len(p.tb, p.b.Members(), 1)
		again, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: p.net})
		require.NoError(p.tb, err)
		require.NotEqual(p.tb, p.a.Self().Incarnation, again.Self().Incarnation)
	})
}

func TestJoinWaitsForTheName(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ctx, cancel := actor.WithTimeout(t, 5*time.Second)
		defer cancel()
		_, err := cluster.Join(ctx, t, cluster.Config{Name: "b", Connect: p.net})
		require.ErrorIs(p.tb, err, actor.ErrTimeout)
		require.ErrorContains(p.tb, err, `join of node "b": another node has the name`)
		p.crash()
		b, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: p.net})
		require.NoError(p.tb, err)
		require.NotEqual(p.tb, p.b.Self().Incarnation, b.Self().Incarnation)
		for _, name := range []string{"", "a b", "a.b", fmt.Sprintf("%065d", 0)} {
			require.Panics(p.tb, func() { _, _ = cluster.Join(t, t, cluster.Config{Name: name, Connect: p.net}) })
		}
	})
}

// What is no frame does no harm.
func TestGarbageFromTheNetwork(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref, _ := claim(p, "echo", func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, m.N) })
		for i := range 2000 {
			junk := make([]byte, i%97)
			for j := range junk {
				junk[j] = byte(t.System().Rand().Uint32())
			}
			p.a.Receive("b", junk)
			p.a.Receive("nobody", junk)
		}
		v, err := ask(p, ref, 3)
		require.NoError(p.tb, err)
		require.Equal(p.tb, 3, v)
	})
}

func TestErrorsSayWhatTheyMean(t *testing.T) {
	for want, err := range map[string]error{
		`cluster: node "b" is lost: its session has ended`: &cluster.NodeError{Node: "b", Cause: cluster.ErrDown},
		`cluster: name "x" is taken on node "b"`:           &cluster.TakenError{Name: "x", Node: "b"},
		`cluster: "x" takes messages of type a/1, not b/1`: &cluster.TypeError{Name: "x", Have: "a/1", Want: "b/1"},
		`cluster: a message for a ref of int: refused`:     &cluster.EncodingError{Type: "int", Cause: errRefused},
		`killed from node "a" by /x: refused`:              &cluster.KillError{Node: "a", By: "/x", Cause: "refused"},
	} {
		require.Equal(t, want, err.Error())
	}
	require.ErrorIs(t, &cluster.NodeError{Cause: cluster.ErrReplaced}, cluster.ErrReplaced)
	require.True(t, errors.Is(&cluster.EncodingError{Cause: errRefused}, errRefused))
}

// A system as a node is a daemon, on the real clock and without a seed too.
func TestJoinOfASystem(t *testing.T) {
	require.NoError(t, actor.Run(t.Context(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
		net := clustertest.New(t0, clustertest.Faults{})
		a, err := cluster.Join(t0, t0.System(), cluster.Config{Name: "a", Connect: net})
		require.NoError(t, err)
		require.Equal(t, []*actor.Tasklet{a.Tasklet()}, t0.System().Daemons())
		b, err := cluster.Join(t0, t0, cluster.Config{Name: "b", Connect: net})
		require.NoError(t, err)
		there := actor.Receiver(t0, func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, 2*m.N) })
		_, err = cluster.Claim(t0, a, "double", there)
		require.NoError(t, err)
		ref, err := cluster.WaitFor[say](t0, b, "double")
		require.NoError(t, err)
		v, err := actor.Call(t0, ref, func(r actor.Reply[int]) say { return say{N: 4, Ask: r} })
		require.NoError(t, err)
		require.Equal(t, 8, v)
		v, err = actor.Await(t0, func(ctx context.Context) (int, error) { // a goroutine
			return actor.Call(ctx, ref, func(r actor.Reply[int]) say { return say{N: 5, Ask: r} })
		})
		require.NoError(t, err)
		require.Equal(t, 10, v)
		require.NoError(t, b.Leave(t0))
		return a.Leave(t0)
	}))
}
