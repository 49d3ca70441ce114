package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/entity"
)

// sharded returns a kind of entities that answer with the number of messages that they have
// handled since their start, and hosts them on n.
func sharded(tb testing.TB, t *actor.Tasklet, n *cluster.Node, spec cluster.ShardedSpec[say]) *cluster.Sharded[say] {
	spec.Name = "cart"
	if spec.Init == nil {
		spec.Init = func(*actor.Tasklet, string, *cluster.Claimed) (actor.Handler[say], error) {
			count := 0
			return func(t *actor.Tasklet, m say) error {
				t.Sleep(time.Duration(m.N) * time.Second)
				count++
				if m.From == "send" {
					return nil
				}
				return m.Ask.Send(t, count)
			}, nil
		}
	}
	s, err := cluster.NewSharded(n, spec)
	require.NoError(tb, err)
	supervised(t, "carts", s.Body())
	return s
}

func count(t *actor.Tasklet, s *cluster.Sharded[say], key string) (int, error) {
	return cluster.CallSharded(t, s, key, func(r actor.Reply[int]) say { return say{Ask: r} })
}

func TestSharded(t *testing.T) {
	var moved int
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		spec := cluster.ShardedSpec[say]{Shards: 16, Entities: entity.Spec[string, say]{Idle: time.Hour}}
		a := sharded(p.tb, t, p.a, spec)
		require.Equal(p.tb, "cart", a.Name())
		var b *cluster.Sharded[say]
		p.do(func(t *actor.Tasklet) { b = sharded(p.tb, t, p.b, spec) })
		t.Sleep(10 * time.Second)
		on := map[string]int{}
		for i := range 40 {
			key := fmt.Sprint("cart-", i)
			on[a.NodeOf(key)]++
			require.Equal(p.tb, a.NodeOf(key), b.NodeOf(key))
			require.NoError(p.tb, a.Send(t, key, say{From: "send"}))
			n, err := count(t, a, key)
			require.NoError(p.tb, err)
			require.Equal(p.tb, 2, n)
			p.do(func(t *actor.Tasklet) {
				n, err := count(t, b, key)
				require.NoError(p.tb, err)
				require.Equal(p.tb, 3, n, "the same entity from everywhere")
			})
			one, err := a.Ref(t, key)
			require.NoError(p.tb, err)
			two, err := a.Ref(t, key)
			require.NoError(p.tb, err)
			require.Equal(p.tb, one, two)
		}
		require.Greater(p.tb, on["a"], 5)
		require.Greater(p.tb, on["b"], 5)

		// b is lost: all are on a in TTL + 1 s, and those that were there are as they were
		moved = 0
		var kept, lost []string
		for i := range 40 {
			if key := fmt.Sprint("cart-", i); a.NodeOf(key) == "a" {
				kept = append(kept, key)
			} else {
				lost = append(lost, key)
			}
		}
		p.crash()
		begin := t.System().Now()
		_, err := count(t, a, lost[0])
		require.ErrorAs(p.tb, err, new(*cluster.NodeError), "it was sent, and is not sent twice")
		n, err := count(t, a, lost[0])
		require.NoError(p.tb, err)
		require.Equal(p.tb, 1, n)
		require.Less(p.tb, t.System().Now().Sub(begin), 16*time.Second)
		t.Sleep(2 * time.Second)
		for _, key := range lost[1:] {
			n, err := count(t, a, key)
			require.NoError(p.tb, err)
			require.Equal(p.tb, 1, n)
		}
		for _, key := range kept {
			n, err := count(t, a, key)
			require.NoError(p.tb, err)
			require.Equal(p.tb, 4, n)
		}

		// it comes back, and gets what belongs to it; what is queued is handled before
		before := moved
		require.NoError(p.tb, a.Send(t, lost[0], say{From: "send", N: 3}))
		actor.Go(t, func(t *actor.Tasklet) error {
			n, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: p.net})
			require.NoError(p.tb, err)
			b = sharded(p.tb, t, n, spec)
			return n.Tasklet().Join(t)
		})
		t.Sleep(20 * time.Second)
		require.Equal(p.tb, 2*before, moved)
		for _, key := range lost {
			require.Equal(p.tb, "b", a.NodeOf(key))
			n, err := count(t, a, key)
			require.NoError(p.tb, err)
			require.Equal(p.tb, 1, n)
		}
		n, err = count(t, a, kept[0])
		require.NoError(p.tb, err)
		require.Equal(p.tb, 5, n)
	}, actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) {
		c.OnEvent = func(e actor.EventRecord) {
			if e.Kind == cluster.EventShardMoved {
				moved++
			}
		}
	}))
}

