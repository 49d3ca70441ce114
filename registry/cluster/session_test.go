package cluster_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
)

// A node that was shut out learns it, gives up what it has claimed, and joins as another
// incarnation. Refs of before are dead, and new ones are found.
func TestShutOutAndJoinAnew(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		before := p.a.Self()
		mine := actor.Receiver(t, func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, m.N) })
		claimed, err := cluster.Claim(t, p.a, "mine", mine)
		require.NoError(p.tb, err)
		ref, _ := claim(p, "echo", func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, m.N) })
		p.net.Cut("a", clustertest.Directory)
		t.Sleep(20 * time.Second)
		require.Len(p.tb, p.b.Members(), 1, "others count it as lost")
		require.ErrorIs(p.tb, claimed.Err(), cluster.ErrLease, "it can't know yet, and acts as if")
		require.NoError(p.tb, p.a.Err())
		_, err = cluster.Claim(t, p.a, "another", mine)
		require.ErrorIs(p.tb, err, cluster.ErrNoQuorum)
		require.ErrorIs(p.tb, err, clustertest.ErrUnreachable)

		p.net.Heal("a", clustertest.Directory)
		ctx, cancel := actor.WithTimeout(t, 10*time.Second)
		defer cancel()
		for p.a.Self().Incarnation == before.Incarnation {
			require.NoError(p.tb, ctx.Err())
			t.Sleep(100 * time.Millisecond)
		}
		require.NoError(p.tb, p.a.Err())
		require.Equal(p.tb, cluster.ErrLease, claimed.Err(), "the first reason stays")
		require.True(p.tb, ref.IsDead())
		require.Len(p.tb, p.b.Members(), 2)
		again, err := cluster.WaitFor[say](ctx, p.a, "echo")
		require.NoError(p.tb, err)
		v, err := ask(p, again, 3)
		require.NoError(p.tb, err)
		require.Equal(p.tb, 3, v)

		_, err = cluster.Find[say](t, p.b, "mine")
		require.ErrorIs(p.tb, err, registry.ErrNotFound, "that claim was of the earlier incarnation")
		anew, err := cluster.Claim(t, p.a, "mine", mine)
		require.NoError(p.tb, err)
		require.True(p.tb, claimed.Token.Less(anew.Token))
		p.do(func(t *actor.Tasklet) {
			ref, err := cluster.WaitFor[say](t, p.b, "mine")
			require.NoError(p.tb, err)
			v, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{N: 4, Ask: r} })
			require.NoError(p.tb, err)
			require.Equal(p.tb, 4, v)
		})
	}, actortest.Allow(event.DeadLetter))
}

// While a node can't reach the directory, another process joins under its name. The first one
// learns it, and waits for the name.
func TestReplacedWhileAway(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		p.net.Cut("a", clustertest.Directory)
		t.Sleep(20 * time.Second)
		p.net.Heal("a", clustertest.Directory)
		other, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: p.net})
		require.NoError(p.tb, err)
		t.Sleep(2 * time.Second)
		require.ErrorIs(p.tb, p.a.Err(), cluster.ErrShutOut)
		t.Sleep(time.Minute)
		require.ErrorIs(p.tb, p.a.Err(), cluster.ErrShutOut)
		require.NoError(p.tb, other.Leave(t))
		t.Sleep(2 * time.Second)
		require.NoError(p.tb, p.a.Err())
	}, actortest.Allow(event.DeadLetter))
}

// WaitFor and other calls that are under way when a node is shut out wait for its next incarnation.
func TestWaitForOverAShutOut(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		found := actortest.NewProbe[error](t)
		actor.Go(t, func(t *actor.Tasklet) error {
			_, err := cluster.WaitFor[say](t, p.a, "late")
			return found.Ref().Send(t, err)
		})
		p.net.Cut("a", clustertest.Directory)
		t.Sleep(20 * time.Second)
		p.net.Heal("a", clustertest.Directory)
		t.Sleep(20 * time.Second)
		p.do(func(t *actor.Tasklet) {
			_, err := cluster.Claim(t, p.b, "late", actor.Receiver(t, func(*actor.Tasklet, say) error { return nil }))
			require.NoError(p.tb, err)
		})
		found.Expect(nil)
	}, actortest.Allow(event.DeadLetter))
}

