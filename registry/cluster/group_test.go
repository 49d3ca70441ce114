package cluster_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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

// worker starts a receiver that answers with its number, and joins it to a group.
func worker(tb testing.TB, t *actor.Tasklet, g *cluster.Group[say], n int) actor.Ref[say] {
	ref := actor.Receiver(t, func(t *actor.Tasklet, m say) error {
		if m.N >= 0 {
			return m.Ask.Send(t, n)
		}
		return nil
	}, actor.Name(fmt.Sprint("worker-", n)))
	require.NoError(tb, g.Join(t, ref))
	return ref
}

// numbers asks all members.
func numbers(p *pair, g *cluster.Group[say]) (all []int) {
	for _, ref := range g.Members() {
		n, err := ask(p, ref, 0)
		require.NoError(p.tb, err)
		all = append(all, n)
	}
	return all
}

func TestGroup(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		g, err := cluster.NewGroup[say](p.a, "workers")
		require.NoError(p.tb, err)
		require.Equal(p.tb, "workers", g.Name())
		_, err = g.Next()
		require.ErrorIs(p.tb, err, registry.ErrNoMembers)
		_, err = g.ForKey("x")
		require.ErrorIs(p.tb, err, registry.ErrNoMembers)
		one := worker(p.tb, t, g, 1)
		var gb *cluster.Group[say]
		var three, four actor.Ref[say]
		p.do(func(t *actor.Tasklet) {
			gb, err = cluster.NewGroup[say](p.b, "workers")
			require.NoError(p.tb, err)
			three, four = worker(p.tb, t, gb, 3), worker(p.tb, t, gb, 4)
			require.NoError(p.tb, gb.Join(t, four), "once more")
			require.Len(p.tb, gb.Members(), 3)
		})
		two := worker(p.tb, t, g, 2)
		require.Equal(p.tb, []int{1, 2, 3, 4}, numbers(p, g))

		// in turn
		var turns []int
		for range 8 {
			ref, err := g.Next()
			require.NoError(p.tb, err)
			n, err := ask(p, ref, 0)
			require.NoError(p.tb, err)
			turns = append(turns, n)
		}
		require.Equal(p.tb, []int{1, 2, 3, 4, 1, 2, 3, 4}, turns)

		// both nodes choose the same member for a key
		keys := map[string]int{}
		for i := range 40 {
			key := fmt.Sprint(i)
			ref, err := g.ForKey(key)
			require.NoError(p.tb, err)
			keys[key], err = ask(p, ref, 0)
			require.NoError(p.tb, err)
		}
		p.do(func(t *actor.Tasklet) {
			for key, n := range keys {
				ref, err := gb.ForKey(key)
				require.NoError(p.tb, err)
				v, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{Ask: r} })
				require.NoError(p.tb, err)
				require.Equal(p.tb, n, v)
			}
		})

		sent, err := g.Broadcast(t, say{N: -1})
		require.NoError(p.tb, err)
		require.Equal(p.tb, 4, sent)

		// one leaves, one ends
		require.NoError(p.tb, g.Leave(t, two))
		require.NoError(p.tb, g.Leave(t, two), "once more")
		four.Tasklet().Kill()
		t.Sleep(time.Second)
		require.Equal(p.tb, []int{1, 3}, numbers(p, g))
		for key, n := range keys {
			ref, err := g.ForKey(key)
			require.NoError(p.tb, err)
			if n == 1 {
				require.Equal(p.tb, one, ref, "keys of a member that stays")
			}
		}
		require.ErrorIs(p.tb, g.Join(t, func() actor.Ref[say] {
			dead := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
			dead.Tasklet().Kill()
			_ = dead.Tasklet().Join(t)
			return dead
		}()), mailbox.ErrClosed)
		require.Panics(p.tb, func() { _ = g.Join(t, actor.Ref[say]{}) })
		require.Panics(p.tb, func() { _ = g.Join(t, g.Members()[1]) }, "a ref to another node")
		_, err = cluster.NewGroup[say](p.a, "a\nb")
		require.ErrorIs(p.tb, err, registry.ErrName)

		// a group of the same name with messages of another type has other members
		other, err := cluster.NewGroup[note](p.a, "workers")
		require.NoError(p.tb, err)
		require.Empty(p.tb, other.Members())
		_ = three
	}, actortest.Allow(event.DeadLetter))
}

// Members of a node that is lost are gone with it; Next leaves out those of a suspect node before.
func TestGroupWithoutANode(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		g, err := cluster.NewGroup[say](p.a, "workers")
		require.NoError(p.tb, err)
		mine := worker(p.tb, t, g, 1)
		p.do(func(t *actor.Tasklet) {
			gb, err := cluster.NewGroup[say](p.b, "workers")
			require.NoError(p.tb, err)
			worker(p.tb, t, gb, 2)
		})
		require.Len(p.tb, g.Members(), 2)
		p.net.Cut("b", "a")
		t.Sleep(5 * time.Second)
		for range 5 {
			ref, err := g.Next()
			require.NoError(p.tb, err)
			require.Equal(p.tb, mine, ref)
		}
		require.NoError(p.tb, g.Leave(t, mine))
		ref, err := g.Next()
		require.NoError(p.tb, err)
		require.NotEqual(p.tb, mine, ref, "better than none")
		p.crash()
		b, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: p.net})
		require.NoError(p.tb, err)
		t.Sleep(time.Millisecond)
		require.Contains(p.tb, p.net.Keys(), "groups/b")
		require.Empty(p.tb, g.Members(), "that is the table of an earlier incarnation")
		require.NoError(p.tb, b.Leave(t))
	}, actortest.Allow(event.DeadLetter))
}