// A host that ends releases its shards.
func TestHostThatStops(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		spec := cluster.ShardedSpec[say]{Shards: 16}
		a := sharded(p.tb, t, p.a, spec)
		p.do(func(t *actor.Tasklet) { sharded(p.tb, t, p.b, spec) })
		t.Sleep(5 * time.Second)
		var key string
		for i := 0; a.NodeOf(key) != "b"; i++ {
			key = fmt.Sprint(i)
		}
		_, err := count(t, a, key)
		require.NoError(p.tb, err)
		p.do(func(t *actor.Tasklet) {
			for _, c := range t.Children() {
				if c.Name() == "top" {
					c.Kill()
					_ = c.Join(t)
				}
			}
		})
		begin := t.System().Now()
		for a.NodeOf(key) != "a" {
			t.Sleep(10 * time.Millisecond)
			require.Less(p.tb, t.System().Now().Sub(begin), 2*time.Second)
		}
		n, err := count(t, a, key)
		require.NoError(p.tb, err)
		require.Equal(p.tb, 1, n)
	}, actortest.Allow(event.DeadLetter))
}

// An entity that does not end in time is killed, and what it has not handled is a dead letter.
func TestHandoverIsCut(t *testing.T) {
	lost := 0
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		spec := cluster.ShardedSpec[say]{Shards: 1, Handover: 5 * time.Second}
		b := spec
		var s *cluster.Sharded[say]
		p.do(func(t *actor.Tasklet) { s = sharded(p.tb, t, p.b, b) })
		a, err := cluster.NewSharded(p.a, cluster.ShardedSpec[say]{Name: "cart", Shards: 1,
			Init: func(*actor.Tasklet, string, *cluster.Claimed) (actor.Handler[say], error) { return nil, nil }})
		require.NoError(p.tb, err)
		for range 10 {
			require.NoError(p.tb, a.Send(t, "slow", say{From: "send", N: 3}))
		}
		require.Equal(p.tb, "b", s.NodeOf("slow"))
		// nodes that have the shard rather than b
		begin := t.System().Now()
		for i := range 20 {
			n, err := cluster.Join(t, t, cluster.Config{Name: fmt.Sprint("n", i), Connect: p.net})
			require.NoError(p.tb, err)
			sharded(p.tb, t, n, spec)
			t.Sleep(10 * time.Millisecond)
		}
		for s.NodeOf("slow") == "b" || s.NodeOf("slow") == "" {
			t.Sleep(100 * time.Millisecond)
			require.Less(p.tb, t.System().Now().Sub(begin), 12*time.Second)
		}
		n, err := count(t, a, "slow")
		require.NoError(p.tb, err)
		require.Equal(p.tb, 1, n)
		require.Greater(p.tb, lost, 5)
	}, actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) {
		c.OnEvent = func(e actor.EventRecord) {
			if e.Kind == event.DeadLetter || e.Kind == event.MessageLost {
				lost += e.Count
			}
		}
	}))
}