// When the directory does not answer, a lease ends before the session does. If the session lives
// when the directory answers again, the node has stayed a member, and refs live on.
func TestLeaseEndsFirst(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		mine := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		ref, _ := claim(p, "echo", func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, m.N) })
		c, err := cluster.Claim(t, p.a, "mine", mine)
		require.NoError(p.tb, err)
		before := p.a.Self().Incarnation
		p.net.Cut("a", clustertest.Directory)
		begin := t.System().Now()
		for c.Err() == nil {
			t.Sleep(10 * time.Millisecond)
		}
		lasted := t.System().Now().Sub(begin)
		require.InDelta(p.tb, 10.5, lasted.Seconds(), 1.6, "12 s after the begin of the last renewal, which was up to 3 s ago")
		require.ErrorIs(p.tb, c.Err(), cluster.ErrLease)
		p.net.Heal("a", clustertest.Directory)
		t.Sleep(10 * time.Second)
		require.Equal(p.tb, before, p.a.Self().Incarnation)
		require.False(p.tb, ref.IsDead())
		_, err = cluster.Find[say](t, p.b, "mine")
		require.ErrorIs(p.tb, err, registry.ErrNotFound, "what was given up is removed when that is possible")
		anew, err := cluster.Claim(t, p.a, "mine", mine)
		require.NoError(p.tb, err)
		require.NoError(p.tb, anew.Err())
		require.True(p.tb, c.Token.Less(anew.Token))
	}, actortest.Allow(event.DeadLetter))
}

// A node from which nothing comes is suspect for the others after 3 s, and is a member until its
// session has ended.
func TestSuspects(t *testing.T) {
	var kinds []string
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		t.Sleep(time.Minute)
		require.Empty(p.tb, p.a.Suspects(), "a node that says nothing else says that it lives")
		p.net.Cut("b", "a")
		t.Sleep(1900 * time.Millisecond) // the last frame came up to a second ago
		require.Empty(p.tb, p.a.Suspects())
		t.Sleep(2200 * time.Millisecond) // which is looked at once a second
		require.Equal(p.tb, []string{"b"}, p.a.Suspects())
		require.Empty(p.tb, p.b.Suspects(), "it hears what comes")
		require.Len(p.tb, p.a.Members(), 2)
		p.net.Heal("b", "a")
		t.Sleep(1100 * time.Millisecond)
		require.Empty(p.tb, p.a.Suspects())
		p.crash()
		t.Sleep(20 * time.Second)
		require.Empty(p.tb, p.a.Suspects())
		require.Len(p.tb, p.a.Members(), 1)
		require.Equal(p.tb, []string{"node_suspect b", "node_up b", "node_suspect b", "node_down b"}, kinds[len(kinds)-4:])
	}, actortest.Configure(func(c *actor.Config) {
		c.OnEvent = func(e actor.EventRecord) {
			for _, f := range e.Fields {
				if f.Key == "node" {
					kinds = append(kinds, e.Kind.String()+" "+f.String)
				}
			}
		}
	}))
}

// Two refs of one node that claim a name at the same time: one gets it, and the other one is told
// so.
func TestClaimsOfOneNodeAtTheSameTime(t *testing.T) {
	actortest.Explore(t, shortened(300), func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Delay: 50 * time.Millisecond})
		var won []*cluster.Claimed
		var claimers []*actor.Tasklet
		for range 3 {
			claimers = append(claimers, actor.Go(t, func(t *actor.Tasklet) error {
				ref := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
				c, err := cluster.Claim(t, p.a, "name", ref)
				if err == nil {
					won = append(won, c)
					t.Sleep(time.Minute)
				} else {
					require.ErrorIs(p.tb, err, registry.ErrTaken)
				}
				return nil
			}))
		}
		t.Sleep(30 * time.Second)
		held := 0
		for _, c := range won {
			if c.Err() == nil {
				held++
			}
		}
		require.Equal(p.tb, 1, held)
		require.Len(p.tb, won, 1)
		for _, c := range claimers {
			_ = c.Join(t)
		}
	}, actortest.Allow(event.DeadLetter))
}

// A claim of which nobody knows whether it has come about, since its caller was killed or got no
// answer, does not stay.
func TestStrayClaims(t *testing.T) {
	actortest.Explore(t, shortened(100), func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Delay: 100 * time.Millisecond})
		ref := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		cut := t.System().Rand().IntN(2) == 0
		k := actor.Go(t, func(t *actor.Tasklet) error {
			_, err := cluster.Claim(t, p.a, "name", ref)
			return err
		})
		if cut {
			p.net.Cut(clustertest.Directory, "a")
		}
		t.Sleep(time.Duration(t.System().Rand().IntN(200)) * time.Millisecond)
		k.Kill()
		_ = k.Join(t)
		held := k.Join(t) == nil // it was faster
		t.Sleep(4 * time.Second)
		p.net.Calm()
		t.Sleep(time.Minute)
		p.do(func(t *actor.Tasklet) {
			_, err := cluster.Claim(t, p.b, "name", actor.Receiver(t, func(*actor.Tasklet, say) error { return nil }))
			if held {
				require.ErrorIs(p.tb, err, registry.ErrTaken)
			} else {
				require.NoError(p.tb, err)
			}
		})
	}, actortest.Allow(event.DeadLetter), actortest.Allow(event.Exit))
}

// stale is a connector whose directory reads what was true before any node had joined, as a server
// does that was stopped and does not know that it leads no longer.
type stale struct{ cluster.Connector }

type staleDirectory struct{ cluster.Directory }