// What a lost node has left in the directory is removed by the others.
func TestSweep(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		mine := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		_, err := cluster.Claim(t, p.a, "mine", mine)
		require.NoError(p.tb, err)
		p.do(func(t *actor.Tasklet) {
			g, err := cluster.NewGroup[say](p.b, "workers")
			require.NoError(p.tb, err)
			ref := worker(p.tb, t, g, 2)
			_, err = cluster.Claim(t, p.b, "theirs", ref)
			require.NoError(p.tb, err)
		})
		t.Sleep(time.Minute)
		all := []string{"groups/b", "name/mine", "name/theirs", "node/a", "node/b"}
		require.Equal(p.tb, all, p.net.Keys())
		p.net.Cut("a", "b")
		p.net.Cut("b", "a")
		t.Sleep(time.Minute)
		require.Equal(p.tb, all, p.net.Keys(), "nothing of a node that is only suspect")
		p.crash()
		t.Sleep(40 * time.Second)
		require.Equal(p.tb, []string{"name/mine", "node/a"}, p.net.Keys())
	}, actortest.Allow(event.DeadLetter))
}

// Memberships hold over a shut-out, and those that were made while the directory did not answer
// come true when it does.
func TestGroupOverAShutOut(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		g, err := cluster.NewGroup[say](p.a, "workers")
		require.NoError(p.tb, err)
		worker(p.tb, t, g, 1)
		p.net.Cut("a", clustertest.Directory)
		late := actor.Receiver(t, func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, 2) })
		err = g.Join(t, late)
		require.ErrorIs(p.tb, err, cluster.ErrNoQuorum)
		t.Sleep(20 * time.Second)
		var gb *cluster.Group[say]
		p.do(func(t *actor.Tasklet) {
			gb, err = cluster.NewGroup[say](p.b, "workers")
			require.NoError(p.tb, err)
			require.Empty(p.tb, gb.Members())
		})
		p.net.Heal("a", clustertest.Directory)
		t.Sleep(10 * time.Second)
		p.do(func(t *actor.Tasklet) {
			require.Len(p.tb, gb.Members(), 2)
			for i, ref := range gb.Members() {
				n, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{Ask: r} })
				require.NoError(p.tb, err)
				require.Equal(p.tb, i+1, n)
			}
		})
	}, actortest.Allow(event.DeadLetter))
}

// Whatever happens to the network, all nodes agree in the end on who is in which group.
func TestGroupsAgree(t *testing.T) {
	actortest.Explore(t, shortened(150), func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		rand := t.System().Rand()
		net := clustertest.New(t, clustertest.Faults{Loss: 0.1, Delay: 200 * time.Millisecond})
		type side struct {
			name  string
			group *cluster.Group[say]
			refs  map[string]actor.Ref[say]
		}
		var sides []*side
		members := map[string]bool{} // as it should be
		count := 0
		for _, name := range []string{"a", "b", "c"} {
			s := &side{name: name, refs: map[string]actor.Ref[say]{}}
			ready := actortest.NewProbe[bool](t)
			actor.Go(t, func(t *actor.Tasklet) error {
				n, err := cluster.Join(t, t, cluster.Config{Name: name, Connect: net, TTL: 3 * time.Second})
				require.NoError(tb, err)
				s.group, err = cluster.NewGroup[say](n, "g")
				require.NoError(tb, err)
				require.NoError(tb, ready.Ref().Send(t, true))
				for range 10 {
					t.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
					if keys := slices.Sorted(maps.Keys(s.refs)); len(keys) > 0 && rand.IntN(3) == 0 {
						key := keys[rand.IntN(len(keys))]
						if rand.IntN(2) == 0 {
							if err := s.group.Leave(t, s.refs[key]); err != nil && !errors.Is(err, cluster.ErrNoQuorum) {
								require.ErrorAs(tb, err, new(*cluster.NodeError))
							}
						} else {
							s.refs[key].Tasklet().Kill()
						}
						delete(s.refs, key)
						delete(members, key)
						continue
					}
					count++
					key := fmt.Sprintf("%s%d", name, count)
					ref := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil }, actor.Name(key))
					s.refs[key], members[key] = ref, true
					if err := s.group.Join(t, ref); err != nil && !errors.Is(err, cluster.ErrNoQuorum) {
						require.ErrorAs(tb, err, new(*cluster.NodeError))
					}
				}
				t.Sleep(time.Hour)
				return nil
			}, actor.Name("host-"+name))
			ready.Expect(true)
			sides = append(sides, s)
		}
		for range 5 {
			t.Sleep(time.Duration(rand.IntN(5000)) * time.Millisecond)
			switch name := sides[rand.IntN(3)].name; rand.IntN(4) {
			case 0:
				net.Cut(name, clustertest.Directory)
			case 1:
				net.Partition(name)
			case 2:
				net.Pause(name, time.Duration(rand.IntN(6000))*time.Millisecond)
			}
		}
		net.Calm()
		t.Sleep(time.Minute)
		for _, s := range sides {
			require.Len(tb, s.group.Members(), len(members), "on %s", s.name)
		}
	}, actortest.Allow(event.DeadLetter))
}