func TestShardedRefuses(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		init := func(*actor.Tasklet, string, *cluster.Claimed) (actor.Handler[say], error) { return nil, nil }
		for want, spec := range map[string]cluster.ShardedSpec[say]{
			"empty":           {Init: init},
			"control":         {Name: "a\nb", Init: init},
			"Init of":         {Name: "a"},
			"Shards of":       {Name: "a", Init: init, Shards: 5000},
			"Handover of":     {Name: "a", Init: init, Handover: -1},
			"Entities.Init o": {Name: "a", Init: init, Entities: entity.Spec[string, say]{Init: func(*actor.Tasklet, string) (actor.Handler[say], error) { return nil, nil }}},
		} {
			_, err := cluster.NewSharded(p.a, spec)
			require.ErrorContains(p.tb, err, want)
		}
		_, err := cluster.NewSharded(p.a, cluster.ShardedSpec[secret]{Name: "a",
			Init: func(*actor.Tasklet, string, *cluster.Claimed) (actor.Handler[secret], error) { return nil, nil }})
		require.Error(p.tb, err)
		s, err := cluster.NewSharded(p.a, cluster.ShardedSpec[say]{Name: "a", Init: init})
		require.NoError(p.tb, err)
		ctx, cancel := actor.WithTimeout(t, time.Minute)
		defer cancel()
		_, err = s.Ref(ctx, "nobody hosts it")
		require.ErrorIs(p.tb, err, actor.ErrTimeout)
		require.NoError(p.tb, p.a.Leave(t))
		_, err = s.Ref(t, "x")
		require.ErrorIs(p.tb, err, cluster.ErrLeft)
	})
}

// Whatever happens to the network, at most one tasklet lives for each key, tokens grow, calls end,
// and in the end each key has an entity again.
func TestOneEntityForEachKey(t *testing.T) {
	actortest.Explore(t, shortened(160), func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		rand := t.System().Rand()
		living, last, calls, answered, stop := map[string]int{}, map[string]cluster.Token{}, 0, 0, false
		net := clustertest.New(t, clustertest.Faults{
			Loss: 0.1, Delay: time.Duration(rand.IntN(200)) * time.Millisecond, Forget: float64(rand.IntN(10)) / 100,
		})
		hosts := map[string]*actor.Tasklet{}
		start := func(name string) {
			hosts[name] = actor.Go(t, func(t *actor.Tasklet) error {
				n, err := cluster.Join(t, t, cluster.Config{Name: name, Connect: net, TTL: 3 * time.Second})
				if err != nil {
					return err
				}
				s := sharded(tb, t, n, cluster.ShardedSpec[say]{
					Shards: 8, Handover: 2 * time.Second, Entities: entity.Spec[string, say]{Idle: 5 * time.Second},
					Init: func(t *actor.Tasklet, key string, c *cluster.Claimed) (actor.Handler[say], error) {
						living[key]++
						t.Defer(func() { living[key]-- })
						require.Equal(tb, 1, living[key], "entities of %s", key)
						require.False(tb, c.Token.Less(last[key]), "token %v of %s after %v", c.Token, key, last[key])
						last[key] = c.Token
						return func(t *actor.Tasklet, m say) error {
							if rand.IntN(10) == 0 {
								t.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
							}
							return m.Ask.Send(t, 1)
						}, nil
					},
				})
				for range 2 {
					actor.Go(t, func(t *actor.Tasklet) error {
						for !stop {
							t.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
							calls++
							func() {
								defer func() { calls-- }()
								ctx, cancel := actor.WithTimeout(t, 20*time.Second)
								defer cancel()
								_, _ = cluster.CallSharded(ctx, s, fmt.Sprint(rand.IntN(12)), func(r actor.Reply[int]) say { return say{Ask: r} })
							}()
						}
						return nil
					}, actor.Name("caller"))
				}
				for !stop {
					t.Sleep(time.Second)
				}
				for i := range 12 {
					ctx, cancel := actor.WithTimeout(t, 20*time.Second)
					_, err := cluster.CallSharded(ctx, s, fmt.Sprint(i), func(r actor.Reply[int]) say { return say{Ask: r} })
					require.NoError(tb, err)
					cancel()
				}
				answered++
				return n.Tasklet().Join(t)
			}, actor.Name("host-"+name))
		}
		names := []string{"a", "b", "c"}
		for _, name := range names {
			start(name)
		}
		nap := func(n int) {
			for range n {
				t.Sleep(500 * time.Millisecond)
				for _, name := range names {
					if hosts[name].HasFinished() {
						start(name)
					}
				}
			}
		}
		nap(4)
		for range 2 + rand.IntN(4) {
			nap(rand.IntN(10))
			trouble(net, rand, hosts, names[rand.IntN(3)])
		}
		net.Calm()
		nap(30)
		stop = true
		t.Sleep(30 * time.Second)
		require.Zero(tb, calls)
		require.Equal(tb, 3, answered, "nodes from which all keys answer in the end")
	}, actortest.Allow(event.DeadLetter), actortest.Allow(event.Exit), actortest.Allow(supervisor.EventRestart), actortest.Allow(supervisor.EventGiveUp),
		actortest.Limit(20*time.Second))
}