func (s stale) Connect(t *actor.Tasklet, self cluster.Member) (cluster.Transport, cluster.Directory, error) {
	tr, dir, err := s.Connector.Connect(t, self)
	return tr, staleDirectory{dir}, err
}

func (d staleDirectory) Get(ctx context.Context, key string) ([]byte, cluster.Token, error) {
	if strings.HasPrefix(key, "node/") {
		return nil, cluster.Token{}, cluster.ErrNoKey
	}
	return d.Directory.Get(ctx, key)
}

// The names of singletons, of shards and of the group of their hosts can't be taken by others.
func TestReservedNames(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		mine := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		var bad *registry.NameError
		for _, name := range []string{"singleton/a", "shard/cart/1", "singleton/"} {
			_, err := cluster.Claim(t, p.a, name, mine)
			require.ErrorAs(p.tb, err, &bad, name)
		}
		require.Equal(p.tb, `begins with "singleton/", as names that package cluster gives`, bad.Rule)
		_, err := cluster.NewGroup[say](p.a, "(shards)/cart")
		require.ErrorAs(p.tb, err, &bad)
		for _, name := range []string{"single", "a/shard/1", "(shards)/cart"} {
			_, err := cluster.Claim(t, p.a, name, mine)
			require.NoError(p.tb, err, name)
		}
	})
}

// A lease ends before its session does, also if the clock of the directory is faster than that of
// the node by a fifth.
func TestLeaseWithDrift(t *testing.T) {
	waits := 0
	actortest.Explore(t, 200, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Drift: 0.2, Delay: 20 * time.Millisecond})
		c, err := cluster.Claim(t, p.a, "name", actor.Receiver(t, func(*actor.Tasklet, say) error { return nil }))
		require.NoError(p.tb, err)
		t.Sleep(time.Duration(t.System().Rand().IntN(3000)) * time.Millisecond)
		p.net.Cut("a", clustertest.Directory)
		p.do(func(t *actor.Tasklet) {
			mine := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
			for {
				_, err := cluster.Claim(t, p.b, "name", mine)
				if err == nil {
					break
				}
				waits++
				t.Sleep(5 * time.Millisecond)
			}
			require.Error(p.tb, c.Err(), "both have the name")
		})
	}, actortest.Allow(event.DeadLetter))
	require.Positive(t, waits)
}

// late is a connector whose directory tells its followers everything a second later.
type late struct{ cluster.Connector }

type lateDirectory struct {
	cluster.Directory
	t *actor.Tasklet
}

func (l late) Connect(t *actor.Tasklet, self cluster.Member) (cluster.Transport, cluster.Directory, error) {
	tr, dir, err := l.Connector.Connect(t, self)
	return tr, lateDirectory{dir, t}, err
}

func (d lateDirectory) Follow(f func(cluster.Change)) func() {
	type due struct {
		change cluster.Change
		at     time.Time
	}
	changes := actor.Receiver(d.t, func(t *actor.Tasklet, c due) error {
		t.Sleep(c.at.Sub(t.System().Now()))
		f(c.change)
		return nil
	}, actor.Overflow(mailbox.Unbounded))
	return d.Directory.Follow(func(c cluster.Change) {
		_ = changes.TrySend(context.Background(), due{c, d.t.System().Now().Add(time.Second)})
	})
}

// A node that has just joined takes the names of its earlier incarnation, although it does not know
// yet that they were there.
func TestClaimAfterARestart(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		claim(p, "name", func(*actor.Tasklet, say) error { return nil })
		p.net.Cut("a", clustertest.Directory) // so that nobody sweeps
		p.crash()
		n, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: late{p.net}})
		require.NoError(p.tb, err)
		begin := t.System().Now()
		_, err = cluster.Claim(t, n, "name", actor.Receiver(t, func(*actor.Tasklet, say) error { return nil }))
		require.NoError(p.tb, err)
		require.LessOrEqual(p.tb, t.System().Now().Sub(begin), 2*time.Second)
	}, actortest.Allow(event.DeadLetter))
}

// A name is not taken from a node that lives because of one read that was old.
func TestClaimWithAnOldRead(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		mine := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		c, err := cluster.Claim(t, p.a, "name", mine)
		require.NoError(p.tb, err)
		third, err := cluster.Join(t, t, cluster.Config{Name: "c", Connect: stale{p.net}})
		require.NoError(p.tb, err)
		for range 5 {
			_, err = cluster.Claim(t, third, "name", mine)
			require.ErrorIs(p.tb, err, registry.ErrTaken)
			t.Sleep(time.Second)
		}
		require.NoError(p.tb, c.Err())
		require.NoError(p.tb, p.a.Leave(t))
		t.Sleep(time.Second)
		_, err = cluster.Claim(t, third, "name", actor.Receiver(t, func(*actor.Tasklet, say) error { return nil }))
		require.NoError(p.tb, err)
	}, actortest.Allow(event.DeadLetter))
}