// The shard of an entity that ignores its kill stays where it is until the entity has ended.
func TestHandoverOfAnEntityThatStays(t *testing.T) {
	living, most := 0, 0
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		spec := cluster.ShardedSpec[say]{Name: "cart", Shards: 1, Handover: 2 * time.Second}
		spec.Init = func(t *actor.Tasklet, _ string, _ *cluster.Claimed) (actor.Handler[say], error) {
			living++
			most = max(most, living)
			t.Defer(func() {
				t.Sleep(time.Minute) // what it defers takes long, also after a kill
				living--
			})
			return func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, 1) }, nil
		}
		var s *cluster.Sharded[say]
		p.do(func(t *actor.Tasklet) { s = sharded(p.tb, t, p.b, spec) })
		_, err := count(t, s, "slow")
		require.NoError(p.tb, err)
		for i := range 20 { // nodes that have the shard rather than b
			n, err := cluster.Join(t, t, cluster.Config{Name: fmt.Sprint("n", i), Connect: p.net})
			require.NoError(p.tb, err)
			sharded(p.tb, t, n, spec)
		}
		t.Sleep(30 * time.Second)
		require.Equal(p.tb, "b", s.NodeOf("slow"))
		require.Equal(p.tb, 1, living)
		t.Sleep(time.Minute)
		require.NotEqual(p.tb, "b", s.NodeOf("slow"))
		_, err = count(t, s, "slow")
		require.NoError(p.tb, err)
		require.Equal(p.tb, 1, most)
	}, actortest.Allow(event.DeadLetter))
}

// Callers that give up do not harm the host.
func TestCallersOfAHostThatGiveUp(t *testing.T) {
	failures := 0
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Delay: 100 * time.Millisecond})
		spec := cluster.ShardedSpec[say]{Shards: 16}
		p.do(func(t *actor.Tasklet) { sharded(p.tb, t, p.b, spec) })
		spec.Name = "cart"
		spec.Init = func(*actor.Tasklet, string, *cluster.Claimed) (actor.Handler[say], error) { return nil, nil }
		a, err := cluster.NewSharded(p.a, spec)
		require.NoError(p.tb, err)
		t.Sleep(2 * time.Second)
		for i := range 300 {
			ctx, cancel := actor.WithTimeout(t, time.Duration(i)*time.Millisecond)
			_, _ = a.Ref(ctx, fmt.Sprint(i))
			cancel()
		}
		n, err := count(t, a, "x")
		require.NoError(p.tb, err)
		require.Equal(p.tb, 1, n)
		require.Zero(p.tb, failures)
	}, actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) {
		c.OnEvent = func(e actor.EventRecord) {
			if e.Kind == event.Failure || e.Kind == event.Exit && e.Err != nil {
				failures++
			}
		}
	}))
}

// Any string is a key, also one that can't be a part of a path.
func TestOddKeys(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		spec := cluster.ShardedSpec[say]{Shards: 16}
		p.do(func(t *actor.Tasklet) { sharded(p.tb, t, p.b, spec) })
		spec.Name = "cart"
		spec.Init = func(*actor.Tasklet, string, *cluster.Claimed) (actor.Handler[say], error) { return nil, nil }
		a, err := cluster.NewSharded(p.a, spec)
		require.NoError(p.tb, err)
		for i, key := range []string{"", "/", "a/b", "a\nb", "\x00\x1b[31m", "\u202e", "\xff\xfe", strings.Repeat("x", 100_000)} {
			for n := range 2 {
				has, err := count(t, a, key)
				require.NoError(p.tb, err, "key %d", i)
				require.Equal(p.tb, n+1, has, "key %d", i)
			}
		}
	})
}
